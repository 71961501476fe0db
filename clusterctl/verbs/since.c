#include "clusterctl/verbs/since.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/size.h"

enum { NUMBER_SIZE = 20, US_PER_S = 1000000, YEAR_BASE = 1900 };

static int parse_ago(const char *text, uint64_t now_us, struct since *out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t size = strlen(text);
    char number[NUMBER_SIZE];
    uint64_t count;

    if (size < 2 || size > sizeof number) {
        return RAY_EINVAL;
    }
    memcpy(number, text, size - 1);
    number[size - 1] = '\0';
    for (size_t i = 0; i < RAY_ARRAY_COUNT(units); i++) {
        if (text[size - 1] == units[i].unit && ray_parse_u64(number, 0, UINT32_MAX, &count) == 0) {
            uint64_t ago_us = count * units[i].seconds * US_PER_S;

            *out = (struct since){.time_us = ago_us < now_us ? now_us - ago_us : 1};
            return RAY_OK;
        }
    }
    return RAY_EINVAL;
}

static int parse_time(const char *text, struct since *out)
{
    static const char *const forms[] = {"%Y-%m-%d%n", "%Y-%m-%d %H:%M%n", "%Y-%m-%dT%H:%M%n",
                                        "%Y-%m-%d %H:%M:%S%n", "%Y-%m-%dT%H:%M:%S%n"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(forms); i++) {
        struct tm parts = {.tm_isdst = 0};
        const char *end = strptime(text, forms[i], &parts);
        time_t seconds;

        if (end == NULL || (strcmp(end, "") != 0 && strcmp(end, "Z") != 0)) {
            continue;
        }
        seconds = timegm(&parts);
        if (seconds > 0) {
            *out = (struct since){.time_us = (uint64_t)seconds * US_PER_S};
            return RAY_OK;
        }
    }
    return RAY_EINVAL;
}

int since_parse(const char *text, uint64_t now_us, struct since *out, struct ray_err *err)
{
    uint64_t revision;

    if (ray_parse_u64(text, 0, UINT64_MAX, &revision) == RAY_OK) {
        *out = (struct since){.revision = revision};
        return RAY_OK;
    }
    if (parse_ago(text, now_us, out) == RAY_OK || parse_time(text, out) == RAY_OK) {
        return RAY_OK;
    }
    return ray_fail(err, RAY_EUSAGE,
                    "--since '%.40s' is no revision, no '10m' or '2h', and no time like "
                    "'2026-11-21 10:30'",
                    text);
}

bool since_takes(const struct since *since, uint64_t revision, uint64_t time_us)
{
    return revision >= since->revision && time_us >= since->time_us;
}

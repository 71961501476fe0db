/* size.c - decimal numbers from text. Overflow is found before it happens, digit by digit. */
#include "base/size.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Reads digits at *text and moves it on. RAY_EINVAL without a digit, RAY_ETOOBIG when the
 * number does not fit. */
static int parse_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;

    if (*at < '0' || *at > '9') {
        return RAY_EINVAL;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return RAY_ETOOBIG;
        }
    }
    *text = at;
    *out = value;
    return RAY_OK;
}

int ray_parse_size(const char *text, uint64_t *out_bytes)
{
    static const char units[] = "KMGT";
    const char *unit;
    uint64_t value;
    int rc;

    assert(text != NULL && out_bytes != NULL);
    rc = parse_digits(&text, &value);
    if (rc != RAY_OK) {
        return rc;
    }
    if (*text != '\0') {
        unit = strchr(units, *text);
        if (unit == NULL || (text[1] != '\0' && strcmp(text + 1, "iB") != 0)) {
            return RAY_EINVAL;
        }
        if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value)) {
            return RAY_ETOOBIG;
        }
    }
    *out_bytes = value;
    return RAY_OK;
}

int ray_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value;

    assert(text != NULL && out != NULL && min <= max);
    if (parse_digits(&text, &value) != RAY_OK || *text != '\0' || value < min || value > max) {
        return RAY_EINVAL;
    }
    *out = value;
    return RAY_OK;
}

const char *ray_format_size(uint64_t bytes, char out[static 16])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    /* 1023.95 would print as 1024.0 of the smaller unit. */
    while (value >= 1023.95 && unit + 1 < RAY_ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 16, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

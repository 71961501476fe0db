#include "provisioning/machines/arguments.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "base/size.h"

enum { WORD_SIZE = 64 }; /* the longest word, with NUL */

static bool is_number(const char *value, uint64_t min, uint64_t max)
{
    uint64_t number;

    /* Only plain digits: no sign, no space, and no leading 0, which means octal to the kernel. */
    return (value[0] != '0' || value[1] == '\0') &&
           ray_parse_u64(value, min, max, &number) == RAY_OK;
}

static bool is_panic(const char *value)
{
    return is_number(value, 0, 3600);
}

static bool is_kernel_log_level(const char *value)
{
    return is_number(value, 0, 7);
}

static bool is_watchdog(const char *value)
{
    return is_number(value, 4, 600); /* what PID 1 takes */
}

static bool is_switch(const char *value)
{
    return is_number(value, 0, 1);
}

static bool is_log_level(const char *value)
{
    enum ray_log_level level;

    return ray_log_level_parse(value, &level) == RAY_OK;
}

static bool is_mode(const char *value)
{
    return strcmp(value, "live") == 0 || strcmp(value, "recovery") == 0;
}

static bool is_cores(const char *value)
{
    return strcmp(value, "off") == 0 || strcmp(value, "info") == 0 || strcmp(value, "full") == 0;
}

/* "115200", "115200n8" */
static bool is_speed(const char *text)
{
    size_t size = strspn(text, "0123456789");
    char digits[8];

    if (size == 0 || size >= sizeof(digits) ||
        (text[size] != '\0' && strcmp(text + size, "n8") != 0)) {
        return false;
    }
    memcpy(digits, text, size);
    digits[size] = '\0';
    return is_number(digits, 300, 4000000);
}

static bool is_console(const char *value)
{
    static const char *const serial[] = {"ttyS", "ttyAMA", "ttyUSB"};

    if (strcmp(value, "tty0") == 0 || strcmp(value, "hvc0") == 0) {
        return true;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(serial); i++) {
        size_t size = strlen(serial[i]);

        if (strncmp(value, serial[i], size) == 0 && value[size] >= '0' && value[size] <= '9') {
            const char *rest = value + size + 1;

            return *rest == '\0' || (*rest == ',' && is_speed(rest + 1));
        }
    }
    return false;
}

static const struct {
    const char *key;
    bool (*is_valid)(const char *value);
    bool may_repeat;
    const char *help;
} allowed[] = {
    {"console=", is_console, true,
     "tty0, hvc0, or ttyS0 to ttyS9 (ttyAMA, ttyUSB) with a speed: ttyS1,115200n8"},
    {"loglevel=", is_kernel_log_level, false, "what the kernel prints, 0 to 7"},
    {"net.ifnames=", is_switch, false, "0 or 1"},
    {"panic=", is_panic, false, "seconds until a panic restarts the machine, 0 to 3600"},
    {"rayos.cores=", is_cores, false, "off, info or full"},
    {"rayos.loglevel=", is_log_level, false, "error, warn, notice, info or debug"},
    {"rayos.mode=", is_mode, false, "live or recovery"},
    {"rayos.watchdog=", is_watchdog, false, "seconds, 4 to 600"},
};

const char *provision_arguments_key(size_t index)
{
    return index < RAY_ARRAY_COUNT(allowed) ? allowed[index].key : NULL;
}

const char *provision_arguments_help(size_t index)
{
    return index < RAY_ARRAY_COUNT(allowed) ? allowed[index].help : NULL;
}

/* `seen` has a bit for each entry that came before. */
static int check_word(const char *word, uint32_t *seen, struct ray_err *err)
{
    static_assert(RAY_ARRAY_COUNT(allowed) <= 32, "a bit for each entry");

    for (size_t i = 0; i < RAY_ARRAY_COUNT(allowed); i++) {
        size_t size = strlen(allowed[i].key);

        if (strncmp(word, allowed[i].key, size) != 0) {
            continue;
        }
        if (!allowed[i].is_valid(word + size)) {
            return ray_fail(err, RAY_EINVAL, "kernel argument '%s': %s takes %s", word,
                            allowed[i].key, allowed[i].help);
        }
        if ((*seen & UINT32_C(1) << i) != 0 && !allowed[i].may_repeat) {
            return ray_fail(err, RAY_EINVAL, "kernel argument %s stands twice", allowed[i].key);
        }
        *seen |= UINT32_C(1) << i;
        return RAY_OK;
    }
    return ray_fail(err, RAY_EINVAL, "kernel argument '%s' is not one that may be set", word);
}

int provision_arguments_check(const char *text, struct ray_err *err)
{
    uint32_t seen = 0;
    size_t count = 0;

    if (strlen(text) >= PROVISION_ARGUMENTS_SIZE) {
        return ray_fail(err, RAY_EINVAL, "kernel arguments of %zu bytes, at most %d", strlen(text),
                        PROVISION_ARGUMENTS_SIZE - 1);
    }
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        char word[WORD_SIZE];
        int rc;

        if (size == 0 || (text[size] == ' ' && text[size + 1] == '\0')) {
            return ray_fail(err, RAY_EINVAL, "kernel arguments: one space between two words");
        }
        if (size >= sizeof(word)) {
            return ray_fail(err, RAY_EINVAL, "kernel argument '%.16s...' is too long", text);
        }
        if (++count > PROVISION_ARGUMENTS_COUNT_MAX) {
            return ray_fail(err, RAY_EINVAL, "more than %d kernel arguments",
                            PROVISION_ARGUMENTS_COUNT_MAX);
        }
        memcpy(word, text, size);
        word[size] = '\0';
        rc = check_word(word, &seen, err);
        if (rc != RAY_OK) {
            return rc;
        }
        text += size + (text[size] == ' ' ? 1 : 0);
    }
    return RAY_OK;
}

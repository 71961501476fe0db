/* clusterctl/lab/chaos_net.c - see chaos_net.h. */
#include "clusterctl/lab/chaos_net.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum net_form {
    FORM_PAIR,       /* A B */
    FORM_PAIR_VALUE, /* A B VALUE */
    FORM_MAYBE_PAIR, /* nothing, or A B */
    FORM_GROUPS,     /* A,B C ... */
};

static const struct {
    const char *name;
    enum net_form form;
    const char *usage;
} actions[] = {
    {"loss", FORM_PAIR_VALUE, "loss A B PERCENT"},
    {"dup", FORM_PAIR_VALUE, "dup A B PERCENT"},
    {"reorder", FORM_PAIR_VALUE, "reorder A B PERCENT"},
    {"delay", FORM_PAIR_VALUE, "delay A B MILLISECONDS"},
    {"rate", FORM_PAIR_VALUE, "rate A B BITS_PER_SECOND"},
    {"cut", FORM_PAIR, "cut A B"},
    {"heal", FORM_MAYBE_PAIR, "heal [A B]"},
    {"clear", FORM_MAYBE_PAIR, "clear [A B]"},
    {"partition", FORM_GROUPS, "partition A,B C"},
};

bool lab_chaos_net_is(const char *action)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(actions); i++) {
        if (strcmp(actions[i].name, action) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- numbers ---- */

/* "12", "12.5" as a count of 1/scale units, and the rest of the text; false: no number, or
 * more than value_max units. */
static bool parse_decimal(const char *text, uint64_t scale, uint64_t value_max, uint64_t *out,
                          const char **out_rest)
{
    uint64_t value = 0;
    uint64_t unit = scale;
    bool has_digit = false;

    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
        has_digit = true;
        if (value > value_max) {
            return false;
        }
    }
    if (value > value_max / scale) {
        return false;
    }
    value *= scale;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++) {
            unit /= 10;
            value += unit * (uint64_t)(*text - '0');
            has_digit = true;
        }
    }
    *out = value;
    *out_rest = text;
    return has_digit && value <= value_max;
}

int lab_parse_percent(const char *text, uint32_t *out_ppm, struct ray_err *err)
{
    const char *rest;
    uint64_t ppm;

    if (!parse_decimal(text, 10000, 1000000, &ppm, &rest) ||
        (strcmp(rest, "") != 0 && strcmp(rest, "%") != 0)) {
        return ray_fail(err, RAY_EUSAGE, "'%s': a percentage from 0 to 100 is needed", text);
    }
    *out_ppm = (uint32_t)ppm;
    return RAY_OK;
}

int lab_parse_delay(const char *text, uint64_t *out_us, struct ray_err *err)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"", 1000}, {"ms", 1000}, {"s", 1000000}, {"us", 1}};
    const uint64_t max_us = UINT64_C(60000000);

    for (size_t i = 0; i < RAY_ARRAY_COUNT(units); i++) {
        const char *rest;
        uint64_t us;

        if (parse_decimal(text, units[i].us, max_us, &us, &rest) &&
            strcmp(rest, units[i].unit) == 0) {
            *out_us = us;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EUSAGE, "'%s': a time as 20, 20ms, 1.5s or 300us, at most 60s", text);
}

int lab_parse_rate(const char *text, uint64_t *out_bps, struct ray_err *err)
{
    static const struct {
        const char *unit;
        uint64_t bps;
    } units[] = {{"", 1},           {"bit", 1},        {"k", 1000},         {"kbit", 1000},
                 {"K", 1000},       {"m", 1000000},    {"M", 1000000},      {"mbit", 1000000},
                 {"g", 1000000000}, {"G", 1000000000}, {"gbit", 1000000000}};
    const uint64_t max_bps = UINT64_C(1000000000000);

    if (strcmp(text, "none") == 0) {
        *out_bps = 0;
        return RAY_OK;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(units); i++) {
        const char *rest;
        uint64_t bps;

        if (parse_decimal(text, units[i].bps, max_bps, &bps, &rest) &&
            strcmp(rest, units[i].unit) == 0 && (bps == 0 || bps >= 1000)) {
            *out_bps = bps;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EUSAGE,
                    "'%s': bits per second as 10M or 512kbit, 1k to 1000G, or none", text);
}

/* ---- commands ---- */

__attribute__((format(printf, 3, 4))) static int print(char out[static LAB_CHAOS_TEXT_SIZE],
                                                       struct ray_err *err, const char *fmt, ...)
{
    va_list ap;
    int size;

    va_start(ap, fmt);
    size = vsnprintf(out, LAB_CHAOS_TEXT_SIZE, fmt, ap);
    va_end(ap);
    return size < 0 || size >= LAB_CHAOS_TEXT_SIZE
               ? ray_fail(err, RAY_ETOOBIG, "command to the switch of %d bytes", size)
               : RAY_OK;
}

static int delay_command(const struct lab_chaos_net *chaos, const char *both,
                         char out[static LAB_CHAOS_TEXT_SIZE], struct ray_err *err)
{
    uint64_t delay_us = 0;
    uint64_t jitter_us = 0;
    int rc = lab_parse_delay(chaos->value, &delay_us, err);

    if (rc == RAY_OK && chaos->jitter[0] != '\0') {
        rc = lab_parse_delay(chaos->jitter, &jitter_us, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    return print(out, err, "set %s %s%s delay_us=%llu jitter_us=%llu", chaos->targets[0],
                 chaos->targets[1], both, (unsigned long long)delay_us,
                 (unsigned long long)jitter_us);
}

static int value_command(const struct lab_chaos_net *chaos, const char *both,
                         char out[static LAB_CHAOS_TEXT_SIZE], struct ray_err *err)
{
    uint64_t bps = 0;
    uint32_t ppm = 0;
    int rc;

    if (strcmp(chaos->action, "delay") == 0) {
        return delay_command(chaos, both, out, err);
    }
    if (strcmp(chaos->action, "rate") == 0) {
        rc = lab_parse_rate(chaos->value, &bps, err);
        return rc != RAY_OK ? rc
                            : print(out, err, "set %s %s%s rate_bps=%llu", chaos->targets[0],
                                    chaos->targets[1], both, (unsigned long long)bps);
    }
    rc = lab_parse_percent(chaos->value, &ppm, err);
    return rc != RAY_OK ? rc
                        : print(out, err, "set %s %s%s %s=%u", chaos->targets[0], chaos->targets[1],
                                both, chaos->action, ppm);
}

static int groups_command(const struct lab_chaos_net *chaos, char out[static LAB_CHAOS_TEXT_SIZE],
                          struct ray_err *err)
{
    size_t used = (size_t)snprintf(out, LAB_CHAOS_TEXT_SIZE, "partition");

    for (size_t i = 0; i < chaos->target_count; i++) {
        int size = snprintf(out + used, LAB_CHAOS_TEXT_SIZE - used, "%s %s", i > 0 ? " |" : "",
                            chaos->targets[i]);

        if (size < 0 || used + (size_t)size >= LAB_CHAOS_TEXT_SIZE) {
            return ray_fail(err, RAY_ETOOBIG, "partition of too many names");
        }
        used += (size_t)size;
    }
    return RAY_OK;
}

int lab_chaos_net_command(const struct lab_chaos_net *chaos,
                          char out_command[static LAB_CHAOS_TEXT_SIZE], struct ray_err *err)
{
    const char *both = chaos->is_one_way ? "" : " both";
    size_t index = 0;
    bool has_pair = chaos->target_count == 2;
    bool has_value = chaos->value[0] != '\0';

    while (index < RAY_ARRAY_COUNT(actions) && strcmp(actions[index].name, chaos->action) != 0) {
        index++;
    }
    if (index == RAY_ARRAY_COUNT(actions)) {
        return ray_fail(err, RAY_EUSAGE, "'%s' is no fault of the network", chaos->action);
    }
    switch (actions[index].form) {
    case FORM_PAIR_VALUE:
        if (has_pair && has_value) {
            return value_command(chaos, both, out_command, err);
        }
        break;
    case FORM_PAIR:
    case FORM_MAYBE_PAIR:
        if (has_pair && !has_value) {
            return print(out_command, err, "%s %s %s%s", chaos->action, chaos->targets[0],
                         chaos->targets[1], both);
        }
        if (actions[index].form == FORM_MAYBE_PAIR && chaos->target_count == 0 && !has_value) {
            return print(out_command, err, "%s", chaos->action);
        }
        break;
    case FORM_GROUPS:
        if (chaos->target_count >= 2 && !has_value) {
            return groups_command(chaos, out_command, err);
        }
        break;
    }
    return ray_fail(err, RAY_EUSAGE, "this is written: chaos %s", actions[index].usage);
}

/* ---- and back ---- */

__attribute__((format(printf, 4, 5))) static void append(char *out, size_t out_size, size_t *used,
                                                         const char *fmt, ...)
{
    va_list ap;
    int size;

    if (*used > 0 && *used + 2 < out_size) {
        memcpy(out + *used, ", ", 3);
        *used += 2;
    }
    va_start(ap, fmt);
    size = vsnprintf(out + *used, out_size - *used, fmt, ap);
    va_end(ap);
    *used += size > 0 && (size_t)size < out_size - *used ? (size_t)size : 0;
}

void lab_link_fault_text(const struct lab_link_fault *fault, char *out, size_t out_size)
{
    size_t used = 0;

    out[0] = '\0';
    if (fault->is_cut) {
        append(out, out_size, &used, "cut");
    }
    if (fault->loss_ppm != 0) {
        append(out, out_size, &used, "loss %g %%", fault->loss_ppm / 1e4);
    }
    if (fault->duplicate_ppm != 0) {
        append(out, out_size, &used, "dup %g %%", fault->duplicate_ppm / 1e4);
    }
    if (fault->reorder_ppm != 0) {
        append(out, out_size, &used, "reorder %g %%", fault->reorder_ppm / 1e4);
    }
    if (fault->delay_us != 0 || fault->jitter_us != 0) {
        append(out, out_size, &used, "delay %g ms", (double)fault->delay_us / 1e3);
    }
    if (fault->jitter_us != 0) {
        append(out, out_size, &used, "jitter %g ms", (double)fault->jitter_us / 1e3);
    }
    if (fault->rate_bps != 0) {
        append(out, out_size, &used, "rate %g Mbit/s", (double)fault->rate_bps / 1e6);
    }
}

/* switch_ctl.c - a command is a line of words; a word with blanks stands in double quotes.
 * The words are copied once and then only compared. */
#include "clusterctl/lab/switch_ctl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"

enum { WORD_COUNT_MAX = 128 };

struct words {
    char text[RAY_SWITCH_CTL_SIZE_MAX + 1];
    const char *at[WORD_COUNT_MAX + 1]; /* NULL after the last */
    size_t count;
};

struct key {
    const char *name;
    unsigned given;
    uint64_t min;
    uint64_t max;
};

static const struct key key_table[] = {
    {"loss", RAY_SWITCH_GIVEN_LOSS, 0, RAY_SWITCH_PPM},
    {"dup", RAY_SWITCH_GIVEN_DUPLICATE, 0, RAY_SWITCH_PPM},
    {"reorder", RAY_SWITCH_GIVEN_REORDER, 0, RAY_SWITCH_PPM},
    {"delay_us", RAY_SWITCH_GIVEN_DELAY, 0, RAY_SWITCH_DELAY_US_MAX},
    {"jitter_us", RAY_SWITCH_GIVEN_JITTER, 0, RAY_SWITCH_DELAY_US_MAX},
    {"rate_bps", RAY_SWITCH_GIVEN_RATE, 0, RAY_SWITCH_RATE_BPS_MAX},
};

bool ray_switch_name_is_valid(const char *name)
{
    static const char *const reserved[] = {"all", "both", "off"};
    size_t size = strlen(name);

    if (size == 0 || size >= RAY_SWITCH_NAME_SIZE ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != size) {
        return false;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(reserved); i++) {
        if (strcmp(name, reserved[i]) == 0) {
            return false;
        }
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Cuts words->text in place. */
static int split(struct words *words, struct ray_err *err)
{
    char *at = words->text;

    for (;;) {
        char end = ' ';

        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0') {
            return RAY_OK;
        }
        if (words->count == WORD_COUNT_MAX) {
            return ray_fail(err, RAY_EINVAL, "more than %d words", WORD_COUNT_MAX);
        }
        if (*at == '"') {
            end = '"';
            at++;
        }
        words->at[words->count++] = at;
        while (*at != '\0' && (end == '"' ? *at != '"' : !is_blank(*at))) {
            at++;
        }
        if (*at == '\0' && end == '"') {
            return ray_fail(err, RAY_EINVAL, "a quote is not closed");
        }
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
}

static int fail_word(struct ray_err *err, const char *word, const char *what)
{
    char shown[80];

    (void)ray_escape(shown, sizeof shown, word, strlen(word)); /* cut to fit is fine here */
    return ray_fail(err, RAY_EINVAL, "'%s' %s", shown, what);
}

static int take_name(char out[static RAY_SWITCH_NAME_SIZE], const char *word, bool may_be_any,
                     struct ray_err *err)
{
    if (word == NULL) {
        return ray_fail(err, RAY_EINVAL, "a port name is missing");
    }
    if (!(may_be_any && strcmp(word, "*") == 0) && !ray_switch_name_is_valid(word)) {
        return fail_word(err, word, "is not a port name (a-z, 0-9, '-', at most 32)");
    }
    (void)snprintf(out, RAY_SWITCH_NAME_SIZE, "%s", word); /* fits: checked above */
    return RAY_OK;
}

/* "A B [both]" from word 1 on; *out_next is the first word behind. */
static int take_pair(const struct words *words, struct ray_switch_command *command,
                     size_t *out_next, struct ray_err *err)
{
    size_t next = 3;
    int rc = take_name(command->from, words->at[1], true, err);

    if (rc == RAY_OK) {
        rc = take_name(command->to, words->count > 2 ? words->at[2] : NULL, true, err);
    }
    if (rc == RAY_OK && strcmp(command->from, command->to) == 0 && command->from[0] != '*') {
        rc = fail_word(err, command->from, "is named twice: a port has no link to itself");
    }
    if (rc == RAY_OK) {
        if (words->count > 3 && strcmp(words->at[3], "both") == 0) {
            command->is_both = true;
            next = 4;
        }
        *out_next = next;
    }
    return rc;
}

static void store_key(struct ray_switch_fault *fault, unsigned given, uint64_t value)
{
    switch (given) {
    case RAY_SWITCH_GIVEN_LOSS:
        fault->loss_ppm = (uint32_t)value;
        break;
    case RAY_SWITCH_GIVEN_DUPLICATE:
        fault->duplicate_ppm = (uint32_t)value;
        break;
    case RAY_SWITCH_GIVEN_REORDER:
        fault->reorder_ppm = (uint32_t)value;
        break;
    case RAY_SWITCH_GIVEN_DELAY:
        fault->delay_ns = value * RAY_NS_PER_US;
        break;
    case RAY_SWITCH_GIVEN_JITTER:
        fault->jitter_ns = value * RAY_NS_PER_US;
        break;
    case RAY_SWITCH_GIVEN_RATE:
        fault->rate_bps = value;
        break;
    default:
        assert(false);
    }
}

static int take_key(struct ray_switch_command *command, const char *word, struct ray_err *err)
{
    const char *equals = strchr(word, '=');
    size_t name_size = equals == NULL ? strlen(word) : (size_t)(equals - word);

    for (size_t i = 0; i < RAY_ARRAY_COUNT(key_table); i++) {
        const struct key *key = &key_table[i];
        uint64_t value;

        if (strlen(key->name) != name_size || memcmp(key->name, word, name_size) != 0) {
            continue;
        }
        if (equals == NULL || ray_parse_u64(equals + 1, key->min, key->max, &value) != RAY_OK) {
            return ray_fail(err, RAY_EINVAL, "%s needs a whole number from %llu to %llu", key->name,
                            (unsigned long long)key->min, (unsigned long long)key->max);
        }
        if (key->given == RAY_SWITCH_GIVEN_RATE && value != 0 && value < RAY_SWITCH_RATE_BPS_MIN) {
            return ray_fail(err, RAY_EINVAL, "rate_bps is 0 (no limit) or at least %llu",
                            (unsigned long long)RAY_SWITCH_RATE_BPS_MIN);
        }
        if ((command->given & key->given) != 0) {
            return fail_word(err, key->name, "is given twice");
        }
        command->given |= key->given;
        store_key(&command->fault, key->given, value);
        return RAY_OK;
    }
    return fail_word(err, word,
                     "is not a fault (loss, dup, reorder, delay_us, jitter_us, rate_bps)");
}

static int parse_set(const struct words *words, struct ray_switch_command *command,
                     struct ray_err *err)
{
    size_t next = 0;
    int rc = take_pair(words, command, &next, err);

    if (rc == RAY_OK && next == words->count) {
        rc = ray_fail(err, RAY_EINVAL, "nothing to set: name a fault, as loss=50000");
    }
    for (; rc == RAY_OK && next < words->count; next++) {
        rc = take_key(command, words->at[next], err);
    }
    return rc;
}

static int expect_end(const struct words *words, size_t next, struct ray_err *err)
{
    return next < words->count ? fail_word(err, words->at[next], "is one word too many") : RAY_OK;
}

static int parse_pair(const struct words *words, struct ray_switch_command *command,
                      struct ray_err *err)
{
    size_t next = 1;
    int rc = RAY_OK;

    if (words->count > 1 || command->verb == RAY_SWITCH_CUT) {
        rc = take_pair(words, command, &next, err);
    }
    return rc == RAY_OK ? expect_end(words, next, err) : rc;
}

static int add_member(struct ray_switch_command *command, const char *name, size_t group,
                      struct ray_err *err)
{
    int rc;

    if (command->member_count == RAY_SWITCH_PORT_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "more than %d ports", RAY_SWITCH_PORT_COUNT_MAX);
    }
    rc = take_name(command->members[command->member_count].name, name, false, err);
    for (size_t i = 0; rc == RAY_OK && i < command->member_count; i++) {
        if (strcmp(command->members[i].name, name) == 0) {
            rc = fail_word(err, name, "is named twice");
        }
    }
    if (rc == RAY_OK) {
        command->members[command->member_count].group = (uint8_t)group;
        command->member_count++;
    }
    return rc;
}

/* "A,B | C": commas and blanks separate names, '|' separates groups. */
static int parse_partition(struct words *words, struct ray_switch_command *command,
                           struct ray_err *err)
{
    size_t group = 0;
    size_t group_size = 0;

    for (size_t i = 1; i < words->count; i++) {
        char *at = words->text + (words->at[i] - words->text);

        while (*at != '\0') {
            size_t size = strcspn(at, ",|");
            char mark = at[size];
            int rc;

            at[size] = '\0';
            if (size > 0) {
                rc = add_member(command, at, group, err);
                if (rc != RAY_OK) {
                    return rc;
                }
                group_size++;
            }
            at += size + (mark != '\0');
            if (mark == '|') {
                if (group_size == 0) {
                    return ray_fail(err, RAY_EINVAL, "a group of the partition is empty");
                }
                group++;
                group_size = 0;
            }
        }
    }
    if (group == 0 || group_size == 0) {
        return ray_fail(err, RAY_EINVAL, "a partition is two or more groups: A,B | C");
    }
    return RAY_OK;
}

static int parse_pcap(const struct words *words, struct ray_switch_command *command,
                      struct ray_err *err)
{
    bool is_off = words->count > 1 && strcmp(words->at[1], "off") == 0;
    const char *name = words->count > 1 ? words->at[is_off ? 2 : 1] : NULL;
    int rc;

    if (is_off) {
        command->verb = RAY_SWITCH_PCAP_OFF;
        if (words->count == 2) {
            return RAY_OK;
        }
    }
    if (name != NULL && strcmp(name, "all") == 0) {
        (void)snprintf(command->from, sizeof command->from, "all"); /* fits */
    } else {
        rc = take_name(command->from, name, false, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    if (is_off) {
        return expect_end(words, 3, err);
    }
    if (words->count < 4) {
        return ray_fail(err, RAY_EINVAL, "pcap needs PORT|all FILE MAXBYTES");
    }
    if (words->at[2][0] == '\0' || strlen(words->at[2]) >= sizeof command->path) {
        return ray_fail(err, RAY_EINVAL, "the file name has 1 to %d bytes",
                        RAY_SWITCH_PATH_SIZE - 1);
    }
    (void)snprintf(command->path, sizeof command->path, "%s", words->at[2]); /* fits */
    if (ray_parse_size(words->at[3], &command->size_max) != RAY_OK || command->size_max == 0) {
        return fail_word(err, words->at[3], "is not a size in bytes (512M)");
    }
    return expect_end(words, 4, err);
}

static int parse_stats(const struct words *words, struct ray_switch_command *command,
                       struct ray_err *err)
{
    int rc = words->count > 1 ? take_name(command->from, words->at[1], false, err) : RAY_OK;

    return rc == RAY_OK ? expect_end(words, 2, err) : rc;
}

static const struct {
    const char *name;
    enum ray_switch_verb verb;
} verb_table[] = {
    {"set", RAY_SWITCH_SET},   {"clear", RAY_SWITCH_CLEAR},         {"cut", RAY_SWITCH_CUT},
    {"heal", RAY_SWITCH_HEAL}, {"partition", RAY_SWITCH_PARTITION}, {"stats", RAY_SWITCH_STATS},
    {"pcap", RAY_SWITCH_PCAP},
};

static int parse_words(struct words *words, struct ray_switch_command *command, struct ray_err *err)
{
    size_t i = 0;

    while (i < RAY_ARRAY_COUNT(verb_table) && strcmp(words->at[0], verb_table[i].name) != 0) {
        i++;
    }
    if (i == RAY_ARRAY_COUNT(verb_table)) {
        return fail_word(err, words->at[0],
                         "is not a command (set, clear, cut, heal, partition, stats, pcap)");
    }
    command->verb = verb_table[i].verb;
    switch (command->verb) {
    case RAY_SWITCH_SET:
        return parse_set(words, command, err);
    case RAY_SWITCH_CLEAR:
    case RAY_SWITCH_CUT:
    case RAY_SWITCH_HEAL:
        return parse_pair(words, command, err);
    case RAY_SWITCH_PARTITION:
        return parse_partition(words, command, err);
    case RAY_SWITCH_STATS:
        return parse_stats(words, command, err);
    case RAY_SWITCH_PCAP:
    case RAY_SWITCH_PCAP_OFF:
        break;
    }
    return parse_pcap(words, command, err);
}

int ray_switch_ctl_parse(const char *text, size_t size, struct ray_switch_command *out,
                         struct ray_err *err)
{
    struct ray_switch_command command = {0};
    struct words words = {.count = 0};
    int rc;

    if (size > RAY_SWITCH_CTL_SIZE_MAX) {
        return ray_fail(err, RAY_EINVAL, "command of %zu bytes, at most %d", size,
                        RAY_SWITCH_CTL_SIZE_MAX);
    }
    if (memchr(text, '\0', size) != NULL) {
        return ray_fail(err, RAY_EINVAL, "a command is text; it has a NUL byte");
    }
    memcpy(words.text, text, size);
    rc = split(&words, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (words.count == 0) {
        return ray_fail(err, RAY_EINVAL, "empty command");
    }
    rc = parse_words(&words, &command, err);
    if (rc == RAY_OK) {
        *out = command;
    }
    return rc;
}

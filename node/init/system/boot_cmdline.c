/* boot_cmdline.c - the kernel's own rules (lib/cmdline.c, next_arg): a word ends at white
 * space outside double quotes, the value begins behind the first '=', and quotes around the
 * value or around the whole word are dropped. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "node/init/system/boot_facts.h"

/* Cuts the word that begins at `at`; returns where the next may begin. */
static char *take_word(char *at, struct init_cmdline *cmdline)
{
    bool is_quoted = false;
    char *word = at;
    char *equals;
    char *end;

    while (*at != '\0' && (is_quoted || isspace((unsigned char)*at) == 0)) {
        if (*at == '"') {
            is_quoted = !is_quoted;
        }
        at++;
    }
    end = at;
    equals = memchr(word, '=', (size_t)(end - word));
    if (*at != '\0') {
        at++;
    }
    *end = '\0';
    if (*word == '"') {
        word++;
        if (end > word && end[-1] == '"') {
            end[-1] = '\0';
        }
    }
    if (equals != NULL) {
        *equals++ = '\0';
        if (*equals == '"') {
            equals++;
            if (end > equals && end[-1] == '"') {
                end[-1] = '\0';
            }
        }
    }
    if (cmdline->count < INIT_CMDLINE_WORD_COUNT_MAX && *word != '\0') {
        cmdline->words[cmdline->count].key = word;
        cmdline->words[cmdline->count].value = equals;
        cmdline->count++;
    }
    return at;
}

int init_cmdline_parse(const char *text, size_t size, struct init_cmdline *out, struct ray_err *err)
{
    char *at = out->text;

    if (size >= sizeof out->text) {
        return ray_fail(err, RAY_ETOOBIG, "kernel command line of %zu bytes, at most %zu", size,
                        sizeof out->text - 1);
    }
    out->count = 0;
    memcpy(out->text, text, size);
    out->text[size] = '\0'; /* an earlier NUL ends it, as in the kernel */
    while (*at != '\0') {
        if (isspace((unsigned char)*at) != 0) {
            at++;
        } else {
            at = take_word(at, out);
        }
    }
    return RAY_OK;
}

int init_cmdline_load(int root_fd, struct init_cmdline *out, struct ray_err *err)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = ray_file_read(root_fd, "proc/cmdline", INIT_CMDLINE_SIZE_MAX - 1, &text, &size, err);

    if (rc == RAY_OK) {
        rc = init_cmdline_parse((const char *)text, size, out, err);
    }
    free(text);
    return rc;
}

static bool is_same_key(const char *a, const char *b)
{
    while (*a != '\0' && (*a == *b || ((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))) {
        a++;
        b++;
    }
    return *a == *b;
}

const char *init_cmdline_value(const struct init_cmdline *cmdline, const char *key)
{
    for (size_t i = cmdline->count; i > 0; i--) {
        if (is_same_key(cmdline->words[i - 1].key, key)) {
            const char *value = cmdline->words[i - 1].value;

            return value == NULL ? "" : value;
        }
    }
    return NULL;
}

bool init_cmdline_flag(const struct init_cmdline *cmdline, const char *key, bool fallback)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"", true},   {"1", true},   {"yes", true},  {"on", true},    {"true", true},
                 {"0", false}, {"no", false}, {"off", false}, {"false", false}};
    const char *value = init_cmdline_value(cmdline, key);

    for (size_t i = 0; value != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i].word) == 0) {
            return words[i].value;
        }
    }
    return fallback;
}

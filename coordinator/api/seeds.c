#include "coordinator/api/seeds.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "net/dial.h"

int member_seeds_add(struct member_seeds *seeds, const char *address, struct ray_err *err)
{
    size_t size = strlen(address);

    for (size_t i = 0; i < seeds->count; i++) {
        if (strcmp(seeds->at[i], address) == 0) {
            return RAY_OK;
        }
    }
    if (size >= RAY_TOKEN_SEED_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "an address of %zu characters, at most %d", size,
                        RAY_TOKEN_SEED_SIZE_MAX - 1);
    }
    if (seeds->count == MEMBER_SEEDS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d addresses", MEMBER_SEEDS_MAX);
    }
    memcpy(seeds->at[seeds->count++], address, size + 1);
    return RAY_OK;
}

/* ---- text ---- */

static int add_word(struct member_seeds *seeds, const char *at, size_t size, struct ray_err *err)
{
    char word[RAY_TOKEN_SEED_SIZE_MAX];
    int rc;

    if (size >= sizeof word || memchr(at, '\0', size) != NULL) {
        return ray_fail(err, RAY_EINVAL, "no HOST:PORT in numbers");
    }
    memcpy(word, at, size);
    word[size] = '\0';
    rc = ray_dial_check(word, err);
    return rc == RAY_OK ? member_seeds_add(seeds, word, err) : rc;
}

static bool is_between(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int member_seeds_parse(struct member_seeds *seeds, const char *text, size_t size,
                       struct ray_err *err)
{
    size_t at = 0;
    int first = RAY_OK;

    while (at < size) {
        struct ray_err why = {0};
        size_t begin = at;
        int rc = RAY_OK;

        if (text[at] == '#') {
            const char *end = memchr(text + at, '\n', size - at);

            at = end == NULL ? size : (size_t)(end - text);
            continue;
        }
        while (at < size && !is_between(text[at]) && text[at] != '#') {
            at++;
        }
        if (at > begin) {
            rc = add_word(seeds, text + begin, at - begin, &why);
        } else {
            at++;
        }
        if (rc != RAY_OK && first == RAY_OK) {
            first = ray_fail(err, rc, "%s", why.text);
        }
    }
    return first;
}

int member_seeds_load(struct member_seeds *seeds, const char *path, struct ray_err *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, path, MEMBER_SEEDS_TEXT_SIZE_MAX, &bytes, &size, err);

    if (rc == RAY_OK) {
        rc = member_seeds_parse(seeds, (const char *)bytes, size, err);
    }
    free(bytes);
    return rc;
}

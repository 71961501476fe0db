/* credential.c - one pass over the lines; the values of rayos.create are words. */
#include "coordinator/api/credential.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"

static const char join_name[] = "rayos.join";
static const char create_name[] = "rayos.create";
static const char bare_token[] = "rayos-join-1.";

/* A piece of the text. */
struct span {
    const char *at;
    size_t size;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span span)
{
    while (span.size > 0 && is_space(span.at[0])) {
        span.at++;
        span.size--;
    }
    while (span.size > 0 && is_space(span.at[span.size - 1])) {
        span.size--;
    }
    return span;
}

/* The text before the next `end` byte; *rest begins after it. */
static struct span cut(struct span *rest, char end)
{
    const char *at = memchr(rest->at, end, rest->size);
    struct span piece = {.at = rest->at, .size = at == NULL ? rest->size : (size_t)(at - rest->at)};

    rest->at += piece.size + (at != NULL);
    rest->size -= piece.size + (at != NULL);
    return piece;
}

static bool is_text(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.at, text, span.size) == 0;
}

static bool begins(struct span span, const char *text)
{
    return span.size >= strlen(text) && memcmp(span.at, text, strlen(text)) == 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(struct span span, uint8_t *out, size_t size, struct ray_err *err)
{
    uint8_t bytes[COORD_KEY_SIZE] = {0};

    if (span.size != size * 2) {
        return ray_fail(err, RAY_EMALFORMED, "%zu hexadecimal digits are wanted, not %zu", size * 2,
                        span.size);
    }
    for (size_t i = 0; i < span.size; i++) {
        int value = digit(span.at[i]);

        if (value < 0) {
            return ray_fail(err, RAY_EMALFORMED, "not a hexadecimal digit (0-9, a-f)");
        }
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | value);
    }
    memcpy(out, bytes, size);
    return RAY_OK;
}

static int read_word(struct span span, char *out, size_t size, const char *what,
                     struct ray_err *err)
{
    if (span.size == 0 || span.size >= size || memchr(span.at, '\0', span.size) != NULL) {
        return ray_fail(err, RAY_EMALFORMED, "%s: 1 to %zu characters are wanted", what, size - 1);
    }
    memcpy(out, span.at, span.size);
    out[span.size] = '\0';
    return RAY_OK;
}

static int read_admin(struct span value, struct coord_credential *out, struct ray_err *err)
{
    struct span name = cut(&value, ':');
    int rc = read_word(name, out->admin, sizeof out->admin, "admin", err);

    return rc == RAY_OK ? read_hex(value, out->admin_key, sizeof out->admin_key, err) : rc;
}

static int read_create_word(struct span word, struct coord_credential *out, struct ray_err *err)
{
    struct span key = cut(&word, '=');

    if (is_text(key, "name")) {
        return read_word(word, out->name, sizeof out->name, "name", err);
    }
    if (is_text(key, "admin")) {
        return read_admin(word, out, err);
    }
    if (is_text(key, "timing")) {
        return read_word(word, out->timing, sizeof out->timing, "timing", err);
    }
    if (!is_text(key, "token") && !is_text(key, "replace-token")) {
        return ray_fail(err, RAY_EMALFORMED,
                        "%s takes name=, admin=, timing=, token= and replace-token=", create_name);
    }
    if (out->token_count == COORD_CREDENTIAL_TOKENS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "more than %d tokens", COORD_CREDENTIAL_TOKENS_MAX);
    }
    out->takes_place[out->token_count] = is_text(key, "replace-token");
    return read_hex(word, out->tokens[out->token_count++], RAY_TOKEN_VERIFIER_SIZE, err);
}

static int read_create(struct span value, struct coord_credential *out, struct ray_err *err)
{
    int rc = RAY_OK;

    while (rc == RAY_OK && value.size > 0) {
        struct span word = cut(&value, ' ');

        if (word.size > 0) {
            rc = read_create_word(word, out, err);
        }
    }
    if (rc == RAY_OK && (out->name[0] == '\0' || out->admin[0] == '\0')) {
        rc = ray_fail(err, RAY_EMALFORMED, "%s wants at least name= and admin=", create_name);
    }
    out->kind = COORD_CREDENTIAL_CREATE;
    return rc;
}

static int read_join(struct span value, struct coord_credential *out, struct ray_err *err)
{
    out->kind = COORD_CREDENTIAL_JOIN;
    return ray_token_parse(&out->token, value.at, value.size, err);
}

static int read_line(struct span line, struct coord_credential *out, struct ray_err *err)
{
    struct span value = line;
    struct span name;

    if (line.size == 0 || line.at[0] == '#') {
        return RAY_OK;
    }
    name = begins(line, bare_token) ? (struct span){.at = join_name, .size = strlen(join_name)}
                                    : trim(cut(&value, '='));
    value = trim(value);
    if (!is_text(name, join_name) && !is_text(name, create_name)) {
        return RAY_OK; /* of somebody else */
    }
    if (out->kind != COORD_CREDENTIAL_NONE) {
        return ray_fail(err, RAY_EMALFORMED, "one %s or one %s is wanted", join_name, create_name);
    }
    return is_text(name, join_name) ? read_join(value, out, err) : read_create(value, out, err);
}

int coord_credential_parse(const char *text, size_t size, struct coord_credential *out,
                           struct ray_err *err)
{
    struct coord_credential found = {.kind = COORD_CREDENTIAL_NONE};
    struct span rest = {.at = text, .size = size};
    size_t number = 0;
    int rc = RAY_OK;

    if (size > COORD_CREDENTIAL_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a credential of %zu bytes, at most %d", size,
                        COORD_CREDENTIAL_SIZE_MAX);
    }
    while (rc == RAY_OK && rest.size > 0) {
        number++;
        rc = read_line(trim(cut(&rest, '\n')), &found, err);
    }
    if (rc != RAY_OK) {
        coord_credential_fini(&found);
        return ray_wrap(err, rc, "line %zu", number);
    }
    *out = found;
    return RAY_OK;
}

int coord_credential_load(const char *path, struct coord_credential *out, struct ray_err *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, path, COORD_CREDENTIAL_SIZE_MAX, &bytes, &size, err);

    if (rc == RAY_OK) {
        rc = coord_credential_parse((const char *)bytes, size, out, err);
    }
    if (bytes != NULL) {
        sodium_memzero(bytes, size);
    }
    free(bytes);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "credential");
}

void coord_credential_fini(struct coord_credential *credential)
{
    ray_token_destroy(credential->token);
    sodium_memzero(credential, sizeof *credential);
}

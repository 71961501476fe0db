/* A target is decoded from left to right into target->text; the two cursors never cross,
 * because three bytes "%41" become one. Paths are refused rather than repaired: a client of
 * ours has no reason to send "..", "//" or an escaped slash, and what is not repaired
 * cannot be repaired differently by the next program. */
#include "net/http/request.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct cursor {
    const char *at;
    const char *end;
    struct ray_http_target *target;
    size_t used_size; /* of target->text */
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* One decoded byte from the cursor, which is not at its end. */
static int decode_byte(struct cursor *cursor, bool plus_is_space, unsigned char *out_byte,
                       bool *out_escaped, struct ray_err *err)
{
    unsigned char byte = (unsigned char)*cursor->at++;
    bool escaped = false;

    if (byte == '%') {
        int high = cursor->end - cursor->at >= 2 ? hex_value(cursor->at[0]) : -1;
        int low = high >= 0 ? hex_value(cursor->at[1]) : -1;
        if (low < 0) {
            return ray_fail(err, RAY_EMALFORMED, "bad percent escape in the target");
        }
        byte = (unsigned char)(high * 16 + low);
        escaped = true;
        cursor->at += 2;
    } else if (byte <= ' ' || byte == '#' || byte == '\\') {
        return ray_fail(err, RAY_EMALFORMED, "byte 0x%02x in the target", byte);
    } else if (byte == '+' && plus_is_space) {
        byte = ' ';
    }
    if (is_control(byte)) {
        return ray_fail(err, RAY_EMALFORMED, "control byte in the target");
    }
    *out_byte = byte;
    *out_escaped = escaped;
    return RAY_OK;
}

static void put(struct cursor *cursor, char byte)
{
    assert(cursor->used_size < sizeof(cursor->target->text));
    cursor->target->text[cursor->used_size++] = byte;
}

static int check_segment(const char *segment, size_t size, bool is_last, struct ray_err *err)
{
    if (size == 0 && !is_last) {
        return ray_fail(err, RAY_EMALFORMED, "empty segment in the path");
    }
    if ((size == 1 && segment[0] == '.') || (size == 2 && memcmp(segment, "..", 2) == 0)) {
        return ray_fail(err, RAY_EMALFORMED, "dot segment in the path");
    }
    return RAY_OK;
}

/* The cursor is at the first "/"; it ends at "?" or at the end. */
static int parse_path(struct cursor *cursor, struct ray_err *err)
{
    const char *text = cursor->target->text;
    size_t segment_start = 0;
    int rc;

    while (cursor->at < cursor->end && *cursor->at != '?') {
        unsigned char byte = 0;
        bool escaped = false;
        rc = decode_byte(cursor, false, &byte, &escaped, err);
        if (rc != RAY_OK) {
            return rc;
        }
        if (byte == '\\' || (byte == '/' && escaped)) {
            return ray_fail(err, RAY_EMALFORMED, "escaped slash in the path");
        }
        if (byte == '/' && segment_start > 0) {
            rc = check_segment(text + segment_start, cursor->used_size - segment_start, false, err);
            if (rc != RAY_OK) {
                return rc;
            }
        }
        put(cursor, (char)byte);
        if (byte == '/') {
            segment_start = cursor->used_size;
        }
    }
    rc = check_segment(text + segment_start, cursor->used_size - segment_start, true, err);
    put(cursor, '\0');
    return rc;
}

/* Decodes up to one of `stops` (or the end) and terminates the text. */
static int parse_query_text(struct cursor *cursor, const char *stops, uint16_t *out_offset,
                            struct ray_err *err)
{
    *out_offset = (uint16_t)cursor->used_size;
    while (cursor->at < cursor->end && strchr(stops, *cursor->at) == NULL) {
        unsigned char byte = 0;
        bool escaped = false;
        int rc = decode_byte(cursor, true, &byte, &escaped, err);
        if (rc != RAY_OK) {
            return rc;
        }
        put(cursor, (char)byte);
    }
    put(cursor, '\0');
    return RAY_OK;
}

/* The cursor is behind the "?". */
static int parse_query(struct cursor *cursor, struct ray_err *err)
{
    struct ray_http_target *target = cursor->target;

    while (cursor->at < cursor->end) {
        struct ray_http_query_entry entry;
        int rc;

        if (*cursor->at == '&') {
            cursor->at++;
            continue;
        }
        if (target->query_count == RAY_HTTP_QUERY_COUNT_MAX) {
            return ray_fail(err, RAY_ETOOBIG, "more than %d parameters", RAY_HTTP_QUERY_COUNT_MAX);
        }
        rc = parse_query_text(cursor, "=&", &entry.name_offset, err);
        if (rc != RAY_OK) {
            return rc;
        }
        /* Without "=" the value is the empty text that ends the name. */
        entry.value_offset = (uint16_t)(cursor->used_size - 1);
        if (cursor->at < cursor->end && *cursor->at == '=') {
            cursor->at++;
            rc = parse_query_text(cursor, "&", &entry.value_offset, err);
            if (rc != RAY_OK) {
                return rc;
            }
        }
        if (ray_http_target_query(target, target->text + entry.name_offset) != NULL) {
            return ray_fail(err, RAY_EMALFORMED, "a parameter is given twice");
        }
        target->query[target->query_count++] = entry;
    }
    return RAY_OK;
}

int ray_http_target_parse(const char *raw, size_t size, struct ray_http_target *out,
                          struct ray_err *err)
{
    static const char scheme[] = "http://";
    struct cursor cursor = {.at = raw, .target = out};
    int rc;

    assert(raw != NULL && out != NULL);
    cursor.end = raw + size;
    static_assert(RAY_HTTP_TARGET_SIZE_MAX + 4 <= UINT16_MAX, "offsets are 16 bits wide");
    out->query_count = 0;
    out->text[0] = '\0';
    if (size > RAY_HTTP_TARGET_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "target of %zu bytes, at most %d", size,
                        RAY_HTTP_TARGET_SIZE_MAX);
    }
    if (size >= sizeof(scheme) - 1 && strncasecmp(raw, scheme, sizeof(scheme) - 1) == 0) {
        cursor.at += sizeof(scheme) - 1;
        while (cursor.at < cursor.end && *cursor.at != '/' && *cursor.at != '?') {
            cursor.at++;
        }
    }
    if (cursor.at == cursor.end || *cursor.at != '/') {
        return ray_fail(err, RAY_EMALFORMED, "the target does not begin with a slash");
    }
    rc = parse_path(&cursor, err);
    if (rc == RAY_OK && cursor.at < cursor.end) {
        cursor.at++;
        rc = parse_query(&cursor, err);
    }
    if (rc != RAY_OK) {
        out->query_count = 0;
        out->text[0] = '\0';
    }
    return rc;
}

const char *ray_http_target_path(const struct ray_http_target *target)
{
    return target->text;
}

const char *ray_http_target_query(const struct ray_http_target *target, const char *name)
{
    for (size_t i = 0; i < target->query_count; i++) {
        if (strcmp(target->text + target->query[i].name_offset, name) == 0) {
            return target->text + target->query[i].value_offset;
        }
    }
    return NULL;
}

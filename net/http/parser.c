/* llhttp (in its strict mode) finds where a request begins and ends and refuses broken
 * framing. Added here: limits of size and number, exactly one sensible Host, no transfer
 * coding, three methods. */
#include "net/http/parser.h"

#include <assert.h>
#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/fault.h"
#include "net/http/head.h"

struct ray_http_parser {
    llhttp_t llhttp;
    llhttp_settings_t settings;
    struct ray_http_limits limits;
    struct ray_http_message message;
    struct ray_http_head head;
    struct ray_buf body;
    size_t head_size; /* bytes seen before the head was complete */
    bool is_inside;
    bool has_head;
    bool is_complete;
};

static struct ray_http_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

/* Remembers the first reason; the return value stops llhttp. */
static int refuse(struct ray_http_parser *parser, int status, const char *reason)
{
    if (parser->message.refused_status == 0) {
        parser->message.refused_status = status;
        parser->message.refused_reason = reason;
    }
    return HPE_USER;
}

/* What the head says of a piece of text, as an answer to the client. */
static int check_text(struct ray_http_parser *parser, int rc)
{
    switch (rc) {
    case RAY_OK:
        return HPE_OK;
    case RAY_ENOMEM:
        return refuse(parser, 503, "out of memory");
    case RAY_ECONFLICT:
        return refuse(parser, 431, "too many headers");
    case RAY_EMALFORMED:
        return refuse(parser, 400, "control byte in a header");
    default:
        return refuse(parser, 431, "the headers are too large");
    }
}

static int on_message_begin(llhttp_t *llhttp)
{
    parser_of(llhttp)->is_inside = true;
    return HPE_OK;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t size)
{
    struct ray_http_parser *parser = parser_of(llhttp);
    size_t size_max = parser->limits.target_size_max;

    if (size > size_max || parser->head.text.size > size_max - size) {
        return refuse(parser, 414, "the target is too long");
    }
    return check_text(parser, ray_http_head_append(&parser->head, at, size));
}

static int on_url_complete(llhttp_t *llhttp)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    parser->message.target_size = parser->head.text.size;
    return check_text(parser, ray_http_head_end_target(&parser->head));
}

static int on_header_text(llhttp_t *llhttp, const char *at, size_t size)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    return check_text(parser, ray_http_head_append(&parser->head, at, size));
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    return check_text(parser, ray_http_head_end_name(&parser->head));
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    return check_text(parser, ray_http_head_end_value(&parser->head));
}

static int check_method(struct ray_http_parser *parser)
{
    switch (llhttp_get_method(&parser->llhttp)) {
    case HTTP_GET:
        parser->message.method = RAY_HTTP_GET;
        return HPE_OK;
    case HTTP_HEAD:
        parser->message.method = RAY_HTTP_HEAD;
        return HPE_OK;
    case HTTP_POST:
        parser->message.method = RAY_HTTP_POST;
        return HPE_OK;
    default:
        return refuse(parser, 405, "only GET, HEAD and POST are served");
    }
}

/* RFC 9112 3.2: a 1.1 request without Host, with two or with nonsense in it is a 400. */
static int check_host(struct ray_http_parser *parser)
{
    size_t count = ray_http_head_count(&parser->head, "host");
    const char *host = ray_http_parser_header(parser, "host");

    if (count > 1 || (count == 0 && llhttp_get_http_minor(&parser->llhttp) == 1)) {
        return refuse(parser, 400, "exactly one Host is required");
    }
    if (host != NULL &&
        host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                          ".:-_[]%")] != '\0') {
        return refuse(parser, 400, "bad Host");
    }
    return HPE_OK;
}

static int check_body(struct ray_http_parser *parser)
{
    const char *expect = ray_http_parser_header(parser, "expect");

    if (ray_http_head_count(&parser->head, "transfer-encoding") > 0) {
        return refuse(parser, 501, "transfer codings are not served");
    }
    if (ray_http_head_count(&parser->head, "content-length") > 1) {
        return refuse(parser, 400, "Content-Length is given twice");
    }
    if (parser->llhttp.content_length > parser->limits.body_size_max) {
        return refuse(parser, 413, "the body is too large");
    }
    if (expect != NULL) {
        if (strcasecmp(expect, "100-continue") != 0) {
            return refuse(parser, 417, "only 100-continue can be expected");
        }
        parser->message.wants_continue =
            parser->llhttp.content_length > 0 && llhttp_get_http_minor(&parser->llhttp) == 1;
    }
    return HPE_OK;
}

static bool is_our_version(llhttp_t *llhttp)
{
    return llhttp_get_http_major(llhttp) == 1 && llhttp_get_http_minor(llhttp) <= 1;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    if (!is_our_version(llhttp)) {
        refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are served");
        return -1;
    }
    if (check_method(parser) != HPE_OK || check_host(parser) != HPE_OK ||
        check_body(parser) != HPE_OK) {
        return -1;
    }
    /* We offer no other protocol, so an Upgrade header is only a wish (RFC 9110 7.8). */
    llhttp->upgrade = 0;
    parser->has_head = true;
    parser->message.keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    return HPE_OK;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct ray_http_parser *parser = parser_of(llhttp);

    parser->message.wants_continue = false;
    switch (ray_buf_append(&parser->body, at, size)) {
    case RAY_OK:
        return HPE_OK;
    case RAY_ENOMEM:
        return refuse(parser, 503, "out of memory");
    default:
        return refuse(parser, 413, "the body is too large");
    }
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->is_complete = true;
    return HPE_PAUSED;
}

int ray_http_parser_create(struct ray_http_parser **out_parser,
                           const struct ray_http_limits *limits, struct ray_err *err)
{
    struct ray_http_parser *parser =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*parser));

    assert(limits->header_size_max > 0);
    if (parser == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an HTTP parser");
    }
    parser->limits = *limits;
    ray_http_head_init(&parser->head, limits->header_size_max);
    ray_buf_init(&parser->body, limits->body_size_max > 0 ? limits->body_size_max : 1);
    llhttp_settings_init(&parser->settings);
    parser->settings.on_message_begin = on_message_begin;
    parser->settings.on_url = on_url;
    parser->settings.on_url_complete = on_url_complete;
    parser->settings.on_header_field = on_header_text;
    parser->settings.on_header_field_complete = on_header_field_complete;
    parser->settings.on_header_value = on_header_text;
    parser->settings.on_header_value_complete = on_header_value_complete;
    parser->settings.on_headers_complete = on_headers_complete;
    parser->settings.on_body = on_body;
    parser->settings.on_message_complete = on_message_complete;
    ray_http_parser_next(parser);
    *out_parser = parser;
    return RAY_OK;
}

void ray_http_parser_destroy(struct ray_http_parser *parser)
{
    if (parser == NULL) {
        return;
    }
    ray_http_head_fini(&parser->head);
    ray_buf_fini(&parser->body);
    free(parser);
}

void ray_http_parser_next(struct ray_http_parser *parser)
{
    assert(parser->message.refused_status == 0);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &parser->settings);
    parser->llhttp.data = parser;
    parser->message = (struct ray_http_message){.target = "", .refused_reason = ""};
    ray_http_head_clear(&parser->head);
    ray_buf_clear(&parser->body);
    parser->head_size = 0;
    parser->is_inside = false;
    parser->has_head = false;
    parser->is_complete = false;
}

static enum ray_http_feed refused(struct ray_http_parser *parser, enum llhttp_errno code)
{
    switch (code) {
    case HPE_INVALID_METHOD:
        refuse(parser, 501, "unknown method");
        break;
    case HPE_INVALID_VERSION: /* also for what should be a line end behind a good one */
        if (is_our_version(&parser->llhttp)) {
            refuse(parser, 400, "malformed request");
            break;
        }
        refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are served");
        break;
    case HPE_PAUSED_H2_UPGRADE:
        refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are served");
        break;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        refuse(parser, 400, "bad Content-Length");
        break;
    default:
        refuse(parser, 400, "malformed request");
        break;
    }
    return RAY_HTTP_FEED_REFUSED;
}

enum ray_http_feed ray_http_parser_feed(struct ray_http_parser *parser, const void *bytes,
                                        size_t size, size_t *out_used_size)
{
    const char *start = bytes;
    enum llhttp_errno code;

    assert(!parser->is_complete);
    *out_used_size = size;
    if (parser->message.refused_status != 0) {
        return RAY_HTTP_FEED_REFUSED;
    }
    code = llhttp_execute(&parser->llhttp, start, size);
    if (parser->message.target_size > 0) {
        parser->message.target = ray_http_head_target(&parser->head);
    }
    if (code == HPE_PAUSED && parser->is_complete) {
        *out_used_size = (size_t)(llhttp_get_error_pos(&parser->llhttp) - start);
        assert(*out_used_size <= size);
        parser->message.body = parser->body.data;
        parser->message.body_size = parser->body.size;
        parser->is_inside = false;
        return RAY_HTTP_FEED_DONE;
    }
    if (code != HPE_OK) {
        return refused(parser, code);
    }
    if (!parser->has_head) {
        /* Also counts what is not stored: blank lines, white space before a value. */
        parser->head_size += size;
        if (parser->head_size > parser->limits.header_size_max) {
            refuse(parser, 431, "the headers are too large");
            return RAY_HTTP_FEED_REFUSED;
        }
    }
    return RAY_HTTP_FEED_MORE;
}

bool ray_http_parser_is_inside(const struct ray_http_parser *parser)
{
    return parser->is_inside;
}

bool ray_http_parser_has_head(const struct ray_http_parser *parser)
{
    return parser->has_head;
}

const struct ray_http_message *ray_http_parser_message(const struct ray_http_parser *parser)
{
    return &parser->message;
}

const char *ray_http_parser_header(const struct ray_http_parser *parser, const char *name)
{
    return ray_http_head_find(&parser->head, name);
}

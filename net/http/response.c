/* llhttp (in its strict mode) finds where a response begins and ends and undoes chunks. Added
 * here: limits of size and number, one framing and not two, no protocol but HTTP/1.
 *
 * Interim responses (1xx) are read and forgotten; so are trailers. All bytes are counted as
 * they come, so that neither costs more than the limits allow, however it is cut. */
#include "net/http/response.h"

#include <assert.h>
#include <llhttp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "base/fault.h"
#include "net/http/head.h"

enum {
    /* A body in chunks of one byte each is six times its size. */
    CHUNK_OVERHEAD = 6,
    STATUS_SWITCHING_PROTOCOLS = 101,
    STATUS_NO_CONTENT = 204,
    STATUS_NOT_MODIFIED = 304,
};

struct ray_http_response_parser {
    llhttp_t llhttp;
    llhttp_settings_t settings;
    struct ray_http_response_limits limits;
    struct ray_http_response response;
    struct ray_http_head head;
    struct ray_buf body;
    size_t head_size; /* bytes of all heads so far */
    size_t wire_size; /* bytes of everything */
    bool has_head;    /* of the present message */
    bool is_complete;
    struct ray_err refused; /* its code is RAY_OK until then */
};

static struct ray_http_response_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

/* Remembers the first reason; the return value stops llhttp. */
static int refuse(struct ray_http_response_parser *parser, int code, const char *reason)
{
    if (parser->refused.code == RAY_OK) {
        (void)ray_fail(&parser->refused, code, "%s", reason);
    }
    return HPE_USER;
}

static int check_text(struct ray_http_response_parser *parser, int rc)
{
    switch (rc) {
    case RAY_OK:
        return HPE_OK;
    case RAY_ENOMEM:
        return refuse(parser, RAY_ENOMEM, "no memory for a response");
    case RAY_ECONFLICT:
        return refuse(parser, RAY_ETOOBIG, "the response has too many headers");
    case RAY_EMALFORMED:
        return refuse(parser, RAY_EMALFORMED, "the response has control bytes in a header");
    default:
        return refuse(parser, RAY_ETOOBIG, "the headers of the response are too large");
    }
}

static int on_header_text(llhttp_t *llhttp, const char *at, size_t size)
{
    struct ray_http_response_parser *parser = parser_of(llhttp);

    return parser->has_head /* a trailer */
               ? HPE_OK
               : check_text(parser, ray_http_head_append(&parser->head, at, size));
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct ray_http_response_parser *parser = parser_of(llhttp);

    return parser->has_head ? HPE_OK : check_text(parser, ray_http_head_end_name(&parser->head));
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct ray_http_response_parser *parser = parser_of(llhttp);

    return parser->has_head ? HPE_OK : check_text(parser, ray_http_head_end_value(&parser->head));
}

static int check_start(struct ray_http_response_parser *parser)
{
    int status = llhttp_get_status_code(&parser->llhttp);

    if (llhttp_get_http_major(&parser->llhttp) != 1 || llhttp_get_http_minor(&parser->llhttp) > 1) {
        return refuse(parser, RAY_EMALFORMED, "the response is not HTTP/1.0 or HTTP/1.1");
    }
    if (status < 100 || status > 599) {
        return refuse(parser, RAY_EMALFORMED, "the response has no valid status");
    }
    if (status == STATUS_SWITCHING_PROTOCOLS) {
        return refuse(parser, RAY_EMALFORMED, "the response is of another protocol");
    }
    return HPE_OK;
}

/* RFC 9112 6.3: two ways to say where the body ends are an attack or a bug. */
static int check_framing(struct ray_http_response_parser *parser)
{
    size_t coding_count = ray_http_head_count(&parser->head, "transfer-encoding");
    size_t length_count = ray_http_head_count(&parser->head, "content-length");

    if (coding_count + length_count > 1) {
        return refuse(parser, RAY_EMALFORMED, "the length of the response is given twice");
    }
    if (coding_count == 1 &&
        (strcasecmp(ray_http_head_find(&parser->head, "transfer-encoding"), "chunked") != 0 ||
         llhttp_get_http_minor(&parser->llhttp) != 1)) {
        return refuse(parser, RAY_EMALFORMED, "the response has an unknown transfer coding");
    }
    return HPE_OK;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct ray_http_response_parser *parser = parser_of(llhttp);
    int status = llhttp_get_status_code(llhttp);

    if (check_start(parser) != HPE_OK || check_framing(parser) != HPE_OK) {
        return -1;
    }
    parser->has_head = true;
    if (status < 200 || status == STATUS_NO_CONTENT || status == STATUS_NOT_MODIFIED) {
        return 1; /* there is no body, whatever the headers say (RFC 9112 6.3) */
    }
    if (llhttp->content_length > parser->limits.body_size_max) {
        refuse(parser, RAY_ETOOBIG, "the response is too large");
        return -1;
    }
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct ray_http_response_parser *parser = parser_of(llhttp);

    switch (ray_buf_append(&parser->body, at, size)) {
    case RAY_OK:
        return HPE_OK;
    case RAY_ENOMEM:
        return refuse(parser, RAY_ENOMEM, "no memory for a response");
    default:
        return refuse(parser, RAY_ETOOBIG, "the response is too large");
    }
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->is_complete = true;
    return HPE_PAUSED;
}

/* Ready for the first message, or for the next one after an interim response. */
static void begin_message(struct ray_http_response_parser *parser)
{
    llhttp_init(&parser->llhttp, HTTP_RESPONSE, &parser->settings);
    parser->llhttp.data = parser;
    ray_http_head_clear(&parser->head);
    ray_buf_clear(&parser->body);
    parser->has_head = false;
    parser->is_complete = false;
}

int ray_http_response_parser_create(struct ray_http_response_parser **out_parser,
                                    const struct ray_http_response_limits *limits,
                                    struct ray_err *err)
{
    struct ray_http_response_parser *parser;

    assert(limits->header_size_max > 0 && limits->body_size_max > 0);
    parser = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*parser));
    if (parser == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an HTTP parser");
    }
    parser->limits = *limits;
    ray_http_head_init(&parser->head, limits->header_size_max);
    ray_buf_init(&parser->body, limits->body_size_max);
    llhttp_settings_init(&parser->settings);
    parser->settings.on_header_field = on_header_text;
    parser->settings.on_header_field_complete = on_header_field_complete;
    parser->settings.on_header_value = on_header_text;
    parser->settings.on_header_value_complete = on_header_value_complete;
    parser->settings.on_headers_complete = on_headers_complete;
    parser->settings.on_body = on_body;
    parser->settings.on_message_complete = on_message_complete;
    begin_message(parser);
    *out_parser = parser;
    return RAY_OK;
}

void ray_http_response_parser_destroy(struct ray_http_response_parser *parser)
{
    if (parser == NULL) {
        return;
    }
    ray_http_head_fini(&parser->head);
    ray_buf_fini(&parser->body);
    free(parser);
}

static int give_up(const struct ray_http_response_parser *parser, struct ray_err *err)
{
    assert(parser->refused.code != RAY_OK);
    return ray_fail(err, parser->refused.code, "%s", parser->refused.text);
}

static int complete(struct ray_http_response_parser *parser)
{
    parser->response = (struct ray_http_response){
        .status = llhttp_get_status_code(&parser->llhttp),
        .body = parser->body.data,
        .body_size = parser->body.size,
    };
    return RAY_OK;
}

/* One message, or what of it is in `size` bytes. */
static int feed_message(struct ray_http_response_parser *parser, const char *bytes, size_t size,
                        size_t *out_used_size)
{
    bool had_head = parser->has_head;
    enum llhttp_errno code = llhttp_execute(&parser->llhttp, bytes, size);

    *out_used_size = size;
    if (code == HPE_PAUSED && parser->is_complete) {
        *out_used_size = (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes);
        assert(*out_used_size <= size);
    } else if (code != HPE_OK) {
        (void)refuse(parser, RAY_EMALFORMED, "the response is malformed");
        return RAY_EMALFORMED;
    }
    /* Whole pieces count while the head is not complete: also what llhttp does not hand out. */
    if (!had_head && (!parser->has_head || llhttp_get_status_code(&parser->llhttp) < 200)) {
        parser->head_size += *out_used_size;
    }
    parser->wire_size += *out_used_size;
    if (parser->head_size > parser->limits.header_size_max) {
        (void)refuse(parser, RAY_ETOOBIG, "the headers of the response are too large");
        return RAY_ETOOBIG;
    }
    if (parser->wire_size >
        2 * parser->limits.header_size_max + CHUNK_OVERHEAD * parser->limits.body_size_max) {
        (void)refuse(parser, RAY_ETOOBIG, "the response is too large");
        return RAY_ETOOBIG;
    }
    return RAY_OK;
}

int ray_http_response_feed(struct ray_http_response_parser *parser, const void *bytes, size_t size,
                           struct ray_err *err)
{
    const char *at = bytes;

    assert(parser->response.status == 0);
    if (parser->refused.code != RAY_OK) {
        return give_up(parser, err);
    }
    while (size > 0) {
        size_t used_size;

        if (feed_message(parser, at, size, &used_size) != RAY_OK) {
            return give_up(parser, err);
        }
        at += used_size;
        size -= used_size;
        if (!parser->is_complete) {
            break;
        }
        if (llhttp_get_status_code(&parser->llhttp) >= 200) {
            return complete(parser);
        }
        begin_message(parser);
    }
    return RAY_EAGAIN;
}

int ray_http_response_finish(struct ray_http_response_parser *parser, struct ray_err *err)
{
    enum llhttp_errno code;

    assert(parser->response.status == 0);
    if (parser->refused.code != RAY_OK) {
        return give_up(parser, err);
    }
    /* Without a length the end of the connection is the end of the body. */
    code = llhttp_finish(&parser->llhttp);
    if ((code == HPE_OK || code == HPE_PAUSED) && parser->is_complete) {
        return complete(parser);
    }
    (void)refuse(parser, RAY_ECLOSED,
                 parser->wire_size == 0 ? "the server closed without a response"
                                        : "the response was cut off");
    return give_up(parser, err);
}

const struct ray_http_response *ray_http_response(const struct ray_http_response_parser *parser)
{
    return &parser->response;
}

const char *ray_http_response_header(const struct ray_http_response_parser *parser,
                                     const char *name)
{
    return ray_http_head_find(&parser->head, name);
}

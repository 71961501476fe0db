/* response_fuzz.c - any bytes as the response to our request: the first byte says how they are
 * cut, and however they are cut, the result is the same. */
#include <stdlib.h>
#include <string.h>

#include "net/http/response.h"

static const struct ray_http_response_limits limits = {.header_size_max = 1024,
                                                       .body_size_max = 256};

static int feed(struct ray_http_response_parser *parser, const uint8_t *data, size_t size,
                size_t piece_size)
{
    int rc = RAY_EAGAIN;

    while (size > 0 && rc == RAY_EAGAIN) {
        size_t part_size = size < piece_size ? size : piece_size;

        rc = ray_http_response_feed(parser, data, part_size, NULL);
        data += part_size;
        size -= part_size;
    }
    return rc == RAY_EAGAIN ? ray_http_response_finish(parser, NULL) : rc;
}

static void check(const struct ray_http_response_parser *parser, int rc)
{
    const struct ray_http_response *response = ray_http_response(parser);
    const char *header = ray_http_response_header(parser, "server");

    if ((rc == RAY_OK) != (response->status >= 200 && response->status <= 599) ||
        response->body_size > limits.body_size_max) {
        abort();
    }
    for (; rc == RAY_OK && header != NULL && *header != '\0'; header++) {
        if ((unsigned char)*header < ' ' || *header == 0x7f) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_http_response_parser *whole = NULL;
    struct ray_http_response_parser *cut = NULL;

    if (size < 2 || ray_http_response_parser_create(&whole, &limits, NULL) != RAY_OK ||
        ray_http_response_parser_create(&cut, &limits, NULL) != RAY_OK) {
        ray_http_response_parser_destroy(whole);
        return 0;
    }
    int whole_rc = feed(whole, data + 1, size - 1, size);
    int cut_rc = feed(cut, data + 1, size - 1, (size_t)data[0] + 1);
    const struct ray_http_response *a = ray_http_response(whole);
    const struct ray_http_response *b = ray_http_response(cut);

    check(whole, whole_rc);
    check(cut, cut_rc);
    /* Sizes are counted by pieces, so only a limit may tell them apart. */
    if (whole_rc == RAY_OK && cut_rc == RAY_OK &&
        (a->status != b->status || a->body_size != b->body_size ||
         (a->body_size > 0 && memcmp(a->body, b->body, a->body_size) != 0))) {
        abort();
    }
    if ((whole_rc == RAY_OK) != (cut_rc == RAY_OK) && whole_rc != RAY_ETOOBIG &&
        cut_rc != RAY_ETOOBIG) {
        abort();
    }
    ray_http_response_parser_destroy(whole);
    ray_http_response_parser_destroy(cut);
    return 0;
}

/* A connection's bytes, cut into pieces: the first byte tells how large the pieces are. All
 * requests of the connection are parsed, their targets and ranges too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/parser.h"
#include "net/http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct ray_http_parser *parser,
                          const struct ray_http_limits *limits)
{
    const struct ray_http_message *message = ray_http_parser_message(parser);
    struct ray_http_target target;

    if (message->body_size > limits->body_size_max ||
        message->target_size > limits->target_size_max ||
        strlen(message->target) != message->target_size) {
        abort();
    }
    if (ray_http_target_parse(message->target, message->target_size, &target, NULL) == RAY_OK) {
        const char *path = ray_http_target_path(&target);
        if (path[0] != '/' || strstr(path, "/../") != NULL || strstr(path, "//") != NULL) {
            abort();
        }
        for (; *path != '\0'; path++) {
            if ((unsigned char)*path < ' ') {
                abort();
            }
        }
        (void)ray_http_target_query(&target, "mac");
    }
    (void)ray_http_parser_header(parser, "range");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ray_http_limits limits = {
        .target_size_max = RAY_HTTP_TARGET_SIZE_MAX, .header_size_max = 8192, .body_size_max = 256};
    struct ray_http_parser *parser;
    size_t piece_size;

    if (size == 0 || ray_http_parser_create(&parser, &limits, NULL) != RAY_OK) {
        return 0;
    }
    piece_size = data[0] == 0 ? size : data[0];
    data++;
    size--;
    while (size > 0) {
        size_t want_size = piece_size < size ? piece_size : size;
        size_t used_size = 0;
        enum ray_http_feed feed = ray_http_parser_feed(parser, data, want_size, &used_size);
        if (feed == RAY_HTTP_FEED_REFUSED) {
            break;
        }
        if (used_size > want_size || (feed == RAY_HTTP_FEED_DONE && used_size == 0)) {
            abort(); /* would loop for ever */
        }
        if (feed == RAY_HTTP_FEED_DONE) {
            check_message(parser, &limits);
            ray_http_parser_next(parser);
        }
        data += used_size;
        size -= used_size;
    }
    ray_http_parser_destroy(parser);
    return 0;
}

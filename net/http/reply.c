#include "net/http/reply.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/size.h"

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *ray_http_status_text(int status)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(status_texts); i++) {
        if (status_texts[i].status == status) {
            return status_texts[i].text;
        }
    }
    return "Status";
}

/* Printable bytes, spaces and tabs only. */
static bool is_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A header that says where the message ends is ours alone. */
static bool is_framing_name(const char *name, size_t size)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection", "date",
                                        "content-type"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
        if (strlen(names[i]) == size && strncasecmp(names[i], name, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool are_header_lines(const char *lines)
{
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-";

    while (*lines != '\0') {
        const char *end = strstr(lines, "\r\n");
        size_t name_size = strspn(lines, name_bytes);

        if (end == NULL || name_size == 0 || lines[name_size] != ':' ||
            is_framing_name(lines, name_size) ||
            !is_value(lines + name_size, (size_t)(end - lines) - name_size)) {
            return false;
        }
        lines = end + 2;
    }
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the same in every locale. */
static void format_date(char out[static 64], uint64_t realtime_ns)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(realtime_ns / RAY_NS_PER_S);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm); /* fails only for years beyond int */
    (void)strftime(out, 64, "DDD, %d MMM %Y %H:%M:%S GMT", &tm);
    memcpy(out, days[tm.tm_wday % 7], 3);
    memcpy(out + 8, months[tm.tm_mon % 12], 3);
}

int ray_http_reply_head(struct ray_buf *out, const struct ray_http_reply *reply,
                        struct ray_err *err)
{
    const char *type = reply->content_type;
    const char *extra = reply->extra_headers != NULL ? reply->extra_headers : "";
    char date[64];
    int rc;

    assert(reply->status >= 200 && reply->status <= 599);
    if (type != NULL && !is_value(type, strlen(type))) {
        return ray_fail(err, RAY_EINVAL, "the content type holds a control byte");
    }
    if (!are_header_lines(extra)) {
        return ray_fail(err, RAY_EINVAL, "the extra headers are not whole header lines");
    }
    format_date(date, reply->realtime_ns);
    rc = ray_buf_appendf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %s\r\n", reply->status,
                         ray_http_status_text(reply->status), date,
                         reply->keep_alive ? "keep-alive" : "close");
    if (rc == RAY_OK && reply->status != 204 && reply->status != 304) {
        rc = ray_buf_appendf(out, "Content-Length: %" PRIu64 "\r\n", reply->content_size);
    }
    if (rc == RAY_OK && type != NULL) {
        rc = ray_buf_appendf(out, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
    }
    if (rc == RAY_OK) {
        rc = ray_buf_appendf(out, "%s\r\n", extra);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "no room for a response head");
}

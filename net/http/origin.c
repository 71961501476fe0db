#include "net/http/origin.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define SCHEME "http://"

static int refuse(const char *text, size_t size, struct ray_err *err)
{
    char quoted[RAY_HTTP_ORIGIN_SIZE_MAX];

    (void)ray_escape(quoted, sizeof quoted, text, size);
    return ray_fail(err, RAY_EMALFORMED, "'%s' is not http://ADDRESS:PORT", quoted);
}

/* Digits without sign, space or leading zero. */
static bool parse_port(const char *text, uint16_t *out)
{
    uint64_t port;

    if (strlen(text) != strspn(text, "0123456789") || text[0] == '0' ||
        ray_parse_u64(text, 1, UINT16_MAX, &port) != RAY_OK) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

int ray_http_origin_parse(const char *text, size_t size, struct ray_http_origin *out,
                          struct ray_err *err)
{
    struct ray_http_origin origin = {0};
    char copy[RAY_HTTP_ORIGIN_SIZE_MAX];
    char *host = copy + strlen(SCHEME);
    char *colon;

    if (size >= sizeof copy || memchr(text, '\0', size) != NULL) {
        return refuse(text, size, err);
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (strncmp(copy, SCHEME, strlen(SCHEME)) != 0) {
        return refuse(text, size, err);
    }
    origin.is_v6 = host[0] == '[';
    if (origin.is_v6) {
        char *end = strchr(++host, ']');
        if (end == NULL || end[1] != ':') {
            return refuse(text, size, err);
        }
        *end = '\0';
        colon = end + 1;
    } else {
        colon = strchr(host, ':');
        if (colon == NULL) {
            return refuse(text, size, err);
        }
        *colon = '\0';
    }
    if (inet_pton(origin.is_v6 ? AF_INET6 : AF_INET, host, origin.address) != 1 ||
        !parse_port(colon + 1, &origin.port)) {
        return refuse(text, size, err);
    }
    *out = origin;
    return RAY_OK;
}

const char *ray_http_origin_format(const struct ray_http_origin *origin,
                                   char out[static RAY_HTTP_ORIGIN_SIZE_MAX])
{
    char address[INET6_ADDRSTRLEN];
    const char *text =
        inet_ntop(origin->is_v6 ? AF_INET6 : AF_INET, origin->address, address, sizeof address);

    assert(text != NULL); /* the buffer is large enough for both */
    (void)snprintf(out, RAY_HTTP_ORIGIN_SIZE_MAX, origin->is_v6 ? SCHEME "[%s]:%u" : SCHEME "%s:%u",
                   text, origin->port);
    return out;
}

static bool is_remote_v4(const uint8_t address[static 4])
{
    return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool is_remote_v6(const uint8_t address[static 16])
{
    static const uint8_t zeros[16] = {0};
    bool is_special = memcmp(address, zeros, 10) == 0; /* ::, ::1, ::ffff:a.b.c.d and the like */
    bool is_link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;

    return !is_special && !is_link_local && address[0] != 0xff;
}

bool ray_http_origin_is_remote(const struct ray_http_origin *origin)
{
    return origin->is_v6 ? is_remote_v6(origin->address) : is_remote_v4(origin->address);
}

socklen_t ray_http_origin_sockaddr(const struct ray_http_origin *origin,
                                   struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(origin->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(origin->port)};

    assert(origin->port != 0);
    *out = (struct sockaddr_storage){0};
    if (origin->is_v6) {
        memcpy(&v6.sin6_addr, origin->address, sizeof v6.sin6_addr);
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    memcpy(&v4.sin_addr, origin->address, sizeof v4.sin_addr);
    memcpy(out, &v4, sizeof v4);
    return sizeof v4;
}

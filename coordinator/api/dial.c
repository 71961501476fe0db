#include "coordinator/api/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/size.h"

enum { HOST_SIZE = 64 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t size;
};

static int parse(const char *text, struct address *out, struct ray_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - text);
    bool is_v6 = size > 2 && text[0] == '[' && text[size - 1] == ']';
    char host[HOST_SIZE];
    uint64_t port;

    if (size == 0 || size >= sizeof host || ray_parse_u64(colon + 1, 1, UINT16_MAX, &port) != 0) {
        return ray_fail(err, RAY_EINVAL, "'%s' is no HOST:PORT", text);
    }
    *out = (struct address){0};
    memcpy(host, text + (is_v6 ? 1 : 0), size);
    host[is_v6 ? size - 2 : size] = '\0';
    if (is_v6 && inet_pton(AF_INET6, host, &out->at.v6.sin6_addr) == 1) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port = htons((uint16_t)port);
        out->size = sizeof out->at.v6;
    } else if (!is_v6 && inet_pton(AF_INET, host, &out->at.v4.sin_addr) == 1) {
        out->at.v4.sin_family = AF_INET;
        out->at.v4.sin_port = htons((uint16_t)port);
        out->size = sizeof out->at.v4;
    } else {
        return ray_fail(err, RAY_EINVAL, "'%s': the host is no address in numbers", text);
    }
    return RAY_OK;
}

int member_dial(const char *address, int *out_fd, struct ray_err *err)
{
    struct address to = {.size = 0};
    int fd;
    int rc = parse(address, &to, err);

    if (rc != RAY_OK) {
        return rc;
    }
    fd = socket(to.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", address);
    }
    if (connect(fd, &to.at.any, to.size) != 0 && errno != EINPROGRESS) {
        rc = ray_fail(err, RAY_EUNAVAILABLE, "%s: %s", address, strerror(errno));
        (void)close(fd); /* nothing was sent */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

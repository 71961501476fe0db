#include "net/dial.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link_impl.h"

int ray_dial_check(const char *address, struct ray_err *err)
{
    struct sockaddr_storage parsed;

    return link_address_parse(address, &parsed, err);
}

int ray_dial(const char *address, int *out_fd, struct ray_err *err)
{
    struct sockaddr_storage to;
    int fd;
    int rc = link_address_parse(address, &to, err);

    if (rc != RAY_OK) {
        return rc;
    }
    fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", address);
    }
    if (connect(fd, (const struct sockaddr *)&to, link_address_size(&to)) != 0 &&
        errno != EINPROGRESS) {
        rc = ray_fail(err, RAY_EUNAVAILABLE, "%s: %s", address, strerror(errno));
        (void)close(fd); /* nothing was sent */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

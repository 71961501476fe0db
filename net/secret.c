#include "net/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

void *ray_secret_alloc(size_t size)
{
    void *memory = NULL;

    if (sodium_init() >= 0 && ray_fault(RAY_FAULT_ALLOC) == 0) {
        memory = sodium_malloc(size);
    }
    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void ray_secret_free(void *memory)
{
    sodium_free(memory);
}

/* Returns what read(2) does, or -1 with errno. */
static ssize_t read_some(int fd, uint8_t *out, size_t size)
{
    ssize_t got;

    if (ray_fault(RAY_FAULT_READ) != 0) {
        return -1;
    }
    do {
        got = read(fd, out, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

int ray_secret_read(int fd, uint8_t *out, size_t size_max, size_t *out_size, struct ray_err *err)
{
    size_t size = 0;

    while (true) {
        uint8_t beyond;
        bool is_full = size == size_max;
        ssize_t got =
            is_full ? read_some(fd, &beyond, 1) : read_some(fd, out + size, size_max - size);

        if (got < 0) {
            return ray_fail_errno(err, errno, "reading");
        }
        if (got == 0) {
            *out_size = size;
            return RAY_OK;
        }
        if (is_full) {
            return ray_fail(err, RAY_ETOOBIG, "more than %zu bytes", size_max);
        }
        size += (size_t)got;
    }
}

int ray_secret_read_file(int dir_fd, const char *name, uint8_t *out, size_t size_max,
                         size_t *out_size, struct ray_err *err)
{
    int fd = ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", name);
    }
    rc = ray_secret_read(fd, out, size_max, out_size, err);
    (void)close(fd);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "%s", name);
}

/* crash_point.c - LD_PRELOADed into a rayosd of the tests: ends it before the Nth of its calls that
 * change a disk or are heard by somebody, as a crash would.
 *
 * RAYOS_CRASH_POINT names a file of one page: {calls so far, the call that is not made; 0: all
 * are}. It is mapped, so that nothing is asked of the sandbox; the end is exit_group, without any
 * buffer being written. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE_SIZE = 4096, CRASH_STATUS = 99 };

struct page {
    _Atomic unsigned count;
    _Atomic unsigned end;
};

static struct page *control; /* NULL: only passed through */

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("RAYOS_CRASH_POINT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *page;

    if (fd < 0) {
        return;
    }
    page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd); /* the mapping stays */
    control = page == MAP_FAILED ? NULL : page;
}

static void pass(void)
{
    if (control != NULL && atomic_fetch_add(&control->count, 1) + 1 == atomic_load(&control->end)) {
        _exit(CRASH_STATUS);
    }
}

/* The C library's own; found at the first call of each. */
static void look_up(const char *name, void *out_function)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL) {
        abort();
    }
    memcpy(out_function, &found, sizeof found);
}

#define WRAP(result, name, parameters, arguments)                                                  \
    result name parameters                                                                         \
    {                                                                                              \
        static _Atomic(__typeof__(&(name))) real;                                                  \
        __typeof__(&(name)) function = atomic_load(&real);                                         \
                                                                                                   \
        if (function == NULL) {                                                                    \
            look_up(#name, (void *)&function);                                                     \
            atomic_store(&real, function);                                                         \
        }                                                                                          \
        pass();                                                                                    \
        return function arguments;                                                                 \
    }

WRAP(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
WRAP(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t offset),
     (fd, bytes, size, offset))
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRAP(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t offset),
     (fd, parts, count, offset))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(int, posix_fallocate, (int fd, off_t offset, off_t size), (fd, offset, size))
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to))
WRAP(int, unlinkat, (int dir_fd, const char *path, int flags), (dir_fd, path, flags))
WRAP(int, mkdirat, (int dir_fd, const char *path, mode_t mode), (dir_fd, path, mode))

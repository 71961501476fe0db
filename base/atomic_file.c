/* atomic_file.c - the order is the point: the new content is durable under a temporary name
 * before rename shows it, and the rename is durable before success is reported. */
#include "base/atomic_file.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"

#define TMP_PREFIX ".tmp-"

static int open_file(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd;

    do {
        fd = ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : openat(dir_fd, name, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Closes and keeps errno: for error paths, where nothing more can be lost. */
static void close_quietly(int fd)
{
    int saved_errno = errno;

    if (fd >= 0) {
        (void)close(fd);
    }
    errno = saved_errno;
}

/* -1 with errno, or 0. */
static int write_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0) {
        ssize_t written = ray_fault(RAY_FAULT_WRITE) != 0 ? -1 : write(fd, at, size);

        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        if (written == 0) { /* not for a regular file; never loop on it */
            errno = EIO;
            return -1;
        }
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Not retried: after a failed fsync the kernel may have dropped the pages. */
static int sync_fd(int fd)
{
    return ray_fault(RAY_FAULT_FSYNC) != 0 ? -1 : fsync(fd);
}

static int sync_dir(int dir_fd)
{
    int fd = open_file(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    int rc;

    if (fd < 0) {
        return -1;
    }
    rc = sync_fd(fd);
    close_quietly(fd);
    return rc;
}

/* The folder that `name` is in, opened; *out_leaf borrows from name. */
static int open_folder(int dir_fd, const char *name, const char **out_leaf, struct ray_err *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(name, '/');
    const char *leaf = slash != NULL ? slash + 1 : name;
    size_t size = slash == NULL ? 0 : (size_t)(slash - name);
    int fd;

    if (*leaf == '\0' || strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not a file name", name);
    }
    if (size >= sizeof folder) {
        return ray_fail(err, RAY_ETOOBIG, "path of %zu bytes, at most %d", size, PATH_MAX - 1);
    }
    if (slash == NULL) {
        memcpy(folder, ".", 2);
    } else if (size == 0) {
        memcpy(folder, "/", 2);
    } else {
        memcpy(folder, name, size);
        folder[size] = '\0';
    }
    fd = open_file(dir_fd, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "folder of '%s'", name);
    }
    *out_leaf = leaf;
    return fd;
}

static int write_tmp(int folder_fd, const char *tmp, const void *data, size_t size, mode_t mode)
{
    int fd = open_file(folder_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, S_IRUSR | S_IWUSR);

    if (fd < 0) {
        return -1;
    }
    /* fchmod, because open's mode is cut by the umask. */
    if (fchmod(fd, mode) < 0 || write_all(fd, data, size) < 0 || sync_fd(fd) < 0) {
        close_quietly(fd);
        return -1;
    }
    return close(fd);
}

int ray_atomic_write(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
                     struct ray_err *err)
{
    char tmp[sizeof TMP_PREFIX + 16];
    const char *leaf = NULL;
    uint64_t random = 0;
    int folder_fd;
    int rc = RAY_OK;

    assert(name != NULL && (data != NULL || size == 0));
    folder_fd = open_folder(dir_fd, name, &leaf, err);
    if (folder_fd < 0) {
        return folder_fd;
    }
    assert(leaf != NULL);
    /* Up to 256 bytes never fail once the pool is ready; before that (GRND_NONBLOCK: PID 1 must
     * not wait here) the name is only less unlike others, and O_EXCL still guards it. */
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        random = (uint64_t)getpid();
    }
    (void)snprintf(tmp, sizeof tmp, TMP_PREFIX "%016" PRIx64, random);
    if (write_tmp(folder_fd, tmp, data, size, mode) < 0) {
        rc = ray_fail_errno(err, errno, "write '%s'", name);
        goto remove;
    }
    if (ray_fault(RAY_FAULT_RENAME) != 0 || renameat(folder_fd, tmp, folder_fd, leaf) < 0) {
        rc = ray_fail_errno(err, errno, "rename to '%s'", name);
        goto remove;
    }
    if (sync_fd(folder_fd) < 0) {
        rc = ray_fail_errno(err, errno, "sync folder of '%s'", name);
    }
    close_quietly(folder_fd);
    return rc;
remove:
    (void)unlinkat(folder_fd, tmp, 0); /* may not exist; sweep gets what stays */
    close_quietly(folder_fd);
    return rc;
}

/* Reads to the end or until buf is full (then RAY_ETOOBIG). */
static int read_all(int fd, struct ray_buf *buf, const char *name, struct ray_err *err)
{
    for (;;) {
        size_t space;
        ssize_t got;
        int rc;

        /* size_max here is one byte beyond the caller's, to see that there is more. */
        space = buf->size_max - buf->size < 4096 ? buf->size_max - buf->size : 4096;
        if (space == 0) {
            return ray_fail(err, RAY_ETOOBIG, "'%s' is larger than %zu bytes", name,
                            buf->size_max - 1);
        }
        rc = ray_buf_reserve(buf, space);
        if (rc != RAY_OK) {
            return ray_fail(err, rc, "read '%s': %s", name, ray_err_text(rc));
        }
        got = ray_fault(RAY_FAULT_READ) != 0
                  ? -1
                  : read(fd, buf->data + buf->size, buf->capacity - buf->size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ray_fail_errno(err, errno, "read '%s'", name);
        }
        if (got == 0) {
            return RAY_OK;
        }
        buf->size += (size_t)got;
        buf->data[buf->size] = '\0';
    }
}

int ray_file_read(int dir_fd, const char *name, size_t size_max, uint8_t **out_data,
                  size_t *out_size, struct ray_err *err)
{
    struct ray_buf buf;
    int fd;
    int rc;

    assert(name != NULL && size_max < SIZE_MAX - 1);
    ray_buf_init(&buf, size_max + 1);
    fd = open_file(dir_fd, name, O_RDONLY, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "open '%s'", name);
    }
    rc = read_all(fd, &buf, name, err);
    close_quietly(fd);
    if (rc != RAY_OK) {
        ray_buf_fini(&buf);
        return rc;
    }
    *out_data = buf.data;
    *out_size = buf.size;
    return RAY_OK;
}

int ray_file_read_text(int dir_fd, const char *name, char *out, size_t out_size,
                       struct ray_err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc;

    assert(out_size > 0);
    /* White space at the end does not count against out_size; a little is let through. */
    rc = ray_file_read(dir_fd, name, out_size + 15, &data, &size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(data != NULL);
    while (size > 0 && (isspace(data[size - 1]) != 0 || data[size - 1] == '\0')) {
        size--;
    }
    if (memchr(data, '\0', size) != NULL) {
        rc = ray_fail(err, RAY_EMALFORMED, "'%s' is not text", name);
    } else if (size >= out_size) {
        rc = ray_fail(err, RAY_ETOOBIG, "'%s' is larger than %zu bytes", name, out_size - 1);
    } else {
        memcpy(out, data, size);
        out[size] = '\0';
    }
    free(data);
    return rc;
}

int ray_file_write_existing(int dir_fd, const char *name, const char *text, struct ray_err *err)
{
    int fd = open_file(dir_fd, name, O_WRONLY | O_NOCTTY, 0);
    size_t size = strlen(text);
    ssize_t written;
    int rc = RAY_OK;

    if (fd < 0) {
        return ray_fail_errno(err, errno, "open '%s'", name);
    }
    do {
        written = ray_fault(RAY_FAULT_WRITE) != 0 ? -1 : write(fd, text, size);
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
        rc = ray_fail_errno(err, errno, "write '%s' to '%s'", text, name);
    } else if ((size_t)written != size) {
        rc =
            ray_fail(err, RAY_EIO, "write '%s' to '%s': only %zd bytes taken", text, name, written);
    }
    close_quietly(fd);
    return rc;
}

/* Makes one folder, opens it. */
static int enter_dir(int parent_fd, const char *name, mode_t mode)
{
    if (ray_fault(RAY_FAULT_OPEN) != 0) {
        return -1;
    }
    if (mkdirat(parent_fd, name, mode) == 0) {
        if (sync_dir(parent_fd) < 0) {
            return -1;
        }
    } else if (errno != EEXIST && errno != EROFS) { /* a read-only one may be there: open tells */
        return -1;
    }
    return openat(parent_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int ray_make_dirs(int dir_fd, const char *path, mode_t mode, struct ray_err *err)
{
    const char *at = path;
    int fd = open_file(dir_fd, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0);

    if (fd < 0) {
        return ray_fail_errno(err, errno, "make folder '%s'", path);
    }
    for (;;) {
        char name[NAME_MAX + 1];
        size_t size;
        int child_fd;

        at += strspn(at, "/");
        size = strcspn(at, "/");
        if (size == 0) {
            break;
        }
        if (size > NAME_MAX) {
            close_quietly(fd);
            return ray_fail(err, RAY_ETOOBIG, "make folder '%s': a name of %zu bytes", path, size);
        }
        memcpy(name, at, size);
        name[size] = '\0';
        at += size;
        child_fd = enter_dir(fd, name, mode);
        close_quietly(fd);
        if (child_fd < 0) {
            return ray_fail_errno(err, errno, "make folder '%s' of '%s'", name, path);
        }
        fd = child_fd;
    }
    close_quietly(fd);
    return RAY_OK;
}

int ray_atomic_sweep(int dir_fd, const char *path, struct ray_err *err)
{
    struct dirent *entry;
    int count = 0;
    DIR *dir;
    int fd = open_file(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0) {
        return ray_fail_errno(err, errno, "sweep '%s'", path);
    }
    dir = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_quietly(fd);
        return ray_fail_errno(err, errno, "sweep '%s'", path);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) != 0) {
            continue;
        }
        /* A folder of that name is not ours, and unlinkat leaves it. */
        if (unlinkat(fd, entry->d_name, 0) == 0) {
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}

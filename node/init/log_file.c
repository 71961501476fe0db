#include "node/init/log_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

enum { NAME_SIZE = sizeof LOG_FILE_NAME + 12 };

/* Index 0 is the live file. */
static const char *file_name(unsigned index, char out[static NAME_SIZE])
{
    if (index == 0) {
        (void)snprintf(out, NAME_SIZE, "%s", LOG_FILE_NAME);
    } else {
        (void)snprintf(out, NAME_SIZE, "%s.%u", LOG_FILE_NAME, index);
    }
    return out;
}

static int open_live(struct log_file *file, struct ray_err *err)
{
    struct stat status;
    int fault = ray_fault(RAY_FAULT_OPEN);

    if (fault != 0) {
        return ray_fail_errno(err, fault, "open %s", LOG_FILE_NAME);
    }
    file->fd = openat(file->dir_fd, LOG_FILE_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (file->fd < 0) {
        return ray_fail_errno(err, errno, "open %s", LOG_FILE_NAME);
    }
    if (fstat(file->fd, &status) < 0) {
        return ray_fail_errno(err, errno, "stat %s", LOG_FILE_NAME);
    }
    file->size_bytes = (uint64_t)status.st_size;
    return RAY_OK;
}

int log_file_open(struct log_file *file, const char *folder, uint64_t size_max,
                  unsigned ancestor_count, struct ray_err *err)
{
    int rc;

    assert(size_max > 0 && ancestor_count <= LOG_FILE_COUNT_MAX);
    *file = (struct log_file){
        .dir_fd = -1, .fd = -1, .size_max = size_max, .ancestor_count = ancestor_count};
    file->dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0) {
        return ray_fail_errno(err, errno, "open folder %s", folder);
    }
    rc = open_live(file, err);
    if (rc != RAY_OK) {
        log_file_close(file);
    }
    return rc;
}

void log_file_close(struct log_file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    if (file->dir_fd >= 0) {
        (void)close(file->dir_fd);
    }
    file->fd = -1;
    file->dir_fd = -1;
}

/* Shifts the ancestors up by one, the oldest falls out. */
static int rotate(struct log_file *file, struct ray_err *err)
{
    char from[NAME_SIZE];
    char to[NAME_SIZE];
    int rc;

    rc = log_file_sync(file, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (file->ancestor_count == 0) {
        if (ftruncate(file->fd, 0) < 0) {
            return ray_fail_errno(err, errno, "empty %s", LOG_FILE_NAME);
        }
        file->size_bytes = 0;
        file->rotation_count++;
        return RAY_OK;
    }
    for (unsigned index = file->ancestor_count; index > 0; index--) {
        int fault = ray_fault(RAY_FAULT_RENAME);
        (void)file_name(index - 1, from);
        (void)file_name(index, to);
        if (fault != 0) {
            return ray_fail_errno(err, fault, "rename %s to %s", from, to);
        }
        if (renameat(file->dir_fd, from, file->dir_fd, to) < 0 && errno != ENOENT) {
            return ray_fail_errno(err, errno, "rename %s to %s", from, to);
        }
    }
    (void)close(file->fd);
    file->fd = -1;
    file->rotation_count++;
    rc = open_live(file, err);
    if (rc == RAY_OK && fsync(file->dir_fd) < 0) {
        return ray_fail_errno(err, errno, "sync the log folder");
    }
    return rc;
}

/* Removes the oldest ancestor; false when there is none. */
static bool drop_oldest(struct log_file *file)
{
    char name[NAME_SIZE];

    for (unsigned index = LOG_FILE_COUNT_MAX; index > 0; index--) {
        if (unlinkat(file->dir_fd, file_name(index, name), 0) == 0) {
            file->dropped_file_count++;
            return true;
        }
    }
    return false;
}

/* All bytes or none: after a failure the file has its old size again. */
static int write_whole(struct log_file *file, const uint8_t *bytes, size_t size,
                       struct ray_err *err)
{
    size_t done = 0;

    while (done < size) {
        int fault = ray_fault(RAY_FAULT_WRITE);
        ssize_t written = fault != 0 ? -1 : write(file->fd, bytes + done, size - done);
        if (written < 0) {
            int errnum = fault != 0 ? fault : errno;
            if (errnum == EINTR) {
                continue;
            }
            if (done > 0 && ftruncate(file->fd, (off_t)file->size_bytes) < 0) {
                return ray_fail_errno(err, errno, "cut a torn line off %s", LOG_FILE_NAME);
            }
            return ray_fail_errno(err, errnum, "write to %s", LOG_FILE_NAME);
        }
        done += (size_t)written;
    }
    file->size_bytes += size;
    file->is_dirty = true;
    return RAY_OK;
}

int log_file_append(struct log_file *file, const void *bytes, size_t size, struct ray_err *err)
{
    int rc;

    if (file->fd < 0) { /* an earlier rotation could not open the new file */
        rc = open_live(file, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    if (file->size_bytes > 0 && file->size_bytes + size > file->size_max) {
        rc = rotate(file, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    /* At most one retry per ancestor: each round removes one. */
    for (unsigned round = 0; round <= LOG_FILE_COUNT_MAX; round++) {
        rc = write_whole(file, bytes, size, err);
        if (rc != RAY_ENOSPC || !drop_oldest(file)) {
            return rc;
        }
    }
    return rc;
}

int log_file_sync(struct log_file *file, struct ray_err *err)
{
    int fault = ray_fault(RAY_FAULT_FSYNC);

    if (file->fd < 0 || !file->is_dirty) {
        return RAY_OK;
    }
    if (fault != 0) {
        return ray_fail_errno(err, fault, "sync %s", LOG_FILE_NAME);
    }
    if (fdatasync(file->fd) < 0) {
        return ray_fail_errno(err, errno, "sync %s", LOG_FILE_NAME);
    }
    file->is_dirty = false;
    return RAY_OK;
}

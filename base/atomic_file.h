/* base/atomic_file.h - files that are either old or new after a power cut, never half.
 *
 * write: temporary name in the same folder, fsync, rename, fsync of the folder.
 * Memory: read allocates *out_data for the caller (free).  Threads: any.
 * Blocks: on the disk.  Trust: names are ours; content of read is untrusted bytes. */
#ifndef RAY_BASE_ATOMIC_FILE_H
#define RAY_BASE_ATOMIC_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* `dir_fd` may be AT_FDCWD; `name` may have folders in front. After success the content is
 * durable. After failure the old file stands, or, when only the sync of the folder failed, the
 * old or the new one. A power cut may leave a temporary file: names begin with ".tmp-",
 * ray_atomic_sweep removes them. RAY_ENOSPC, RAY_EIO, ... */
int ray_atomic_write(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
                     struct ray_err *err);

/* The whole file, NUL-terminated beyond *out_size. RAY_ENOTFOUND; RAY_ETOOBIG above
 * size_max. Works for /proc and /sys files, whose stat size is no guide. */
int ray_file_read(int dir_fd, const char *name, size_t size_max, uint8_t **out_data,
                  size_t *out_size, struct ray_err *err);

/* A short text file into `out`, trailing white space and NULs removed, always terminated.
 * RAY_EMALFORMED when there is a NUL inside. */
int ray_file_read_text(int dir_fd, const char *name, char *out, size_t out_size,
                       struct ray_err *err);

/* Writes to an existing file (sysfs, procfs, cgroupfs) in one write(2). */
int ray_file_write_existing(int dir_fd, const char *name, const char *text, struct ray_err *err);

/* mkdir -p with fsync of each parent that got a new entry. The umask cuts `mode`. */
int ray_make_dirs(int dir_fd, const char *path, mode_t mode, struct ray_err *err);

/* Removes files ".tmp-*" left in a folder; returns how many, or a negative code. */
int ray_atomic_sweep(int dir_fd, const char *path, struct ray_err *err);

#endif

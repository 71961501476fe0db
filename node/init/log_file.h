/* node/init/log_file.h - rayos.log and its rotated ancestors rayos.log.1 .. .N in a folder.
 *
 * A piece handed to append stands in one file, whole, or not at all: a write that fails in
 * the middle is cut off again. When the disk is full the oldest ancestors go first.
 * Memory: none; owns two descriptors.  Threads: one at a time (the log's worker).
 * Blocks: on the disk.  Trust: the folder is ours. */
#ifndef RAY_NODE_INIT_LOG_FILE_H
#define RAY_NODE_INIT_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOG_FILE_NAME "rayos.log"

enum { LOG_FILE_COUNT_MAX = 64 };

struct log_file {
    int dir_fd; /* -1: closed */
    int fd;     /* -1: closed */
    uint64_t size_bytes;
    uint64_t size_max;       /* rotates before it grows beyond */
    unsigned ancestor_count; /* how many rotated files are kept */
    bool is_dirty;           /* written and not yet synced */
    uint64_t rotation_count;
    uint64_t dropped_file_count; /* ancestors removed because the disk was full */
};

/* Opens or creates the file below `folder`, which exists. */
int log_file_open(struct log_file *file, const char *folder, uint64_t size_max,
                  unsigned ancestor_count, struct ray_err *err);
void log_file_close(struct log_file *file); /* safe on closed; does not sync */

/* RAY_ENOSPC: nothing of it was written and no ancestor is left to remove. */
int log_file_append(struct log_file *file, const void *bytes, size_t size, struct ray_err *err);
int log_file_sync(struct log_file *file, struct ray_err *err);

#endif

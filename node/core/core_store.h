/* node/core/core_store.h - the folder crash/cores/: one folder for each crash, made whole under
 * a temporary name and then renamed; the oldest go when there are too many or they take too much.
 *
 * One collector at a time has it (flock on the folder), so sums are exact and what carries a
 * temporary name is left over from one that died.
 * Memory: fixed.  Threads: one.  Blocks: on the disk, and on the lock of another collector.
 * Trust: the folder is the collector's own; what else lies there is not touched. */
#ifndef RAY_NODE_CORE_CORE_STORE_H
#define RAY_NODE_CORE_CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/core/core_process.h"

#define CORE_STORE_FOLDER "crash/cores" /* below the data folder */

enum {
    CORE_NAME_SIZE_MAX = 80, /* "20261121T053012Z-rayosd-301" */
    CORE_LIST_COUNT_MAX = 128,
    CORE_BLOCK_SIZE = 4096, /* a run of so many zeros becomes a hole */
};

struct core_limits {
    uint64_t disk_bytes_max;  /* what one core may take */
    uint64_t size_bytes_max;  /* how long it may be, with its holes */
    uint64_t total_bytes_max; /* what all may take */
    size_t folder_count_max;
    unsigned free_percent_min; /* of the file system that stays free of cores */
};

/* For a data disk, and for a data folder in RAM. */
const struct core_limits *core_limits_of(bool is_in_ram);

struct core_store {
    int cores_fd; /* borrowed; locked as long as it is open */
    int folder_fd;
    int core_fd; /* -1: no memory is kept */
    const struct core_limits *limits;
    char temporary[32];
    uint64_t disk_bytes_max; /* for this core */
    uint64_t size_bytes;
    uint64_t disk_bytes;
};

/* Waits for the lock (RAY_ETIMEOUT when a signal ends the wait), removes what the dead left and
 * what is too much, makes a folder with a temporary name. With `keeps_memory` also the file
 * `core`, unless there is no space for it: then core_fd is -1. RAY_ENOSPC: not even a report
 * may be written. */
int core_store_begin(struct core_store *store, int cores_fd, const struct core_limits *limits,
                     bool keeps_memory, struct ray_err *err);
/* Appends; all calls but the last with a multiple of CORE_BLOCK_SIZE. RAY_ETOOBIG: a limit is
 * reached, what fitted is there. */
int core_store_write(struct core_store *store, const uint8_t *bytes, size_t size,
                     struct ray_err *err);
/* Makes the file's length right and durable; before the report, which tells of it. */
int core_store_end_core(struct core_store *store, struct ray_err *err);
/* Writes core.json, gives the folder its name; durable on success. */
int core_store_commit(struct core_store *store, const char *name, const char *report, size_t size,
                      struct ray_err *err);
/* Frees all; removes the folder unless it was committed. */
void core_store_fini(struct core_store *store);

void core_store_name(const struct core_process *process, char out[static CORE_NAME_SIZE_MAX]);

/* The names of the folders there, newest first; returns how many, at most CORE_LIST_COUNT_MAX. */
int core_store_list(int cores_fd, char (*names)[CORE_NAME_SIZE_MAX], struct ray_err *err);

#endif

/* coordinator/store/disk.h - the few file operations that the log needs, as a struct of
 * functions, so that the simulator can tear, lose and rot what was written.
 *
 * A disk is one flat folder. Offsets and sizes of write and read are multiples of
 * COORD_DISK_BLOCK_SIZE, and so is the alignment of the memory.
 * Memory: the implementation's constructor and destroy; a write's memory is borrowed until its
 * callback.  Threads: the loop's.  Blocks: only what says so.
 * Trust: what is read may be anything. */
#ifndef RAY_COORDINATOR_STORE_DISK_H
#define RAY_COORDINATOR_STORE_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    COORD_DISK_BLOCK_SIZE = 4096,
    COORD_DISK_NAME_SIZE = 64,
    COORD_DISK_FILES_MAX = 4096,
};

struct coord_disk;

/* Called once, from the loop (or from the disk's destroy), never from within the call that began
 * it. RAY_OK: on stable storage. A write that failed leaves old, new or torn blocks. */
typedef void coord_disk_done(void *arg, int status);

struct coord_disk_ops {
    /* Names in sorted order, one call of `each` per file with its size. Blocks. */
    int (*list)(struct coord_disk *disk, void (*each)(void *arg, const char *name, uint64_t size),
                void *arg, struct ray_err *err);
    /* Blocks. RAY_EIO for what the medium cannot read; short reads are RAY_EMALFORMED. */
    int (*read)(struct coord_disk *disk, const char *name, uint64_t offset, void *out, size_t size,
                struct ray_err *err);
    /* A file of `size` zeroed bytes, on stable storage with its name when `done` is called.
     * RAY_EEXISTS through `done` when it is there. */
    void (*create)(struct coord_disk *disk, const char *name, uint64_t size, coord_disk_done *done,
                   void *arg);
    /* Durable when `done` is called (O_DIRECT|O_DSYNC). Writes of one file that are under way at
     * once must not overlap; they may become durable in any order. */
    void (*write)(struct coord_disk *disk, const char *name, uint64_t offset, const void *bytes,
                  size_t size, coord_disk_done *done, void *arg);
    /* The same, waiting for it: for term and vote, before any message leaves. Blocks. */
    int (*write_now)(struct coord_disk *disk, const char *name, uint64_t offset, const void *bytes,
                     size_t size, struct ray_err *err);
    /* Durable when `done` is called; the target is replaced atomically. */
    void (*rename)(struct coord_disk *disk, const char *from, const char *to, coord_disk_done *done,
                   void *arg);
    void (*remove)(struct coord_disk *disk, const char *name, coord_disk_done *done, void *arg);
    /* May be NULL. Begins `run` beside the loop's thread, where nothing but list and read may be
     * asked of the disk; blocks not. One at a time, and joined before destroy. What it reads is
     * not written meanwhile. */
    void (*begin_beside)(struct coord_disk *disk, void (*run)(void *arg), void *arg);
    /* Blocks until `run` has returned; NULL where begin_beside is. */
    void (*join_beside)(struct coord_disk *disk);
    /* Bytes that can still be written; UINT64_MAX unknown. */
    uint64_t (*free_size)(struct coord_disk *disk);
    /* Operations under way end with RAY_ECANCELED, called back before this returns (whether they
     * took place is unknown), so that nobody waits for memory or for an answer. An owner that
     * goes away with operations under way lives on unseen until then. */
    void (*destroy)(struct coord_disk *disk);
};

struct coord_disk {
    const struct coord_disk_ops *ops;
};

#endif

/* coordinator/store/disk_fake.h - a disk in memory that tests stop, cut, tear and rot.
 *
 * An operation takes effect when the test completes it. A cut works on a copy: the test says for
 * each operation under way what of it reached the medium.
 * Memory: create/copy, destroy through the ops.  Threads: one.  Blocks: never.  Trust: tests. */
#ifndef RAY_COORDINATOR_STORE_DISK_FAKE_H
#define RAY_COORDINATOR_STORE_DISK_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/store/disk.h"

enum { COORD_FAKE_SECTOR_SIZE = 512, COORD_FAKE_FILES_MAX = 64, COORD_FAKE_OPS_MAX = 16 };

enum coord_fake_kind {
    COORD_FAKE_CREATE,
    COORD_FAKE_WRITE,
    COORD_FAKE_RENAME,
    COORD_FAKE_REMOVE,
};

struct coord_fake_file {
    char name[COORD_DISK_NAME_SIZE];
    uint64_t size;
    uint8_t *bytes;
};

struct coord_fake_op {
    enum coord_fake_kind kind;
    char name[COORD_DISK_NAME_SIZE];
    char to[COORD_DISK_NAME_SIZE];
    uint64_t offset; /* or the size of CREATE */
    size_t size;
    const void *bytes;
    uint8_t *copy; /* what `bytes` was when the write began: it must not change */
    coord_disk_done *done;
    void *arg;
};

struct coord_fake_disk {
    struct coord_disk disk;
    struct coord_fake_file files[COORD_FAKE_FILES_MAX];
    size_t file_count;
    struct coord_fake_op ops[COORD_FAKE_OPS_MAX];
    size_t op_count;
    uint64_t size_max; /* of all files; beyond it CREATE is RAY_ENOSPC; 0: no limit */
    int write_status;  /* of the next write that completes, once */
    /* write_now: after so many more the power is cut in the middle of one (-1: never), of which
     * so many sectors reach the medium; everything afterwards is RAY_EIO. */
    int now_until_cut;
    size_t now_sectors;
    bool is_off;
    char bad_name[COORD_DISK_NAME_SIZE]; /* a block that cannot be read */
    uint64_t bad_offset;
    size_t now_count; /* write_now calls so far */
};

struct coord_fake_disk *coord_fake_disk_create(void);
/* With the operations under way, whose callbacks it forgets. */
struct coord_fake_disk *coord_fake_disk_copy(const struct coord_fake_disk *from);
void coord_fake_disk_destroy(struct coord_fake_disk *fake);

/* Completes operation `at` of those under way, calls back. */
void coord_fake_disk_complete(struct coord_fake_disk *fake, size_t at);
/* All, in order, until none is under way. */
void coord_fake_disk_run(struct coord_fake_disk *fake);

/* What of an operation reached the medium. */
enum coord_fake_fate {
    COORD_FAKE_LOST,
    COORD_FAKE_WHOLE,
    COORD_FAKE_HEAD, /* the first `sectors` */
    COORD_FAKE_TAIL, /* the last `sectors` */
    COORD_FAKE_MASK, /* sector i by bit i % 64 of `mask` */
};

struct coord_fake_cut {
    enum coord_fake_fate fate;
    size_t sectors;
    uint64_t mask;
};

/* Power cut: `cuts` has op_count elements. No callback. */
void coord_fake_disk_cut(struct coord_fake_disk *fake, const struct coord_fake_cut *cuts);

struct coord_fake_file *coord_fake_disk_find(struct coord_fake_disk *fake, const char *name);

#endif

/* provisioning/disk/disk_api.h - writes the disk image (build/image/rayos.img) to a file or a
 * block device and completes it: ESP grown, partition RAYOS_DATA with XFS in the rest.
 *
 *     struct provision_disk_request request = {.target = "m.img", .image = "rayos.img",
 *                                              .size_bytes = 8 << 30};
 *     rc = provision_disk_open(&disk, &request, &err);   // looks, changes nothing
 *     rc = provision_disk_write(disk, &err);             // refuses, or does all of it
 *     provision_disk_close(disk);
 *
 * Order of writes: first the old tables go, then content, which is read back (past the page
 * cache where the kernel allows) and compared, the partition tables last; each step is on stable
 * storage before the next. What is interrupted has no partition table, so neither firmware nor
 * node takes it for a disk of RayOS.
 * Files need no root, no loop device and no mount. They stay sparse.
 *
 * Memory: open/close; texts of the request are borrowed until close.
 * Threads: one; no loop of the caller is touched (mkfs.xfs runs under an own one).
 * Blocks: on the disk, and for mkfs.xfs.
 * Trust: the image is the operator's, but is checked before anything is written; what is on the
 * target is untrusted bytes. */
#ifndef RAY_PROVISIONING_DISK_DISK_API_H
#define RAY_PROVISIONING_DISK_DISK_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PROVISION_DISK_DATA_NAME "RAYOS_DATA"

enum {
    PROVISION_DISK_TEXT_SIZE = 128,
    PROVISION_DISK_WHY_SIZE = 256,
};

/* Where the ESP is not said: 1 GiB on disks of 4 GiB and more, else as large as in the image. */
#define PROVISION_DISK_ESP_SIZE_DEFAULT (UINT64_C(1) << 30)
#define PROVISION_DISK_LARGE_SIZE (UINT64_C(4) << 30)
/* mkfs.xfs makes nothing below 300 MiB. */
#define PROVISION_DISK_DATA_SIZE_MIN (UINT64_C(304) << 20)

enum provision_disk_step {
    PROVISION_DISK_STEP_FORMAT, /* mkfs.xfs, in memory */
    PROVISION_DISK_STEP_CLEAR,  /* the old tables and signatures go */
    PROVISION_DISK_STEP_ESP,
    PROVISION_DISK_STEP_DATA,
    PROVISION_DISK_STEP_VERIFY,
    PROVISION_DISK_STEP_TABLES,
};

struct provision_disk_request {
    const char *target;      /* a whole disk, or a file; a file that is not there is made */
    const char *image;       /* NULL: none, and no ESP; RAYOS_DATA has all of the disk */
    uint64_t size_bytes;     /* of a file; 0: the size that it has. A disk has its own: 0 */
    uint64_t esp_size_bytes; /* 0: the default above */
    bool is_wiped;           /* write although there is content; a file is emptied first */
    const char *serial;      /* what was typed to confirm; block devices only. NULL: nothing */
    /* May be NULL. `total` of a step is known from its first call on. */
    void (*on_progress)(void *arg, enum provision_disk_step step, uint64_t done, uint64_t total);
    void *arg;
};

struct provision_disk_place {
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

/* What was found and what would be done. */
struct provision_disk_plan {
    bool is_block_device;
    bool is_new;         /* a file that is not there yet */
    bool is_read_only;   /* of provision_disk_look alone */
    uint64_t size_bytes; /* of the whole disk */
    uint64_t image_size_bytes;
    char model[PROVISION_DISK_TEXT_SIZE];  /* "" when not known */
    char serial[PROVISION_DISK_TEXT_SIZE]; /* what has to be typed; "" for files */
    bool has_serial;                       /* false: the disk reports none; `serial` is its
                                            * size in bytes instead */
    char in_use[PROVISION_DISK_WHY_SIZE];  /* "sdb1 is mounted on /mnt"; "": by nobody */
    char content[PROVISION_DISK_WHY_SIZE]; /* "partition table (GPT), ..."; "": blank */
    struct provision_disk_place esp;
    struct provision_disk_place data;
};

struct provision_disk;

/* Opens both, looks at them and lays out the disk. RAY_ENOTFOUND, RAY_EDENIED, RAY_EMALFORMED
 * (no image of ours), RAY_EINVAL (a partition, a folder, a size), RAY_ENOSPC (disk too small),
 * RAY_EUNSUPPORTED (sectors that are not 512 bytes). */
int provision_disk_open(struct provision_disk **out_disk,
                        const struct provision_disk_request *request, struct ray_err *err);

/* Only looks at it; what is known is in `out` also when it could not be laid out (RAY_EUNSUPPORTED:
 * other sectors). Without places. */
int provision_disk_look(const char *target, struct provision_disk_plan *out, struct ray_err *err);

const struct provision_disk_plan *provision_disk_plan(const struct provision_disk *disk);

/* What was typed after the plan was shown; borrowed, takes the place of the request's. */
void provision_disk_confirm(struct provision_disk *disk, const char *serial);

/* What provision_disk_write would refuse: RAY_ECONFLICT (in use), RAY_EEXISTS (has content and
 * is_wiped is not set), RAY_EDENIED (read-only, or the serial number typed is none or another),
 * RAY_ENOTFOUND (no mkfs.xfs). */
int provision_disk_check(const struct provision_disk *disk, struct ray_err *err);

/* Checks, then writes and verifies. After a failure of the check nothing has changed; after any
 * other the target has no partition table, and a file that was made is gone. Once. */
int provision_disk_write(struct provision_disk *disk, struct ray_err *err);

/* NULL is fine. */
void provision_disk_close(struct provision_disk *disk);

/* "write the ESP", for people. */
const char *provision_disk_step_text(enum provision_disk_step step);

#endif

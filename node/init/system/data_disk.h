/* node/init/system/data_disk.h - the node's data folder /var/rayos: the partition RAYOS_DATA
 * if there is exactly one and it is sound, else the same layout in RAM.
 *
 * Nothing here formats, repairs or erases.
 * Memory: struct init_data owns the folder's descriptor; the search object owns itself.
 * Threads: PID 1's.  Blocks: mount (log replay: up to seconds) and the disk.
 * Trust: the disk's content is foreign: the superblock is checked before the kernel sees
 * it, mounts are nosuid,nodev,noexec. */
#ifndef RAY_NODE_INIT_SYSTEM_DATA_DISK_H
#define RAY_NODE_INIT_SYSTEM_DATA_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "node/init/system/uevent.h"

#define INIT_DATA_PARTNAME "RAYOS_DATA"
#define INIT_ESP_PARTNAME "RAYOS_ESP" /* of a disk that carries the image */
#define INIT_DATA_FOLDER "var/rayos"

enum { INIT_DATA_LAYOUT_VERSION = 1, INIT_DATA_DEVICE_SIZE_MAX = 64 };

/* X(id, word of the marker RAYOS_NODE_DATA:ram:<word>, explanation) */
#define INIT_DATA_REASON_MAP(X)                                                                    \
    X(NONE, "none", "the disk is in use")                                                          \
    X(ABSENT, "absent", "no partition is named RAYOS_DATA")                                        \
    X(SEVERAL, "several", "more than one partition is named RAYOS_DATA")                           \
    X(NOT_XFS, "not-xfs", "the partition holds no XFS")                                            \
    X(DAMAGED, "damaged", "the XFS superblock makes no sense, or the mount failed")                \
    X(READONLY, "readonly", "the device cannot be written")                                        \
    X(NEWER, "newer", "its layout was made by a newer RayOS")                                      \
    X(LAYOUT, "layout", "the layout on it could not be read or made")                              \
    X(FULL, "full", "no space is left to make the layout")

enum init_data_reason {
#define INIT_DATA_REASON_ENUM(id, word, explanation) INIT_DATA_REASON_##id,
    INIT_DATA_REASON_MAP(INIT_DATA_REASON_ENUM)
#undef INIT_DATA_REASON_ENUM
};

const char *init_data_reason_word(enum init_data_reason reason);
const char *init_data_reason_explanation(enum init_data_reason reason);

/* What a search found. */
struct init_data_found {
    size_t count;
    char device[INIT_DATA_DEVICE_SIZE_MAX]; /* "vda1", of the first */
    bool is_readonly;
    size_t esp_count;                           /* disks that carry the image */
    char esp_device[INIT_DATA_DEVICE_SIZE_MAX]; /* "vda1", of the first */
};

/* Reads sys/class/block of `root_fd` now. */
int init_data_scan(int root_fd, struct init_data_found *out, struct ray_err *err);

/* A search that waits for slow disks: ends when exactly one was found and no block device
 * has appeared for settle_ms, or at the deadline. A machine that was started from a disk has
 * that disk somewhere: until it shows, finding nothing is no result. (USB disks take seconds.) */
struct init_data_search;
struct init_data_search_options {
    int root_fd;
    uint64_t settle_ms;      /* after something was found; 0: 250 */
    uint64_t none_settle_ms; /* while nothing was found; 0: 2000 */
    uint64_t deadline_ms;    /* 0: 15000 */
    bool waits_for_esp;      /* the machine was started from a disk */
};
int init_data_search_start(struct ray_loop *loop, const struct init_data_search_options *options,
                           void (*on_done)(void *arg, const struct init_data_found *found),
                           void *arg, struct init_data_search **out, struct ray_err *err);
/* Every uevent goes here until on_done was called (others than "block" are ignored). */
void init_data_search_event(struct init_data_search *search, const struct init_uevent *event);
/* Also right from within on_done. */
void init_data_search_destroy(struct init_data_search *search);

/* The data folder as mounted. */
struct init_data {
    int fd; /* the folder; -1: none */
    bool is_disk;
    enum init_data_reason reason; /* why it is RAM; NONE for a disk */
    char device[INIT_DATA_DEVICE_SIZE_MAX];
    char detail[200]; /* for log and facts: what exactly was wrong; may be empty */
};

void init_data_init(struct init_data *data);
void init_data_fini(struct init_data *data); /* closes, does not unmount */

/* Mounts what was found below `root` ("" on a node) or falls back to RAM, makes the layout,
 * sweeps temporary files. Fails only when not even RAM can be had. Needs the xfs module. */
int init_data_mount(const char *root, const struct init_data_found *found,
                    struct ray_logger *logger, struct init_data *out, struct ray_err *err);

/* The parts, for tests and tools. `block` is the first sector or more of the partition. */
enum { INIT_XFS_BLOCK_SIZE = 512 };
enum init_data_reason init_data_check_xfs(const uint8_t *block, size_t size,
                                          uint64_t device_size_bytes, char *out_detail,
                                          size_t detail_size);
/* Makes the folders, owners and the file "layout" ({"version":1}) in an empty folder, or
 * checks those that are there. `sets_owners` false in tests without root.
 * RAY_ECONFLICT: made by a newer version. */
int init_data_layout(int data_fd, bool sets_owners, struct ray_err *err);

/* The folder's free space, for health; blocks and inodes in percent. */
int init_data_free(int data_fd, uint64_t *out_free_bytes, uint64_t *out_size_bytes,
                   struct ray_err *err);

#endif

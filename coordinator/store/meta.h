/* coordinator/store/meta.h - what a member must never forget: who it is, its term and its vote.
 *
 * One block in two copies, written one after the other, each with a checksum and a generation.
 * A cut between them leaves the old or the new state; rot of one copy is repaired from the
 * other, and cannot bring back an older vote.
 *
 * Memory: plain struct.  Threads: the loop's.  Blocks: always: nothing may leave this node
 * before it is done.  Trust: what the disk gives may be anything. */
#ifndef RAY_COORDINATOR_STORE_META_H
#define RAY_COORDINATOR_STORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "coordinator/store/disk.h"
#include "coordinator/store/wal.h"

#define COORD_META_NAME "meta"

/* On disk; never renumbered. */
enum coord_meta_flag {
    /* Rot was found or this replica differed: no vote until it has been refilled. */
    COORD_META_QUARANTINED = 1 << 0,
    /* Removed from the cluster: never a member again under this identity. */
    COORD_META_REMOVED = 1 << 1,
    /* server_id is a new number; log, snapshots and checkpoint are an older one's and must go
     * before it is used. */
    COORD_META_REFILL = 1 << 2,
};

enum { COORD_META_BOOTS_MAX = 16 };

/* A boot that this disk has seen. */
struct coord_meta_boot {
    struct ray_id incarnation;
    uint64_t since; /* the boot counter of its first start */
};

struct coord_meta {
    struct ray_id cluster_id;
    struct ray_id node_id;
    struct ray_id incarnation; /* of the last boot */
    uint64_t boot_counter;     /* raised at each start of the process */
    uint64_t cluster_epoch;
    uint64_t server_id; /* the number that the log knows this node by; 0: none yet */
    uint64_t term;
    uint64_t vote; /* server id; 0: none in this term */
    uint32_t flags;
    uint8_t log_salt[COORD_WAL_SALT_SIZE]; /* random, made with the file */
    /* The last ones, oldest first, this one among them: another disk that counts as far has not
     * seen the same. */
    struct coord_meta_boot boots[COORD_META_BOOTS_MAX];
    uint32_t boot_count;
};

struct coord_meta_store {
    struct coord_disk *disk;
    struct coord_meta now; /* as it is on disk */
    uint64_t generation;
    bool is_failed;          /* after a write that failed: no further write is tried */
    struct coord_meta first; /* while it is made */
    coord_disk_done *done;
    void *arg;
};

/* RAY_ENOTFOUND: there is none, or a cut came while it was made (the second copy is blank and the
 * first not whole: nothing was promised then); RAY_EMALFORMED: both copies are damaged: this node
 * must be treated as wiped; RAY_EUNSUPPORTED: a newer format. A damaged or older copy is repaired.
 */
int coord_meta_open(struct coord_meta_store *store, struct coord_disk *disk, struct ray_err *err);
/* The same without repair: nothing is written. */
int coord_meta_look(struct coord_disk *disk, struct coord_meta *out, struct ray_err *err);
/* Makes the file; done(arg, status) when it is there and holds `first`. RAY_EEXISTS through
 * `done` when there is one that coord_meta_open finds. `store` stays at its address until then. */
void coord_meta_create(struct coord_meta_store *store, struct coord_disk *disk,
                       const struct coord_meta *first, coord_disk_done *done, void *arg);
/* Durable when it returns RAY_OK. A term that falls, or another vote in the same term, is our
 * bug (assert). After a failure the disk may hold either: stop, send nothing. */
int coord_meta_write(struct coord_meta_store *store, const struct coord_meta *next,
                     struct ray_err *err);

/* Pure. A start of the process in that boot: counted, and remembered. */
void coord_meta_count_boot(struct coord_meta *meta, const struct ray_id *incarnation);
/* Pure. Whether these boots (oldest first) are of another disk than the one that was at start
 * `counter` in boot `incarnation`; false also when they do not go back so far. */
bool coord_meta_boots_differ(const struct coord_meta_boot *boots, size_t count, uint64_t counter,
                             const struct ray_id *incarnation);

/* Pure; for the fuzz target and tools. `block` has COORD_DISK_BLOCK_SIZE bytes. */
void coord_meta_encode(const struct coord_meta *meta, uint64_t generation, uint8_t *block);
int coord_meta_decode(const uint8_t *block, struct coord_meta *out, uint64_t *out_generation,
                      struct ray_err *err);

#endif

/* base/grant_page.h - the grant page of a node: one slot per guest or presentation that this node
 * may run now, and until when (DESIGN.md section 8).
 *
 * One process writes it (the agent); any number map it read-only (monitors, compositor) and ask
 * "is {id, epoch} alive in slot n, until when". The page is memory shared between processes; a
 * slot that is half written reads as dead, never as alive:
 *     writing: deadline 0, then id and epoch, then the deadline;
 *     reading: id and epoch, deadline, id and epoch again.
 * Memory: the page is the caller's, RAY_GRANT_PAGE_SIZE bytes, aligned to 64; no pointers in it.
 * Threads: one writer, any readers, no locks.  Blocks: never.  Trust: readers believe the writer;
 * a slot index from outside is checked. */
#ifndef RAY_BASE_GRANT_PAGE_H
#define RAY_BASE_GRANT_PAGE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/id.h"

enum { RAY_GRANT_SLOTS_MAX = 1023 };

struct ray_grant_slot {
    alignas(64) _Atomic uint64_t deadline_ns; /* CLOCK_BOOTTIME; 0: dead */
    _Atomic uint64_t id_low;
    _Atomic uint64_t id_high;
    _Atomic uint64_t epoch_cluster;
    _Atomic uint64_t epoch_index;
};

struct ray_grant_page {
    alignas(64) uint64_t magic;
    uint32_t version;
    uint32_t slot_count;
    struct ray_grant_slot slots[RAY_GRANT_SLOTS_MAX];
};

enum { RAY_GRANT_PAGE_SIZE = sizeof(struct ray_grant_page) };

/* Of fresh memory: every slot dead and free. */
void ray_grant_page_init(struct ray_grant_page *page);
/* Of a page that another process made: RAY_EUNSUPPORTED when it is not of this layout. */
int ray_grant_page_check(const struct ray_grant_page *page, struct ray_err *err);

/* Writer: the slot now belongs to {id, epoch} and is alive until deadline_ns (0: dead). The same
 * pair again only moves the deadline. */
void ray_grant_page_set(struct ray_grant_page *page, size_t slot, const struct ray_id *id,
                        struct ray_epoch epoch, uint64_t deadline_ns);
/* Writer: dead; the pair stays. */
void ray_grant_page_kill(struct ray_grant_page *page, size_t slot);
/* Writer: dead and without a pair: only after whoever read it was reaped. */
void ray_grant_page_clear(struct ray_grant_page *page, size_t slot);
/* Writer: the pair of a slot; false when it is free. */
bool ray_grant_page_pair(const struct ray_grant_page *page, size_t slot, struct ray_id *out_id,
                         struct ray_epoch *out_epoch);

/* Reader: until when {id, epoch} may run; 0 when the slot is dead, another's or out of range. */
uint64_t ray_grant_page_deadline(const struct ray_grant_page *page, size_t slot,
                                 const struct ray_id *id, struct ray_epoch epoch);

/* The steps of a write, in order; ray_grant_page_set does all. For tests that read in between. */
enum ray_grant_step {
    RAY_GRANT_STEP_KILL,
    RAY_GRANT_STEP_ID_LOW,
    RAY_GRANT_STEP_ID_HIGH,
    RAY_GRANT_STEP_CLUSTER,
    RAY_GRANT_STEP_INDEX,
    RAY_GRANT_STEP_DEADLINE,
    RAY_GRANT_STEP_COUNT,
};
void ray_grant_page_step(struct ray_grant_page *page, size_t slot, enum ray_grant_step step,
                         const struct ray_id *id, struct ray_epoch epoch, uint64_t deadline_ns);

#endif

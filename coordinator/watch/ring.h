/* coordinator/watch/ring.h - the last events of the state machine, in order, without gaps.
 *
 * Holds whole revisions: the oldest leave when a limit is reached.
 * Memory: init and fini; grows up to its limits; events are copied in, borrowed out until the next
 * append.  Threads: the loop's.  Blocks: never.  Trust: events come from the state machine. */
#ifndef RAY_COORDINATOR_WATCH_RING_H
#define RAY_COORDINATOR_WATCH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/fsm/fsm.h"

enum {
    COORD_WATCH_RING_COUNT_MAX = 100000,
    COORD_WATCH_RING_SIZE_MAX = 64 << 20,
};

struct coord_watch_slot;

struct coord_watch_ring {
    struct coord_watch_slot *slots; /* a circle */
    size_t capacity;
    size_t first; /* slot of the oldest */
    size_t count;
    uint64_t first_number; /* of the oldest; numbers count events since init */
    size_t size;           /* bytes of the packed events held */
    size_t count_max;
    size_t size_max;
    uint64_t dropped_revision; /* events of this and older revisions may be missing */
    uint64_t revision;         /* the last applied one, with events or without */
};

/* Limits at most COORD_WATCH_RING_*. `revision`: where the state machine is now; only what comes
 * later can be watched. */
void coord_watch_ring_init(struct coord_watch_ring *ring, size_t count_max, size_t size_max,
                           uint64_t revision);
void coord_watch_ring_fini(struct coord_watch_ring *ring);

/* All events of one revision (none too), in order; revisions rise. Without memory the ring
 * forgets all it has (watchers resync) and RAY_ENOMEM says so; it stays usable. */
int coord_watch_ring_append(struct coord_watch_ring *ring, uint64_t revision,
                            const struct coord_fsm_event *events, size_t count,
                            struct ray_err *err);
/* After a snapshot was installed: forgets all. */
void coord_watch_ring_restart(struct coord_watch_ring *ring, uint64_t revision);

/* Whether all events after that revision are here. */
bool coord_watch_ring_has_after(const struct coord_watch_ring *ring, uint64_t revision);
/* The number of the first event after that revision (the next one to come when there is none);
 * only when has_after. */
uint64_t coord_watch_ring_find_after(const struct coord_watch_ring *ring, uint64_t revision);
/* NULL: no longer or not yet there. */
const struct coord_fsm_event *coord_watch_ring_at(const struct coord_watch_ring *ring,
                                                  uint64_t number);
uint64_t coord_watch_ring_end(const struct coord_watch_ring *ring); /* number of the next to come */

#endif

/* coordinator/watch/hub.h - who watches what, and what is sent to them next.
 *
 * Each watcher has a filter, a position and a credit of events. A batch holds whole revisions, in
 * order, each once, none left out that passes the filter; its bookmark is never ahead of what was
 * sent. Who is slower than the ring gets a resync: the place to go on from, and a state to list.
 *
 * Memory: create and destroy; batches are borrowed by `send` for the call.
 * Threads: the loop's.  Blocks: never.  Trust: requests are hostile (net/proto/registry.proto). */
#ifndef RAY_COORDINATOR_WATCH_HUB_H
#define RAY_COORDINATOR_WATCH_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/watch/ring.h"

enum {
    COORD_WATCH_WATCHERS_MAX = 4096,
    COORD_WATCH_CREDIT_MAX = 65536,
    COORD_WATCH_BATCH_COUNT_MAX = 1024,     /* a batch ends at the revision that passes this, */
    COORD_WATCH_BATCH_SIZE_MAX = 256 << 10, /* or this; */
    COORD_WATCH_TICK_MS = 20,               /* and there is at most one per tick and watcher */
    COORD_WATCH_BOOKMARK_MS = 1000,         /* when nothing else was sent */
};

struct coord_watch_hub;

/* A packed rayos.registry.WatchBatch. RAY_OK: it is on its way. RAY_EAGAIN: the link is full, the
 * same comes again at a later tick. Anything else ends the watch. Must not call the hub. */
typedef int coord_watch_send(void *arg, uint64_t watcher, const uint8_t *bytes, size_t size);

/* Borrows `ring` for its life. */
int coord_watch_hub_create(struct coord_watch_hub **out_hub, struct coord_watch_ring *ring,
                           coord_watch_send *send, void *arg, struct ray_err *err);
void coord_watch_hub_destroy(struct coord_watch_hub *hub);

/* A packed rayos.registry.WatchRequest of who is called `watcher` from now on (the caller's
 * number, not in use). RAY_EMALFORMED, RAY_EINVAL, RAY_EEXISTS, RAY_ETOOBIG (too many). */
int coord_watch_hub_add(struct coord_watch_hub *hub, uint64_t watcher, uint64_t now_ms,
                        const uint8_t *bytes, size_t size, struct ray_err *err);
void coord_watch_hub_remove(struct coord_watch_hub *hub, uint64_t watcher);
/* A packed WatchCredit: so many events more. RAY_ENOTFOUND, RAY_EMALFORMED, RAY_ETOOBIG. */
int coord_watch_hub_credit(struct coord_watch_hub *hub, uint64_t watcher, const uint8_t *bytes,
                           size_t size, struct ray_err *err);

/* Sends what is due; call it when coord_watch_hub_next_ms says so, oftener does no harm. */
void coord_watch_hub_tick(struct coord_watch_hub *hub, uint64_t now_ms);
/* When the next tick is of use; UINT64_MAX: nobody watches. */
uint64_t coord_watch_hub_next_ms(const struct coord_watch_hub *hub, uint64_t now_ms);
size_t coord_watch_hub_count(const struct coord_watch_hub *hub);

#endif

/* net/link_ring.h - events of many threads for one loop: a list that producers push onto without
 * a lock and the loop takes as a whole.
 *
 * Private to net/link_nng.c and its test.
 * Memory: events are their owners' (a field of a struct); one event is in the ring at most once:
 * push it again only after it was taken.
 * Threads: push from any, take from the loop's.  Blocks: never.  Trust: ours. */
#ifndef RAY_NET_LINK_RING_H
#define RAY_NET_LINK_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct link_event {
    struct link_event *next; /* the ring's */
};

struct link_ring {
    _Atomic(struct link_event *) newest;
};

/* True: the ring was empty, so the loop has to be woken. */
static inline bool link_ring_push(struct link_ring *ring, struct link_event *event)
{
    struct link_event *newest = atomic_load_explicit(&ring->newest, memory_order_relaxed);

    do {
        event->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&ring->newest, &newest, event,
                                                    memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

/* All events, the oldest first; NULL: none. Nothing is taken one by one, so a pushed event that
 * comes back at the same address (ABA) does no harm. */
static inline struct link_event *link_ring_take(struct link_ring *ring)
{
    struct link_event *event = atomic_exchange_explicit(&ring->newest, NULL, memory_order_acquire);
    struct link_event *oldest = NULL;

    while (event != NULL) {
        struct link_event *next = event->next;

        event->next = oldest;
        oldest = event;
        event = next;
    }
    return oldest;
}

#endif

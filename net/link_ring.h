/* net/link_ring.h - events of many threads for one loop: producers push without a lock, the loop
 * gathers all that there are and works them off one by one.
 *
 * Private to net/link_nng.c and its test.
 * Memory: events are their owners' (a field of a struct); one event is in the ring at most once:
 * push it again only after link_ring_next gave it or link_ring_drop took it out.
 * Threads: push from any, everything else from the loop's.  Blocks: never.  Trust: ours. */
#ifndef RAY_NET_LINK_RING_H
#define RAY_NET_LINK_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct link_event {
    struct link_event *next; /* the ring's */
};

struct link_ring {
    _Atomic(struct link_event *) newest; /* pushed, the newest first */
    struct link_event *oldest;           /* gathered, the oldest first */
};

static inline void link_ring_init(struct link_ring *ring)
{
    atomic_init(&ring->newest, NULL);
    ring->oldest = NULL;
}

/* True: nothing was pushed since the last gathering, so the loop has to be woken. */
static inline bool link_ring_push(struct link_ring *ring, struct link_event *event)
{
    struct link_event *newest = atomic_load_explicit(&ring->newest, memory_order_relaxed);

    do {
        event->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&ring->newest, &newest, event,
                                                    memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

/* All events are taken at once, so one that comes back at the same address (ABA) does no harm. */
static inline void link_ring_gather(struct link_ring *ring)
{
    struct link_event *event = atomic_exchange_explicit(&ring->newest, NULL, memory_order_acquire);
    struct link_event *later = NULL;
    struct link_event **end = &ring->oldest;

    while (event != NULL) {
        struct link_event *next = event->next;

        event->next = later;
        later = event;
        event = next;
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = later;
}

/* The oldest of those that were gathered, which is its owner's again; NULL: none. */
static inline struct link_event *link_ring_next(struct link_ring *ring)
{
    struct link_event *event = ring->oldest;

    if (event != NULL) {
        ring->oldest = event->next;
    }
    return event;
}

/* Takes out the events that are `arg`'s, before they are freed. The others stay gathered: as the
 * loop is not woken for them again, whoever it was woken for must gather and work off all. */
static inline void link_ring_drop(struct link_ring *ring,
                                  bool (*is_of)(const struct link_event *event, const void *arg),
                                  const void *arg)
{
    struct link_event **link = &ring->oldest;

    link_ring_gather(ring);
    while (*link != NULL) {
        if (is_of(*link, arg)) {
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}

#endif

/* ring.c - a circle of events, each with a copy of its packed bytes. */
#include "coordinator/watch/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/mutant.h"

enum { CAPACITY_MIN = 64 };

struct coord_watch_slot {
    struct coord_fsm_event event; /* `packed` is the slot's own */
};

void coord_watch_ring_init(struct coord_watch_ring *ring, size_t count_max, size_t size_max,
                           uint64_t revision)
{
    assert(count_max > 0 && count_max <= COORD_WATCH_RING_COUNT_MAX);
    assert(size_max > 0 && size_max <= COORD_WATCH_RING_SIZE_MAX);
    *ring = (struct coord_watch_ring){
        .count_max = count_max,
        .size_max = size_max,
        .dropped_revision = revision,
        .revision = revision,
    };
}

static struct coord_watch_slot *slot_at(const struct coord_watch_ring *ring, size_t offset)
{
    return &ring->slots[(ring->first + offset) % ring->capacity];
}

static void drop_first(struct coord_watch_ring *ring)
{
    struct coord_watch_slot *slot = slot_at(ring, 0);

    ring->size -= slot->event.packed_size;
    ring->dropped_revision = slot->event.revision;
    free((void *)slot->event.packed);
    slot->event.packed = NULL;
    ring->first = (ring->first + 1) % ring->capacity;
    ring->first_number++;
    ring->count--;
}

/* With all other events of its revision: half a revision is of no use to anybody. */
static void drop_first_revision(struct coord_watch_ring *ring)
{
    uint64_t revision = slot_at(ring, 0)->event.revision;

    while (ring->count > 0 && slot_at(ring, 0)->event.revision == revision) {
        drop_first(ring);
    }
}

static void drop_all(struct coord_watch_ring *ring)
{
    while (ring->count > 0) {
        drop_first(ring);
    }
}

void coord_watch_ring_restart(struct coord_watch_ring *ring, uint64_t revision)
{
    if (RAY_MUTANT(WATCH_RESTART_KEEPS)) {
        ring->revision = revision;
        return;
    }
    drop_all(ring);
    ring->dropped_revision = revision;
    ring->revision = revision;
}

void coord_watch_ring_fini(struct coord_watch_ring *ring)
{
    drop_all(ring);
    free(ring->slots);
    ring->slots = NULL;
    ring->capacity = 0;
}

static bool grow(struct coord_watch_ring *ring)
{
    size_t capacity = ring->capacity > 0 ? ring->capacity * 2 : CAPACITY_MIN;
    struct coord_watch_slot *slots =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(capacity * sizeof *slots);

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < ring->count; i++) {
        slots[i] = *slot_at(ring, i);
    }
    free(ring->slots);
    ring->slots = slots;
    ring->capacity = capacity;
    ring->first = 0;
    return true;
}

static bool add(struct coord_watch_ring *ring, const struct coord_fsm_event *event)
{
    uint8_t *packed = NULL;

    if (ring->count == ring->capacity && !grow(ring)) {
        return false;
    }
    packed = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(event->packed_size);
    if (packed == NULL) {
        return false;
    }
    memcpy(packed, event->packed, event->packed_size);
    *slot_at(ring, ring->count) = (struct coord_watch_slot){.event = *event};
    slot_at(ring, ring->count)->event.packed = packed;
    ring->count++;
    ring->size += event->packed_size;
    return true;
}

int coord_watch_ring_append(struct coord_watch_ring *ring, uint64_t revision,
                            const struct coord_fsm_event *events, size_t count, struct ray_err *err)
{
    assert(revision > ring->revision);
    for (size_t i = 0; i < count; i++) {
        assert(events[i].revision == revision);
        if (!add(ring, &events[i])) {
            coord_watch_ring_restart(ring, revision);
            return ray_fail(err, RAY_ENOMEM, "events of entry %llu: all watchers begin anew",
                            (unsigned long long)revision);
        }
    }
    ring->revision = revision;
    while (ring->count > ring->count_max || ring->size > ring->size_max) {
        drop_first_revision(ring);
    }
    return RAY_OK;
}

bool coord_watch_ring_has_after(const struct coord_watch_ring *ring, uint64_t revision)
{
    return revision >= ring->dropped_revision && revision <= ring->revision;
}

uint64_t coord_watch_ring_find_after(const struct coord_watch_ring *ring, uint64_t revision)
{
    size_t low = 0;
    size_t high = ring->count;

    assert(coord_watch_ring_has_after(ring, revision));
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (slot_at(ring, middle)->event.revision <= revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ring->first_number + low;
}

const struct coord_fsm_event *coord_watch_ring_at(const struct coord_watch_ring *ring,
                                                  uint64_t number)
{
    if (number < ring->first_number || number - ring->first_number >= ring->count) {
        return NULL;
    }
    return &slot_at(ring, (size_t)(number - ring->first_number))->event;
}

uint64_t coord_watch_ring_end(const struct coord_watch_ring *ring)
{
    return ring->first_number + ring->count;
}

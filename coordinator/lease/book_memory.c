/* book_memory.c - the two memories of the book. An incarnation heard longer ago than W may be
 * forgotten: its silence then counts from the election, which is older than that hearing, and
 * whoever is silent for W since it was heard has been so since the election, too. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/lease/book_impl.h"
#include "coordinator/mutant.h"

static void *allocate(size_t count, size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(count, size);
}

int coord_lease_heard_init(struct coord_lease_heard *heard, struct ray_err *err)
{
    int rc = coord_id_table_init(&heard->incarnations, COORD_LEASE_INCARNATIONS_MAX, err);

    if (rc != RAY_OK) {
        return rc;
    }
    heard->at = allocate(COORD_LEASE_INCARNATIONS_MAX, sizeof *heard->at);
    if (heard->at == NULL) {
        return ray_fail(err, RAY_ENOMEM, "book of %d incarnations", COORD_LEASE_INCARNATIONS_MAX);
    }
    return RAY_OK;
}

void coord_lease_heard_fini(struct coord_lease_heard *heard)
{
    coord_id_table_fini(&heard->incarnations);
    free(heard->at);
    heard->at = NULL;
}

void coord_lease_heard_clear(struct coord_lease_heard *heard)
{
    coord_id_table_clear(&heard->incarnations);
}

static void forget_silent(struct coord_lease_heard *heard, uint64_t now_ns, uint64_t wait_ns)
{
    for (uint32_t place = 0; place < heard->incarnations.capacity; place++) {
        if (!ray_id_is_none(&heard->incarnations.ids[place]) &&
            heard->at[place].request_count == 0 && now_ns - heard->at[place].at_ns > wait_ns) {
            coord_id_table_remove(&heard->incarnations, place);
        }
    }
}

static void forget_other_incarnations(struct coord_lease_heard *heard, const struct ray_id *node)
{
    for (uint32_t place = 0; place < heard->incarnations.capacity; place++) {
        if (!ray_id_is_none(&heard->incarnations.ids[place]) &&
            heard->at[place].request_count == 0 && ray_id_equal(&heard->at[place].node, node)) {
            coord_id_table_remove(&heard->incarnations, place);
        }
    }
}

uint32_t coord_lease_heard_note(struct coord_lease_heard *heard, uint64_t now_ns, uint64_t wait_ns,
                                const struct ray_id *node, const struct ray_id *incarnation)
{
    uint32_t place = coord_id_table_find(&heard->incarnations, incarnation);

    if (place == COORD_ID_TABLE_NONE) {
        if (RAY_MUTANT(LEASE_ADMISSION_RESETS)) {
            forget_other_incarnations(heard, node);
        }
        if (heard->incarnations.count == heard->incarnations.capacity) {
            forget_silent(heard, now_ns, wait_ns);
        }
        place = coord_id_table_insert(&heard->incarnations, incarnation);
        if (place == COORD_ID_TABLE_NONE) {
            return place;
        }
        heard->at[place] = (struct coord_lease_heard_at){.node = *node};
    }
    heard->at[place].at_ns = now_ns;
    return place;
}

const struct coord_lease_heard_at *coord_lease_heard_find(const struct coord_lease_heard *heard,
                                                          const struct ray_id *incarnation)
{
    uint32_t place = coord_id_table_find(&heard->incarnations, incarnation);

    return place == COORD_ID_TABLE_NONE ? NULL : &heard->at[place];
}

int coord_lease_pending_init(struct coord_lease_pending *pending, uint32_t capacity,
                             struct ray_err *err)
{
    int rc = coord_id_table_init(&pending->ids, capacity, err);

    if (rc != RAY_OK) {
        return rc;
    }
    pending->capacity = capacity;
    pending->counts = allocate(capacity, sizeof *pending->counts);
    pending->ring = allocate(capacity, sizeof *pending->ring);
    if (pending->counts == NULL || pending->ring == NULL) {
        return ray_fail(err, RAY_ENOMEM, "book of %u pending outcomes", capacity);
    }
    return RAY_OK;
}

void coord_lease_pending_fini(struct coord_lease_pending *pending)
{
    coord_id_table_fini(&pending->ids);
    free(pending->counts);
    free(pending->ring);
    *pending = (struct coord_lease_pending){0};
}

void coord_lease_pending_clear(struct coord_lease_pending *pending)
{
    coord_id_table_clear(&pending->ids);
    pending->first = 0;
    pending->count = 0;
}

int coord_lease_pending_add(struct coord_lease_pending *pending, const struct ray_id *id,
                            uint64_t index, struct ray_err *err)
{
    uint32_t last = (pending->first + pending->count - 1) % pending->capacity;
    uint32_t place;

    assert(pending->count == 0 || pending->ring[last].index <= index);
    if (pending->count == pending->capacity) {
        return ray_fail(err, RAY_EUNAVAILABLE, "%u outcomes wait to be applied", pending->count);
    }
    place = coord_id_table_find(&pending->ids, id);
    if (place == COORD_ID_TABLE_NONE) {
        place = coord_id_table_insert(&pending->ids, id);
        assert(place != COORD_ID_TABLE_NONE); /* as many places as ring items */
        pending->counts[place] = 0;
    }
    pending->counts[place]++;
    pending->ring[(pending->first + pending->count) % pending->capacity] =
        (struct coord_lease_pending_item){.index = index, .place = place};
    pending->count++;
    return RAY_OK;
}

void coord_lease_pending_applied(struct coord_lease_pending *pending, uint64_t index)
{
    while (pending->count > 0 && pending->ring[pending->first].index <= index) {
        uint32_t place = pending->ring[pending->first].place;

        assert(pending->counts[place] > 0);
        pending->counts[place]--;
        if (pending->counts[place] == 0) {
            coord_id_table_remove(&pending->ids, place);
        }
        pending->first = (pending->first + 1) % pending->capacity;
        pending->count--;
    }
}

bool coord_lease_pending_has(const struct coord_lease_pending *pending, const struct ray_id *id)
{
    return coord_id_table_find(&pending->ids, id) != COORD_ID_TABLE_NONE;
}

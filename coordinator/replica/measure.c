/* measure.c - counters for people; only written here, and never read by what decides. */
#include "coordinator/replica/impl.h"

void replica_measure_appended(struct coord_replica *r, uint64_t index, size_t count)
{
    struct replica_measure *measure = &r->measure;
    size_t slot = (measure->first + measure->count) % REPLICA_MEASURED_MAX;

    measure->counters.appended += count;
    /* A follower's log may have been cut: what was above is gone. */
    while (measure->count > 0) {
        size_t last = (measure->first + measure->count - 1) % REPLICA_MEASURED_MAX;

        if (measure->begun[last].index < index) {
            break;
        }
        measure->count--;
        slot = last;
    }
    if (measure->count < REPLICA_MEASURED_MAX) {
        measure->begun[slot].index = index;
        measure->begun[slot].begun_ns = replica_now_ns(r);
        measure->count++;
    }
}

void replica_measure_durable(struct coord_replica *r, uint64_t index)
{
    struct replica_measure *measure = &r->measure;
    uint64_t now_ns = replica_now_ns(r);

    while (measure->count > 0 && measure->begun[measure->first].index <= index) {
        ray_histogram_add(&measure->counters.append,
                          now_ns - measure->begun[measure->first].begun_ns);
        measure->first = (measure->first + 1) % REPLICA_MEASURED_MAX;
        measure->count--;
    }
}

void coord_replica_counters(const struct coord_replica *r, struct coord_replica_counters *out)
{
    *out = r->measure.counters;
}

size_t coord_replica_link_count(const struct coord_replica *r)
{
    size_t count = 0;

    for (const struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        count += peer->epoch != 0;
    }
    return count;
}

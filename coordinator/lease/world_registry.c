/* world_registry.c - the part of the registry that grants rest on, as DESIGN.md section 8 says it.
 * coordinator/fsm has the real one. */
#include <assert.h>

#include "coordinator/lease/world.h"
#include "coordinator/mutant.h"

void world_registry_init(struct world_registry *registry)
{
    *registry = (struct world_registry){
        .cluster_epoch = 1,
        .timing = {30000, 6000, 50000},
        .maxima = {30000, 6000, 50000},
        .is_settled = true,
    };
}

static bool is_allowed(const struct world_registry *registry, const struct world_guest *guest,
                       const struct world_entry *entry)
{
    if (guest->is_deleted || !ray_epoch_equal(guest->epoch, entry->expected)) {
        return false;
    }
    if (guest->epoch.cluster < registry->cluster_epoch && registry->unknown != 0 &&
        !RAY_MUTANT(LEASE_UNKNOWN_EXPIRED)) {
        return false;
    }
    switch (entry->origin) {
    case RAY_EPOCH_STOPPED:
    case RAY_EPOCH_START:
        return ray_id_equal(&entry->proposer, &guest->home_incarnation);
    case RAY_EPOCH_CANCEL:
        return guest->is_migrating && ray_id_equal(&entry->proposer, &guest->home_incarnation);
    case RAY_EPOCH_MIGRATION:
        return guest->is_migrating &&
               ray_id_equal(&entry->proposer, &guest->destination_incarnation) &&
               ray_id_equal(&entry->proposer, &registry->admitted[guest->destination]);
    case RAY_EPOCH_RESTART:
        return guest->is_stopped;
    case RAY_EPOCH_DEATH:
        return true;
    case RAY_EPOCH_CREATED:
        return ray_epoch_is_none(guest->epoch);
    case RAY_EPOCH_NONE:
    case RAY_EPOCH_ORIGIN_COUNT:
    default:
        return false;
    }
}

static void apply_outcome(struct world_registry *registry, const struct world_entry *entry,
                          uint64_t index)
{
    struct world_guest *guest = &registry->guests[entry->guest];
    bool keeps_epoch =
        (RAY_MUTANT(LEASE_CANCEL_KEEPS_EPOCH) && entry->origin == RAY_EPOCH_CANCEL) ||
        (RAY_MUTANT(LEASE_STOPPED_KEEPS_EPOCH) && entry->origin == RAY_EPOCH_STOPPED);

    if (!is_allowed(registry, guest, entry)) {
        return;
    }
    if (!keeps_epoch) {
        guest->from = guest->epoch;
        guest->epoch = (struct ray_epoch){registry->cluster_epoch, index};
        guest->origin = entry->origin;
    }
    guest->is_migrating = false;
    guest->is_stopped = entry->origin == RAY_EPOCH_STOPPED;
    if (entry->origin == RAY_EPOCH_MIGRATION) {
        guest->home = guest->destination;
        guest->home_incarnation = guest->destination_incarnation;
    } else if (entry->origin == RAY_EPOCH_DEATH || entry->origin == RAY_EPOCH_RESTART ||
               entry->origin == RAY_EPOCH_CREATED) {
        guest->home = entry->node;
        guest->home_incarnation = entry->incarnation;
    }
    if (RAY_MUTANT(LEASE_STOPPED_KEEPS_EPOCH) && entry->origin == RAY_EPOCH_RESTART) {
        guest->epoch = entry->expected; /* the next home runs at the same one, too */
    }
}

static void apply_timing(struct world_registry *registry, uint64_t grant_ns)
{
    if (registry->is_settled) {
        registry->timing.grant_ns = grant_ns;
        registry->maxima = coord_lease_timing_max(&registry->timing, &registry->maxima);
        registry->is_settled = false;
    }
}

static void apply_migration(struct world_registry *registry, const struct world_entry *entry)
{
    struct world_guest *guest = &registry->guests[entry->guest];

    if (guest->is_deleted || guest->is_stopped || guest->is_migrating ||
        !ray_epoch_equal(guest->epoch, entry->expected) || entry->node == guest->home ||
        guest->epoch.cluster < registry->cluster_epoch) {
        return;
    }
    guest->is_migrating = true;
    guest->destination = entry->node;
    guest->destination_incarnation = entry->incarnation;
}

void world_registry_apply(struct world_registry *registry, const struct world_entry *entry,
                          uint64_t index)
{
    assert(index == registry->index + 1);
    registry->index = index;
    switch (entry->kind) {
    case WORLD_NOOP:
        break;
    case WORLD_ADMIT:
        registry->admitted[entry->node] = entry->incarnation;
        break;
    case WORLD_OPEN_MIGRATION:
        apply_migration(registry, entry);
        break;
    case WORLD_OUTCOME:
        apply_outcome(registry, entry, index);
        break;
    case WORLD_WANT:
        registry->guests[entry->guest].is_wanted = entry->is_wanted;
        break;
    case WORLD_TIMING:
        apply_timing(registry, entry->grant_ns);
        break;
    case WORLD_SETTLED:
        registry->maxima = registry->timing;
        registry->is_settled = true;
        break;
    case WORLD_DELETE:
        if (ray_epoch_equal(registry->guests[entry->guest].epoch, entry->expected)) {
            registry->guests[entry->guest].is_deleted = true;
        }
        break;
    case WORLD_RECOVER:
        registry->cluster_epoch++;
        registry->unknown = ((1U << WORLD_NODES) - 1) & ~(1U << entry->node);
        break;
    case WORLD_CONFIRM_OFF:
        registry->unknown &= ~(1U << entry->node);
        break;
    default:
        assert(false);
    }
}

/* ---- what the book asks ---- */

static int node_index(const struct ray_id *id)
{
    for (int node = 0; node < WORLD_NODES; node++) {
        struct ray_id other = world_node_id(node);

        if (ray_id_equal(&other, id)) {
            return node;
        }
    }
    return -1;
}

static bool view_node(void *arg, const struct ray_id *node, struct ray_id *out_incarnation)
{
    const struct world_member *member = arg;
    int index = node_index(node);

    if (index < 0) {
        return false;
    }
    *out_incarnation = member->registry.admitted[index];
    return true;
}

static int view_pairs(void *arg, const struct ray_id *node, const struct ray_id *incarnation,
                      struct coord_lease_pair *out, size_t max, size_t *out_count)
{
    const struct world_registry *registry = &((const struct world_member *)arg)->registry;
    size_t count = 0;

    for (int i = WORLD_GUESTS - 1; i >= 0; i--) {
        const struct world_guest *guest = &registry->guests[i];

        if (ray_epoch_is_none(guest->epoch) || guest->is_stopped || guest->is_deleted ||
            guest->home != node_index(node) ||
            !ray_id_equal(&guest->home_incarnation, incarnation)) {
            continue;
        }
        assert(count < max);
        out[count++] = (struct coord_lease_pair){.id = world_guest_id(i),
                                                 .epoch = guest->epoch,
                                                 .from = guest->from,
                                                 .origin = guest->origin,
                                                 .kind = COORD_LEASE_GUEST};
    }
    *out_count = count;
    return RAY_OK;
}

static uint64_t view_cluster_epoch(void *arg)
{
    return ((const struct world_member *)arg)->registry.cluster_epoch;
}

static bool view_has_unknown(void *arg)
{
    return ((const struct world_member *)arg)->registry.unknown != 0;
}

static void view_timing(void *arg, struct coord_lease_timing *out_current,
                        struct coord_lease_timing *out_maxima)
{
    *out_current = ((const struct world_member *)arg)->registry.timing;
    *out_maxima = ((const struct world_member *)arg)->registry.maxima;
}

struct coord_lease_view world_view(struct world_member *member)
{
    return (struct coord_lease_view){.node = view_node,
                                     .pairs = view_pairs,
                                     .cluster_epoch = view_cluster_epoch,
                                     .has_unknown = view_has_unknown,
                                     .timing = view_timing,
                                     .arg = member};
}

/* choice.c - the order of the questions is the rule: first what a monitor that is there may be,
 * then what may be started. */
#include "coordinator/lease/choice.h"

#include <assert.h>
#include <stddef.h>

#include "coordinator/mutant.h"

static struct coord_lease_choice choice(enum coord_lease_act act, struct ray_epoch epoch)
{
    return (struct coord_lease_choice){.act = act, .epoch = epoch};
}

static bool is_copy_of(const struct coord_lease_facts *facts)
{
    const struct coord_lease_pair *pair = facts->pair;

    if (RAY_MUTANT(LEASE_FOREIGN_COPY)) {
        return true;
    }
    if (!ray_epoch_equal(pair->from, facts->copy_epoch)) {
        return false;
    }
    return (facts->copy == RAY_GRANT_COPY_FROZEN && pair->origin == RAY_EPOCH_CANCEL) ||
           (facts->copy == RAY_GRANT_COPY_LOADED && pair->origin == RAY_EPOCH_MIGRATION);
}

static struct coord_lease_choice choose_with_monitor(const struct coord_lease_facts *facts)
{
    const struct coord_lease_pair *pair = facts->pair;
    int order = ray_epoch_compare(facts->copy_epoch, pair->epoch);

    if (order > 0) {
        return choice(COORD_LEASE_ACT_NONE, pair->epoch); /* the list is older than the copy */
    }
    if (order < 0) {
        if (!is_copy_of(facts)) {
            return choice(COORD_LEASE_ACT_END, facts->copy_epoch);
        }
        return choice(facts->is_alive ? COORD_LEASE_ACT_ADOPT : COORD_LEASE_ACT_NONE, pair->epoch);
    }
    if (facts->is_migrating) {
        return choice(COORD_LEASE_ACT_NONE, pair->epoch);
    }
    if (facts->copy == RAY_GRANT_COPY_FROZEN) {
        return choice(COORD_LEASE_ACT_PROPOSE_CANCEL, pair->epoch);
    }
    if (!facts->is_wanted && RAY_MUTANT(LEASE_STOPPED_UNBURNED)) {
        return choice(COORD_LEASE_ACT_PROPOSE_STOPPED, pair->epoch);
    }
    if (!facts->is_wanted || facts->copy == RAY_GRANT_COPY_LOADED) {
        return choice(COORD_LEASE_ACT_END, pair->epoch);
    }
    return choice(COORD_LEASE_ACT_NONE, pair->epoch);
}

static struct coord_lease_choice choose_without_monitor(const struct coord_lease_facts *facts)
{
    const struct coord_lease_pair *pair = facts->pair;

    if (RAY_MUTANT(LEASE_SECOND_RUN) && facts->is_wanted && facts->is_alive) {
        return choice(COORD_LEASE_ACT_FORK, pair->epoch);
    }
    if (ray_epoch_compare(pair->epoch, facts->burned) <= 0) {
        if (!facts->is_wanted) {
            return choice(COORD_LEASE_ACT_PROPOSE_STOPPED, pair->epoch);
        }
        return choice(facts->is_migrating ? COORD_LEASE_ACT_NONE : COORD_LEASE_ACT_PROPOSE_START,
                      pair->epoch);
    }
    if (!facts->is_wanted) {
        return choice(COORD_LEASE_ACT_END, pair->epoch); /* burns it; then `stopped` */
    }
    return choice(facts->is_alive ? COORD_LEASE_ACT_FORK : COORD_LEASE_ACT_NONE, pair->epoch);
}

/* At home here, from before a recovery: nothing lists it until an outcome raises its epoch. */
static struct coord_lease_choice choose_of_older_cluster(const struct coord_lease_facts *facts)
{
    bool has_monitor = facts->copy != RAY_GRANT_COPY_ENDED;

    if (facts->is_wanted) {
        return choice(COORD_LEASE_ACT_PROPOSE_START, facts->known_epoch);
    }
    if (has_monitor || ray_epoch_compare(facts->burned, facts->known_epoch) < 0) {
        return choice(COORD_LEASE_ACT_END, facts->known_epoch);
    }
    return choice(COORD_LEASE_ACT_PROPOSE_STOPPED, facts->known_epoch);
}

/* Not in the newest list: left out while an outcome is pending, gone, or of an earlier cluster
 * epoch. Only what the registry has committed may end a copy. */
static struct coord_lease_choice choose_without_pair(const struct coord_lease_facts *facts)
{
    bool has_monitor = facts->copy != RAY_GRANT_COPY_ENDED;

    if (has_monitor && !facts->is_home &&
        ray_epoch_compare(facts->known_epoch, facts->copy_epoch) > 0) {
        return choice(COORD_LEASE_ACT_END, facts->copy_epoch);
    }
    if (facts->is_home && facts->known_epoch.cluster < facts->cluster_epoch) {
        return choose_of_older_cluster(facts);
    }
    return choice(COORD_LEASE_ACT_NONE, facts->known_epoch);
}

struct coord_lease_choice coord_lease_choose(const struct coord_lease_facts *facts)
{
    assert(facts != NULL);
    if (facts->pair == NULL) {
        return choose_without_pair(facts);
    }
    if (facts->copy != RAY_GRANT_COPY_ENDED) {
        return choose_with_monitor(facts);
    }
    return choose_without_monitor(facts);
}

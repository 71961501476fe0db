/* agent.c - invariant: a slot is alive only at a pair that some answer listed, until t_send of
 * that answer's renewal plus the T that it carried. So a leader that has heard nothing for W knows
 * that no slot is alive, whatever was lost, delayed or repeated in between. */
#include "coordinator/lease/agent.h"

#include <assert.h>
#include <string.h>

#include "coordinator/mutant.h"

enum { NO_SLOT = RAY_GRANT_SLOTS_MAX };

/* What an earlier process was granted before a recovery is granted no more. */
static void kill_older(struct ray_grant_page *page, uint64_t cluster_epoch)
{
    struct ray_epoch epoch;
    struct ray_id id;

    for (size_t slot = 0; slot < RAY_GRANT_SLOTS_MAX; slot++) {
        if (ray_grant_page_pair(page, slot, &id, &epoch) && epoch.cluster != cluster_epoch) {
            ray_grant_page_kill(page, slot);
        }
    }
}

static size_t find_end(const struct ray_grant_page *page)
{
    struct ray_epoch epoch;
    struct ray_id id;
    size_t end = RAY_GRANT_SLOTS_MAX;

    while (end > 0 && !ray_grant_page_pair(page, end - 1, &id, &epoch)) {
        end--;
    }
    return end;
}

void coord_lease_agent_init(struct coord_lease_agent *agent, struct ray_grant_page *page,
                            const struct ray_id *node, const struct ray_id *incarnation,
                            uint64_t cluster_epoch, uint64_t interval_ns)
{
    assert(agent != NULL && page != NULL && interval_ns > 0);
    assert(!ray_id_is_none(node) && !ray_id_is_none(incarnation));
    memset(agent, 0, sizeof *agent);
    agent->page = page;
    agent->node = *node;
    agent->incarnation = *incarnation;
    agent->cluster_epoch = cluster_epoch;
    agent->interval_ns = interval_ns;
    if (!RAY_MUTANT(LEASE_RECOVERY_TRUSTS)) {
        kill_older(page, cluster_epoch);
    }
    agent->slot_end = find_end(page);
}

uint64_t coord_lease_agent_renew_at(const struct coord_lease_agent *agent)
{
    assert(agent != NULL);
    return agent->is_refused ? UINT64_MAX : agent->renew_at_ns;
}

void coord_lease_agent_renew(struct coord_lease_agent *agent, uint64_t now_ns,
                             struct coord_lease_renew *out)
{
    assert(agent != NULL && out != NULL && now_ns >= agent->last_t_send_ns);
    agent->last_t_send_ns = now_ns;
    agent->renew_at_ns = now_ns + agent->interval_ns;
    *out = (struct coord_lease_renew){
        .node = agent->node,
        .incarnation = agent->incarnation,
        .cluster_epoch = agent->cluster_epoch,
        .t_send_ns = now_ns,
    };
    if (agent->has_list) {
        out->hash = agent->hash;
    }
}

static size_t find_slot(const struct coord_lease_agent *agent, const struct ray_id *id)
{
    struct ray_epoch epoch;
    struct ray_id other;

    for (size_t slot = 0; slot < agent->slot_end; slot++) {
        if (ray_grant_page_pair(agent->page, slot, &other, &epoch) && ray_id_equal(&other, id)) {
            return slot;
        }
    }
    return NO_SLOT;
}

static size_t find_or_take_slot(struct coord_lease_agent *agent, const struct ray_id *id,
                                struct ray_epoch epoch)
{
    struct ray_epoch other_epoch;
    struct ray_id other;
    size_t slot = find_slot(agent, id);

    if (slot != NO_SLOT) {
        return slot;
    }
    for (slot = 0; slot < RAY_GRANT_SLOTS_MAX; slot++) {
        if (!ray_grant_page_pair(agent->page, slot, &other, &other_epoch)) {
            ray_grant_page_set(agent->page, slot, id, epoch, 0);
            agent->slot_end = slot < agent->slot_end ? agent->slot_end : slot + 1;
            return slot;
        }
    }
    return NO_SLOT;
}

const struct coord_lease_pair *coord_lease_agent_pair(const struct coord_lease_agent *agent,
                                                      const struct ray_id *id)
{
    size_t low = 0;
    size_t high;

    assert(agent != NULL && id != NULL);
    high = agent->pair_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = ray_id_compare(&agent->pairs[middle].id, id);

        if (order == 0) {
            return &agent->pairs[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Slots that nobody reads and no list names. */
static void clear_unused_slots(struct coord_lease_agent *agent)
{
    struct ray_epoch epoch;
    struct ray_id id;

    for (size_t slot = 0; slot < agent->slot_end; slot++) {
        if (ray_grant_page_pair(agent->page, slot, &id, &epoch) && !agent->has_monitor[slot] &&
            coord_lease_agent_pair(agent, &id) == NULL) {
            ray_grant_page_clear(agent->page, slot);
        }
    }
}

static void place_pairs(struct coord_lease_agent *agent)
{
    for (size_t i = 0; i < agent->pair_count; i++) {
        agent->pair_slots[i] =
            (uint16_t)find_or_take_slot(agent, &agent->pairs[i].id, agent->pairs[i].epoch);
    }
}

static void move_pairs(struct coord_lease_agent *agent, uint64_t deadline_ns)
{
    for (size_t i = 0; i < agent->pair_count; i++) {
        const struct coord_lease_pair *pair = &agent->pairs[i];
        size_t slot = agent->pair_slots[i];

        if (slot == NO_SLOT) {
            slot = find_or_take_slot(agent, &pair->id, pair->epoch);
            agent->pair_slots[i] = (uint16_t)slot;
        }
        if (slot == NO_SLOT) {
            continue;
        }
        if (RAY_MUTANT(LEASE_HALF_SLOT) && deadline_ns / 1000 % 2 == 0) {
            /* As seen from between the steps of a wrong order. */
            ray_grant_page_step(agent->page, slot, RAY_GRANT_STEP_DEADLINE, &pair->id, pair->epoch,
                                deadline_ns);
            continue;
        }
        ray_grant_page_set(agent->page, slot, &pair->id, pair->epoch, deadline_ns);
    }
    if (RAY_MUTANT(LEASE_NODE_DEADLINE)) {
        struct ray_epoch epoch;
        struct ray_id id;

        for (size_t slot = 0; slot < agent->slot_end; slot++) {
            if (ray_grant_page_pair(agent->page, slot, &id, &epoch)) {
                ray_grant_page_set(agent->page, slot, &id, epoch, deadline_ns);
            }
        }
    }
}

static int check_answer(const struct coord_lease_agent *agent,
                        const struct coord_lease_answer *answer, struct ray_err *err)
{
    if (!ray_id_equal(&answer->node, &agent->node) ||
        !ray_id_equal(&answer->incarnation, &agent->incarnation) ||
        answer->t_send_ns > agent->last_t_send_ns) {
        return ray_fail(err, RAY_EMALFORMED, "an answer to a renewal that was not sent from here");
    }
    if (answer->cluster_epoch != agent->cluster_epoch) {
        return ray_fail(err, RAY_ECONFLICT, "an answer of cluster epoch %llu, this is %llu",
                        (unsigned long long)answer->cluster_epoch,
                        (unsigned long long)agent->cluster_epoch);
    }
    if (answer->t_send_ns <= agent->dropped_at_ns || answer->t_send_ns < agent->newest_t_send_ns) {
        return ray_fail(err, RAY_ECONFLICT, "an answer older than what is known");
    }
    return RAY_OK;
}

static int check_list(const struct coord_lease_answer *answer, struct ray_err *err)
{
    struct coord_lease_hash hash;

    if (answer->pair_count > COORD_LEASE_PAIRS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "a list of %zu pairs, at most %d", answer->pair_count,
                        COORD_LEASE_PAIRS_MAX);
    }
    for (size_t i = 0; i < answer->pair_count; i++) {
        if (ray_id_is_none(&answer->pairs[i].id) ||
            (i > 0 && ray_id_compare(&answer->pairs[i - 1].id, &answer->pairs[i].id) >= 0)) {
            return ray_fail(err, RAY_EMALFORMED, "a list that is not in order");
        }
    }
    hash = coord_lease_hash_of(answer->pairs, answer->pair_count);
    if (!coord_lease_hash_equal(&hash, &answer->hash)) {
        return ray_fail(err, RAY_EMALFORMED, "a list with another list's hash");
    }
    return RAY_OK;
}

static int take_list(struct coord_lease_agent *agent, const struct coord_lease_answer *answer,
                     struct ray_err *err)
{
    int rc;

    if (answer->is_unchanged) {
        if (!agent->has_list || (!coord_lease_hash_equal(&agent->hash, &answer->hash) &&
                                 !RAY_MUTANT(LEASE_UNCHANGED_ANY))) {
            return ray_fail(err, RAY_ECONFLICT, "'unchanged' of a list that is not here any more");
        }
        return RAY_OK;
    }
    rc = check_list(answer, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (answer->pair_count > 0) {
        memcpy(agent->pairs, answer->pairs, answer->pair_count * sizeof agent->pairs[0]);
    }
    agent->pair_count = answer->pair_count;
    agent->hash = answer->hash;
    agent->has_list = true;
    clear_unused_slots(agent);
    place_pairs(agent);
    return RAY_OK;
}

int coord_lease_agent_answer(struct coord_lease_agent *agent, uint64_t now_ns,
                             const struct coord_lease_answer *answer, struct ray_err *err)
{
    int rc;

    assert(agent != NULL && answer != NULL);
    rc = check_answer(agent, answer, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (answer->status != COORD_LEASE_GRANTED) {
        coord_lease_agent_drop(agent, now_ns);
        agent->is_refused = true;
        return ray_fail(err, RAY_EDENIED,
                        answer->status == COORD_LEASE_DUPLICATE
                            ? "another incarnation of this node was admitted"
                            : "this node is no member");
    }
    if (answer->grant_ns == 0 || answer->grant_ns > COORD_LEASE_TIME_MAX_NS) {
        return ray_fail(err, RAY_EMALFORMED, "a grant of %llu ns",
                        (unsigned long long)answer->grant_ns);
    }
    rc = take_list(agent, answer, err);
    if (rc != RAY_OK) {
        return rc;
    }
    agent->newest_t_send_ns = answer->t_send_ns;
    move_pairs(agent, answer->t_send_ns + answer->grant_ns);
    return RAY_OK;
}

void coord_lease_agent_drop(struct coord_lease_agent *agent, uint64_t now_ns)
{
    assert(agent != NULL);
    for (size_t slot = 0; slot < RAY_GRANT_SLOTS_MAX; slot++) {
        ray_grant_page_kill(agent->page, slot);
    }
    agent->dropped_at_ns = now_ns;
    agent->renew_at_ns = now_ns;
}

void coord_lease_agent_set_cluster_epoch(struct coord_lease_agent *agent, uint64_t now_ns,
                                         uint64_t cluster_epoch)
{
    assert(agent != NULL);
    if (agent->cluster_epoch == cluster_epoch) {
        return;
    }
    agent->cluster_epoch = cluster_epoch;
    if (RAY_MUTANT(LEASE_RECOVERY_TRUSTS)) {
        return;
    }
    agent->has_list = false;
    agent->pair_count = 0;
    coord_lease_agent_drop(agent, now_ns);
}

bool coord_lease_agent_check_clock(struct coord_lease_agent *agent, uint64_t now_ns,
                                   uint64_t rtc_ns)
{
    assert(agent != NULL);
    if (!coord_lease_clock_check_step(&agent->clock_check, now_ns, rtc_ns)) {
        return false;
    }
    coord_lease_agent_drop(agent, now_ns);
    return true;
}

bool coord_lease_agent_is_alive(const struct coord_lease_agent *agent, uint64_t now_ns,
                                const struct ray_id *id, struct ray_epoch epoch, size_t *out_slot)
{
    size_t slot = find_slot(agent, id);

    if (slot == NO_SLOT || now_ns >= ray_grant_page_deadline(agent->page, slot, id, epoch)) {
        return false;
    }
    if (out_slot != NULL) {
        *out_slot = slot;
    }
    return true;
}

int coord_lease_agent_hold(struct coord_lease_agent *agent, const struct ray_id *id,
                           size_t *out_slot, struct ray_err *err)
{
    size_t slot;

    assert(agent != NULL && id != NULL && out_slot != NULL);
    slot = find_or_take_slot(agent, id, (struct ray_epoch){0, 0});
    if (slot == NO_SLOT) {
        return ray_fail(err, RAY_EUNAVAILABLE, "every one of the %d slots is in use",
                        RAY_GRANT_SLOTS_MAX);
    }
    agent->has_monitor[slot] = true;
    *out_slot = slot;
    return RAY_OK;
}

void coord_lease_agent_reaped(struct coord_lease_agent *agent, const struct ray_id *id)
{
    size_t slot = find_slot(agent, id);

    if (slot == NO_SLOT) {
        return;
    }
    agent->has_monitor[slot] = false;
    if (coord_lease_agent_pair(agent, id) == NULL) {
        ray_grant_page_clear(agent->page, slot);
    }
}

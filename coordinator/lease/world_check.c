/* world_check.c - the ten lemmas. */
#include <assert.h>
#include <stdio.h>

#include "coordinator/lease/world.h"

enum { TERMS_OF_RECOVERY = 128 };

void world_violate(struct world *world, const char *lemma, int guest, int machine)
{
    if (world->lemma != NULL) {
        return;
    }
    world->lemma = lemma;
    (void)snprintf(world->detail, sizeof world->detail, "tick %llu, guest %d, machine %d",
                   (unsigned long long)world->tick, guest, machine);
}

/* The guest runs and changes its memory. */
static void stamp_run(struct world *world, int guest, struct world_copy *copy)
{
    world->run_stamp++;
    world->last_run[guest] = world->run_stamp;
    copy->memory = world->run_stamp;
    copy->is_fresh = false;
}

/* 1: at most one machine runs a guest; 8: a deleted guest runs nowhere. */
static void check_runs(struct world *world, int guest)
{
    int runner = -1;

    for (int i = 0; i < WORLD_MACHINES; i++) {
        const struct world_copy *copy = &world->machines[i].copies[guest];
        const struct world_member *newest =
            world_newest(world, world->machines[i].agent.cluster_epoch);

        if (!world->machines[i].is_on || !copy->is_there || !copy->is_running) {
            continue;
        }
        if (runner >= 0) {
            world_violate(world, "1 two machines run a guest", guest, i);
        }
        runner = i;
        if (newest != NULL && newest->registry.guests[guest].is_deleted) {
            world_violate(world, "8 a guest without a volume runs", guest, i);
        }
    }
    if (runner >= 0) {
        world->run_ticks++;
        stamp_run(world, guest, &world->machines[runner].copies[guest]);
    }
}

static int guest_of(const struct ray_id *id)
{
    for (int i = 0; i < WORLD_GUESTS; i++) {
        struct ray_id other = world_guest_id(i);

        if (ray_id_equal(&other, id)) {
            return i;
        }
    }
    return -1;
}

/* 3: a live slot means that its epoch was not ended, or is burned there.
 * 9: and it lives no longer than the largest T that the registry knows. */
static void check_slots(struct world *world, int machine)
{
    const struct world_machine *m = &world->machines[machine];
    const struct world_member *newest = world_newest(world, m->agent.cluster_epoch);
    uint64_t now_ns = world_local(world, m);

    for (size_t slot = 0; newest != NULL && slot < m->agent.slot_end; slot++) {
        const struct world_registry *registry = &newest->registry;
        struct ray_epoch burned;
        struct ray_epoch epoch;
        uint64_t deadline_ns;
        struct ray_id id;

        if (!ray_grant_page_pair(m->page, slot, &id, &epoch)) {
            continue;
        }
        deadline_ns = ray_grant_page_deadline(m->page, slot, &id, epoch);
        if (deadline_ns <= now_ns) {
            continue;
        }
        burned = coord_launcher_burned(m->launcher, &id);
        if (ray_epoch_compare(registry->guests[guest_of(&id)].epoch, epoch) > 0 &&
            ray_epoch_compare(burned, epoch) < 0) {
            world_violate(world, "3 a live slot of an epoch that was ended", guest_of(&id),
                          machine);
        }
        if (deadline_ns - now_ns > registry->maxima.grant_ns) {
            world_violate(world, "9 a T above the maximum", guest_of(&id), machine);
        }
    }
}

void world_check_tick(struct world *world)
{
    for (int i = 0; i < WORLD_GUESTS; i++) {
        check_runs(world, i);
    }
    for (int i = 0; i < WORLD_MACHINES; i++) {
        if (world->machines[i].is_on) {
            check_slots(world, i);
        }
    }
}

/* 2: a copy resumes only if nobody ran since it was frozen. */
void world_check_resume(struct world *world, int machine, int guest)
{
    struct world_copy *copy = &world->machines[machine].copies[guest];

    if (!copy->is_fresh && copy->memory != world->last_run[guest]) {
        world_violate(world, "2 stale memory resumes", guest, machine);
    }
    stamp_run(world, guest, copy);
}

/* 4: when a death take-over is appended nobody runs and no slot is alive; judged when it takes
 * effect, because a deposed leader's entry may never. */
void world_check_death(struct world *world, struct world_entry *entry)
{
    struct ray_id id = world_guest_id(entry->guest);

    for (int i = 0; i < WORLD_MACHINES; i++) {
        const struct world_machine *m = &world->machines[i];
        size_t slot;

        if (m->is_on && (m->copies[entry->guest].is_running ||
                         coord_lease_agent_is_alive(&m->agent, world_local(world, m), &id,
                                                    entry->expected, &slot))) {
            entry->was_alive = true;
        }
    }
}

/* 5: an epoch is run once. */
void world_note_run(struct world *world, int guest, struct ray_epoch epoch)
{
    for (int i = 0; i < world->fork_count; i++) {
        if (world->forks[i].guest == guest && ray_epoch_equal(world->forks[i].epoch, epoch)) {
            world_violate(world, "5 an epoch is run a second time", guest, -1);
        }
    }
    assert(world->fork_count < WORLD_FORKS_MAX);
    world->forks[world->fork_count++] = (struct world_fork){.guest = guest, .epoch = epoch};
}

/* 6: no answer before the no-op is applied, nor with an outcome for a listed guest pending. */
void world_check_answer(struct world *world, const struct world_member *member,
                        const struct coord_lease_answer *answer)
{
    if (member->registry.index < member->noop_index) {
        world_violate(world, "6 an answer before the own no-op", -1, member->node);
    }
    for (size_t i = 0; i < answer->pair_count; i++) {
        int guest = guest_of(&answer->pairs[i].id);

        for (uint64_t at = member->registry.index + 1; at <= member->log_count; at++) {
            const struct world_entry *entry = &member->log[at];

            if ((entry->kind == WORLD_OUTCOME || entry->kind == WORLD_DELETE) &&
                entry->guest == guest) {
                world_violate(world, "6 an answer lists a guest with a pending outcome", guest,
                              member->node);
            }
        }
    }
}

/* 4: what no answer lists is not moved, and 7: every answer's t_send is older than the next
 * election. */
void world_check_taken(struct world *world, int machine, const struct world_message *message)
{
    const struct world_machine *m = &world->machines[machine];
    uint64_t end = message->term < TERMS_OF_RECOVERY ? TERMS_OF_RECOVERY : WORLD_TERMS_MAX;
    uint64_t age_ns = world_local(world, m) - message->answer.t_send_ns;
    uint64_t age_ticks = age_ns * 1000 / m->clock_ppm;

    struct coord_lease_hash hash = coord_lease_hash_of(m->agent.pairs, m->agent.pair_count);

    if (!coord_lease_hash_equal(&hash, &message->answer.hash)) {
        world_violate(world, "4 a list was moved that the answer does not list", -1, machine);
    }
    for (uint64_t term = message->term + 1; term < end; term++) {
        uint64_t election = world->election_tick[term];

        /* A tick for rounding. */
        if (election != 0 && world->tick - age_ticks > election + 1) {
            world_violate(world, "7 an answer to a renewal from after the next election", -1,
                          machine);
        }
    }
}

/* 10: healed, each wanted guest runs. */
void world_check_progress(struct world *world)
{
    uint64_t cluster_epoch = world->has_recovered ? 2 : 1;
    const struct world_member *newest = world_newest(world, cluster_epoch);

    for (int i = 0; newest != NULL && i < WORLD_GUESTS; i++) {
        const struct world_guest *guest = &newest->registry.guests[i];
        bool is_running = false;

        for (int machine = 0; machine < WORLD_MACHINES; machine++) {
            is_running = is_running || world->machines[machine].copies[i].is_running;
        }
        if (guest->is_wanted && !guest->is_deleted && !is_running) {
            world_violate(world, "10 a wanted guest does not run", i, guest->home);
        }
    }
}

/* What the replica of an agent's process tells, on its way to the checkers of grants. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/grants_agent.h"
#include "tests/sim/mem.h"

static bool is_ghost(const struct sim_agent *agent)
{
    return !sim_proc_is_live(agent->machine->proc);
}

void sim_agent_led(struct sim_agent *agent, uint64_t term)
{
    if (!is_ghost(agent)) {
        sim_check_grants_led(&agent->grants->check, term, agent->grants->world->now_ns);
    }
}

/* ---- outcomes, appended and applied ---- */

/* NULL: no outcome about one of our guests. The caller frees. */
static Rayos__Registry__Command *outcome_of(const struct coord_entry *entry, uint32_t *out_guest)
{
    Rayos__Registry__Command *command = NULL;
    struct ray_id id;

    if (entry->type == COORD_ENTRY_COMMAND) {
        command = rayos__registry__command__unpack(NULL, entry->size, entry->data);
    }
    if (command != NULL && command->body_case == RAYOS__REGISTRY__COMMAND__BODY_OUTCOME &&
        ray_id_from_bytes(command->outcome->guest.data, command->outcome->guest.len, &id, NULL) ==
            RAY_OK) {
        *out_guest = sim_guest_of(&id);
        if (*out_guest < SIM_GUESTS_MAX) {
            return command;
        }
    }
    rayos__registry__command__free_unpacked(command, NULL);
    return NULL;
}

/* An entry takes the place of all that were there from its index on. */
static void cut_outcomes(struct sim_agent *agent, uint64_t index)
{
    while (agent->outcome_count > 0 && agent->outcomes[agent->outcome_count - 1].index >= index) {
        agent->outcome_count--;
    }
}

static void note_outcome(struct sim_agent *agent, uint64_t index, uint32_t guest)
{
    if (agent->outcome_count == SIM_AGENT_OUTCOMES_MAX) {
        memmove(agent->outcomes, agent->outcomes + SIM_AGENT_OUTCOMES_MAX / 2,
                sizeof agent->outcomes / 2);
        agent->outcome_count -= SIM_AGENT_OUTCOMES_MAX / 2;
    }
    agent->outcomes[agent->outcome_count++] =
        (struct sim_agent_outcome){.index = index, .guest = guest};
}

void sim_agent_appended(struct sim_agent *agent, const struct coord_entry *entry)
{
    struct sim_check_grants *check = &agent->grants->check;
    Rayos__Registry__Command *command;
    uint32_t guest = SIM_GUESTS_MAX;

    if (is_ghost(agent)) {
        return;
    }
    sim_check_grants_appended(check, entry->index, entry->term);
    cut_outcomes(agent, entry->index);
    command = outcome_of(entry, &guest);
    if (command == NULL) {
        return;
    }
    note_outcome(agent, entry->index, guest);
    if (command->outcome->entry == RAYOS__REGISTRY__ORIGIN__ORIGIN_DEATH) {
        const Rayos__Registry__Epoch *epoch = command->outcome->expected_epoch;
        struct ray_epoch expected = {epoch != NULL ? epoch->cluster : 0,
                                     epoch != NULL ? epoch->index : 0};

        sim_check_grants_death(check, entry->index, entry->term,
                               sim_grants_is_alive(agent->grants, guest, expected));
    }
    rayos__registry__command__free_unpacked(command, NULL);
}

static struct sim_grants_guest guest_now(const struct coord_fsm *fsm, uint32_t guest)
{
    struct ray_id id = sim_guest_id(guest);
    const struct coord_object *object = coord_fsm_find(fsm, COORD_GUEST, &id);
    struct sim_grants_guest now = {.is_there = object != NULL};

    if (object == NULL) {
        return now;
    }
    now.is_wanted = object->guest.is_wanted && !object->is_gone;
    now.has_run = object->guest.has_run;
    now.epoch = object->guest.epoch;
    for (uint32_t i = 0; i < object->guest.volume_count; i++) {
        const struct coord_object *volume =
            coord_fsm_find(fsm, COORD_VOLUME, &object->guest.volumes[i]);

        now.has_writer = now.has_writer || (volume != NULL && volume->volume.has_writer);
    }
    return now;
}

static bool count_outcome(struct sim_agent *agent, const struct coord_entry *entry,
                          const struct coord_fsm_outcome *outcome)
{
    Rayos__Registry__Command *command;
    uint32_t guest;
    int origin;

    if (outcome == NULL || outcome->result.code != RAY_OK || outcome->result.is_retry) {
        return false;
    }
    command = outcome_of(entry, &guest);
    if (command == NULL) {
        return false;
    }
    origin = (int)command->outcome->entry;
    rayos__registry__command__free_unpacked(command, NULL);
    sim_trace(agent->grants->world, "entry %" PRIu64 ": outcome %d of guest %" PRIu32, entry->index,
              origin, guest);
    agent->grants->death_count += origin == RAYOS__REGISTRY__ORIGIN__ORIGIN_DEATH;
    agent->grants->migration_count += origin == RAYOS__REGISTRY__ORIGIN__ORIGIN_MIGRATION;
    return origin == RAYOS__REGISTRY__ORIGIN__ORIGIN_DEATH;
}

/* Who is unknown after a recovery, as of this entry. */
static void check_unknown(struct sim_agent *agent, const struct coord_cluster *cluster)
{
    struct sim_grants *grants = agent->grants;
    uint32_t unknown = 0;
    uint32_t alive = 0;

    for (uint32_t i = 0; i < grants->cluster->node_count; i++) {
        for (uint32_t k = 0; k < cluster->unknown_count; k++) {
            if (ray_id_equal(&cluster->unknown_nodes[k], &grants->cluster->nodes[i])) {
                unknown |= 1U << i;
            }
        }
        if ((grants->check.unknown >> i & 1) != 0 &&
            sim_grants_is_older_alive(grants, i, cluster->cluster_epoch)) {
            alive |= 1U << i;
        }
    }
    sim_check_grants_unknown(&grants->check, unknown, alive);
}

void sim_agent_applied(struct sim_agent *agent, struct coord_fsm *fsm,
                       const struct coord_entry *entry, const struct coord_fsm_outcome *outcome)
{
    struct sim_check_grants *check = &agent->grants->check;
    const struct coord_object *cluster = coord_fsm_cluster(fsm);

    if (is_ghost(agent) || entry->index <= check->committed_index) {
        return;
    }
    (void)sim_check_grants_committed(check, entry->index, entry->term,
                                     count_outcome(agent, entry, outcome));
    if (cluster != NULL) {
        check->grant_ns_max = cluster->cluster.grant_ms_max * SIM_MS;
        check_unknown(agent, &cluster->cluster);
    }
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        struct sim_grants_guest now = guest_now(fsm, i);

        sim_check_grants_guest(check, i, &now, sim_grants_runner(agent->grants, i, SIM_NOBODY));
    }
    sim_grants_check_slots(agent->grants);
}

/* ---- answers to renewals ---- */

static bool is_pending(const struct sim_agent *agent, uint64_t applied_index,
                       const struct ray_id *id, uint32_t *out_guest)
{
    uint32_t guest = sim_guest_of(id);

    for (size_t i = agent->outcome_count; i > 0; i--) {
        const struct sim_agent_outcome *outcome = &agent->outcomes[i - 1];

        if (outcome->index > applied_index && outcome->guest == guest) {
            *out_guest = guest;
            return true;
        }
    }
    return false;
}

static const struct sim_grants_machine *machine_of(const struct sim_grants *grants,
                                                   const struct coord_lease_answer *answer)
{
    for (uint32_t i = 0; i < grants->cluster->node_count; i++) {
        if (ray_id_equal(&grants->cluster->nodes[i], &answer->node) &&
            ray_id_equal(&grants->machines[i].incarnation, &answer->incarnation)) {
            return &grants->machines[i];
        }
    }
    return NULL;
}

void sim_agent_answers(struct sim_agent *agent, uint64_t term,
                       const struct coord_lease_answer *answer)
{
    const struct sim_grants_machine *machine = machine_of(agent->grants, answer);
    const struct coord_lease_pair *pairs = answer->pairs;
    size_t count = answer->pair_count;
    uint32_t pending = SIM_NOBODY;
    const uint64_t *sent_ns;

    if (is_ghost(agent) || answer->status != COORD_LEASE_GRANTED || machine == NULL) {
        return;
    }
    sent_ns = sim_map_get(&machine->sent, answer->t_send_ns, machine->boot);
    if (answer->is_unchanged && machine->agent != NULL &&
        coord_lease_hash_equal(&machine->agent->lease.hash, &answer->hash)) {
        pairs = machine->agent->lease.pairs;
        count = machine->agent->lease.pair_count;
    }
    for (size_t i = 0; i < count && pending == SIM_NOBODY; i++) {
        (void)is_pending(agent, answer->revision, &pairs[i].id, &pending);
    }
    if (sent_ns != NULL) {
        sim_check_grants_answer(&agent->grants->check, term, answer->revision, *sent_ns, pending);
    }
}

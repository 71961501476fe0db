/* What is wanted: somebody who creates, stops, moves and deletes guests, and a scheduler that
 * gives them homes. Both look at the registry of their member alone, and know nothing of silence:
 * take-overs by death are proposed at any time, and the leader's book has to refuse them. */
#include <inttypes.h>
#include <stdio.h>

#include "net/proto_codec.h"
#include "tests/sim/grants_agent.h"

enum { LOST_EVERY = 3, RESTART_EVERY = 4, ATTACH_EVERY = 5, OTHERS_EVERY = 6 };

static bool comes(struct sim_agent *agent, uint32_t every)
{
    return every != 0 && sim_rng_one_in(&agent->grants->rng, every);
}

static struct coord_fsm *registry(const struct sim_agent *agent)
{
    return agent->watched;
}

static struct ray_id volume_id(uint32_t guest)
{
    struct ray_id id = {{'v', 'o', 'l'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(guest + 1);
    return id;
}

static bool takes_guests(const struct coord_object *node)
{
    return node != NULL && node->node.state == COORD_NODE_MEMBER && node->node.is_fit_for_leases &&
           !ray_id_is_none(&node->node.incarnation);
}

/* In a healed world the scheduler believes what everybody can see; before, it knows nothing. */
static bool seems_well(const struct sim_grants *grants, uint32_t index,
                       const struct ray_id *incarnation)
{
    const struct sim_grants_machine *machine = &grants->machines[index];

    return !grants->is_healed || (machine->is_on && machine->agent != NULL &&
                                  machine->agent->granted_ns + 2 * SIM_S > grants->world->now_ns &&
                                  ray_id_equal(&machine->incarnation, incarnation));
}

/* Some other home than `but`. False: there is none. */
static bool pick_home(struct sim_agent *agent, const struct coord_home *but, struct coord_home *out)
{
    const struct sim_grants *grants = agent->grants;
    uint32_t count = grants->cluster->node_count;
    uint32_t first = (uint32_t)sim_rng_below(&agent->grants->rng, count);

    for (uint32_t i = 0; i < count; i++) {
        const struct ray_id *id = &grants->cluster->nodes[(first + i) % count];
        const struct coord_object *node = coord_fsm_find(registry(agent), COORD_NODE, id);

        if (takes_guests(node) &&
            seems_well(grants, (first + i) % count, &node->node.incarnation)) {
            *out = (struct coord_home){.node = *id, .incarnation = node->node.incarnation};
            if (!coord_home_equal(out, but)) {
                return true;
            }
        }
    }
    agent->grants->no_target_ns = grants->world->now_ns;
    return false;
}

/* ---- the operator ---- */

static void put(struct sim_agent *agent, Rayos__Registry__Object *object, bool is_create)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut body = RAYOS__REGISTRY__OBJECT_PUT__INIT;

    body.object = object;
    body.is_create = is_create;
    body.is_update = !is_create;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &body;
    sim_agent_propose(agent, &command, "wish", false);
}

static void put_guest(struct sim_agent *agent, uint32_t guest, bool is_wanted, bool is_create)
{
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    struct ray_id id = sim_guest_id(guest);
    char name[16];

    (void)snprintf(name, sizeof name, "g%" PRIu32, guest);
    body.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&id);
    object.name = name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    put(agent, &object, is_create);
}

static void put_volume(struct sim_agent *agent, uint32_t guest)
{
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id id = volume_id(guest);
    char name[16];

    (void)snprintf(name, sizeof name, "v%" PRIu32, guest);
    object.kind = RAYOS__REGISTRY__KIND__KIND_VOLUME;
    object.id = ray_proto_id(&id);
    object.name = name;
    put(agent, &object, true);
}

static void delete_guest(struct sim_agent *agent, const struct ray_id *id)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectDelete body = RAYOS__REGISTRY__OBJECT_DELETE__INIT;

    body.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    body.id = ray_proto_id(id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
    command.object_delete = &body;
    sim_agent_propose(agent, &command, "wish", false);
}

static void attach(struct sim_agent *agent, uint32_t guest, const struct coord_object *known)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__VolumeAttach body = RAYOS__REGISTRY__VOLUME_ATTACH__INIT;
    struct ray_id id = volume_id(guest);
    const struct coord_object *volume = coord_fsm_find(registry(agent), COORD_VOLUME, &id);

    if (volume == NULL) {
        put_volume(agent, guest);
        return;
    }
    if (!ray_id_is_none(&volume->volume.guest)) {
        return;
    }
    body.volume = ray_proto_id(&id);
    body.guest = ray_proto_id(&known->id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOLUME_ATTACH;
    command.volume_attach = &body;
    sim_agent_propose(agent, &command, "wish", false);
}

static void change_timing(struct sim_agent *agent)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__TimingSet body = RAYOS__REGISTRY__TIMING_SET__INIT;
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    const struct sim_cluster *cluster = agent->grants->cluster;

    timing.profile = (char *)"sim";
    timing.heartbeat_ms = cluster->heartbeat_ms;
    timing.election_ms = cluster->election_ms;
    timing.grant_ms = (uint32_t)sim_rng_between(&agent->grants->rng, cluster->grant_ms / 2,
                                                cluster->grant_ms * UINT64_C(2));
    timing.renew_ms = timing.grant_ms / 4;
    timing.margin_ms = cluster->margin_ms;
    timing.drift_ppm = cluster->drift_ppm;
    body.timing = &timing;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TIMING_SET;
    command.timing_set = &body;
    sim_agent_propose(agent, &command, "wish", false);
}

/* ---- the scheduler ---- */

static void open_migration(struct sim_agent *agent, const struct coord_object *known)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__MigrationOpen body = RAYOS__REGISTRY__MIGRATION_OPEN__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    Rayos__Registry__Home home = RAYOS__REGISTRY__HOME__INIT;
    struct ray_id id;
    struct coord_home to;

    if (!pick_home(agent, &known->guest.home, &to)) {
        return;
    }
    sim_rng_fill(&agent->grants->rng, id.bytes, RAY_ID_SIZE);
    epoch.cluster = known->guest.epoch.cluster;
    epoch.index = known->guest.epoch.index;
    home.node = ray_proto_id(&to.node);
    home.incarnation = ray_proto_id(&to.incarnation);
    body.id = ray_proto_id(&id);
    body.guest = ray_proto_id(&known->id);
    body.expected_epoch = &epoch;
    body.to = &home;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_MIGRATION_OPEN;
    command.migration_open = &body;
    sim_agent_propose(agent, &command, "wish", false);
}

/* Its home has booted again, or was removed. */
static bool is_home_lost(struct sim_agent *agent, const struct coord_object *known)
{
    const struct coord_object *node =
        coord_fsm_find(registry(agent), COORD_NODE, &known->guest.home.node);

    return node == NULL || !ray_id_equal(&node->node.incarnation, &known->guest.home.incarnation);
}

static void take_over(struct sim_agent *agent, uint32_t guest, const struct coord_object *known)
{
    struct coord_home to;

    if (known->guest.is_wanted && pick_home(agent, &known->guest.home, &to)) {
        sim_agent_outcome(agent, guest, known->guest.epoch, RAY_EPOCH_DEATH, &to);
    }
}

static void place(struct sim_agent *agent, uint32_t guest, const struct coord_object *known)
{
    static const struct coord_home nowhere;
    const struct sim_grants *grants = agent->grants;
    uint32_t death_every = grants->wishes.death_every;
    struct coord_home to;

    if (known->is_gone) {
        return;
    }
    if (!known->guest.has_run) {
        if (known->guest.is_wanted && comes(agent, RESTART_EVERY) &&
            pick_home(agent, &nowhere, &to)) {
            sim_agent_outcome(agent, guest, known->guest.epoch, RAY_EPOCH_RESTART, &to);
        }
        return;
    }
    if (is_home_lost(agent, known)) {
        death_every = LOST_EVERY;
    } else if (grants->is_healed || death_every == 0) {
        death_every = 15;
    }
    if (comes(agent, death_every)) {
        take_over(agent, guest, known);
    }
}

static void wish(struct sim_agent *agent, uint32_t guest, const struct coord_object *known)
{
    const struct sim_grants_wishes *wishes = &agent->grants->wishes;

    if (known->is_gone) {
        return;
    }
    if (known->guest.volume_count == 0 && comes(agent, ATTACH_EVERY)) {
        attach(agent, guest, known);
    }
    if (agent->grants->is_healed) {
        return;
    }
    if (known->guest.has_run && known->guest.is_wanted && comes(agent, wishes->migrate_every)) {
        open_migration(agent, known);
    }
    if (comes(agent, known->guest.is_wanted ? wishes->toggle_every : 50)) {
        put_guest(agent, guest, !known->guest.is_wanted, false);
    }
    if (comes(agent, wishes->delete_every)) {
        delete_guest(agent, &known->id);
    }
}

void sim_wishes_turn(struct sim_agent *agent, bool is_leader)
{
    struct sim_grants *grants = agent->grants;
    uint32_t count = 0;

    /* Others have the same wishes, from what they know, but seldom. */
    if (!is_leader && !comes(agent, OTHERS_EVERY * grants->cluster->node_count)) {
        return;
    }
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        struct ray_id id = sim_guest_id(i);
        const struct coord_object *known = coord_fsm_find(registry(agent), COORD_GUEST, &id);

        if (known != NULL) {
            count++;
            place(agent, i, known);
            wish(agent, i, known);
        } else if (!grants->check.guests[i].was_there && count < grants->guest_count) {
            count++;
            put_guest(agent, i, true, true);
        }
    }
    if (!grants->is_healed && comes(agent, grants->wishes.timing_every)) {
        change_timing(agent);
    }
}

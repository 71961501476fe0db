/* world_machine.c - what a node does: the agent's loop around the pure parts, the launcher that
 * makes and ends monitors, and vCPUs that stop as late as they may. */
#include <assert.h>

#include "coordinator/lease/world.h"
#include "coordinator/mutant.h"

enum { INTERVAL_NS = 4000 };

static struct ray_id make_incarnation(struct world *world)
{
    struct ray_id id = {{0xee}};

    world->incarnation_count++;
    id.bytes[8] = (uint8_t)world->incarnation_count;
    id.bytes[9] = (uint8_t)(world->incarnation_count >> 8);
    return id;
}

void world_machine_boot(struct world *world, int machine, int node, bool is_clone)
{
    static const uint64_t rates[] = {950000, 950000, 980000, 1000000, 1050000, 1050000};
    struct world_machine *m = &world->machines[machine];
    struct ray_id node_id = world_node_id(node);

    m->node = node;
    m->is_on = true;
    m->is_clone = is_clone;
    m->incarnation = make_incarnation(world);
    m->clock_offset = 1000000 + world_below(world, 1000000);
    m->clock_ppm = rates[world_below(world, sizeof rates / sizeof rates[0])];
    m->overshoot_ns = world_chance(world, 60) ? 6000 : world_below(world, 6000);
    m->seen = (struct world_registry){.cluster_epoch = 1};
    m->watch_stalled_until = 0;
    ray_grant_page_init(m->page);
    coord_launcher_init(m->launcher);
    coord_lease_agent_init(&m->agent, m->page, &node_id, &m->incarnation, 1, INTERVAL_NS);
    for (int i = 0; i < WORLD_GUESTS; i++) {
        m->copies[i] = (struct world_copy){0};
        m->is_giving_up[i] = false;
    }
}

void world_machine_off(struct world *world, int machine)
{
    struct world_machine *m = &world->machines[machine];

    m->is_on = false;
    for (int i = 0; i < WORLD_GUESTS; i++) {
        m->copies[i] = (struct world_copy){0};
    }
}

void world_machine_restart_agent(struct world *world, int machine)
{
    struct world_machine *m = &world->machines[machine];
    uint64_t cluster_epoch = m->agent.cluster_epoch;
    uint64_t last_t_send_ns = m->agent.last_t_send_ns;
    struct ray_id node_id = world_node_id(m->node);
    size_t slot;

    (void)world;
    coord_lease_agent_init(&m->agent, m->page, &node_id, &m->incarnation, cluster_epoch,
                           INTERVAL_NS);
    m->agent.last_t_send_ns = last_t_send_ns; /* answers of before may still come */
    for (int i = 0; i < WORLD_GUESTS; i++) {
        struct ray_id id = world_guest_id(i);

        if (m->copies[i].is_there) {
            (void)coord_lease_agent_hold(&m->agent, &id, &slot, NULL);
        }
        m->is_giving_up[i] = false;
    }
}

void world_machine_kill_copy(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    struct ray_id id = world_guest_id(guest);

    (void)world;
    if (!m->copies[guest].is_there) {
        return;
    }
    ray_grant_monitor_end(&m->copies[guest].monitor, &m->copies[guest].vcpu, 1);
    m->copies[guest] = (struct world_copy){0};
    coord_launcher_reaped(m->launcher, &id);
    coord_lease_agent_reaped(&m->agent, &id);
}

/* ---- vCPUs ---- */

static void refresh(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[guest];
    struct ray_grant_monitor monitor = copy->monitor;
    uint64_t now_ns = world_local(world, m);
    uint64_t stop_from_ns;

    if (RAY_MUTANT(LEASE_FROZEN_THAWS) && monitor.copy == RAY_GRANT_COPY_FROZEN) {
        monitor.copy = RAY_GRANT_COPY_RUN;
    }
    stop_from_ns = atomic_load(&copy->vcpu.deadline_ns);
    (void)ray_grant_monitor_refresh(&monitor, &copy->vcpu, 1);
    if (atomic_load(&copy->vcpu.deadline_ns) < stop_from_ns && now_ns < stop_from_ns) {
        copy->stop_at_ns = now_ns + m->overshoot_ns;
    }
}

static void tick_copy(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[guest];
    uint64_t now_ns = world_local(world, m);
    uint64_t overshoot_ns = m->overshoot_ns;

    if (!copy->is_there) {
        return;
    }
    if (world_chance(world, 80)) { /* a hung main thread only leaves an earlier deadline */
        refresh(world, machine, guest);
    }
    if (RAY_MUTANT(LEASE_LATE_STOP)) {
        overshoot_ns += 6000;
    }
    if (ray_grant_vcpu_may_run(&copy->vcpu, now_ns)) {
        copy->stop_at_ns = atomic_load(&copy->vcpu.deadline_ns) + overshoot_ns;
        if (!copy->is_running) {
            world_check_resume(world, machine, guest);
            copy->is_running = true;
        }
    } else if (now_ns >= copy->stop_at_ns) {
        copy->is_running = false;
    }
}

/* ---- acts ---- */

static void fork_copy(struct world *world, int machine, int guest, struct ray_epoch epoch)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[guest];
    struct ray_id id = world_guest_id(guest);
    size_t slot = 0;

    if (coord_launcher_fork(m->launcher, &id, epoch, NULL) != RAY_OK) {
        return;
    }
    if (coord_lease_agent_hold(&m->agent, &id, &slot, NULL) != RAY_OK) {
        coord_launcher_reaped(m->launcher, &id);
        return;
    }
    *copy = (struct world_copy){.is_there = true, .is_fresh = true};
    ray_grant_monitor_init(&copy->monitor, m->page, slot, &id, epoch);
    world_note_run(world, guest, epoch);
}

static void load_copy(struct world *world, int machine, int guest, struct ray_epoch from)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[guest];
    struct ray_id id = world_guest_id(guest);
    size_t slot = 0;

    if (coord_launcher_load(m->launcher, &id, from, NULL) != RAY_OK) {
        return;
    }
    if (coord_lease_agent_hold(&m->agent, &id, &slot, NULL) != RAY_OK) {
        coord_launcher_reaped(m->launcher, &id);
        return;
    }
    *copy = (struct world_copy){.is_there = true};
    ray_grant_monitor_init_loaded(&copy->monitor, m->page, slot, &id, from);
}

static void adopt(struct world *world, int machine, int guest, const struct coord_lease_pair *pair)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[guest];

    assert(pair != NULL);
    if (copy->monitor.copy == RAY_GRANT_COPY_LOADED && !copy->has_state) {
        world_machine_kill_copy(world, machine, guest);
        return;
    }
    if (coord_launcher_adopt(m->launcher, &pair->id, pair->epoch, pair->origin, pair->from, NULL) !=
        RAY_OK) {
        world_machine_kill_copy(world, machine, guest);
        return;
    }
    if (RAY_MUTANT(LEASE_FOREIGN_COPY)) {
        copy->monitor.copy = RAY_GRANT_COPY_RUN;
        copy->monitor.epoch = pair->epoch;
    } else {
        int rc =
            ray_grant_monitor_adopt(&copy->monitor, pair->epoch, pair->origin, pair->from, NULL);

        assert(rc == RAY_OK); /* monitor and launcher know the same */
        (void)rc;
    }
    m->is_giving_up[guest] = false;
    world_note_run(world, guest, pair->epoch);
}

static void send_to_leader(struct world *world, int machine, struct world_message *message)
{
    struct world_machine *m = &world->machines[machine];
    int member = (int)world_below(world, WORLD_NODES);

    coord_lease_agent_renew(&m->agent, world_local(world, m), &message->renew);
    message->from = machine;
    message->true_send_tick = world->tick;
    for (int i = 0; i < WORLD_NODES; i++, member = (member + 1) % WORLD_NODES) {
        if (world->members[member]->is_leader &&
            world->members[member]->cluster_epoch == m->agent.cluster_epoch) {
            message->to = member;
            world_send(world, message);
            return;
        }
    }
}

static void propose(struct world *world, int machine, int guest, struct ray_epoch expected,
                    enum ray_epoch_origin origin)
{
    struct world_message message = {.kind = WORLD_PROPOSE};

    if (!world_chance(world, 30)) {
        return;
    }
    message.entry = (struct world_entry){.kind = WORLD_OUTCOME,
                                         .guest = guest,
                                         .expected = expected,
                                         .origin = origin,
                                         .proposer = world->machines[machine].incarnation};
    send_to_leader(world, machine, &message);
}

static void act(struct world *world, int machine, int guest, struct coord_lease_choice choice,
                const struct coord_lease_pair *pair)
{
    struct world_machine *m = &world->machines[machine];
    struct ray_id id = world_guest_id(guest);
    bool has_monitor = false;

    switch (choice.act) {
    case COORD_LEASE_ACT_NONE:
        break;
    case COORD_LEASE_ACT_FORK:
        fork_copy(world, machine, guest, choice.epoch);
        break;
    case COORD_LEASE_ACT_ADOPT:
        adopt(world, machine, guest, pair);
        break;
    case COORD_LEASE_ACT_END:
        if (coord_launcher_end(m->launcher, &id, choice.epoch, &has_monitor, NULL) == RAY_OK) {
            assert(has_monitor == m->copies[guest].is_there);
            world_machine_kill_copy(world, machine, guest);
            m->is_giving_up[guest] = false;
        }
        break;
    case COORD_LEASE_ACT_PROPOSE_START:
        propose(world, machine, guest, choice.epoch, RAY_EPOCH_START);
        break;
    case COORD_LEASE_ACT_PROPOSE_STOPPED:
        propose(world, machine, guest, choice.epoch, RAY_EPOCH_STOPPED);
        break;
    case COORD_LEASE_ACT_PROPOSE_CANCEL:
        propose(world, machine, guest, choice.epoch, RAY_EPOCH_CANCEL);
        break;
    default:
        assert(false);
    }
}

/* ---- migration ---- */

static void tick_source(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    const struct world_guest *seen = &m->seen.guests[guest];
    struct world_copy *copy = &m->copies[guest];
    struct ray_id id = world_guest_id(guest);
    struct world_message message = {
        .kind = WORLD_STATE, .from = machine, .incarnation = seen->destination_incarnation};

    if (!copy->is_there || !seen->is_migrating || m->is_giving_up[guest] ||
        !ray_id_equal(&seen->home_incarnation, &m->incarnation) ||
        !ray_epoch_equal(seen->epoch, copy->monitor.epoch)) {
        return;
    }
    if (copy->monitor.copy == RAY_GRANT_COPY_RUN && copy->is_running && world_chance(world, 30)) {
        if (coord_launcher_freeze(m->launcher, &id, seen->epoch, NULL) == RAY_OK) {
            (void)ray_grant_monitor_freeze(&copy->monitor, &copy->vcpu, 1, NULL);
            copy->is_running = false; /* it waits for each vCPU */
        }
    }
    if (copy->monitor.copy != RAY_GRANT_COPY_FROZEN) {
        return;
    }
    if (world_chance(world, 5)) {
        m->is_giving_up[guest] = true;
    }
    message.entry.guest = guest;
    message.epoch = seen->epoch;
    message.memory = copy->memory;
    for (int i = 0; i < WORLD_MACHINES && world_chance(world, 40); i++) {
        if (ray_id_equal(&world->machines[i].incarnation, &message.incarnation)) {
            message.to = i;
            world_send(world, &message);
        }
    }
}

static void tick_destination(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    const struct world_guest *seen = &m->seen.guests[guest];
    struct world_copy *copy = &m->copies[guest];

    if (!seen->is_migrating || !ray_id_equal(&seen->destination_incarnation, &m->incarnation)) {
        return;
    }
    if (!copy->is_there) {
        load_copy(world, machine, guest, seen->epoch);
        return;
    }
    if (copy->monitor.copy == RAY_GRANT_COPY_LOADED && copy->has_state &&
        ray_epoch_equal(copy->monitor.epoch, seen->epoch)) {
        propose(world, machine, guest, seen->epoch, RAY_EPOCH_MIGRATION);
    }
}

static void tick_guest(struct world *world, int machine, int guest)
{
    struct world_machine *m = &world->machines[machine];
    const struct world_guest *seen = &m->seen.guests[guest];
    struct ray_id id = world_guest_id(guest);
    const struct coord_launcher_guest *known = coord_launcher_find(m->launcher, &id);
    struct coord_lease_facts facts = {
        .pair = coord_lease_agent_pair(&m->agent, &id),
        .is_wanted = seen->is_wanted,
        .burned = coord_launcher_burned(m->launcher, &id),
        .known_epoch = seen->epoch,
        .cluster_epoch = m->agent.cluster_epoch,
        .is_home = ray_id_equal(&seen->home_incarnation, &m->incarnation),
    };

    if (known != NULL) {
        facts.copy = known->copy;
        facts.copy_epoch = known->epoch;
    }
    if (facts.pair != NULL) {
        facts.is_alive = coord_lease_agent_is_alive(&m->agent, world_local(world, m), &id,
                                                    facts.pair->epoch, NULL);
        facts.is_migrating = facts.copy == RAY_GRANT_COPY_FROZEN && !m->is_giving_up[guest];
    }
    act(world, machine, guest, coord_lease_choose(&facts), facts.pair);
    tick_source(world, machine, guest);
    tick_destination(world, machine, guest);
}

/* ---- watch and renewals ---- */

static void watch(struct world *world, int machine)
{
    struct world_machine *m = &world->machines[machine];
    const struct world_member *member = world->members[world_below(world, WORLD_NODES)];

    if (world->tick < m->watch_stalled_until || world->cut[member->node][machine] ||
        !world->machines[member->node].is_on ||
        member->registry.cluster_epoch < m->agent.cluster_epoch ||
        member->registry.index < m->seen.index) {
        return;
    }
    m->seen = member->registry;
    coord_lease_agent_set_cluster_epoch(&m->agent, world_local(world, m), m->seen.cluster_epoch);
}

static bool is_admitted(const struct world_machine *m)
{
    return ray_id_equal(&m->seen.admitted[m->node], &m->incarnation) || m->is_clone;
}

static void tick_agent(struct world *world, int machine)
{
    struct world_machine *m = &world->machines[machine];
    struct world_message message = {.kind = WORLD_RENEW};

    if (!is_admitted(m)) {
        message.kind = WORLD_PROPOSE;
        message.entry = (struct world_entry){
            .kind = WORLD_ADMIT, .node = m->node, .incarnation = m->incarnation};
        if (!m->agent.is_refused && world_chance(world, 10)) {
            send_to_leader(world, machine, &message);
        }
        return;
    }
    if (world_local(world, m) >= coord_lease_agent_renew_at(&m->agent)) {
        send_to_leader(world, machine, &message);
    }
}

void world_machine_tick(struct world *world, int machine)
{
    if (!world->machines[machine].is_on) {
        return;
    }
    for (int i = 0; i < WORLD_GUESTS; i++) {
        tick_copy(world, machine, i);
    }
    if (world_chance(world, 40)) {
        watch(world, machine);
    }
    if (world_chance(world, 70)) {
        tick_agent(world, machine);
        for (int i = 0; i < WORLD_GUESTS; i++) {
            tick_guest(world, machine, i);
        }
    }
}

/* ---- what arrives ---- */

static void take_answer(struct world *world, int machine, const struct world_message *message)
{
    struct world_machine *m = &world->machines[machine];
    struct coord_lease_answer answer = message->answer;

    answer.pairs = message->pairs;
    if (RAY_MUTANT(LEASE_AGENT_T) && m->seen.timing.grant_ns != 0) {
        answer.grant_ns = m->seen.timing.grant_ns;
    }
    if (coord_lease_agent_answer(&m->agent, world_local(world, m), &answer, NULL) == RAY_OK) {
        world_check_taken(world, machine, message);
    }
}

/* The wrong thing: a reply, at once or after any number of retries, is taken for a grant. */
static void run_by_reply(struct world *world, int machine, const struct world_message *message)
{
    struct world_machine *m = &world->machines[machine];
    struct world_copy *copy = &m->copies[message->entry.guest];
    struct coord_lease_pair pair = {.id = world_guest_id(message->entry.guest),
                                    .epoch = message->epoch,
                                    .from = message->entry.expected,
                                    .origin = message->entry.origin};

    if (!copy->is_there) {
        return;
    }
    ray_grant_page_set(m->page, copy->monitor.slot, &pair.id, message->epoch,
                       world_local(world, m) + m->seen.timing.grant_ns);
    if (copy->monitor.copy != RAY_GRANT_COPY_RUN) {
        adopt(world, machine, message->entry.guest, &pair);
    }
}

static void take_state(struct world *world, int machine, const struct world_message *message)
{
    struct world_copy *copy = &world->machines[machine].copies[message->entry.guest];

    if (copy->is_there && copy->monitor.copy == RAY_GRANT_COPY_LOADED && !copy->has_state &&
        ray_epoch_equal(copy->monitor.epoch, message->epoch)) {
        copy->memory = message->memory;
        copy->has_state = true;
    }
}

void world_machine_take(struct world *world, int machine, const struct world_message *message)
{
    const struct world_machine *m = &world->machines[machine];

    if (!m->is_on || !ray_id_equal(&m->incarnation, &message->incarnation)) {
        return;
    }
    if (message->kind == WORLD_ANSWER) {
        take_answer(world, machine, message);
    } else if (message->kind == WORLD_REPLY) {
        if (RAY_MUTANT(LEASE_OUTCOME_GRANTS)) { /* else an outcome grants nothing */
            run_by_reply(world, machine, message);
        }
    } else if (message->kind == WORLD_STATE) {
        take_state(world, machine, message);
    }
}

/* The node's loop around grants: it watches its own member's registry, which may be old, renews,
 * and does what choice.h says. */
#include "tests/sim/grants_agent.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "coordinator/lease/choice.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"
#include "tests/sim/mem.h"

enum { OTHER_WATCH_ONE_IN = 16, TICK_MS = 20, COMMAND_SIZE_MAX = 2048, REPORT_MS = 300 };

static const uint64_t deadline_ns = 3 * SIM_S;

uint64_t sim_agent_now_ns(const struct sim_agent *agent)
{
    return agent->env->now_ns(agent->env->arg);
}

static struct coord_fsm *registry(const struct sim_agent *agent)
{
    return agent->watched;
}

static bool is_reached(const struct sim_agent *agent, uint32_t index)
{
    const struct sim_grants *grants = agent->grants;
    const struct sim_grants_machine *other = &grants->machines[index];
    uint32_t self = agent->machine->index;

    return index != self && sim_proc_is_live(other->proc) && other->agent != NULL &&
           other->agent->replica != NULL && !sim_net_is_cut(grants->net, self, index) &&
           !sim_net_is_cut(grants->net, index, self);
}

/* Its own member's registry, now and then that of another it reaches: who is outside of the
 * configuration has no other. Never back. False: only older ones can be seen. */
static bool watch(struct sim_agent *agent)
{
    struct sim_grants *grants = agent->grants;

    agent->watched = coord_replica_fsm(agent->replica);
    if (coord_fsm_index(agent->watched) < agent->seen_index ||
        sim_rng_one_in(&grants->rng, OTHER_WATCH_ONE_IN)) {
        for (uint32_t i = 0; i < grants->cluster->node_count; i++) {
            struct coord_fsm *fsm = is_reached(agent, i)
                                        ? coord_replica_fsm(grants->machines[i].agent->replica)
                                        : agent->watched;

            if (coord_fsm_index(fsm) > coord_fsm_index(agent->watched)) {
                agent->watched = fsm;
            }
        }
    }
    if (coord_fsm_index(agent->watched) < agent->seen_index) {
        return false;
    }
    agent->seen_index = coord_fsm_index(agent->watched);
    return true;
}

static const struct ray_id *own_node(const struct sim_agent *agent)
{
    return &agent->grants->cluster->nodes[agent->machine->index];
}

static void renew(struct sim_agent *agent, uint64_t proposal);

/* ---- proposals ---- */

static void on_proposed(void *arg, int status, const struct coord_fsm_result *result)
{
    struct sim_agent *agent = arg;

    if (status == RAY_OK && result->code == RAY_OK) {
        agent->due_ns = 0; /* it grants nothing by itself; what it carried does */
    }
}

void sim_agent_propose(struct sim_agent *agent, Rayos__Registry__Command *command,
                       const char *reason, bool is_outcome)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    uint8_t bytes[COMMAND_SIZE_MAX];
    uint64_t proposal = 0;
    size_t size;

    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"rayos";
    header.reason = (char *)reason;
    header.incarnation = ray_proto_id(&agent->machine->incarnation);
    command->header = &header;
    size = rayos__registry__command__get_packed_size(command);
    assert(size <= sizeof bytes);
    (void)rayos__registry__command__pack(command, bytes);
    command->header = NULL;
    /* Refused or lost: it is proposed again as long as there is a reason. */
    if (coord_replica_propose(agent->replica, bytes, size, sim_agent_now_ns(agent) + deadline_ns,
                              is_outcome ? on_proposed : NULL, agent, &proposal, NULL) == RAY_OK &&
        is_outcome) {
        agent->is_renewal_due = true;
        renew(agent, proposal);
    }
}

void sim_agent_outcome(struct sim_agent *agent, uint32_t guest, struct ray_epoch expected,
                       enum ray_epoch_origin entry, const struct coord_home *to)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Outcome outcome = RAYOS__REGISTRY__OUTCOME__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    Rayos__Registry__Home home = RAYOS__REGISTRY__HOME__INIT;
    struct ray_id id = sim_guest_id(guest);

    epoch.cluster = expected.cluster;
    epoch.index = expected.index;
    outcome.entry = (Rayos__Registry__Origin)entry;
    outcome.guest = ray_proto_id(&id);
    outcome.expected_epoch = &epoch;
    if (to != NULL) {
        home.node = ray_proto_id(&to->node);
        home.incarnation = ray_proto_id(&to->incarnation);
        outcome.to = &home;
    }
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OUTCOME;
    command.outcome = &outcome;
    sim_agent_propose(agent, &command, "outcome", true);
}

/* Not more often than it makes sense, and not always at once. */
static void propose_about(struct sim_agent *agent, uint32_t guest, struct ray_epoch expected,
                          enum ray_epoch_origin entry)
{
    uint64_t now_ns = sim_agent_now_ns(agent);

    if (now_ns < agent->propose_ns[guest] || !sim_rng_one_in(&agent->grants->rng, 2)) {
        return;
    }
    agent->propose_ns[guest] =
        now_ns + sim_rng_between(&agent->grants->rng, 20 * SIM_MS, 300 * SIM_MS);
    sim_agent_outcome(agent, guest, expected, entry, NULL);
}

/* The clock of this machine is as good as its drift. */
static void report(struct sim_agent *agent, const struct coord_object *self)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeReport body = RAYOS__REGISTRY__NODE_REPORT__INIT;

    if (self->node.is_fit_for_leases || sim_agent_now_ns(agent) < agent->report_ns) {
        return;
    }
    agent->report_ns = sim_agent_now_ns(agent) + REPORT_MS * SIM_MS;
    body.node = ray_proto_id(&self->id);
    body.address = (char *)"sim:1";
    body.health = (char *)"ok";
    body.is_fit_for_leases = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.node_report = &body;
    sim_agent_propose(agent, &command, "facts", false);
}

/* ---- renewals ---- */

static void on_renewed(void *arg, int status, const struct coord_lease_answer *answer)
{
    struct sim_agent *agent = arg;
    int rc;

    if (status != RAY_OK) {
        return;
    }
    if (RAY_MUTANT(GUEST_OWN_TIME)) {
        struct coord_lease_answer other = *answer;

        other.grant_ns = agent->grants->cluster->grant_ms * SIM_MS;
        rc = coord_lease_agent_answer(&agent->lease, sim_agent_now_ns(agent), &other, NULL);
    } else {
        rc = coord_lease_agent_answer(&agent->lease, sim_agent_now_ns(agent), answer, NULL);
    }
    /* For good. */
    if (rc == RAY_EDENIED && sim_proc_is_live(agent->machine->proc) &&
        (agent->grants->removed >> agent->machine->index & 1) == 0) {
        sim_verdict_fail(agent->grants->verdict, SIM_CHECK_GRANT_RUNS,
                         "n%" PRIu32 " is refused and can never run a guest in this boot",
                         agent->machine->index);
    }
    if (rc == RAY_OK) {
        agent->granted_ns = agent->grants->world->now_ns;
        agent->due_ns = 0;
    }
}

/* With a command, or alone (0). */
static void renew(struct sim_agent *agent, uint64_t proposal)
{
    struct sim_grants_machine *machine = agent->machine;
    uint64_t now_ns = sim_agent_now_ns(agent);
    struct coord_lease_renew renewal;
    uint64_t ticket = 0;
    bool is_new;

    if (agent->lease.is_refused ||
        (!agent->is_renewal_due && now_ns < coord_lease_agent_renew_at(&agent->lease))) {
        return;
    }
    agent->is_renewal_due = false;
    (void)coord_lease_agent_check_clock(&agent->lease, now_ns, sim_grants_rtc_ns(machine));
    sim_stand_looked(machine);
    coord_lease_agent_renew(&agent->lease, now_ns, &renewal);
    (void)sim_map_put(&machine->sent, renewal.t_send_ns, machine->boot,
                      agent->grants->world->now_ns, &is_new);
    if (coord_replica_renew(agent->replica, &renewal, now_ns + SIM_S, on_renewed, agent, &ticket,
                            NULL) == RAY_OK &&
        proposal != 0) {
        coord_replica_carry(agent->replica, proposal, ticket);
    }
}

/* ---- guests ---- */

static struct coord_lease_facts facts_of(struct sim_agent *agent, uint32_t guest,
                                         const struct coord_object *known)
{
    const struct sim_grants_machine *machine = agent->machine;
    const struct sim_copy *copy = &machine->copies[guest];
    struct ray_id id = sim_guest_id(guest);
    const struct coord_launcher_guest *launched = coord_launcher_find(machine->launcher, &id);
    struct coord_lease_facts facts = {
        .pair = coord_lease_agent_pair(&agent->lease, &id),
        .burned = coord_launcher_burned(machine->launcher, &id),
        .cluster_epoch = agent->lease.cluster_epoch,
        /* What existed at an older entry and is not there any more was deleted. */
        .known_epoch = {agent->lease.cluster_epoch, coord_fsm_index(registry(agent))},
    };

    if (known != NULL) {
        facts.known_epoch = known->guest.epoch;
        facts.is_wanted = known->guest.is_wanted && !known->is_gone;
        facts.is_home = ray_id_equal(&known->guest.home.incarnation, &machine->incarnation);
        facts.is_migrating = copy->is_there && copy->monitor.copy == RAY_GRANT_COPY_FROZEN &&
                             !agent->is_giving_up[guest];
    }
    if (launched != NULL) {
        facts.copy = launched->copy;
        facts.copy_epoch = launched->epoch;
    }
    if (facts.pair != NULL) {
        facts.is_alive = coord_lease_agent_is_alive(&agent->lease, sim_agent_now_ns(agent), &id,
                                                    facts.pair->epoch, NULL);
    }
    return facts;
}

static void end_copy(struct sim_agent *agent, uint32_t guest, struct ray_epoch epoch)
{
    struct ray_id id = sim_guest_id(guest);
    bool has_monitor = false;

    if (coord_launcher_end(agent->machine->launcher, &id, epoch, &has_monitor, NULL) == RAY_OK) {
        sim_machine_end(agent->machine, guest);
        agent->is_giving_up[guest] = false;
    }
}

/* Known bad variants alone. */
static bool stops_too_early(const struct sim_agent *agent, uint32_t guest)
{
    return agent->machine->copies[guest].is_there ? RAY_MUTANT(GUEST_STOPPED_RUNNING)
                                                  : RAY_MUTANT(GUEST_STOPPED_UNBURNED);
}

static void act(struct sim_agent *agent, uint32_t guest, struct coord_lease_choice choice,
                const struct coord_lease_pair *pair)
{
    switch (choice.act) {
    case COORD_LEASE_ACT_NONE:
        break;
    case COORD_LEASE_ACT_FORK:
        sim_machine_fork(agent->machine, &agent->lease, guest, choice.epoch);
        break;
    case COORD_LEASE_ACT_ADOPT:
        sim_machine_adopt(agent->machine, guest, pair);
        agent->is_giving_up[guest] = false;
        break;
    case COORD_LEASE_ACT_END:
        if (stops_too_early(agent, guest)) {
            propose_about(agent, guest, choice.epoch, RAY_EPOCH_STOPPED);
            break;
        }
        end_copy(agent, guest, choice.epoch);
        break;
    case COORD_LEASE_ACT_PROPOSE_START:
        propose_about(agent, guest, choice.epoch, RAY_EPOCH_START);
        break;
    case COORD_LEASE_ACT_PROPOSE_STOPPED:
        propose_about(agent, guest, choice.epoch, RAY_EPOCH_STOPPED);
        break;
    case COORD_LEASE_ACT_PROPOSE_CANCEL:
        propose_about(agent, guest, choice.epoch, RAY_EPOCH_CANCEL);
        break;
    default:
        assert(false);
    }
}

static void turn_source(struct sim_agent *agent, uint32_t guest, const struct coord_object *known)
{
    struct sim_grants_machine *machine = agent->machine;
    struct sim_copy *copy = &machine->copies[guest];
    struct sim_rng *rng = &agent->grants->rng;

    if (!copy->is_there || ray_id_is_none(&known->guest.migration) || agent->is_giving_up[guest] ||
        !ray_id_equal(&known->guest.home.incarnation, &machine->incarnation) ||
        !ray_epoch_equal(known->guest.epoch, copy->monitor.epoch)) {
        return;
    }
    if (copy->monitor.copy == RAY_GRANT_COPY_RUN && !copy->is_fresh && sim_rng_one_in(rng, 3)) {
        sim_machine_freeze(machine, guest, known->guest.epoch);
    }
    if (copy->monitor.copy != RAY_GRANT_COPY_FROZEN) {
        return;
    }
    agent->is_giving_up[guest] = sim_rng_one_in(rng, 25);
    if (sim_rng_one_in(rng, 2)) {
        sim_machine_send_state(machine, guest, &known->guest.migration_to.incarnation);
    }
}

static void turn_destination(struct sim_agent *agent, uint32_t guest,
                             const struct coord_object *known)
{
    struct sim_grants_machine *machine = agent->machine;
    struct sim_copy *copy = &machine->copies[guest];

    if (ray_id_is_none(&known->guest.migration) ||
        !ray_id_equal(&known->guest.migration_to.incarnation, &machine->incarnation)) {
        return;
    }
    if (!copy->is_there) {
        sim_machine_load(machine, &agent->lease, guest, known->guest.epoch);
    } else if (copy->monitor.copy == RAY_GRANT_COPY_LOADED && copy->has_state &&
               ray_epoch_equal(copy->monitor.epoch, known->guest.epoch)) {
        propose_about(agent, guest, known->guest.epoch, RAY_EPOCH_MIGRATION);
    }
}

static void turn_guest(struct sim_agent *agent, uint32_t guest)
{
    struct ray_id id = sim_guest_id(guest);
    const struct coord_object *known = coord_fsm_find(registry(agent), COORD_GUEST, &id);
    struct coord_lease_facts facts = facts_of(agent, guest, known);

    if (known == NULL && facts.pair != NULL &&
        facts.pair->epoch.index > coord_fsm_index(registry(agent))) {
        return; /* granted before it was seen: nobody knows yet what it is */
    }
    act(agent, guest, coord_lease_choose(&facts), facts.pair);
    if (known != NULL) {
        turn_source(agent, guest, known);
        turn_destination(agent, guest, known);
    }
}

/* ---- turns ---- */

/* The page is as an earlier process left it, and monitors run on. */
static void begin(struct sim_agent *agent, const struct coord_object *cluster)
{
    struct sim_grants_machine *machine = agent->machine;
    size_t slot;

    coord_lease_agent_init(&agent->lease, machine->page, own_node(agent), &machine->incarnation,
                           cluster->cluster.cluster_epoch,
                           cluster->cluster.timing.renew_ms * SIM_MS);
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        struct ray_id id = sim_guest_id(i);

        if (machine->copies[i].is_there) {
            (void)coord_lease_agent_hold(&agent->lease, &id, &slot, NULL);
            assert(slot == machine->copies[i].monitor.slot);
        }
    }
    agent->is_begun = true;
}

/* Monitors that ended by themselves. */
static void reap(struct sim_agent *agent)
{
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        struct ray_id id = sim_guest_id(i);

        if (!agent->machine->copies[i].is_there) {
            coord_lease_agent_reaped(&agent->lease, &id);
        }
    }
}

/* No renewal before the registry shows this very incarnation: an earlier one would be refused for
 * good as a duplicate. */
static bool may_begin(const struct sim_agent *agent, const struct coord_object *self)
{
    if (RAY_MUTANT(GUEST_EARLY_RENEWAL)) {
        return coord_fsm_cluster(registry(agent)) != NULL;
    }
    return self != NULL &&
           (self->node.state == COORD_NODE_MEMBER || self->node.state == COORD_NODE_DRAINED) &&
           ray_id_equal(&self->node.incarnation, &agent->machine->incarnation);
}

static void turn_all(struct sim_agent *agent, bool is_leader)
{
    const struct coord_object *cluster = coord_fsm_cluster(registry(agent));
    const struct coord_object *self = coord_fsm_find(registry(agent), COORD_NODE, own_node(agent));

    if (!may_begin(agent, self)) {
        return;
    }
    if (!agent->is_begun) {
        begin(agent, cluster);
    }
    coord_lease_agent_set_cluster_epoch(&agent->lease, sim_agent_now_ns(agent),
                                        cluster->cluster.cluster_epoch);
    if (self != NULL) {
        report(agent, self);
    }
    agent->lease.interval_ns = cluster->cluster.timing.renew_ms * SIM_MS;
    reap(agent);
    renew(agent, 0);
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        turn_guest(agent, i);
    }
    sim_wishes_turn(agent, is_leader);
}

uint64_t sim_agent_due_ns(const struct sim_agent *agent)
{
    return agent->due_ns;
}

void sim_agent_turn(struct sim_agent *agent, struct coord_replica *replica, bool is_leader)
{
    uint64_t now_ns = sim_agent_now_ns(agent);

    if (now_ns < agent->due_ns) {
        return;
    }
    agent->due_ns = now_ns + TICK_MS * SIM_MS;
    agent->replica = replica;
    if (watch(agent)) {
        turn_all(agent, is_leader);
    } else if (agent->is_begun) {
        renew(agent, 0);
    }
}

struct sim_agent *sim_agent_create(struct sim_grants_machine *machine, const struct coord_env *env)
{
    struct sim_agent *agent = sim_alloc(1, sizeof *agent);

    agent->machine = machine;
    agent->grants = machine->grants;
    agent->env = env;
    machine->agent = agent;
    machine->stand.looks = 0;
    return agent;
}

void sim_agent_destroy(struct sim_agent *agent)
{
    if (agent != NULL) {
        agent->machine->agent = NULL;
        free(agent);
    }
}

/* A machine: what survives its processes, and how they come and go. */
#include <assert.h>
#include <inttypes.h>

#include "tests/sim/check_end.h"
#include "tests/sim/cluster.h"
#include "tests/sim/grants.h"

enum {
    START_MEAN_NS = 300 * 1000000,
    HEALED_START_NS = 50 * 1000000,
    SLACK_NS = 500000,
    GATHER_NS = 1000000
};

static bool is_ghost(const struct sim_machine *machine)
{
    return !sim_proc_is_live(machine->proc);
}

/* ---- the observer ---- */

static void on_leads(void *arg, uint64_t server, uint64_t term)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_trace(machine->run->world, "n%" PRIu32 " leads term %" PRIu64, machine->index, term);
        machine->run->result->election_count++;
        sim_check_log_leads(&machine->run->log, server, term);
        sim_faults_led(machine);
    }
}

static void on_appended(void *arg, uint64_t index, uint64_t term, uint64_t hash,
                        uint64_t previous_term)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_check_log_appended(&machine->run->log, machine->index, index, term, hash,
                               previous_term);
    }
}

static void on_applied(void *arg, uint64_t index, uint64_t term, uint64_t hash)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_check_log_applied(&machine->run->log, machine->index, index, term, hash);
    }
}

static void on_state(void *arg, uint64_t index, uint64_t state_hash)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_check_log_state(&machine->run->log, machine->index, index, state_hash);
    }
}

static void on_executed(void *arg, const struct sim_op *op)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_witness_executed(&machine->run->witness, op);
    }
}

static void on_answered(void *arg, uint64_t ticket, int status, const struct sim_answer *answer)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_client_answered(machine, ticket, status, answer);
    }
}

static void on_emitted(void *arg, uint64_t revision, uint32_t sub, uint64_t hash, uint64_t subject)
{
    struct sim_machine *machine = arg;
    struct sim_watch_event event = {
        .revision = revision, .sub = sub, .hash = hash, .subject = subject};

    if (!is_ghost(machine)) {
        sim_watch_emitted(&machine->run->watch_log, &event);
    }
}

static int on_watched(void *arg, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct sim_machine *machine = arg;

    if (is_ghost(machine)) {
        return RAY_EAGAIN;
    }
    return (number & 255) >= SIM_VIEWERS_FIRST ? sim_viewer_sent(machine, number, bytes, size)
                                               : sim_watch_sent(machine, number, bytes, size);
}

static void on_quarantined(void *arg, const char *why)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_trace(machine->run->world, "n%" PRIu32 " is quarantined: %s", machine->index, why);
        machine->is_quarantined = true;
        machine->is_set_back = false;
        sim_check_quarantine(machine->index,
                             machine->was_damaged ||
                                 (machine->run->membership.removed >> machine->index & 1) != 0,
                             why, &machine->run->verdict);
    }
}

static void on_raised(void *arg, uint32_t level, uint32_t members)
{
    struct sim_machine *machine = arg;

    if (!is_ghost(machine)) {
        sim_trace(machine->run->world, "n%" PRIu32 " is at feature level %" PRIu32, machine->index,
                  level);
        sim_check_level(level, machine->run->membership.levels, members, &machine->run->verdict);
    }
}

static void restart(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_machine *machine = arg;

    /* Only the life that asked for it. */
    if (is_alive && machine->proc->is_up && machine->proc->life == tag) {
        sim_machine_stop(machine, false);
        sim_machine_start_later(machine);
    }
}

static void on_failed(void *arg, const char *why)
{
    struct sim_machine *machine = arg;
    struct sim_world *world = machine->run->world;

    if (!is_ghost(machine)) {
        sim_trace(world, "n%" PRIu32 " fails: %s", machine->index, why);
        sim_world_post(world, world->now_ns, restart, machine, machine->proc->life);
    }
}

/* ---- its process ---- */

static void on_timer(void *arg)
{
    struct sim_machine *machine = arg;

    machine->run->ops->on_timer(machine->node);
}

static void on_turn_end(void *arg)
{
    struct sim_machine *machine = arg;

    if (machine->node != NULL) {
        machine->run->ops->turn(machine->node);
    }
}

static void on_died(void *arg)
{
    struct sim_machine *machine = arg;

    sim_trace(machine->run->world, "n%" PRIu32 " lost its power within a write", machine->index);
    sim_machine_stop(machine, true);
    sim_machine_start_later(machine);
}

void sim_machine_init(struct sim_run *run, uint32_t index)
{
    struct sim_machine *machine = &run->machines[index];

    *machine = (struct sim_machine){.run = run, .index = index};
    sim_clock_init(&machine->clock, 0, sim_rng_between(&run->fault_rng, SIM_S, 1000 * SIM_S));
    machine->disk = sim_disk_create(run->world, &run->disk_config);
    machine->proc = sim_proc_add(run->world, &machine->clock);
    machine->proc->slack_max_ns = SLACK_NS;
    machine->proc->gather_max_ns = GATHER_NS;
    machine->proc->on_timer = on_timer;
    machine->proc->on_turn_end = on_turn_end;
    machine->proc->on_died = on_died;
    machine->proc->arg = machine;
    if (run->grants != NULL) {
        sim_grants_add(run->grants, index, machine->proc);
    }
    uint32_t place = sim_net_add(run->net, machine->proc, &run->cluster.nodes[index]);

    assert(place == index);
    (void)place;
}

void sim_machine_fini(struct sim_machine *machine)
{
    sim_disk_destroy(machine->disk);
}

bool sim_machine_is_up(const struct sim_machine *machine)
{
    return machine->proc->is_up;
}

static void create(void *arg)
{
    struct sim_machine *machine = arg;
    struct sim_node_world world = {
        .env = &machine->proc->env,
        .disk = machine->disk_user,
        .link = machine->link,
        .cluster = &machine->run->cluster,
        .place = machine->index,
        .membership = &machine->run->membership,
        .grants =
            machine->run->grants == NULL ? NULL : &machine->run->grants->machines[machine->index],
        .observer = {.leads = on_leads,
                     .appended = on_appended,
                     .applied = on_applied,
                     .state = on_state,
                     .executed = on_executed,
                     .answered = on_answered,
                     .emitted = on_emitted,
                     .watched = on_watched,
                     .quarantined = on_quarantined,
                     .raised = on_raised,
                     .failed = on_failed,
                     .arg = machine},
    };
    struct ray_err err = {.code = RAY_OK};

    if (machine->run->ops->create(&machine->node, &world, &err) != RAY_OK) {
        on_failed(machine, err.text);
    }
}

static void start_now(void *arg, uint64_t tag, bool is_alive);

/* An operator upgrades it, sooner or later, while it is off. */
static void upgrade(struct sim_machine *machine)
{
    struct sim_run *run = machine->run;
    uint32_t *level = &run->membership.levels[machine->index];

    if (run->has_levels && machine->start_count > 0 && *level < SIM_LEVEL_MAX &&
        sim_rng_one_in(&run->level_rng, 3)) {
        (*level)++;
        sim_trace(run->world, "n%" PRIu32 " has a build of level %" PRIu32, machine->index, *level);
    }
}

void sim_machine_start(struct sim_machine *machine)
{
    struct sim_run *run = machine->run;
    const struct sim_grants_machine *grants =
        run->grants == NULL ? NULL : &run->grants->machines[machine->index];

    if (machine->proc->is_up) {
        return;
    }
    if (grants != NULL && grants->stand.is_standing) {
        sim_world_post(run->world, grants->stand.until_ns + 1, start_now, machine, 0);
        return;
    }
    upgrade(machine);
    sim_trace(run->world, "n%" PRIu32 " starts", machine->index);
    run->result->start_count++;
    machine->start_count++;
    if (run->grants != NULL) {
        sim_grants_on(&run->grants->machines[machine->index]);
    }
    sim_proc_start(machine->proc);
    machine->link = sim_net_open(run->net, machine->index);
    machine->disk_user = sim_disk_open(machine->disk, machine->proc);
    (void)sim_proc_run(machine->proc, create, machine);
}

/* Also of a machine whose process is down: its guests run on as long as there is power. */
static void power_off(struct sim_machine *machine, bool is_power_cut)
{
    struct sim_run *run = machine->run;

    if (is_power_cut && run->grants != NULL) {
        sim_grants_off(&run->grants->machines[machine->index]);
    }
    if (is_power_cut) {
        sim_clock_reboot(&machine->clock, run->world->now_ns,
                         sim_rng_between(&run->fault_rng, SIM_S, 100 * SIM_S));
    }
}

void sim_machine_stop(struct sim_machine *machine, bool is_power_cut)
{
    struct sim_run *run = machine->run;

    if (!machine->proc->is_up) {
        power_off(machine, is_power_cut);
        return;
    }
    sim_trace(run->world, "n%" PRIu32 " %s", machine->index,
              is_power_cut ? "has no power" : "is killed");
    sim_net_lost(run->net, machine->index, is_power_cut);
    sim_disk_crash(machine->disk, is_power_cut);
    run->ops->destroy(machine->node);
    machine->node = NULL;
    machine->disk_user->ops->destroy(machine->disk_user);
    machine->disk_user = NULL;
    machine->link->ops->destroy(machine->link);
    machine->link = NULL;
    sim_proc_kill(machine->proc);
    power_off(machine, is_power_cut);
}

void sim_machine_wipe(struct sim_machine *machine)
{
    struct sim_membership *membership = &machine->run->membership;

    sim_machine_stop(machine, true);
    sim_trace(machine->run->world, "n%" PRIu32 " has lost its disk", machine->index);
    sim_disk_wipe(machine->disk);
    if (membership->server_ids[machine->index] > membership->lost_ids[machine->index]) {
        membership->lost_ids[machine->index] = membership->server_ids[machine->index];
    }
    membership->rosters[machine->index] = (struct member_roster){.count = 0};
    machine->was_damaged = false;
    machine->is_set_back = false;
}

static void start_now(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_machine *machine = arg;

    (void)tag;
    if (is_alive) {
        machine->is_start_due = false;
        sim_machine_start(machine);
    }
}

void sim_machine_start_later(struct sim_machine *machine)
{
    struct sim_run *run = machine->run;
    uint64_t wait_ns = sim_rng_wait(&run->fault_rng, START_MEAN_NS);

    if (machine->is_start_due) {
        return;
    }
    machine->is_start_due = true;
    wait_ns = run->is_healed ? HEALED_START_NS : wait_ns;
    sim_world_post(run->world, run->world->now_ns + wait_ns, start_now, machine, 0);
}

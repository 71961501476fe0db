/* Faults by kind. A run draws which kinds it has and how often each comes, so that some runs are
 * all of one thing and others a bit of everything; ticks and messages stay far more common than
 * any fault. */
#include <assert.h>
#include <inttypes.h>

#include "tests/sim/cluster.h"
#include "tests/sim/grants.h"

enum { ROT_AGE = 4, CALM_NS = 1500000000, BOOTS_UNHEARD_MAX = 4 };

static struct sim_machine *any_machine(struct sim_run *run)
{
    return &run->machines[sim_rng_below(&run->fault_rng, run->cluster.node_count)];
}

static void fault_kill(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);

    sim_machine_stop(machine, false);
    sim_machine_start_later(machine);
}

static void fault_power(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);

    sim_machine_stop(machine, true);
    sim_machine_start_later(machine);
}

static void fault_power_of_all(struct sim_run *run)
{
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_machine_stop(&run->machines[i], true);
        sim_machine_start_later(&run->machines[i]);
    }
}

static void fault_power_in_write(struct sim_run *run)
{
    sim_disk_cut_within(any_machine(run)->disk, sim_rng_between(&run->fault_rng, 1, 4));
}

static void fault_pause(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);
    uint64_t until_ns = run->world->now_ns + sim_rng_wait(&run->fault_rng, 300 * SIM_MS);

    if (sim_machine_is_up(machine)) {
        until_ns = until_ns < run->heal_ns ? until_ns : run->heal_ns;
        sim_trace(run->world, "n%" PRIu32 " is paused until %" PRIu64 " ms", machine->index,
                  until_ns / SIM_MS);
        sim_proc_pause(machine->proc, until_ns);
    }
}

static void heal_net(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_run *run = arg;

    if (is_alive) {
        uint32_t from = tag >> 4 & 15;
        uint32_t to = tag & 15;

        sim_net_heal(run->net, from, to);
    }
}

static void cut(struct sim_run *run, uint32_t from, uint32_t to, uint64_t heal_ns)
{
    if (from == to || sim_net_is_cut(run->net, from, to)) {
        return;
    }
    sim_trace(run->world, "net: cut %" PRIu32 " to %" PRIu32 " until %" PRIu64 " ms", from, to,
              heal_ns / SIM_MS);
    sim_net_cut(run->net, from, to);
    sim_world_post(run->world, heal_ns, heal_net, run, (uint64_t)from << 4 | to);
}

static void fault_cut_direction(struct sim_run *run)
{
    cut(run, any_machine(run)->index, any_machine(run)->index,
        run->world->now_ns + sim_rng_wait(&run->fault_rng, SIM_S));
}

/* One machine, in one direction or both. */
static void fault_cut_machine(struct sim_run *run)
{
    uint32_t index = any_machine(run)->index;
    uint64_t heal_ns = run->world->now_ns + sim_rng_wait(&run->fault_rng, SIM_S);
    uint64_t directions = sim_rng_between(&run->fault_rng, 1, 3);

    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        if (directions & 1) {
            cut(run, index, i, heal_ns);
        }
        if (directions & 2) {
            cut(run, i, index, heal_ns);
        }
    }
}

static void fault_split(struct sim_run *run)
{
    uint64_t sides = sim_rng_next(&run->fault_rng);
    uint64_t heal_ns = run->world->now_ns + 300 * SIM_MS + sim_rng_wait(&run->fault_rng, SIM_S);

    for (uint32_t a = 0; a < run->cluster.node_count; a++) {
        for (uint32_t b = 0; b < run->cluster.node_count; b++) {
            if ((sides >> a & 1) != (sides >> b & 1)) {
                cut(run, a, b, heal_ns);
            }
        }
    }
}

/* Whoever leads hears nobody and is heard by nobody, but its clients still ask it. */
static void fault_cut_leader(struct sim_run *run)
{
    uint64_t heal_ns = run->world->now_ns + 600 * SIM_MS + sim_rng_wait(&run->fault_rng, SIM_S);
    uint32_t leader = UINT32_MAX;
    struct sim_node_status status;

    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        if (run->machines[i].node != NULL) {
            run->ops->status(run->machines[i].node, &status);
            leader = status.is_leader ? i : leader;
        }
    }
    if (leader == UINT32_MAX) {
        return;
    }
    run->cut_off = leader;
    run->hot_until_ns = run->world->now_ns + 600 * SIM_MS;
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        cut(run, leader, i, heal_ns);
        cut(run, i, leader, heal_ns);
    }
}

static void fault_reset(struct sim_run *run)
{
    uint32_t a = any_machine(run)->index;
    uint32_t b = any_machine(run)->index;

    if (a != b) {
        sim_net_reset(run->net, a, b);
    }
}

static void mend_disk(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_run *run = arg;

    if (is_alive) {
        sim_disk_set_config(run->machines[tag].disk, &run->disk_config);
    }
}

static void spoil_disk(struct sim_run *run, const struct sim_machine *machine,
                       const struct sim_disk_config *config)
{
    sim_disk_set_config(machine->disk, config);
    sim_world_post(run->world, run->world->now_ns + sim_rng_wait(&run->fault_rng, SIM_S), mend_disk,
                   run, machine->index);
}

static void fault_slow_disk(struct sim_run *run)
{
    struct sim_disk_config config = run->disk_config;

    config.jitter_ns = sim_rng_between(&run->fault_rng, SIM_MS, 60 * SIM_MS);
    spoil_disk(run, any_machine(run), &config);
}

static void fault_stall(struct sim_run *run)
{
    struct sim_disk_config config = run->disk_config;

    config.stall_ppm = 200000;
    config.stall_ns = sim_rng_between(&run->fault_rng, 100 * SIM_MS, 2 * SIM_S);
    spoil_disk(run, any_machine(run), &config);
}

static void fault_disk_errors(struct sim_run *run)
{
    struct sim_disk_config config = run->disk_config;

    config.error_ppm = (uint32_t)sim_rng_between(&run->fault_rng, 1000, 300000);
    spoil_disk(run, any_machine(run), &config);
}

static void fault_full_disk(struct sim_run *run)
{
    struct sim_disk_config config = run->disk_config;

    config.capacity = 0;
    spoil_disk(run, any_machine(run), &config);
}

/* No more machines than the cluster can lose for good. */
static void fault_rot(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);
    bool is_unreadable = sim_rng_one_in(&run->fault_rng, 3);

    /* Again while it comes back it may cost the quorum; runs without guests have that. */
    if ((machine->was_damaged && run->grants != NULL) ||
        (!machine->was_damaged && run->result->damaged_count >= run->damaged_max) ||
        !sim_disk_rot(machine->disk, "wal", ROT_AGE, is_unreadable)) {
        return;
    }
    run->result->damaged_count += !machine->was_damaged;
    machine->was_damaged = true;
    sim_trace(run->world, "n%" PRIu32 " rots%s", machine->index,
              is_unreadable ? ", unreadable" : "");
    if (sim_rng_one_in(&run->fault_rng, 2)) {
        sim_machine_stop(machine, true);
        sim_machine_start_later(machine);
    }
}

/* A disk is replaced. It counts like one that rots: what was acknowledged is on one less. */
static void fault_wipe(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);

    if (!run->ops->comes_back || run->result->damaged_count >= run->damaged_max) {
        return;
    }
    run->result->damaged_count++;
    sim_machine_wipe(machine);
    sim_machine_start_later(machine);
}

/* Cut off from all, and the operator gives it up. Its guests run there until their grants end, and
 * it hears of it only when all is healed. It counts like one that is lost. */
static void fault_remove(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);
    struct sim_node_status status;

    if (!run->ops->comes_back || run->membership.removed != 0 || run->was_recovered ||
        run->cluster.node_count < 3 || run->result->damaged_count > 0 || run->damaged_max == 0 ||
        !sim_machine_is_up(machine)) {
        return;
    }
    run->ops->status(machine->node, &status);
    if (!status.is_member || status.is_leader) {
        return;
    }
    sim_trace(run->world, "n%" PRIu32 " is cut off, and removed by force", machine->index);
    run->was_recovered = true; /* no other loss after this one */
    run->damaged_max = 0;
    run->membership.removed |= 1U << machine->index;
    if (run->grants != NULL) {
        run->grants->removed |= 1U << machine->index;
    }
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        cut(run, machine->index, i, run->heal_ns);
        cut(run, i, machine->index, run->heal_ns);
    }
}

/* The process of a node ends, its machine runs on, and a copy of its disk boots elsewhere: for the
 * others that is its next boot. What the first one runs is nobody's but by W. */
static void fault_clone(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);

    if (run->grants == NULL || !sim_machine_is_up(machine)) {
        return;
    }
    sim_machine_stop(machine, false);
    if (sim_grants_clone(&run->grants->machines[machine->index])) {
        sim_trace(run->world, "n%" PRIu32 ": its disk boots on another machine", machine->index);
        sim_clock_reboot(&machine->clock, run->world->now_ns,
                         sim_rng_between(&run->fault_rng, SIM_S, 100 * SIM_S));
    }
    sim_machine_start_later(machine);
}

/* Everybody else is up, reached, and has seen the admission of its latest boot: who has just
 * started may not have, and takes an older boot for a later one (README). */
static bool is_known_well(struct sim_run *run, const struct sim_machine *machine)
{
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        struct sim_node_status status;

        if (i == machine->index) {
            continue;
        }
        if (!sim_machine_is_up(&run->machines[i]) || sim_net_is_cut(run->net, i, machine->index) ||
            sim_net_is_cut(run->net, machine->index, i)) {
            return false;
        }
        run->ops->status(run->machines[i].node, &status);
        if (status.applied_index < run->membership.admitted_index[machine->index]) {
            return false;
        }
    }
    return true;
}

/* It boots, and dies before anybody has heard it, until its count has passed the one that the
 * others know. */
static void boot_unheard(struct sim_run *run, struct sim_machine *machine)
{
    uint64_t count = run->membership.admitted[machine->index] - run->older_boot +
                     sim_rng_below(&run->fault_rng, BOOTS_UNHEARD_MAX);

    for (uint64_t i = 0; i < count; i++) {
        sim_machine_start(machine);
        sim_machine_stop(machine, true);
    }
}

/* A copy of a disk is made; a while later the disk is set back to it. Not before a later boot of
 * that node is admitted: a copy of the present boot looks like its next one. */
static void fault_set_back(struct sim_run *run)
{
    struct sim_machine *machine =
        run->older_of == SIM_MACHINES_MAX ? any_machine(run) : &run->machines[run->older_of];
    struct sim_node_status status;

    if (!run->ops->comes_back || !sim_machine_is_up(machine)) {
        return;
    }
    run->ops->status(machine->node, &status);
    if (run->older_of == SIM_MACHINES_MAX && status.boot_counter > 0) {
        sim_trace(run->world, "n%" PRIu32 ": a copy of its disk, boot %" PRIu64, machine->index,
                  status.boot_counter);
        sim_disk_clone(machine->disk, run->older);
        run->older_of = machine->index;
        run->older_boot = status.boot_counter;
        return;
    }
    if (run->membership.admitted[machine->index] <= run->older_boot || machine->was_set_back ||
        run->result->damaged_count >= run->damaged_max || !is_known_well(run, machine)) {
        return;
    }
    run->result->damaged_count++;
    sim_trace(run->world, "n%" PRIu32 ": its disk is set back to boot %" PRIu64, machine->index,
              run->older_boot);
    sim_machine_stop(machine, true);
    sim_disk_clone(run->older, machine->disk);
    sim_disk_set_config(machine->disk, &run->disk_config); /* it can write down what it is told */
    machine->was_damaged = true;
    machine->was_set_back = true;
    machine->is_set_back = true;
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_disk_cut_within(run->machines[i].disk, 0);
    }
    run->calm_until_ns = run->world->now_ns + CALM_NS;
    if (sim_rng_one_in(&run->fault_rng, 2)) {
        boot_unheard(run, machine);
    }
    sim_machine_start(machine);
}

/* By the newest configuration that it knows: it elects nobody without the others. */
static bool is_no_majority(const struct sim_run *run, const struct sim_machine *machine)
{
    struct sim_node_status status;

    if (!sim_machine_is_up(machine)) {
        return false;
    }
    run->ops->status(machine->node, &status);
    return !status.is_leader && status.voter_count >= 3;
}

/* All but one lose their disks; that one has all that was ever applied, and is made the only
 * voter. Sometimes another one, which is no majority, comes back with its disk, from an epoch that
 * is over. Once, and nothing is damaged after that. */
static void fault_lost_quorum(struct sim_run *run)
{
    struct sim_machine *survivor = any_machine(run);
    uint32_t other = any_machine(run)->index;
    bool has_other = sim_rng_one_in(&run->fault_rng, 2);
    struct sim_node_status status;

    if (!run->ops->comes_back || run->was_recovered || run->cluster.node_count < 2 ||
        run->result->damaged_count > 0 || !sim_machine_is_up(survivor)) {
        return;
    }
    run->ops->status(survivor->node, &status);
    /* Who led may have applied what its own disk does not have yet. */
    if (status.is_leader || !status.is_member || status.applied_index == 0 ||
        status.stored_index < status.applied_index ||
        status.applied_index != run->log.committed_max) {
        return;
    }
    has_other = has_other && is_no_majority(run, &run->machines[other]);
    run->was_recovered = true;
    run->damaged_max = 0;
    sim_trace(run->world, "n%" PRIu32 " is the only survivor", survivor->index);
    run->membership.recovered |= 1U << survivor->index;
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        if (i != survivor->index && has_other && i == other) {
            run->machines[i].was_damaged = true; /* as far as anybody knows */
        } else if (i != survivor->index) {
            sim_machine_wipe(&run->machines[i]);
            sim_machine_start_later(&run->machines[i]);
        }
    }
    sim_machine_stop(survivor, false);
    sim_machine_start_later(survivor);
}

static void fault_drift(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);
    int32_t max_ppm = (int32_t)run->cluster.drift_ppm;
    int32_t rate_ppm =
        (int32_t)sim_rng_below(&run->fault_rng, run->cluster.drift_ppm * UINT64_C(2) + 1) - max_ppm;

    if (sim_rng_one_in(&run->fault_rng, 3)) {
        rate_ppm = rate_ppm < 0 ? -max_ppm : max_ppm;
    }
    sim_clock_set_rate(&machine->clock, run->world->now_ns, rate_ppm);
}

/* Long enough to be seen by a clock of whole seconds; others may take the guests over meanwhile. */
static void fault_stand_still(struct sim_run *run)
{
    struct sim_machine *machine = any_machine(run);
    uint64_t until_ns = run->world->now_ns + 3000 * SIM_MS + sim_rng_wait(&run->fault_rng, SIM_S);

    if (run->cluster.is_standing && until_ns < run->heal_ns) {
        sim_stand_begin(&run->grants->machines[machine->index], until_ns);
    }
}

static void fault_wall(struct sim_run *run)
{
    int64_t jump_us =
        (int64_t)sim_rng_below(&run->fault_rng, UINT64_C(20000000000)) - INT64_C(10000000000);

    sim_clock_set_wall(&any_machine(run)->clock, jump_us);
}

struct on_node {
    struct sim_run *run;
    struct sim_machine *machine;
    uint64_t draw;
};

static void change_turn(void *arg)
{
    struct on_node *on = arg;

    on->run->ops->change(on->machine->node, on->draw);
}

static void transfer_turn(void *arg)
{
    struct on_node *on = arg;

    on->run->ops->transfer(on->machine->node);
}

static void on_each(struct sim_run *run, void (*turn)(void *arg))
{
    struct on_node on = {.run = run, .draw = sim_rng_next(&run->fault_rng)};

    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        on.machine = &run->machines[i];
        (void)sim_proc_run(on.machine->proc, turn, &on);
    }
}

static void fault_change(struct sim_run *run)
{
    on_each(run, change_turn);
}

/* A new leader is at its most interesting before its own first entry is committed; two that
 * change the configuration there, each with its own part of the machines, more so. */
static void change_early(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_machine *machine = arg;
    struct on_node on = {.run = machine->run, .machine = machine, .draw = tag};

    if (is_alive && !machine->run->is_healed) {
        (void)sim_proc_run(machine->proc, change_turn, &on);
        if (machine->run->is_splitting) {
            sim_net_heal_all(machine->run->net);
            fault_split(machine->run);
        }
    }
}

void sim_faults_led(struct sim_machine *machine)
{
    struct sim_run *run = machine->run;

    if (run->has_changes && sim_rng_one_in(&run->fault_rng, 2)) {
        sim_world_post(run->world, run->world->now_ns + sim_rng_below(&run->fault_rng, SIM_MS),
                       change_early, machine, sim_rng_next(&run->fault_rng));
    }
}

static void fault_transfer(struct sim_run *run)
{
    on_each(run, transfer_turn);
}

static const struct fault {
    void (*fn)(struct sim_run *run);
    uint64_t mean_ms; /* between two, in a run that has it at the usual rate */
    uint64_t one_in;  /* runs that have it */
} faults[] = {
    {fault_kill, 2500, 2},           {fault_power, 3000, 2},  {fault_power_of_all, 5000, 3},
    {fault_power_in_write, 3000, 2}, {fault_pause, 2000, 2},  {fault_cut_direction, 1500, 2},
    {fault_cut_machine, 2500, 2},    {fault_split, 4000, 2},  {fault_reset, 1000, 2},
    {fault_slow_disk, 4000, 3},      {fault_stall, 5000, 4},  {fault_disk_errors, 6000, 5},
    {fault_full_disk, 6000, 6},      {fault_rot, 4000, 4},    {fault_drift, 2000, 2},
    {fault_wall, 3000, 3},           {fault_change, 700, 3},  {fault_transfer, 2500, 3},
    {fault_cut_leader, 2000, 3},     {fault_wipe, 6000, 5},   {fault_lost_quorum, 5000, 8},
    {fault_stand_still, 2500, 1},    {fault_remove, 5000, 8}, {fault_set_back, 1500, 5},
    {fault_clone, 4000, 3},
};

enum { FAULT_COUNT = sizeof faults / sizeof faults[0] };

/* tag: the fault, and the mean wait in ms. */
static void strike(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_run *run = arg;
    uint64_t mean_ns = (tag >> 8) * SIM_MS;

    if (!is_alive || run->is_healed) {
        return;
    }
    if (run->world->now_ns >= run->calm_until_ns) {
        faults[tag & 255].fn(run);
    }
    sim_world_post(run->world, run->world->now_ns + sim_rng_wait(&run->fault_rng, mean_ns), strike,
                   run, tag);
}

void sim_faults_begin(struct sim_run *run)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        uint64_t mean_ms = faults[i].mean_ms * sim_rng_between(&run->fault_rng, 1, 8) / 4;
        uint64_t tag = mean_ms << 8 | i;

        if (!sim_rng_one_in(&run->fault_rng, faults[i].one_in)) {
            continue;
        }
        run->has_changes = run->has_changes || faults[i].fn == fault_change;
        sim_world_post(run->world,
                       run->world->now_ns + run->ops->warm_up_ns +
                           sim_rng_wait(&run->fault_rng, mean_ms * SIM_MS),
                       strike, run, tag);
    }
    /* A configuration may shrink to few voters; whoever rots then may be all that there is. The
     * whole replica keeps three voters, whatever the number of nodes. */
    run->damaged_max = (run->cluster.node_count - 1) / 2;
    run->is_splitting = run->has_changes && sim_rng_one_in(&run->fault_rng, 2);
    if (run->has_changes) {
        run->damaged_max = 0;
    } else if (run->ops->needs_promises && run->damaged_max > 1) {
        run->damaged_max = 1;
    }
}

/* In half of the runs that have older builds the operator upgrades all that is left of them. */
static void upgrade_at_last(struct sim_machine *machine)
{
    struct sim_run *run = machine->run;
    uint32_t *level = &run->membership.levels[machine->index];

    if (run->has_levels && run->is_upgraded && *level < SIM_LEVEL_MAX) {
        sim_machine_stop(machine, false);
        *level = SIM_LEVEL_MAX;
    }
}

void sim_faults_heal(struct sim_run *run)
{
    sim_trace(run->world, "healed");
    run->is_healed = true;
    if (run->grants != NULL) {
        run->grants->is_healed = true;
    }
    sim_net_heal_all(run->net);
    run->net_config.loss_ppm = 0;
    sim_net_set_config(run->net, &run->net_config);
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        struct sim_machine *machine = &run->machines[i];

        sim_disk_set_config(machine->disk, &run->disk_config);
        sim_disk_cut_within(machine->disk, 0);
        sim_clock_set_rate(&machine->clock, run->world->now_ns, 0);
        machine->is_start_due = false;
        upgrade_at_last(machine);
        sim_machine_start(machine);
    }
}

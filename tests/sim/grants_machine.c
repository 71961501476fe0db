/* Machines as monitors and vCPUs see them. A run is an interval of true time: it begins with a
 * monitor's tick, and ends at `stop_at_ns` of the machine's clock without any event. So whether two
 * overlap is asked when one begins. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "coordinator/mutant.h"
#include "tests/sim/grants.h"
#include "tests/sim/mem.h"

enum { TICK_MS_MAX = 20, HANG_ONE_IN = 60, HANG_MS_MAX = 400 };

struct ray_id sim_guest_id(uint32_t guest)
{
    struct ray_id id = {{'g', 'u', 'e', 's', 't'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(guest + 1);
    return id;
}

uint32_t sim_guest_of(const struct ray_id *id)
{
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        struct ray_id guest = sim_guest_id(i);

        if (ray_id_equal(&guest, id)) {
            return i;
        }
    }
    return SIM_GUESTS_MAX;
}

static uint64_t local_ns(const struct sim_grants_machine *machine)
{
    return sim_proc_now_ns(machine->proc);
}

/* ---- who runs ---- */

static uint64_t deadline_of(const struct sim_grants_machine *machine, uint32_t guest)
{
    const struct ray_grant_monitor *monitor = &machine->copies[guest].monitor;
    struct ray_id id = sim_guest_id(guest);

    return ray_grant_page_deadline(machine->page, monitor->slot, &id, monitor->epoch);
}

static bool is_running(const struct sim_grants_machine *machine, uint32_t guest)
{
    const struct sim_copy *copy = &machine->copies[guest];

    return machine->is_on && copy->is_there && copy->is_running &&
           local_ns(machine) < copy->stop_at_ns &&
           !sim_stand_excuses(machine, deadline_of(machine, guest));
}

uint32_t sim_grants_runner(const struct sim_grants *grants, uint32_t guest, uint32_t but)
{
    for (uint32_t i = 0; i < grants->machine_count; i++) {
        if (i != but && is_running(&grants->machines[i], guest)) {
            return i;
        }
    }
    return SIM_NOBODY;
}

bool sim_grants_is_busy(const struct sim_grants *grants, uint32_t machine)
{
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        if (is_running(&grants->machines[machine], i)) {
            return true;
        }
    }
    return false;
}

static bool has_live_slot(const struct sim_grants_machine *machine, const struct ray_id *id,
                          struct ray_epoch epoch)
{
    for (size_t slot = 0; machine->is_on && slot < RAY_GRANT_SLOTS_MAX; slot++) {
        struct ray_epoch other_epoch;
        struct ray_id other;

        uint64_t deadline_ns = ray_grant_page_deadline(machine->page, slot, id, epoch);

        if (ray_grant_page_pair(machine->page, slot, &other, &other_epoch) &&
            deadline_ns > local_ns(machine) && !sim_stand_excuses(machine, deadline_ns)) {
            return true;
        }
    }
    return false;
}

bool sim_grants_is_alive(const struct sim_grants *grants, uint32_t guest, struct ray_epoch epoch)
{
    struct ray_id id = sim_guest_id(guest);

    if (sim_grants_runner(grants, guest, SIM_NOBODY) != SIM_NOBODY) {
        return true;
    }
    for (uint32_t i = 0; i < grants->machine_count; i++) {
        if (has_live_slot(&grants->machines[i], &id, epoch)) {
            return true;
        }
    }
    return false;
}

bool sim_grants_is_older_alive(const struct sim_grants *grants, uint32_t index,
                               uint64_t cluster_epoch)
{
    const struct sim_grants_machine *machine = &grants->machines[index];

    for (uint32_t i = 0; machine->is_on && i < SIM_GUESTS_MAX; i++) {
        if (is_running(machine, i) && machine->copies[i].monitor.epoch.cluster < cluster_epoch) {
            return true;
        }
    }
    for (size_t slot = 0; machine->is_on && slot < RAY_GRANT_SLOTS_MAX; slot++) {
        struct ray_epoch epoch;
        struct ray_id id;

        if (ray_grant_page_pair(machine->page, slot, &id, &epoch) &&
            epoch.cluster < cluster_epoch &&
            ray_grant_page_deadline(machine->page, slot, &id, epoch) > local_ns(machine)) {
            return true;
        }
    }
    return false;
}

/* ---- monitors ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void refresh(struct sim_grants_machine *machine, struct sim_copy *copy)
{
    struct ray_grant_monitor monitor = copy->monitor;
    uint64_t now_ns = local_ns(machine);
    uint64_t overshoot_ns = machine->overshoot_ns;
    uint64_t deadline_ns;

    if (RAY_MUTANT(GUEST_FROZEN_THAWS) && monitor.copy == RAY_GRANT_COPY_FROZEN) {
        monitor.copy = RAY_GRANT_COPY_RUN;
    }
    if (RAY_MUTANT(GUEST_LATE_STOP)) {
        overshoot_ns += 2 * SIM_MS * machine->grants->cluster->margin_ms;
    }
    copy->is_running = copy->is_running && now_ns < copy->stop_at_ns;
    deadline_ns = ray_grant_monitor_refresh(&monitor, &copy->vcpu, 1);
    if (deadline_ns > now_ns) {
        copy->stop_at_ns = deadline_ns + overshoot_ns;
    } else if (copy->is_running) {
        copy->stop_at_ns = least(copy->stop_at_ns, now_ns + overshoot_ns);
    }
}

static void tick_copy(struct sim_grants_machine *machine, uint32_t guest)
{
    struct sim_grants *grants = machine->grants;
    struct sim_copy *copy = &machine->copies[guest];

    if (!copy->is_there) {
        return;
    }
    refresh(machine, copy);
    if (!copy->is_running && ray_grant_vcpu_may_run(&copy->vcpu, local_ns(machine))) {
        if (sim_stand_excuses(machine, deadline_of(machine, guest))) {
            return; /* for what it is worth, it runs: nobody counts that */
        }
        sim_check_grants_run(&grants->check, guest, machine->index,
                             sim_grants_runner(grants, guest, machine->index), copy->is_fresh,
                             &copy->memory);
        sim_trace(grants->world, "n%" PRIu32 " runs guest %" PRIu32 " at epoch %" PRIu64,
                  machine->index, guest, copy->monitor.epoch.index);
        copy->is_running = true;
        copy->is_fresh = false;
    }
}

static void check_slots(struct sim_grants_machine *machine)
{
    struct ray_epoch epoch;
    struct ray_id id;
    uint64_t now_ns = local_ns(machine);

    /* A page of this simulator is filled from its beginning. */
    for (size_t slot = 0; slot < (size_t)SIM_GUESTS_MAX * 2; slot++) {
        uint64_t deadline_ns;
        uint32_t guest;

        if (!ray_grant_page_pair(machine->page, slot, &id, &epoch)) {
            continue;
        }
        guest = sim_guest_of(&id);
        deadline_ns = ray_grant_page_deadline(machine->page, slot, &id, epoch);
        if (guest < SIM_GUESTS_MAX && deadline_ns > now_ns &&
            !sim_stand_excuses(machine, deadline_ns)) {
            sim_check_grants_slot(&machine->grants->check, guest, machine->index, epoch,
                                  coord_launcher_burned(machine->launcher, &id),
                                  deadline_ns - now_ns);
        }
    }
}

void sim_grants_check_slots(struct sim_grants *grants)
{
    for (uint32_t i = 0; i < grants->machine_count; i++) {
        if (grants->machines[i].is_on) {
            check_slots(&grants->machines[i]);
        }
    }
}

static void tick(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_grants_machine *machine = arg;
    struct sim_grants *grants = machine->grants;
    struct sim_rng *rng = &grants->rng;
    uint64_t wait_ns = sim_rng_between(rng, SIM_MS, TICK_MS_MAX * SIM_MS);

    if (!is_alive) {
        return;
    }
    if (!grants->is_healed && sim_rng_one_in(rng, HANG_ONE_IN)) {
        wait_ns = sim_rng_below(rng, HANG_MS_MAX * SIM_MS) + 1;
    }
    sim_world_post(grants->world, grants->world->now_ns + wait_ns, tick, machine, tag);
    if (!machine->is_on || machine->stand.is_standing) {
        return;
    }
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        tick_copy(machine, i);
        if (machine->copies[i].is_there && !grants->is_healed &&
            grants->wishes.monitor_dies_every != 0 &&
            sim_rng_one_in(rng, grants->wishes.monitor_dies_every)) {
            sim_trace(grants->world, "n%" PRIu32 ": the monitor of guest %" PRIu32 " dies",
                      machine->index, i);
            sim_machine_end(machine, i);
        }
    }
    check_slots(machine);
}

/* ---- acts of the launcher ---- */

static void note_run(struct sim_grants_machine *machine, uint32_t guest, struct ray_epoch epoch)
{
    if (sim_proc_is_live(machine->proc)) { /* a ghost has no launcher any more */
        sim_check_grants_forked(&machine->grants->check, guest, epoch);
    }
}

static bool hold(struct sim_grants_machine *machine, struct coord_lease_agent *agent,
                 const struct ray_id *id, size_t *out_slot)
{
    if (coord_lease_agent_hold(agent, id, out_slot, NULL) == RAY_OK) {
        return true;
    }
    coord_launcher_reaped(machine->launcher, id);
    return false;
}

void sim_machine_fork(struct sim_grants_machine *machine, struct coord_lease_agent *agent,
                      uint32_t guest, struct ray_epoch epoch)
{
    struct ray_id id = sim_guest_id(guest);
    size_t slot = 0;

    if (coord_launcher_fork(machine->launcher, &id, epoch, NULL) != RAY_OK ||
        !hold(machine, agent, &id, &slot)) {
        return;
    }
    machine->copies[guest] = (struct sim_copy){.is_there = true, .is_fresh = true};
    ray_grant_monitor_init(&machine->copies[guest].monitor, machine->page, slot, &id, epoch);
    note_run(machine, guest, epoch);
}

void sim_machine_load(struct sim_grants_machine *machine, struct coord_lease_agent *agent,
                      uint32_t guest, struct ray_epoch from)
{
    struct ray_id id = sim_guest_id(guest);
    size_t slot = 0;

    if (coord_launcher_load(machine->launcher, &id, from, NULL) != RAY_OK ||
        !hold(machine, agent, &id, &slot)) {
        return;
    }
    machine->copies[guest] = (struct sim_copy){.is_there = true};
    ray_grant_monitor_init_loaded(&machine->copies[guest].monitor, machine->page, slot, &id, from);
}

void sim_machine_adopt(struct sim_grants_machine *machine, uint32_t guest,
                       const struct coord_lease_pair *pair)
{
    struct sim_copy *copy = &machine->copies[guest];

    if ((copy->monitor.copy == RAY_GRANT_COPY_LOADED && !copy->has_state) ||
        coord_launcher_adopt(machine->launcher, &pair->id, pair->epoch, pair->origin, pair->from,
                             NULL) != RAY_OK) {
        sim_machine_end(machine, guest);
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
    note_run(machine, guest, pair->epoch);
}

void sim_machine_freeze(struct sim_grants_machine *machine, uint32_t guest, struct ray_epoch epoch)
{
    struct sim_copy *copy = &machine->copies[guest];
    struct ray_id id = sim_guest_id(guest);

    if (coord_launcher_freeze(machine->launcher, &id, epoch, NULL) == RAY_OK) {
        (void)ray_grant_monitor_freeze(&copy->monitor, &copy->vcpu, 1, NULL);
        copy->is_running = false; /* it waits for each vCPU */
    }
}

void sim_machine_end(struct sim_grants_machine *machine, uint32_t guest)
{
    struct sim_copy *copy = &machine->copies[guest];
    struct ray_id id = sim_guest_id(guest);

    if (copy->is_there) {
        ray_grant_monitor_end(&copy->monitor, &copy->vcpu, 1);
        *copy = (struct sim_copy){0};
    }
    coord_launcher_reaped(machine->launcher, &id);
}

/* ---- migration ---- */

struct parcel {
    struct sim_grants_machine *to;
    struct ray_id incarnation;
    uint32_t guest;
    struct ray_epoch epoch;
    uint64_t memory;
};

static void arrive(void *arg, uint64_t tag, bool is_alive)
{
    struct parcel *parcel = arg;
    struct sim_copy *copy = &parcel->to->copies[parcel->guest];

    (void)tag;
    if (is_alive && parcel->to->is_on &&
        ray_id_equal(&parcel->to->incarnation, &parcel->incarnation) && copy->is_there &&
        copy->monitor.copy == RAY_GRANT_COPY_LOADED && !copy->has_state &&
        ray_epoch_equal(copy->monitor.epoch, parcel->epoch)) {
        copy->memory = parcel->memory;
        copy->has_state = true;
    }
    free(parcel);
}

void sim_machine_send_state(struct sim_grants_machine *machine, uint32_t guest,
                            const struct ray_id *incarnation)
{
    struct sim_grants *grants = machine->grants;

    for (uint32_t i = 0; i < grants->machine_count; i++) {
        struct sim_grants_machine *to = &grants->machines[i];
        struct parcel *parcel;

        if (!to->is_on || !ray_id_equal(&to->incarnation, incarnation) ||
            sim_net_is_cut(grants->net, machine->index, i)) {
            continue;
        }
        parcel = sim_alloc(1, sizeof *parcel);
        *parcel = (struct parcel){.to = to,
                                  .incarnation = *incarnation,
                                  .guest = guest,
                                  .epoch = machine->copies[guest].monitor.epoch,
                                  .memory = machine->copies[guest].memory};
        if (RAY_MUTANT(GUEST_LAST_ROUND_LOST)) {
            parcel->memory--;
        }
        sim_world_post(grants->world,
                       grants->world->now_ns + sim_rng_wait(&grants->rng, 30 * SIM_MS), arrive,
                       parcel, 0);
    }
}

/* ---- power ---- */

void sim_grants_off(struct sim_grants_machine *machine)
{
    machine->is_on = false;
    sim_stand_end(machine);
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        machine->copies[i] = (struct sim_copy){0};
    }
}

void sim_grants_on(struct sim_grants_machine *machine)
{
    struct sim_grants *grants = machine->grants;

    if (RAY_MUTANT(GUEST_LAUNCHER_FORGETS) && machine->is_on) {
        coord_launcher_init(machine->launcher);
    }
    if (machine->is_on) {
        return;
    }
    machine->is_on = true;
    machine->boot++;
    if (machine->boot == 1 || !RAY_MUTANT(GUEST_INCARNATION_KEPT)) {
        sim_rng_fill(&grants->rng, machine->incarnation.bytes, RAY_ID_SIZE);
    }
    machine->overshoot_ns = grants->cluster->margin_ms * SIM_MS - 1;
    if (sim_rng_one_in(&grants->rng, 2)) {
        machine->overshoot_ns = sim_rng_below(&grants->rng, machine->overshoot_ns);
    }
    ray_grant_page_init(machine->page);
    coord_launcher_init(machine->launcher);
}

bool sim_grants_clone(struct sim_grants_machine *machine)
{
    struct sim_grants *grants = machine->grants;
    uint32_t index = grants->cluster->node_count;
    struct sim_grants_machine *left = &grants->machines[index];
    struct ray_grant_page *page = machine->page;
    struct coord_launcher *launcher = machine->launcher;

    assert(!machine->proc->is_up);
    if (left->is_on || !machine->is_on || machine->stand.is_standing || machine->stand.is_excused) {
        return false;
    }
    grants->left_clock = *machine->proc->clock;
    sim_grants_add(grants, index, sim_proc_add(grants->world, &grants->left_clock));
    machine->page = left->page;
    machine->launcher = left->launcher;
    left->page = page; /* its monitors look there */
    left->launcher = launcher;
    left->incarnation = machine->incarnation;
    left->overshoot_ns = machine->overshoot_ns;
    left->boot = machine->boot;
    left->is_on = true;
    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        left->copies[i] = machine->copies[i];
    }
    sim_grants_off(machine);
    return true;
}

/* ---- the whole ---- */

static uint32_t draw_every(struct sim_rng *rng, uint32_t usual)
{
    return sim_rng_one_in(rng, 4)
               ? 0
               : (uint32_t)sim_rng_between(rng, usual / 4 + 1, usual * UINT64_C(2));
}

struct sim_grants *sim_grants_create(struct sim_world *world, struct sim_net *net,
                                     const struct sim_cluster *cluster, struct sim_verdict *verdict)
{
    struct sim_grants *grants = sim_alloc(1, sizeof *grants);

    grants->world = world;
    grants->net = net;
    grants->cluster = cluster;
    grants->verdict = verdict;
    sim_rng_fork(&world->rng, &grants->rng);
    sim_check_grants_init(&grants->check, verdict);
    grants->guest_count = (uint32_t)sim_rng_between(&grants->rng, 1, 4);
    grants->wishes = (struct sim_grants_wishes){
        .migrate_every = draw_every(&grants->rng, 80),
        .toggle_every = draw_every(&grants->rng, 200),
        .delete_every = draw_every(&grants->rng, 800),
        .timing_every = draw_every(&grants->rng, 150),
        .death_every = draw_every(&grants->rng, 20),
        .monitor_dies_every = draw_every(&grants->rng, 800),
    };
    if (cluster->is_standing) {
        grants->wishes.timing_every = 0;
    }
    return grants;
}

void sim_grants_destroy(struct sim_grants *grants)
{
    if (grants == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SIM_NET_PLACES_MAX; i++) {
        free(grants->machines[i].page);
        free(grants->machines[i].launcher);
        sim_map_fini(&grants->machines[i].sent);
    }
    sim_check_grants_fini(&grants->check);
    free(grants);
}

void sim_grants_add(struct sim_grants *grants, uint32_t index, struct sim_proc *proc)
{
    struct sim_grants_machine *machine = &grants->machines[index];

    machine->grants = grants;
    machine->index = index;
    machine->proc = proc;
    /* A page is cut to 64 bytes, which calloc does not promise. */
    machine->page = aligned_alloc(alignof(struct ray_grant_page), sizeof *machine->page);
    assert(machine->page != NULL);
    machine->launcher = sim_alloc(1, sizeof *machine->launcher);
    grants->machine_count = index + 1;
    machine->rtc_offset_ns = sim_rng_below(&grants->rng, 1000 * SIM_S);
    sim_world_post(grants->world, grants->world->now_ns + 1, tick, machine, 0);
}

uint64_t sim_grants_rtc_ns(const struct sim_grants_machine *machine)
{
    return (machine->grants->world->now_ns + machine->rtc_offset_ns) / SIM_S * SIM_S;
}

void sim_grants_judge(struct sim_grants *grants)
{
    /* Where every node is drained nobody takes a guest. */
    bool has_place = grants->world->now_ns - grants->no_target_ns > 4 * SIM_S;

    for (uint32_t i = 0; has_place && i < SIM_GUESTS_MAX; i++) {
        sim_check_grants_end(&grants->check, i, sim_grants_runner(grants, i, SIM_NOBODY));
    }
}

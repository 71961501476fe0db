/* A machine stands still together with its clock, as a virtual machine does that its host has
 * stopped. The others count W and take its guests over; when it wakes its deadlines are still
 * ahead. No lease that counts on clocks can prevent that (docs/explanation/grants.md): between
 * waking and the second look at the RTC its guests may run. That they do not after it is checked
 * here. */
#include <inttypes.h>

#include "tests/sim/grants_agent.h"

enum { LOOKS = 2, TICK_MS_MAX = 20, HANG_MS_MAX = 400 };

/* The longest that anything granted before may still last, on a clock that is as slow as can be. */
static uint64_t patience_ns(const struct sim_grants_machine *machine)
{
    const struct sim_cluster *cluster = machine->grants->cluster;

    return 2 * SIM_MS * ((uint64_t)cluster->grant_ms + cluster->margin_ms);
}

/* What it takes a monitor to see that its slot is dead, and its vCPU to stop. */
static uint64_t stop_ns(const struct sim_grants_machine *machine)
{
    return (HANG_MS_MAX + 2 * TICK_MS_MAX) * SIM_MS + 2 * machine->overshoot_ns;
}

bool sim_stand_excuses(const struct sim_grants_machine *machine, uint64_t deadline_ns)
{
    const struct sim_cluster *cluster = machine->grants->cluster;

    return machine->stand.is_standing ||
           (machine->stand.is_excused &&
            deadline_ns <= machine->stand.at_ns + cluster->grant_ms * SIM_MS);
}

/* Others may have begun meanwhile: they would not be asked again. */
static void judge(struct sim_grants_machine *machine)
{
    struct sim_grants *grants = machine->grants;

    for (uint32_t i = 0; i < SIM_GUESTS_MAX; i++) {
        uint32_t runner = sim_grants_runner(grants, i, SIM_NOBODY);
        uint32_t other = runner == SIM_NOBODY ? runner : sim_grants_runner(grants, i, runner);

        if (other != SIM_NOBODY) {
            sim_verdict_fail(grants->verdict, SIM_CHECK_GRANT_STOOD,
                             "n%" PRIu32 " stood still; guest %" PRIu32 " runs on n%" PRIu32
                             " and on n%" PRIu32 " after it has had time to notice",
                             machine->index, i, runner, other);
        }
    }
}

static void end_excuse(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_grants_machine *machine = arg;

    if (is_alive && machine->stand.number == tag && machine->stand.is_excused) {
        sim_trace(machine->grants->world, "n%" PRIu32 " has no excuse any more", machine->index);
        machine->stand.is_excused = false;
        judge(machine);
    }
}

static void wake(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_grants_machine *machine = arg;
    struct sim_world *world = machine->grants->world;

    if (!is_alive || machine->stand.number != tag || !machine->stand.is_standing) {
        return;
    }
    sim_trace(world, "n%" PRIu32 " goes on", machine->index);
    sim_clock_go_on(machine->proc->clock, world->now_ns);
    machine->stand.is_standing = false;
    machine->stand.is_excused = true;
    /* A process that begins only now has nothing to compare with. */
    machine->stand.looks =
        machine->agent != NULL && machine->agent->lease.clock_check.has_start ? LOOKS : 0;
    sim_world_post(world, world->now_ns + patience_ns(machine), end_excuse, machine, tag);
}

void sim_stand_begin(struct sim_grants_machine *machine, uint64_t until_ns)
{
    struct sim_world *world = machine->grants->world;

    if (!machine->is_on || machine->stand.is_standing || machine->stand.is_excused ||
        !sim_proc_is_live(machine->proc)) {
        return;
    }
    sim_trace(world, "n%" PRIu32 " stands still with its clock until %" PRIu64 " ms",
              machine->index, until_ns / SIM_MS);
    machine->stand.is_standing = true;
    machine->stand.number++;
    machine->stand.until_ns = until_ns;
    machine->stand.at_ns = sim_proc_now_ns(machine->proc);
    sim_clock_stop(machine->proc->clock, world->now_ns);
    sim_proc_pause(machine->proc, until_ns + 1);
    sim_world_post(world, until_ns, wake, machine, machine->stand.number);
}

void sim_stand_end(struct sim_grants_machine *machine)
{
    machine->stand.is_standing = false;
    machine->stand.is_excused = false;
    machine->stand.number++;
}

/* Whatever was not granted since it woke is dead. */
static void judge_slots(struct sim_grants_machine *machine)
{
    for (size_t slot = 0; slot < RAY_GRANT_SLOTS_MAX; slot++) {
        struct ray_epoch epoch;
        struct ray_id id;
        uint64_t deadline_ns = 0;

        if (ray_grant_page_pair(machine->page, slot, &id, &epoch)) {
            deadline_ns = ray_grant_page_deadline(machine->page, slot, &id, epoch);
        }
        if (deadline_ns > sim_proc_now_ns(machine->proc) &&
            sim_stand_excuses(machine, deadline_ns)) {
            sim_verdict_fail(machine->grants->verdict, SIM_CHECK_GRANT_STOOD,
                             "n%" PRIu32 " stood still, has looked twice at the clocks, and keeps "
                             "slot %zu alive",
                             machine->index, slot);
        }
    }
}

void sim_stand_looked(struct sim_grants_machine *machine)
{
    struct sim_world *world = machine->grants->world;

    if (!machine->stand.is_excused || machine->stand.looks == 0) {
        return;
    }
    machine->stand.looks--;
    if (machine->stand.looks == 0) {
        judge_slots(machine);
        sim_world_post(world, world->now_ns + stop_ns(machine), end_excuse, machine,
                       machine->stand.number);
    }
}

#include "tests/sim/check_grants.h"

#include <assert.h>
#include <inttypes.h>

void sim_check_grants_init(struct sim_check_grants *check, struct sim_verdict *verdict)
{
    *check = (struct sim_check_grants){.verdict = verdict};
}

void sim_check_grants_fini(struct sim_check_grants *check)
{
    sim_map_fini(&check->forks);
    sim_map_fini(&check->noops);
    sim_map_fini(&check->deaths);
    sim_map_fini(&check->elections);
}

void sim_check_grants_run(struct sim_check_grants *check, uint32_t guest, uint32_t machine,
                          uint32_t other, bool is_fresh, uint64_t *memory)
{
    const struct sim_grants_guest *known = &check->guests[guest];

    assert(guest < SIM_GUESTS_MAX);
    if (other != SIM_NOBODY) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_ONE,
                         "guest %" PRIu32 " runs on n%" PRIu32 " and on n%" PRIu32, guest, other,
                         machine);
    }
    if (!is_fresh && *memory != check->last_run[guest]) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_MEMORY,
                         "guest %" PRIu32 " on n%" PRIu32 " goes on from memory of run %" PRIu64
                         ", the newest is %" PRIu64,
                         guest, machine, *memory, check->last_run[guest]);
    }
    if (known->was_there && (!known->is_there || !known->has_run)) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_VOLUME,
                         "guest %" PRIu32 " begins on n%" PRIu32 " without a run", guest, machine);
    }
    check->run_count++;
    check->last_run[guest] = check->run_count;
    *memory = check->run_count;
}

void sim_check_grants_forked(struct sim_check_grants *check, uint32_t guest, struct ray_epoch epoch)
{
    bool is_new;

    (void)sim_map_put(&check->forks, guest, epoch.index, 1, &is_new);
    if (!is_new) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_FORK,
                         "guest %" PRIu32 ": epoch %" PRIu64 " is run a second time", guest,
                         epoch.index);
    }
}

void sim_check_grants_slot(struct sim_check_grants *check, uint32_t guest, uint32_t machine,
                           struct ray_epoch epoch, struct ray_epoch burned, uint64_t left_ns)
{
    const struct sim_grants_guest *known = &check->guests[guest];

    if (left_ns == 0) {
        return;
    }
    if (ray_epoch_compare(known->epoch, epoch) > 0 && ray_epoch_compare(burned, epoch) < 0) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_ENDED,
                         "guest %" PRIu32 " on n%" PRIu32 ": epoch %" PRIu64
                         " lives, it was ended and is not burned there",
                         guest, machine, epoch.index);
    }
    if (check->grant_ns_max != 0 && left_ns > check->grant_ns_max) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_TIME,
                         "guest %" PRIu32 " on n%" PRIu32 " lives for %" PRIu64
                         " ns, the maximum is %" PRIu64,
                         guest, machine, left_ns, check->grant_ns_max);
    }
}

void sim_check_grants_led(struct sim_check_grants *check, uint64_t term, uint64_t now_ns)
{
    bool is_new;

    (void)sim_map_put(&check->elections, term, 0, now_ns, &is_new);
    check->term_max = term > check->term_max ? term : check->term_max;
}

void sim_check_grants_appended(struct sim_check_grants *check, uint64_t index, uint64_t term)
{
    bool is_new;

    (void)sim_map_put(&check->noops, term, 0, index, &is_new);
}

void sim_check_grants_death(struct sim_check_grants *check, uint64_t index, uint64_t term,
                            bool is_alive)
{
    bool is_new;

    (void)sim_map_put(&check->deaths, index, term, is_alive ? 1 : 0, &is_new);
}

void sim_check_grants_answer(struct sim_check_grants *check, uint64_t term, uint64_t applied_index,
                             uint64_t sent_ns, uint32_t pending)
{
    const uint64_t *noop = sim_map_get(&check->noops, term, 0);

    if (noop == NULL || applied_index < *noop) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_ANSWER,
                         "the leader of term %" PRIu64 " grants as of %" PRIu64
                         ", its own first entry is %" PRIu64,
                         term, applied_index, noop == NULL ? 0 : *noop);
    }
    if (pending != SIM_NOBODY) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_ANSWER,
                         "the leader of term %" PRIu64 " grants guest %" PRIu32
                         " with an outcome about it in its log",
                         term, pending);
    }
    for (uint64_t later = term + 1; later <= check->term_max; later++) {
        const uint64_t *elected_ns = sim_map_get(&check->elections, later, 0);

        if (elected_ns != NULL && *elected_ns < sent_ns) {
            sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_SENT,
                             "the leader of term %" PRIu64 " grants what was asked for %" PRIu64
                             " ns after the election of term %" PRIu64,
                             term, sent_ns - *elected_ns, later);
        }
    }
}

bool sim_check_grants_committed(struct sim_check_grants *check, uint64_t index, uint64_t term,
                                bool took_over)
{
    const uint64_t *was_alive = sim_map_get(&check->deaths, index, term);

    if (index <= check->committed_index) {
        return false;
    }
    check->committed_index = index;
    if (took_over && (was_alive == NULL || *was_alive != 0)) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_DEATH,
                         "entry %" PRIu64 " takes a guest over that could run when it was appended",
                         index);
    }
    return true;
}

void sim_check_grants_guest(struct sim_check_grants *check, uint32_t guest,
                            const struct sim_grants_guest *now, uint32_t runner)
{
    struct sim_grants_guest *known = &check->guests[guest];
    bool was_there = known->was_there || now->is_there;

    if (was_there && !now->has_run && (runner != SIM_NOBODY || now->has_writer)) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_VOLUME, "guest %" PRIu32 " has no run%s%s",
                         guest, runner != SIM_NOBODY ? ", and runs" : "",
                         now->has_writer ? ", and holds a volume" : "");
    }
    *known = *now;
    known->was_there = was_there;
}

void sim_check_grants_unknown(struct sim_check_grants *check, uint32_t unknown, uint32_t alive)
{
    uint32_t known_again = check->unknown & ~unknown;

    if ((known_again & alive) != 0) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_KNOWN,
                         "machines %#" PRIx32 " are known again, %#" PRIx32
                         " still run what was granted before the recovery",
                         known_again, known_again & alive);
    }
    check->unknown = unknown;
}

void sim_check_grants_end(struct sim_check_grants *check, uint32_t guest, uint32_t runner)
{
    const struct sim_grants_guest *known = &check->guests[guest];

    if (known->is_there && known->is_wanted && runner == SIM_NOBODY) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_RUNS,
                         "guest %" PRIu32 " is wanted and does not run at the end", guest);
    }
    if (known->is_there && !known->is_wanted && known->has_run) {
        sim_verdict_fail(check->verdict, SIM_CHECK_GRANT_RUNS,
                         "guest %" PRIu32 " is not wanted and was not ended at the end", guest);
    }
}

#include "tests/sim/check_end.h"

#include <inttypes.h>

static void check_node(const struct sim_end *end, size_t at, uint64_t applied_max,
                       struct sim_verdict *verdict)
{
    const struct sim_end_node *node = &end->nodes[at];

    if (node->is_quarantined && node->was_damaged) {
        return;
    }
    if (!node->is_up) {
        sim_verdict_fail(verdict, SIM_CHECK_PROGRESS, "node %zu is not up", at);
    } else if (node->applied_index < applied_max) {
        sim_verdict_fail(verdict, SIM_CHECK_PROGRESS,
                         "node %zu has applied %" PRIu64 ", another %" PRIu64, at,
                         node->applied_index, applied_max);
    }
}

void sim_check_progress(const struct sim_end *end, struct sim_verdict *verdict)
{
    size_t leader_count = 0;
    uint64_t applied_max = 0;

    for (size_t i = 0; i < end->node_count; i++) {
        uint64_t applied = end->nodes[i].applied_index;

        leader_count += end->nodes[i].is_up && end->nodes[i].is_leader;
        applied_max = applied > applied_max ? applied : applied_max;
    }
    if (end->settled_index > 0 && applied_max > end->settled_index) {
        applied_max = end->settled_index;
    }
    if (leader_count != 1) {
        sim_verdict_fail(verdict, SIM_CHECK_PROGRESS, "%zu leaders at the end", leader_count);
    }
    if (end->pending_count > 0) {
        sim_verdict_fail(verdict, SIM_CHECK_PROGRESS,
                         "%zu operations were never answered, the oldest since %" PRIu64 " ms",
                         end->pending_count, end->pending_since_ns / 1000000);
    }
    if (end->healed_done_count == 0) {
        sim_verdict_fail(verdict, SIM_CHECK_PROGRESS, "nothing was done after the healing");
    }
    for (size_t i = 0; i < end->node_count; i++) {
        check_node(end, i, applied_max, verdict);
    }
}

void sim_check_quarantine(uint32_t node, bool was_damaged, const char *why,
                          struct sim_verdict *verdict)
{
    if (!was_damaged) {
        sim_verdict_fail(verdict, SIM_CHECK_QUARANTINE,
                         "node %" PRIu32 " is quarantined and nothing was damaged: %s", node, why);
    }
}

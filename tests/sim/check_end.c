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

static bool is_whole(const struct sim_end_node *node)
{
    return node->is_up && !node->is_quarantined;
}

/* Voters grant their vote to a log that is not older than theirs, whatever they count by. */
static bool can_lead(const struct sim_end *end, const struct sim_end_node *node)
{
    size_t votes = 0;

    if (!is_whole(node) || (node->voters >> node->place & 1) == 0) {
        return false;
    }
    for (size_t i = 0; i < end->node_count; i++) {
        const struct sim_end_node *other = &end->nodes[i];

        votes += is_whole(other) && (node->voters >> other->place & 1) != 0 &&
                 (other->last_term < node->last_term ||
                  (other->last_term == node->last_term && other->last_index <= node->last_index));
    }
    return votes > node->voter_count / 2;
}

static bool can_nobody_lead(const struct sim_end *end)
{
    bool is_any_lost = false;

    for (size_t i = 0; i < end->node_count; i++) {
        const struct sim_end_node *node = &end->nodes[i];

        if (can_lead(end, node) || (is_whole(node) && node->voter_count == 0)) {
            return false;
        }
        is_any_lost |= node->is_quarantined;
    }
    return is_any_lost;
}

bool sim_check_progress(const struct sim_end *end, struct sim_verdict *verdict)
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
    if (leader_count == 0 && can_nobody_lead(end)) {
        return false;
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
    return true;
}

void sim_check_level(uint32_t level, const uint32_t *levels, uint32_t members,
                     struct sim_verdict *verdict)
{
    for (uint32_t place = 0; members >> place != 0; place++) {
        if ((members >> place & 1) != 0 && levels[place] < level) {
            sim_verdict_fail(verdict, SIM_CHECK_LEVEL,
                             "the feature level is %" PRIu32 ", and n%" PRIu32
                             ", a member, has a build of level %" PRIu32,
                             level, place, levels[place]);
        }
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

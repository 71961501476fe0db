#include "tests/sim/check_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mem.h"

enum { INDEX_MAX = 1 << 24 };

void sim_check_log_init(struct sim_check_log *check, struct sim_verdict *verdict)
{
    *check = (struct sim_check_log){.verdict = verdict};
}

void sim_check_log_fini(struct sim_check_log *check)
{
    sim_map_fini(&check->leaders);
    sim_map_fini(&check->entries);
    free(check->committed);
    check->committed = NULL;
}

void sim_check_log_leads(struct sim_check_log *check, uint64_t server, uint64_t term)
{
    bool is_new;
    uint64_t *leader = sim_map_put(&check->leaders, term, 0, server, &is_new);

    if (*leader != server) {
        sim_verdict_fail(check->verdict, SIM_CHECK_ELECTION,
                         "term %" PRIu64 ": %" PRIu64 " and %" PRIu64 " lead", term, *leader,
                         server);
    }
}

void sim_check_log_appended(struct sim_check_log *check, uint32_t node, uint64_t index,
                            uint64_t term, uint64_t hash, uint64_t previous_term)
{
    uint64_t all = sim_hash_u64(hash, previous_term);
    bool is_new;
    uint64_t *known = sim_map_put(&check->entries, index, term, all, &is_new);

    if (*known != all) {
        sim_verdict_fail(check->verdict, SIM_CHECK_LOG,
                         "node %" PRIu32 " appends another entry {index %" PRIu64 ", term %" PRIu64
                         "} (term before it %" PRIu64 ")",
                         node, index, term, previous_term);
    }
}

static struct sim_committed *slot_of(struct sim_check_log *check, uint64_t index)
{
    assert(index > 0 && index < INDEX_MAX);
    while (index >= check->committed_capacity) {
        size_t old = check->committed_capacity;

        check->committed =
            sim_grow(check->committed, old, &check->committed_capacity, sizeof *check->committed);
        memset(check->committed + old, 0,
               (check->committed_capacity - old) * sizeof *check->committed);
    }
    return &check->committed[index];
}

void sim_check_log_applied(struct sim_check_log *check, uint32_t node, uint64_t index,
                           uint64_t term, uint64_t hash)
{
    struct sim_committed *known = slot_of(check, index);

    if (known->term == 0) {
        known->term = term;
        known->hash = hash;
        check->committed_max = index > check->committed_max ? index : check->committed_max;
    } else if (known->term != term || known->hash != hash) {
        sim_verdict_fail(check->verdict, known->is_acked ? SIM_CHECK_DURABLE : SIM_CHECK_LOG,
                         "node %" PRIu32 " applies index %" PRIu64 " of term %" PRIu64
                         ", others of term %" PRIu64 "%s",
                         node, index, term, known->term,
                         known->term == term ? " with other bytes" : "");
    }
}

void sim_check_log_state(struct sim_check_log *check, uint32_t node, uint64_t index,
                         uint64_t state_hash)
{
    struct sim_committed *known = slot_of(check, index);

    if (!known->has_state) {
        known->has_state = true;
        known->state_hash = state_hash;
    } else if (known->state_hash != state_hash) {
        sim_verdict_fail(check->verdict, SIM_CHECK_STATE,
                         "node %" PRIu32 " has another state after index %" PRIu64, node, index);
    }
}

void sim_check_log_acked(struct sim_check_log *check, uint64_t index)
{
    struct sim_committed *known = slot_of(check, index);

    known->is_acked = true;
    if (known->term == 0) {
        sim_verdict_fail(check->verdict, SIM_CHECK_DURABLE,
                         "index %" PRIu64 " is acknowledged and nobody applied it", index);
    }
}

void sim_check_log_end(struct sim_check_log *check, uint32_t node, uint64_t index)
{
    for (uint64_t i = check->committed_max; i > index; i--) {
        if (check->committed[i].is_acked) {
            sim_verdict_fail(check->verdict, SIM_CHECK_DURABLE,
                             "node %" PRIu32 " ends at %" PRIu64
                             " without the acknowledged %" PRIu64,
                             node, index, i);
            return;
        }
    }
}

const struct sim_committed *sim_check_log_committed(const struct sim_check_log *check,
                                                    uint64_t index)
{
    return index > 0 && index <= check->committed_max && check->committed[index].term != 0
               ? &check->committed[index]
               : NULL;
}

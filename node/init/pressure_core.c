#include "node/init/pressure_core.h"

#include <assert.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/size.h"

/* "full" means that nobody could go on, so it counts lost work and not mere sharing.
 *
 * memory: 100 ms of a second. Reclaim that costs a tenth of the machine is the begin of
 *     thrashing; 3 s of it are no hiccup of one big allocation.
 * io: 300 ms of a second. Disks make people wait; a third of the time for 10 s means that
 *     one is slow or about to fail, or that somebody writes more than it takes.
 * cpu: there is no "full" for the whole machine. "some" for most of a second is what a node
 *     with busy guests looks like, hence no trouble; 30 s keep it from flickering. */
static const struct pressure_rule rules[] = {
    [PRESSURE_MEMORY] = {"memory", "full 100000 1000000", 3000, 15000, true},
    [PRESSURE_IO] = {"io", "full 300000 1000000", 10000, 15000, true},
    [PRESSURE_CPU] = {"cpu", "some 700000 1000000", 30000, 30000, false},
};

static_assert(RAY_ARRAY_COUNT(rules) == PRESSURE_KIND_COUNT, "one rule for each");

const struct pressure_rule *pressure_rule(enum pressure_kind kind)
{
    assert((size_t)kind < RAY_ARRAY_COUNT(rules));
    return &rules[kind];
}

bool pressure_alarm(struct pressure_level *level, const struct pressure_rule *rule, uint64_t now_ns)
{
    if (level->latest_ns == 0 || now_ns - level->latest_ns > PRESSURE_GAP_MS * RAY_NS_PER_MS) {
        level->first_ns = now_ns;
    }
    level->latest_ns = now_ns;
    if (level->is_high || now_ns - level->first_ns < rule->high_after_ms * RAY_NS_PER_MS) {
        return false;
    }
    level->is_high = true;
    level->since_ns = now_ns;
    return true;
}

uint64_t pressure_next_ns(const struct pressure_level *level, const struct pressure_rule *rule)
{
    return level->is_high ? level->latest_ns + rule->normal_after_ms * RAY_NS_PER_MS : UINT64_MAX;
}

bool pressure_tick(struct pressure_level *level, const struct pressure_rule *rule, uint64_t now_ns)
{
    if (now_ns < pressure_next_ns(level, rule)) {
        return false;
    }
    level->is_high = false;
    level->since_ns = now_ns;
    return true;
}

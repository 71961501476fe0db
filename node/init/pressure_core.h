/* node/init/pressure_core.h - when a shortage of memory, disks or processors is worth a word.
 *
 * The kernel raises an alarm (at most one a second) while more time is lost than the rule
 * allows. Alarms in a row for long enough make the level high; none for long enough makes it
 * normal again. The two times bound how often it can change, so nothing else limits what is
 * said about it.
 *
 *            alarms without a gap for high_after_ms
 *   normal -----------------------------------------> high
 *      ^      no alarm for normal_after_ms             |
 *      +-----------------------------------------------+
 *
 * Memory: plain structs.  Threads: one owner.  Blocks: never; time comes from outside.
 * Trust: none. */
#ifndef RAY_NODE_INIT_PRESSURE_CORE_H
#define RAY_NODE_INIT_PRESSURE_CORE_H

#include <stdbool.h>
#include <stdint.h>

enum pressure_kind {
    PRESSURE_MEMORY,
    PRESSURE_IO,
    PRESSURE_CPU,
    PRESSURE_KIND_COUNT,
};

enum { PRESSURE_GAP_MS = 3000 }; /* alarms further apart than this are not in a row */

struct pressure_rule {
    const char *name;    /* below /proc/pressure, and in marker and status */
    const char *trigger; /* for the kernel: line, microseconds lost, of how many */
    uint32_t high_after_ms;
    uint32_t normal_after_ms;
    bool is_trouble; /* false: it is shown, but no reason to worry */
};

const struct pressure_rule *pressure_rule(enum pressure_kind kind);

struct pressure_level {
    bool is_high;
    uint64_t since_ns;  /* when it changed last; 0: never */
    uint64_t first_ns;  /* alarm of the present row */
    uint64_t latest_ns; /* alarm; 0: none ever */
};

/* An alarm of the kernel. True: it is high from now on. */
bool pressure_alarm(struct pressure_level *level, const struct pressure_rule *rule,
                    uint64_t now_ns);
/* Time has passed. True: it is normal again from now on. */
bool pressure_tick(struct pressure_level *level, const struct pressure_rule *rule, uint64_t now_ns);
/* When the tick is due; UINT64_MAX: not at all. */
uint64_t pressure_next_ns(const struct pressure_level *level, const struct pressure_rule *rule);

#endif

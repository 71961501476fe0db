/* clusterctl/lab/switch_fault.h - what happens to one frame on its way from one port to
 * another: the pure core of all injected faults.
 *
 * Every decision takes `now` from outside and draws exactly four numbers from the pair's own
 * generator while any fault but a cut is set, so that a run can be repeated from its seed
 * and one fault does not shift the dice of another.
 * Memory: none.  Threads: one owner.  Blocks: never (pure).  Trust: none; limits are the
 * parser's (switch_ctl.h). */
#ifndef RAY_LAB_SWITCH_FAULT_H
#define RAY_LAB_SWITCH_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAY_SWITCH_PPM = 1000000,
    RAY_SWITCH_RATE_BACKLOG_MS = 200, /* a rate limit's own queue; beyond it frames drop */
    RAY_SWITCH_LATE_MS = 10,          /* a reordered frame waits this long for a successor */
};

struct ray_switch_fault {
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm;
    uint64_t delay_ns;
    uint64_t jitter_ns; /* added to the delay: evenly within 0..jitter; the order is kept */
    uint64_t rate_bps;  /* bits per second; 0: no limit */
    bool is_cut;
};

/* The state of one ordered pair of ports. */
struct ray_switch_link {
    struct ray_switch_fault fault;
    uint64_t random;       /* state of the generator */
    uint64_t last_at_ns;   /* no later frame may leave before this */
    uint64_t wire_free_ns; /* when the rate limit lets the next frame begin */
};

enum ray_switch_verdict {
    RAY_SWITCH_PASS,
    RAY_SWITCH_DROP_CUT,
    RAY_SWITCH_DROP_LOSS,
    RAY_SWITCH_DROP_RATE,
};

struct ray_switch_decision {
    enum ray_switch_verdict verdict;
    uint8_t copy_count; /* 1 or 2; 0 when dropped */
    bool is_late;       /* leaves after its successor, or RAY_SWITCH_LATE_MS after at_ns */
    uint64_t at_ns;     /* leaves then; at once when not after now */
};

/* The generator depends on the seed and both names only, not on the order of ports. */
void ray_switch_link_init(struct ray_switch_link *link, uint64_t seed, const char *from,
                          const char *to);

struct ray_switch_decision ray_switch_link_decide(struct ray_switch_link *link, uint64_t now_ns,
                                                  size_t size);

/* Whether any fault is set. */
bool ray_switch_fault_is_set(const struct ray_switch_fault *fault);

#endif

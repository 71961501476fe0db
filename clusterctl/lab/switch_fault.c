/* switch_fault.c - order of the stages: cut, loss, rate, delay and jitter, order, copies.
 * Invariant: at_ns of frames that are not late never falls. */
#include "clusterctl/lab/switch_fault.h"

#include <assert.h>

#include "base/clock.h"

/* SplitMix64: one word of state, every seed is good. */
static uint64_t draw(uint64_t *state)
{
    uint64_t value;

    *state += UINT64_C(0x9e3779b97f4a7c15);
    value = *state;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* Scaling by multiplication: even within 0..bound-1 up to a bias of bound / 2^32, below, and
 * of bound / 2^64 in within(): far less than a test can see. */
static bool happens(uint64_t value, uint32_t ppm)
{
    return ((value >> 32) * RAY_SWITCH_PPM) >> 32 < ppm;
}

static uint64_t within(uint64_t value, uint64_t max)
{
    __extension__ typedef unsigned __int128 wide;

    return (uint64_t)(((wide)value * ((wide)max + 1)) >> 64);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
    }
    return (hash ^ 0xff) * UINT64_C(0x100000001b3); /* "ab" "c" is not "a" "bc" */
}

void ray_switch_link_init(struct ray_switch_link *link, uint64_t seed, const char *from,
                          const char *to)
{
    uint64_t names = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), from), to);

    *link = (struct ray_switch_link){.random = seed};
    link->random = draw(&link->random) ^ names;
}

bool ray_switch_fault_is_set(const struct ray_switch_fault *fault)
{
    return fault->is_cut || fault->loss_ppm != 0 || fault->duplicate_ppm != 0 ||
           fault->reorder_ppm != 0 || fault->delay_ns != 0 || fault->jitter_ns != 0 ||
           fault->rate_bps != 0;
}

/* When the frame has been sent at the limited rate; false: too many wait already. */
static bool pass_rate(struct ray_switch_link *link, uint64_t now_ns, size_t size,
                      uint64_t *out_at_ns)
{
    uint64_t begin_ns = link->wire_free_ns > now_ns ? link->wire_free_ns : now_ns;

    if (begin_ns - now_ns > RAY_SWITCH_RATE_BACKLOG_MS * RAY_NS_PER_MS) {
        return false;
    }
    link->wire_free_ns = begin_ns + (uint64_t)size * 8 * RAY_NS_PER_S / link->fault.rate_bps;
    *out_at_ns = link->wire_free_ns;
    return true;
}

struct ray_switch_decision ray_switch_link_decide(struct ray_switch_link *link, uint64_t now_ns,
                                                  size_t size)
{
    const struct ray_switch_fault *fault = &link->fault;
    struct ray_switch_decision decision = {.at_ns = now_ns, .copy_count = 1};
    uint64_t loss;
    uint64_t duplicate;
    uint64_t reorder;
    uint64_t jitter;

    if (fault->is_cut) {
        return (struct ray_switch_decision){.verdict = RAY_SWITCH_DROP_CUT, .at_ns = now_ns};
    }
    if (ray_switch_fault_is_set(fault)) {
        loss = draw(&link->random);
        duplicate = draw(&link->random);
        reorder = draw(&link->random);
        jitter = draw(&link->random);
        if (happens(loss, fault->loss_ppm)) {
            return (struct ray_switch_decision){.verdict = RAY_SWITCH_DROP_LOSS, .at_ns = now_ns};
        }
        if (fault->rate_bps != 0 && !pass_rate(link, now_ns, size, &decision.at_ns)) {
            return (struct ray_switch_decision){.verdict = RAY_SWITCH_DROP_RATE, .at_ns = now_ns};
        }
        decision.at_ns += fault->delay_ns + within(jitter, fault->jitter_ns);
        decision.copy_count = happens(duplicate, fault->duplicate_ppm) ? 2 : 1;
        /* Two equal frames that swap places would not be seen. */
        decision.is_late = decision.copy_count == 1 && happens(reorder, fault->reorder_ppm);
    }
    /* Also without a fault: frames that still wait from before must leave first. */
    if (decision.at_ns < link->last_at_ns) {
        decision.at_ns = link->last_at_ns;
    }
    if (!decision.is_late) {
        link->last_at_ns = decision.at_ns;
    }
    assert(decision.at_ns >= now_ns);
    return decision;
}

#include "tests/sim/clock.h"

#include <assert.h>

enum { PPM = 1000000 };

/* 2026-01-01: times of changes look like times. */
static const uint64_t wall_begin_us = UINT64_C(1767225600000000);

void sim_clock_init(struct sim_clock *clock, uint64_t true_ns, uint64_t local_ns)
{
    *clock = (struct sim_clock){.base_true_ns = true_ns, .base_local_ns = local_ns};
}

uint64_t sim_clock_local(const struct sim_clock *clock, uint64_t true_ns)
{
    assert(true_ns >= clock->base_true_ns);
    if (clock->is_stopped) {
        return clock->base_local_ns;
    }
    int64_t passed = (int64_t)(true_ns - clock->base_true_ns);

    /* Whole seconds apart, so that the product stays within 63 bits for years. */
    int64_t gain = passed / PPM * clock->rate_ppm + passed % PPM * clock->rate_ppm / PPM;

    return clock->base_local_ns + (uint64_t)(passed + gain);
}

uint64_t sim_clock_true(const struct sim_clock *clock, uint64_t local_ns)
{
    if (clock->base_local_ns >= local_ns) {
        return clock->base_true_ns;
    }
    if (clock->is_stopped || local_ns - clock->base_local_ns > INT64_MAX / 4) {
        return UINT64_MAX;
    }
    uint64_t wanted = local_ns - clock->base_local_ns;
    uint64_t rate = (uint64_t)((int64_t)PPM + clock->rate_ppm);
    uint64_t guess = clock->base_true_ns + wanted / rate * PPM + wanted % rate * PPM / rate;

    /* The rounding of both directions is at most a few nanoseconds. */
    while (guess > clock->base_true_ns && sim_clock_local(clock, guess - 1) >= local_ns) {
        guess--;
    }
    while (sim_clock_local(clock, guess) < local_ns) {
        guess++;
    }
    return guess;
}

static void rebase(struct sim_clock *clock, uint64_t true_ns)
{
    clock->base_local_ns = sim_clock_local(clock, true_ns);
    clock->base_true_ns = true_ns;
}

void sim_clock_set_rate(struct sim_clock *clock, uint64_t true_ns, int32_t rate_ppm)
{
    assert(rate_ppm > -PPM);
    rebase(clock, true_ns);
    clock->rate_ppm = rate_ppm;
}

void sim_clock_stop(struct sim_clock *clock, uint64_t true_ns)
{
    rebase(clock, true_ns);
    clock->is_stopped = true;
}

void sim_clock_go_on(struct sim_clock *clock, uint64_t true_ns)
{
    rebase(clock, true_ns);
    clock->is_stopped = false;
}

void sim_clock_reboot(struct sim_clock *clock, uint64_t true_ns, uint64_t local_ns)
{
    clock->base_true_ns = true_ns;
    clock->base_local_ns = local_ns;
    clock->is_stopped = false;
}

void sim_clock_set_wall(struct sim_clock *clock, int64_t jump_us)
{
    clock->wall_offset_us += jump_us;
}

uint64_t sim_clock_wall_us(const struct sim_clock *clock, uint64_t true_ns)
{
    int64_t wall = (int64_t)(wall_begin_us + true_ns / 1000) + clock->wall_offset_us;

    return wall > 0 ? (uint64_t)wall : 0;
}

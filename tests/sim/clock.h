/* tests/sim/clock.h - a machine's clock against true time: drift that changes, standing still,
 * and a wall clock that anyone may set.
 *
 * local() is CLOCK_BOOTTIME: it never goes back and goes on in suspend. True time is the world's.
 * Memory: plain struct.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CLOCK_H
#define RAY_TESTS_SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct sim_clock {
    uint64_t base_true_ns;
    uint64_t base_local_ns;
    int32_t rate_ppm; /* -999,999 or more */
    bool is_stopped;  /* the machine is itself a VM that its host has stopped */
    int64_t wall_offset_us;
};

void sim_clock_init(struct sim_clock *clock, uint64_t true_ns, uint64_t local_ns);
uint64_t sim_clock_local(const struct sim_clock *clock, uint64_t true_ns);
/* The first true time at which local() is at least `local_ns`; UINT64_MAX while it stands. */
uint64_t sim_clock_true(const struct sim_clock *clock, uint64_t local_ns);
void sim_clock_set_rate(struct sim_clock *clock, uint64_t true_ns, int32_t rate_ppm);
void sim_clock_stop(struct sim_clock *clock, uint64_t true_ns);
void sim_clock_go_on(struct sim_clock *clock, uint64_t true_ns);
/* A reboot: counts from `local_ns` again. */
void sim_clock_reboot(struct sim_clock *clock, uint64_t true_ns, uint64_t local_ns);
void sim_clock_set_wall(struct sim_clock *clock, int64_t jump_us);
uint64_t sim_clock_wall_us(const struct sim_clock *clock, uint64_t true_ns);

#endif

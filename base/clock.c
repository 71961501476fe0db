/* clock.c - the kernel's clocks. With fault point `clock` the wall clock, the only one that may
 * jump, reads a day ahead. */
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "base/fault.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    int rc = clock_gettime(id, &now);

    /* Fails only for an unknown clock or a bad pointer. */
    assert(rc == 0);
    (void)rc;
    return (uint64_t)now.tv_sec * RAY_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t ray_clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t ray_clock_boottime_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t ray_clock_realtime_ns(void)
{
    uint64_t jump_ns = ray_fault(RAY_FAULT_CLOCK) != 0 ? 86400 * RAY_NS_PER_S : 0;

    return read_clock(CLOCK_REALTIME) + jump_ns;
}

const char *ray_clock_format_utc(uint64_t realtime_ns, char out[static 32])
{
    time_t seconds = (time_t)(realtime_ns / RAY_NS_PER_S);
    unsigned us = (unsigned)(realtime_ns % RAY_NS_PER_S / RAY_NS_PER_US);
    struct tm utc = {0};
    size_t used;

    /* 64 bits of nanoseconds end in the year 2554, so both calls succeed. */
    (void)gmtime_r(&seconds, &utc);
    used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    assert(used == 19);
    (void)snprintf(out + used, 32 - used, ".%06uZ", us);
    return out;
}

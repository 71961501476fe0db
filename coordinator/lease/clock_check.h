/* coordinator/lease/clock_check.h - has CLOCK_BOOTTIME stood still? Compared with the RTC at each
 * renewal: a machine stopped by its hypervisor wakes with a clock that never noticed.
 *
 * The RTC counts whole seconds and drifts, so a gap counts above 1.5 s, twice in a row, from a
 * common start that is taken anew every ten minutes.
 * Memory: the caller's.  Threads: one owner.  Blocks: never.  Trust: the RTC may say anything. */
#ifndef RAY_COORDINATOR_LEASE_CLOCK_CHECK_H
#define RAY_COORDINATOR_LEASE_CLOCK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct coord_lease_clock_check {
    uint64_t boot_ns;
    uint64_t rtc_ns;
    uint32_t gap_count;
    bool has_start;
};

/* True: the second gap in a row; the check has begun anew. */
bool coord_lease_clock_check_step(struct coord_lease_clock_check *check, uint64_t boot_ns,
                                  uint64_t rtc_ns);
/* Somebody is about to set the RTC: the next step begins anew. */
void coord_lease_clock_check_reset(struct coord_lease_clock_check *check);

#endif

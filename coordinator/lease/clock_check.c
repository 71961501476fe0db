#include "coordinator/lease/clock_check.h"

#include <assert.h>
#include <stddef.h>

#include "coordinator/mutant.h"

static const uint64_t gap_max_ns = UINT64_C(1500000000);
static const uint64_t anew_after_ns = UINT64_C(600000000000);
enum { GAPS_IN_A_ROW = 2 };

void coord_lease_clock_check_reset(struct coord_lease_clock_check *check)
{
    assert(check != NULL);
    *check = (struct coord_lease_clock_check){0};
}

static void begin(struct coord_lease_clock_check *check, uint64_t boot_ns, uint64_t rtc_ns)
{
    *check =
        (struct coord_lease_clock_check){.boot_ns = boot_ns, .rtc_ns = rtc_ns, .has_start = true};
}

/* Differences modulo 2^64: an RTC set back is a gap like any other. */
static uint64_t gap_of(const struct coord_lease_clock_check *check, uint64_t boot_ns,
                       uint64_t rtc_ns)
{
    uint64_t forward = (rtc_ns - check->rtc_ns) - (boot_ns - check->boot_ns);

    return forward <= UINT64_MAX / 2 ? forward : UINT64_MAX - forward + 1;
}

bool coord_lease_clock_check_step(struct coord_lease_clock_check *check, uint64_t boot_ns,
                                  uint64_t rtc_ns)
{
    assert(check != NULL);
    if (!check->has_start) {
        begin(check, boot_ns, rtc_ns);
        return false;
    }
    if (gap_of(check, boot_ns, rtc_ns) > gap_max_ns && !RAY_MUTANT(LEASE_CLOCK_TRUSTED)) {
        check->gap_count++;
        if (check->gap_count < GAPS_IN_A_ROW) {
            return false;
        }
        begin(check, boot_ns, rtc_ns);
        return true;
    }
    check->gap_count = 0;
    if (boot_ns - check->boot_ns > anew_after_ns) {
        begin(check, boot_ns, rtc_ns);
    }
    return false;
}

/* base/clock.h - the clocks, as plain numbers; pure code takes `now` from outside.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: no input. */
#ifndef RAY_BASE_CLOCK_H
#define RAY_BASE_CLOCK_H

#include <stdint.h>

#define RAY_NS_PER_US UINT64_C(1000)
#define RAY_NS_PER_MS UINT64_C(1000000)
#define RAY_NS_PER_S UINT64_C(1000000000)

uint64_t ray_clock_monotonic_ns(void); /* stands still in suspend */
uint64_t ray_clock_boottime_ns(void);  /* counts suspend too: leases use this one */
uint64_t ray_clock_realtime_ns(void);  /* since 1970 UTC; only at the edge */

/* "2026-11-21T01:37:47.123456Z"; returns `out`. */
const char *ray_clock_format_utc(uint64_t realtime_ns, char out[static 32]);

#endif

/* node/init/system/rtc_clock.h - wall-clock time that is never absurd, the hardware clock,
 * and which clock the kernel counts by.
 *
 * PID 1 is the hardware clock's only writer: grants compare it with CLOCK_BOOTTIME
 * (DESIGN.md section 8), so chronyd runs without rtcsync.
 * Memory: none.  Threads: PID 1's.  Blocks: RTC ioctls (milliseconds), the disk.
 * Trust: hardware clock and last-seen file may be wrong in any way; both are bounded. */
#ifndef RAY_NODE_INIT_SYSTEM_RTC_CLOCK_H
#define RAY_NODE_INIT_SYSTEM_RTC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define INIT_CLOCK_LAST_SEEN_FILE "log/last-seen"

enum init_clock_source {
    INIT_CLOCK_KEPT, /* the system time was sane */
    INIT_CLOCK_FROM_RTC,
    INIT_CLOCK_FROM_FLOOR, /* image build time or last-seen time, whichever is later */
};

/* All in seconds since 1970 UTC; 0: unknown. */
struct init_clock_inputs {
    int64_t system_s;
    int64_t rtc_s;
    int64_t build_s;
    int64_t last_seen_s;
};

struct init_clock_decision {
    enum init_clock_source source;
    int64_t time_s; /* what the clock shall show; system_s when kept */
};

/* Pure. The result is never before max(build, last seen) and never more than 20 years
 * after the build time, unless the floor itself is. */
struct init_clock_decision init_clock_decide(const struct init_clock_inputs *inputs);

/* Applies the decision to CLOCK_REALTIME. Called twice: at start (data_fd -1), and when
 * the data folder is there. `rtc_path` "/dev/rtc0"; `build_s` from image.json (0: none). */
int init_clock_setup(const char *rtc_path, int data_fd, int64_t build_s,
                     struct init_clock_decision *out, struct ray_err *err);

/* Records the last-seen time; every few minutes and at shutdown. */
int init_clock_save_seen(int data_fd, struct ray_err *err);
/* Writes the hardware clock, at shutdown. */
int init_clock_write_rtc(const char *rtc_path, struct ray_err *err);
int init_clock_read_rtc(const char *rtc_path, int64_t *out_s, struct ray_err *err);

/* The kernel's clock source ("tsc", ...; "unknown") and whether grants may rest on it. */
void init_clock_source_name(int root_fd, char out[static 32], bool *out_is_fit_for_grants);

#endif

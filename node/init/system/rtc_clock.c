#include "node/init/system/rtc_clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/size.h"

/* Nothing of RayOS is older than this (2025-01-01), even when the build time is unknown. */
#define EARLIEST_S INT64_C(1735689600)
#define LATEST_AFTER_BUILD_S (INT64_C(20) * 366 * 24 * 3600)

static int64_t latest_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct init_clock_decision init_clock_decide(const struct init_clock_inputs *inputs)
{
    int64_t build_s = latest_of(inputs->build_s, EARLIEST_S);
    int64_t latest_s = build_s + LATEST_AFTER_BUILD_S;
    int64_t floor_s = build_s;

    assert(inputs->build_s < INT64_MAX - LATEST_AFTER_BUILD_S);
    /* A last-seen time beyond the ceiling was written by a wrong clock: forget it. */
    if (inputs->last_seen_s > floor_s && inputs->last_seen_s <= latest_s) {
        floor_s = inputs->last_seen_s;
    }
    if (inputs->system_s >= floor_s && inputs->system_s <= latest_s) {
        return (struct init_clock_decision){INIT_CLOCK_KEPT, inputs->system_s};
    }
    if (inputs->rtc_s >= floor_s && inputs->rtc_s <= latest_s) {
        return (struct init_clock_decision){INIT_CLOCK_FROM_RTC, inputs->rtc_s};
    }
    return (struct init_clock_decision){INIT_CLOCK_FROM_FLOOR, floor_s};
}

static int64_t read_last_seen(int data_fd)
{
    char text[32];
    uint64_t value = 0;

    if (data_fd < 0 ||
        ray_file_read_text(data_fd, INIT_CLOCK_LAST_SEEN_FILE, text, sizeof text, NULL) != RAY_OK ||
        ray_parse_u64(text, 0, INT64_MAX, &value) != RAY_OK) {
        return 0; /* unknown */
    }
    return (int64_t)value;
}

static int64_t now_s(void)
{
    return (int64_t)(ray_clock_realtime_ns() / RAY_NS_PER_S);
}

static int open_rtc(const char *path, int flags, int *out_fd, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int fd = -1;

    if (errnum == 0) {
        fd = open(path, flags | O_CLOEXEC);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "hardware clock %s", path);
    }
    *out_fd = fd;
    return RAY_OK;
}

int init_clock_read_rtc(const char *rtc_path, int64_t *out_s, struct ray_err *err)
{
    struct rtc_time raw = {0};
    struct tm parts;
    int fd = -1;
    int rc = open_rtc(rtc_path, O_RDONLY, &fd, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (ioctl(fd, RTC_RD_TIME, &raw) != 0) {
        rc = ray_fail_errno(err, errno, "reading %s", rtc_path);
    } else {
        parts = (struct tm){.tm_sec = raw.tm_sec,
                            .tm_min = raw.tm_min,
                            .tm_hour = raw.tm_hour,
                            .tm_mday = raw.tm_mday,
                            .tm_mon = raw.tm_mon,
                            .tm_year = raw.tm_year};
        *out_s = (int64_t)timegm(&parts);
    }
    (void)close(fd);
    return rc;
}

int init_clock_write_rtc(const char *rtc_path, struct ray_err *err)
{
    time_t now = (time_t)now_s();
    struct rtc_time raw;
    struct tm parts;
    int fd = -1;
    int rc;

    if (gmtime_r(&now, &parts) == NULL) {
        return ray_fail(err, RAY_EINVAL, "the time has no calendar form");
    }
    rc = open_rtc(rtc_path, O_RDONLY, &fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    raw = (struct rtc_time){.tm_sec = parts.tm_sec,
                            .tm_min = parts.tm_min,
                            .tm_hour = parts.tm_hour,
                            .tm_mday = parts.tm_mday,
                            .tm_mon = parts.tm_mon,
                            .tm_year = parts.tm_year,
                            .tm_wday = parts.tm_wday,
                            .tm_yday = parts.tm_yday};
    if (ioctl(fd, RTC_SET_TIME, &raw) != 0) {
        rc = ray_fail_errno(err, errno, "writing %s", rtc_path);
    }
    (void)close(fd);
    return rc;
}

int init_clock_setup(const char *rtc_path, int data_fd, int64_t build_s,
                     struct init_clock_decision *out, struct ray_err *err)
{
    struct init_clock_inputs inputs = {
        .system_s = now_s(), .build_s = build_s, .last_seen_s = read_last_seen(data_fd)};
    struct init_clock_decision decision;

    /* A machine without a hardware clock goes by the floor. */
    if (init_clock_read_rtc(rtc_path, &inputs.rtc_s, NULL) != RAY_OK) {
        inputs.rtc_s = 0;
    }
    if (inputs.build_s < 0 || inputs.build_s > INT64_MAX / 2) {
        inputs.build_s = 0;
    }
    decision = init_clock_decide(&inputs);
    if (decision.source != INIT_CLOCK_KEPT) {
        struct timespec time = {.tv_sec = (time_t)decision.time_s};

        if (clock_settime(CLOCK_REALTIME, &time) != 0) {
            return ray_fail_errno(err, errno, "setting the clock to %" PRId64, decision.time_s);
        }
    }
    *out = decision;
    return RAY_OK;
}

int init_clock_save_seen(int data_fd, struct ray_err *err)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRId64 "\n", now_s());

    return ray_atomic_write(data_fd, INIT_CLOCK_LAST_SEEN_FILE, text, (size_t)size, 0644, err);
}

void init_clock_source_name(int root_fd, char out[static 32], bool *out_is_fit_for_grants)
{
    static const char path[] = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    static const char *const fit[] = {"tsc", "kvm-clock", "hpet"};

    if (ray_file_read_text(root_fd, path, out, 32, NULL) != RAY_OK) {
        (void)snprintf(out, 32, "unknown");
    }
    *out_is_fit_for_grants = false;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fit); i++) {
        if (strcmp(out, fit[i]) == 0) {
            *out_is_fit_for_grants = true;
        }
    }
}

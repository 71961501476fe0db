#include "node/rayosd_watchdog.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/notify.h"
#include "base/size.h"

enum { FEEDS = 4 };

#define PERIOD_US_MIN UINT64_C(40000)
#define PERIOD_US_MAX UINT64_C(86400000000)

static void on_timer(void *arg)
{
    struct rayosd_watchdog *watchdog = arg;
    bool is_alive = watchdog->take_pulse(watchdog->arg);

    if (is_alive) {
        (void)ray_notify("WATCHDOG=1", NULL); /* PID 1 is busy: the next one counts */
    }
    if (is_alive == watchdog->is_withheld) {
        watchdog->is_withheld = !is_alive;
        ray_log(watchdog->logger, is_alive ? RAY_LOG_NOTICE : RAY_LOG_ERROR, "watchdog", "%s",
                is_alive ? "fed again" : "not fed");
    }
}

int rayosd_watchdog_init(struct rayosd_watchdog *watchdog, struct ray_loop *loop,
                         struct ray_logger *logger, bool (*take_pulse)(void *arg), void *arg,
                         struct ray_err *err)
{
    const char *text = getenv("WATCHDOG_USEC");
    uint64_t period_us = 0;
    uint64_t feed_ms;
    int rc;

    *watchdog = (struct rayosd_watchdog){.logger = logger, .take_pulse = take_pulse, .arg = arg};
    if (text == NULL) {
        return RAY_OK;
    }
    if (ray_parse_u64(text, PERIOD_US_MIN, PERIOD_US_MAX, &period_us) != RAY_OK) {
        return ray_fail(err, RAY_EINVAL, "WATCHDOG_USEC '%s' is no time that can be kept", text);
    }
    rc = ray_timer_init(&watchdog->timer, loop, on_timer, watchdog, err);
    if (rc == RAY_OK) {
        feed_ms = period_us / FEEDS / (RAY_NS_PER_MS / RAY_NS_PER_US);
        ray_timer_start(&watchdog->timer, feed_ms, feed_ms);
    }
    return rc;
}

void rayosd_watchdog_fini(struct rayosd_watchdog *watchdog)
{
    ray_timer_fini(&watchdog->timer);
}

/* The ways down: who may begin a shutdown besides the control socket and the prompt, and what
 * PID 1 saves and closes on the way. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/size.h"
#include "node/init/stages.h"
#include "node/init/system/entropy.h"

/* ---- shutdown ---- */

int init_shutdown(struct init *init, enum shutdown_mode mode, const char *reason,
                  struct ray_err *err)
{
    int rc = shutdown_begin(&init->shutdown, mode, reason, err);

    if (rc == RAY_OK) {
        init->state = INIT_STOPPING;
        (void)snprintf(init->stop_reason, sizeof init->stop_reason, "%s: %s",
                       shutdown_mode_name(mode), reason);
        boot_stop(&init->boot);
        prompt_sleep(&init->prompt);
    }
    return rc;
}

/* On a pool thread; what fails is not worth staying for. */
void init_save_state(void *arg)
{
    struct init *init = arg;
    struct ray_err err = {0};

    if (!init->has_data || init->is_hosted) {
        return;
    }
    if (init->data.is_disk && init_entropy_save(init->data.fd, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "entropy", "%s", err.text);
    }
    if (init_clock_save_seen(init->data.fd, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "clock", "%s", err.text);
    }
    if (init_clock_write_rtc(STAGE_RTC_PATH, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "clock", "%s", err.text);
    }
}

void init_close_files(void *arg)
{
    struct init *init = arg;

    screen_flush(&init->screen); /* the loop may not turn much longer */
    ray_rpc_server_destroy(init->control);
    init->control = NULL;
    if (init->net != NULL) {
        init_net_destroy(init->net);
        init->net = NULL;
    }
    if (init->has_data) {
        init_data_fini(&init->data);
    }
}

void init_over(void *arg, enum shutdown_mode mode)
{
    struct init *init = arg;

    (void)mode;
    ray_loop_stop(&init->loop);
}

/* ---- signals and buttons ---- */

/* Ctrl-Alt-Del, as init(8) has it since long: reboot; again and again: at once. */
static void on_ctrl_alt_del(struct init *init)
{
    uint64_t now_ns = ray_clock_monotonic_ns();

    if (now_ns - init->cad_first_ns > 2 * RAY_NS_PER_S) {
        init->cad_first_ns = now_ns;
        init->cad_count = 0;
    }
    init->cad_count++;
    if (init->cad_count >= INIT_CAD_FORCED_COUNT) {
        shutdown_force(&init->shutdown, SHUTDOWN_REBOOT);
        return;
    }
    (void)init_shutdown(init, SHUTDOWN_REBOOT, "ctrl-alt-del", NULL); /* or already under way */
}

static void on_signal(void *arg, int signum)
{
    struct init *init = arg;

    switch (signum) {
    case SIGINT:
        on_ctrl_alt_del(init);
        break;
    case SIGTERM:
        (void)init_shutdown(init, SHUTDOWN_REBOOT, "SIGTERM", NULL); /* or already under way */
        break;
    case SIGUSR1:
        (void)init_shutdown(init, SHUTDOWN_HALT, "SIGUSR1", NULL); /* as above */
        break;
    case SIGUSR2:
        (void)init_shutdown(init, SHUTDOWN_POWEROFF, "SIGUSR2", NULL); /* as above */
        break;
    case SIGPWR:
        (void)init_shutdown(init, SHUTDOWN_POWEROFF, "power fails (SIGPWR)", NULL); /* as above */
        break;
    default:
        break;
    }
}

void init_power_button(void *arg)
{
    struct init *init = arg;

    (void)init_shutdown(init, SHUTDOWN_POWEROFF, "power button", NULL); /* or under way */
}

void init_take_signals(struct init *init)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPWR};
    struct ray_err err = {0};

    static_assert(RAY_ARRAY_COUNT(signals) <= RAY_ARRAY_COUNT(init->signals), "room for all");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(signals); i++) {
        if (ray_signal_init(&init->signals[i], &init->loop, signals[i], on_signal, init, &err) !=
            RAY_OK) {
            ray_log(&init->logger, RAY_LOG_ERROR, "init", "signal %d: %s", signals[i], err.text);
        }
    }
}

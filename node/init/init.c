/* How the modules are wired: what one reports goes to the others from here. Nothing in this
 * file ends the process; what cannot be made is shed, logged, and shown as degraded. */
#include "node/init/init.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "node/init/status_facts.h"
#include "node/init/system/sysctl.h"

const char *init_state_name(enum init_state state)
{
    static const char *const names[] = {
        [INIT_BOOTING] = "booting",   [INIT_RUNNING] = "running",     [INIT_READY] = "ready",
        [INIT_STOPPING] = "stopping", [INIT_EMERGENCY] = "emergency",
    };

    return (size_t)state < RAY_ARRAY_COUNT(names) ? names[state] : "?";
}

const char *init_node_name(const struct init *init)
{
    return init->has_identity ? init->identity.name : "unnamed";
}

const char *init_cluster_standing(struct init *init)
{
    struct supervise_unit *rayosd = supervise_find(&init->supervise, "rayosd");

    return rayosd != NULL && supervise_unit_state(rayosd)->state == SUPERVISE_READY
               ? rayosd->status_text
               : "";
}

/* ---- the log ---- */

static void put_line(void *arg, enum ray_log_level level, const char *line, size_t size)
{
    struct init *init = arg;

    persist_log_put(&init->log, level, line, size);
}

/* Our own lines, from any thread. */
static void on_log_line(void *arg, enum ray_log_level level, const char *line)
{
    put_line(arg, level, line, strlen(line));
}

static void on_log_event(void *arg, enum persist_log_event event, uint64_t count, const char *text)
{
    struct init *init = arg;

    switch (event) {
    case PERSIST_LOG_OPENED:
        marker_sink_emitf(&init->sink, RAY_MARKER_LOG, "open:%s", text);
        break;
    case PERSIST_LOG_ROTATED:
        marker_sink_emit(&init->sink, RAY_MARKER_LOG, "rotated");
        break;
    case PERSIST_LOG_FULL:
        marker_sink_emit(&init->sink, RAY_MARKER_LOG, "full");
        break;
    case PERSIST_LOG_LOST:
        marker_sink_emitf(&init->sink, RAY_MARKER_LOG, "lost:%" PRIu64, count);
        break;
    case PERSIST_LOG_ERROR:
        ray_log(&init->logger, RAY_LOG_ERROR, "log", "%s", text);
        break;
    }
}

/* On the log's thread. The data folder is there as long as the log is open. */
static int store_marker(void *arg, const char *line, struct ray_err *err)
{
    struct init *init = arg;

    return init_crash_mark(init->data.fd, init->facts.boot_id, line, err);
}

static int store_end(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    return init_crash_end(init->data.fd, init->facts.boot_id, err);
}

/* ---- services ---- */

static void announce_ready(struct init *init)
{
    if (!init->is_all_ready || init->state != INIT_RUNNING) {
        return;
    }
    init->state = INIT_READY;
    marker_sink_emit(&init->sink, RAY_MARKER_NODE_READY, init_node_name(init));
    if (!init->is_hosted) {
        (void)init_sysctl_console_level(init->root_fd, 1, NULL); /* a quieter console only */
    }
}

static void on_changed(void *arg, const struct supervise_unit *unit)
{
    struct init *init = arg;
    const struct supervise_service *service = supervise_unit_state(unit);
    /* An order needs no reason in a marker. */
    const char *why = service->why == SUPERVISE_WHY_ORDERED ? "" : supervise_why_text(service->why);
    const char *word = NULL;

    switch (service->state) {
    case SUPERVISE_READY:
        word = "ready";
        break;
    case SUPERVISE_BACKOFF:
        word = "failed";
        break;
    case SUPERVISE_GAVE_UP:
        word = "gave-up";
        break;
    case SUPERVISE_STOPPED:
        word = service->start_count > 0 ? "stopped" : NULL;
        break;
    default:
        break; /* on its way */
    }
    ray_log(&init->logger, RAY_LOG_INFO, "supervise", "%s state=%s why=%s", unit->def->name,
            supervise_state_name(service->state), why);
    if (word != NULL) {
        marker_sink_emitf(&init->sink, RAY_MARKER_SERVICE, "%s:%s%s%s", unit->def->name, word,
                          why[0] != '\0' ? ":" : "", why);
    }
}

static void on_all_ready(void *arg)
{
    struct init *init = arg;

    init->is_all_ready = true;
    announce_ready(init);
}

static void on_all_stopped(void *arg)
{
    struct init *init = arg;

    shutdown_services_stopped(&init->shutdown);
}

static struct ray_child *find_child(void *arg, pid_t pid)
{
    struct init *init = arg;
    struct supervise_unit *unit = supervise_find_pid(&init->supervise, pid);

    if (unit != NULL) {
        return &unit->child;
    }
    return init->job.child.pid == pid ? &init->job.child : NULL;
}

static const char *const *argv_of(void *arg, const struct service_def *def)
{
    const struct init *init = arg;

    return strcmp(def->name, "rayosd") == 0 ? init_member_argv(&init->member) : def->argv;
}

static int start_supervise(struct init *init, struct ray_err *err)
{
    size_t count;
    const struct service_def *table = services_table(&count);
    const struct supervise_config config = {
        .loop = &init->loop,
        .logger = &init->logger,
        .cgroup = init->is_hosted ? NULL : &init->cgroup,
        .root = init->root,
        .run_path = init->run_path,
        .notify_path = init->notify_path,
        .is_hosted = init->is_hosted,
        .put = put_line,
        .argv = argv_of,
        .on_changed = on_changed,
        .on_all_ready = on_all_ready,
        .on_all_stopped = on_all_stopped,
        .arg = init,
    };

    return supervise_init(&init->supervise, &config, table, count, err);
}

/* ---- the watchdog ---- */

static const char *check_health(void *arg)
{
    struct init *init = arg;
    const char *wedged;

    if (persist_log_busy_ns(&init->log, ray_clock_monotonic_ns()) >
        INIT_HEALTH_LOG_MS * RAY_NS_PER_MS) {
        return "log-writer-hangs";
    }
    wedged = supervise_wedged(&init->supervise, ray_clock_boottime_ns(),
                              INIT_HEALTH_WEDGED_MS * RAY_NS_PER_MS);
    return wedged; /* its name, or NULL */
}

static void on_withheld(void *arg, const char *why)
{
    struct init *init = arg;

    marker_sink_emitf(&init->sink, RAY_MARKER_WATCHDOG, "withheld:%s", why);
}

/* ---- boot ---- */

static void on_stage(void *arg, const struct timeline_stage *stage)
{
    struct init *init = arg;

    marker_sink_emitf(&init->sink, RAY_MARKER_BOOT_TIMELINE, "%s:%" PRIu64 ":%" PRIu64, stage->name,
                      stage->begin_us, stage->end_us);
    if (stage->result != TIMELINE_OK) {
        ray_log(&init->logger, RAY_LOG_ERROR, "boot", "stage %s %s: %s", stage->name,
                timeline_result_name(stage->result), stage->error);
        marker_sink_say(&init->sink, "rayos: boot stage %s %s: %s", stage->name,
                        timeline_result_name(stage->result), stage->error);
    }
}

static void start_prompt(struct init *init)
{
    const struct prompt_config config = {
        .loop = &init->loop,
        .root = init->root,
        .sink = &init->sink,
        .banner = init_prompt_banner,
        .run = init_prompt_run,
        .arg = init,
    };
    struct ray_err err = {0};

    if (init->is_hosted) {
        return; /* the consoles are the host's */
    }
    if (prompt_init(&init->prompt, &config, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_ERROR, "prompt", "%s", err.text);
        return;
    }
    marker_sink_emit(&init->sink, RAY_MARKER_BOOT_SHELL, NULL);
    for (size_t i = 0; i < init->prompt.count; i++) {
        init_prompt_banner(init, &init->prompt.terminals[i]);
        terminal_print(&init->prompt.terminals[i], "press Enter for the emergency prompt\n");
    }
}

void init_start_screen(struct init *init)
{
    const struct screen_config config = {
        .loop = &init->loop, .root = init->root, .fill = status_facts_fill, .arg = init};
    struct ray_err err = {0};

    if (!init->is_hosted && prompt_has_display(init->root) &&
        screen_start(&init->screen, &config, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "screen", "%s", err.text);
    }
}

static void on_emergency(void *arg)
{
    (void)init_shutdown(arg, SHUTDOWN_REBOOT, "emergency is over", NULL); /* or under way */
}

static void on_boot_done(void *arg, const char *fatal)
{
    struct init *init = arg;

    if (fatal != NULL) {
        init->state = INIT_EMERGENCY;
        marker_sink_say(&init->sink, "rayos: cannot boot without stage %s; reboot in %d s", fatal,
                        INIT_EMERGENCY_REBOOT_MS / 1000);
        init->fatal_stage = fatal;
        init->emergency_reboot_ns =
            ray_clock_boottime_ns() + INIT_EMERGENCY_REBOOT_MS * RAY_NS_PER_MS;
        ray_timer_start(&init->emergency, INIT_EMERGENCY_REBOOT_MS, 0);
        init_start_screen(init);
    } else {
        init->state = INIT_RUNNING;
        marker_sink_emit(&init->sink, RAY_MARKER_BOOT_SUBSYSTEMS, NULL);
    }
    start_prompt(init);
    announce_ready(init);
}

static void seen_clock_work(uv_work_t *request)
{
    struct init *init = request->data;
    struct ray_err err = {0};

    if (init_clock_save_seen(init->data.fd, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "clock", "%s", err.text);
    }
}

static void after_seen_clock(uv_work_t *request, int status)
{
    struct init *init = request->data;

    (void)status; /* nobody cancels it */
    init->seen_clock_busy = false;
}

static void on_seen_clock(void *arg)
{
    struct init *init = arg;

    if (!init->has_data || !init->data.is_disk || init->is_hosted || init->seen_clock_busy ||
        init->state == INIT_STOPPING) {
        return;
    }
    init->seen_clock_work.data = init;
    init->seen_clock_busy = uv_queue_work(&init->loop.uv, &init->seen_clock_work, seen_clock_work,
                                          after_seen_clock) == 0;
}

static int start_log(struct init *init, struct ray_err *err)
{
    const struct persist_log_config config = {
        .file_size_max = PERSIST_LOG_FILE_SIZE_MAX,
        .ancestor_count = PERSIST_LOG_ANCESTOR_COUNT,
        .boot_id = init->facts.boot_id,
        .version = init->facts.image_version,
        .store_marker = store_marker,
        .store_end = store_end,
        .on_event = on_log_event,
        .arg = init,
    };
    int rc = persist_log_init(&init->log, &init->loop, &config, err);

    init->log_tails =
        (struct log_tails){.loop = &init->loop, .log = &init->log, .root = init->root};
    if (rc == RAY_OK) {
        ray_logger_init(&init->logger, -1, RAY_LOG_PLAIN, RAY_LOG_INFO);
        init->logger.sink = on_log_line;
        init->logger.sink_arg = init;
    }
    return rc;
}

/* Those that the rest cannot do without; they need only memory. */
static int start_core(struct init *init, struct ray_err *err)
{
    const struct shutdown_config shutdown_config = {
        .loop = &init->loop,
        .logger = &init->logger,
        .sink = &init->sink,
        .log = &init->log,
        .supervise = &init->supervise,
        .watchdog = &init->watchdog,
        .is_hosted = init->is_hosted,
        .save = init_save_state,
        .close = init_close_files,
        .over = init_over,
        .arg = init,
    };
    size_t stage_count;
    const struct boot_stage *stages = init_stages(&stage_count);
    const struct boot_config boot_config = {
        .loop = &init->loop,
        .timeline = &init->timeline,
        .stages = stages,
        .count = stage_count,
        .is_hosted = init->is_hosted,
        .on_stage = on_stage,
        .on_done = on_boot_done,
        .arg = init,
    };
    int rc = start_log(init, err);

    rc = rc != RAY_OK ? rc
                      : marker_sink_init(&init->sink, &init->loop, init->root, &init->log,
                                         &init->timeline, err);
    rc = rc != RAY_OK ? rc : job_init(&init->job, &init->loop, err);
    rc = rc != RAY_OK ? rc : disks_init(&init->disks, &init->loop, err);
    rc = rc != RAY_OK ? rc : start_supervise(init, err);
    rc = rc != RAY_OK ? rc : reaper_init(&init->reaper, &init->loop, find_child, init, err);
    rc = rc != RAY_OK
             ? rc
             : watchdog_init(&init->watchdog, &init->loop, check_health, on_withheld, init, err);
    rc = rc != RAY_OK ? rc : shutdown_init(&init->shutdown, &shutdown_config, err);
    rc = rc != RAY_OK ? rc : boot_init(&init->boot, &boot_config, err);
    rc = rc != RAY_OK ? rc : ray_timer_init(&init->emergency, &init->loop, on_emergency, init, err);
    rc = rc != RAY_OK
             ? rc
             : ray_timer_init(&init->socket_retry, &init->loop, init_retry_sockets, init, err);
    return rc != RAY_OK ? rc
                        : ray_timer_init(&init->seen_clock, &init->loop, on_seen_clock, init, err);
}

static int set_paths(struct init *init, const char *root, struct ray_err *err)
{
    if (strlen(root) > INIT_PATH_SIZE_MAX - 64) {
        return ray_fail(err, RAY_ETOOBIG, "path %.100s", root);
    }
    (void)snprintf(init->run_path, sizeof init->run_path, "%s/run/rayos", root);
    (void)snprintf(init->notify_path, sizeof init->notify_path, "%s/run/rayos/notify.sock", root);
    (void)snprintf(init->control_path, sizeof init->control_path, "%s/run/rayos/init.sock", root);
    init->root = root;
    init->root_fd = open(root[0] != '\0' ? root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return init->root_fd >= 0 ? RAY_OK : ray_fail_errno(err, errno, "open %s", root);
}

int init_start(struct init *init, const char *root, bool is_hosted, struct ray_err *err)
{
    int rc;

    init->is_hosted = is_hosted;
    init->watchdog_timeout_s = WATCHDOG_TIMEOUT_DEFAULT_S;
    init->notify.fd = -1;
    init->kernel_log.fd = -1;
    init_cgroup_init(&init->cgroup);
    init_credentials_init(&init->credentials);
    init_data_init(&init->data);
    rc = set_paths(init, root, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_loop_init(&init->loop, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = start_core(init, err);
    if (rc != RAY_OK) {
        return rc;
    }
    power_buttons_init(&init->power, &init->loop, init->root, init_power_button, init);
    init_take_signals(init);
    ray_timer_start(&init->seen_clock, INIT_SEEN_CLOCK_MS, INIT_SEEN_CLOCK_MS);
    boot_start(&init->boot);
    return RAY_OK;
}

/* Pool threads may still be at work for us. Only a hosted one ever comes here with any. */
static void wait_for_threads(struct init *init)
{
    while (init->boot.job_count > 0 || init->log.in_flight || init->seen_clock_busy ||
           init->crashes_call_count > 0 || init->is_provision_busy || init->is_boot_image_busy) {
        ray_loop_once(&init->loop);
    }
}

void init_fini(struct init *init)
{
    wait_for_threads(init);
    screen_fini(&init->screen);
    prompt_fini(&init->prompt);
    boot_fini(&init->boot);
    shutdown_fini(&init->shutdown);
    watchdog_fini(&init->watchdog);
    reaper_fini(&init->reaper);
    supervise_fini(&init->supervise);
    job_fini(&init->job);
    disks_fini(&init->disks);
    notify_server_fini(&init->notify);
    ray_rpc_server_destroy(init->control);
    kernel_log_fini(&init->kernel_log);
    pressure_fini(&init->pressure);
    power_buttons_fini(&init->power);
    marker_sink_fini(&init->sink);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(init->signals); i++) {
        ray_signal_fini(&init->signals[i]);
    }
    ray_timer_fini(&init->emergency);
    ray_timer_fini(&init->socket_retry);
    ray_timer_fini(&init->seen_clock);
    persist_log_fini(&init->log);
    ray_loop_fini(&init->loop);
    init_credentials_fini(&init->credentials);
    if (init->data.fd > 0) {
        init_data_fini(&init->data);
    }
    if (init->root_fd > 0) {
        (void)close(init->root_fd);
    }
    *init = (struct init){.root_fd = -1};
}

void init_run(struct init *init)
{
    ray_loop_run(&init->loop);
}

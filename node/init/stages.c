/* The first stages of boot, those of the sockets and services, and the table of all. The order
 * matters and is explained in README.md. */
#include "node/init/stages.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/size.h"
#include "node/init/crashes.h"
#include "node/init/system/mount.h"
#include "node/init/system/sysctl.h"

/* ---- what needs nothing ---- */

int stage_root(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count;
    const struct init_mount_entry *table = init_mount_table(&count);
    int rc = init_mount_switch_root(err);

    if (rc != RAY_OK) {
        /* Guests could not be jailed by pivot_root, but the node can be reached. */
        ray_log(&init->logger, RAY_LOG_ERROR, "boot", "root: %s", err->text);
    }
    if (init_mount_private(err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_ERROR, "boot", "root: %s", err->text);
    }
    rc = init_mount_stage("", table, count, INIT_MOUNT_EARLY, &init->logger, NULL, err);
    if (rc == RAY_OK && init_mount_links("", err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "boot", "links: %s", err->text);
    }
    /* The folder that we opened before is below the new mounts. */
    (void)close(init->root_fd);
    init->root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* The kernel spares PID 1 anyway; this is what tools and people look at. */
    (void)ray_file_write_existing(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", NULL);
    return rc;
}

static void put_kernel_line(void *arg, enum ray_log_level level, const char *line, size_t size)
{
    struct init *init = arg;

    persist_log_put(&init->log, level, line, size);
}

int stage_console(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    int rc;

    if (!init->is_hosted) {
        prompt_console_name(init->root, init->sink.console_name);
        init_start_screen(init);
    }
    rc = marker_sink_open_console(&init->sink, err);

    marker_sink_emit(&init->sink, RAY_MARKER_BOOT_KERNEL, NULL);
    if (!init->is_hosted) {
        int kmsg_rc = kernel_log_init(&init->kernel_log, &init->loop, "/dev/kmsg", put_kernel_line,
                                      init, err);
        rc = rc == RAY_OK ? kmsg_rc : rc;
        init->kernel_log.on_user_line = crashes_on_line;
    }
    return init->is_hosted ? RAY_OK : rc; /* hosted: a console is a choice */
}

void stage_log_clock(struct init *init, const struct init_clock_decision *decision)
{
    static const char *const sources[] = {
        [INIT_CLOCK_KEPT] = "kept",
        [INIT_CLOCK_FROM_RTC] = "rtc",
        [INIT_CLOCK_FROM_FLOOR] = "floor",
    };
    char utc[32];

    ray_log(&init->logger, RAY_LOG_INFO, "clock", "time=%s source=%s",
            ray_clock_format_utc((uint64_t)decision->time_s * RAY_NS_PER_S, utc),
            sources[decision->source]);
}

int stage_clock(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_clock_decision decision;
    int rc = init_clock_setup(STAGE_RTC_PATH, -1, init->facts.image_built_s, &decision, err);

    if (rc == RAY_OK) {
        stage_log_clock(init, &decision);
    }
    return rc;
}

int stage_cgroups(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count;
    const struct service_def *table = services_table(&count);
    int rc = init_cgroup_setup(&init->cgroup, "/sys/fs/cgroup", &init->logger, err);

    return rc == RAY_OK ? init_cgroup_protect(&init->cgroup, INIT_CGROUP_SERVICES,
                                              services_memory_low_bytes(table, count), err)
                        : rc;
}

int stage_sysctls(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count;
    const struct init_sysctl_entry *table = init_sysctl_table(&count);
    int rc;

    init_sysctl_apply(init->root_fd, table, count, &init->logger, NULL);
    rc = init_cores_setup(init->root_fd, init->cores, err);
    ray_log(&init->logger, rc == RAY_OK || rc == RAY_ENOTFOUND ? RAY_LOG_INFO : RAY_LOG_WARN,
            "cores", "%s%s%s", rc == RAY_OK ? init_cores_word(init->cores) : "off",
            rc == RAY_OK ? "" : ": ", rc == RAY_OK ? "" : err->text);
    return RAY_OK;
}

/* Each hosted start is a boot of its own. */
static int make_hosted_boot_id(struct init *init, struct ray_err *err)
{
    init_boot_facts_load(init->root_fd, &init->cmdline, &init->facts);
    return ray_file_read_text(AT_FDCWD, "/proc/sys/kernel/random/uuid", init->facts.boot_id,
                              sizeof init->facts.boot_id, err);
}

/* Hints only: a wrong one costs nothing but itself. */
int stage_cmdline(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    const char *text;
    enum ray_log_level level;
    uint64_t seconds;
    uint64_t bytes;
    uint64_t count;
    int rc;

    if (init->is_hosted) {
        return make_hosted_boot_id(init, err);
    }
    rc = init_cmdline_load(init->root_fd, &init->cmdline, err);
    if (rc != RAY_OK) {
        return rc;
    }
    text = init_cmdline_value(&init->cmdline, "rayos.watchdog");
    if (text != NULL &&
        ray_parse_u64(text, WATCHDOG_TIMEOUT_MIN_S, WATCHDOG_TIMEOUT_MAX_S, &seconds) == RAY_OK) {
        init->watchdog_timeout_s = (uint32_t)seconds;
    }
    text = init_cmdline_value(&init->cmdline, "rayos.logsize");
    if (text != NULL && ray_parse_size(text, &bytes) == RAY_OK &&
        bytes >= PERSIST_LOG_FILE_SIZE_MIN && bytes <= PERSIST_LOG_FILE_SIZE_LIMIT) {
        init->log.config.file_size_max = bytes;
    }
    text = init_cmdline_value(&init->cmdline, "rayos.logfiles");
    if (text != NULL && ray_parse_u64(text, 1, LOG_FILE_COUNT_MAX, &count) == RAY_OK) {
        init->log.config.ancestor_count = (unsigned)count;
    }
    text = init_cmdline_value(&init->cmdline, "rayos.loglevel");
    if (text != NULL && ray_log_level_parse(text, &level) == RAY_OK) {
        atomic_store(&init->logger.level, (int)level);
        atomic_store(&init->log.level, (int)level);
    }
    text = init_cmdline_value(&init->cmdline, "rayos.cores");
    if (text != NULL) {
        (void)init_cores_parse(text, &init->cores); /* a wrong word is ignored, as the others */
    }
    init_boot_facts_load(init->root_fd, &init->cmdline, &init->facts);
    return RAY_OK;
}

/* ---- control and services ---- */

static void on_service_marker(void *arg, enum ray_marker marker, const char *detail)
{
    struct init *init = arg;

    if (marker == RAY_MARKER_CLUSTER_QUORATE) {
        init_member_settled(&init->member, init->root_fd);
    }
    marker_sink_emit(&init->sink, marker, detail);
}

/* What is open already stays; so it can be tried again. */
static int open_sockets(struct init *init, struct ray_err *err)
{
    int rc = ray_make_dirs(init->root_fd, "run/rayos", 0755, err);

    if (rc == RAY_OK && init->notify.fd < 0) {
        rc = notify_server_init(&init->notify, &init->loop, init->notify_path, &init->supervise,
                                on_service_marker, init, err);
    }
    if (rc == RAY_OK && init->control == NULL) {
        rc = init_control_open(init, err);
    }
    return rc;
}

void init_retry_sockets(void *arg)
{
    struct init *init = arg;
    struct ray_err err = {0};

    if (init->state == INIT_STOPPING || open_sockets(init, &err) == RAY_OK) {
        ray_timer_stop(&init->socket_retry);
        ray_log(&init->logger, RAY_LOG_NOTICE, "init", "control socket is open after all");
    }
}

/* Nobody can ask, and no service be ready, without these: so they are tried again for ever. */
int stage_control(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    int rc = open_sockets(init, err);

    if (rc != RAY_OK) {
        ray_timer_start(&init->socket_retry, INIT_SOCKET_RETRY_MS, INIT_SOCKET_RETRY_MS);
    }
    return rc;
}

int stage_services(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    (void)err;
    supervise_start(&init->supervise);
    return RAY_OK;
}

/* ---- the table ---- */

static const struct boot_stage stages[] = {
    {"root", BOOT_ON_LOOP, true, false, 0, stage_root, NULL},
    {"console", BOOT_ON_LOOP, false, true, 0, stage_console, NULL},
    {"cmdline", BOOT_ON_LOOP, false, true, 0, stage_cmdline, NULL},
    {"clock", BOOT_ON_LOOP, false, false, 0, stage_clock, NULL},
    {"cgroups", BOOT_ON_LOOP, false, false, 0, stage_cgroups, NULL},
    {"sysctls", BOOT_ON_LOOP, false, false, 0, stage_sysctls, NULL},
    {"pressure", BOOT_ON_LOOP, false, false, 0, stage_pressure, NULL},
    {"control", BOOT_ON_LOOP, false, true, 0, stage_control, NULL},
    {"hotplug", BOOT_ON_LOOP, false, false, 0, stage_hotplug, NULL},
    {"first-modules", BOOT_ON_THREAD, false, false, 30000, stage_first_modules, NULL},
    {"watchdog", BOOT_ON_LOOP, false, false, 0, stage_watchdog, NULL},
    {"modules", BOOT_ON_THREAD, false, false, 60000, stage_modules, NULL},
    {"late-mounts", BOOT_ON_LOOP, false, false, 0, stage_late_mounts, NULL},
    {"coldplug", BOOT_ON_THREAD, false, false, 60000, stage_coldplug, NULL},
    {"devices", BOOT_ON_LOOP, false, false, 0, stage_devices, NULL},
    {"credentials", BOOT_ON_LOOP, false, false, 0, stage_credentials, NULL},
    {"network", BOOT_ON_LOOP, false, false, 0, stage_network, NULL},
    {"services", BOOT_ON_LOOP, false, true, 0, stage_services, NULL},
    {"search", BOOT_ON_LOOP, false, false, 30000, stage_search, NULL},
    {"data", BOOT_ON_THREAD, false, true, 180000, stage_data, stage_data_done},
    {"entropy", BOOT_ON_THREAD, false, true, STAGE_ENTROPY_WAIT_MS + 5000, stage_entropy, NULL},
    {"identity", BOOT_ON_THREAD, false, true, 30000, stage_identity, stage_identity_done},
};

const struct boot_stage *init_stages(size_t *out_count)
{
    *out_count = RAY_ARRAY_COUNT(stages);
    return stages;
}

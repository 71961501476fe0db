/* The boot, step by step. The order matters and is explained in README.md; the table is at
 * the end. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/size.h"
#include "node/init/init.h"
#include "node/init/system/entropy.h"
#include "node/init/system/mount.h"
#include "node/init/system/sysctl.h"
#include "node/init/system/udev_db.h"

#define RTC_PATH "/dev/rtc0"
#define MODPROBE_PROGRAM "/usr/lib/rayos/rayos-init"

enum { ENTROPY_WAIT_MS = 60000 };

/* ---- what needs nothing ---- */

static int stage_root(void *arg, struct ray_err *err)
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

static int stage_console(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    int rc = marker_sink_open_console(&init->sink, err);

    marker_sink_emit(&init->sink, RAY_MARKER_BOOT_KERNEL, NULL);
    if (!init->is_hosted) {
        int kmsg_rc = kernel_log_init(&init->kernel_log, &init->loop, "/dev/kmsg", put_kernel_line,
                                      init, err);
        rc = rc == RAY_OK ? kmsg_rc : rc;
    }
    return init->is_hosted ? RAY_OK : rc; /* hosted: a console is a choice */
}

static int64_t image_build_s(const struct init *init)
{
    return init->facts.image_built_s;
}

static void log_clock(struct init *init, const struct init_clock_decision *decision)
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

static int stage_clock(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_clock_decision decision;
    int rc = init_clock_setup(RTC_PATH, -1, image_build_s(init), &decision, err);

    if (rc == RAY_OK) {
        log_clock(init, &decision);
    }
    return rc;
}

static int stage_cgroups(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    return init_cgroup_setup(&init->cgroup, "/sys/fs/cgroup", &init->logger, err);
}

static int stage_sysctls(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count;
    const struct init_sysctl_entry *table = init_sysctl_table(&count);

    (void)err;
    init_sysctl_apply(init->root_fd, table, count, &init->logger, NULL);
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
static int stage_cmdline(void *arg, struct ray_err *err)
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
    init_boot_facts_load(init->root_fd, &init->cmdline, &init->facts);
    return RAY_OK;
}

/* ---- devices ---- */

static void on_uevent(void *arg, const struct init_uevent *event)
{
    struct init *init = arg;

    if (init->search != NULL) {
        init_data_search_event(init->search, event);
    }
    if (event->subsystem == NULL || strcmp(event->action, "add") != 0) {
        return;
    }
    if (strcmp(event->subsystem, "input") == 0) {
        power_buttons_scan(&init->power);
    } else if (strcmp(event->subsystem, "virtio-ports") == 0) {
        marker_sink_find_port(&init->sink);
    }
}

static void on_uevents_lost(void *arg)
{
    struct init *init = arg;

    ray_log(&init->logger, RAY_LOG_WARN, "hotplug", "events were lost: looking again");
    power_buttons_scan(&init->power);
    marker_sink_find_port(&init->sink);
    if (init->net != NULL) {
        init_net_rescan(init->net);
    }
}

static int stage_hotplug(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    return init_hotplug_create(&init->loop, init->root_fd, &init->logger, on_uevent,
                               on_uevents_lost, init, &init->hotplug, err);
}

static void log_modules(struct init *init, const char *what,
                        const struct init_kmodule_summary *summary)
{
    ray_log(&init->logger, RAY_LOG_INFO, "modules", "%s modules=%zu aliases=%zu failed=%zu", what,
            summary->module_count, summary->alias_count, summary->failed_count);
}

/* On a thread: writes init->kmodule. Opens the index and loads what others wait for: the
 * watchdogs that a bare machine or a hypervisor has most often, and the marker port. */
static int stage_first_modules(void *arg, struct ray_err *err)
{
    static const char *const names[] = {"watchdog", "i6300esb", "iTCO_wdt", "virtio_console"};
    struct init *init = arg;
    int rc = init_kmodule_create(NULL, &init->kmodule, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (init_kmodule_install_helper(init->root_fd, MODPROBE_PROGRAM, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "modules", "helper: %s", err->text);
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
        if (init_kmodule_load(init->kmodule, names[i], err) != RAY_OK) {
            ray_log(&init->logger, RAY_LOG_DEBUG, "modules", "%s", err->text);
        }
    }
    return RAY_OK;
}

/* On a thread: reads init->kmodule. */
static int stage_modules(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_kmodule_summary summary = {0};
    int rc;

    if (init->kmodule == NULL) {
        return ray_fail(err, RAY_EUNAVAILABLE, "no module index");
    }
    rc = init_kmodule_load_listed(init->kmodule, init->root_fd, &init->logger, &summary, err);
    log_modules(init, "listed", &summary);
    return rc;
}

static void adopt_watchdog(struct init *init, bool only_hardware)
{
    struct ray_err err = {0};

    if (init->watchdog.fd > 0) {
        return;
    }
    if (watchdog_adopt(&init->watchdog, "", init->watchdog_timeout_s, only_hardware, &err) !=
        RAY_OK) {
        if (!only_hardware) {
            ray_log(&init->logger, RAY_LOG_WARN, "watchdog", "%s", err.text);
            marker_sink_emit(&init->sink, RAY_MARKER_WATCHDOG, "none");
        }
        return;
    }
    marker_sink_emitf(&init->sink, RAY_MARKER_WATCHDOG, "adopted:%s:%u",
                      init->watchdog.choice.driver, init->watchdog.timeout_s);
    if (init->watchdog.bootstatus != 0) {
        marker_sink_emitf(&init->sink, RAY_MARKER_WATCHDOG, "bite:%u", init->watchdog.bootstatus);
    }
}

static int stage_watchdog(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    (void)err;
    adopt_watchdog(init, true);
    marker_sink_find_port(&init->sink);
    return RAY_OK;
}

static int stage_late_mounts(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count;
    const struct init_mount_entry *table = init_mount_table(&count);
    int rc = init_mount_stage("", table, count, INIT_MOUNT_LATE, &init->logger, NULL, err);

    /* Again, now with EFI variables. */
    init_boot_facts_load(init->root_fd, &init->cmdline, &init->facts);
    return rc;
}

/* On a thread: reads init->kmodule. */
static int stage_coldplug(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_kmodule_summary summary = {0};
    int rc;

    if (init->kmodule == NULL) {
        return ray_fail(err, RAY_EUNAVAILABLE, "no module index");
    }
    rc = init_kmodule_coldplug(init->kmodule, init->root_fd, 0, &init->logger, &summary, err);
    log_modules(init, "coldplug", &summary);
    return rc;
}

static int stage_devices(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    size_t count = 0;

    if (init->hotplug != NULL) {
        init_hotplug_enable_loading(init->hotplug);
    }
    adopt_watchdog(init, false);
    marker_sink_find_port(&init->sink);
    power_buttons_scan(&init->power);
    return init_udev_db_scan(init->root_fd, &init->logger, &count, err);
}

static int stage_credentials(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    return init_smbios_load(init->root_fd, &init->credentials, NULL, err);
}

/* ---- network ---- */

static void on_bridge(void *arg, const char *card, const uint8_t mac[INIT_MAC_SIZE])
{
    struct init *init = arg;

    (void)mac;
    ray_log(&init->logger, RAY_LOG_NOTICE, "net", "%s is up with card %s", INIT_NET_BRIDGE, card);
    if ((init->supervise.core.conditions & SERVICE_WHEN_BRIDGE) == 0) {
        init->dhcp_begin_us = ray_clock_boottime_ns() / RAY_NS_PER_US;
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_BRIDGE);
    } else {
        (void)supervise_restart(&init->supervise, "dhcp", NULL); /* not running: it will be */
    }
}

static void on_lease(void *arg, const struct init_lease *lease, bool has_new_ntp)
{
    struct init *init = arg;
    bool is_first = !init->lease.is_bound && init->lease.address[0] == '\0';

    if (!lease->is_bound) {
        ray_log(&init->logger, RAY_LOG_WARN, "net", "lease lost reason=%s", lease->reason);
        init->lease.is_bound = false;
        return;
    }
    if (is_first && init->dhcp_begin_us != 0) {
        uint64_t now_us = ray_clock_boottime_ns() / RAY_NS_PER_US;
        size_t step = timeline_begin(&init->timeline, "dhcp", init->dhcp_begin_us);
        timeline_end(&init->timeline, step, TIMELINE_OK, "", now_us);
        marker_sink_emitf(&init->sink, RAY_MARKER_BOOT_TIMELINE, "dhcp:%llu:%llu",
                          (unsigned long long)init->dhcp_begin_us, (unsigned long long)now_us);
    }
    if (strcmp(init->lease.address, lease->address) != 0 || !init->lease.is_bound) {
        marker_sink_emitf(&init->sink, RAY_MARKER_NODE_ADDRESS, "%s/%u", lease->address,
                          lease->prefix);
    }
    init->lease = *lease;
    if (lease->ntp_count == 0) {
        return;
    }
    if ((init->supervise.core.conditions & SERVICE_WHEN_NTP) == 0) {
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_NTP);
    } else if (has_new_ntp) {
        (void)supervise_restart(&init->supervise, "time", NULL); /* absent: nothing to restart */
    }
}

static int stage_network(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_net_options options = {
        .root_fd = init->root_fd,
        .has_boot_mac = init->facts.has_boot_mac,
    };
    const struct init_net_callbacks callbacks = {
        .on_bridge = on_bridge, .on_lease = on_lease, .arg = init};

    memcpy(options.boot_mac, init->facts.boot_mac, sizeof options.boot_mac);
    if (init_net_prepare_folders(init->root_fd, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "net", "%s", err->text);
    }
    return init_net_create(&init->loop, &options, &callbacks, &init->logger, &init->net, err);
}

/* ---- control and services ---- */

static void on_service_marker(void *arg, enum ray_marker marker, const char *detail)
{
    struct init *init = arg;

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
static int stage_control(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    int rc = open_sockets(init, err);

    if (rc != RAY_OK) {
        ray_timer_start(&init->socket_retry, INIT_SOCKET_RETRY_MS, INIT_SOCKET_RETRY_MS);
    }
    return rc;
}

static int stage_services(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    (void)err;
    supervise_start(&init->supervise);
    return RAY_OK;
}

/* ---- data, identity ---- */

static void on_found(void *arg, const struct init_data_found *found)
{
    struct init *init = arg;

    init->found = *found;
    init_data_search_destroy(init->search);
    init->search = NULL;
    boot_finish(&init->boot, "search", RAY_OK, NULL);
}

static int stage_search(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    const struct init_data_search_options options = {.root_fd = init->root_fd};
    int rc = init_data_search_start(&init->loop, &options, on_found, init, &init->search, err);

    return rc == RAY_OK ? RAY_EAGAIN : rc;
}

static void take_seed(struct init *init)
{
    const struct init_entropy_device device = {.fd = open("/dev/urandom", O_RDWR | O_CLOEXEC),
                                               .can_credit = true};
    enum init_entropy_outcome outcome;
    struct ray_err err = {0};

    if (device.fd < 0) {
        return;
    }
    if (init_entropy_load(init->data.fd, &device, &outcome, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "entropy", "%s", err.text);
    }
    (void)close(device.fd);
}

static void collect_crash(struct init *init)
{
    struct ray_err err = {0};
    const struct init_crash_inputs inputs = {
        .data_fd = init->data.fd,
        .root_fd = init->root_fd,
        .boot_id = init->facts.boot_id,
        .watchdog_bootstatus = init->watchdog.bootstatus,
        .log_name = "log/" LOG_FILE_NAME,
    };

    if (init_crash_collect(&inputs, &init->logger, &init->crash, &err) == RAY_OK) {
        init->has_crash_report = true;
    } else {
        ray_log(&init->logger, RAY_LOG_WARN, "crash", "%s", err.text);
    }
}

static int mount_data(struct init *init, struct ray_err *err)
{
    char path[INIT_PATH_SIZE_MAX];
    int rc;

    if (!init->is_hosted) {
        return init_data_mount("", &init->found, &init->logger, &init->data, err);
    }
    rc = ray_make_dirs(init->root_fd, INIT_DATA_FOLDER, 0755, err);
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%s/" INIT_DATA_FOLDER, init->root);
    init->data.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (init->data.fd < 0) {
        return ray_fail(err, RAY_EIO, "open %s", path);
    }
    init->data.is_disk = true;
    (void)snprintf(init->data.device, sizeof init->data.device, "hosted");
    return init_data_layout(init->data.fd, false, err);
}

/* On a thread: writes init->data, crash, has_crash_report; reads found, facts, watchdog. */
static int stage_data(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_clock_decision decision;
    int rc = mount_data(init, err);

    if (rc != RAY_OK) {
        return rc;
    }
    collect_crash(init);
    if (init_crash_begin(init->data.fd, init->facts.boot_id, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "crash", "%s", err->text);
    }
    if (!init->is_hosted) {
        if (init_clock_setup(RTC_PATH, init->data.fd, image_build_s(init), &decision, err) ==
            RAY_OK) {
            log_clock(init, &decision);
        } else {
            ray_log(&init->logger, RAY_LOG_WARN, "clock", "%s", err->text);
        }
    }
    if (init->data.is_disk && !init->is_hosted) {
        take_seed(init);
    }
    return RAY_OK;
}

static void data_done(void *arg, int rc)
{
    struct init *init = arg;
    char folder[INIT_PATH_SIZE_MAX];

    if (rc != RAY_OK) {
        return;
    }
    init->has_data = true;
    if (init->data.is_disk) {
        marker_sink_emitf(&init->sink, RAY_MARKER_NODE_DATA, "disk:%s", init->data.device);
    } else {
        marker_sink_emitf(&init->sink, RAY_MARKER_NODE_DATA, "ram:%s",
                          init_data_reason_word(init->data.reason));
        if (init->data.detail[0] != '\0') {
            ray_log(&init->logger, RAY_LOG_WARN, "data", "%s", init->data.detail);
        }
    }
    if (init->has_crash_report && init->crash.end != INIT_END_CLEAN &&
        init->crash.end != INIT_END_FIRST_BOOT) {
        marker_sink_emitf(&init->sink, RAY_MARKER_LOG, "dirty%s%s",
                          init->crash.end == INIT_END_DIRTY ? "" : ":",
                          init->crash.end == INIT_END_DIRTY ? "" : init_end_word(init->crash.end));
        if (init->crash.has_folder) {
            marker_sink_emitf(&init->sink, RAY_MARKER_LOG, "crash:%s", init->crash.folder);
        }
    }
    (void)snprintf(folder, sizeof folder, "%s/" INIT_DATA_FOLDER "/log", init->root);
    persist_log_open(&init->log, folder);
}

/* On a thread. */
static int stage_entropy(void *arg, struct ray_err *err)
{
    (void)arg;
    return init_entropy_wait(ENTROPY_WAIT_MS, err);
}

/* On a thread: writes init->identity and facts.boot_counter. */
static int stage_identity(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    char hint[INIT_IDENTITY_NAME_SIZE_MAX];
    const char *name = NULL;
    int rc;

    if (!init->has_data) {
        return ray_fail(err, RAY_EUNAVAILABLE, "there is no data folder");
    }
    rc = init_entropy_wait(0, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (init_credentials_text(&init->credentials, "rayos.name", hint, sizeof hint, NULL) ==
        RAY_OK) {
        name = hint;
    }
    rc = init_identity_open(init->root_fd, init->data.fd, init->data.is_disk, name, &init->identity,
                            err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = init_identity_publish(&init->identity, init->root_fd, !init->is_hosted, err);
    if (rc != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "identity", "%s", err->text);
    }
    if (init->data.is_disk && init_boot_facts_count(init->data.fd, &init->facts, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "boot", "%s", err->text);
    }
    return init_boot_facts_publish(init->root_fd, &init->facts, &init->data, err);
}

static void identity_done(void *arg, int rc)
{
    struct init *init = arg;

    if (init->identity.name[0] == '\0') {
        return;
    }
    (void)rc; /* facts may be missing; the key is there */
    init->has_identity = true;
    marker_sink_emit(&init->sink, RAY_MARKER_NODE_FINGERPRINT, init->identity.words);
    if (init->identity.state == INIT_IDENTITY_DAMAGED) {
        ray_log(&init->logger, RAY_LOG_ERROR, "identity", "%s", init->identity.reason);
    }
    supervise_set_conditions(&init->supervise, SERVICE_WHEN_IDENTITY);
}

static const struct boot_stage stages[] = {
    {"root", BOOT_ON_LOOP, true, false, 0, stage_root, NULL},
    {"console", BOOT_ON_LOOP, false, true, 0, stage_console, NULL},
    {"cmdline", BOOT_ON_LOOP, false, true, 0, stage_cmdline, NULL},
    {"clock", BOOT_ON_LOOP, false, false, 0, stage_clock, NULL},
    {"cgroups", BOOT_ON_LOOP, false, false, 0, stage_cgroups, NULL},
    {"sysctls", BOOT_ON_LOOP, false, false, 0, stage_sysctls, NULL},
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
    {"data", BOOT_ON_THREAD, false, true, 180000, stage_data, data_done},
    {"entropy", BOOT_ON_THREAD, false, true, ENTROPY_WAIT_MS + 5000, stage_entropy, NULL},
    {"identity", BOOT_ON_THREAD, false, true, 30000, stage_identity, identity_done},
};

const struct boot_stage *init_stages(size_t *out_count)
{
    *out_count = RAY_ARRAY_COUNT(stages);
    return stages;
}

/* Stages that find devices and load their drivers. */
#include <string.h>

#include "base/size.h"
#include "node/init/stages.h"
#include "node/init/system/mount.h"
#include "node/init/system/udev_db.h"

#define MODPROBE_PROGRAM "/usr/lib/rayos/rayos-init"

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

int stage_hotplug(void *arg, struct ray_err *err)
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
int stage_first_modules(void *arg, struct ray_err *err)
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
int stage_modules(void *arg, struct ray_err *err)
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

int stage_watchdog(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    (void)err;
    adopt_watchdog(init, true);
    marker_sink_find_port(&init->sink);
    return RAY_OK;
}

int stage_late_mounts(void *arg, struct ray_err *err)
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
int stage_coldplug(void *arg, struct ray_err *err)
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

int stage_devices(void *arg, struct ray_err *err)
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

int stage_credentials(void *arg, struct ray_err *err)
{
    struct init *init = arg;

    return init_smbios_load(init->root_fd, &init->credentials, NULL, err);
}

/* Stages of the data folder and of what lives there: crash artefacts, seed, key. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "node/init/provision.h"
#include "node/init/stages.h"
#include "node/init/system/entropy.h"

/* Below the stage's own. */
enum { BOOT_DISK_DEADLINE_MS = 25000 };

static void on_found(void *arg, const struct init_data_found *found)
{
    struct init *init = arg;

    init->found = *found;
    init_data_search_destroy(init->search);
    init->search = NULL;
    boot_finish(&init->boot, "search", RAY_OK, NULL);
}

int stage_search(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    bool is_from_disk = init->facts.path == INIT_BOOT_PATH_DISK;
    const struct init_data_search_options options = {
        .root_fd = init->root_fd,
        .deadline_ms = is_from_disk ? BOOT_DISK_DEADLINE_MS : 0,
        .waits_for_esp = is_from_disk,
    };
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
        .is_volatile = !init->data.is_disk,
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
int stage_data(void *arg, struct ray_err *err)
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
        if (init_clock_setup(STAGE_RTC_PATH, init->data.fd, init->facts.image_built_s, &decision,
                             err) == RAY_OK) {
            stage_log_clock(init, &decision);
        } else {
            ray_log(&init->logger, RAY_LOG_WARN, "clock", "%s", err->text);
        }
    }
    if (init->data.is_disk && !init->is_hosted) {
        take_seed(init);
    }
    return RAY_OK;
}

void stage_data_done(void *arg, int rc)
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
int stage_entropy(void *arg, struct ray_err *err)
{
    (void)arg;
    return init_entropy_wait(STAGE_ENTROPY_WAIT_MS, err);
}

/* Hosted, services have no right to the host's port and no folder of their own. */
static void prepare_member(struct init *init)
{
    const struct init_member_inputs inputs = {
        .root_fd = init->root_fd,
        .data_fd = init->data.fd,
        .is_disk = init->data.is_disk,
        .sets_owners = true,
        .identity = &init->identity,
        .credentials = &init->credentials,
        .seeds = init_cmdline_value(&init->cmdline, "rayos.seed"),
        .logger = &init->logger,
    };
    struct ray_err err = {0};

    if (!init->is_hosted && init_member_prepare(&inputs, &init->member, &err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_ERROR, "member", "%s", err.text);
    }
}

/* On a thread: writes init->identity, member, credentials and facts.boot_counter. */
int stage_identity(void *arg, struct ray_err *err)
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
    prepare_member(init);
    rc = init_identity_publish(&init->identity, init->root_fd, !init->is_hosted, err);
    if (rc != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "identity", "%s", err->text);
    }
    if (init->data.is_disk && init_boot_facts_count(init->data.fd, &init->facts, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "boot", "%s", err->text);
    }
    return init_boot_facts_publish(init->root_fd, &init->facts, &init->data, err);
}

void stage_identity_done(void *arg, int rc)
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
    if (init_provision_is_enabled(init->data.fd)) {
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_PROVISION);
    }
}

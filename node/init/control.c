/* The control socket /run/rayos/init.sock: net/proto/init.proto says who may call what. */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/size.h"
#include "net/proto/init.pb-c.h"
#include "node/init/boot_image.h"
#include "node/init/crashes.h"
#include "node/init/init.h"
#include "node/init/kernel_tail.h"
#include "node/init/log_tail.h"
#include "node/init/provision.h"

enum { ARENA_SIZE_MAX = 256 << 10, TAIL_DEFAULT = 50, TAIL_MAX = 5000 };

static uint64_t to_us(uint64_t ns)
{
    return ns / RAY_NS_PER_US;
}

/* protobuf-c wants char *; nobody writes through it. */
static char *text(const char *borrowed)
{
    return (char *)(uintptr_t)borrowed;
}

static bool refuse_unless(bool may_go_on, struct ray_rpc_call *call)
{
    struct ray_err err = {0};

    if (!may_go_on) {
        (void)ray_fail(&err, RAY_EDENIED, "only root may do this");
        (void)ray_next(&err, "use the node's console, or become root");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
    return may_go_on;
}

static bool is_root(struct ray_rpc_call *call)
{
    return refuse_unless(ray_rpc_call_peer(call)->uid == 0, call);
}

/* The few orders that rayosd hands on for the cluster's operators
 * (docs/decisions/0017-orders-from-afar.md). */
static bool is_root_or_rayosd(const struct init *init, struct ray_rpc_call *call)
{
    return refuse_unless(init_may_order(ray_rpc_call_peer(call)->uid, init->is_hosted), call);
}

/* Hosted, that user may be anybody. */
bool init_may_order(uid_t uid, bool is_hosted)
{
    return uid == 0 || (uid == RAYOSD_ID && !is_hosted);
}

static void reply_done(struct ray_rpc_call *call, int rc, const struct ray_err *err)
{
    Rayos__Init__Done done = RAYOS__INIT__DONE__INIT;

    if (rc == RAY_OK) {
        (void)ray_rpc_reply(call, &done.base); /* the peer may have left */
    } else {
        (void)ray_rpc_reply_err(call, err);
    }
}

static void reply_no_memory(struct ray_rpc_call *call)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, RAY_ENOMEM, "no memory for the answer");
    (void)ray_rpc_reply_err(call, &err); /* gone either way */
}

/* ---- init.status ---- */

static Rayos__Init__Service *describe_service(struct ray_arena *arena, struct supervise_unit *unit)
{
    const struct supervise_service *state = supervise_unit_state(unit);
    Rayos__Init__Service *out = ray_arena_alloc(arena, sizeof *out);

    if (out == NULL) {
        return NULL;
    }
    rayos__init__service__init(out);
    out->name = text(unit->def->name);
    out->state = text(supervise_state_name(state->state));
    out->why = text(supervise_why_text(state->why));
    out->pid = (uint32_t)unit->child.pid;
    out->since_us = to_us(state->since_ns);
    out->start_count = state->start_count;
    out->failure_count = state->failure_count;
    out->last_exit = unit->last_exit;
    out->status_text = unit->status_text;
    out->needed_for_ready = unit->def->needed_for_ready;
    out->kept_fd_count = (uint32_t)unit->kept.count;
    if (unit->cgroup_fd >= 0) {
        (void)init_cgroup_memory_bytes(unit->cgroup_fd, &out->memory_bytes, NULL); /* or 0 */
    }
    if (state->state == SUPERVISE_BACKOFF || state->state == SUPERVISE_GAVE_UP) {
        out->next_start_us = to_us(state->deadline_ns);
    }
    return out;
}

static bool describe_services(struct init *init, struct ray_arena *arena,
                              Rayos__Init__Status *status)
{
    size_t count = init->supervise.count;

    if (count == 0) {
        return true;
    }
    status->services = ray_arena_alloc(arena, count * sizeof status->services[0]);
    for (size_t i = 0; status->services != NULL && i < count; i++) {
        status->services[i] = describe_service(arena, &init->supervise.units[i]);
        if (status->services[i] == NULL) {
            return false;
        }
        status->n_services++;
    }
    return status->services != NULL;
}

static bool describe_degraded(struct init *init, struct ray_arena *arena,
                              Rayos__Init__Status *status)
{
    const struct timeline *timeline = &init->timeline;

    status->degraded =
        ray_arena_alloc(arena, (timeline->stage_count + 1) * sizeof status->degraded[0]);
    for (size_t i = 0; status->degraded != NULL && i < timeline->stage_count; i++) {
        const struct timeline_stage *stage = &timeline->stages[i];
        if (stage->result == TIMELINE_FAILED || stage->result == TIMELINE_LATE) {
            char *line = ray_arena_printf(arena, "%s: %s", stage->name, stage->error);
            if (line == NULL) {
                return false;
            }
            status->degraded[status->n_degraded++] = line;
        }
    }
    return status->degraded != NULL;
}

static bool describe_groups(struct init *init, struct ray_arena *arena, Rayos__Init__Pressure *out)
{
    struct init_psi_group groups[INIT_PRESSURE_TOP_COUNT];
    size_t count = init_psi_top(&init->cgroup, out->resource, groups, INIT_PRESSURE_TOP_COUNT);

    out->groups = ray_arena_alloc(arena, (count + 1) * sizeof out->groups[0]);
    for (size_t i = 0; out->groups != NULL && i < count; i++) {
        Rayos__Init__PressureGroup *group = ray_arena_alloc(arena, sizeof *group);
        if (group == NULL) {
            return false;
        }
        rayos__init__pressure_group__init(group);
        group->name = ray_arena_strndup(arena, groups[i].name, strlen(groups[i].name));
        group->some_percent = groups[i].pressure.some_percent;
        group->full_percent = groups[i].pressure.full_percent;
        group->memory_bytes = groups[i].memory_bytes;
        out->groups[out->n_groups++] = group;
        if (group->name == NULL) {
            return false;
        }
    }
    return out->groups != NULL;
}

static bool describe_pressures(struct init *init, struct ray_arena *arena,
                               Rayos__Init__Status *status)
{
    status->pressures = ray_arena_alloc(arena, PRESSURE_KIND_COUNT * sizeof status->pressures[0]);
    for (int i = 0; status->pressures != NULL && i < PRESSURE_KIND_COUNT; i++) {
        enum pressure_kind kind = (enum pressure_kind)i;
        const struct pressure_level *level = pressure_level(&init->pressure, kind);
        struct init_psi psi = {0};
        Rayos__Init__Pressure *out;

        if (!pressure_is_watched(&init->pressure, kind)) {
            continue;
        }
        out = ray_arena_alloc(arena, sizeof *out);
        if (out == NULL) {
            return false;
        }
        (void)pressure_read(&init->pressure, kind, &psi, NULL); /* or zeroes: the level counts */
        rayos__init__pressure__init(out);
        out->resource = text(pressure_rule(kind)->name);
        out->is_high = level->is_high;
        out->is_trouble = pressure_rule(kind)->is_trouble;
        out->since_us = to_us(level->since_ns);
        out->some_percent = psi.some_percent;
        out->full_percent = psi.full_percent;
        if (level->is_high && !describe_groups(init, arena, out)) {
            return false;
        }
        status->pressures[status->n_pressures++] = out;
    }
    return status->pressures != NULL;
}

/* What a service says of itself may be the code by which the node is claimed. */
static void hide_texts(const struct ray_rpc_call *call, Rayos__Init__Status *status)
{
    for (size_t i = 0; ray_rpc_call_peer(call)->uid != 0 && i < status->n_services; i++) {
        status->services[i]->status_text = text("");
    }
}

static void run_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    struct ray_arena arena;
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    Rayos__Init__Watchdog watchdog = RAYOS__INIT__WATCHDOG__INIT;
    Rayos__Init__Data data = RAYOS__INIT__DATA__INIT;
    Rayos__Init__Log log = RAYOS__INIT__LOG__INIT;

    (void)input;
    ray_arena_init(&arena, ARENA_SIZE_MAX);
    status.node_name = text(init_node_name(init));
    status.state = text(init_state_name(init->state));
    status.boot_id = init->facts.boot_id;
    status.image_version = init->facts.image_version;
    status.now_us = to_us(ray_clock_boottime_ns());
    status.fingerprint_words = text(init->has_identity ? init->identity.words : "");
    watchdog.driver = init->watchdog.choice.driver;
    watchdog.is_hardware = init->watchdog.choice.is_hardware;
    watchdog.timeout_s = init->watchdog.timeout_s;
    watchdog.bootstatus = init->watchdog.bootstatus;
    watchdog.fed_count = init->watchdog.fed_count;
    watchdog.withheld = init->watchdog.withheld;
    status.watchdog = &watchdog;
    if (init->has_data) {
        data.is_persistent = init->data.is_disk;
        data.device = init->data.device;
        data.reason = text(init->data.is_disk ? "" : init_data_reason_word(init->data.reason));
        data.path = text("/" INIT_DATA_FOLDER);
    }
    status.data = &data;
    log.folder = init->log.folder;
    log.level = text(ray_log_level_name((enum ray_log_level)atomic_load(&init->log.level)));
    log.line_count = persist_log_line_count(&init->log);
    log.lost_count = persist_log_lost_count(&init->log);
    log.is_full = init->log.is_full;
    status.log = &log;
    if (describe_services(init, &arena, &status) && describe_degraded(init, &arena, &status) &&
        describe_pressures(init, &arena, &status)) {
        hide_texts(call, &status);
        (void)ray_rpc_reply(call, &status.base); /* the peer may have left */
    } else {
        reply_no_memory(call);
    }
    ray_arena_fini(&arena);
}

/* ---- init.boot ---- */

static bool describe_stages(struct init *init, struct ray_arena *arena, Rayos__Init__Boot *boot)
{
    size_t count = init->timeline.stage_count;

    boot->stages = ray_arena_alloc(arena, (count + 1) * sizeof boot->stages[0]);
    for (size_t i = 0; boot->stages != NULL && i < count; i++) {
        struct timeline_stage *stage = &init->timeline.stages[i];
        Rayos__Init__Stage *out = ray_arena_alloc(arena, sizeof *out);
        if (out == NULL) {
            return false;
        }
        rayos__init__stage__init(out);
        out->name = text(stage->name);
        out->begin_us = stage->begin_us;
        out->end_us = stage->end_us;
        out->result = text(timeline_result_name(stage->result));
        out->error = stage->error;
        boot->stages[boot->n_stages++] = out;
    }
    return boot->stages != NULL;
}

static bool describe_marks(struct init *init, struct ray_arena *arena, Rayos__Init__Boot *boot)
{
    size_t count = init->timeline.mark_count;

    boot->marks = ray_arena_alloc(arena, (count + 1) * sizeof boot->marks[0]);
    for (size_t i = 0; boot->marks != NULL && i < count; i++) {
        Rayos__Init__BootMark *out = ray_arena_alloc(arena, sizeof *out);
        if (out == NULL) {
            return false;
        }
        rayos__init__boot_mark__init(out);
        out->line = init->timeline.marks[i].line;
        out->at_us = init->timeline.marks[i].at_us;
        boot->marks[boot->n_marks++] = out;
    }
    return boot->marks != NULL;
}

static void run_boot(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    struct ray_arena arena;
    Rayos__Init__Boot boot = RAYOS__INIT__BOOT__INIT;

    (void)input;
    ray_arena_init(&arena, ARENA_SIZE_MAX);
    boot.boot_id = init->facts.boot_id;
    if (describe_stages(init, &arena, &boot) && describe_marks(init, &arena, &boot)) {
        (void)ray_rpc_reply(call, &boot.base); /* the peer may have left */
    } else {
        reply_no_memory(call);
    }
    ray_arena_fini(&arena);
}

/* ---- init.log_tail ---- */

static void run_log_tail(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__LogTailRequest *request = (const Rayos__Init__LogTailRequest *)input;
    uint32_t count = request->lines == 0 ? TAIL_DEFAULT : request->lines;

    const struct log_tail_filter filter = {.unit = request->unit, .age_us = request->age_us};

    init_log_tail(&init->log_tails, call, count < TAIL_MAX ? count : TAIL_MAX, &filter,
                  request->is_following);
}

static void run_kernel_log(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__KernelLogRequest *request = (const Rayos__Init__KernelLogRequest *)input;
    uint32_t count = request->lines == 0 ? TAIL_DEFAULT : request->lines;

    if (is_root_or_rayosd(init, call)) {
        init_kernel_tail(&init->log_tails, call, count < TAIL_MAX ? count : TAIL_MAX,
                         request->is_following);
    }
}

/* ---- changes ---- */

static void run_service_restart(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__ServiceRestartRequest *request =
        (const Rayos__Init__ServiceRestartRequest *)input;
    struct ray_err err = {0};

    if (is_root(call)) {
        int rc = supervise_restart(&init->supervise, request->name, &err);

        if (rc == RAY_OK) { /* so the name is one of ours */
            char reason[201];

            (void)ray_escape(reason, sizeof reason, request->reason, strlen(request->reason));
            ray_log(&init->logger, RAY_LOG_NOTICE, "init", "service_restart name=%s reason=\"%s\"",
                    request->name, reason);
        }
        reply_done(call, rc, &err);
    }
}

static void run_shutdown(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__ShutdownRequest *request = (const Rayos__Init__ShutdownRequest *)input;
    struct ray_err err = {0};
    enum shutdown_mode mode;
    int rc;

    if (!is_root_or_rayosd(init, call)) {
        return;
    }
    if (shutdown_mode_parse(request->mode, &mode) != RAY_OK) {
        rc = ray_fail(&err, RAY_EINVAL, "mode '%.32s' is none of poweroff, reboot, halt",
                      request->mode);
    } else if (mode == SHUTDOWN_HALT && !is_root(call)) {
        return; /* nobody far away could start it again */
    } else {
        rc = init_shutdown(init, mode, request->reason, &err);
    }
    reply_done(call, rc, &err);
}

static void run_log_level(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__LogLevelRequest *request = (const Rayos__Init__LogLevelRequest *)input;
    Rayos__Init__LogLevel reply = RAYOS__INIT__LOG_LEVEL__INIT;
    enum ray_log_level level = (enum ray_log_level)atomic_load(&init->log.level);

    if (!is_root(call)) {
        return;
    }
    if (request->level[0] != '\0') {
        if (ray_log_level_parse(request->level, &level) != RAY_OK) {
            struct ray_err err = {0};
            (void)ray_fail(&err, RAY_EINVAL,
                           "level '%.32s' is none of error, warn, notice, info, "
                           "debug",
                           request->level);
            (void)ray_rpc_reply_err(call, &err); /* gone either way */
            return;
        }
        atomic_store(&init->log.level, (int)level);
        atomic_store(&init->logger.level, (int)level);
        ray_log(&init->logger, RAY_LOG_NOTICE, "init", "log level is %s now",
                ray_log_level_name(level));
    }
    reply.level = text(ray_log_level_name(level));
    (void)ray_rpc_reply(call, &reply.base); /* the peer may have left */
}

static void run_disks(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    if (is_root_or_rayosd(arg, call)) {
        disks_run_list(call, input, arg);
    }
}

static void run_disk_prepare(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    if (is_root_or_rayosd(arg, call)) {
        disks_run_prepare(call, input, arg);
    }
}

static const struct ray_rpc_method methods[] = {
    {"init.status", &rayos__init__status_request__descriptor, run_status},
    {"init.boot", &rayos__init__boot_request__descriptor, run_boot},
    {"init.log_tail", &rayos__init__log_tail_request__descriptor, run_log_tail},
    {"init.kernel_log", &rayos__init__kernel_log_request__descriptor, run_kernel_log},
    {"init.service_restart", &rayos__init__service_restart_request__descriptor,
     run_service_restart},
    {"init.shutdown", &rayos__init__shutdown_request__descriptor, run_shutdown},
    {"init.log_level", &rayos__init__log_level_request__descriptor, run_log_level},
    {"init.crashes", &rayos__init__crashes_request__descriptor, crashes_run},
    {"init.provision_enable", &rayos__init__provision_enable_request__descriptor,
     init_provision_enable},
    {"init.provision_disable", &rayos__init__provision_disable_request__descriptor,
     init_provision_disable},
    {"init.disks", &rayos__init__disks_request__descriptor, run_disks},
    {"init.disk_prepare", &rayos__init__disk_prepare_request__descriptor, run_disk_prepare},
    {"init.boot_image", &rayos__init__boot_image_request__descriptor, init_boot_image_run},
    {NULL, NULL, NULL},
};

int init_control_open(struct init *init, struct ray_err *err)
{
    size_t count = 0;

    /* Ours, then those of the test image. */
    for (const struct ray_rpc_method *m = methods; m->name != NULL; m++) {
        init->methods[count++] = *m;
    }
    for (const struct ray_rpc_method *m = init_test_methods();
         m->name != NULL && count + 1 < RAY_ARRAY_COUNT(init->methods); m++) {
        init->methods[count++] = *m;
    }
    init->methods[count] = (struct ray_rpc_method){.name = NULL};
    return ray_rpc_server_create_unix(&init->control, &init->loop, init->control_path, 0666,
                                      init->methods, init, err);
}

/* clusterctl/lab/chaos.c - lab.chaos and lab.screenshot: faults, brought about on purpose.
 *
 * Each call is answered when its fault is in force: a command of the switch when the switch
 * says so, a command of QEMU when QEMU has replied, everything else when the machine is seen
 * in the state that was asked for. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/size.h"
#include "clusterctl/lab/chaos_net.h"
#include "clusterctl/lab/control_internal.h"
#include "clusterctl/lab/qmp.h"
#include "clusterctl/lab/wipe.h"

enum {
    POLL_MS = 5,
    TIMEOUT_MS = 10000,
    POWEROFF_TIMEOUT_MS = 120000,
    WIPE_TIMEOUT_MS = 60000,
    TARGET_COUNT_MAX = 32
};

struct machine_action;

struct chaos {
    struct lab_node *node;
    struct ray_rpc_call *call; /* NULL: the caller has left */
    const struct machine_action *action;
    struct ray_timer timer;
    uint64_t give_up_ns;
    uint32_t boot_count; /* before the act */
    char value[16];
    char path[64];        /* of a screenshot */
    struct ray_err error; /* found while waiting */
};

struct machine_action {
    const char *name;
    const char *done_text; /* "node1 is paused" */
    uint64_t timeout_ms;
    const char *qmp_command; /* NULL: begin does it */
    int (*begin)(struct chaos *chaos, struct ray_err *err);
    bool (*is_in_force)(struct chaos *chaos); /* NULL: when QEMU replied, or at once */
    void (*on_done)(struct chaos *chaos);     /* may be NULL */
};

/* ---- the acts ---- */

static bool is_off(struct chaos *chaos)
{
    return chaos->node->state == LAB_NODE_OFF;
}

static bool is_booting_again(struct chaos *chaos)
{
    return chaos->node->phases.boot_count != chaos->boot_count;
}

static int begin_kill(struct chaos *chaos, struct ray_err *err)
{
    if (is_off(chaos)) {
        return ray_fail(err, RAY_ECONFLICT, "%s is off already", chaos->node->who.name);
    }
    lab_node_power_cut(chaos->node);
    return RAY_OK;
}

static int begin_start(struct chaos *chaos, struct ray_err *err)
{
    return lab_node_power_on(chaos->node, err);
}

/* Pausing what is frozen, or the other way round, could not be told apart afterwards. */
static int expect_state(const struct chaos *chaos, enum lab_node_state state, const char *name,
                        struct ray_err *err)
{
    return chaos->node->state == state
               ? RAY_OK
               : ray_fail(err, RAY_ECONFLICT, "%s is %s, not %s", chaos->node->who.name,
                          lab_node_state_name(chaos->node), name);
}

static int begin_pause(struct chaos *chaos, struct ray_err *err)
{
    int rc = expect_state(chaos, LAB_NODE_RUNNING, "running", err);

    return rc == RAY_OK ? lab_process_signal(&chaos->node->qemu, SIGSTOP, err) : rc;
}

/* The signal is on its way to each thread; the kernel tells when all have stopped. */
static bool is_stopped(struct chaos *chaos)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)chaos->node->qemu.child.pid, &info, WSTOPPED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid != 0;
}

static void on_paused(struct chaos *chaos)
{
    chaos->node->state = LAB_NODE_PAUSED;
}

static int begin_resume(struct chaos *chaos, struct ray_err *err)
{
    int rc = expect_state(chaos, LAB_NODE_PAUSED, "paused", err);

    if (rc == RAY_OK) {
        rc = lab_process_signal(&chaos->node->qemu, SIGCONT, err);
    }
    if (rc == RAY_OK) {
        chaos->node->state = LAB_NODE_RUNNING;
    }
    return rc;
}

static void on_frozen(struct chaos *chaos)
{
    chaos->node->state = LAB_NODE_FROZEN;
}

static void on_thawed(struct chaos *chaos)
{
    chaos->node->state = LAB_NODE_RUNNING;
}

static void on_link(struct chaos *chaos)
{
    chaos->node->is_link_up = strcmp(chaos->value, "up") == 0;
}

static int begin_wipe(struct chaos *chaos, struct ray_err *err)
{
    return lab_wipe_begin(chaos->node, err);
}

static bool is_wiped(struct chaos *chaos)
{
    return lab_wipe_step(chaos->node, &chaos->error) == RAY_OK; /* on_poll looks at the error */
}

static const struct machine_action actions[] = {
    {"poweroff", "is off", POWEROFF_TIMEOUT_MS, "system_powerdown", NULL, is_off, NULL},
    {"reset", "boots again", TIMEOUT_MS, "system_reset", NULL, is_booting_again, NULL},
    {"kill", "is off: power cut", TIMEOUT_MS, NULL, begin_kill, is_off, NULL},
    {"start", "is on", TIMEOUT_MS, NULL, begin_start, NULL, NULL},
    {"pause", "is paused: its time goes on", TIMEOUT_MS, NULL, begin_pause, is_stopped, on_paused},
    {"resume", "runs on", TIMEOUT_MS, NULL, begin_resume, NULL, NULL},
    {"freeze", "is frozen: its time stands still", TIMEOUT_MS, "stop", NULL, NULL, on_frozen},
    {"thaw", "runs on", TIMEOUT_MS, "cont", NULL, NULL, on_thawed},
    {"link", "has its link", TIMEOUT_MS, "set_link", NULL, NULL, on_link},
    {"wipe", "boots with an empty disk", WIPE_TIMEOUT_MS, NULL, begin_wipe, is_wiped, NULL},
    {"nmi", "got an NMI", TIMEOUT_MS, "inject-nmi", NULL, NULL, NULL},
};

static const struct machine_action screenshot_action = {
    "screenshot", "", TIMEOUT_MS, "screendump", NULL, NULL, NULL};

/* ---- the call ---- */

static void chaos_free(struct chaos *chaos)
{
    ray_timer_fini(&chaos->timer);
    free(chaos);
}

static void refuse(struct ray_rpc_call *call, const struct ray_err *err)
{
    if (call != NULL) {
        (void)ray_rpc_reply_err(call, err); /* gone: nobody wants it */
    }
}

static void reply_text(struct lab *lab, struct ray_rpc_call *call, const char *text)
{
    Rayos__Lab__ChaosReply body = RAYOS__LAB__CHAOS_REPLY__INIT;

    if (call != NULL) {
        body.text = (char *)(uintptr_t)text;
        body.t_us = lab_now_us(lab);
        (void)ray_rpc_reply(call, &body.base); /* gone: nobody wants it */
    }
}

static void finish(struct chaos *chaos)
{
    struct lab_node *node = chaos->node;
    char text[128];

    if (chaos->action->on_done != NULL) {
        chaos->action->on_done(chaos);
    }
    if (chaos->action == &screenshot_action) {
        Rayos__Lab__ScreenshotReply body = RAYOS__LAB__SCREENSHOT_REPLY__INIT;

        body.path = chaos->path;
        if (chaos->call != NULL) {
            (void)ray_rpc_reply(chaos->call, &body.base); /* gone: nobody wants it */
        }
        chaos_free(chaos);
        return;
    }
    (void)snprintf(text, sizeof text, "%s %s%s%s", node->who.name, chaos->action->done_text,
                   chaos->value[0] != '\0' ? " " : "", chaos->value);
    lab_event(node->lab, LAB_KIND_CHAOS, node, "%s", text + strlen(node->who.name) + 1);
    reply_text(node->lab, chaos->call, text);
    chaos_free(chaos);
}

static void on_cancel(void *arg)
{
    struct chaos *chaos = arg;

    chaos->call = NULL; /* what was begun goes on */
}

static void give_up(struct chaos *chaos, const struct ray_err *err)
{
    if (chaos->action->is_in_force == is_wiped) {
        lab_wipe_end(chaos->node);
    }
    refuse(chaos->call, err);
    chaos_free(chaos);
}

static void on_poll(void *arg)
{
    struct chaos *chaos = arg;
    struct ray_err err = {0};

    if (chaos->action->is_in_force(chaos)) {
        finish(chaos);
    } else if (chaos->error.code != RAY_OK) {
        give_up(chaos, &chaos->error);
    } else if (ray_clock_monotonic_ns() >= chaos->give_up_ns) {
        (void)ray_fail(&err, RAY_ETIMEOUT, "%s: %s was asked for, but the machine is still %s (%s)",
                       chaos->node->who.name, chaos->action->name, lab_node_state_name(chaos->node),
                       lab_phase_name(chaos->node->phases.phase));
        give_up(chaos, &err);
    }
}

static void wait_or_finish(struct chaos *chaos)
{
    if (chaos->action->is_in_force != NULL) {
        ray_timer_start(&chaos->timer, 0, POLL_MS);
    } else {
        finish(chaos);
    }
}

static void on_qmp_reply(void *arg, int rc, yyjson_val *value, const struct ray_err *qmp_err)
{
    struct chaos *chaos = arg;

    (void)value;
    if (rc != RAY_OK) {
        struct ray_err err = {0};

        (void)ray_fail(&err, rc, "%s: %s: %s", chaos->node->who.name, chaos->action->name,
                       qmp_err->text);
        refuse(chaos->call, &err);
        chaos_free(chaos);
        return;
    }
    wait_or_finish(chaos);
}

static int begin_qmp(struct chaos *chaos, struct ray_err *err)
{
    struct lab_node *node = chaos->node;
    char arguments[128] = "";

    if (node->qmp == NULL || node->state == LAB_NODE_OFF) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "%s is off", node->who.name);
        return ray_next(err, "clusterctl lab chaos start %s", node->who.name);
    }
    if (node->state == LAB_NODE_PAUSED) {
        (void)ray_fail(err, RAY_ECONFLICT, "%s is paused", node->who.name);
        return ray_next(err, "clusterctl lab chaos resume %s", node->who.name);
    }
    if (strcmp(chaos->action->name, "link") == 0) {
        if (strcmp(chaos->value, "up") != 0 && strcmp(chaos->value, "down") != 0) {
            return ray_fail(err, RAY_EUSAGE, "this is written: chaos link NODE up|down");
        }
        (void)snprintf(arguments, sizeof arguments, "{\"name\": \"nic\", \"up\": %s}",
                       strcmp(chaos->value, "up") == 0 ? "true" : "false");
    } else if (chaos->action == &screenshot_action) {
        (void)snprintf(arguments, sizeof arguments, "{\"filename\": \"%s\", \"format\": \"png\"}",
                       strrchr(chaos->path, '/') + 1);
    }
    return ray_qmp_execute(node->qmp, chaos->action->qmp_command,
                           arguments[0] != '\0' ? arguments : NULL, TIMEOUT_MS, on_qmp_reply, chaos,
                           err);
}

/* Begins `action`; the call is answered in any case. */
static void begin(struct lab_node *node, struct ray_rpc_call *call,
                  const struct machine_action *action, const char *value, uint64_t timeout_ms)
{
    struct chaos *chaos = calloc(1, sizeof *chaos);
    struct ray_err err = {0};
    int rc;

    if (chaos == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "chaos");
        refuse(call, &err);
        return;
    }
    chaos->node = node;
    chaos->call = call;
    chaos->action = action;
    chaos->boot_count = node->phases.boot_count;
    chaos->give_up_ns = ray_clock_monotonic_ns() +
                        (timeout_ms != 0 ? timeout_ms : action->timeout_ms) * RAY_NS_PER_MS;
    (void)snprintf(chaos->value, sizeof chaos->value, "%s", value);
    (void)snprintf(chaos->path, sizeof chaos->path, LAB_DIR_MACHINES "/%s/screen-%llu.png",
                   node->who.name, (unsigned long long)lab_now_us(node->lab));
    rc = ray_timer_init(&chaos->timer, &node->lab->loop, on_poll, chaos, &err);
    if (rc == RAY_OK) {
        rc = action->qmp_command != NULL ? begin_qmp(chaos, &err) : action->begin(chaos, &err);
    }
    if (rc != RAY_OK) {
        refuse(call, &err);
        chaos_free(chaos);
        return;
    }
    ray_rpc_call_on_cancel(call, on_cancel, chaos);
    if (action->qmp_command == NULL) {
        wait_or_finish(chaos);
    }
}

/* ---- methods ---- */

static void net_chaos(struct lab *lab, struct ray_rpc_call *call,
                      const Rayos__Lab__ChaosRequest *request)
{
    const struct lab_chaos_net chaos = {
        .action = request->action,
        .targets = (const char *const *)request->targets,
        .target_count = request->n_targets,
        .value = request->value,
        .jitter = request->jitter,
        .is_one_way = request->one_way,
    };
    char command[LAB_CHAOS_TEXT_SIZE];
    struct ray_err err = {0};
    int rc = lab_chaos_net_command(&chaos, command, &err);

    if (rc == RAY_OK) {
        rc = lab_switch_command(lab, NULL, &err, "%s", command);
    }
    if (rc != RAY_OK) {
        refuse(call, &err);
        return;
    }
    lab_event(lab, LAB_KIND_CHAOS, NULL, "%s", command);
    reply_text(lab, call, command);
}

/* rayos-provision can be killed and started like a machine. */
static void provision_chaos(struct lab *lab, struct ray_rpc_call *call, bool is_kill)
{
    struct ray_err err = {0};
    int rc = is_kill ? lab_provision_kill(lab, &err) : lab_provision_start(lab, &err);

    if (rc != RAY_OK) {
        refuse(call, &err);
        return;
    }
    lab_event(lab, LAB_KIND_CHAOS, NULL, LAB_PROVISION_NAME " %s", is_kill ? "killed" : "started");
    reply_text(lab, call, is_kill ? LAB_PROVISION_NAME " is off" : LAB_PROVISION_NAME " is on");
}

static bool is_provision_chaos(const Rayos__Lab__ChaosRequest *request)
{
    return request->n_targets == 1 && strcmp(request->targets[0], LAB_PROVISION_NAME) == 0 &&
           (strcmp(request->action, "kill") == 0 || strcmp(request->action, "start") == 0);
}

void lab_method_chaos(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__ChaosRequest *request = (const Rayos__Lab__ChaosRequest *)input;
    struct lab *lab = arg;
    struct ray_err err = {0};
    struct lab_node *node;

    if (request->n_targets > TARGET_COUNT_MAX) {
        (void)ray_fail(&err, RAY_EINVAL, "more than %d names", TARGET_COUNT_MAX);
        refuse(call, &err);
        return;
    }
    if (lab_chaos_net_is(request->action)) {
        net_chaos(lab, call, request);
        return;
    }
    if (is_provision_chaos(request)) {
        provision_chaos(lab, call, strcmp(request->action, "kill") == 0);
        return;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(actions); i++) {
        if (strcmp(actions[i].name, request->action) == 0 && request->n_targets == 1) {
            node = lab_node_by_name(lab, request->targets[0], &err);
            if (node == NULL) {
                refuse(call, &err);
            } else {
                begin(node, call, &actions[i], request->value, request->timeout_ms);
            }
            return;
        }
    }
    (void)ray_fail(&err, RAY_EUSAGE, "'%s' with %zu names is nothing that can be done",
                   request->action, request->n_targets);
    (void)ray_next(&err, "clusterctl lab chaos --help");
    refuse(call, &err);
}

void lab_method_screenshot(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__ScreenshotRequest *request = (const Rayos__Lab__ScreenshotRequest *)input;
    struct ray_err err = {0};
    struct lab_node *node = lab_node_by_name(arg, request->node, &err);

    if (node == NULL) {
        refuse(call, &err);
    } else {
        begin(node, call, &screenshot_action, "", 0);
    }
}

/* clusterctl/lab/control_wait.c - lab.wait: a condition on some nodes that is looked at again
 * whenever something has happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/lab/control_internal.h"

struct lab_waiter {
    struct lab_waiter *next;
    struct lab *lab;
    struct ray_rpc_call *call;
    struct ray_timer timer;
    uint32_t node_mask;
    uint32_t count;
    bool is_this_boot;
    bool wants_state;
    char wanted[RAY_MARKER_LINE_SIZE_MAX]; /* marker or state */
};

static void waiter_free(struct lab_waiter *waiter)
{
    struct lab_waiter **link = &waiter->lab->control->waiters;

    while (*link != NULL && *link != waiter) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = waiter->next;
    }
    ray_timer_fini(&waiter->timer);
    free(waiter);
}

static bool has_state(const struct lab_node *node, const char *state)
{
    return strcmp(lab_node_state_name(node), state) == 0 ||
           (strcmp(state, "ready") == 0 && node->phases.phase == LAB_PHASE_READY);
}

/* Whether one node fulfils the condition; *out_last is its last marker, NULL for states. */
static bool is_fulfilled(const struct lab_waiter *waiter, const struct lab_node *node,
                         const struct lab_marker **out_last)
{
    uint32_t boot = waiter->is_this_boot ? node->phases.boot_count : 0;

    *out_last = NULL;
    if (waiter->wants_state) {
        return has_state(node, waiter->wanted);
    }
    return lab_markers_count(&node->markers, waiter->wanted, boot, waiter->count, out_last) >=
           waiter->count;
}

static void reply(struct lab_waiter *waiter, const struct lab_marker *const *lasts)
{
    Rayos__Lab__WaitReply body = RAYOS__LAB__WAIT_REPLY__INIT;
    Rayos__Lab__Marker markers[LAB_NODE_COUNT_MAX];
    Rayos__Lab__Marker *pointers[LAB_NODE_COUNT_MAX];
    struct lab *lab = waiter->lab;

    for (size_t i = 0; i < lab->node_count; i++) {
        Rayos__Lab__Marker *marker = &markers[body.n_markers];

        if ((waiter->node_mask & (1U << i)) == 0) {
            continue;
        }
        rayos__lab__marker__init(marker);
        marker->node = lab->nodes[i].who.name;
        marker->t_us = lasts[i] != NULL ? lasts[i]->t_us : lab_now_us(lab);
        marker->line = lasts[i] != NULL ? (char *)(uintptr_t)lasts[i]->line : waiter->wanted;
        pointers[body.n_markers++] = marker;
    }
    body.markers = pointers;
    (void)ray_rpc_reply(waiter->call, &body.base); /* gone: nobody wants it */
}

static void check(struct lab_waiter *waiter)
{
    const struct lab_marker *lasts[LAB_NODE_COUNT_MAX] = {0};
    struct lab *lab = waiter->lab;

    for (size_t i = 0; i < lab->node_count; i++) {
        if ((waiter->node_mask & (1U << i)) != 0 &&
            !is_fulfilled(waiter, &lab->nodes[i], &lasts[i])) {
            return;
        }
    }
    reply(waiter, lasts);
    waiter_free(waiter);
}

void lab_waiters_check(struct lab *lab)
{
    struct lab_waiter *next;

    for (struct lab_waiter *waiter = lab->control->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        check(waiter);
    }
}

static void on_timeout(void *arg)
{
    struct lab_waiter *waiter = arg;
    const struct lab_marker *last;
    struct ray_err err = {0};
    char missing[128] = "";
    size_t used = 0;

    for (size_t i = 0; i < waiter->lab->node_count && used < sizeof missing; i++) {
        struct lab_node *node = &waiter->lab->nodes[i];

        if ((waiter->node_mask & (1U << i)) != 0 && !is_fulfilled(waiter, node, &last)) {
            int size =
                snprintf(missing + used, sizeof missing - used, "%s%s (%s)", used > 0 ? ", " : "",
                         node->who.name, lab_phase_name(node->phases.phase));

            used += size > 0 ? (size_t)size : 0;
        }
    }
    (void)ray_fail(&err, RAY_ETIMEOUT, "%s did not come on %s", waiter->wanted, missing);
    (void)ray_next(&err, "clusterctl lab log NODE --markers");
    (void)ray_rpc_reply_err(waiter->call, &err); /* gone: nobody wants it */
    waiter_free(waiter);
}

static void on_cancel(void *arg)
{
    waiter_free(arg);
}

/* Fills the waiter from the request. */
static int read_request(struct lab_waiter *waiter, const Rayos__Lab__WaitRequest *request,
                        struct ray_err *err)
{
    const char *wanted = request->state[0] != '\0' ? request->state : request->marker;

    waiter->wants_state = request->state[0] != '\0';
    waiter->count = request->count == 0 ? 1 : request->count;
    waiter->is_this_boot = request->this_boot;
    if (wanted[0] == '\0' || strlen(wanted) >= sizeof waiter->wanted) {
        return ray_fail(err, RAY_EINVAL, "a marker or a state of 1 to %zu bytes is needed",
                        sizeof waiter->wanted - 1);
    }
    (void)snprintf(waiter->wanted, sizeof waiter->wanted, "%s", wanted);
    for (size_t i = 0; i < request->n_nodes; i++) {
        const struct lab_node *node = lab_node_by_name(waiter->lab, request->nodes[i], err);

        if (node == NULL) {
            return RAY_ENOTFOUND;
        }
        waiter->node_mask |= 1U << node->index;
    }
    if (request->n_nodes == 0) {
        waiter->node_mask = (1U << waiter->lab->config.node_count) - 1;
    }
    return RAY_OK;
}

void lab_method_wait(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__WaitRequest *request = (const Rayos__Lab__WaitRequest *)input;
    struct lab *lab = arg;
    struct lab_waiter *waiter = calloc(1, sizeof *waiter);
    struct ray_err err = {0};
    int rc;

    if (waiter == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "wait");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    waiter->lab = lab;
    waiter->call = call;
    rc = read_request(waiter, request, &err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&waiter->timer, &lab->loop, on_timeout, waiter, &err);
    }
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err);
        free(waiter);
        return;
    }
    waiter->next = lab->control->waiters;
    lab->control->waiters = waiter;
    ray_rpc_call_on_cancel(call, on_cancel, waiter);
    if (request->timeout_ms > 0) {
        ray_timer_start(&waiter->timer, request->timeout_ms, 0);
    }
    check(waiter);
}

/* order.c - what an operator has a machine do, or reads from it, from any member:
 *
 *     operator ──▶ member ── the rules ── an event in the log ──▶ that node ──▶ its PID 1
 *                                          (reading leaves none)
 *
 * The rules are asked before, so that a refusal costs nothing, and once more when the event is in
 * the log: then this member has all the rules that were made before it, and one that is cut off
 * from the others orders nothing. That node takes orders from nodes with a part of the log; those
 * could change its log as well. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc_link.h"
#include "net/rpc_pipe.h"

enum {
    ORDER_TIMEOUT_MS = 30000, /* for that node's answer, where the caller sets no time */
    ORDER_STREAMS_MAX = 8,    /* read through one member; a link has 16 connections */
    DISK_SIZE = 32,
    WHOM_SIZE = COORD_NAME_SIZE + 8,
};

/* Each request begins with its order. */
struct order_request {
    ProtobufCMessage base;
    Rayos__Cluster__Order *order;
};

struct order_kind {
    const ProtobufCMessageDescriptor *input;
    const char *method;
    const ProtobufCMessageDescriptor *item; /* NULL: none */
    const ProtobufCMessageDescriptor *output;
    enum coord_policy_action action;
    const char *event; /* NULL: it only looks */
    /* What the event says of it. NULL: it makes no sense. */
    const char *(*verb)(const ProtobufCMessage *input);
    const char *prefix; /* of the event's text, before the verb */
};

static_assert(
    offsetof(Rayos__Cluster__PowerRequest, order) == offsetof(struct order_request, order) &&
        offsetof(Rayos__Cluster__LogsRequest, order) == offsetof(struct order_request, order) &&
        offsetof(Rayos__Cluster__DisksRequest, order) == offsetof(struct order_request, order) &&
        offsetof(Rayos__Cluster__DiskPrepareRequest, order) ==
            offsetof(struct order_request, order),
    "the order comes first");

static const char *power_verb(const ProtobufCMessage *input)
{
    const char *mode = ((const Rayos__Cluster__PowerRequest *)input)->mode;

    return strcmp(mode, "reboot") == 0 || strcmp(mode, "poweroff") == 0 ? mode : NULL;
}

static const char *disk_verb(const ProtobufCMessage *input)
{
    const char *disk = ((const Rayos__Cluster__DiskPrepareRequest *)input)->disk;
    size_t size = strlen(disk);

    return size > 0 && size < DISK_SIZE &&
                   strspn(disk, "abcdefghijklmnopqrstuvwxyz0123456789") == size
               ? disk
               : NULL;
}

static const struct order_kind kinds[] = {
    {&rayos__cluster__power_request__descriptor, "node.power", NULL, &rayos__init__done__descriptor,
     COORD_POLICY_NODE_REBOOT, "node-power", power_verb, ""},
    {&rayos__cluster__logs_request__descriptor, "node.logs", &rayos__init__log_line__descriptor,
     &rayos__init__log_tail_end__descriptor, COORD_POLICY_NODE_LOG, NULL, NULL, NULL},
    {&rayos__cluster__disks_request__descriptor, "node.disks", NULL,
     &rayos__init__disks__descriptor, COORD_POLICY_NODE_DISK, NULL, NULL, NULL},
    {&rayos__cluster__disk_prepare_request__descriptor, "node.disk_prepare", NULL,
     &rayos__init__disk_prepared__descriptor, COORD_POLICY_NODE_DISK, "node-disk", disk_verb,
     "prepare "},
};

static const struct order_kind *kind_of(const ProtobufCMessage *input)
{
    size_t i = 0;

    while (kinds[i].input != input->descriptor) {
        i++; /* the table of methods has no others */
    }
    return &kinds[i];
}

struct order_ask {
    struct member_ask ask;
    const struct order_kind *kind;
    struct order_request *input; /* a copy, with the principal */
    struct ray_id node;
};

/* ---- at that node ---- */

static void do_here(struct coord_member *m, struct ray_rpc_call *call,
                    const ProtobufCMessage *input)
{
    struct ray_err err = {0};

    if (m->config.on_order != NULL) {
        m->config.on_order(m->config.arg, call, input);
        return;
    }
    (void)ray_fail(&err, RAY_EUNSUPPORTED, "this machine takes no orders");
    (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
}

static bool has_part_of_log(struct coord_member *m, const struct ray_id *id)
{
    const struct coord_object *node =
        m->replica == NULL ? NULL : coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, id);

    return node != NULL && coord_replica_role_of(m->replica, node) != COORD_NODE_OBSERVER;
}

/* Another member has judged it. */
static void take_from_node(struct coord_member *m, const struct ray_id *from,
                           struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__Order *order = ((const struct order_request *)input)->order;
    struct ray_err err = {0};
    struct ray_id node;
    int rc = ray_id_parse(order == NULL ? "" : order->node, &node, &err);

    if (rc == RAY_OK && !ray_id_equal(&node, &m->id)) {
        rc = ray_fail(&err, RAY_EDENIED, "that order is for another node");
    }
    if (rc == RAY_OK && !has_part_of_log(m, from)) {
        rc = ray_fail(&err, RAY_EDENIED, "only voters and standbys hand orders on");
        (void)ray_next(&err, "ask again in a moment, or another member");
    }
    if (rc == RAY_OK) {
        do_here(m, call, input);
    } else {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
    }
}

/* ---- to that node ---- */

static void on_stream_over(void *arg)
{
    ((struct coord_member *)arg)->order_stream_count--;
}

static int connect_to(struct coord_member *m, const struct order_ask *order, const char *name,
                      struct ray_rpc_client **out, struct ray_err *err)
{
    int rc;

    if (order->kind->item != NULL && m->order_stream_count >= ORDER_STREAMS_MAX) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "%d logs are read through %s already",
                       ORDER_STREAMS_MAX, m->name);
        (void)ray_next(err, "ask another member");
        return RAY_EUNAVAILABLE;
    }
    rc = ray_rpc_client_create_link(out, m->rpc, &order->node, err);
    if (rc == RAY_EUNAVAILABLE) {
        (void)ray_fail(err, rc, "node %s has no link to %s: it is off, or cut off", m->name, name);
        (void)ray_next(err, "'clusterctl node show %s'; else at its own console", name);
    }
    return rc;
}

static void carry(struct order_ask *order, const char *node_name)
{
    struct coord_member *m = order->ask.member;
    const struct order_kind *kind = order->kind;
    char whom[WHOM_SIZE];
    struct ray_rpc_pipe_to to = {
        .method = kind->method, .item = kind->item, .output = kind->output, .whom = whom};
    struct order_request *input = order->input;
    struct ray_rpc_client *client = NULL;
    bool is_here = ray_id_equal(&order->node, &m->id);
    struct ray_rpc_call *call;
    struct ray_err err = {0};

    if (!is_here && connect_to(m, order, node_name, &client, &err) != RAY_OK) {
        member_ask_fail(&order->ask, &err);
        return;
    }
    (void)snprintf(whom, sizeof whom, "node %s", node_name);
    order->input = NULL;
    call = member_ask_hand_over(&order->ask);
    to.timeout_ms = ray_rpc_call_remaining_ms(call);
    if (is_here) {
        do_here(m, call, &input->base);
    } else if (kind->item != NULL) { /* as long as the caller reads */
        m->order_stream_count++;
        ray_rpc_pipe(call, client, &to, &input->base, on_stream_over, m);
    } else {
        to.timeout_ms = to.timeout_ms == 0 ? ORDER_TIMEOUT_MS : to.timeout_ms;
        ray_rpc_pipe(call, client, &to, &input->base, NULL, NULL);
    }
    protobuf_c_message_free_unpacked(&input->base, NULL);
}

/* ---- judged here ---- */

/* NULL: refused, with err. The rules first: who may not ask hears of no node. */
static const struct coord_object *judge(const struct order_ask *order, struct ray_err *err)
{
    struct coord_member *m = order->ask.member;
    const struct coord_object *node = NULL;
    int rc = member_permit_node(m, &order->ask.caller, order->kind->action, &order->node, err);

    if (rc == RAY_OK) {
        node = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &order->node);
    }
    if (rc == RAY_OK && node == NULL) {
        (void)ray_fail(err, RAY_ENOTFOUND, "no such node");
        (void)ray_next(err, "clusterctl node list");
    }
    return node;
}

static void on_recorded(struct member_ask *ask, const struct coord_fsm_result *result)
{
    struct order_ask *order = (struct order_ask *)ask;
    struct ray_err err = {0};
    const struct coord_object *node = judge(order, &err); /* it may have been removed meanwhile */

    (void)result;
    if (node == NULL) {
        member_ask_fail(ask, &err);
    } else {
        carry(order, node->name);
    }
}

/* "reboot (boot 12, revision 345, by ann): a new kernel". Equal events in a row would be one: the
 * revision, and whom it is for, keep two orders apart. */
static void describe(const struct order_ask *order, const struct coord_object *node,
                     char out[static COORD_MESSAGE_SIZE])
{
    const char *reason = order->input->order->reason;
    uint64_t revision = coord_fsm_index(coord_replica_fsm(order->ask.member->replica));
    char escaped[COORD_MESSAGE_SIZE / 2];

    (void)ray_escape(escaped, sizeof escaped, reason, strlen(reason));
    (void)snprintf(out, COORD_MESSAGE_SIZE, "%s%.32s (boot %llu, revision %llu, by %s)%s%s",
                   order->kind->prefix, order->kind->verb(&order->input->base),
                   (unsigned long long)node->node.boot_counter, (unsigned long long)revision,
                   order->ask.caller.name, escaped[0] != '\0' ? ": " : "", escaped);
}

/* Said by this member, in the caller's name: that one needs the right to the order, and no other.
 */
static void record(struct order_ask *order, const struct coord_object *node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;
    struct member_caller said = order->ask.caller;
    char text[COORD_MESSAGE_SIZE];
    struct ray_err err = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;

    said.kind = RAYOS__REGISTRY__CALLER__CALLER_NONE;
    describe(order, node, text);
    add.what = (char *)(uintptr_t)order->kind->event;
    add.text = text;
    add.object_kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    add.object_id = ray_proto_id(&order->node);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.event_add = &add;
    if (member_command_pack(order->ask.member, &command, &said, order->input->order->reason, &bytes,
                            &size, &err) != RAY_OK) {
        member_ask_fail(&order->ask, &err);
        return;
    }
    member_ask_propose_bytes(&order->ask, bytes, size);
    free(bytes);
}

/* ---- beginning ---- */

static void on_order_release(struct member_ask *ask)
{
    struct order_ask *order = (struct order_ask *)ask;

    if (order->input != NULL) {
        protobuf_c_message_free_unpacked(&order->input->base, NULL);
    }
}

/* Whoever sits at the other end knows for whom it is. */
static int set_principal(Rayos__Cluster__Order *order, const char *name)
{
    char *copy = strdup(name);

    if (copy == NULL) {
        return RAY_ENOMEM;
    }
    if (order->principal != protobuf_c_empty_string) {
        free(order->principal);
    }
    order->principal = copy;
    return RAY_OK;
}

static int take_input(struct order_ask *order, const ProtobufCMessage *input, struct ray_err *err)
{
    const Rayos__Cluster__Order *given = ((const struct order_request *)input)->order;
    int rc = ray_id_parse(given == NULL ? "" : given->node, &order->node, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (order->kind->verb != NULL && order->kind->verb(input) == NULL) {
        return ray_fail(err, RAY_EINVAL, "%s is not asked for so", order->kind->method);
    }
    order->input = (struct order_request *)member_message_copy(input);
    if (order->input == NULL ||
        set_principal(order->input->order, order->ask.caller.name) != RAY_OK) {
        return ray_fail(err, RAY_ENOMEM, "an order");
    }
    return RAY_OK;
}

/* What this node has of the registry is less than the rules need. Nothing was done: RAY_ENOQUORUM
 * says that whoever knows another member may ask there. */
static int require_voice(struct coord_member *m, struct ray_err *err)
{
    int rc = member_require_cluster(m, err);

    if (rc == RAY_OK && member_is_observer(m)) {
        rc = ray_fail(err, RAY_ENOQUORUM, "node %s is an observer: it hands no orders on", m->name);
        (void)ray_next(err, "ask a voter or standby; 'clusterctl node list' shows them");
    }
    return rc;
}

/* What cannot reach its machine leaves no event. */
static int check_way(struct order_ask *order, const char *name, struct ray_err *err)
{
    struct coord_member *m = order->ask.member;
    struct ray_rpc_client *client = NULL;
    int rc = RAY_OK;

    if (!ray_id_equal(&order->node, &m->id)) {
        rc = connect_to(m, order, name, &client, err);
        ray_rpc_client_destroy(client);
    }
    return rc;
}

static void take(struct coord_member *m, const struct member_caller *caller,
                 struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    struct order_ask *order = member_ask_new(m, caller, call, sizeof *order);
    const struct coord_object *node = NULL;
    struct ray_err err = {0};
    int rc;

    if (order == NULL) {
        return;
    }
    order->kind = kind_of(input);
    order->ask.on_release = on_order_release;
    order->ask.on_result = on_recorded;
    rc = require_voice(m, &err);
    if (rc == RAY_OK) {
        rc = take_input(order, input, &err);
    }
    if (rc == RAY_OK) {
        node = judge(order, &err);
    }
    if (node != NULL && check_way(order, node->name, &err) != RAY_OK) {
        node = NULL;
    }
    if (node == NULL) {
        member_ask_fail(&order->ask, &err);
    } else if (order->kind->event != NULL) {
        record(order, node);
    } else {
        carry(order, node->name);
    }
}

void member_order(struct coord_member *m, const struct member_caller *caller,
                  struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);

    if (peer != NULL && peer->is_remote && !ray_id_is_none(&peer->node)) {
        take_from_node(m, &peer->node, call, input);
    } else {
        take(m, caller, call, input);
    }
}

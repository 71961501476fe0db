/* methods.c - the table of methods, who may call them, and who calls. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/size.h"
#include "coordinator/api/impl.h"

enum gate {
    GATE_ALL,
    GATE_READ,      /* whoever the rules let look */
    GATE_PRINCIPAL, /* whoever is known: the rules decide when the command is applied */
    GATE_ADMIN,
};

struct entry {
    const char *name;
    const ProtobufCMessageDescriptor *input;
    member_method *run;
    enum gate gate;
    const struct member_relayed *relayed; /* NULL: it is answered here, wherever that is */
};

/* X(name, request type, function, who may call, relayed) */
#define METHOD_MAP(X)                                                                              \
    X("cluster.create", create_request, member_cluster_create, GATE_ADMIN, NULL)                   \
    X("cluster.status", status_request, member_cluster_status, GATE_ALL, &relayed_status)          \
    X("node.list", nodes_request, member_node_list, GATE_ALL, &relayed_nodes)                      \
    X("token.create", token_request, member_token_create, GATE_PRINCIPAL, NULL)                    \
    X("token.list", tokens_request, member_token_list, GATE_READ, &relayed_tokens)                 \
    X("token.remove", token_remove_request, member_token_remove, GATE_PRINCIPAL, NULL)             \
    X("registry.query", query_request, member_query, GATE_READ, &relayed_query)                    \
    X("registry.propose", propose_request, member_propose, GATE_PRINCIPAL, NULL)                   \
    X("registry.watch", watch_request, member_watch, GATE_READ, &relayed_watch)                    \
    X("session.open", session_request, member_session_open, GATE_PRINCIPAL, NULL)                  \
    X("session.keep", session_keep_request, member_session_keep, GATE_PRINCIPAL, NULL)             \
    X("session.close", session_close_request, member_session_close, GATE_PRINCIPAL, NULL)          \
    X("events", events_request, member_events_method, GATE_READ, &relayed_events)                  \
    X("node.plan", plan_request, member_node_plan, GATE_READ, &relayed_plan)                       \
    X("cluster.members", members_request, member_cluster_members, GATE_ALL, &relayed_members)      \
    X("cluster.recover", recover_request, member_cluster_recover, GATE_ADMIN, NULL)                \
    X("place.ask", place_request, member_place_ask, GATE_READ, &relayed_place)                     \
    X("node.power", power_request, member_order, GATE_PRINCIPAL, NULL)                             \
    X("node.logs", logs_request, member_order, GATE_PRINCIPAL, NULL)                               \
    X("node.code", code_request, member_node_code, GATE_ADMIN, NULL)                               \
    X("node.disks", disks_request, member_order, GATE_PRINCIPAL, NULL)                             \
    X("node.disk_prepare", disk_prepare_request, member_order, GATE_PRINCIPAL, NULL)

/* What a node outside of the log has from a member. Sorted as above. */
static const struct member_relayed relayed_status = {.method = "cluster.status",
                                                     .output = &rayos__cluster__status__descriptor};
static const struct member_relayed relayed_nodes = {.method = "node.list",
                                                    .output = &rayos__cluster__nodes__descriptor};
static const struct member_relayed relayed_plan = {.method = "node.plan",
                                                   .output = &rayos__cluster__plan__descriptor};
static const struct member_relayed relayed_members = {
    .method = "cluster.members", .output = &rayos__cluster__joined__descriptor};
static const struct member_relayed relayed_tokens = {.method = "token.list",
                                                     .output = &rayos__cluster__tokens__descriptor};
static const struct member_relayed relayed_query = {.method = "registry.query",
                                                    .item = &rayos__cluster__query_part__descriptor,
                                                    .output =
                                                        &rayos__cluster__query_end__descriptor};
static const struct member_relayed relayed_place = {.method = "place.ask",
                                                    .item = &rayos__cluster__query_part__descriptor,
                                                    .output =
                                                        &rayos__cluster__query_end__descriptor};
static const struct member_relayed relayed_watch = {.method = "registry.watch",
                                                    .item = &rayos__cluster__watch_part__descriptor,
                                                    .output = &rayos__cluster__done__descriptor};
static const struct member_relayed relayed_events = {.method = "events",
                                                     .item = &rayos__cluster__event__descriptor,
                                                     .output = &rayos__cluster__done__descriptor};

static const struct entry entries[] = {
#define METHOD_ENTRY(name, type, function, gate, relayed)                                          \
    {name, &rayos__cluster__##type##__descriptor, function, gate, relayed},
    METHOD_MAP(METHOD_ENTRY)
#undef METHOD_ENTRY
};

enum { ENTRY_COUNT = RAY_ARRAY_COUNT(entries) };

static_assert((int)ENTRY_COUNT < (int)COORD_MEMBER_METHODS_MAX, "with the end of the table");

static const struct entry *entry_of(const ProtobufCMessage *input)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (entries[i].input == input->descriptor) {
            return &entries[i];
        }
    }
    return NULL;
}

/* As the registry calls this node, which may be another name than it was started with. */
static const char *own_name(struct coord_member *m)
{
    const struct coord_object *self =
        m->replica == NULL ? NULL
                           : coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &m->id);

    return self != NULL && self->name[0] != '\0' ? self->name : m->name;
}

/* On the node's own socket the kernel says who it is, over a link its key. */
static void caller_of(struct coord_member *m, const struct ray_rpc_call *call,
                      struct member_caller *out)
{
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);

    *out = (struct member_caller){.name = "nobody"};
    if (peer == NULL) {
        return;
    }
    if (peer->is_remote && !ray_id_is_none(&peer->node)) {
        /* It asks for somebody whom it has let in as we would; and its kernel could change any
         * of its own words anyway. */
        out->is_admin = true;
        out->roles = COORD_POLICY_ADMIN;
        (void)snprintf(out->name, sizeof out->name, "node");
        return;
    }
    if (peer->is_remote) {
        (void)member_operator(m, peer->identity, out);
        return;
    }
    out->is_admin = peer->uid == 0 || peer->uid == geteuid();
    if (out->is_admin) {
        out->roles = COORD_POLICY_ADMIN;
        out->kind = RAYOS__REGISTRY__CALLER__CALLER_CONSOLE;
    }
    (void)snprintf(out->name, sizeof out->name, out->is_admin ? "root@%s" : "user@%s", own_name(m));
}

static void run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    coord_member_call(arg, call, input);
}

const struct ray_rpc_method *coord_member_methods(void)
{
    static const struct ray_rpc_method methods[] = {
#define METHOD_PUBLIC(name, type, function, gate, relayed)                                         \
    {name, &rayos__cluster__##type##__descriptor, run},
        METHOD_MAP(METHOD_PUBLIC)
#undef METHOD_PUBLIC
            {NULL, NULL, NULL},
    };

    return methods;
}

/* What is read, and orders to this machine: commands of other nodes come as such
 * (net/proto/member).
 */
const struct ray_rpc_method *member_link_methods(void)
{
    static const struct ray_rpc_method methods[] = {
        {"cluster.status", &rayos__cluster__status_request__descriptor, run},
        {"node.list", &rayos__cluster__nodes_request__descriptor, run},
        {"node.plan", &rayos__cluster__plan_request__descriptor, run},
        {"cluster.members", &rayos__cluster__members_request__descriptor, run},
        {"token.list", &rayos__cluster__tokens_request__descriptor, run},
        {"registry.query", &rayos__cluster__query_request__descriptor, run},
        {"place.ask", &rayos__cluster__place_request__descriptor, run},
        {"registry.watch", &rayos__cluster__watch_request__descriptor, run},
        {"events", &rayos__cluster__events_request__descriptor, run},
        {"node.power", &rayos__cluster__power_request__descriptor, run},
        {"node.logs", &rayos__cluster__logs_request__descriptor, run},
        {"node.disks", &rayos__cluster__disks_request__descriptor, run},
        {"node.disk_prepare", &rayos__cluster__disk_prepare_request__descriptor, run},
        {NULL, NULL, NULL},
    };

    return methods;
}

static bool is_of_node(const struct ray_rpc_call *call)
{
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);

    return peer != NULL && peer->is_remote && !ray_id_is_none(&peer->node);
}

/* Such a read waits for the leader, and holds one of the places for calls meanwhile. */
static bool is_linearizable(const ProtobufCMessage *input)
{
    if (input->descriptor == &rayos__cluster__status_request__descriptor) {
        return ((const Rayos__Cluster__StatusRequest *)input)->is_linearizable;
    }
    if (input->descriptor == &rayos__cluster__nodes_request__descriptor) {
        return ((const Rayos__Cluster__NodesRequest *)input)->is_linearizable;
    }
    return false;
}

static bool is_known(const struct member_caller *caller)
{
    return caller->is_admin || caller->kind != RAYOS__REGISTRY__CALLER__CALLER_NONE;
}

static bool is_let_in(enum gate gate, const struct member_caller *caller)
{
    switch (gate) {
    case GATE_ALL:
        return true;
    case GATE_READ: /* and then the rules */
    case GATE_PRINCIPAL:
        return is_known(caller);
    case GATE_ADMIN:
        break;
    }
    return caller->is_admin;
}

static int check(struct coord_member *m, const struct entry *entry,
                 const struct member_caller *caller, const ProtobufCMessage *input,
                 struct ray_err *err)
{
    if (m == NULL) {
        (void)ray_fail(err, RAY_EUNSUPPORTED, "this node takes part in no cluster");
        (void)ray_next(err, "start rayosd with --listen");
        return RAY_EUNSUPPORTED;
    }
    if (!is_let_in(entry->gate, caller)) {
        ray_log(m->config.logger, RAY_LOG_WARN, "api", "denied method=%s caller=%s", entry->name,
                caller->name);
        (void)ray_fail(err, RAY_EDENIED, "%s is not for %s", entry->name, caller->name);
        (void)ray_next(err, "run it as root, or as the user that rayosd runs as");
        return RAY_EDENIED;
    }
    if (!is_known(caller) && is_linearizable(input)) {
        (void)ray_fail(err, RAY_EDENIED, "a linearizable %s is not for %s", entry->name,
                       caller->name);
        (void)ray_next(err, "without --linearizable this member shows what it last heard");
        return RAY_EDENIED;
    }
    return entry->gate == GATE_READ ? member_permit_read(m, caller, entry->name, err) : RAY_OK;
}

void coord_member_call(struct coord_member *member, struct ray_rpc_call *call,
                       const ProtobufCMessage *input)
{
    const struct entry *entry = entry_of(input);
    struct member_caller caller = {.is_admin = false};
    struct ray_err err = {0};

    assert(entry != NULL); /* whoever serves has our table */
    if (member != NULL) {
        caller_of(member, call, &caller);
    }
    if (check(member, entry, &caller, input, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    if (entry->relayed == NULL || !member_is_observer(member)) {
        entry->run(member, &caller, call, input);
    } else if (!is_of_node(call)) {
        member_relay(member, &caller, call, input, entry->relayed);
    } else {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "this node holds no part of the log");
        (void)ray_rpc_reply_err(call, &err);
    }
}

/* methods.c - the table of methods, who may call them, and who calls. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/size.h"
#include "coordinator/api/impl.h"

struct entry {
    const char *name;
    const ProtobufCMessageDescriptor *input;
    member_method *run;
    bool is_for_all;
};

/* X(name, request type, function, for everybody) */
#define METHOD_MAP(X)                                                                              \
    X("cluster.create", create_request, member_cluster_create, false)                              \
    X("cluster.status", status_request, member_cluster_status, true)                               \
    X("node.list", nodes_request, member_node_list, true)                                          \
    X("token.create", token_request, member_token_create, false)                                   \
    X("token.list", tokens_request, member_token_list, false)                                      \
    X("token.remove", token_remove_request, member_token_remove, false)                            \
    X("registry.query", query_request, member_query, false)                                        \
    X("registry.propose", propose_request, member_propose, false)                                  \
    X("registry.watch", watch_request, member_watch, false)                                        \
    X("session.open", session_request, member_session_open, false)                                 \
    X("session.keep", session_keep_request, member_session_keep, false)                            \
    X("session.close", session_close_request, member_session_close, false)                         \
    X("events", events_request, member_events_method, false)

static const struct entry entries[] = {
#define METHOD_ENTRY(name, type, function, is_for_all)                                             \
    {name, &rayos__cluster__##type##__descriptor, function, is_for_all},
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

/* On the node's own socket the kernel says who it is, over a link its key. */
static void caller_of(struct coord_member *m, const struct ray_rpc_call *call,
                      struct member_caller *out)
{
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);

    *out = (struct member_caller){.name = "nobody"};
    if (peer == NULL) {
        return;
    }
    if (peer->is_remote) {
        (void)member_operator(m, peer->identity, out);
        return;
    }
    out->is_admin = peer->uid == 0 || peer->uid == geteuid();
    (void)snprintf(out->name, sizeof out->name, out->is_admin ? "root@%s" : "user@%s", m->name);
}

static void run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    coord_member_call(arg, call, input);
}

const struct ray_rpc_method *coord_member_methods(void)
{
    static const struct ray_rpc_method methods[] = {
#define METHOD_PUBLIC(name, type, function, is_for_all)                                            \
    {name, &rayos__cluster__##type##__descriptor, run},
        METHOD_MAP(METHOD_PUBLIC)
#undef METHOD_PUBLIC
            {NULL, NULL, NULL},
    };

    return methods;
}

static int check(struct coord_member *m, const struct entry *entry,
                 const struct member_caller *caller, struct ray_err *err)
{
    if (m == NULL) {
        (void)ray_fail(err, RAY_EUNSUPPORTED, "this node takes part in no cluster");
        (void)ray_next(err, "start rayosd with --listen");
        return RAY_EUNSUPPORTED;
    }
    if (!caller->is_admin && !entry->is_for_all) {
        ray_log(m->config.logger, RAY_LOG_WARN, "api", "denied method=%s caller=%s", entry->name,
                caller->name);
        (void)ray_fail(err, RAY_EDENIED, "%s is not for %s", entry->name, caller->name);
        (void)ray_next(err, "run it as root, or as the user that rayosd runs as");
        return RAY_EDENIED;
    }
    return RAY_OK;
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
    if (check(member, entry, &caller, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    entry->run(member, &caller, call, input);
}

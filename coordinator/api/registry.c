/* registry.c - queries and commands as clients send them, and their sessions.
 *
 * An answer may be larger than a message: it goes in parts, as fast as the caller takes them. The
 * end says of which revision it is; nothing of a later one is mixed in, as the answer was made
 * before the first part. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "coordinator/place/answer.h"
#include "net/proto_codec.h"

enum {
    PART_SIZE = 48 << 10,
    SESSION_TTL_S = 60,
    SESSION_TTL_S_MAX = 24 * 3600,
};

/* ---- registry.query, place.ask: what the state says, in parts ---- */

/* Of the state here; appends to `out`. */
typedef int query_answer(struct coord_member *m, const struct member_caller *caller,
                         const struct ray_buf *query, struct ray_buf *out, struct ray_err *err);

struct query_sort {
    query_answer *run;
    size_t size_max;
    size_t answer_size_max;
};

struct query_ask {
    struct member_ask ask;
    query_answer *run;
    struct ray_buf query;
    struct ray_buf answer;
    size_t sent;
    uint64_t revision;
    uint64_t age_ms;
};

static void on_query_release(struct member_ask *ask)
{
    struct query_ask *query_ask = (struct query_ask *)ask;

    ray_buf_fini(&query_ask->query);
    ray_buf_fini(&query_ask->answer);
}

static void end_query(struct query_ask *query_ask)
{
    Rayos__Cluster__QueryEnd end = RAYOS__CLUSTER__QUERY_END__INIT;

    end.revision = query_ask->revision;
    end.age_ms = query_ask->age_ms;
    end.size = query_ask->answer.size;
    member_ask_reply(&query_ask->ask, &end.base);
}

/* Until all is sent or the caller is full; then on_drain calls again. */
static void send_parts(void *arg)
{
    struct query_ask *query_ask = arg;

    while (query_ask->sent < query_ask->answer.size) {
        Rayos__Cluster__QueryPart part = RAYOS__CLUSTER__QUERY_PART__INIT;
        size_t left = query_ask->answer.size - query_ask->sent;
        int rc;

        part.bytes = ray_proto_bytes(query_ask->answer.data + query_ask->sent,
                                     left < PART_SIZE ? left : PART_SIZE);
        rc = ray_rpc_send(query_ask->ask.call, &part.base);
        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            struct ray_err err = {0};

            (void)ray_fail(&err, rc, "the answer could not be sent");
            member_ask_fail(&query_ask->ask, &err);
            return;
        }
        query_ask->sent += part.bytes.len;
    }
    end_query(query_ask);
}

static void on_query_shown(struct member_ask *ask, bool is_linearizable)
{
    struct query_ask *query_ask = (struct query_ask *)ask;
    struct coord_fsm *fsm = coord_replica_fsm(ask->member->replica);
    struct ray_err err = {0};

    if (query_ask->run(ask->member, &ask->caller, &query_ask->query, &query_ask->answer, &err) !=
        RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    query_ask->revision = coord_fsm_index(fsm);
    query_ask->age_ms = is_linearizable ? 0 : member_age_ms(ask->member);
    ray_rpc_call_on_drain(ask->call, send_parts, query_ask);
    send_parts(query_ask);
}

/* `query_ask` is new. */
static void ask_state(struct query_ask *query_ask, const struct query_sort *sort,
                      const ProtobufCBinaryData *query, bool is_linearizable)
{
    struct ray_err err = {0};
    int rc;

    ray_buf_init(&query_ask->query, sort->size_max);
    ray_buf_init(&query_ask->answer, sort->answer_size_max);
    query_ask->run = sort->run;
    query_ask->ask.on_release = on_query_release;
    query_ask->ask.on_shown = on_query_shown;
    rc = ray_buf_append(&query_ask->query, query->data, query->len);
    if (rc != RAY_OK) {
        (void)ray_fail(&err, rc, "a query of %zu bytes, at most %zu", query->len, sort->size_max);
        member_ask_fail(&query_ask->ask, &err);
        return;
    }
    member_ask_show(&query_ask->ask, is_linearizable);
}

static int answer_query(struct coord_member *m, const struct member_caller *caller,
                        const struct ray_buf *query, struct ray_buf *out, struct ray_err *err)
{
    (void)caller; /* who may look sees all */
    return coord_fsm_query(coord_replica_fsm(m->replica), query->data, query->size, out, err);
}

/* For whom another node asks is not known here: then the rules are left out. */
static int answer_place(struct coord_member *m, const struct member_caller *caller,
                        const struct ray_buf *query, struct ray_buf *out, struct ray_err *err)
{
    const struct coord_policy_actor actor = {
        .kind = "principal", .name = caller->name, .roles = caller->roles};
    bool is_known = caller->kind != RAYOS__REGISTRY__CALLER__CALLER_NONE;

    if (m->place == NULL && coord_place_cache_create(&m->place, err) != RAY_OK) {
        return RAY_ENOMEM;
    }
    if (m->place_dropped_count != coord_replica_dropped_count(m->replica)) {
        m->place_dropped_count = coord_replica_dropped_count(m->replica);
        coord_place_cache_forget_objects(m->place);
    }
    return coord_place_answer(coord_replica_fsm(m->replica), m->place, is_known ? &actor : NULL,
                              query->data, query->size, out, err);
}

void member_query(struct coord_member *m, const struct member_caller *caller,
                  struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    static const struct query_sort sort = {answer_query, RAY_RPC_BODY_SIZE_MAX,
                                           COORD_FSM_PAGE_SIZE_MAX + COORD_FSM_RECORD_SIZE_MAX};
    const Rayos__Cluster__QueryRequest *request = (const Rayos__Cluster__QueryRequest *)input;
    struct query_ask *query_ask = member_ask_new(m, caller, call, sizeof *query_ask);

    if (query_ask != NULL) {
        ask_state(query_ask, &sort, &request->query, request->is_linearizable);
    }
}

void member_place_ask(struct coord_member *m, const struct member_caller *caller,
                      struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    static const struct query_sort sort = {answer_place, COORD_PLACE_ASK_SIZE_MAX,
                                           COORD_PLACE_ANSWER_SIZE_MAX};
    const Rayos__Cluster__PlaceRequest *request = (const Rayos__Cluster__PlaceRequest *)input;
    struct query_ask *query_ask = member_ask_new(m, caller, call, sizeof *query_ask);

    if (query_ask != NULL) {
        ask_state(query_ask, &sort, &request->ask, request->is_linearizable);
    }
}

/* ---- registry.propose ---- */

/* What clients may say. The rest members say themselves: about time, roles, and what nodes and
 * agents have seen of themselves. */
static bool is_for_clients(uint64_t body)
{
    switch (body) {
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT:
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL:
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE:
    case RAYOS__REGISTRY__COMMAND__BODY_TIMING_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE:
    case RAYOS__REGISTRY__COMMAND__BODY_MIGRATION_OPEN:
    case RAYOS__REGISTRY__COMMAND__BODY_VOLUME_ATTACH:
    case RAYOS__REGISTRY__COMMAND__BODY_VOLUME_DETACH:
    case RAYOS__REGISTRY__COMMAND__BODY_CONFIRM_OFF:
    case RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_CONFIRM:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_REVERT:
    case RAYOS__REGISTRY__COMMAND__BODY_OPERATION_DECIDE:
        return true;
    default:
        return false;
    }
}

static void on_client_result(struct member_ask *ask, const struct coord_fsm_result *result)
{
    Rayos__Registry__Result answer = RAYOS__REGISTRY__RESULT__INIT;

    answer.code = result->code;
    answer.text = (char *)(uintptr_t)result->text;
    answer.next_step = (char *)(uintptr_t)result->next_step;
    answer.revision = result->revision;
    answer.body = ray_proto_bytes(result->body, result->body_size);
    member_ask_reply(ask, &answer.base);
}

void member_propose(struct coord_member *m, const struct member_caller *caller,
                    struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__ProposeRequest *request = (const Rayos__Cluster__ProposeRequest *)input;
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);
    struct member_command command = {.body = 0};
    struct ray_err err = {0};
    int rc;

    if (ask == NULL) {
        return;
    }
    rc = member_command_adopt(m, request->command.data, request->command.len, caller, &command,
                              &err);
    if (rc == RAY_OK && !is_for_clients(command.body)) {
        rc = ray_fail(&err, RAY_EDENIED, "this command is not for clients");
    }
    if (rc != RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    ask->takes_refusals = true;
    ask->on_result = on_client_result;
    member_ask_propose_bytes(ask, command.bytes, command.size);
}

/* ---- sessions ---- */

struct session_ask {
    struct member_ask ask;
    struct ray_id id;
    uint64_t ttl_s;
};

static void on_session_opened(struct member_ask *ask, const struct coord_fsm_result *result)
{
    const struct session_ask *session_ask = (const struct session_ask *)ask;
    Rayos__Cluster__SessionOpened opened = RAYOS__CLUSTER__SESSION_OPENED__INIT;

    (void)result;
    opened.id = ray_proto_id(&session_ask->id);
    opened.ttl_s = session_ask->ttl_s;
    member_ask_reply(ask, &opened.base);
}

static int choose_session(struct coord_member *m, const Rayos__Cluster__SessionRequest *request,
                          struct session_ask *session_ask, struct ray_err *err)
{
    session_ask->ttl_s = request->ttl_s == 0 ? SESSION_TTL_S : request->ttl_s;
    if (session_ask->ttl_s > SESSION_TTL_S_MAX) {
        return ray_fail(err, RAY_EINVAL, "a session lives for at most a day");
    }
    if (request->id.len == 0) {
        m->env.random(m->env.arg, session_ask->id.bytes, sizeof session_ask->id.bytes);
        return RAY_OK;
    }
    return ray_id_from_bytes(request->id.data, request->id.len, &session_ask->id, err);
}

void member_session_open(struct coord_member *m, const struct member_caller *caller,
                         struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__SessionRequest *request = (const Rayos__Cluster__SessionRequest *)input;
    struct session_ask *session_ask = member_ask_new(m, caller, call, sizeof *session_ask);
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__SessionOpen open = RAYOS__REGISTRY__SESSION_OPEN__INIT;
    struct ray_err err = {0};

    if (session_ask == NULL) {
        return;
    }
    if (choose_session(m, request, session_ask, &err) != RAY_OK) {
        member_ask_fail(&session_ask->ask, &err);
        return;
    }
    session_ask->ask.on_result = on_session_opened;
    open.id = ray_proto_id(&session_ask->id);
    open.ttl_us = session_ask->ttl_s * 1000000;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN;
    command.session_open = &open;
    member_ask_propose(&session_ask->ask, &command, NULL);
}

static void on_session_done(struct member_ask *ask, const struct coord_fsm_result *result)
{
    Rayos__Cluster__Done done = RAYOS__CLUSTER__DONE__INIT;

    (void)result;
    member_ask_reply(ask, &done.base);
}

static void propose_session(struct coord_member *m, const struct member_caller *caller,
                            struct ray_rpc_call *call, Rayos__Registry__Command *command)
{
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);

    if (ask != NULL) {
        ask->on_result = on_session_done;
        member_ask_propose(ask, command, NULL);
    }
}

void member_session_keep(struct coord_member *m, const struct member_caller *caller,
                         struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__SessionKeepRequest *request =
        (const Rayos__Cluster__SessionKeepRequest *)input;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__SessionKeep keep = RAYOS__REGISTRY__SESSION_KEEP__INIT;

    keep.id = request->id;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_KEEP;
    command.session_keep = &keep;
    propose_session(m, caller, call, &command);
}

void member_session_close(struct coord_member *m, const struct member_caller *caller,
                          struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__SessionCloseRequest *request =
        (const Rayos__Cluster__SessionCloseRequest *)input;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__SessionClose close = RAYOS__REGISTRY__SESSION_CLOSE__INIT;

    close.id = request->id;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_CLOSE;
    command.session_close = &close;
    propose_session(m, caller, call, &command);
}

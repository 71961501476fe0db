/* apply.c - one entry: unpack, check, look for a retry, run the handler, finish what it touched,
 * store the result. A handler that refuses has changed nothing (it may have added an event). */
#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

static_assert(COORD_FSM_CHECK_ARENA_SIZE_MAX <= FSM_ARENA_SIZE_MAX / 2,
              "the rest is for a command's events");

struct handler {
    const char *what;
    int (*run)(struct fsm_apply *apply, const void *command);
    bool is_before_cluster; /* may come before cluster-create */
    uint32_t level;         /* the feature level that it came with */
    fsm_subject *subject;   /* what the policy is asked; NULL: members say it, no operator */
};

static const struct handler handlers[] = {
    {"cluster-create", fsm_cluster_create, true, 1, NULL},
    {"put", fsm_object_put, false, 1, fsm_subject_put},
    {"label", fsm_object_label, false, 1, fsm_subject_label},
    {"delete", fsm_object_delete, false, 1, fsm_subject_delete},
    {"session-open", fsm_session_open, true, 1, fsm_subject_session},
    {"session-keep", fsm_session_keep, true, 1, fsm_subject_session},
    {"session-close", fsm_session_close, true, 1, fsm_subject_session},
    {"tick", fsm_tick, true, 1, NULL},
    {"hash", fsm_hash, true, 1, NULL},
    {"feature-raise", fsm_feature_raise, false, 1, NULL},
    {"timing-set", fsm_timing_set, false, 1, fsm_subject_cluster},
    {"timing-settled", fsm_timing_settled, false, 1, NULL},
    {"voters-set", fsm_voters_set, false, 1, fsm_subject_cluster},
    {"node-join", fsm_node_join, false, 1, NULL},
    {"node-approve", fsm_node_approve, false, 1, fsm_subject_approve},
    {"node-admit", fsm_node_admit, false, 1, NULL},
    {"node-report", fsm_node_report, false, 1, NULL},
    {"node-role", fsm_node_role, false, 1, NULL},
    {"node-renumber", fsm_node_renumber, false, 1, NULL},
    {"node-drain", fsm_node_drain, false, 1, fsm_subject_drain},
    {"node-remove", fsm_node_remove, false, 1, fsm_subject_remove},
    {"guest-report", fsm_guest_report, false, 1, NULL},
    {"migration-open", fsm_migration_open, false, 1, fsm_subject_migrate},
    {"outcome", fsm_outcome, false, 1, NULL},
    {"volume-attach", fsm_volume_attach, false, 1, fsm_subject_attach},
    {"volume-detach", fsm_volume_detach, false, 1, fsm_subject_detach},
    {"cluster-recover", fsm_cluster_recover, false, 1, fsm_subject_recover},
    {"confirm-off", fsm_confirm_off, false, 1, fsm_subject_confirm_off},
    {"event-add", fsm_event_add, false, 1, fsm_subject_event},
    {"node-quarantine", fsm_node_quarantine, false, 1, NULL},
    {"policy-set", fsm_policy_set, false, 1, fsm_subject_policy},
    {"policy-confirm", fsm_policy_confirm, false, 1, fsm_subject_policy},
    {"policy-revert", fsm_policy_revert, false, 1, fsm_subject_policy},
    {"operation-decide", fsm_operation_decide, false, 1, fsm_subject_decide},
};

static const struct handler *handler_of(const Rayos__Registry__Command *command)
{
    const int first = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;

    static_assert(RAY_ARRAY_COUNT(handlers) == RAYOS__REGISTRY__COMMAND__BODY_OPERATION_DECIDE -
                                                   RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE +
                                                   1,
                  "a handler for each command, in the order of the schema");
    if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY__NOT_SET) {
        return NULL;
    }
    return &handlers[(int)command->body_case - first];
}

bool fsm_is_asked(const char *what)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(handlers); i++) {
        if (handlers[i].subject != NULL && strcmp(handlers[i].what, what) == 0) {
            return true;
        }
    }
    return false;
}

/* As fsm_strict, which would look at each of the many bodies that a command does not have. */
static int strict_command(const Rayos__Registry__Command *command, struct ray_err *err)
{
    int rc = RAY_OK;

    if (command->base.n_unknown_fields > 0) {
        return fsm_strict(&command->base, err);
    }
    if (command->header != NULL) {
        rc = fsm_strict(&command->header->base, err);
    }
    if (rc == RAY_OK && command->body_case != RAYOS__REGISTRY__COMMAND__BODY__NOT_SET) {
        rc = fsm_strict(&command->cluster_create->base, err); /* all bodies are messages */
    }
    return rc;
}

/* Unpacks; what comes out wrong here is wrong on every replica of this version. */
static int open_command(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                        Rayos__Registry__Command **out, struct ray_err *err)
{
    ProtobufCMessage *message;
    Rayos__Registry__Command *command;
    int rc;

    if (size > COORD_FSM_COMMAND_SIZE_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "a command of %zu bytes, at most %d", size,
                          COORD_FSM_COMMAND_SIZE_MAX);
    }
    rc = ray_proto_unpack(&rayos__registry__command__descriptor, bytes, size, arena, &message, err);
    if (rc != RAY_OK) {
        return rc;
    }
    command = (Rayos__Registry__Command *)message;
    rc = strict_command(command, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (command->header == NULL) {
        return fsm_refuse(err, RAY_EMALFORMED, "a command without header");
    }
    if (command->header->version != COORD_FSM_COMMAND_VERSION) {
        return fsm_refuse(err, RAY_EUNSUPPORTED, "a command of version %u, this build has %d",
                          command->header->version, COORD_FSM_COMMAND_VERSION);
    }
    if (command->header->caller > RAYOS__REGISTRY__CALLER__CALLER_CONSOLE ||
        command->header->caller < RAYOS__REGISTRY__CALLER__CALLER_NONE) {
        return fsm_refuse(err, RAY_EUNSUPPORTED, "a caller of a kind that this version has not");
    }
    if (handler_of(command) == NULL) {
        return fsm_refuse(err, RAY_EUNSUPPORTED, "a command of no kind that this version knows");
    }
    *out = command;
    return RAY_OK;
}

/* ---- feature levels ---- */

int fsm_level_known(const struct coord_fsm *fsm, uint32_t level, struct ray_err *err)
{
    if (level <= fsm->level_max) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUNSUPPORTED,
                   "the cluster is at feature level %u, this node's build has %u", level,
                   fsm->level_max);
    (void)ray_next(err, "start this node with the build that the other members have, or a newer");
    return RAY_EUNSUPPORTED;
}

int fsm_level_reached(uint32_t level, uint32_t needed, const char *what, struct ray_err *err)
{
    if (needed <= level) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUNSUPPORTED, "%s needs feature level %u, the cluster is at %u", what,
                   needed, level);
    (void)ray_next(err, "clusterctl cluster status says which node holds it back: upgrade that");
    return RAY_EUNSUPPORTED;
}

int coord_fsm_has_command(const struct coord_fsm *fsm, const Rayos__Registry__Command *command,
                          struct ray_err *err)
{
    const struct handler *handler = handler_of(command);

    assert(handler != NULL);
    return fsm->cluster == NULL ? RAY_OK
                                : fsm_level_reached(fsm->cluster->pub.cluster.feature_level,
                                                    handler->level, handler->what, err);
}

/* Not skipped: what comes after it may be of that level. */
static int check_raise(const struct coord_fsm *fsm, const Rayos__Registry__Command *command,
                       struct ray_err *err)
{
    return command->body_case == RAYOS__REGISTRY__COMMAND__BODY_FEATURE_RAISE
               ? fsm_level_known(fsm, command->feature_raise->level, err)
               : RAY_OK;
}

static int check_header(const Rayos__Registry__Header *header, struct ray_id *out_session,
                        struct ray_id *out_incarnation, struct ray_err *err)
{
    char principal[COORD_NAME_SIZE];
    char reason[COORD_FSM_REASON_SIZE_MAX + 1];
    int rc = fsm_line(header->principal, "principal", principal, sizeof principal, err);

    if (rc == RAY_OK) {
        rc = fsm_line(header->reason, "reason", reason, sizeof reason, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&header->session, "session", out_session, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&header->incarnation, "incarnation", out_incarnation, err);
    }
    if (rc == RAY_OK && !ray_id_is_none(out_session) && header->sequence == 0) {
        rc = fsm_refuse(err, RAY_EINVAL, "requests of a session are counted from 1");
    }
    return rc;
}

int coord_fsm_open(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                   const Rayos__Registry__Command **out_command, struct ray_err *err)
{
    Rayos__Registry__Command *command;
    struct ray_id session;
    struct ray_id incarnation;
    int rc;

    assert(arena->size_max == COORD_FSM_CHECK_ARENA_SIZE_MAX && arena->used_size == 0);
    rc = open_command(bytes, size, arena, &command, err);
    if (rc == RAY_OK && check_header(command->header, &session, &incarnation, err) != RAY_OK) {
        rc = RAY_EMALFORMED;
    }
    if (rc == RAY_OK) {
        *out_command = command;
    }
    return rc;
}

int coord_fsm_check(const uint8_t *bytes, size_t size, struct ray_err *err)
{
    const Rayos__Registry__Command *command;
    struct ray_arena arena;
    int rc;

    ray_arena_init(&arena, COORD_FSM_CHECK_ARENA_SIZE_MAX);
    rc = coord_fsm_open(bytes, size, &arena, &command, err);
    ray_arena_fini(&arena);
    return rc;
}

static void result_of(const struct fsm_apply *apply, int code, const uint8_t *body,
                      size_t body_size, struct coord_fsm_result *out)
{
    bool has_text = code != RAY_OK;

    *out = (struct coord_fsm_result){
        .code = code,
        .text = has_text ? apply->err->text : "",
        .next_step = has_text ? apply->err->next_step : "",
        .revision = apply->index,
        .body = body,
        .body_size = body_size,
    };
}

static void stored_result(const struct fsm_stored_result *stored, struct coord_fsm_result *out)
{
    *out = (struct coord_fsm_result){.code = stored->code,
                                     .text = "",
                                     .next_step = "",
                                     .revision = stored->revision,
                                     .is_retry = true};
    if (stored->bytes != NULL) {
        out->text = (const char *)stored->bytes;
        out->next_step = out->text + strlen(out->text) + 1;
        if (stored->body_size > 0) {
            out->body = (const uint8_t *)out->next_step + strlen(out->next_step) + 1;
            out->body_size = stored->body_size;
        }
    }
}

static int pack_reply(struct fsm_apply *apply, int code, const uint8_t **out_body, size_t *out_size)
{
    *out_body = NULL;
    *out_size = 0;
    if (code == RAY_OK ? !apply->has_reply : !apply->has_refusal) {
        return RAY_OK;
    }
    return ray_proto_pack(&apply->reply.base, COORD_FSM_COMMAND_SIZE_MAX, &apply->fsm->arena,
                          out_body, out_size, apply->err);
}

/* What only a leader says, and not before its own role is written down. */
static bool is_of_office(const Rayos__Registry__Command *command)
{
    switch (command->body_case) {
    case RAYOS__REGISTRY__COMMAND__BODY_TICK:
    case RAYOS__REGISTRY__COMMAND__BODY_HASH:
    case RAYOS__REGISTRY__COMMAND__BODY_FEATURE_RAISE:
    case RAYOS__REGISTRY__COMMAND__BODY_TIMING_SETTLED:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_RENUMBER:
        return true;
    default:
        return false;
    }
}

const struct coord_object *fsm_proposer(const struct fsm_apply *apply)
{
    const struct coord_object *node = NULL;

    if (ray_id_is_none(&apply->incarnation)) {
        return NULL;
    }
    node = coord_fsm_next(apply->fsm, COORD_NODE, NULL);
    while (node != NULL && !ray_id_equal(&node->node.incarnation, &apply->incarnation)) {
        struct ray_id id = node->id;

        node = coord_fsm_next(apply->fsm, COORD_NODE, &id);
    }
    return node;
}

/* The leader has compared the incarnation with the link that the command came by. */
static int check_office(struct fsm_apply *apply, const Rayos__Registry__Command *command)
{
    const struct coord_object *node = NULL;

    if (!is_of_office(command) || RAY_MUTANT(FSM_OFFICE_OF_ANYBODY)) {
        return RAY_OK;
    }
    node = fsm_proposer(apply);
    if (node != NULL && node->node.role == COORD_NODE_OBSERVER) {
        return fsm_refuse(apply->err, RAY_EDENIED, "node %s is an observer: it leads nobody",
                          node->name);
    }
    return RAY_OK;
}

/* The rules in force at this place of the log decide, whatever they were when it was proposed. */
static int authorize(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                     const struct handler *handler)
{
    struct fsm_verdict verdict;
    int rc;

    if (command->header->caller == RAYOS__REGISTRY__CALLER__CALLER_NONE) {
        return RAY_OK;
    }
    rc = fsm_judge_command(apply, command->header, handler->subject, command->cluster_create,
                           &verdict);
    if (rc != RAY_OK) {
        return rc;
    }
    switch (verdict.effect) {
    case COORD_POLICY_ALLOW:
        return RAY_OK;
    case COORD_POLICY_ASK:
        return fsm_operation_ask(apply, command, &verdict);
    case COORD_POLICY_DENY:
        break;
    }
    return fsm_deny(apply, &verdict);
}

int fsm_kept_open(struct fsm_apply *apply, const struct coord_bytes *bytes,
                  Rayos__Registry__Command **out)
{
    struct ray_id session;
    struct ray_id incarnation;
    int rc = open_command(bytes->data, bytes->size, &apply->fsm->arena, out, apply->err);

    if (rc == RAY_OK) {
        rc = check_header((*out)->header, &session, &incarnation, apply->err);
    }
    /* It was taken apart before it was kept. */
    return rc == RAY_OK ? RAY_OK : fsm_refuse(apply->err, RAY_ENOMEM, "a command that waits");
}

int fsm_kept_judge(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                   struct fsm_verdict *out)
{
    return fsm_judge_command(apply, command->header, handler_of(command)->subject,
                             command->cluster_create, out);
}

int fsm_kept_run(struct fsm_apply *apply, const Rayos__Registry__Command *command)
{
    const struct handler *handler = handler_of(command);

    command->header->time_us = apply->header->time_us;
    apply->decision = apply->header;
    apply->header = command->header; /* the history names who asked */
    apply->what = handler->what;
    return handler->run(apply, command->cluster_create);
}

static int run(struct fsm_apply *apply, const Rayos__Registry__Command *command,
               struct coord_fsm_result *out)
{
    const struct handler *handler = handler_of(command);
    const uint8_t *body;
    size_t body_size;
    int code;
    int rc;

    apply->what = handler->what;
    if (apply->fsm->cluster == NULL && !handler->is_before_cluster) {
        code = fsm_refuse(apply->err, RAY_ECONFLICT, "there is no cluster yet");
    } else {
        code = coord_fsm_has_command(apply->fsm, command, apply->err);
        if (code == RAY_OK) {
            code = check_office(apply, command);
        }
        if (code == RAY_OK) {
            code = authorize(apply, command, handler);
        }
        if (code == RAY_OK) { /* all members of the union are pointers */
            code = handler->run(apply, command->cluster_create);
        }
    }
    if (code == RAY_ENOMEM || apply->is_fatal) {
        assert(code != RAY_OK);
        return code;
    }
    rc = pack_reply(apply, code, &body, &body_size); /* before objects go that it borrows from */
    if (rc == RAY_OK) {
        rc = fsm_finish(apply);
    }
    if (rc == RAY_OK) {
        result_of(apply, code, body, body_size, out);
    }
    return rc;
}

/* Within a session a request runs once; its result is given again to whoever asks again. */
static int run_once(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                    struct fsm_session *session, struct coord_fsm_result *out)
{
    uint64_t sequence = command->header->sequence;
    const struct fsm_stored_result *stored = fsm_session_result(session, sequence);
    int rc;

    if (stored != NULL && RAY_MUTANT(FSM_RETRY_RUNS)) {
        return run(apply, command, out);
    }
    if (stored != NULL) {
        stored_result(stored, out);
        return RAY_OK;
    }
    if (session->last_sequence >= COORD_FSM_SESSION_WINDOW &&
        sequence <= session->last_sequence - COORD_FSM_SESSION_WINDOW) {
        result_of(apply,
                  ray_fail(apply->err, RAY_ENOTFOUND,
                           "request %llu is too old: whether it ran is no longer known",
                           (unsigned long long)sequence),
                  NULL, 0, out);
        return RAY_OK;
    }
    rc = fsm_dump_save(apply->fsm, &session->item);
    if (rc == RAY_OK) {
        rc = run(apply, command, out);
    }
    if (rc == RAY_OK) {
        rc = fsm_session_store(apply->fsm, session, sequence, out);
    }
    if (rc == RAY_OK) {
        fsm_session_used(apply->fsm, session);
    }
    return rc;
}

/* Sessions have no session of their own, so that none is freed while it is in use. */
static bool is_about_sessions(const Rayos__Registry__Command *command)
{
    return command->body_case == RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN ||
           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_SESSION_KEEP ||
           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_SESSION_CLOSE ||
           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_TICK;
}

static int run_in_session(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                          const struct ray_id *session_id, struct coord_fsm_result *out)
{
    struct fsm_session *session;
    int code;

    if (is_about_sessions(command)) {
        code = fsm_refuse(apply->err, RAY_EINVAL, "such a command belongs to no session");
    } else {
        session = fsm_session_find(apply->fsm, session_id);
        if (session == NULL) {
            code = fsm_refuse(apply->err, RAY_ENOTFOUND,
                              "no such session: it has expired, or was never opened");
        } else if (strcmp(session->principal, command->header->principal) != 0) {
            code = fsm_refuse(apply->err, RAY_EDENIED, "the session belongs to somebody else");
        } else {
            return run_once(apply, command, session, out);
        }
    }
    result_of(apply, code, NULL, 0, out);
    return RAY_OK;
}

static void keep_hash(struct coord_fsm *fsm)
{
    size_t slot = fsm->index / COORD_FSM_HASH_INTERVAL % FSM_HASHES_KEPT;

    if (fsm->index % COORD_FSM_HASH_INTERVAL == 0) {
        fsm->hashes[slot].index = fsm->index;
        coord_fsm_hash(fsm, fsm->hashes[slot].hash);
    }
}

static int halt(struct coord_fsm *fsm, int code)
{
    assert(code != RAY_OK);
    fsm->halt_code = code;
    return code;
}

static int begin_entry(struct coord_fsm *fsm, uint64_t index, uint64_t term, struct ray_err *err)
{
    if (fsm->halt_code != RAY_OK) {
        return fsm_refuse(err, fsm->halt_code, "the state machine has halted at entry %llu",
                          (unsigned long long)fsm->index);
    }
    assert(index == fsm->index + 1 && term >= fsm->term);
    fsm_arena_reset(&fsm->arena);
    fsm->event_count = 0;
    fsm->index = index;
    fsm->term = term;
    return RAY_OK;
}

static int apply_command(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                         struct coord_fsm_result *out)
{
    struct ray_id session;
    int code = check_header(command->header, &session, &apply->incarnation, apply->err);

    if (code != RAY_OK) {
        result_of(apply, code, NULL, 0, out);
        return RAY_OK;
    }
    if (ray_id_is_none(&session)) {
        return run(apply, command, out);
    }
    return run_in_session(apply, command, &session, out);
}

/* The result's texts must live longer than the call. */
static int keep_texts(struct coord_fsm *fsm, struct coord_fsm_result *result)
{
    if (result->code == RAY_OK || result->is_retry) {
        return RAY_OK;
    }
    result->text = ray_arena_strndup(&fsm->arena, result->text, COORD_FSM_RESULT_TEXT_SIZE - 1);
    result->next_step =
        ray_arena_strndup(&fsm->arena, result->next_step, COORD_FSM_RESULT_TEXT_SIZE - 1);
    return result->text != NULL && result->next_step != NULL ? RAY_OK : RAY_ENOMEM;
}

int coord_fsm_apply(struct coord_fsm *fsm, uint64_t index, uint64_t term, const uint8_t *bytes,
                    size_t size, struct coord_fsm_outcome *out_outcome, struct ray_err *err)
{
    Rayos__Registry__Command *command;
    struct coord_fsm_result result;
    struct ray_err reason; /* not initialised whole: it is large and this is the hot path */
    struct fsm_apply apply = {.fsm = fsm, .index = index, .err = &reason};
    int rc;

    assert(fsm != NULL && out_outcome != NULL);
    rc = begin_entry(fsm, index, term, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = open_command(bytes, size, &fsm->arena, &command, err);
    if (rc == RAY_OK) {
        rc = check_raise(fsm, command, err);
    }
    if (rc != RAY_OK) {
        return halt(fsm, rc);
    }
    reason.code = RAY_OK;
    reason.text[0] = '\0';
    reason.next_step[0] = '\0';
    apply.header = command->header;
    rayos__registry__reply__init(&apply.reply);
    rayos__registry__epoch__init(&apply.reply_epoch);
    rc = apply_command(&apply, command, &result);
    if (rc == RAY_OK) {
        rc = keep_texts(fsm, &result);
    }
    if (rc != RAY_OK) {
        return ray_fail(err, halt(fsm, rc), "entry %llu: %s", (unsigned long long)index,
                        reason.text[0] != '\0' ? reason.text : ray_err_text(rc));
    }
    keep_hash(fsm);
    *out_outcome = (struct coord_fsm_outcome){
        .result = result, .events = fsm->events, .event_count = fsm->event_count};
    return RAY_OK;
}

int coord_fsm_advance(struct coord_fsm *fsm, uint64_t index, uint64_t term, struct ray_err *err)
{
    int rc = begin_entry(fsm, index, term, err);

    if (rc == RAY_OK) {
        keep_hash(fsm);
    }
    return rc;
}

int coord_fsm_result_pack(const struct coord_fsm_result *result, struct ray_buf *out,
                          struct ray_err *err)
{
    Rayos__Registry__Result message = RAYOS__REGISTRY__RESULT__INIT;
    size_t size;

    message.code = result->code;
    message.text = (char *)result->text;
    message.next_step = (char *)result->next_step;
    message.revision = result->revision;
    message.is_retry = result->is_retry;
    message.body = ray_proto_bytes(result->body, result->body_size);
    size = rayos__registry__result__get_packed_size(&message);
    if (ray_buf_reserve(out, size) != RAY_OK) {
        return fsm_refuse(err, RAY_ENOMEM, "a result of %zu bytes", size);
    }
    (void)rayos__registry__result__pack(&message, out->data + out->size);
    out->size += size;
    return RAY_OK;
}

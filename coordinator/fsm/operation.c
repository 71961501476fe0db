/* operation.c - commands that rules ask about: kept, then approved, denied or forgotten.
 *
 * A kept command runs where its approval is in the log, in its asker's name, and only if it is
 * still what was asked: the command is judged anew, the same rules must ask about the same action,
 * and nobody may have changed since what it is about, so that nobody lets run what he has not seen.
 * Judged anew and not by a list of approvers that was kept: rules may have been made stricter, and
 * the asker may be gone. Who approves is an approver of each rule that asks, and never who asked.
 * What waits too long, by logged time, expires.
 *
 * That nobody has changed the object: no change by what operators ask for is younger than the
 * operation. What nodes report and what members do about it does not count, as far as its history
 * reaches back. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

enum {
    EXPIRED_PER_TICK_MAX = 32,
    RULES_SIZE = COORD_OPERATION_RULES_MAX * COORD_NAME_SIZE, /* a name has its NUL, or a space */
};

static const char waiting[] = "needs-approval";

static void set_text(char *out, size_t out_size, const char *text)
{
    size_t size = strnlen(text, out_size - 1);

    memset(out, 0, out_size);
    memcpy(out, text, size);
}

bool fsm_operation_is_right(const struct coord_object *object)
{
    const struct coord_operation *operation = &object->operation;
    bool is_waiting = operation->expires_at_us != 0;

    return !object->is_gone && is_waiting == (operation->command.size > 0) &&
           (!is_waiting || (operation->asker[0] != '\0' && strcmp(operation->state, waiting) == 0));
}

/* ---- asking ---- */

struct asked {
    size_t count;
    size_t waiting_count;
    size_t own_waiting_count; /* the asker's */
    size_t own_decided_count;
    struct fsm_object *oldest; /* that was decided */
    struct fsm_object *own_oldest;
};

/* Operations that clients put are not among them. */
static struct asked count_asked(struct fsm_apply *apply)
{
    struct fsm_order *order = &apply->fsm->order[COORD_OPERATION];
    struct asked asked = {0};

    fsm_order_sort(order);
    for (size_t i = 0; i < order->count; i++) {
        struct fsm_object *object = fsm_at(apply->fsm, COORD_OPERATION, i);
        const struct coord_operation *operation = &object->pub.operation;
        bool is_own;

        if (operation->asker[0] == '\0') {
            continue;
        }
        is_own = strcmp(operation->asker, apply->header->principal) == 0;
        asked.count++;
        if (operation->expires_at_us != 0) {
            asked.waiting_count++;
            asked.own_waiting_count += is_own;
            continue;
        }
        asked.own_decided_count += is_own;
        asked.oldest = asked.oldest == NULL ? object : asked.oldest;
        asked.own_oldest = is_own && asked.own_oldest == NULL ? object : asked.own_oldest;
    }
    return asked;
}

static int make_room(struct fsm_apply *apply)
{
    struct asked asked = count_asked(apply);
    int rc = RAY_OK;

    if (asked.own_waiting_count >= COORD_FSM_ASKER_WAITING_MAX) {
        rc = fsm_refuse(apply->err, RAY_ETOOBIG, "%d commands of %s wait for approval, no more can",
                        COORD_FSM_ASKER_WAITING_MAX, apply->header->principal);
    } else if (asked.waiting_count >= COORD_FSM_OPERATIONS_WAITING_MAX) {
        rc = fsm_refuse(apply->err, RAY_ETOOBIG, "%d commands wait for approval, no more can",
                        COORD_FSM_OPERATIONS_WAITING_MAX);
    }
    if (rc != RAY_OK) {
        (void)ray_next(apply->err, "clusterctl op list");
        return rc;
    }
    /* Who asks and takes back again and again pushes out nobody's record but his own. */
    if (asked.own_decided_count >= COORD_FSM_ASKER_DECIDED_MAX) {
        return fsm_remove(apply, asked.own_oldest);
    }
    /* Fewer wait than there may be: something was decided. */
    return asked.count < COORD_FSM_OPERATIONS_MAX ? RAY_OK : fsm_remove(apply, asked.oldest);
}

/* Without its session: it runs when it is approved, and once. */
static int pack(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                const uint8_t **out_bytes, size_t *out_size)
{
    Rayos__Registry__Command kept = *command;
    Rayos__Registry__Header header = *command->header;

    header.session = (ProtobufCBinaryData){0};
    header.sequence = 0;
    header.incarnation = (ProtobufCBinaryData){0};
    kept.header = &header;
    *out_size = rayos__registry__command__get_packed_size(&kept);
    if (*out_size > COORD_FSM_KEPT_COMMAND_SIZE_MAX) {
        (void)ray_fail(apply->err, RAY_ETOOBIG,
                       "rule asks for approval, and a command of %zu bytes cannot wait, at most %d",
                       *out_size, COORD_FSM_KEPT_COMMAND_SIZE_MAX);
        (void)ray_next(apply->err, "make several commands of it");
        return RAY_ETOOBIG;
    }
    return ray_proto_pack(&kept.base, COORD_FSM_KEPT_COMMAND_SIZE_MAX, &apply->fsm->arena,
                          out_bytes, out_size, apply->err);
}

static int check_free(struct fsm_apply *apply, const struct ray_id *id, const char *name)
{
    if (fsm_find(apply->fsm, COORD_OPERATION, id) == NULL &&
        fsm_find_name(apply->fsm, COORD_OPERATION, name) == NULL) {
        return RAY_OK;
    }
    (void)ray_fail(apply->err, RAY_ECONFLICT, "there is an operation %s already", name);
    (void)ray_next(apply->err, "try again");
    return RAY_ECONFLICT;
}

struct kept {
    const uint8_t *bytes; /* the command */
    size_t size;
    char rules[RULES_SIZE];
};

/* The names of all rules that ask, with spaces between them. RAY_ETOOBIG. */
static int name_rules(struct fsm_apply *apply, const struct fsm_verdict *verdict,
                      char out[static RULES_SIZE])
{
    const struct coord_policy *policy;
    size_t size = 0;
    int rc = coord_fsm_policy(apply->fsm, &policy, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (verdict->asking_count > COORD_OPERATION_RULES_MAX) {
        (void)ray_fail(apply->err, RAY_ETOOBIG, "%u rules ask about it, at most %d",
                       verdict->asking_count, COORD_OPERATION_RULES_MAX);
        (void)ray_next(apply->err, "make several commands of it");
        return RAY_ETOOBIG;
    }
    out[0] = '\0';
    for (uint32_t rule = 1; policy != NULL && rule <= coord_policy_rule_count(policy); rule++) {
        if (fsm_verdict_asks(verdict, rule)) {
            size += (size_t)snprintf(out + size, RULES_SIZE - size, "%s%s", size > 0 ? " " : "",
                                     coord_policy_rule_name(policy, rule));
        }
    }
    assert(size < RULES_SIZE);
    return RAY_OK;
}

static int keep(struct fsm_apply *apply, struct fsm_object *object, const struct kept *kept,
                const struct fsm_verdict *verdict)
{
    struct coord_operation *operation = &object->pub.operation;
    char text[COORD_MESSAGE_SIZE];

    set_text(operation->state, sizeof operation->state, waiting);
    set_text(operation->message, sizeof operation->message, verdict->reason);
    set_text(operation->rule, sizeof operation->rule, verdict->rule_name);
    set_text(operation->asker, sizeof operation->asker, apply->header->principal);
    fsm_actor_id(apply, &operation->asker_id);
    set_text(operation->action, sizeof operation->action, verdict->action);
    operation->expires_at_us = apply->fsm->clock_us + COORD_FSM_APPROVAL_US;
    if (!fsm_bytes_set(&operation->command, kept->bytes, kept->size) ||
        !fsm_bytes_set(&operation->rules, kept->rules, strlen(kept->rules))) {
        return RAY_ENOMEM;
    }
    (void)snprintf(text, sizeof text, "%.40s: %.190s", object->pub.name, verdict->detail);
    return fsm_happen_bounded(apply, "approval-asked", COORD_OPERATION, &object->pub.id, text);
}

/* A leader renews nothing of that node from the order's place in its log on, and sees none in an
 * approval. */
static int check_may_wait(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                          const struct fsm_verdict *verdict)
{
    if (command->body_case != RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE ||
        !command->node_remove->is_forced) {
        return RAY_OK;
    }
    (void)ray_fail(apply->err, RAY_EDENIED,
                   "rule '%s' asks for approval, for which a forced removal cannot wait",
                   verdict->rule_name);
    (void)ray_next(apply->err, "let somebody do it whom a rule allows it: clusterctl policy show");
    return RAY_EDENIED;
}

int fsm_operation_ask(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                      const struct fsm_verdict *verdict)
{
    struct fsm_object *object;
    struct kept kept;
    char name[COORD_NAME_SIZE];
    struct ray_id id;
    int rc;

    fsm_happening_id(apply->index, &id);
    (void)snprintf(name, sizeof name, "op-%" PRIu64, apply->index);
    rc = check_may_wait(apply, command, verdict);
    if (rc == RAY_OK) {
        rc = check_free(apply, &id, name);
    }
    if (rc == RAY_OK) {
        rc = pack(apply, command, &kept.bytes, &kept.size);
    }
    if (rc == RAY_OK) {
        rc = name_rules(apply, verdict, kept.rules);
    }
    if (rc == RAY_OK) {
        rc = make_room(apply);
    }
    if (rc == RAY_OK) {
        rc = fsm_object_new(apply, COORD_OPERATION, &id, name, &object);
    }
    if (rc == RAY_OK) {
        rc = keep(apply, object, &kept, verdict);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    apply->has_refusal = true;
    apply->reply.operation = object->pub.name;
    (void)ray_fail(apply->err, RAY_EDENIED, "not done yet: rule '%s' asks for approval, as %s",
                   object->pub.operation.rule, name);
    (void)ray_next(apply->err, "somebody else runs 'clusterctl op approve %s'", name);
    return RAY_EDENIED;
}

/* ---- deciding ---- */

static int end(struct fsm_apply *apply, struct fsm_object *object, const char *state,
               const char *message)
{
    struct coord_operation *operation = &object->pub.operation;
    int rc = fsm_touch(apply, object);

    if (rc != RAY_OK) {
        return rc;
    }
    set_text(operation->state, sizeof operation->state, state);
    set_text(operation->message, sizeof operation->message, message);
    operation->expires_at_us = 0;
    return fsm_bytes_set(&operation->command, NULL, 0) ? RAY_OK : RAY_ENOMEM;
}

static int find_waiting(struct fsm_apply *apply, const ProtobufCBinaryData *id,
                        struct fsm_object **out)
{
    struct fsm_object *object;
    int rc = fsm_find_or_fail(apply, COORD_OPERATION, id, &object);

    if (rc != RAY_OK) {
        return rc;
    }
    if (object->pub.operation.expires_at_us == 0) {
        (void)ray_fail(apply->err, RAY_ECONFLICT, "%s waits for nobody: it is %s", object->pub.name,
                       object->pub.operation.state);
        (void)ray_next(apply->err, "clusterctl op show %s", object->pub.name);
        return RAY_ECONFLICT;
    }
    *out = object;
    return RAY_OK;
}

/* Who approves may do so for each rule that asks; who denies, for one of them. */
static int check_decider(struct fsm_apply *apply, const struct fsm_object *object,
                         const struct coord_policy_actor *decider,
                         const struct fsm_verdict *verdict, bool is_approved)
{
    const struct coord_policy *policy;
    const char *refusing = NULL;
    bool has_agreed = false;
    int rc = coord_fsm_policy(apply->fsm, &policy, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    for (uint32_t rule = 1; policy != NULL && rule <= coord_policy_rule_count(policy); rule++) {
        if (!fsm_verdict_asks(verdict, rule)) {
            continue;
        }
        if (coord_policy_may_approve(policy, rule, decider)) {
            has_agreed = true;
        } else if (refusing == NULL && !RAY_MUTANT(FSM_APPROVED_FOR_ONE_RULE)) {
            refusing = coord_policy_rule_name(policy, rule);
        }
    }
    if (has_agreed && (refusing == NULL || !is_approved)) {
        return RAY_OK;
    }
    (void)ray_fail(apply->err, RAY_EDENIED, "rule '%s' does not let %s decide about %s",
                   refusing != NULL ? refusing : verdict->rule_name, decider->name,
                   object->pub.name);
    (void)ray_next(apply->err, "clusterctl policy show");
    return RAY_EDENIED;
}

/* The rules have changed since: allowed, it needs nobody; denied, nobody can help. */
static int refuse_changed(struct fsm_apply *apply, const struct fsm_object *object,
                          const struct fsm_verdict *verdict)
{
    bool is_allowed = verdict->effect == COORD_POLICY_ALLOW;

    (void)ray_fail(apply->err, RAY_ECONFLICT, "the rules have changed: '%s' now %s %s",
                   verdict->rule_name, is_allowed ? "allows" : "denies", object->pub.name);
    (void)ray_next(apply->err, is_allowed ? "let %s do it again" : "tell %s",
                   object->pub.operation.asker);
    return RAY_ECONFLICT;
}

/* Who approves has seen an operation, and what it is about, as both were when it was asked for. */
static int check_same(struct fsm_apply *apply, const struct fsm_object *object,
                      const struct fsm_verdict *verdict)
{
    const struct coord_operation *operation = &object->pub.operation;
    char rules[RULES_SIZE];
    int rc = name_rules(apply, verdict, rules);

    if (rc != RAY_OK) {
        return rc;
    }
    if (strcmp(operation->action, verdict->action) != 0 || operation->rules.size != strlen(rules) ||
        memcmp(operation->rules.data, rules, operation->rules.size) != 0) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT,
                        "it is no longer what was asked: '%.60s' by '%.60s' now", verdict->action,
                        rules);
    } else if (verdict->changed_revision > object->pub.created_revision &&
               !RAY_MUTANT(FSM_APPROVED_UNSEEN)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT,
                        "what it is about was changed at revision %" PRIu64 ", after it was asked",
                        verdict->changed_revision);
    }
    if (rc != RAY_OK) {
        (void)ray_next(apply->err, "'clusterctl op deny %s', and let %s do it again",
                       object->pub.name, operation->asker);
    }
    return rc;
}

static int happen(struct fsm_apply *apply, const struct fsm_object *object, const char *what)
{
    const struct coord_operation *operation = &object->pub.operation;
    char text[COORD_MESSAGE_SIZE];

    (void)snprintf(text, sizeof text, "%.40s: %.64s %.120s", object->pub.name, operation->asker,
                   operation->action);
    return strcmp(operation->asker, operation->decider) == 0 /* taken back */
               ? fsm_happen_bounded(apply, what, COORD_OPERATION, &object->pub.id, text)
               : fsm_happen(apply, what, COORD_OPERATION, &object->pub.id, text);
}

/* Its refusal is the result of the approval, too, and the operation keeps it. */
static int approve(struct fsm_apply *apply, struct fsm_object *object,
                   const Rayos__Registry__Command *kept, const char *decider)
{
    char message[COORD_MESSAGE_SIZE];
    int code;
    int rc = fsm_touch(apply, object);

    if (rc == RAY_OK) {
        set_text(object->pub.operation.decider, sizeof object->pub.operation.decider, decider);
        rc = happen(apply, object, "approved");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    code = fsm_kept_run(apply, kept);
    if (code == RAY_ENOMEM || apply->is_fatal) {
        return code;
    }
    set_text(message, sizeof message, code != RAY_OK ? apply->err->text : "");
    rc = end(apply, object, code == RAY_OK ? "done" : "failed", message);
    return rc != RAY_OK ? rc : code;
}

static int deny(struct fsm_apply *apply, struct fsm_object *object, const char *decider)
{
    int rc = end(apply, object, "denied", apply->header->reason);

    if (rc == RAY_OK) {
        set_text(object->pub.operation.decider, sizeof object->pub.operation.decider, decider);
        rc = happen(apply, object, "approval-denied");
    }
    return rc;
}

static int check_approval(struct fsm_apply *apply, const struct fsm_object *object,
                          const struct coord_policy_actor *decider, bool is_own,
                          const struct fsm_verdict *verdict)
{
    int rc;

    if (is_own && !RAY_MUTANT(FSM_APPROVED_BY_ASKER)) {
        (void)ray_fail(apply->err, RAY_EDENIED, "%s asked for %s: somebody else approves it",
                       decider->name, object->pub.name);
        (void)ray_next(apply->err, "'clusterctl policy show' says who may");
        return RAY_EDENIED;
    }
    if (verdict->effect != COORD_POLICY_ASK) {
        return refuse_changed(apply, object, verdict);
    }
    rc = check_decider(apply, object, decider, verdict, true);
    return rc == RAY_OK ? check_same(apply, object, verdict) : rc;
}

/* Names are given anew, of principals and of nodes; ids stay. A console of which nobody knows the
 * node may be that of who asked. */
static bool is_asker(const struct fsm_apply *apply, const struct coord_operation *operation)
{
    bool is_console = apply->header->caller == RAYOS__REGISTRY__CALLER__CALLER_CONSOLE;
    struct ray_id id;

    fsm_actor_id(apply, &id);
    return strcmp(apply->header->principal, operation->asker) == 0 ||
           (is_console && (ray_id_is_none(&id) || ray_id_is_none(&operation->asker_id))) ||
           ray_id_equal(&id, &operation->asker_id);
}

int fsm_operation_decide(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__OperationDecide *decision = command;
    struct coord_policy_actor decider;
    Rayos__Registry__Command *kept;
    struct fsm_verdict verdict;
    struct fsm_object *object;
    bool is_own;
    int rc = fsm_actor(apply, apply->header, &decider);

    if (rc == RAY_OK) {
        rc = find_waiting(apply, &decision->operation, &object);
    }
    if (rc == RAY_OK) {
        rc = fsm_kept_open(apply, &object->pub.operation.command, &kept);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    is_own = is_asker(apply, &object->pub.operation);
    if (!decision->is_approved && is_own) {
        return deny(apply, object, decider.name); /* who asked takes it back */
    }
    if (!decision->is_approved && (decider.roles & COORD_POLICY_ADMIN) != 0) {
        return deny(apply, object, decider.name); /* whatever the rules say of its asker now */
    }
    rc = fsm_kept_judge(apply, kept, &verdict);
    if (rc == RAY_OK) {
        rc = decision->is_approved ? check_approval(apply, object, &decider, is_own, &verdict)
                                   : check_decider(apply, object, &decider, &verdict, false);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    return decision->is_approved ? approve(apply, object, kept, decider.name)
                                 : deny(apply, object, decider.name);
}

int fsm_operations_expire(struct fsm_apply *apply)
{
    struct fsm_order *order = &apply->fsm->order[COORD_OPERATION];
    size_t expired = 0;
    int rc = RAY_OK;

    fsm_order_sort(order);
    for (size_t i = 0; i < order->count && expired < EXPIRED_PER_TICK_MAX && rc == RAY_OK; i++) {
        struct fsm_object *object = fsm_at(apply->fsm, COORD_OPERATION, i);
        uint64_t at_us = object->pub.operation.expires_at_us;

        if (at_us != 0 && at_us <= apply->fsm->clock_us) {
            rc = end(apply, object, "expired", "nobody decided in time");
            expired++;
        }
    }
    return rc;
}

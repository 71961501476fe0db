/* authorize.c - what the rules say to a command, of which subject.c says what it does.
 *
 * Evaluated when the command is applied: the log's order decides between a command and a change of
 * the rules, and every replica comes to the same end. A command may be several actions; the worst
 * answer counts: deny, then ask, then allow. All rules that ask are noted, as who approves must be
 * an approver of each. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/judge.h"

int fsm_actor(struct fsm_apply *apply, const Rayos__Registry__Header *header,
              struct coord_policy_actor *out)
{
    const struct fsm_object *principal;

    *out = (struct coord_policy_actor){.kind = "principal", .name = header->principal};
    switch (header->caller) {
    case RAYOS__REGISTRY__CALLER__CALLER_CONSOLE:
        out->roles = COORD_POLICY_ADMIN;
        return RAY_OK;
    case RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL:
        principal = fsm_find_name(apply->fsm, COORD_PRINCIPAL, header->principal);
        if (principal == NULL) {
            break;
        }
        out->roles = coord_fsm_roles(&principal->pub.principal);
        return RAY_OK;
    default:
        break;
    }
    (void)ray_fail(apply->err, RAY_EDENIED, "there is no principal '%s' (any more)",
                   header->principal);
    (void)ray_next(apply->err, "clusterctl query principal");
    return RAY_EDENIED;
}

void fsm_actor_id(const struct fsm_apply *apply, struct ray_id *out)
{
    const Rayos__Registry__Header *header = apply->header;
    const struct fsm_object *principal;
    const struct coord_object *node;

    *out = (struct ray_id){0};
    if (header->caller == RAYOS__REGISTRY__CALLER__CALLER_CONSOLE) {
        node = fsm_proposer(apply);
        *out = node != NULL ? node->id : *out;
    } else {
        principal = fsm_find_name(apply->fsm, COORD_PRINCIPAL, header->principal);
        *out = principal != NULL ? principal->pub.id : *out;
    }
}

static int severity(enum coord_policy_effect effect)
{
    switch (effect) {
    case COORD_POLICY_ALLOW:
        return 0;
    case COORD_POLICY_ASK:
        return 1;
    case COORD_POLICY_DENY:
        break;
    }
    return 2;
}

static struct coord_policy_decision decide(const struct fsm_judge *judge,
                                           enum coord_policy_action action,
                                           const struct coord_policy_object *object)
{
    struct coord_policy_decision decision = {
        .effect = COORD_POLICY_ALLOW, .name = "console", .reason = ""};

    if (judge->is_console && action == COORD_POLICY_POLICY_SET) {
        return decision; /* the way back from rules that lock everybody out */
    }
    decision = coord_fsm_decide(judge->policy, &judge->actor, action, object);
    /* The rule that asks says who decides; only a rule that denies it to somebody stands before. */
    if (action == COORD_POLICY_OPERATION_DECIDE &&
        (decision.effect == COORD_POLICY_ASK || decision.rule == COORD_POLICY_NO_RULE)) {
        decision.effect = COORD_POLICY_ALLOW;
    }
    return decision;
}

/* A node joins with a name of its choice, and is judged by it. */
static bool is_somebodys(const struct fsm_object *object, const struct fsm_change *change)
{
    return fsm_is_asked(change->what->bytes) || change->revision == object->pub.created_revision ||
           (object->pub.kind == COORD_NODE && strcmp(change->what->bytes, "node-join") == 0);
}

/* What has left the history may have been anybody's: no younger than the oldest that is left. */
static uint64_t changed_revision(const struct fsm_object *object)
{
    size_t count = object->change_count;

    for (size_t i = count; i > 0; i--) {
        const struct fsm_change *change = fsm_history_at(object, i - 1);

        if (is_somebodys(object, change)) {
            return change->revision;
        }
    }
    return count == COORD_CHANGES_MAX ? fsm_history_at(object, 0)->revision
                                      : object->pub.created_revision;
}

void fsm_judge_note(struct fsm_judge *judge, const struct fsm_object *object)
{
    uint64_t revision = changed_revision(object);

    if (revision > judge->verdict->changed_revision) {
        judge->verdict->changed_revision = revision;
    }
}

bool fsm_verdict_asks(const struct fsm_verdict *verdict, uint32_t rule)
{
    assert(rule >= 1 && rule <= COORD_POLICY_RULES_MAX);
    return ((unsigned)verdict->asking[(rule - 1) / 8] >> ((rule - 1) % 8) & 1U) != 0;
}

static void note_asking(struct fsm_verdict *verdict, const struct coord_policy_decision *decision)
{
    if (decision->effect == COORD_POLICY_ASK &&
        !fsm_verdict_asks(verdict, decision->rule)) { /* no rule, nobody asks */
        verdict->asking[(decision->rule - 1) / 8] |= (uint8_t)(1U << ((decision->rule - 1) % 8));
        verdict->asking_count++;
    }
}

void fsm_judge_one(struct fsm_judge *judge, enum coord_policy_action action,
                   const struct coord_policy_object *object)
{
    struct coord_policy_decision decision;
    struct fsm_verdict *verdict = judge->verdict;
    int actor_size;

    if (judge->count > 0 && verdict->effect == COORD_POLICY_DENY) {
        return; /* nothing is worse */
    }
    decision = decide(judge, action, object);
    judge->count++;
    note_asking(verdict, &decision);
    if (judge->count > 1 && severity(decision.effect) <= severity(verdict->effect)) {
        return;
    }
    verdict->effect = decision.effect;
    verdict->rule = decision.rule;
    verdict->rule_name = decision.name;
    verdict->reason = decision.reason;
    actor_size = snprintf(verdict->detail, sizeof verdict->detail, "%s %s", judge->actor.name,
                          coord_policy_action_text(action));
    assert(actor_size > 0 && (size_t)actor_size < sizeof verdict->detail);
    if (object->kind[0] != '\0') {
        (void)snprintf(verdict->detail + actor_size, sizeof verdict->detail - (size_t)actor_size,
                       " %s:%s", object->kind, object->name);
    }
    verdict->action = verdict->detail + strlen(judge->actor.name) + 1;
}

/* ---- the verdict ---- */

int fsm_judge_command(struct fsm_apply *apply, const Rayos__Registry__Header *header,
                      fsm_subject *subject, const void *command, struct fsm_verdict *out)
{
    struct fsm_judge judge = {.apply = apply,
                              .is_console =
                                  header->caller == RAYOS__REGISTRY__CALLER__CALLER_CONSOLE,
                              .verdict = out};
    int rc;

    *out = (struct fsm_verdict){.effect = COORD_POLICY_ALLOW, .rule_name = "", .reason = ""};
    out->action = out->detail;
    rc = fsm_actor(apply, header, &judge.actor);
    if (rc != RAY_OK) {
        return rc;
    }
    if (subject == NULL) {
        return fsm_refuse(apply->err, RAY_EDENIED, "members say that, no operator");
    }
    rc = coord_fsm_policy(apply->fsm, &judge.policy, apply->err);
    if (rc != RAY_OK) {
        return rc;
    }
    subject(&judge, command);
    assert(judge.is_free || judge.count > 0 || judge.code != RAY_OK);
    return judge.code;
}

int fsm_deny(struct fsm_apply *apply, const struct fsm_verdict *verdict)
{
    char text[COORD_MESSAGE_SIZE];
    const char *detail = ray_arena_strndup(&apply->fsm->arena, verdict->detail, FSM_DETAIL_SIZE);
    const char *rule = ray_arena_strndup(&apply->fsm->arena, verdict->rule_name, COORD_NAME_SIZE);
    int rc;

    if (detail == NULL || rule == NULL) {
        return RAY_ENOMEM;
    }
    (void)snprintf(text, sizeof text, "rule '%.50s': %.190s", rule, detail);
    rc = fsm_happen_denied(apply, text);
    if (rc != RAY_OK) {
        return rc;
    }
    apply->has_refusal = true;
    apply->reply.rule = (char *)(uintptr_t)rule;
    apply->reply.denied = (char *)(uintptr_t)detail;
    (void)ray_fail(apply->err, RAY_EDENIED, "rule '%s' denies %s%s%s", rule, detail,
                   verdict->reason[0] != '\0' ? ": " : "", verdict->reason);
    (void)ray_next(apply->err, "clusterctl policy test --as %s", detail);
    return RAY_EDENIED;
}

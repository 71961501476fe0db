/* permit.c - the policy on the side of callers: what only looks, what a node does outside of the
 * log, what a denial leaves behind, and the file with the rules in force. Commands are judged by
 * the state machine. */
#include "coordinator/fsm/permit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "coordinator/api/impl.h"

static const char policy_folder[] = "policy";
static const char policy_name[] = "policy/rayos-policy.toml";

enum {
    POLICY_TEXT_SIZE_MAX = 4 << 20,
    FOLDER_MODE = 0755,
    FILE_MODE = 0644,
    DETAIL_SIZE = 256,
    EVENT_TIMEOUT_MS = 5000,
};

static const char next_step[] = "ask an admin: clusterctl policy show";

/* Other nodes ask for somebody whom they have let in and judged. */
static bool is_judged(const struct member_caller *caller)
{
    return caller->kind != RAYOS__REGISTRY__CALLER__CALLER_NONE || !caller->is_admin;
}

/* Who is outside of the rules' sight (a node that is no member yet) has none. */
static int rules_of(struct coord_member *m, const struct coord_policy **out, struct ray_err *err)
{
    *out = NULL;
    return m->replica == NULL ? RAY_OK : coord_fsm_policy(coord_replica_fsm(m->replica), out, err);
}

static int decide_read(struct coord_member *m, const struct member_caller *caller,
                       struct coord_policy_decision *out, struct ray_err *err)
{
    const struct coord_policy_actor actor = {
        .kind = "principal", .name = caller->name, .roles = caller->roles};
    const struct coord_policy_object any = {.kind = "", .name = ""};
    const struct coord_policy *policy;
    int rc = rules_of(m, &policy, err);

    *out = (struct coord_policy_decision){.effect = COORD_POLICY_ALLOW, .name = "", .reason = ""};
    if (rc == RAY_OK && caller->kind != RAYOS__REGISTRY__CALLER__CALLER_NONE) {
        *out = coord_fsm_decide(policy, &actor, COORD_POLICY_REGISTRY_READ, &any);
    }
    return rc;
}

bool member_may_read(struct coord_member *m, const struct member_caller *caller)
{
    struct coord_policy_decision decision;

    return decide_read(m, caller, &decision, NULL) == RAY_OK &&
           decision.effect == COORD_POLICY_ALLOW;
}

int member_permit_read(struct coord_member *m, const struct member_caller *caller,
                       const char *method, struct ray_err *err)
{
    struct coord_policy_decision decision;
    char detail[DETAIL_SIZE];
    int rc = decide_read(m, caller, &decision, err);

    if (rc != RAY_OK || decision.effect == COORD_POLICY_ALLOW) {
        return rc; /* nobody approves a look */
    }
    (void)snprintf(detail, sizeof detail, "%s registry.read", caller->name);
    (void)member_tell_denied(m, decision.name, detail);
    (void)ray_fail(err, RAY_EDENIED, "rule '%s' denies %s (%s)%s%s", decision.name, detail, method,
                   decision.reason[0] != '\0' ? ": " : "", decision.reason);
    (void)ray_next(err, "%s", next_step);
    return RAY_EDENIED;
}

/* ---- what a node does outside of the log ---- */

static void on_event_added(void *arg, int status, const struct coord_fsm_result *result)
{
    struct coord_member *m = arg;

    if (status != RAY_OK || result->code != RAY_OK) {
        ray_log(m->config.logger, RAY_LOG_WARN, "policy", "no event of a denial: %s",
                status != RAY_OK ? ray_err_text(status) : result->text);
    }
}

/* In the name of who was denied. An observer speaks for nobody: its log and marker tell. */
static void add_event(struct coord_member *m, const struct member_caller *caller, const char *text)
{
    struct member_caller denied = {.kind = RAYOS__REGISTRY__CALLER__CALLER_NONE};
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (m->replica == NULL || member_is_observer(m)) {
        return;
    }
    memcpy(denied.name, caller->name, sizeof denied.name);
    add.what = (char *)(uintptr_t)"policy-denied";
    add.text = (char *)(uintptr_t)text;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.event_add = &add;
    if (member_command_pack(m, &command, &denied, "what the rules deny", &bytes, &size, NULL) ==
        RAY_OK) {
        (void)coord_replica_propose(m->replica, bytes, size,
                                    ray_clock_boottime_ns() + EVENT_TIMEOUT_MS * RAY_NS_PER_MS,
                                    on_event_added, m, NULL, NULL); /* the log has it */
    }
    free(bytes);
}

static int refuse_node(struct coord_member *m, const struct member_caller *caller,
                       const struct coord_policy_decision *decision, const char *detail,
                       struct ray_err *err)
{
    bool is_asked = decision->effect == COORD_POLICY_ASK;
    char text[COORD_MESSAGE_SIZE];

    (void)snprintf(text, sizeof text, "rule '%.50s': %.190s", decision->name, detail);
    (void)member_tell_denied(m, decision->name, detail);
    add_event(m, caller, text); /* few are kept of one caller's: none hides another's */
    (void)ray_fail(err, RAY_EDENIED, "rule '%s' %s %s%s%s", decision->name,
                   is_asked ? "asks for approval, for which this cannot wait:" : "denies", detail,
                   decision->reason[0] != '\0' ? ": " : "", decision->reason);
    (void)ray_next(err, "%s", next_step);
    return RAY_EDENIED;
}

int member_permit_node(struct coord_member *m, const struct member_caller *caller,
                       enum coord_policy_action action, const struct ray_id *node,
                       struct ray_err *err)
{
    const struct coord_policy_actor actor = {
        .kind = "principal", .name = caller->name, .roles = caller->roles};
    struct coord_fsm_described described = {.object = {.kind = "node", .name = ""}};
    const struct coord_object *object = NULL;
    const struct coord_policy *policy;
    struct coord_policy_decision decision;
    char detail[DETAIL_SIZE];
    int rc = rules_of(m, &policy, err);

    assert(strcmp(coord_policy_action_object(action), "node") == 0);
    if (rc != RAY_OK || !is_judged(caller)) {
        return rc;
    }
    if (m->replica != NULL) {
        object = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, node);
    }
    if (object != NULL &&
        coord_fsm_describe(coord_replica_fsm(m->replica), policy, object, &described) != RAY_OK) {
        return ray_fail(err, RAY_ENOMEM, "what the rules say");
    }
    decision = coord_fsm_decide(policy, &actor, action, &described.object);
    if (decision.effect == COORD_POLICY_ALLOW) {
        return RAY_OK;
    }
    (void)snprintf(detail, sizeof detail, "%s %s node:%s", caller->name,
                   coord_policy_action_text(action), described.object.name);
    return refuse_node(m, caller, &decision, detail, err);
}

/* ---- telling ---- */

static void tell(struct coord_member *m, const char *rule, const char *detail)
{
    ray_log(m->config.logger, RAY_LOG_WARN, "policy", "denied rule=%s %s", rule, detail);
    if (m->config.on_denied != NULL) {
        m->config.on_denied(m->config.arg, rule, detail);
    }
}

void member_denials_turn(struct coord_member *m)
{
    uint64_t held = member_denials_held(&m->denials, ray_clock_boottime_ns());
    char text[64];

    if (held > 0) {
        (void)snprintf(text, sizeof text, "%llu more denials", (unsigned long long)held);
        tell(m, "*", text); /* no rule has that name */
    }
}

bool member_tell_denied(struct coord_member *m, const char *rule, const char *detail)
{
    m->denial_count++;
    member_denials_turn(m); /* in their order */
    if (!member_denials_take(&m->denials, ray_clock_boottime_ns())) {
        return false;
    }
    tell(m, rule, detail);
    return true;
}

void member_tell_refused(struct coord_member *m, const struct coord_fsm_result *result)
{
    Rayos__Registry__Reply *reply;

    if (result->code != RAY_EDENIED || result->body_size == 0 || result->is_retry) {
        return; /* a retry was told the first time */
    }
    reply = rayos__registry__reply__unpack(NULL, result->body_size, result->body);
    if (reply != NULL && reply->rule[0] != '\0') {
        (void)member_tell_denied(m, reply->rule, reply->denied);
    }
    if (reply != NULL) {
        rayos__registry__reply__free_unpacked(reply, NULL);
    }
}

static int write_file(struct coord_member *m, const struct ray_buf *text, struct ray_err *err)
{
    int folder = open(m->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (folder < 0) {
        return ray_fail_errno(err, errno, "%s", m->data_dir);
    }
    rc = ray_make_dirs(folder, policy_folder, FOLDER_MODE, err);
    if (rc == RAY_OK) {
        rc = ray_atomic_write(folder, policy_name, text->data, text->size, FILE_MODE, err);
    }
    (void)close(folder);
    return rc;
}

/* Once a second at most; what could not be written is tried again with the next version. */
void member_policy_file_turn(struct coord_member *m)
{
    struct coord_fsm *fsm = m->replica == NULL ? NULL : coord_replica_fsm(m->replica);
    uint64_t version = fsm == NULL ? 0 : coord_fsm_policy_version(fsm);
    const struct coord_policy *policy = NULL;
    struct ray_err err = {0};
    struct ray_buf text;
    int rc;

    if (version == 0 || version == m->told_policy_version) {
        return;
    }
    m->told_policy_version = version;
    ray_buf_init(&text, POLICY_TEXT_SIZE_MAX);
    rc = coord_fsm_policy(fsm, &policy, &err);
    if (rc == RAY_OK) {
        rc = ray_buf_appendf(&text,
                             "# The rules in force here, version %llu. A copy, to be read: change "
                             "them by\n# 'clusterctl policy set FILE'.\n",
                             (unsigned long long)version);
    }
    if (rc == RAY_OK) {
        rc = coord_policy_print(policy, &text, &err);
    }
    if (rc == RAY_OK) {
        rc = write_file(m, &text, &err);
    }
    ray_buf_fini(&text);
    if (rc != RAY_OK) {
        ray_log(m->config.logger, RAY_LOG_WARN, "policy", "%s: %s", policy_name, err.text);
    }
}

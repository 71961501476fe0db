/* permit.c - the policy on the side of callers: what only looks, what a denial leaves behind, and
 * the file with the rules in force. Commands are judged by the state machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "coordinator/api/impl.h"

static const char policy_folder[] = "policy";
static const char policy_name[] = "policy/rayos-policy.toml";

enum { POLICY_TEXT_SIZE_MAX = 4 << 20, FOLDER_MODE = 0755, FILE_MODE = 0644, DETAIL_SIZE = 256 };

static int decide_read(struct coord_member *m, const struct member_caller *caller,
                       struct coord_policy_decision *out, struct ray_err *err)
{
    const struct coord_policy_actor actor = {
        .kind = "principal", .name = caller->name, .roles = caller->roles};
    const struct coord_policy_object any = {.kind = "", .name = ""};
    const struct coord_policy *policy = NULL;
    int rc =
        m->replica == NULL ? RAY_OK : coord_fsm_policy(coord_replica_fsm(m->replica), &policy, err);

    *out = (struct coord_policy_decision){.effect = COORD_POLICY_ALLOW, .name = "", .reason = ""};
    if (rc != RAY_OK || caller->kind == RAYOS__REGISTRY__CALLER__CALLER_NONE) {
        return rc; /* other nodes ask for somebody whom they have let in */
    }
    if (policy != NULL) {
        *out = coord_policy_decide(policy, &actor, COORD_POLICY_REGISTRY_READ, &any);
    } else if (!caller->is_admin) {
        *out = (struct coord_policy_decision){
            .effect = COORD_POLICY_DENY, .name = "default", .reason = "there are no rules"};
    }
    return RAY_OK;
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
    member_tell_denied(m, decision.name, detail);
    (void)ray_fail(err, RAY_EDENIED, "rule '%s' denies %s (%s)%s%s", decision.name, detail, method,
                   decision.reason[0] != '\0' ? ": " : "", decision.reason);
    (void)ray_next(err, "ask an admin: clusterctl policy show");
    return RAY_EDENIED;
}

void member_tell_denied(struct coord_member *m, const char *rule, const char *detail)
{
    ray_log(m->config.logger, RAY_LOG_WARN, "policy", "denied rule=%s %s", rule, detail);
    if (m->config.on_denied != NULL) {
        m->config.on_denied(m->config.arg, rule, detail);
    }
}

void member_tell_refused(struct coord_member *m, const struct coord_fsm_result *result)
{
    Rayos__Registry__Reply *reply;

    if (result->code != RAY_EDENIED || result->body_size == 0 || result->is_retry) {
        return; /* a retry was told the first time */
    }
    reply = rayos__registry__reply__unpack(NULL, result->body_size, result->body);
    if (reply != NULL && reply->rule[0] != '\0') {
        member_tell_denied(m, reply->rule, reply->denied);
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

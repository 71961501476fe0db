/* ask.c - a call from the moment it waits for the replica to its end.
 *
 * Invariant: an ask is in the member's list as long as its call is open; whatever ends the call
 * (answer, refusal, the caller's going) takes it out and frees it, and its ticket with it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"

enum { ANSWER_MARGIN_MS = 50 }; /* so that our word comes before the caller's own time is up */

/* A result of the leader's, owned here. */
struct member_kept {
    struct coord_fsm_result result;
    char text[COORD_FSM_RESULT_TEXT_SIZE];
    char next_step[COORD_FSM_RESULT_TEXT_SIZE];
    uint8_t body[];
};

static void release(struct member_ask *ask)
{
    struct coord_member *m = ask->member;

    if (ask->has_ticket) {
        coord_replica_cancel(m->replica, ask->ticket);
    }
    LIST_REMOVE(ask, entry);
    m->ask_count--;
    if (ask->on_release != NULL) {
        ask->on_release(ask);
    }
    free(ask->kept);
    free(ask);
}

static void on_cancel(void *arg)
{
    struct member_ask *ask = arg;

    ask->call = NULL;
    release(ask);
}

void *member_ask_new(struct coord_member *m, const struct member_caller *caller,
                     struct ray_rpc_call *call, size_t size)
{
    struct member_ask *ask = m->ask_count < MEMBER_ASKS_MAX ? calloc(1, size) : NULL;
    struct ray_err err = {0};

    assert(size >= sizeof *ask);
    if (ask == NULL) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "%zu calls wait already", m->ask_count);
        (void)ray_next(&err, "try again later");
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return NULL;
    }
    ask->member = m;
    ask->caller = *caller;
    ask->call = call;
    LIST_INSERT_HEAD(&m->asks, ask, entry);
    m->ask_count++;
    ray_rpc_call_on_cancel(call, on_cancel, ask);
    return ask;
}

void member_ask_reply(struct member_ask *ask, const ProtobufCMessage *body)
{
    struct ray_rpc_call *call = ask->call;

    ask->call = NULL;
    (void)ray_rpc_reply(call, body); /* the caller is gone, or not */
    release(ask);
}

void member_ask_fail(struct member_ask *ask, const struct ray_err *err)
{
    struct ray_rpc_call *call = ask->call;

    ask->call = NULL;
    (void)ray_rpc_reply_err(call, err);
    release(ask);
}

struct ray_rpc_call *member_ask_hand_over(struct member_ask *ask)
{
    struct ray_rpc_call *call = ask->call;

    ask->call = NULL;
    ray_rpc_call_on_cancel(call, NULL, NULL);
    release(ask);
    return call;
}

void member_ask_refuse(struct member_ask *ask, const struct coord_fsm_result *result)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, result->code, "%s", result->text);
    (void)ray_next(&err, "%s", result->next_step);
    member_feature_explain(ask->member, &err);
    ray_log(ask->member->config.logger, RAY_LOG_NOTICE, "api", "refused to %s: %s",
            ask->caller.name, err.text);
    member_ask_fail(ask, &err);
}

void member_asks_end(struct coord_member *m)
{
    struct ray_err err = {0};

    (void)member_explain(RAY_ECANCELED, &err);
    for (struct member_ask *ask = LIST_FIRST(&m->asks); ask != NULL;) {
        struct member_ask *next = LIST_NEXT(ask, entry);

        member_ask_fail(ask, &err);
        ask = next;
    }
}

static uint64_t deadline_ns(const struct member_ask *ask)
{
    uint64_t ms = ray_rpc_call_remaining_ms(ask->call);

    if (ms == 0) {
        ms = MEMBER_TIMEOUT_MS;
    } else if (ms > (uint64_t)2 * ANSWER_MARGIN_MS) {
        ms -= ANSWER_MARGIN_MS;
    }
    return ray_clock_boottime_ns() + ms * RAY_NS_PER_MS;
}

static void tell(struct member_ask *ask, const struct coord_fsm_result *result)
{
    member_tell_refused(ask->member, result);
    if (result->code != RAY_OK && !ask->takes_refusals) {
        member_ask_refuse(ask, result);
    } else {
        ask->on_result(ask, result);
    }
}

/* ---- own writes are seen ---- */

static struct member_kept *keep(const struct coord_fsm_result *result)
{
    struct member_kept *kept = calloc(1, sizeof *kept + result->body_size);

    if (kept == NULL) {
        return NULL;
    }
    kept->result = *result;
    (void)snprintf(kept->text, sizeof kept->text, "%s", result->text);
    (void)snprintf(kept->next_step, sizeof kept->next_step, "%s", result->next_step);
    kept->result.text = kept->text;
    kept->result.next_step = kept->next_step;
    if (result->body_size > 0) {
        memcpy(kept->body, result->body, result->body_size);
        kept->result.body = kept->body;
    }
    return kept;
}

/* Late, the outcome is told all the same: it is known. */
static void on_shown_here(void *arg, int status, uint64_t revision)
{
    struct member_ask *ask = arg;

    ask->has_ticket = false;
    assert(status != RAY_OK || revision >= ask->kept->result.revision);
    tell(ask, &ask->kept->result);
}

bool member_ask_has_time(uint64_t now_ns, uint64_t deadline_ns)
{
    return now_ns + ANSWER_MARGIN_MS * RAY_NS_PER_MS < deadline_ns;
}

/* The leader applies first. Whoever is answered here and then looks here sees what it wrote. */
static bool waits_for_state(struct member_ask *ask, const struct coord_fsm_result *result)
{
    struct coord_member *m = ask->member;

    if (coord_fsm_index(coord_replica_fsm(m->replica)) >= result->revision) {
        return false;
    }
    if (!member_ask_has_time(ray_clock_boottime_ns(), ask->deadline_ns)) {
        return false; /* the outcome is known: the caller is to hear it in time */
    }
    ask->kept = keep(result);
    ask->has_ticket =
        ask->kept != NULL && coord_replica_wait(m->replica, result->revision, ask->deadline_ns,
                                                on_shown_here, ask, &ask->ticket, NULL) == RAY_OK;
    return ask->has_ticket;
}

static void on_proposed(void *arg, int status, const struct coord_fsm_result *result)
{
    struct member_ask *ask = arg;
    struct ray_err err = {0};

    ask->has_ticket = false;
    member_count_command(ask->member, ask->begun_ns,
                         status != RAY_OK         ? COORD_MEMBER_UNSETTLED
                         : result->code != RAY_OK ? COORD_MEMBER_REFUSED
                                                  : COORD_MEMBER_DONE);
    if (member_explain(status, &err) != RAY_OK) {
        member_ask_fail(ask, &err);
    } else if (!waits_for_state(ask, result)) {
        tell(ask, result);
    }
}

/* The leader would refuse it: who is outside of the log speaks for itself alone. */
static int require_voice(struct coord_member *m, struct ray_err *err)
{
    int rc = member_require_replica(m, err);

    if (rc != RAY_OK || !member_is_observer(m)) {
        return rc;
    }
    (void)ray_fail(err, RAY_EDENIED, "node %s is an observer: it speaks for nobody but itself",
                   m->name);
    (void)ray_next(err, "run it at a voter or standby; 'clusterctl node list' shows them");
    return RAY_EDENIED;
}

void member_ask_propose_bytes(struct member_ask *ask, const uint8_t *bytes, size_t size)
{
    struct coord_member *m = ask->member;
    struct ray_err err = {0};
    int rc = require_voice(m, &err);

    ask->begun_ns = ray_clock_boottime_ns();
    ask->deadline_ns = deadline_ns(ask);
    if (rc == RAY_OK) {
        rc = coord_replica_propose(m->replica, bytes, size, ask->deadline_ns, on_proposed, ask,
                                   &ask->ticket, &err);
    }
    if (rc != RAY_OK) {
        member_feature_explain(m, &err);
        member_ask_fail(ask, &err);
        return;
    }
    ask->has_ticket = true;
}

void member_ask_propose(struct member_ask *ask, Rayos__Registry__Command *command,
                        const char *reason)
{
    struct coord_member *m = ask->member;
    struct ray_err err = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = member_require_replica(m, &err);

    if (rc == RAY_OK) {
        rc = member_command_pack(m, command, &ask->caller, reason, &bytes, &size, &err);
    }
    if (rc != RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    member_ask_propose_bytes(ask, bytes, size);
    free(bytes);
}

static void on_read(void *arg, int status, uint64_t revision)
{
    struct member_ask *ask = arg;
    struct ray_err err = {0};

    (void)revision; /* the state machine's own says it */
    ask->has_ticket = false;
    if (status == RAY_OK) {
        ask->on_shown(ask, true);
        return;
    }
    (void)member_explain(status, &err);
    if (status == RAY_ENOQUORUM) {
        (void)ray_fail(&err, status, "no quorum answered in time");
        (void)ray_next(&err, "without --linearizable this member shows what it last heard");
    }
    member_ask_fail(ask, &err);
}

void member_ask_show(struct member_ask *ask, bool is_linearizable)
{
    struct coord_member *m = ask->member;
    struct ray_err err = {0};
    int rc = member_require_replica(m, &err);

    if (rc == RAY_OK && !is_linearizable) {
        ask->on_shown(ask, false);
        return;
    }
    if (rc == RAY_OK) {
        rc = coord_replica_read(m->replica, deadline_ns(ask), on_read, ask, &ask->ticket, &err);
    }
    if (rc != RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    ask->has_ticket = true;
}

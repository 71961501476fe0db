/* session.c - what makes a retry safe: the results of the last 64 requests of each client.
 *
 * All of it is replicated state, and so is the clock by which a session expires: it moves by
 * logged ticks only. A new leader's clock says nothing about the old one's, so the first tick of
 * a term moves nothing and gives every session its whole time anew. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/fsm/state.h"

enum { RESULT_CAPACITY_MIN = 4 };

static bool is_same_key(const void *value, const void *key)
{
    const struct fsm_item *item = value;

    return memcmp(item->key, key, sizeof item->key) == 0;
}

struct fsm_session *fsm_session_find(const struct coord_fsm *fsm, const struct ray_id *id)
{
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];

    fsm_key(key, FSM_RECORD_SESSION, 0, id);
    return fsm_table_find(&fsm->sessions, fsm_hash64(key, sizeof key), is_same_key, key);
}

struct fsm_session *fsm_session_create(struct coord_fsm *fsm, const struct ray_id *id)
{
    struct fsm_session *session =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *session);

    if (session == NULL) {
        return NULL;
    }
    session->id = *id;
    fsm_key(session->item.key, FSM_RECORD_SESSION, 0, id);
    if (!fsm_order_add(&fsm->session_order, &session->item)) {
        free(session);
        return NULL;
    }
    if (!fsm_table_add(&fsm->sessions, fsm_hash64(session->item.key, sizeof session->item.key),
                       session)) {
        fsm_order_remove(&fsm->session_order, &session->item);
        free(session);
        return NULL;
    }
    return session;
}

void fsm_session_free(struct fsm_session *session)
{
    for (size_t i = 0; i < session->result_capacity; i++) {
        free(session->results[i].bytes);
    }
    free(session->results);
    free(session);
}

void fsm_session_destroy(struct coord_fsm *fsm, struct fsm_session *session)
{
    fsm_session_sum(fsm, session, false);
    fsm_sum_subtract(&fsm->sum, &session->head_sum);
    fsm_dirty_remove(fsm, &session->item);
    fsm_order_remove(&fsm->session_order, &session->item);
    fsm_table_remove(&fsm->sessions, fsm_hash64(session->item.key, sizeof session->item.key),
                     session);
    fsm_session_free(session);
}

static struct fsm_stored_result *slot_of(const struct fsm_session *session, uint64_t sequence)
{
    return &session->results[sequence & (session->result_capacity - 1)];
}

const struct fsm_stored_result *fsm_session_result(const struct fsm_session *session,
                                                   uint64_t sequence)
{
    const struct fsm_stored_result *result;

    if (session->result_capacity == 0) {
        return NULL;
    }
    result = slot_of(session, sequence);
    return result->sequence == sequence ? result : NULL;
}

/* Texts with their NULs, then the body. */
static size_t stored_size(const struct fsm_stored_result *result)
{
    size_t text_size;

    if (result->bytes == NULL) {
        return 0;
    }
    text_size = strlen((const char *)result->bytes) + 1;
    text_size += strlen((const char *)result->bytes + text_size) + 1;
    return text_size + result->body_size;
}

static struct fsm_sum result_sum(const struct fsm_session *session,
                                 const struct fsm_stored_result *result)
{
    uint8_t bytes[COORD_FSM_RECORD_KEY_SIZE + 4 * sizeof(uint64_t)];
    uint8_t *at = bytes + COORD_FSM_RECORD_KEY_SIZE;

    memcpy(bytes, session->item.key, COORD_FSM_RECORD_KEY_SIZE);
    ray_store64le(at, result->sequence);
    ray_store64le(at + 8, result->revision);
    ray_store64le(at + 16, (uint64_t)result->code);
    ray_store64le(at + 24,
                  result->bytes == NULL ? 0 : fsm_hash64(result->bytes, stored_size(result)));
    return fsm_hash128(bytes, sizeof bytes);
}

void fsm_session_sum(struct coord_fsm *fsm, const struct fsm_session *session, bool is_add)
{
    for (size_t i = 0; i < session->result_capacity; i++) {
        if (session->results[i].sequence != 0) {
            struct fsm_sum sum = result_sum(session, &session->results[i]);

            if (is_add) {
                fsm_sum_add(&fsm->sum, &sum);
            } else {
                fsm_sum_subtract(&fsm->sum, &sum);
            }
        }
    }
}

void fsm_session_seal(struct coord_fsm *fsm, struct fsm_session *session)
{
    uint8_t bytes[COORD_FSM_RECORD_KEY_SIZE + 3 * sizeof(uint64_t) + COORD_NAME_SIZE] = {0};
    uint8_t *at = bytes + COORD_FSM_RECORD_KEY_SIZE;

    memcpy(bytes, session->item.key, COORD_FSM_RECORD_KEY_SIZE);
    ray_store64le(at, session->ttl_us);
    ray_store64le(at + 8, session->used_at_us);
    ray_store64le(at + 16, session->last_sequence);
    memcpy(at + 24, session->principal, sizeof session->principal);
    fsm_sum_subtract(&fsm->sum, &session->head_sum);
    session->head_sum = fsm_hash128(bytes, sizeof bytes);
    fsm_sum_add(&fsm->sum, &session->head_sum);
}

static void drop_result(struct coord_fsm *fsm, const struct fsm_session *session,
                        struct fsm_stored_result *result)
{
    struct fsm_sum sum = result_sum(session, result);

    fsm_sum_subtract(&fsm->sum, &sum);
    free(result->bytes);
    *result = (struct fsm_stored_result){0};
}

/* Results that leave the window because of a newer request. */
static void drop_old(struct coord_fsm *fsm, struct fsm_session *session, uint64_t last_sequence)
{
    uint64_t end =
        last_sequence < COORD_FSM_SESSION_WINDOW ? 0 : last_sequence - COORD_FSM_SESSION_WINDOW + 1;
    uint64_t at = session->last_sequence < COORD_FSM_SESSION_WINDOW
                      ? 1
                      : session->last_sequence - COORD_FSM_SESSION_WINDOW + 1;

    if (end > session->last_sequence + 1) { /* nothing stays */
        end = session->last_sequence + 1;
    }
    for (; at < end; at++) {
        if (fsm_session_result(session, at) != NULL) {
            drop_result(fsm, session, slot_of(session, at));
        }
    }
}

/* Until no two requests of the window want one slot. */
static bool grow_for(struct fsm_session *session, uint64_t sequence)
{
    uint32_t capacity = session->result_capacity;

    while (capacity == 0 || slot_of(session, sequence)->sequence != 0) {
        struct fsm_stored_result *old = session->results;
        uint32_t old_capacity = capacity;

        capacity = capacity > 0 ? capacity * 2 : RESULT_CAPACITY_MIN;
        assert(capacity <= COORD_FSM_SESSION_WINDOW);
        session->results =
            ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(capacity, sizeof *session->results);
        if (session->results == NULL) {
            session->results = old;
            return false;
        }
        session->result_capacity = capacity;
        for (size_t i = 0; i < old_capacity; i++) {
            if (old[i].sequence != 0) {
                *slot_of(session, old[i].sequence) = old[i];
            }
        }
        free(old);
    }
    return true;
}

static bool copy_result(struct fsm_stored_result *out, const struct coord_fsm_result *result)
{
    size_t text_size = strnlen(result->text, COORD_FSM_RESULT_TEXT_SIZE - 1);
    size_t next_size = strnlen(result->next_step, COORD_FSM_RESULT_TEXT_SIZE - 1);
    size_t size = text_size + next_size + result->body_size;

    if (size == 0) {
        return true;
    }
    out->bytes = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, size + 2);
    if (out->bytes == NULL) {
        return false;
    }
    memcpy(out->bytes, result->text, text_size);
    memcpy(out->bytes + text_size + 1, result->next_step, next_size);
    if (result->body_size > 0) {
        memcpy(out->bytes + text_size + next_size + 2, result->body, result->body_size);
    }
    out->body_size = (uint32_t)result->body_size;
    return true;
}

int fsm_session_store(struct coord_fsm *fsm, struct fsm_session *session, uint64_t sequence,
                      const struct coord_fsm_result *result)
{
    struct fsm_stored_result stored = {
        .sequence = sequence, .revision = result->revision, .code = result->code};
    struct fsm_sum sum;

    if (sequence > session->last_sequence) {
        drop_old(fsm, session, sequence);
        session->last_sequence = sequence;
    }
    if (!grow_for(session, sequence) || !copy_result(&stored, result)) {
        return RAY_ENOMEM;
    }
    *slot_of(session, sequence) = stored;
    sum = result_sum(session, &stored);
    fsm_sum_add(&fsm->sum, &sum);
    return RAY_OK;
}

static uint64_t expires_at_us(const struct coord_fsm *fsm, const struct fsm_session *session)
{
    uint64_t from_us = session->used_at_us;

    if (from_us < fsm->tick_term_clock_us) {
        from_us = fsm->tick_term_clock_us;
    }
    /* One tick more: after a time without ticks the clock that the session began at was late. */
    return from_us + session->ttl_us + COORD_FSM_TICK_MAX_US;
}

void fsm_session_used(struct coord_fsm *fsm, struct fsm_session *session)
{
    uint64_t at_us;

    session->used_at_us = fsm->clock_us;
    at_us = expires_at_us(fsm, session);
    if (at_us < fsm->session_check_at_us) {
        fsm->session_check_at_us = at_us;
    }
    fsm_session_seal(fsm, session);
    fsm_dirty_add(fsm, &session->item);
}

int fsm_sessions_expire(struct coord_fsm *fsm)
{
    uint64_t next_us = UINT64_MAX;
    size_t i = 0;

    if (fsm->clock_us < fsm->session_check_at_us) {
        return RAY_OK;
    }
    fsm_order_sort(&fsm->session_order);
    while (i < fsm->session_order.count) {
        struct fsm_session *session = (struct fsm_session *)fsm->session_order.items[i];
        uint64_t at_us = expires_at_us(fsm, session);

        if (fsm->clock_us < at_us) {
            next_us = at_us < next_us ? at_us : next_us;
            i++;
            continue;
        }
        if (fsm_dump_save(fsm, &session->item) != RAY_OK) {
            return RAY_ENOMEM;
        }
        fsm_session_destroy(fsm, session);
    }
    fsm->session_check_at_us = next_us;
    return RAY_OK;
}

/* Whoever is known opens sessions: the others keep room for theirs. */
static int check_share(struct fsm_apply *apply)
{
    const struct fsm_order *order = &apply->fsm->session_order;
    const char *principal = apply->header->principal;
    size_t count = 0;

    if (apply->header->caller != RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL) {
        return RAY_OK; /* members, and who has a node anyway */
    }
    for (size_t i = 0; i < order->count; i++) {
        const struct fsm_session *session = (const struct fsm_session *)order->items[i];

        count += strcmp(session->principal, principal) == 0;
    }
    if (count < COORD_FSM_PRINCIPAL_SESSIONS_MAX) {
        return RAY_OK;
    }
    (void)ray_fail(apply->err, RAY_ETOOBIG, "%s has %d sessions open, no more are possible",
                   principal, COORD_FSM_PRINCIPAL_SESSIONS_MAX);
    (void)ray_next(apply->err, "close some, or wait: unused ones expire");
    return RAY_ETOOBIG;
}

static int open_new(struct fsm_apply *apply, const struct ray_id *id, uint64_t ttl_us)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_session *session;
    int rc = check_share(apply);

    if (rc != RAY_OK) {
        return rc;
    }
    if (fsm->sessions.count >= COORD_FSM_SESSIONS_MAX) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "%d sessions are open, no more are possible",
                          COORD_FSM_SESSIONS_MAX);
    }
    session = fsm_session_create(fsm, id);
    if (session == NULL) {
        return RAY_ENOMEM;
    }
    session->ttl_us = ttl_us;
    memcpy(session->principal, apply->header->principal, strlen(apply->header->principal));
    fsm_session_used(fsm, session);
    return RAY_OK;
}

static int check_owner(struct fsm_apply *apply, const struct fsm_session *session)
{
    if (strcmp(session->principal, apply->header->principal) != 0) {
        return fsm_refuse(apply->err, RAY_EDENIED, "the session belongs to somebody else");
    }
    return RAY_OK;
}

int fsm_session_open(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__SessionOpen *open = command;
    struct fsm_session *session;
    struct ray_id id;
    int rc = fsm_id(&open->id, "session", &id, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (open->ttl_us < COORD_FSM_SESSION_TTL_MIN_US ||
        open->ttl_us > COORD_FSM_SESSION_TTL_MAX_US) {
        return fsm_refuse(apply->err, RAY_EINVAL, "a session lives between 10 s and a day");
    }
    session = fsm_session_find(apply->fsm, &id);
    if (session == NULL) {
        return open_new(apply, &id, open->ttl_us);
    }
    rc = check_owner(apply, session);
    if (rc != RAY_OK) {
        return rc;
    }
    if (fsm_dump_save(apply->fsm, &session->item) != RAY_OK) {
        return RAY_ENOMEM;
    }
    session->ttl_us = open->ttl_us;
    fsm_session_used(apply->fsm, session);
    return RAY_OK;
}

/* The session that a keep or close means, and that the principal may use; it will change. */
static int find_own(struct fsm_apply *apply, const ProtobufCBinaryData *bytes,
                    struct fsm_session **out)
{
    struct fsm_session *session;
    struct ray_id id;
    int rc = fsm_id(bytes, "session", &id, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    session = fsm_session_find(apply->fsm, &id);
    if (session == NULL) {
        return fsm_refuse(apply->err, RAY_ENOTFOUND, "no such session");
    }
    rc = check_owner(apply, session);
    if (rc != RAY_OK) {
        return rc;
    }
    if (fsm_dump_save(apply->fsm, &session->item) != RAY_OK) {
        return RAY_ENOMEM;
    }
    *out = session;
    return RAY_OK;
}

int fsm_session_keep(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__SessionKeep *keep = command;
    struct fsm_session *session = NULL;
    int rc = find_own(apply, &keep->id, &session);

    if (rc == RAY_OK) {
        fsm_session_used(apply->fsm, session);
    }
    return rc;
}

int fsm_session_close(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__SessionClose *close = command;
    struct fsm_session *session = NULL;
    int rc = find_own(apply, &close->id, &session);

    if (rc == RAY_OK) {
        fsm_session_destroy(apply->fsm, session);
    }
    return rc;
}

/* follow.c - a node outside of the log follows a member: it lists what concerns it, then watches.
 *
 *     begin ── link, connection ──▶ list, page by page ──▶ view to the replica ──▶ watch
 *       ▲                                 ▲                                          │
 *       └── lost, silent: the next one    └──────── resync, or a guest has come ─────┘
 *
 * The member is found again for each beginning, in an order of this node's own. The watch goes on
 * at the replica's view, so that a change of member costs a list but never goes back in time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto_codec.h"
#include "net/rpc_link.h"

enum {
    FOLLOW_RETRY_MS = 200,
    FOLLOW_SILENCE_MS = 5000, /* bookmarks come once a second */
    FOLLOW_PAGE_COUNT = 500,
    BATCH_SIZE_MAX = 8 << 20, /* of one batch or page */
};

struct member_follow {
    struct coord_member *member;
    struct ray_timer timer; /* what has to come by then, or the next attempt */
    struct ray_rpc_client *client;
    size_t attempt; /* which of the candidates */
    struct coord_fsm *listing;
    struct ray_buf cursor;
    struct ray_buf bytes; /* parts of a page or batch */
    uint64_t heard_ns;    /* by the member, before the oldest of the pages */
    uint64_t call_id;
    bool is_over; /* the connection is to be given up at the timer */
};

static void list(struct member_follow *follow);

/* ---- beginnings and ends ---- */

static void hang_up(struct member_follow *follow)
{
    struct ray_rpc_client *client = follow->client;

    follow->client = NULL;
    ray_rpc_client_destroy(client); /* its calls end as canceled */
    coord_fsm_destroy(follow->listing);
    follow->listing = NULL;
    ray_buf_clear(&follow->bytes);
    ray_buf_clear(&follow->cursor);
}

/* From within a callback of the connection, too: the timer hangs up. */
static void give_up(struct member_follow *follow, const struct ray_err *why)
{
    if (follow->is_over) {
        return;
    }
    ray_log(follow->member->config.logger, RAY_LOG_INFO, "follow", "%s", why->text);
    follow->is_over = true;
    follow->attempt++;
    ray_timer_start(&follow->timer, FOLLOW_RETRY_MS, 0);
}

static int connect_to(struct member_follow *follow, struct ray_err *err)
{
    struct coord_member *m = follow->member;
    struct ray_id candidates[MEMBER_CANDIDATES_MAX];
    size_t count = member_candidates(m, candidates);
    char text[RAY_ID_TEXT_SIZE];
    int rc = ray_fail(err, RAY_EUNAVAILABLE, "no member is known");

    for (size_t i = 0; i < count && rc != RAY_OK; i++) {
        const struct ray_id *id = &candidates[(follow->attempt + i) % count];

        rc = ray_rpc_client_create_link(&follow->client, m->rpc, id, err);
        if (rc == RAY_OK) {
            ray_log(m->config.logger, RAY_LOG_INFO, "follow", "member=%s", ray_id_format(id, text));
        }
    }
    return rc;
}

static void begin(struct member_follow *follow)
{
    struct ray_err err = {0};

    follow->is_over = false;
    if (connect_to(follow, &err) != RAY_OK) {
        ray_timer_start(&follow->timer, FOLLOW_RETRY_MS, 0); /* links come by themselves */
        return;
    }
    list(follow);
}

static void on_timer(void *arg)
{
    struct member_follow *follow = arg;
    struct ray_err err = {0};

    if (follow->client != NULL && !follow->is_over) {
        (void)ray_fail(&err, RAY_ETIMEOUT, "the member that is followed is silent");
        give_up(follow, &err);
    }
    hang_up(follow);
    begin(follow);
}

/* ---- watching ---- */

/* 0: never. */
static uint64_t heard_at(uint64_t age_ms)
{
    uint64_t now_ns = ray_clock_boottime_ns();

    return age_ms < now_ns / RAY_NS_PER_MS ? now_ns - age_ms * RAY_NS_PER_MS : 0;
}

static void on_part(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Cluster__WatchPart *part = (const Rayos__Cluster__WatchPart *)item;
    struct member_follow *follow = arg;
    struct ray_err err = {0};
    int rc = ray_buf_append(&follow->bytes, part->bytes.data, part->bytes.len);

    if (follow->is_over) {
        return;
    }
    if (rc != RAY_OK) {
        (void)ray_fail(&err, rc, "a batch of events is too large");
    } else if (part->is_last) {
        rc = coord_replica_show_batch(follow->member->replica, follow->bytes.data,
                                      follow->bytes.size, heard_at(part->age_ms), &err);
        follow->member->has_node_news = true;
        ray_buf_clear(&follow->bytes);
        ray_timer_start(&follow->timer, FOLLOW_SILENCE_MS, 0);
    }
    if (rc == RAY_EAGAIN) {
        ray_rpc_call_cancel(follow->client, follow->call_id);
        list(follow);
    } else if (rc != RAY_OK) {
        give_up(follow, &err);
    }
}

static void on_watch_end(void *arg, const struct ray_rpc_result *result)
{
    struct member_follow *follow = arg;
    struct ray_err err = {0};

    if (result->code != RAY_ECANCELED) { /* by ourselves */
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "the watch has ended: %s", result->text);
        give_up(follow, &err);
    }
}

static void watch(struct member_follow *follow)
{
    struct coord_member *m = follow->member;
    Rayos__Cluster__WatchRequest request = RAYOS__CLUSTER__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchRequest inner = RAYOS__REGISTRY__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchFilter filter = RAYOS__REGISTRY__WATCH_FILTER__INIT;
    uint8_t bytes[128];
    struct ray_err err = {0};

    filter.node = ray_proto_id(&m->id);
    inner.filter = &filter;
    inner.after_revision = coord_fsm_index(coord_replica_fsm(m->replica));
    inner.with_pulse = true;
    assert(rayos__registry__watch_request__get_packed_size(&inner) <= sizeof bytes);
    request.request.len = rayos__registry__watch_request__pack(&inner, bytes);
    request.request.data = bytes;
    ray_buf_clear(&follow->bytes);
    ray_timer_start(&follow->timer, FOLLOW_SILENCE_MS, 0);
    if (ray_rpc_stream_start(follow->client, "registry.watch", &request.base,
                             &rayos__cluster__watch_part__descriptor,
                             &rayos__cluster__done__descriptor, 0, on_part, on_watch_end, follow,
                             &follow->call_id, &err) != RAY_OK) {
        give_up(follow, &err);
    }
}

/* ---- listing ---- */

static void ask_page(struct member_follow *follow);

static void on_page_part(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Cluster__QueryPart *part = (const Rayos__Cluster__QueryPart *)item;
    struct member_follow *follow = arg;
    struct ray_err err = {0};
    int rc = ray_buf_append(&follow->bytes, part->bytes.data, part->bytes.len);

    if (rc != RAY_OK) {
        (void)ray_fail(&err, rc, "a page of the registry is too large");
        give_up(follow, &err);
    }
}

static int take_page(struct member_follow *follow, const struct ray_rpc_result *result,
                     struct ray_err *err)
{
    const Rayos__Cluster__QueryEnd *end = (const Rayos__Cluster__QueryEnd *)result->body;

    if (result->code != RAY_OK) {
        return ray_fail(err, result->code, "the list has ended: %s", result->text);
    }
    if (end->size != follow->bytes.size) {
        return ray_fail(err, RAY_EMALFORMED, "a page of the registry is not whole");
    }
    ray_buf_clear(&follow->cursor);
    if (heard_at(end->age_ms) < follow->heard_ns) {
        follow->heard_ns = heard_at(end->age_ms);
    }
    return coord_fsm_view_page(follow->listing, follow->bytes.data, follow->bytes.size,
                               &follow->cursor, err);
}

static void show(struct member_follow *follow)
{
    struct coord_fsm *view = follow->listing;
    struct ray_err err = {0};

    follow->listing = NULL;
    if (coord_replica_show(follow->member->replica, view, follow->heard_ns, &err) != RAY_OK) {
        give_up(follow, &err);
        return;
    }
    follow->member->has_node_news = true;
    watch(follow);
}

static void on_page_end(void *arg, const struct ray_rpc_result *result)
{
    struct member_follow *follow = arg;
    struct ray_err err = {0};

    if (result->code == RAY_ECANCELED || follow->is_over) {
        return;
    }
    if (take_page(follow, result, &err) != RAY_OK) {
        give_up(follow, &err);
    } else if (follow->cursor.size > 0) {
        ask_page(follow);
    } else {
        show(follow);
    }
}

static void ask_page(struct member_follow *follow)
{
    struct coord_member *m = follow->member;
    Rayos__Cluster__QueryRequest request = RAYOS__CLUSTER__QUERY_REQUEST__INIT;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    uint8_t bytes[256];
    struct ray_err err = {0};
    int rc = RAY_OK;

    query.node = ray_proto_id(&m->id);
    query.count_max = FOLLOW_PAGE_COUNT;
    query.cursor = (ProtobufCBinaryData){follow->cursor.size, follow->cursor.data};
    request.query.len = rayos__registry__query__get_packed_size(&query);
    if (request.query.len > sizeof bytes) {
        rc = ray_fail(&err, RAY_EMALFORMED, "a cursor of %zu bytes", follow->cursor.size);
    } else {
        request.query.data = bytes;
        (void)rayos__registry__query__pack(&query, bytes);
        ray_buf_clear(&follow->bytes);
        ray_timer_start(&follow->timer, FOLLOW_SILENCE_MS, 0);
        rc = ray_rpc_stream_start(follow->client, "registry.query", &request.base,
                                  &rayos__cluster__query_part__descriptor,
                                  &rayos__cluster__query_end__descriptor, FOLLOW_SILENCE_MS,
                                  on_page_part, on_page_end, follow, NULL, &err);
    }
    if (rc != RAY_OK) {
        give_up(follow, &err);
    }
}

static void list(struct member_follow *follow)
{
    struct ray_err err = {0};

    coord_fsm_destroy(follow->listing);
    follow->listing = NULL;
    ray_buf_clear(&follow->cursor);
    follow->heard_ns = UINT64_MAX;
    if (coord_fsm_view_create(&follow->listing, &follow->member->id, &err) != RAY_OK) {
        give_up(follow, &err);
        return;
    }
    ask_page(follow);
}

/* ---- life ---- */

static void start(struct coord_member *m)
{
    struct member_follow *follow = calloc(1, sizeof *follow);
    struct ray_err err = {0};

    if (follow == NULL) {
        return; /* the next turn tries again */
    }
    follow->member = m;
    ray_buf_init(&follow->bytes, BATCH_SIZE_MAX);
    ray_buf_init(&follow->cursor, 1024);
    m->follow = follow;
    if (ray_timer_init(&follow->timer, m->config.loop, on_timer, follow, &err) != RAY_OK) {
        member_follow_fini(m);
        return;
    }
    ray_timer_start(&follow->timer, 0, 0);
}

void member_follow_turn(struct coord_member *m)
{
    struct coord_replica_status status;
    bool is_wanted;

    coord_replica_status(m->replica, &status);
    is_wanted = status.role == COORD_REPLICA_WAITING || coord_replica_has_view(m->replica);
    if (is_wanted && m->follow == NULL) {
        start(m);
    } else if (!is_wanted && m->follow != NULL) {
        member_follow_fini(m);
    }
}

void member_follow_fini(struct coord_member *m)
{
    struct member_follow *follow = m->follow;

    if (follow == NULL) {
        return;
    }
    hang_up(follow);
    ray_timer_fini(&follow->timer);
    ray_buf_fini(&follow->bytes);
    ray_buf_fini(&follow->cursor);
    free(follow);
    m->follow = NULL;
}

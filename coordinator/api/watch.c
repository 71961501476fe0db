/* watch.c - registry.watch: batches of the hub as items of a call.
 *
 * A batch may be larger than a message, so it goes in parts. The hub has one batch per watcher
 * under way: while parts of it wait, the next is refused (RAY_EAGAIN) and comes again. The flow
 * of the call (net/rpc) is the only one: what a batch costs in the hub is given back at once. */
#include <stdlib.h>
#include <string.h>

#include "base/varint.h"
#include "coordinator/api/impl.h"
#include "net/proto_codec.h"

enum { PART_SIZE = 48 << 10, TAG_EVENT = 1 << 3 | 2, TAG_REVISION = 2 << 3 }; /* of WatchBatch */

struct watch_ask {
    struct member_ask ask;
    uint64_t number;
    struct ray_buf batch; /* what the caller has not taken yet */
    size_t sent;
    uint64_t revision; /* of the batch */
    uint32_t cost;     /* in the hub, of what it gave since the last turn */
    int failure;       /* the call ends with it when the hub is done */
    bool is_in_hub;
};

static struct watch_ask *watch_of(struct coord_member *m, uint64_t number);

struct batch_facts {
    uint64_t revision; /* 0: it has none */
    uint32_t event_count;
};

/* Of a WatchBatch, without unpacking its events. */
static struct batch_facts facts_of(const uint8_t *bytes, size_t size)
{
    struct batch_facts facts = {.revision = 0};

    for (size_t at = 0; at < size;) {
        uint8_t tag = bytes[at++];
        uint64_t value = 0;

        at += ray_varint_take(bytes + at, size - at, &value);
        if (tag == TAG_EVENT) {
            at = value <= size - at ? at + (size_t)value : size;
            facts.event_count++;
        } else if (tag == TAG_REVISION) {
            facts.revision = value;
        }
    }
    return facts;
}

/* RAY_OK, or the call is of no use any more. */
static int send_parts(struct watch_ask *watch)
{
    while (watch->sent < watch->batch.size) {
        Rayos__Cluster__WatchPart part = RAYOS__CLUSTER__WATCH_PART__INIT;
        size_t left = watch->batch.size - watch->sent;
        int rc;

        part.bytes =
            ray_proto_bytes(watch->batch.data + watch->sent, left < PART_SIZE ? left : PART_SIZE);
        part.is_last = part.bytes.len == left;
        if (part.is_last) {
            part.revision = watch->revision;
            part.age_ms = member_age_ms(watch->ask.member);
        }
        rc = ray_rpc_send(watch->ask.call, &part.base);
        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return RAY_OK; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            return rc;
        }
        watch->sent += part.bytes.len;
    }
    watch->sent = 0;
    ray_buf_clear(&watch->batch);
    return RAY_OK;
}

static void end_watch(struct watch_ask *watch, int code)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, code, "events could not be sent: %s", ray_err_text(code));
    (void)ray_next(&err, "watch again, after the last revision that came");
    member_ask_fail(&watch->ask, &err);
}

static void on_drain(void *arg)
{
    struct watch_ask *watch = arg;
    int rc = send_parts(watch);

    if (rc != RAY_OK) {
        end_watch(watch, rc);
    }
}

/* From within the hub, which must not be called. */
static int on_batch(void *arg, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct coord_member *m = arg;
    struct watch_ask *watch = watch_of(m, number);
    struct batch_facts facts;

    if (watch == NULL || watch->failure != RAY_OK) {
        return RAY_ECLOSED;
    }
    if (watch->batch.size != 0) {
        return RAY_EAGAIN;
    }
    if (ray_buf_append(&watch->batch, bytes, size) != RAY_OK) {
        return RAY_EAGAIN; /* memory may come back */
    }
    facts = facts_of(bytes, size);
    watch->revision = facts.revision;
    watch->cost += facts.event_count;
    watch->failure = send_parts(watch);
    return watch->failure;
}

static void on_watch_release(struct member_ask *ask)
{
    struct watch_ask *watch = (struct watch_ask *)ask;

    if (watch->is_in_hub) {
        coord_watch_hub_remove(ask->member->hub, watch->number);
    }
    ray_buf_fini(&watch->batch);
}

static struct watch_ask *watch_of(struct coord_member *m, uint64_t number)
{
    struct member_ask *ask;

    LIST_FOREACH(ask, &m->asks, entry)
    {
        if (ask->on_release == on_watch_release && ((struct watch_ask *)ask)->number == number) {
            return (struct watch_ask *)ask;
        }
    }
    return NULL;
}

/* What the hub has taken off for the batches that it gave. */
static void give_back(struct watch_ask *watch)
{
    Rayos__Registry__WatchCredit credit = RAYOS__REGISTRY__WATCH_CREDIT__INIT;
    uint8_t bytes[16];
    struct ray_err err = {0};

    credit.credit = watch->cost;
    watch->cost = 0;
    if (coord_watch_hub_credit(watch->ask.member->hub, watch->number, bytes,
                               rayos__registry__watch_credit__pack(&credit, bytes),
                               &err) != RAY_OK) {
        member_ask_fail(&watch->ask, &err);
    }
}

/* After a tick of the hub. */
static void settle(struct coord_member *m)
{
    struct member_ask *ask = LIST_FIRST(&m->asks);

    while (ask != NULL) {
        struct watch_ask *watch = (struct watch_ask *)ask;
        bool is_watch = ask->on_release == on_watch_release;

        ask = LIST_NEXT(ask, entry);
        if (is_watch && watch->failure != RAY_OK) {
            end_watch(watch, watch->failure);
        } else if (is_watch && watch->cost != 0) {
            give_back(watch);
        }
    }
}

static uint64_t now_ms(void)
{
    return ray_clock_boottime_ns() / RAY_NS_PER_MS;
}

static void arm(struct coord_member *m)
{
    uint64_t at_ms = coord_watch_hub_next_ms(m->hub, now_ms());

    if (at_ms == UINT64_MAX) {
        ray_timer_stop(&m->hub_timer);
    } else {
        uint64_t now = now_ms();

        ray_timer_start(&m->hub_timer, at_ms > now ? at_ms - now : 0, 0);
    }
}

static void on_hub_timer(void *arg)
{
    (void)arg; /* the turn that follows does it */
}

int member_watch_init(struct coord_member *m, struct coord_watch_ring *ring, struct ray_err *err)
{
    int rc = coord_watch_hub_create(&m->hub, ring, on_batch, m, err);

    return rc == RAY_OK ? ray_timer_init(&m->hub_timer, m->config.loop, on_hub_timer, m, err) : rc;
}

void member_watch_fini(struct coord_member *m)
{
    coord_watch_hub_destroy(m->hub);
    m->hub = NULL;
    ray_timer_fini(&m->hub_timer);
}

void member_watch_end(struct coord_member *m, const struct ray_err *why)
{
    struct member_ask *ask = LIST_FIRST(&m->asks);

    while (ask != NULL) {
        struct member_ask *next = LIST_NEXT(ask, entry);

        if (ask->on_release == on_watch_release) {
            member_ask_fail(ask, why);
        }
        ask = next;
    }
}

void member_watch_turn(struct coord_member *m)
{
    if (m->hub == NULL || coord_watch_hub_count(m->hub) == 0) {
        return;
    }
    if (coord_watch_hub_next_ms(m->hub, now_ms()) <= now_ms()) {
        coord_watch_hub_tick(m->hub, now_ms());
        settle(m);
    }
    arm(m);
}

/* The client's request with a credit of ours. */
static int add(struct watch_ask *watch, const Rayos__Cluster__WatchRequest *request,
               struct ray_err *err)
{
    struct coord_member *m = watch->ask.member;
    Rayos__Registry__WatchRequest *inner;
    ProtobufCMessage *message = NULL;
    uint8_t *bytes;
    size_t size;
    int rc;

    ray_arena_reset(&m->arena);
    rc = ray_proto_unpack(&rayos__registry__watch_request__descriptor, request->request.data,
                          request->request.len, &m->arena, &message, err);
    if (rc != RAY_OK) {
        return rc;
    }
    inner = (Rayos__Registry__WatchRequest *)message;
    inner->credit = 4 * COORD_WATCH_BATCH_COUNT_MAX;
    size = rayos__registry__watch_request__get_packed_size(inner);
    bytes = ray_arena_alloc(&m->arena, size + 1);
    if (bytes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a watch");
    }
    (void)rayos__registry__watch_request__pack(inner, bytes);
    rc = coord_watch_hub_add(m->hub, watch->number, now_ms(), bytes, size, err);
    watch->is_in_hub = rc == RAY_OK;
    return rc;
}

void member_watch(struct coord_member *m, const struct member_caller *caller,
                  struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    struct watch_ask *watch = member_ask_new(m, caller, call, sizeof *watch);
    struct ray_err err = {0};
    int rc;

    if (watch == NULL) {
        return;
    }
    watch->number = ++m->last_watcher;
    ray_buf_init(&watch->batch, 4 * COORD_WATCH_BATCH_SIZE_MAX + COORD_FSM_RECORD_SIZE_MAX);
    watch->ask.on_release = on_watch_release;
    ray_rpc_call_on_drain(call, on_drain, watch);
    rc = member_require_stream(m, &err);
    if (rc == RAY_OK) {
        rc = add(watch, (const Rayos__Cluster__WatchRequest *)input, &err);
    }
    if (rc != RAY_OK) {
        member_ask_fail(&watch->ask, &err);
    }
}

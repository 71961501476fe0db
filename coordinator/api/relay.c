/* relay.c - a node outside of the log lets a member answer: what it has itself is a part.
 *
 * One connection to one member carries all relayed calls. When it ends, calls that have given
 * nothing to their caller yet, and streams that can say where they were, go on at another member;
 * others end with an error. A caller that is slow holds its call (at most a window of items waits
 * here). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto_codec.h"
#include "net/rpc_link.h"

enum {
    RETRY_MS = 100,
    WAIT_MS = 3000, /* for a member, when none is up */
    WINDOW = RAY_RPC_STREAM_WINDOW,
};

struct relay_ask;

/* What a client's call knows of the ask, which may end before it. */
struct relay_try {
    struct relay_ask *ask; /* NULL: ended */
};

struct relay_item {
    uint8_t *bytes;
    size_t size;
};

struct relay_ask {
    struct member_ask ask; /* first */
    const struct member_relayed *relayed;
    ProtobufCMessage *input; /* a copy; says where to go on */
    struct relay_try *try;   /* under way; NULL: waits for a member */
    uint64_t call_id;
    uint64_t give_up_ns; /* without a member by then */
    struct relay_item waiting[WINDOW + 1];
    size_t waiting_first;
    size_t waiting_count;
    bool has_sent;   /* the caller has got something */
    bool can_resume; /* at what it has got */
    bool has_ended;  /* with this, behind what waits: */
    ProtobufCMessage *end;
    struct ray_err err;
};

struct member_relays {
    struct coord_member *member;
    struct ray_timer timer; /* for those who wait for a member */
    struct ray_rpc_client *client;
    bool is_closed; /* the client is */
    size_t attempt;
};

static void on_relay_release(struct member_ask *ask);

/* ---- where to go on ---- */

static void note_event(struct relay_ask *relay, const ProtobufCMessage *item)
{
    Rayos__Cluster__EventsRequest *request = (Rayos__Cluster__EventsRequest *)relay->input;

    request->after_sequence = ((const Rayos__Cluster__Event *)item)->sequence;
    relay->can_resume = true;
}

static void note_part(struct relay_ask *relay, const ProtobufCMessage *item)
{
    const Rayos__Cluster__WatchPart *part = (const Rayos__Cluster__WatchPart *)item;
    Rayos__Cluster__WatchRequest *request = (Rayos__Cluster__WatchRequest *)relay->input;
    Rayos__Registry__WatchRequest *inner;
    uint8_t *bytes;

    relay->can_resume = false;
    if (!part->is_last || part->revision == 0) {
        return;
    }
    inner =
        rayos__registry__watch_request__unpack(NULL, request->request.len, request->request.data);
    if (inner == NULL) {
        return;
    }
    inner->after_revision = part->revision;
    inner->from_now = false;
    bytes = malloc(rayos__registry__watch_request__get_packed_size(inner) + 1);
    if (bytes != NULL) {
        free(request->request.data);
        request->request.len = rayos__registry__watch_request__pack(inner, bytes);
        request->request.data = bytes;
        relay->can_resume = true;
    }
    rayos__registry__watch_request__free_unpacked(inner, NULL);
}

static void note_item(struct relay_ask *relay, const ProtobufCMessage *item)
{
    relay->has_sent = true;
    if (item->descriptor == &rayos__cluster__event__descriptor) {
        note_event(relay, item);
    } else if (item->descriptor == &rayos__cluster__watch_part__descriptor) {
        note_part(relay, item);
    }
}

/* ---- to the caller ---- */

/* The ask is gone afterwards. */
static void finish(struct relay_ask *relay)
{
    if (relay->end != NULL) {
        member_ask_reply(&relay->ask, relay->end);
    } else {
        member_ask_fail(&relay->ask, &relay->err);
    }
}

static bool forward(struct relay_ask *relay, const ProtobufCMessage *item)
{
    return ray_rpc_send(relay->ask.call, item) == RAY_OK;
}

/* Gone, it is on_cancel's. */
static void on_drain(void *arg)
{
    struct relay_ask *relay = arg;
    struct member_relays *relays = relay->ask.member->relays;

    while (relay->waiting_count > 0) {
        struct relay_item *item = &relay->waiting[relay->waiting_first];
        ProtobufCMessage *message =
            protobuf_c_message_unpack(relay->relayed->item, NULL, item->size, item->bytes);
        bool is_sent = message != NULL && forward(relay, message);

        if (message != NULL) {
            protobuf_c_message_free_unpacked(message, NULL);
        }
        if (!is_sent) {
            return;
        }
        free(item->bytes);
        relay->waiting_first = (relay->waiting_first + 1) % (WINDOW + 1);
        relay->waiting_count--;
    }
    if (relay->has_ended) {
        finish(relay);
    } else if (relay->try != NULL) {
        ray_rpc_call_hold(relays->client, relay->call_id, false);
    }
}

static int keep(struct relay_ask *relay, const ProtobufCMessage *item)
{
    struct relay_item *place =
        &relay->waiting[(relay->waiting_first + relay->waiting_count) % (WINDOW + 1)];

    if (relay->waiting_count > WINDOW) {
        return RAY_ETOOBIG;
    }
    place->size = protobuf_c_message_get_packed_size(item);
    place->bytes = malloc(place->size + 1);
    if (place->bytes == NULL) {
        return RAY_ENOMEM;
    }
    (void)protobuf_c_message_pack(item, place->bytes);
    relay->waiting_count++;
    return RAY_OK;
}

/* ---- from the member ---- */

static void end_try(struct relay_ask *relay)
{
    if (relay->try != NULL) {
        relay->try->ask = NULL; /* freed by its own end */
        relay->try = NULL;
        ray_rpc_call_cancel(relay->ask.member->relays->client, relay->call_id);
    }
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct relay_try *try = arg;
    struct relay_ask *relay = try->ask;
    int rc;

    if (relay == NULL) {
        return;
    }
    note_item(relay, item);
    if (relay->waiting_count == 0 && forward(relay, item)) {
        return;
    }
    ray_rpc_call_hold(relay->ask.member->relays->client, relay->call_id, true);
    rc = keep(relay, item);
    if (rc != RAY_OK) {
        (void)ray_fail(&relay->err, rc, "an answer could not be handed on");
        finish(relay);
    }
}

/* One who asks does not put off those who wait already. */
static void wait_for_member(struct relay_ask *relay)
{
    struct ray_timer *timer = &relay->ask.member->relays->timer;

    if (!ray_timer_is_active(timer)) {
        ray_timer_start(timer, RETRY_MS, 0);
    }
}

/* A connection that was left for a better one ends its calls as canceled. */
static bool may_go_on(const struct relay_ask *relay, int code)
{
    return (code == RAY_ECLOSED || code == RAY_EUNAVAILABLE || code == RAY_ECANCELED) &&
           (!relay->has_sent || relay->can_resume);
}

static void take_end(struct relay_ask *relay, const struct ray_rpc_result *result)
{
    int code = result->code;

    relay->has_ended = true;
    if (code == RAY_OK) {
        relay->end = protobuf_c_message_unpack(relay->relayed->output, NULL, result->packed_size,
                                               result->packed);
        code = relay->end == NULL ? RAY_ENOMEM : RAY_OK;
    }
    if (code == RAY_ECLOSED || code == RAY_ECANCELED) {
        (void)ray_fail(&relay->err, RAY_EUNAVAILABLE, "the member that answered was lost");
        (void)ray_next(&relay->err, "ask again");
    } else if (code != RAY_OK) {
        (void)ray_fail(&relay->err, code, "%s", result->text);
        (void)ray_next(&relay->err, "%s", result->next_step);
    }
}

static void sign(struct relay_ask *relay, char id[static RAY_ID_TEXT_SIZE],
                 Rayos__Cluster__Status *status)
{
    *status = *(const Rayos__Cluster__Status *)relay->end;
    member_status_sign(relay->ask.member, id, status);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct relay_try *try = arg;
    struct relay_ask *relay = try->ask;

    free(try);
    if (relay == NULL) {
        return;
    }
    relay->try = NULL;
    if (may_go_on(relay, result->code) && ray_clock_boottime_ns() < relay->give_up_ns) {
        relay->ask.member->relays->is_closed |= result->code == RAY_EUNAVAILABLE;
        wait_for_member(relay);
        return;
    }
    take_end(relay, result);
    if (relay->end != NULL && relay->relayed->output == &rayos__cluster__status__descriptor) {
        char id[RAY_ID_TEXT_SIZE];
        Rayos__Cluster__Status status;

        sign(relay, id, &status);
        member_ask_reply(&relay->ask, &status.base);
    } else if (relay->waiting_count == 0) {
        finish(relay);
    }
}

/* ---- a member ---- */

static void on_closed(void *arg)
{
    ((struct member_relays *)arg)->is_closed = true;
}

static bool is_connected(const struct member_relays *relays)
{
    return relays->client != NULL && !relays->is_closed;
}

/* Ends the calls of a connection that is closed, and with them perhaps other asks. */
static int connect_to(struct member_relays *relays, struct ray_err *err)
{
    struct coord_member *m = relays->member;
    struct ray_id candidates[MEMBER_CANDIDATES_MAX];
    size_t count;
    int rc;

    if (is_connected(relays)) {
        return RAY_OK;
    }
    ray_rpc_client_destroy(relays->client);
    relays->client = NULL;
    relays->is_closed = false;
    count = member_candidates(m, candidates);
    rc = ray_fail(err, RAY_EUNAVAILABLE, "no member is heard");
    for (size_t i = 0; i < count && rc != RAY_OK; i++) {
        rc = ray_rpc_client_create_link(&relays->client, m->rpc,
                                        &candidates[(relays->attempt + i) % count], err);
    }
    if (rc == RAY_OK) {
        ray_rpc_client_on_close(relays->client, on_closed, relays);
    }
    return rc;
}

static uint64_t timeout_ms(const struct relay_ask *relay)
{
    uint64_t left_ms = ray_rpc_call_remaining_ms(relay->ask.call);

    return relay->relayed->item != NULL && left_ms == 0 ? 0
           : left_ms == 0                               ? MEMBER_TIMEOUT_MS
                                                        : left_ms;
}

static int ask_member(struct relay_ask *relay, struct ray_err *err)
{
    struct member_relays *relays = relay->ask.member->relays;
    const struct member_relayed *relayed = relay->relayed;
    struct relay_try *try;
    int rc;

    if (!is_connected(relays)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "no member is heard");
    }
    try = calloc(1, sizeof *try);
    if (try == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a call of another node");
    }
    try->ask = relay;
    rc = relayed->item != NULL
             ? ray_rpc_stream_start(relays->client, relayed->method, relay->input, relayed->item,
                                    relayed->output, timeout_ms(relay), on_item, on_end, try,
                                    &relay->call_id, err)
             : ray_rpc_call_start(relays->client, relayed->method, relay->input, NULL, 0,
                                  relayed->output, timeout_ms(relay), NULL, on_end, try,
                                  &relay->call_id, err);
    if (rc != RAY_OK) {
        free(try);
        relays->is_closed = relays->is_closed || rc == RAY_ECLOSED;
        return rc == RAY_ECLOSED || rc == RAY_EAGAIN ? RAY_EUNAVAILABLE : rc;
    }
    relay->try = try;
    relay->give_up_ns = ray_clock_boottime_ns() + WAIT_MS * RAY_NS_PER_MS;
    return RAY_OK;
}

/* Nobody can be asked: what this node can say itself is its own state. */
static void answer_alone(struct relay_ask *relay)
{
    struct coord_member *m = relay->ask.member;

    if (relay->relayed->output == &rayos__cluster__status__descriptor &&
        !((const Rayos__Cluster__StatusRequest *)relay->input)->is_linearizable) {
        member_status_here(&relay->ask);
        return;
    }
    if (member_age_ms(m) == UINT64_MAX) {
        (void)ray_fail(&relay->err, RAY_EUNAVAILABLE,
                       "this node holds no part of the log, and no member was heard yet");
    } else {
        (void)ray_fail(&relay->err, RAY_EUNAVAILABLE,
                       "this node holds no part of the log, and no member is heard since %llu ms",
                       (unsigned long long)member_age_ms(m));
    }
    (void)ray_next(&relay->err, "ask a member, or wait until one is heard here");
    member_ask_fail(&relay->ask, &relay->err);
}

static void try_member(struct relay_ask *relay)
{
    struct ray_err err = {0};
    int rc = ask_member(relay, &err);

    if (rc == RAY_OK) {
        return;
    }
    if (rc != RAY_EUNAVAILABLE) {
        member_ask_fail(&relay->ask, &err);
    } else if (ray_clock_boottime_ns() < relay->give_up_ns) {
        wait_for_member(relay);
    } else {
        answer_alone(relay);
    }
}

static void on_timer(void *arg)
{
    struct member_relays *relays = arg;
    struct member_ask *ask;
    struct ray_err err = {0};

    relays->attempt++;
    (void)connect_to(relays, &err); /* ends asks; below only the one at hand ends */
    ask = LIST_FIRST(&relays->member->asks);
    while (ask != NULL) {
        struct member_ask *next = LIST_NEXT(ask, entry);
        struct relay_ask *relay = (struct relay_ask *)ask;

        if (ask->on_release == on_relay_release && relay->try == NULL && !relay->has_ended) {
            try_member(relay);
        }
        ask = next;
    }
}

/* ---- life ---- */

static void on_relay_release(struct member_ask *ask)
{
    struct relay_ask *relay = (struct relay_ask *)ask;

    end_try(relay);
    while (relay->waiting_count > 0) {
        free(relay->waiting[relay->waiting_first].bytes);
        relay->waiting_first = (relay->waiting_first + 1) % (WINDOW + 1);
        relay->waiting_count--;
    }
    if (relay->input != NULL) {
        protobuf_c_message_free_unpacked(relay->input, NULL);
    }
    if (relay->end != NULL) {
        protobuf_c_message_free_unpacked(relay->end, NULL);
    }
}

ProtobufCMessage *member_message_copy(const ProtobufCMessage *input)
{
    size_t size = protobuf_c_message_get_packed_size(input);
    uint8_t *bytes = malloc(size + 1);
    ProtobufCMessage *made = NULL;

    if (bytes != NULL) {
        (void)protobuf_c_message_pack(input, bytes);
        made = protobuf_c_message_unpack(input->descriptor, NULL, size, bytes);
    }
    free(bytes);
    return made;
}

void member_relay(struct coord_member *m, const struct member_caller *caller,
                  struct ray_rpc_call *call, const ProtobufCMessage *input,
                  const struct member_relayed *relayed)
{
    struct relay_ask *relay = member_ask_new(m, caller, call, sizeof *relay);
    struct ray_err err = {0};

    if (relay == NULL) {
        return;
    }
    relay->ask.on_release = on_relay_release;
    relay->relayed = relayed;
    relay->give_up_ns = ray_clock_boottime_ns() + WAIT_MS * RAY_NS_PER_MS;
    relay->input = member_message_copy(input);
    if (relay->input == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "a call for another node");
        member_ask_fail(&relay->ask, &err);
        return;
    }
    ray_rpc_call_on_drain(call, on_drain, relay);
    (void)connect_to(m->relays, &err); /* this one has no call under way that it could end */
    try_member(relay);
}

int member_relays_init(struct coord_member *m, struct ray_err *err)
{
    struct member_relays *relays = calloc(1, sizeof *relays);

    if (relays == NULL) {
        return ray_fail(err, RAY_ENOMEM, "calls for other nodes");
    }
    relays->member = m;
    m->relays = relays;
    return ray_timer_init(&relays->timer, m->config.loop, on_timer, relays, err);
}

void member_relays_fini(struct coord_member *m)
{
    if (m->relays == NULL) {
        return;
    }
    ray_rpc_client_destroy(m->relays->client);
    ray_timer_fini(&m->relays->timer);
    free(m->relays);
    m->relays = NULL;
}

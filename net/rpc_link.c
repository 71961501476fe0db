/* rpc_link.c - see rpc_link.h. Queues are the link's: a carrier has none of its own, and polls the
 * peer's queue while it is above the high mark, because a link tells only of a full one. */
#include "net/rpc_link.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "base/le.h"
#include "net/rpc_carrier.h"
#include "net/rpc_client.h"
#include "net/rpc_session.h"

enum {
    HEAD_SIZE = 5,
    BUCKETS = 64,
    SLOW_POLL_MS = 5,
    REASON_SIZE_MAX = 200,
    LEFT_MAX = 64,
};

enum message_kind { TO_SERVER = 1, TO_CLIENT = 2, CLIENT_LEFT = 3, SERVER_LEFT = 4 };

struct rpc_peer;

struct link_carrier {
    struct ray_rpc_carrier base; /* first */
    LIST_ENTRY(link_carrier) entry;
    struct rpc_peer *at; /* NULL: the connection is over */
    struct ray_rpc_peer peer;
    uint32_t number; /* a client's is 0 until its first message: numbers rise as they are sent */
    bool is_server;
    bool is_aborted; /* on_close is due */
    bool is_slow;    /* on_writable is due */
    bool is_destroyed;
    unsigned hold_count;
    struct ray_err why;
};

LIST_HEAD(carrier_list, link_carrier);

struct left {
    enum message_kind kind;
    uint32_t number;
};

/* A peer with a link: lives as long as its epoch. */
struct rpc_peer {
    LIST_ENTRY(rpc_peer) entry;
    struct ray_rpc_link *rpc;
    struct ray_id id;
    uint64_t epoch;
    uint32_t last_opened_here;
    uint32_t last_opened_there;
    size_t server_count;
    struct carrier_list carriers;
    struct left left[LEFT_MAX]; /* still to be said */
    size_t left_count;
};

LIST_HEAD(rpc_peer_list, rpc_peer);

struct ray_rpc_link {
    struct ray_link rest; /* first: what ray_rpc_link_rest gives */
    struct ray_link *link;
    struct ray_loop *loop;
    struct ray_rpc_service service;
    bool has_service;
    size_t server_count;
    struct rpc_peer_list buckets[BUCKETS];
    struct ray_timer later; /* aborted and slow carriers */
    uint8_t output[HEAD_SIZE + RAY_RPC_MESSAGE_SIZE_MAX];
};

static struct link_carrier *from_base(struct ray_rpc_carrier *carrier)
{
    return (struct link_carrier *)carrier;
}

static struct rpc_peer_list *bucket_of(struct ray_rpc_link *rpc, const struct ray_id *id)
{
    return &rpc->buckets[id->bytes[0] % BUCKETS];
}

static struct rpc_peer *peer_find(struct ray_rpc_link *rpc, const struct ray_id *id)
{
    struct rpc_peer *peer;

    LIST_FOREACH(peer, bucket_of(rpc, id), entry)
    {
        if (ray_id_equal(&peer->id, id)) {
            return peer;
        }
    }
    return NULL;
}

/* ---- sending ---- */

static int post(const struct rpc_peer *peer, enum message_kind kind, uint32_t number,
                const void *bytes, size_t size)
{
    struct ray_rpc_link *rpc = peer->rpc;

    assert(size <= RAY_RPC_MESSAGE_SIZE_MAX);
    rpc->output[0] = (uint8_t)kind;
    ray_store32le(rpc->output + 1, number);
    if (size > 0) {
        memcpy(rpc->output + HEAD_SIZE, bytes, size);
    }
    return rpc->link->ops->send(rpc->link, &peer->id, RAY_LINK_RPC, rpc->output, HEAD_SIZE + size);
}

/* A full link gets it later, without its text. Beyond LEFT_MAX of them the peer keeps a connection
 * that nobody answers, until its deadline or the epoch's end. */
static void post_left(struct rpc_peer *peer, bool is_server, uint32_t number,
                      const struct ray_err *why)
{
    enum message_kind kind = is_server ? SERVER_LEFT : CLIENT_LEFT;
    size_t size = is_server && why != NULL ? strlen(why->text) : 0;
    int rc;

    if (number == 0) {
        return; /* the peer has never heard of it */
    }
    rc = post(peer, kind, number, size > 0 ? why->text : NULL,
              size < REASON_SIZE_MAX ? size : REASON_SIZE_MAX);
    if (rc == RAY_EAGAIN && peer->left_count < LEFT_MAX) {
        peer->left[peer->left_count++] = (struct left){kind, number};
    }
}

static void post_left_again(struct rpc_peer *peer)
{
    while (peer->left_count > 0 &&
           post(peer, peer->left[peer->left_count - 1].kind,
                peer->left[peer->left_count - 1].number, NULL, 0) == RAY_OK) {
        peer->left_count--;
    }
}

static int carrier_send(struct ray_rpc_carrier *base, const uint8_t *bytes, size_t size,
                        const int *fds, size_t fd_count)
{
    struct link_carrier *carrier = from_base(base);
    uint32_t number = carrier->number;
    int rc;

    (void)fds;
    if (carrier->at == NULL || carrier->is_aborted) {
        return RAY_ECLOSED;
    }
    if (fd_count > 0) {
        return RAY_EUNSUPPORTED;
    }
    if (number == 0) {
        if (carrier->at->last_opened_here == UINT32_MAX) {
            return RAY_ECLOSED; /* 2^32 connections in one epoch */
        }
        number = carrier->at->last_opened_here + 1;
    }
    rc = post(carrier->at, carrier->is_server ? TO_CLIENT : TO_SERVER, number, bytes, size);
    if (rc == RAY_OK && carrier->number == 0) {
        carrier->number = number;
        carrier->at->last_opened_here = number;
    }
    if (rc == RAY_EAGAIN) {
        return RAY_ETOOBIG;
    }
    return rc == RAY_EUNAVAILABLE ? RAY_ECLOSED : rc;
}

static size_t carrier_queued_size(const struct ray_rpc_carrier *base)
{
    struct link_carrier *carrier = from_base((struct ray_rpc_carrier *)base);
    size_t size;

    if (carrier->at == NULL) {
        return 0;
    }
    size = carrier->at->rpc->link->ops->queued_size(carrier->at->rpc->link, &carrier->at->id);
    if (size >= RAY_RPC_QUEUE_HIGH_SIZE && !carrier->is_slow) {
        carrier->is_slow = true; /* whoever asks waits for on_writable */
        ray_timer_start(&carrier->at->rpc->later, SLOW_POLL_MS, 0);
    }
    return size;
}

static const struct ray_rpc_peer *carrier_peer(const struct ray_rpc_carrier *base)
{
    return &((const struct link_carrier *)base)->peer;
}

/* ---- life of carriers ---- */

static void leave_peer(struct link_carrier *carrier)
{
    struct rpc_peer *peer = carrier->at;

    if (peer == NULL) {
        return;
    }
    if (carrier->is_server) {
        peer->server_count--;
        peer->rpc->server_count--;
    }
    LIST_REMOVE(carrier, entry);
    carrier->at = NULL;
}

static void release(struct link_carrier *carrier)
{
    carrier->hold_count--;
    if (carrier->hold_count == 0 && carrier->is_destroyed) {
        free(carrier);
    }
}

/* Tells the user, once; may be the end of `carrier`. */
static void report_close(struct link_carrier *carrier, const struct ray_err *why)
{
    leave_peer(carrier);
    carrier->base.user.on_close(carrier->base.user.arg, why);
}

static void carrier_abort(struct ray_rpc_carrier *base, const struct ray_err *why)
{
    struct link_carrier *carrier = from_base(base);

    if (carrier->at == NULL || carrier->is_aborted) {
        return;
    }
    carrier->is_aborted = true;
    carrier->why = *why;
    post_left(carrier->at, carrier->is_server, carrier->number, why);
    ray_timer_start(&carrier->at->rpc->later, 0, 0);
}

static void carrier_destroy(struct ray_rpc_carrier *base)
{
    struct link_carrier *carrier = from_base(base);

    assert(!carrier->is_destroyed);
    carrier->is_destroyed = true;
    carrier->hold_count++;
    if (carrier->at != NULL && !carrier->is_aborted) {
        post_left(carrier->at, carrier->is_server, carrier->number, NULL);
    }
    leave_peer(carrier);
    release(carrier);
}

static const struct ray_rpc_carrier_ops carrier_ops = {.send = carrier_send,
                                                       .queued_size = carrier_queued_size,
                                                       .peer = carrier_peer,
                                                       .abort = carrier_abort,
                                                       .destroy = carrier_destroy};

static struct link_carrier *carrier_create(struct rpc_peer *peer,
                                           const struct ray_rpc_carrier_user *user, uint32_t number,
                                           bool is_server)
{
    struct link_carrier *carrier = ray_rpc_alloc(sizeof *carrier);

    if (carrier == NULL) {
        return NULL;
    }
    carrier->base = (struct ray_rpc_carrier){.ops = &carrier_ops, .user = *user};
    carrier->at = peer;
    carrier->peer = (struct ray_rpc_peer){
        .uid = RAY_RPC_NO_UID, .gid = (gid_t)RAY_RPC_NO_UID, .is_remote = true, .node = peer->id};
    carrier->number = number;
    carrier->is_server = is_server;
    LIST_INSERT_HEAD(&peer->carriers, carrier, entry);
    if (is_server) {
        peer->server_count++;
        peer->rpc->server_count++;
    }
    return carrier;
}

static struct link_carrier *carrier_find(const struct rpc_peer *peer, uint32_t number,
                                         bool is_server)
{
    struct link_carrier *carrier;

    LIST_FOREACH(carrier, &peer->carriers, entry)
    {
        if (carrier->number == number && carrier->is_server == is_server) {
            return carrier;
        }
    }
    return NULL;
}

/* ---- the timer: one carrier at a time, since each may end others ---- */

static struct link_carrier *find_due(struct rpc_peer *peer)
{
    const struct ray_link *link = peer->rpc->link;
    bool is_low = link->ops->queued_size(link, &peer->id) <= RAY_RPC_QUEUE_LOW_SIZE;
    struct link_carrier *carrier;

    LIST_FOREACH(carrier, &peer->carriers, entry)
    {
        if (carrier->is_aborted || (carrier->is_slow && is_low)) {
            return carrier;
        }
    }
    return NULL;
}

static struct link_carrier *find_any_due(struct ray_rpc_link *rpc)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct rpc_peer *peer;

        LIST_FOREACH(peer, &rpc->buckets[i], entry)
        {
            struct link_carrier *carrier = find_due(peer);

            if (carrier != NULL) {
                return carrier;
            }
        }
    }
    return NULL;
}

static bool has_slow(const struct ray_rpc_link *rpc)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct rpc_peer *peer;
        const struct link_carrier *carrier;

        LIST_FOREACH(peer, &rpc->buckets[i], entry)
        {
            LIST_FOREACH(carrier, &peer->carriers, entry)
            {
                if (carrier->is_slow) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void on_later(void *arg)
{
    struct ray_rpc_link *rpc = arg;
    struct link_carrier *carrier;

    while ((carrier = find_any_due(rpc)) != NULL) {
        if (carrier->is_aborted) {
            struct ray_err why = carrier->why;

            report_close(carrier, &why);
        } else {
            carrier->is_slow = false;
            carrier->base.user.on_writable(carrier->base.user.arg);
        }
    }
    if (has_slow(rpc)) {
        ray_timer_start(&rpc->later, SLOW_POLL_MS, 0);
    }
}

/* ---- receiving ---- */

static int open_server(struct rpc_peer *peer, uint32_t number, struct link_carrier **out_carrier,
                       struct ray_err *err)
{
    struct ray_rpc_link *rpc = peer->rpc;
    struct ray_rpc_session *session = NULL;
    struct ray_rpc_carrier_user user;
    struct link_carrier *carrier;
    int rc;

    if (!rpc->has_service) {
        return ray_fail(err, RAY_EUNSUPPORTED, "this node serves no methods");
    }
    if (peer->server_count >= RAY_RPC_LINK_CONNS_PER_PEER_MAX ||
        rpc->server_count >= RAY_RPC_LINK_CONNS_MAX) {
        return ray_fail(err, RAY_EUNAVAILABLE, "%zu connections of this peer, at most %d",
                        peer->server_count, RAY_RPC_LINK_CONNS_PER_PEER_MAX);
    }
    rc = ray_rpc_session_create(&rpc->service, &session, &user, err);
    if (rc != RAY_OK) {
        return rc;
    }
    carrier = carrier_create(peer, &user, number, true);
    if (carrier == NULL) {
        ray_rpc_session_discard(session);
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    ray_rpc_session_open(session, &carrier->base);
    *out_carrier = carrier;
    return RAY_OK;
}

/* The connection of a client's message; a new number opens one. NULL: refused, or over. */
static struct link_carrier *find_server(struct rpc_peer *peer, uint32_t number)
{
    struct link_carrier *carrier = carrier_find(peer, number, true);
    struct ray_err err = {0};

    if (carrier != NULL || number <= peer->last_opened_there) {
        return carrier;
    }
    peer->last_opened_there = number;
    if (open_server(peer, number, &carrier, &err) != RAY_OK) {
        post_left(peer, true, number, &err);
        return NULL;
    }
    return carrier;
}

static void receive_envelope(struct link_carrier *carrier, const uint8_t *bytes, size_t size)
{
    const struct ray_rpc_carrier_user *user = &carrier->base.user;

    if (carrier->is_aborted) {
        return;
    }
    carrier->hold_count++;
    if (size == 0 || size > RAY_RPC_MESSAGE_SIZE_MAX) {
        struct ray_err why = {0};

        ray_fail(&why, RAY_EMALFORMED, "an rpc message of %zu bytes, at most %d", size,
                 RAY_RPC_MESSAGE_SIZE_MAX);
        ray_rpc_carrier_refuse(&carrier->base, &why);
    } else {
        user->on_message(user->arg, bytes, size, NULL, 0);
    }
    release(carrier);
}

static void receive_left(struct link_carrier *carrier, const uint8_t *text, size_t size)
{
    char reason[REASON_SIZE_MAX + 1];
    struct ray_err why = {0};

    (void)ray_escape(reason, sizeof reason, text, size < REASON_SIZE_MAX ? size : REASON_SIZE_MAX);
    ray_fail(&why, RAY_ECLOSED, "the peer closed the connection%s%s", size > 0 ? ": " : "", reason);
    report_close(carrier, &why);
}

/* Anything that makes no sense is about a connection that is over: dropped. */
static void receive(struct rpc_peer *peer, const uint8_t *bytes, size_t size)
{
    struct link_carrier *carrier;
    uint32_t number;

    if (size < HEAD_SIZE) {
        return;
    }
    number = ray_load32le(bytes + 1);
    switch (bytes[0]) {
    case TO_SERVER:
        carrier = find_server(peer, number);
        break;
    case TO_CLIENT:
    case SERVER_LEFT:
        carrier = carrier_find(peer, number, false);
        break;
    case CLIENT_LEFT:
        carrier = carrier_find(peer, number, true);
        break;
    default:
        carrier = NULL;
    }
    if (carrier == NULL) {
        return;
    }
    if (bytes[0] == TO_SERVER || bytes[0] == TO_CLIENT) {
        receive_envelope(carrier, bytes + HEAD_SIZE, size - HEAD_SIZE);
    } else {
        receive_left(carrier, bytes + HEAD_SIZE, size - HEAD_SIZE);
    }
}

/* ---- the link's user ---- */

/* May call anybody; the peer is gone then. */
static void peer_end(struct rpc_peer *peer, const char *text)
{
    struct link_carrier *carrier;
    struct ray_err why = {0};

    ray_fail(&why, RAY_ECLOSED, "%s", text);
    LIST_REMOVE(peer, entry); /* nobody opens another one meanwhile */
    while ((carrier = LIST_FIRST(&peer->carriers)) != NULL) {
        report_close(carrier, &why);
    }
    free(peer);
}

static void on_up(void *arg, const struct ray_id *id, uint64_t epoch)
{
    struct ray_rpc_link *rpc = arg;
    struct rpc_peer *peer = peer_find(rpc, id);

    if (peer != NULL) {
        peer_end(peer, "the link to the peer was made anew");
    }
    peer = ray_rpc_alloc(sizeof *peer); /* without it the peer has no rpc in this epoch */
    if (peer != NULL) {
        peer->rpc = rpc;
        peer->id = *id;
        peer->epoch = epoch;
        LIST_INIT(&peer->carriers);
        LIST_INSERT_HEAD(bucket_of(rpc, id), peer, entry);
    }
    if (rpc->rest.user.on_up != NULL) {
        rpc->rest.user.on_up(rpc->rest.user.arg, id, epoch);
    }
}

static void on_down(void *arg, const struct ray_id *id, uint64_t epoch)
{
    struct ray_rpc_link *rpc = arg;
    struct rpc_peer *peer = peer_find(rpc, id);

    if (peer != NULL && peer->epoch == epoch) {
        peer_end(peer, "the link to the peer ended");
    }
    if (rpc->rest.user.on_down != NULL) {
        rpc->rest.user.on_down(rpc->rest.user.arg, id, epoch);
    }
}

static void on_message(void *arg, const struct ray_id *id, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct ray_rpc_link *rpc = arg;
    struct rpc_peer *peer;

    if (channel != RAY_LINK_RPC) {
        if (rpc->rest.user.on_message != NULL) {
            rpc->rest.user.on_message(rpc->rest.user.arg, id, epoch, channel, bytes, size);
        }
        return;
    }
    peer = peer_find(rpc, id);
    if (peer != NULL && peer->epoch == epoch) {
        receive(peer, bytes, size);
    }
}

static void on_writable(void *arg, const struct ray_id *id)
{
    struct ray_rpc_link *rpc = arg;
    struct rpc_peer *peer = peer_find(rpc, id);

    if (peer != NULL) {
        post_left_again(peer);
    }
    if (rpc->rest.user.on_writable != NULL) {
        rpc->rest.user.on_writable(rpc->rest.user.arg, id);
    }
}

/* ---- the rest ---- */

static struct ray_link *below(struct ray_link *rest)
{
    return ((struct ray_rpc_link *)rest)->link;
}

static int rest_send(struct ray_link *rest, const struct ray_id *peer,
                     enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    assert(channel != RAY_LINK_RPC);
    return below(rest)->ops->send(below(rest), peer, channel, bytes, size);
}

static void rest_flush(struct ray_link *rest)
{
    below(rest)->ops->flush(below(rest));
}

static size_t rest_queued_size(const struct ray_link *rest, const struct ray_id *peer)
{
    const struct ray_link *link = ((const struct ray_rpc_link *)rest)->link;

    return link->ops->queued_size(link, peer);
}

static int rest_add_peer(struct ray_link *rest, const struct ray_id *peer, const char *address,
                         struct ray_err *err)
{
    return below(rest)->ops->add_peer(below(rest), peer, address, err);
}

static void rest_remove_peer(struct ray_link *rest, const struct ray_id *peer)
{
    below(rest)->ops->remove_peer(below(rest), peer);
}

static void rest_destroy(struct ray_link *rest)
{
    rest->user = (struct ray_link_user){0};
}

static const struct ray_link_ops rest_ops = {
    .send = rest_send,
    .flush = rest_flush,
    .queued_size = rest_queued_size,
    .add_peer = rest_add_peer,
    .remove_peer = rest_remove_peer,
    .destroy = rest_destroy,
};

/* ---- public ---- */

int ray_rpc_link_create(struct ray_rpc_link **out_rpc, struct ray_loop *loop, struct ray_link *link,
                        const struct ray_rpc_method *methods, void *arg, struct ray_err *err)
{
    struct ray_rpc_link *rpc = ray_rpc_alloc(sizeof *rpc);
    int rc;

    if (rpc == NULL) {
        return ray_fail(err, RAY_ENOMEM, "rpc over links");
    }
    rpc->rest.ops = &rest_ops;
    rpc->link = link;
    rpc->loop = loop;
    for (size_t i = 0; i < BUCKETS; i++) {
        LIST_INIT(&rpc->buckets[i]);
    }
    rc = ray_timer_init(&rpc->later, loop, on_later, rpc, err);
    if (rc != RAY_OK) {
        free(rpc);
        return rc;
    }
    if (methods != NULL) {
        rpc->has_service = true;
        ray_rpc_service_init(&rpc->service, methods, arg);
    }
    link->user = (struct ray_link_user){.on_up = on_up,
                                        .on_down = on_down,
                                        .on_message = on_message,
                                        .on_writable = on_writable,
                                        .arg = rpc};
    *out_rpc = rpc;
    return RAY_OK;
}

void ray_rpc_link_destroy(struct ray_rpc_link *rpc)
{
    if (rpc == NULL) {
        return;
    }
    rpc->link->user = (struct ray_link_user){0};
    if (rpc->has_service) {
        ray_rpc_service_fini(&rpc->service);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        struct rpc_peer *peer;

        while ((peer = LIST_FIRST(&rpc->buckets[i])) != NULL) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see LIST_REMOVE unlink */
            peer_end(peer, "rpc over links was closed here");
        }
    }
    ray_timer_fini(&rpc->later);
    free(rpc);
}

struct ray_link *ray_rpc_link_rest(struct ray_rpc_link *rpc)
{
    return &rpc->rest;
}

int ray_rpc_client_create_link(struct ray_rpc_client **out_client, struct ray_rpc_link *rpc,
                               const struct ray_id *id, struct ray_err *err)
{
    struct rpc_peer *peer = peer_find(rpc, id);
    struct ray_rpc_client *client = NULL;
    struct ray_rpc_carrier_user user;
    struct link_carrier *carrier;
    int rc;

    if (peer == NULL) {
        return ray_fail(err, RAY_EUNAVAILABLE, "no link to that node now");
    }
    rc = ray_rpc_client_create(&client, rpc->loop, &user, err);
    if (rc != RAY_OK) {
        return rc;
    }
    carrier = carrier_create(peer, &user, 0, false);
    if (carrier == NULL) {
        ray_rpc_client_destroy(client);
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    ray_rpc_client_open(client, &carrier->base);
    *out_client = client;
    return RAY_OK;
}

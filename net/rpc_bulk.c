/* rpc_bulk.c - see rpc_bulk.h. Like rpc_unix.c, a queue above its high mark pauses reading. A
 * channel tells only of a full queue, so this one is polled while it is above the mark. */
#include "net/rpc_bulk.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "net/bulk.h"
#include "net/rpc_carrier.h"
#include "net/rpc_client.h"
#include "net/rpc_session.h"

enum { SLOW_POLL_MS = 5 };

static_assert((int)RAY_RPC_MESSAGE_SIZE_MAX <= (int)RAY_BULK_MESSAGE_SIZE_MAX, "one message each");
static_assert((int)RAY_RPC_QUEUE_HIGH_SIZE + (int)RAY_RPC_LARGE_SIZE_MAX + 65536 <
                  (int)RAY_BULK_QUEUE_SIZE_MAX,
              "refused in time");

struct bulk_carrier {
    struct ray_rpc_carrier base; /* first */
    struct ray_bulk *bulk;       /* NULL: closed */
    struct ray_rpc_peer peer;
    struct ray_timer later;
    bool is_aborted; /* on_close is due */
    bool is_slow;    /* on_writable is due, reading pauses */
    bool is_destroyed;
    unsigned hold_count;
    struct ray_err why;
};

static struct bulk_carrier *from_base(struct ray_rpc_carrier *carrier)
{
    return (struct bulk_carrier *)carrier;
}

static void release(struct bulk_carrier *carrier)
{
    carrier->hold_count--;
    if (carrier->hold_count == 0 && carrier->is_destroyed) {
        free(carrier);
    }
}

static void close_bulk(struct bulk_carrier *carrier)
{
    ray_timer_fini(&carrier->later);
    ray_bulk_destroy(carrier->bulk);
    carrier->bulk = NULL;
}

/* May be the end of `carrier`. */
static void report_close(struct bulk_carrier *carrier, const struct ray_err *why)
{
    close_bulk(carrier);
    carrier->base.user.on_close(carrier->base.user.arg, why);
}

static void become_slow(struct bulk_carrier *carrier)
{
    if (!carrier->is_slow && ray_bulk_queued_size(carrier->bulk) >= RAY_RPC_QUEUE_HIGH_SIZE) {
        carrier->is_slow = true;
        ray_bulk_pause(carrier->bulk);
        ray_timer_start(&carrier->later, SLOW_POLL_MS, 0);
    }
}

static int carrier_send(struct ray_rpc_carrier *base, const uint8_t *bytes, size_t size,
                        const int *fds, size_t fd_count)
{
    struct bulk_carrier *carrier = from_base(base);
    int rc;

    (void)fds;
    if (carrier->bulk == NULL || carrier->is_aborted) {
        return RAY_ECLOSED;
    }
    if (fd_count > 0) {
        return RAY_EUNSUPPORTED;
    }
    rc = ray_bulk_send(carrier->bulk, bytes, size);
    become_slow(carrier);
    return rc == RAY_EAGAIN ? RAY_ETOOBIG : rc;
}

static size_t carrier_queued_size(const struct ray_rpc_carrier *base)
{
    const struct bulk_carrier *carrier = (const struct bulk_carrier *)base;

    return carrier->bulk == NULL ? 0 : ray_bulk_queued_size(carrier->bulk);
}

static const struct ray_rpc_peer *carrier_peer(const struct ray_rpc_carrier *base)
{
    return &((const struct bulk_carrier *)base)->peer;
}

static void carrier_abort(struct ray_rpc_carrier *base, const struct ray_err *why)
{
    struct bulk_carrier *carrier = from_base(base);

    if (carrier->bulk == NULL || carrier->is_aborted) {
        return;
    }
    carrier->is_aborted = true;
    carrier->why = *why;
    ray_bulk_pause(carrier->bulk);
    ray_timer_start(&carrier->later, 0, 0);
}

static void carrier_destroy(struct ray_rpc_carrier *base)
{
    struct bulk_carrier *carrier = from_base(base);

    assert(!carrier->is_destroyed);
    carrier->is_destroyed = true;
    carrier->hold_count++;
    close_bulk(carrier);
    release(carrier);
}

static const struct ray_rpc_carrier_ops carrier_ops = {.send = carrier_send,
                                                       .queued_size = carrier_queued_size,
                                                       .peer = carrier_peer,
                                                       .abort = carrier_abort,
                                                       .destroy = carrier_destroy};

/* ---- what the channel and the timer say ---- */

static void on_message(void *arg, const uint8_t *bytes, size_t size)
{
    struct bulk_carrier *carrier = arg;

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
        carrier->base.user.on_message(carrier->base.user.arg, bytes, size, NULL, 0);
    }
    release(carrier);
}

static void on_close(void *arg, const struct ray_err *why)
{
    struct ray_err closed = {0};

    ray_fail(&closed, why->code == RAY_OK ? RAY_ECLOSED : why->code, "%s",
             why->code == RAY_OK ? "the peer closed the connection" : why->text);
    report_close(arg, &closed);
}

static void on_later(void *arg)
{
    struct bulk_carrier *carrier = arg;

    if (carrier->is_aborted) {
        struct ray_err why = carrier->why;

        report_close(carrier, &why);
    } else if (ray_bulk_queued_size(carrier->bulk) > RAY_RPC_QUEUE_LOW_SIZE) {
        ray_timer_start(&carrier->later, SLOW_POLL_MS, 0);
    } else {
        carrier->is_slow = false;
        ray_bulk_resume(carrier->bulk);
        carrier->base.user.on_writable(carrier->base.user.arg);
    }
}

static int carrier_create(struct bulk_carrier **out_carrier, struct ray_loop *loop, int fd,
                          struct ray_seal *seal, const struct ray_rpc_carrier_user *user,
                          struct ray_err *err)
{
    struct bulk_carrier *carrier = ray_rpc_alloc(sizeof *carrier);
    struct ray_bulk_user bulk_user = {
        .on_message = on_message, .on_close = on_close, .is_secret = true};
    int rc;

    if (carrier == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    carrier->base = (struct ray_rpc_carrier){.ops = &carrier_ops, .user = *user};
    carrier->peer = (struct ray_rpc_peer){
        .uid = RAY_RPC_NO_UID, .gid = (gid_t)RAY_RPC_NO_UID, .is_remote = true};
    bulk_user.arg = carrier;
    rc = ray_timer_init(&carrier->later, loop, on_later, carrier, err);
    if (rc == RAY_OK) {
        rc = ray_bulk_create(&carrier->bulk, loop, fd, seal, &bulk_user, err);
    }
    if (rc != RAY_OK) {
        ray_timer_fini(&carrier->later);
        free(carrier);
        return rc;
    }
    *out_carrier = carrier;
    return RAY_OK;
}

/* ---- the serving end ---- */

struct ray_rpc_bulk_server {
    struct ray_loop *loop;
    struct ray_rpc_service service;
};

int ray_rpc_bulk_server_create(struct ray_rpc_bulk_server **out_server, struct ray_loop *loop,
                               const struct ray_rpc_method *methods, void *arg, struct ray_err *err)
{
    struct ray_rpc_bulk_server *server = ray_rpc_alloc(sizeof *server);

    if (server == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a server");
    }
    server->loop = loop;
    ray_rpc_service_init(&server->service, methods, arg);
    *out_server = server;
    return RAY_OK;
}

void ray_rpc_bulk_server_take_large(struct ray_rpc_bulk_server *server)
{
    server->service.takes_large = true;
}

void ray_rpc_bulk_server_destroy(struct ray_rpc_bulk_server *server)
{
    if (server != NULL) {
        ray_rpc_service_fini(&server->service);
        free(server);
    }
}

void ray_rpc_bulk_server_recheck(struct ray_rpc_bulk_server *server,
                                 bool (*may_stay)(void *arg, const struct ray_rpc_peer *peer),
                                 void *arg)
{
    ray_rpc_service_recheck(&server->service, may_stay, arg);
}

int ray_rpc_bulk_server_take(struct ray_rpc_bulk_server *server, int fd, struct ray_seal *seal,
                             const struct ray_peer *peer, struct ray_err *err)
{
    struct ray_rpc_session *session = NULL;
    struct bulk_carrier *carrier = NULL;
    struct ray_rpc_carrier_user user;
    int rc;

    if (server->service.session_count >= RAY_RPC_BULK_CONNS_MAX) {
        return ray_fail(err, RAY_EUNAVAILABLE, "%zu connections, at most %d",
                        server->service.session_count, RAY_RPC_BULK_CONNS_MAX);
    }
    rc = ray_rpc_session_create(&server->service, &session, &user, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = carrier_create(&carrier, server->loop, fd, seal, &user, err);
    if (rc != RAY_OK) {
        ray_rpc_session_discard(session);
        return rc;
    }
    assert(carrier != NULL);
    carrier->peer.node = peer->hello.from;
    memcpy(carrier->peer.identity, peer->identity, RAY_KEY_SIZE);
    ray_rpc_session_open(session, &carrier->base);
    return RAY_OK;
}

/* ---- the calling end ---- */

int ray_rpc_client_create_bulk(struct ray_rpc_client **out_client, struct ray_loop *loop, int fd,
                               struct ray_seal *seal, struct ray_err *err)
{
    struct ray_rpc_client *client = NULL;
    struct bulk_carrier *carrier = NULL;
    struct ray_rpc_carrier_user user;
    int rc = ray_rpc_client_create(&client, loop, &user, err);

    if (rc == RAY_OK) {
        rc = carrier_create(&carrier, loop, fd, seal, &user, err);
    }
    if (rc != RAY_OK) {
        ray_rpc_client_destroy(client);
        return rc;
    }
    ray_rpc_client_open(client, &carrier->base);
    *out_client = client;
    return RAY_OK;
}

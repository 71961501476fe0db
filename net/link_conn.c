/* link_conn.c - which connection is a peer's link, and its epochs.
 *
 * When two connections meet, both ends decide alike (link_peer.h): whoever has restarted since
 * cannot have the old one; of two by the same opener the older one is gone at the opener, which
 * dials only when it has none; of two by different openers the one of the smaller id stays. An
 * opener is done before the answerer, and gives a dial up as soon as it has a link: so two are
 * there only when both were opened at about the same time. */
#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/link_impl.h"

#define STEADY_NS RAY_NS_PER_S /* a link that lasted that long had a peer that works */

/* ---- epochs ---- */

void link_conn_up(struct link_conn *conn)
{
    struct link_peer *peer = conn->peer;
    const struct ray_link_user *user = &peer->set->base.user;

    assert(conn->epoch == 0 && peer->conn == conn);
    if (conn->is_condemned) {
        return;
    }
    conn->epoch = ++peer->set->last_epoch;
    peer->up_ns = ray_clock_boottime_ns();
    peer->trouble[0] = '\0';
    if (user->on_up != NULL) {
        user->on_up(user->arg, &peer->id, conn->epoch);
    }
}

static void forget_queue(struct link_peer *peer)
{
    link_queue_clear(&peer->queue);
    peer->sending_size = 0;
    peer->is_refusing = false;
    peer->is_writable_due = false;
}

void link_conn_end(struct link_conn *conn)
{
    struct link_peer *peer = conn->peer;
    struct link_set *set = peer->set;
    const struct ray_link_user *user = &set->base.user;
    uint64_t epoch = conn->epoch;

    assert(peer->conn == conn);
    peer->conn = NULL;
    ray_seal_destroy(conn->seal);
    set->transport->close(conn);
    forget_queue(peer);
    if (epoch != 0 && ray_clock_boottime_ns() - peer->up_ns >= STEADY_NS) {
        peer->failed_count = 0;
    }
    link_dial_soon(peer);
    link_set_note_chore(set); /* a peer that nobody added is forgotten */
    if (epoch != 0 && user->on_down != NULL) {
        user->on_down(user->arg, &peer->id, epoch);
    }
}

void link_conn_condemn(struct link_conn *conn, const char *why)
{
    if (!conn->is_condemned) {
        conn->is_condemned = true;
        (void)snprintf(conn->peer->trouble, sizeof conn->peer->trouble, "%s", why);
    }
    link_set_note_chore(conn->set);
}

void link_conn_failed(struct link_conn *conn, const char *why)
{
    if (!conn->is_condemned) {
        (void)snprintf(conn->peer->trouble, sizeof conn->peer->trouble, "%s", why);
    }
    link_conn_end(conn);
}

/* ---- which connection ---- */

/* Whether `conn` may take the place of `old`. */
static bool is_better(const struct link_conn *conn, const struct link_conn *old)
{
    const struct link_peer *peer = conn->peer;
    bool is_ours_smaller = ray_id_compare(&peer->set->config.self, &peer->id) < 0;

    if (old->is_condemned || old->is_opened_here == conn->is_opened_here ||
        memcmp(old->instance, conn->instance, sizeof old->instance) != 0) {
        return true;
    }
    return conn->is_opened_here == is_ours_smaller;
}

/* What the peer said about itself in the handshake. */
static int read_payload(const struct link_set *set, const struct ray_peer *proven,
                        struct link_conn *out, struct ray_err *err)
{
    if (proven->payload_size != LINK_PAYLOAD_SIZE || proven->payload[0] != RAY_LINK_PURPOSE_LINK) {
        return ray_fail(err, RAY_EMALFORMED, "a link of another form");
    }
    if (proven->payload[1] != set->transport->code) {
        return ray_fail(err, RAY_EUNSUPPORTED, "the peer has links of kind %u, this node of %d",
                        proven->payload[1], set->transport->code);
    }
    memcpy(out->instance, proven->payload + 2, LINK_INSTANCE_SIZE);
    memcpy(out->static_key, proven->static_key, RAY_KEY_SIZE);
    return RAY_OK;
}

static int check_known(const struct link_set *set, const struct ray_id *id,
                       const struct ray_peer *proven, struct ray_err *err)
{
    uint8_t static_key[RAY_KEY_SIZE] = {0};
    uint8_t identity[RAY_KEY_SIZE] = {0};

    if (set->config.known(set->config.arg, id, static_key, identity) != RAY_OK ||
        memcmp(static_key, proven->static_key, sizeof static_key) != 0) {
        return ray_fail(err, RAY_EDENIED, "revoked during the handshake");
    }
    return RAY_OK;
}

/* A link is dialled anew at once, so it may be given up sooner than other connections. */
static void be_impatient(int fd)
{
    const int silence_ms = RAY_LINK_SILENCE_MS;
    const int idle_s = RAY_LINK_SILENCE_MS / 1000;
    const int interval_s = 1;

    /* Only later without. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
}

/* The new connection is the peer's from now on. */
static int take(struct link_conn *fields, int fd, struct ray_err *err)
{
    struct link_peer *peer = fields->peer;
    struct link_conn *conn = NULL;
    int rc;

    be_impatient(fd);
    rc = fields->set->transport->open(fd, fields, &conn, err);
    if (rc != RAY_OK) {
        return rc;
    }
    peer->conn = conn;
    if (!conn->is_opened_here) {
        link_dial_stop(peer); /* not done there either: the answerer ends after the opener */
    }
    ray_timer_stop(&peer->dial_timer);
    fields->set->transport->start(conn);
    return RAY_OK;
}

static int offer(struct link_set *set, int fd, struct ray_seal *seal, const struct ray_peer *proven,
                 bool is_opened_here, struct link_peer *peer, struct ray_err *err)
{
    struct link_conn fields = {
        .set = set, .peer = peer, .seal = seal, .is_opened_here = is_opened_here};
    int rc = check_known(set, &peer->id, proven, err);

    if (rc == RAY_OK) {
        rc = read_payload(set, proven, &fields, err);
    }
    if (rc == RAY_OK && peer->conn != NULL && !is_better(&fields, peer->conn)) {
        rc = ray_fail(err, RAY_EEXISTS, "both ends had dialled");
        (void)link_queue_add_empty(&peer->queue); /* does the peer still have the old one? */
        link_peer_mark_dirty(peer);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (peer->conn != NULL) {
        link_conn_end(peer->conn); /* may call the user, who may remove the peer */
    }
    return peer->conn == NULL ? take(&fields, fd, err) : RAY_ECONFLICT;
}

void link_conn_offer(struct link_set *set, int fd, struct ray_seal *seal,
                     const struct ray_peer *proven, bool is_opened_here)
{
    const struct ray_id *id = is_opened_here ? &proven->hello.to : &proven->hello.from;
    struct link_peer *peer = link_peer_get(set, id);
    struct ray_err err = {0};
    int rc;

    if (peer == NULL) {
        rc = ray_fail(&err, RAY_ENOMEM, "no place for one more peer");
    } else {
        rc = offer(set, fd, seal, proven, is_opened_here, peer, &err);
    }
    if (rc == RAY_OK) {
        return;
    }
    ray_seal_destroy(seal);
    (void)close(fd); /* the peer finds out by this */
    if (peer == NULL) {
        return;
    }
    if (peer->conn == NULL) {
        (void)snprintf(peer->trouble, sizeof peer->trouble, "%s", err.text);
        link_dial_soon(peer);
    }
    link_set_note_chore(set);
}

/* ---- records ---- */

static bool is_current(const struct link_peer *peer, uint64_t epoch)
{
    return peer->conn != NULL && peer->conn->epoch == epoch && !peer->conn->is_condemned;
}

/* RAY_OK: all delivered, or the epoch was ended meanwhile. */
static int deliver(struct link_peer *peer, const uint8_t *bytes, size_t size)
{
    const struct ray_link_user *user = &peer->set->base.user;
    uint64_t epoch = peer->conn->epoch;
    struct ray_link_item item;
    int rc = RAY_OK;

    while (is_current(peer, epoch) && (rc = ray_link_item_next(&bytes, &size, &item)) == RAY_OK) {
        /* Of a channel of a later version nobody here knows what to do. */
        if (user->on_message != NULL && item.channel <= RAY_LINK_MEMBER) {
            user->on_message(user->arg, &peer->id, epoch, (enum ray_link_channel)item.channel,
                             item.bytes, item.size);
        }
    }
    return rc == RAY_ENOTFOUND ? RAY_OK : rc;
}

bool link_conn_receive(struct link_conn *conn, uint8_t *record, size_t size)
{
    struct link_peer *peer = conn->peer;
    const uint8_t *plain = NULL;
    size_t plain_size = 0;

    if (conn->is_condemned) {
        return false;
    }
    assert(conn->epoch != 0);
    if (ray_seal_decrypt(conn->seal, record, size, &plain, &plain_size) != RAY_OK) {
        link_conn_failed(conn, "a record that the peer has not sealed");
        return false;
    }
    if (deliver(peer, plain, plain_size) != RAY_OK) {
        link_conn_failed(conn, "a record with a malformed message");
        return false;
    }
    return !conn->is_condemned; /* nothing the user may call ends it at once */
}

size_t link_conn_seal(struct link_conn *conn, uint8_t *record, size_t plain_size)
{
    if (ray_seal_encrypt(conn->seal, ray_clock_boottime_ns(), record, plain_size) != RAY_OK) {
        link_conn_condemn(conn, "the keys of the connection are used up");
        return 0;
    }
    return plain_size + RAY_SEAL_OVERHEAD_SIZE;
}

void link_conn_sent(struct link_conn *conn, size_t plain_size)
{
    struct link_peer *peer = conn->peer;

    assert(peer->sending_size >= plain_size);
    peer->sending_size -= plain_size;
    if (peer->is_refusing && peer->queue.size + peer->sending_size < RAY_LINK_QUEUE_SIZE_MAX / 2) {
        peer->is_refusing = false;
        peer->is_writable_due = true; /* never from within a call of the user */
        link_set_note_chore(peer->set);
    }
}

void link_conn_sendable(struct link_conn *conn)
{
    link_peer_flush(conn->peer);
}

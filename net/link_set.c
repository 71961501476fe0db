/* link_set.c - the set as a struct ray_link, its peers, and the end of a turn: libuv's "prepare"
 * runs right before the loop waits, when everything that the turn had to say is queued. */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "net/link_impl.h"

/* Outlives the set until libuv has closed it. */
struct link_turn {
    uv_prepare_t uv;
    struct link_set *set; /* NULL: gone */
};

static struct link_set *from_base(struct ray_link *link)
{
    return (struct link_set *)link;
}

static const struct link_set *from_base_const(const struct ray_link *link)
{
    return (const struct link_set *)link;
}

/* ---- peers ---- */

static size_t bucket_of(const struct ray_id *id)
{
    return id->bytes[0] % LINK_BUCKETS; /* random bytes */
}

struct link_peer *link_peer_find(const struct link_set *set, const struct ray_id *id)
{
    struct link_peer *peer;

    LIST_FOREACH(peer, &set->buckets[bucket_of(id)], bucket_entry)
    {
        if (ray_id_equal(&peer->id, id)) {
            return peer;
        }
    }
    return NULL;
}

struct link_peer *link_peer_get(struct link_set *set, const struct ray_id *id)
{
    struct link_peer *peer = link_peer_find(set, id);

    if (peer != NULL || set->peer_count >= RAY_LINK_PEERS_MAX) {
        return peer;
    }
    peer = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer->set = set;
    peer->id = *id;
    if (link_dial_init(peer, NULL) != RAY_OK) {
        free(peer);
        return NULL;
    }
    LIST_INSERT_HEAD(&set->peers, peer, entry);
    LIST_INSERT_HEAD(&set->buckets[bucket_of(id)], peer, bucket_entry);
    set->peer_count++;
    return peer;
}

static void peer_free(struct link_peer *peer)
{
    struct link_set *set = peer->set;

    assert(peer->conn == NULL);
    link_dial_fini(peer);
    link_queue_clear(&peer->queue);
    if (peer->is_dirty) {
        TAILQ_REMOVE(&set->dirty, peer, dirty_entry);
    }
    LIST_REMOVE(peer, entry);
    LIST_REMOVE(peer, bucket_entry);
    set->peer_count--;
    free(peer);
}

/* ---- sending ---- */

static size_t waiting_size(const struct link_peer *peer)
{
    return peer->queue.size + peer->sending_size;
}

void link_peer_mark_dirty(struct link_peer *peer)
{
    if (!peer->is_dirty) {
        peer->is_dirty = true;
        TAILQ_INSERT_TAIL(&peer->set->dirty, peer, dirty_entry);
    }
}

static bool is_up(const struct link_peer *peer)
{
    return peer != NULL && peer->conn != NULL && peer->conn->epoch != 0 &&
           !peer->conn->is_condemned;
}

void link_peer_flush(struct link_peer *peer)
{
    const struct link_transport *transport = peer->set->transport;

    while (is_up(peer) && transport->can_send(peer->conn)) {
        struct link_block *block = link_queue_take(&peer->queue);

        if (block == NULL) {
            return;
        }
        peer->sending_size += block->size;
        transport->send(peer->conn, block);
    }
}

static void flush_all(struct link_set *set)
{
    struct link_peer *peer;

    while ((peer = TAILQ_FIRST(&set->dirty)) != NULL) {
        TAILQ_REMOVE(&set->dirty, peer, dirty_entry);
        peer->is_dirty = false;
        link_peer_flush(peer);
    }
}

static int op_send(struct ray_link *link, const struct ray_id *id, enum ray_link_channel channel,
                   const uint8_t *bytes, size_t size)
{
    struct link_peer *peer = link_peer_find(from_base(link), id);
    int rc;

    if (!is_up(peer)) {
        return RAY_EUNAVAILABLE;
    }
    if (size > RAY_LINK_MESSAGE_SIZE_MAX) {
        return RAY_ETOOBIG;
    }
    if (waiting_size(peer) + RAY_LINK_ITEM_HEAD_SIZE + size > RAY_LINK_QUEUE_SIZE_MAX) {
        peer->is_refusing = true;
        return RAY_EAGAIN;
    }
    rc = link_queue_add(&peer->queue, channel, bytes, size);
    if (rc != RAY_OK) { /* short of memory: as if the queue had been full for a turn */
        peer->is_writable_due = true;
        link_set_note_chore(peer->set);
        return RAY_EAGAIN;
    }
    link_peer_mark_dirty(peer);
    return RAY_OK;
}

static void op_flush(struct ray_link *link)
{
    flush_all(from_base(link));
}

static size_t op_queued_size(const struct ray_link *link, const struct ray_id *id)
{
    const struct link_peer *peer = link_peer_find(from_base_const(link), id);

    return peer == NULL ? 0 : waiting_size(peer);
}

/* ---- whom to dial ---- */

static int op_add_peer(struct ray_link *link, const struct ray_id *id, const char *address,
                       struct ray_err *err)
{
    struct link_set *set = from_base(link);
    struct sockaddr_storage parsed;
    struct link_peer *peer;
    int rc = link_address_parse(address, &parsed, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_id_equal(id, &set->config.self)) {
        return ray_fail(err, RAY_EINVAL, "a link of a node to itself");
    }
    peer = link_peer_get(set, id);
    if (peer == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no place for one more peer than %zu", set->peer_count);
    }
    if (peer->is_added && strcmp(peer->address_text, address) == 0) {
        return RAY_OK;
    }
    peer->is_added = true;
    peer->address = parsed;
    (void)snprintf(peer->address_text, sizeof peer->address_text, "%s", address);
    peer->failed_count = 0;
    link_dial_stop(peer);
    if (peer->conn == NULL) {
        link_dial_soon(peer);
    } else if (peer->conn->is_opened_here) {
        link_conn_condemn(peer->conn, "the peer has moved");
    }
    return RAY_OK;
}

static void op_remove_peer(struct ray_link *link, const struct ray_id *id)
{
    struct link_set *set = from_base(link);
    struct link_peer *peer = link_peer_find(set, id);

    if (peer == NULL) {
        return;
    }
    peer->is_added = false;
    link_dial_stop(peer);
    if (peer->conn != NULL) {
        link_conn_condemn(peer->conn, "removed");
    }
    link_set_note_chore(set);
}

/* ---- chores ---- */

void link_set_note_chore(struct link_set *set)
{
    if (!set->has_chores && !set->is_destroying) {
        set->has_chores = true;
        ray_timer_start(&set->wake, 0, 0);
    }
}

static void on_wake(void *arg)
{
    (void)arg; /* the end of this turn does the work */
}

static void do_chores_of(struct link_peer *peer)
{
    const struct ray_link_user *user = &peer->set->base.user;

    if (peer->conn != NULL && peer->conn->is_condemned) {
        link_conn_end(peer->conn);
    }
    if (peer->is_writable_due) {
        peer->is_writable_due = false;
        if (user->on_writable != NULL && is_up(peer)) {
            user->on_writable(user->arg, &peer->id);
        }
    }
    if (peer->conn == NULL && !peer->is_added) {
        peer_free(peer);
    }
}

static void do_chores(struct link_set *set)
{
    struct link_peer *peer, *next;

    set->has_chores = false;
    for (peer = LIST_FIRST(&set->peers); peer != NULL; peer = next) {
        next = LIST_NEXT(peer, entry); /* new ones come to the front; only this loop frees */
        do_chores_of(peer);
    }
}

static void on_turn_end(uv_prepare_t *uv)
{
    const struct link_turn *turn = uv->data;

    if (turn->set == NULL) {
        return;
    }
    if (turn->set->has_chores) {
        do_chores(turn->set);
    }
    flush_all(turn->set);
}

static void on_turn_closed(uv_handle_t *uv)
{
    free(uv->data);
}

static int start_turns(struct link_set *set, struct ray_err *err)
{
    struct link_turn *turn = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *turn);

    if (turn == NULL) {
        return ray_fail(err, RAY_ENOMEM, "links");
    }
    turn->set = set;
    (void)uv_prepare_init(&set->loop->uv, &turn->uv); /* neither can fail */
    turn->uv.data = turn;
    (void)uv_prepare_start(&turn->uv, on_turn_end);
    uv_unref((uv_handle_t *)&turn->uv);
    set->turn = turn;
    return RAY_OK;
}

/* ---- registry ---- */

/* Whether the peer's key is still the one that it has proven to have. */
static bool is_still_known(const struct link_set *set, const struct link_peer *peer)
{
    uint8_t static_key[RAY_KEY_SIZE] = {0};
    uint8_t identity[RAY_KEY_SIZE] = {0};

    if (set->config.known(set->config.arg, &peer->id, static_key, identity) != RAY_OK) {
        return false;
    }
    return peer->conn == NULL || memcmp(static_key, peer->conn->static_key, sizeof static_key) == 0;
}

void ray_link_recheck(struct ray_link *link)
{
    struct link_set *set = from_base(link);
    struct link_peer *peer;

    LIST_FOREACH(peer, &set->peers, entry)
    {
        bool is_known = is_still_known(set, peer);

        if (!is_known && peer->conn != NULL) {
            link_conn_condemn(peer->conn, "revoked");
        }
        if (is_known && peer->is_unknown) {
            peer->failed_count = 0;
            link_dial_soon(peer);
        }
    }
}

void ray_link_set_cluster(struct ray_link *link, const struct ray_id *cluster,
                          uint64_t cluster_epoch)
{
    struct link_set *set = from_base(link);
    struct link_peer *peer;

    if (ray_id_equal(&set->config.cluster, cluster) && set->config.cluster_epoch == cluster_epoch) {
        return;
    }
    set->config.cluster = *cluster;
    set->config.cluster_epoch = cluster_epoch;
    link_shakes_stop(set);
    LIST_FOREACH(peer, &set->peers, entry)
    {
        link_dial_stop(peer);
        peer->failed_count = 0;
        if (peer->conn != NULL) {
            link_conn_condemn(peer->conn, "the cluster has another epoch");
        } else if (peer->is_added) {
            link_dial_soon(peer);
        }
    }
}

uint16_t ray_link_port(const struct ray_link *link)
{
    return from_base_const(link)->port;
}

size_t ray_link_shake_count(const struct ray_link *link)
{
    return from_base_const(link)->shake_count;
}

const char *ray_link_trouble(const struct ray_link *link, const struct ray_id *id)
{
    const struct link_peer *peer = link_peer_find(from_base_const(link), id);

    return peer == NULL || is_up(peer) ? "" : peer->trouble;
}

/* ---- life ---- */

static void op_destroy(struct ray_link *link)
{
    link_set_destroy(from_base(link));
}

static const struct ray_link_ops link_ops = {
    .send = op_send,
    .flush = op_flush,
    .queued_size = op_queued_size,
    .add_peer = op_add_peer,
    .remove_peer = op_remove_peer,
    .destroy = op_destroy,
};

static void set_init(struct link_set *set, struct ray_loop *loop,
                     const struct link_transport *transport, const struct ray_link_config *config)
{
    *set = (struct link_set){.base = {.ops = &link_ops},
                             .transport = transport,
                             .loop = loop,
                             .config = *config,
                             .listen_fd = -1};
    set->config.listen = NULL;
    randombytes_buf(set->instance, sizeof set->instance);
    LIST_INIT(&set->peers);
    for (size_t i = 0; i < LINK_BUCKETS; i++) {
        LIST_INIT(&set->buckets[i]);
    }
    TAILQ_INIT(&set->dirty);
    TAILQ_INIT(&set->shakes);
}

int link_set_create(struct link_set **out_set, struct ray_loop *loop,
                    const struct link_transport *transport, const struct ray_link_config *config,
                    struct ray_err *err)
{
    struct link_set *set = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *set);
    int rc;

    assert(config->key != NULL && config->known != NULL && !ray_id_is_none(&config->self));
    if (set == NULL) {
        return ray_fail(err, RAY_ENOMEM, "links");
    }
    set_init(set, loop, transport, config);
    set->scratch = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(LINK_SCRATCH_SIZE);
    rc = set->scratch != NULL ? RAY_OK : ray_fail(err, RAY_ENOMEM, "links");
    if (rc == RAY_OK) {
        rc = ray_timer_init(&set->wake, loop, on_wake, set, err);
    }
    if (rc == RAY_OK) {
        rc = start_turns(set, err);
    }
    if (rc == RAY_OK && config->listen != NULL) {
        rc = link_listen(set, config->listen, err);
    }
    if (rc != RAY_OK) {
        link_set_destroy(set);
        return rc;
    }
    *out_set = set;
    return RAY_OK;
}

void link_set_destroy(struct link_set *set)
{
    struct link_peer *peer;

    if (set == NULL) {
        return;
    }
    set->is_destroying = true;
    set->base.user = (struct ray_link_user){0}; /* nobody hears of the end */
    link_listen_stop(set);
    link_shakes_stop(set);
    while ((peer = LIST_FIRST(&set->peers)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that LIST_REMOVE unlinks */
        peer->is_added = false;
        if (peer->conn != NULL) {
            link_conn_end(peer->conn);
        }
        peer_free(peer);
    }
    if (set->transport->fini != NULL) {
        set->transport->fini(set);
    }
    if (set->turn != NULL) {
        set->turn->set = NULL;
        uv_close((uv_handle_t *)&set->turn->uv, on_turn_closed);
    }
    ray_timer_fini(&set->wake);
    free(set->scratch);
    free(set);
}

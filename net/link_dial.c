/* link_dial.c - one attempt at a time per peer, from the socket to the proven peer; after a
 * failure a pause that doubles, of which between half and all is slept: so that many nodes do
 * not come back in step. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/link_impl.h"

enum { BACK_OFF_STEPS_MAX = 10 };

/* ---- addresses ---- */

static int parse_port(const char *text, uint16_t *out_port)
{
    unsigned long port = 0;
    size_t length = strlen(text);

    if (length == 0 || length > 5) {
        return RAY_EINVAL;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return RAY_EINVAL;
        }
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    if (port > UINT16_MAX) {
        return RAY_EINVAL;
    }
    *out_port = (uint16_t)port;
    return RAY_OK;
}

/* `host` without brackets. */
static int parse_host(const char *host, bool is_v6, uint16_t port, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    if (is_v6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? RAY_OK : RAY_EINVAL;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;

    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? RAY_OK : RAY_EINVAL;
}

int link_address_parse(const char *text, struct sockaddr_storage *out, struct ray_err *err)
{
    char host[RAY_LINK_ADDRESS_SIZE];
    bool is_v6 = text[0] == '[';
    const char *colon = strrchr(text, ':');
    const char *begin = is_v6 ? text + 1 : text;
    const char *end =
        is_v6 && colon != NULL && colon > begin && colon[-1] == ']' ? colon - 1 : colon;
    uint16_t port = 0;
    struct sockaddr_storage parsed;

    if (strlen(text) >= sizeof host || end == NULL || (is_v6 && end == colon) ||
        parse_port(colon + 1, &port) != RAY_OK) {
        return ray_fail(err, RAY_EINVAL,
                        "'%s' is not of the form 192.0.2.1:port or [2001:db8::1]:port", text);
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    if (parse_host(host, is_v6, port, &parsed) != RAY_OK) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not an address (names are not looked up)", host);
    }
    *out = parsed;
    return RAY_OK;
}

socklen_t link_address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* ---- one attempt ---- */

static void note(struct link_peer *peer, const struct ray_err *why)
{
    (void)snprintf(peer->trouble, sizeof peer->trouble, "%s", why->text);
}

static void dial_free(struct link_peer *peer)
{
    struct link_shake *dial = peer->dial;

    if (dial == NULL) {
        return;
    }
    peer->dial = NULL;
    ray_bulk_shake_destroy(dial->shake);
    free(dial);
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *proven)
{
    struct link_peer *peer = ((struct link_shake *)arg)->peer;
    struct link_set *set = peer->set;
    struct ray_peer copy = *proven;
    struct ray_err err = {0};
    uint64_t epoch;

    dial_free(peer);
    if (copy.hello.kind == RAY_PEER_FORMER) {
        ray_seal_destroy(seal);
        (void)close(fd); /* all was said */
        link_former_heard(set, &copy, &err);
        note(peer, &err);
        link_dial_soon(peer);
        return;
    }
    if (link_epoch_differs(set, &copy, true, &epoch)) {
        ray_seal_destroy(seal);
        (void)close(fd); /* all was said */
        (void)ray_fail(&err, RAY_ECONFLICT, "it is at cluster epoch %llu, this node at %llu",
                       (unsigned long long)epoch, (unsigned long long)set->config.cluster_epoch);
        note(peer, &err);
        link_dial_soon(peer);
        return;
    }
    link_conn_offer(set, fd, seal, &copy, true);
}

static void on_failed(void *arg, const struct ray_err *why)
{
    struct link_peer *peer = ((struct link_shake *)arg)->peer;

    peer->is_refused = !peer->is_asking && why->code == RAY_EDENIED;
    note(peer, why);
    dial_free(peer);
    link_dial_soon(peer);
}

static int open_auth(struct link_peer *peer, struct ray_peer_auth **out_auth, struct ray_err *err)
{
    const struct ray_link_config *config = &peer->set->config;
    struct ray_hello hello = {.kind = RAY_PEER_MEMBER,
                              .cluster_epoch = config->cluster_epoch,
                              .cluster = config->cluster,
                              .from = config->self,
                              .to = peer->id};
    struct ray_peer_terms terms = {.has_peer_identity = true};
    uint8_t payload[LINK_PAYLOAD_SIZE];
    int rc;

    if (ray_id_is_none(&config->cluster)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this node is in no cluster yet");
    }
    rc = config->known(config->arg, &peer->id, terms.peer_static, terms.peer_identity);
    peer->is_unknown = rc != RAY_OK;
    if (peer->is_unknown) {
        return ray_fail(err, rc, "the registry does not name the peer as a member");
    }
    link_payload(peer->set, payload);
    peer->is_asking = link_former_asks(peer, &hello);
    return ray_peer_auth_open(out_auth, config->key, &hello, &terms, payload,
                              peer->is_asking ? 0 : sizeof payload, err);
}

static int open_socket(const struct link_peer *peer, int *out_fd, struct ray_err *err)
{
    const struct sockaddr_storage *address = &peer->address;
    int fault = ray_fault(RAY_FAULT_SOCKET);
    int fd =
        fault != 0 ? -1 : socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "socket");
    }
    if (connect(fd, (const struct sockaddr *)address, link_address_size(address)) != 0 &&
        errno != EINPROGRESS) {
        int rc = ray_fail_errno(err, errno, "connecting to %s", peer->address_text);

        (void)close(fd); /* nothing was written */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

static int dial(struct link_peer *peer, struct link_shake *dial, struct ray_err *err)
{
    struct ray_bulk_shake_user user = {.on_ready = on_ready, .on_failed = on_failed, .arg = dial};
    struct ray_peer_auth *auth = NULL;
    int fd = -1;
    int rc = open_auth(peer, &auth, err);

    if (rc == RAY_OK) {
        rc = open_socket(peer, &fd, err);
    }
    if (rc == RAY_OK) {
        rc = ray_bulk_shake_create(&dial->shake, peer->set->loop, fd, auth,
                                   RAY_LINK_SHAKE_TIMEOUT_MS, &user, err);
    }
    if (rc != RAY_OK) {
        if (fd >= 0) {
            (void)close(fd); /* nothing was written */
        }
        ray_peer_auth_destroy(auth);
    }
    return rc;
}

void link_dial_now(struct link_peer *peer)
{
    struct link_shake *shake;
    struct ray_err err = {0};
    int rc;

    if (!peer->is_added || peer->conn != NULL || peer->dial != NULL) {
        return;
    }
    shake = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *shake);
    if (shake == NULL) {
        link_dial_soon(peer);
        return;
    }
    shake->set = peer->set;
    shake->peer = peer;
    rc = dial(peer, shake, &err);
    if (rc == RAY_OK) {
        peer->dial = shake;
        return;
    }
    free(shake);
    note(peer, &err);
    link_dial_soon(peer);
}

/* ---- when ---- */

static uint64_t pause_ms(const struct link_peer *peer)
{
    unsigned steps =
        peer->failed_count < BACK_OFF_STEPS_MAX ? peer->failed_count : BACK_OFF_STEPS_MAX;
    uint32_t whole_ms;

    if (steps == 0) {
        return 0;
    }
    whole_ms = (uint32_t)RAY_LINK_DIAL_MS_MIN << (steps - 1);
    if (whole_ms > RAY_LINK_DIAL_MS_MAX) {
        whole_ms = RAY_LINK_DIAL_MS_MAX;
    }
    return whole_ms / 2 + randombytes_uniform(whole_ms / 2 + 1);
}

void link_dial_soon(struct link_peer *peer)
{
    if (!peer->is_added || peer->set->is_destroying) {
        return;
    }
    ray_timer_start(&peer->dial_timer, pause_ms(peer), 0);
    peer->failed_count++;
}

void link_dial_stop(struct link_peer *peer)
{
    ray_timer_stop(&peer->dial_timer);
    dial_free(peer);
}

static void on_dial_timer(void *arg)
{
    link_dial_now(arg);
}

int link_dial_init(struct link_peer *peer, struct ray_err *err)
{
    return ray_timer_init(&peer->dial_timer, peer->set->loop, on_dial_timer, peer, err);
}

void link_dial_fini(struct link_peer *peer)
{
    dial_free(peer);
    ray_timer_fini(&peer->dial_timer);
}

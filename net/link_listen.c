/* link_listen.c - whoever connects has RAY_LINK_SHAKE_TIMEOUT_MS to prove who it is, in a bounded
 * number of places. One address that takes them all loses its own oldest ones first. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/link_impl.h"

enum {
    ACCEPT_BURST_COUNT = 16,
    ACCEPT_PAUSE_MS = 100,
    LISTEN_BACKLOG = 256,
    NETWORK_SIZE = 8, /* bytes of a /64 */
};

void link_payload(const struct link_set *set, uint8_t out[static LINK_PAYLOAD_SIZE])
{
    out[0] = RAY_LINK_PURPOSE_LINK;
    out[1] = (uint8_t)set->transport->code;
    memcpy(out + 2, set->instance, LINK_INSTANCE_SIZE);
}

/* ---- who may ---- */

static int check_member(const struct link_set *set, const struct ray_hello *hello,
                        struct ray_peer_terms *out_terms, struct ray_err *err)
{
    const struct ray_link_config *config = &set->config;
    int rc;

    if (ray_id_is_none(&config->cluster) || !ray_id_equal(&hello->cluster, &config->cluster)) {
        return ray_fail(err, RAY_EDENIED, "another cluster");
    }
    if (!ray_id_equal(&hello->to, &config->self) || ray_id_equal(&hello->from, &config->self)) {
        return ray_fail(err, RAY_ENOTFOUND, "another node is meant");
    }
    if (hello->kind == RAY_PEER_FORMER) {
        return link_former_terms(set, hello, out_terms, err);
    }
    rc = config->known(config->arg, &hello->from, out_terms->peer_static, out_terms->peer_identity);
    if (rc == RAY_OK && hello->cluster_epoch != config->cluster_epoch) {
        link_epoch_terms(set, out_terms);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, RAY_EDENIED, "not a member here");
}

static bool is_of_cluster(const struct ray_hello *hello)
{
    return hello->kind == RAY_PEER_MEMBER || hello->kind == RAY_PEER_FORMER;
}

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    struct link_shake *shake = arg;
    const struct link_set *set = shake->set;
    int rc;

    if (is_of_cluster(hello)) {
        return check_member(set, hello, out_terms, err);
    }
    if (set->config.guests.on_hello == NULL) {
        return ray_fail(err, RAY_EUNSUPPORTED, "members only");
    }
    rc = set->config.guests.on_hello(set->config.arg, hello, out_terms, err);
    shake->has_guest = rc == RAY_OK;
    shake->guest = *hello;
    return rc;
}

static int on_proven(void *arg, const struct ray_peer *peer, struct ray_err *err)
{
    const struct link_set *set = ((const struct link_shake *)arg)->set;

    if (is_of_cluster(&peer->hello) || set->config.guests.on_proven == NULL) {
        return RAY_OK;
    }
    return set->config.guests.on_proven(set->config.arg, peer, err);
}

/* ---- handshakes ---- */

static void shake_free(struct link_shake *shake)
{
    const struct ray_link_config *config = &shake->set->config;

    TAILQ_REMOVE(&shake->set->shakes, shake, entry);
    shake->set->shake_count--;
    ray_bulk_shake_destroy(shake->shake);
    if (shake->has_guest && config->guests.on_lost != NULL) {
        config->guests.on_lost(config->arg, &shake->guest);
    }
    free(shake);
}

void link_shakes_stop(struct link_set *set)
{
    struct link_shake *shake;

    while ((shake = TAILQ_FIRST(&set->shakes)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that TAILQ_REMOVE unlinks */
        shake_free(shake);
    }
}

static bool is_link(const struct ray_peer *peer)
{
    return peer->hello.kind == RAY_PEER_MEMBER && peer->payload_size > 0 &&
           peer->payload[0] == RAY_LINK_PURPOSE_LINK;
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *proven)
{
    struct link_shake *shake = arg;
    struct link_set *set = shake->set;
    struct ray_peer copy = *proven;
    bool is_over;
    uint64_t epoch;

    shake->has_guest = false; /* it is here */
    shake_free(shake);
    is_over = copy.hello.kind == RAY_PEER_FORMER ||
              (copy.hello.kind == RAY_PEER_MEMBER && link_epoch_differs(set, &copy, false, &epoch));
    if (!is_over && is_link(&copy)) {
        link_conn_offer(set, fd, seal, &copy, false);
    } else if (!is_over && set->config.guests.on_guest != NULL) {
        set->config.guests.on_guest(set->config.arg, fd, seal, &copy);
    } else {
        ray_seal_destroy(seal);
        (void)close(fd); /* all was said; or a purpose that nobody here serves */
    }
}

static void on_failed(void *arg, const struct ray_err *why)
{
    (void)why; /* strangers' failures are not kept */
    shake_free(arg);
}

/* ---- places ---- */

/* One host has as many addresses of its /64 as it likes. IPv4 comes mapped. */
bool link_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET6) {
        const struct in6_addr *left = &((const struct sockaddr_in6 *)a)->sin6_addr;
        const struct in6_addr *right = &((const struct sockaddr_in6 *)b)->sin6_addr;
        bool is_whole = IN6_IS_ADDR_V4MAPPED(left) || IN6_IS_ADDR_V4MAPPED(right);

        return memcmp(left, right, is_whole ? sizeof *left : NETWORK_SIZE) == 0;
    }
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static size_t count_from(const struct link_set *set, const struct sockaddr_storage *from)
{
    const struct link_shake *shake;
    size_t count = 0;

    TAILQ_FOREACH(shake, &set->shakes, entry)
    {
        count += link_is_same_host(&shake->from, from) ? 1 : 0;
    }
    return count;
}

/* The oldest one of the host that has most. The list is in order of arrival. */
static void make_place(struct link_set *set)
{
    struct link_shake *shake, *chosen = NULL;
    size_t most = 0;

    TAILQ_FOREACH(shake, &set->shakes, entry)
    {
        size_t count = count_from(set, &shake->from);

        if (count > most) {
            most = count;
            chosen = shake;
        }
    }
    assert(chosen != NULL);
    shake_free(chosen);
}

/* Takes `fd` over on success. */
static int welcome(struct link_set *set, int fd, const struct sockaddr_storage *from)
{
    struct link_shake *shake = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *shake);
    struct ray_peer_auth_guard guard = {.on_hello = on_hello, .on_proven = on_proven, .arg = shake};
    struct ray_bulk_shake_user user = {.on_ready = on_ready, .on_failed = on_failed, .arg = shake};
    struct ray_peer_auth *auth = NULL;
    uint8_t payload[LINK_PAYLOAD_SIZE];
    int rc;

    if (shake == NULL) {
        return RAY_ENOMEM;
    }
    shake->set = set;
    shake->from = *from;
    link_payload(set, payload);
    rc = ray_peer_auth_answer(&auth, set->config.key, &guard, payload, sizeof payload, NULL);
    if (rc == RAY_OK) {
        rc = ray_bulk_shake_create(&shake->shake, set->loop, fd, auth, RAY_LINK_SHAKE_TIMEOUT_MS,
                                   &user, NULL);
    }
    if (rc != RAY_OK) {
        ray_peer_auth_destroy(auth);
        free(shake);
        return rc;
    }
    TAILQ_INSERT_TAIL(&set->shakes, shake, entry);
    set->shake_count++;
    return RAY_OK;
}

/* ---- the port ---- */

static void on_pause_end(void *arg)
{
    struct link_set *set = arg;

    (void)ray_poll_set(&set->listen_poll, UV_READABLE); /* fails only for a bad descriptor */
}

static void on_connection(void *arg, int status, int events)
{
    struct link_set *set = arg;

    (void)status; /* an error shows again in accept */
    (void)events;
    for (int i = 0; i < ACCEPT_BURST_COUNT; i++) {
        struct sockaddr_storage from = {0};
        socklen_t from_size = sizeof from;
        int fault = ray_fault(RAY_FAULT_SOCKET);
        int fd = fault != 0 ? -1
                            : accept4(set->listen_fd, (struct sockaddr *)&from, &from_size,
                                      SOCK_CLOEXEC | SOCK_NONBLOCK);
        int why = fault != 0 ? fault : errno;

        if (fd >= 0) {
            if (set->shake_count >= RAY_LINK_SHAKES_MAX) {
                make_place(set);
            }
            if (welcome(set, fd, &from) != RAY_OK) {
                (void)close(fd); /* no memory: it comes again */
            }
        } else if (why == EAGAIN) {
            return;
        } else if (why != EINTR && why != ECONNABORTED) {
            (void)ray_poll_set(&set->listen_poll, 0);
            ray_timer_start(&set->accept_pause, ACCEPT_PAUSE_MS, 0);
            return;
        }
    }
}

static int bind_socket(int fd, const struct sockaddr_storage *address, const char *text,
                       struct ray_err *err)
{
    int one = 1;

    /* A successor gets the port at once; two at a time do not. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)address, link_address_size(address)) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        int why = errno;

        return why == EADDRINUSE
                   ? ray_fail(err, RAY_EEXISTS, "%s is in use by another program", text)
                   : ray_fail_errno(err, why, "listening at %s", text);
    }
    return RAY_OK;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                               : ((const struct sockaddr_in *)&address)->sin_port);
}

/* All addresses of IPv6 are all of IPv4, too, whatever the machine's default for that is; where the
 * kernel has no IPv6 they are those of IPv4 alone. */
static void take_both_families(int fd, const struct sockaddr_storage *address)
{
    int zero = 0;

    if (address->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    }
}

static void fall_back(struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};

    v4.sin_addr.s_addr = htonl(INADDR_ANY);
    *address = (struct sockaddr_storage){0};
    memcpy(address, &v4, sizeof v4);
}

static bool is_any_v6(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int open_socket(struct sockaddr_storage *address, struct ray_err *err)
{
    enum { TYPE = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };
    int fault = ray_fault(RAY_FAULT_SOCKET);
    int fd = fault != 0 ? -1 : socket(address->ss_family, TYPE, 0);

    if (fd < 0 && fault == 0 && errno == EAFNOSUPPORT && is_any_v6(address)) {
        fall_back(address);
        fd = socket(address->ss_family, TYPE, 0);
    }
    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "socket");
    }
    take_both_families(fd, address);
    return fd;
}

int link_listen(struct link_set *set, const char *text, struct ray_err *err)
{
    struct sockaddr_storage address;
    int rc = link_address_parse(text, &address, err);
    int fd;

    if (rc != RAY_OK) {
        return rc;
    }
    fd = open_socket(&address, err);
    if (fd < 0) {
        return fd;
    }
    set->listen_fd = fd;
    rc = bind_socket(set->listen_fd, &address, text, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&set->accept_pause, set->loop, on_pause_end, set, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&set->listen_poll, set->loop, set->listen_fd, on_connection, set, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&set->listen_poll, UV_READABLE);
    }
    set->port = port_of(set->listen_fd);
    return rc;
}

void link_listen_stop(struct link_set *set)
{
    ray_poll_fini(&set->listen_poll);
    ray_timer_fini(&set->accept_pause);
    if (set->listen_fd >= 0) {
        (void)close(set->listen_fd); /* nothing is lost */
        set->listen_fd = -1;
    }
}

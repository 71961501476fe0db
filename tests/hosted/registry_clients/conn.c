/* conn.c - dial, the handshake of operators, rpc. What has ended is cleared away at the next use,
 * never from within its own callback. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/size.h"
#include "net/rpc_bulk.h"
#include "tests/hosted/registry_clients/clients.h"

enum { SHAKE_MS = 1000, SILENT_MAX = 3 };

void clients_conn_end(struct clients_member *member)
{
    struct ray_rpc_client *conn = member->conn;

    member->conn = NULL;
    ray_bulk_shake_destroy(member->shake);
    member->shake = NULL;
    member->has_ended = false;
    member->silent_count = 0;
    ray_rpc_client_destroy(conn); /* its calls end */
}

static void on_close(void *arg)
{
    struct clients_member *member = arg;

    member->has_ended = true;
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct clients_member *member = arg;

    (void)peer; /* the handshake took the member's key for granted */
    if (ray_rpc_client_create_bulk(&member->conn, &member->all->loop, fd, seal, NULL) != RAY_OK) {
        clients_die("a connection", "cannot be made");
    }
    ray_rpc_client_on_close(member->conn, on_close, member);
}

static void on_failed(void *arg, const struct ray_err *why)
{
    struct clients_member *member = arg;

    (void)why; /* away, or filled anew: meanwhile it knows no operators */
    member->has_ended = true;
}

static int dial(const struct clients_member *member)
{
    const char *colon = strrchr(member->address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[sizeof member->address];
    uint64_t port;
    int fd;

    if (colon == NULL || ray_parse_u64(colon + 1, 1, UINT16_MAX, &port) != RAY_OK) {
        clients_die(member->address, "no HOST:PORT");
    }
    memcpy(host, member->address, sizeof host);
    host[colon - member->address] = '\0';
    to.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        clients_die(member->address, "no address in numbers");
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        (void)close(fd); /* nothing was sent */
        return -1;
    }
    return fd;
}

static void shake(struct clients_member *member, int fd)
{
    const struct ray_bulk_shake_user user = {
        .on_ready = on_ready, .on_failed = on_failed, .arg = member};
    const struct ray_hello hello = {.kind = RAY_PEER_OPERATOR, .cluster = member->all->cluster};
    struct ray_peer_terms terms = {.has_peer_identity = false};
    struct ray_peer_auth *auth = NULL;
    struct ray_err err = {0};

    memcpy(terms.peer_static, member->link_key, sizeof terms.peer_static);
    if (ray_peer_auth_open(&auth, member->all->key, &hello, &terms, NULL, 0, &err) != RAY_OK ||
        ray_bulk_shake_create(&member->shake, &member->all->loop, fd, auth, SHAKE_MS, &user,
                              &err) != RAY_OK) {
        clients_die(member->address, err.text);
    }
}

struct ray_rpc_client *clients_conn(struct clients_member *member)
{
    int fd;

    if (member->has_ended) {
        clients_conn_end(member);
    }
    if (member->conn == NULL && member->shake == NULL) {
        fd = dial(member);
        if (fd >= 0) {
            shake(member, fd);
        }
    }
    return member->conn;
}

void clients_conn_heard(struct clients_member *member, bool is_silent)
{
    member->silent_count = is_silent ? member->silent_count + 1 : 0;
    member->has_ended = member->has_ended || member->silent_count >= SILENT_MAX;
}

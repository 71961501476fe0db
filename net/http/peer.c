#include "net/http/peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

enum { NETWORK_SIZE = 8 }; /* bytes of a /64 */

/* ::ffff:a.b.c.d */
static struct in6_addr mapped(const struct in_addr *v4)
{
    struct in6_addr out = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    memcpy(&out.s6_addr[12], v4, sizeof(*v4));
    return out;
}

static struct in6_addr share_of(const struct in6_addr *remote, const union ray_http_address *local)
{
    struct in6_addr out = *remote;
    bool is_ours =
        local->any.sa_family == AF_INET6 && memcmp(remote, &local->v6.sin6_addr, NETWORK_SIZE) == 0;

    if (!is_ours && !IN6_IS_ADDR_V4MAPPED(remote)) {
        memset(&out.s6_addr[NETWORK_SIZE], 0, sizeof(out) - NETWORK_SIZE);
    }
    return out;
}

void ray_http_peer_init(struct ray_http_peer *peer, const union ray_http_address *remote,
                        const union ray_http_address *local)
{
    const struct in6_addr *v6 = &remote->v6.sin6_addr;
    const char *text;

    assert(remote->any.sa_family == AF_INET || remote->any.sa_family == AF_INET6);
    *peer = (struct ray_http_peer){0};
    if (remote->any.sa_family == AF_INET) {
        peer->share = mapped(&remote->v4.sin_addr);
        text = inet_ntop(AF_INET, &remote->v4.sin_addr, peer->text, sizeof(peer->text));
    } else {
        peer->share = share_of(v6, local);
        text = IN6_IS_ADDR_V4MAPPED(v6)
                   ? inet_ntop(AF_INET, &v6->s6_addr[12], peer->text, sizeof(peer->text))
                   : inet_ntop(AF_INET6, v6, peer->text, sizeof(peer->text));
    }
    assert(text != NULL);
    (void)text;
}

bool ray_http_peer_shares(const struct ray_http_peer *a, const struct ray_http_peer *b)
{
    return memcmp(&a->share, &b->share, sizeof(a->share)) == 0;
}

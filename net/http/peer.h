/* net/http/peer.h - who a client is by its address: a text for logs, and a share.
 *
 * A share is what limits for one client count by: an IPv4 address; of IPv6 the whole /64, as one
 * host usually has all of it; but in the /64 of the server itself each address, because there
 * all machines of the network are.
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: addresses are the kernel's; a client on our own network may take as many as it likes. */
#ifndef RAY_NET_HTTP_PEER_H
#define RAY_NET_HTTP_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { RAY_HTTP_PEER_SIZE = 46 }; /* INET6_ADDRSTRLEN */

union ray_http_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct ray_http_peer {
    char text[RAY_HTTP_PEER_SIZE]; /* "10.77.0.21" */
    struct in6_addr share;
};

/* `local` is our end of the connection; of another family than `remote`: not known. */
void ray_http_peer_init(struct ray_http_peer *peer, const union ray_http_address *remote,
                        const union ray_http_address *local);
bool ray_http_peer_shares(const struct ray_http_peer *a, const struct ray_http_peer *b);

#endif

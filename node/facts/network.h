/* node/facts/network.h - network cards and their addresses.
 *
 * Memory: everything in the source's arena.  Threads: the caller's.
 * Blocks: as read.h; addresses come from the kernel by netlink.  Trust: as read.h. */
#ifndef RAY_NODE_FACTS_NETWORK_H
#define RAY_NODE_FACTS_NETWORK_H

#include <net/if.h>
#include <stddef.h>

#include "net/proto/node.pb-c.h"
#include "node/facts/read.h"

enum { FACTS_CARD_COUNT_MAX = 128, FACTS_ADDRESS_COUNT_MAX = 256, FACTS_ADDRESS_SIZE_MAX = 64 };

struct facts_address {
    char interface[IF_NAMESIZE];
    char text[FACTS_ADDRESS_SIZE_MAX]; /* "10.77.0.21/24" */
};

/* The addresses of this network namespace: IPv4, then IPv6. Returns how many, at most
 * FACTS_ADDRESS_COUNT_MAX; 0 when the kernel does not say. *out in the arena. */
size_t facts_addresses_read(struct facts_source *source, struct facts_address **out);

/* Sets network_cards and n_network_cards: Ethernet-like interfaces but loopback. */
void facts_network_read(struct facts_source *source, const struct facts_address *addresses,
                        size_t address_count, Rayos__Node__Facts *out);

#endif

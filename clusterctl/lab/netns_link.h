/* clusterctl/lab/netns_link.h - the few things that a lab asks of rtnetlink: a veth pair, an
 * address, MTU and state of an interface.
 *
 * Memory: none.  Threads: any, each call opens its own socket.
 * Blocks: for the kernel's answer, which comes at once.
 * Trust: the kernel's replies are checked for length all the same. */
#ifndef RAY_LAB_NETNS_LINK_H
#define RAY_LAB_NETNS_LINK_H

#include <stdint.h>

#include "base/err.h"

/* Both ends in this network namespace, down. RAY_EEXISTS, RAY_EDENIED, RAY_EUNSUPPORTED (no
 * veth in the kernel), RAY_EINVAL (a name is too long). */
int ray_netns_add_veth(const char *name, const char *peer, struct ray_err *err);

/* mtu 0: unchanged. */
int ray_netns_set_up(const char *name, uint32_t mtu, struct ray_err *err);

/* No address of its own by IPv6: for an end that only a packet socket uses. RAY_OK also
 * where the kernel has no IPv6. */
int ray_netns_no_ipv6_address(const char *name, struct ray_err *err);

/* `address` in host byte order. */
int ray_netns_add_address(const char *name, uint32_t address, uint8_t prefix_size,
                          struct ray_err *err);

/* Checksums are computed before a frame leaves: a packet socket at the other end must see
 * whole frames (research/lab.md, 5); segmentation offload goes with it. */
int ray_netns_disable_tx_offload(const char *name, struct ray_err *err);

/* "10.77.0.1/24". RAY_EINVAL. */
int ray_netns_parse_address(const char *text, uint32_t *out_address, uint8_t *out_prefix_size,
                            struct ray_err *err);

#endif

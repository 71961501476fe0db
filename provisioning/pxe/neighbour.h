/* provisioning/pxe/neighbour.h - which network card an address of our network has, by the
 * kernel's neighbour table: for machines whose lease another DHCP server gave.
 *
 * Memory: none.  Threads: any.  Blocks: never (the kernel answers from memory).
 * Trust: the table repeats what machines said in ARP and neighbour discovery: a hint. */
#ifndef RAY_PROVISIONING_PXE_NEIGHBOUR_H
#define RAY_PROVISIONING_PXE_NEIGHBOUR_H

#include "base/err.h"
#include "provisioning/pxe/address.h"

/* `peer` is an IPv4 or IPv6 address. RAY_ENOTFOUND: not known on this interface. */
int provision_neighbour_find(const char *interface, const char *peer, struct provision_mac *out,
                             struct ray_err *err);

#endif

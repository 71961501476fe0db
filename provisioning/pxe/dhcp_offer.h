/* provisioning/pxe/dhcp_offer.h - the two DHCP packets that show who else serves a network: the
 * DHCPDISCOVER of a machine that boots, and the offers that come back. As IPv4 packets, from the
 * IP header on.
 *
 * Memory: the caller's; nothing is allocated.  Threads: any.  Blocks: never.
 * Trust: offers come from anybody on the network; texts are reduced to printable ASCII. */
#ifndef RAY_PROVISIONING_PXE_DHCP_OFFER_H
#define RAY_PROVISIONING_PXE_DHCP_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/pxe/address.h"

enum {
    PROVISION_DISCOVER_SIZE = 20 + 8 + 236 + 100,
    PROVISION_OFFER_FILE_SIZE = 129, /* with NUL */
    PROVISION_OFFER_SIZE_MAX = 2048,
};

struct provision_dhcp_discover {
    uint32_t transaction;
    struct provision_mac mac;
    uint16_t arch; /* option 93 */
};

/* A whole packet from 0.0.0.0 to the broadcast address, asking for broadcast answers. */
void provision_dhcp_discover_build(const struct provision_dhcp_discover *discover,
                                   uint8_t out[static PROVISION_DISCOVER_SIZE]);

/* Addresses are numbers in host byte order; 0: none. */
struct provision_dhcp_offer {
    uint32_t transaction;
    struct provision_mac mac; /* of the machine that it is for */
    uint32_t source;          /* of the packet */
    uint32_t server;          /* as the server calls itself (option 54), else the source */
    uint32_t address;         /* 0: it only says where to boot from (proxyDHCP) */
    uint32_t next_server;
    bool is_pxe; /* it calls itself PXEClient or HTTPClient */
    char boot_file[PROVISION_OFFER_FILE_SIZE];
};

/* RAY_ENOTFOUND: another kind of packet. RAY_EMALFORMED: a broken DHCP packet. */
int provision_dhcp_offer_parse(const uint8_t *packet, size_t size, struct provision_dhcp_offer *out,
                               struct ray_err *err);

#endif

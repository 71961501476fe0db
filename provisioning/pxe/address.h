/* provisioning/pxe/address.h - MAC and IP addresses as text and back, strictly.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: texts may come from the network. */
#ifndef RAY_PROVISIONING_PXE_ADDRESS_H
#define RAY_PROVISIONING_PXE_ADDRESS_H

#include <stdint.h>

enum {
    PROVISION_MAC_TEXT_SIZE = 18,  /* "52:54:00:77:00:15" */
    PROVISION_IP_TEXT_SIZE = 16,   /* "255.255.255.255" */
    PROVISION_PEER_TEXT_SIZE = 46, /* either family, INET6_ADDRSTRLEN */
};

struct provision_mac {
    uint8_t bytes[6];
};

struct provision_ip6 {
    uint8_t bytes[16];
};

/* Six bytes of two hexadecimal digits, joined by ':' or '-' throughout. RAY_EINVAL. */
int provision_mac_parse(const char *text, struct provision_mac *out);
/* Lower case with ':'; returns `out`. */
const char *provision_mac_format(const struct provision_mac *mac,
                                 char out[static PROVISION_MAC_TEXT_SIZE]);

/* Addresses are numbers in host byte order, so that ranges compare. RAY_EINVAL. */
int provision_ip_parse(const char *text, uint32_t *out);
const char *provision_ip_format(uint32_t ip, char out[static PROVISION_IP_TEXT_SIZE]);
uint32_t provision_netmask(unsigned prefix_size); /* 0 to 32 bits */

int provision_ip6_parse(const char *text, struct provision_ip6 *out); /* RAY_EINVAL */
const char *provision_ip6_format(const struct provision_ip6 *ip,
                                 char out[static PROVISION_PEER_TEXT_SIZE]);

#endif

/* provisioning/pxe/dhcp_probe.h - who answers a machine that boots on this network: sends
 * DHCPDISCOVER like a BIOS and like a UEFI machine would, and listens for offers.
 *
 * Nothing is requested, so no server gives a lease away for more than the moment of its offer.
 * Packets are sent below the IP stack: a server on this machine does not hear them.
 * Memory: create/destroy.  Threads: the loop's.  Blocks: never.
 * Trust: offers come from anybody. */
#ifndef RAY_PROVISIONING_PXE_DHCP_PROBE_H
#define RAY_PROVISIONING_PXE_DHCP_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "provisioning/pxe/dhcp_offer.h"

enum {
    PROVISION_PROBE_SERVER_COUNT_MAX = 8,
    PROVISION_PROBE_TRY_COUNT = 3,
    PROVISION_PROBE_TRY_MS = 1000,
};

/* As which machine it was asked. */
enum provision_probe_arch {
    PROVISION_PROBE_UEFI, /* 7 */
    PROVISION_PROBE_BIOS, /* 0 */
    PROVISION_PROBE_ARCH_COUNT,
};

/* One server that answered. */
struct provision_probe_server {
    uint32_t server;
    bool gives_addresses;
    bool has_answered[PROVISION_PROBE_ARCH_COUNT];
    struct provision_dhcp_offer offers[PROVISION_PROBE_ARCH_COUNT]; /* the last ones */
};

struct provision_dhcp_probe;

struct provision_dhcp_probe_config {
    const char *interface; /* borrowed during create */
    uint32_t own_address;  /* an offer of this server is not reported */
    /* After PROVISION_PROBE_TRY_COUNT tries; may destroy the probe. */
    void (*on_end)(void *arg, const struct provision_probe_server *servers, size_t count);
    void *arg;
};

/* Needs CAP_NET_RAW: RAY_EDENIED. */
int provision_dhcp_probe_create(struct provision_dhcp_probe **out_probe, struct ray_loop *loop,
                                const struct provision_dhcp_probe_config *config,
                                struct ray_err *err);
void provision_dhcp_probe_destroy(struct provision_dhcp_probe *probe); /* NULL is fine */

#endif

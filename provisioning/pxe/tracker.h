/* provisioning/pxe/tracker.h - from dnsmasq's lines to events about machines.
 *
 * Remembers, in fixed tables where the oldest entry gives way, which architecture a DHCP
 * transaction named and which MAC has which address.
 * Memory: the struct is the caller's; zeroed is empty.  Threads: one owner.  Blocks: never.
 * Trust: lines repeat what machines send; a flood of them only makes us forget. */
#ifndef RAY_PROVISIONING_PXE_TRACKER_H
#define RAY_PROVISIONING_PXE_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provisioning/pxe/arch.h"
#include "provisioning/pxe/config.h"
#include "provisioning/pxe/dnsmasq_log.h"
#include "provisioning/pxe/event.h"

enum { PROVISION_TRANSACTION_COUNT = 64, PROVISION_LEASE_COUNT = 512 };

struct provision_tracker {
    struct {
        uint32_t transaction;
        const struct provision_arch *arch; /* NULL: it did not say */
    } transactions[PROVISION_TRANSACTION_COUNT];
    size_t transaction_next;
    struct {
        char mac[PROVISION_MAC_TEXT_SIZE];
        char ip[PROVISION_IP_TEXT_SIZE];
    } leases[PROVISION_LEASE_COUNT];
    size_t lease_next;
};

/* Fixed addresses are known before the first lease. */
void provision_tracker_init(struct provision_tracker *tracker,
                            const struct provision_config *config);
/* true: *out is an event (without t_us); *out_arch is what the machine said of itself in the
 * same transaction, or NULL. */
bool provision_tracker_take(struct provision_tracker *tracker,
                            const struct provision_dnsmasq_line *line, struct provision_event *out,
                            const struct provision_arch **out_arch);
/* The MAC that has this address, or "". */
const char *provision_tracker_mac(const struct provision_tracker *tracker, const char *ip);

#endif

/* provisioning/pxe/dnsmasq_log.h - one line of dnsmasq's log (with --log-dhcp), taken apart.
 *
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: dnsmasq is ours, but it repeats what machines send (names, classes, paths). */
#ifndef RAY_PROVISIONING_PXE_DNSMASQ_LOG_H
#define RAY_PROVISIONING_PXE_DNSMASQ_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "provisioning/pxe/address.h"

enum { PROVISION_DNSMASQ_TEXT_SIZE = 128, PROVISION_DNSMASQ_LINE_SIZE_MAX = 2048 };

enum provision_dnsmasq_kind {
    PROVISION_DNSMASQ_OTHER,
    PROVISION_DNSMASQ_STARTED,
    PROVISION_DNSMASQ_CLASS,        /* text: vendor class ("PXEClient:Arch:00007:UNDI:003016") */
    PROVISION_DNSMASQ_DISCOVER,     /* mac, maybe ip; text: "ignored" or "" */
    PROVISION_DNSMASQ_OFFER,        /* mac, ip */
    PROVISION_DNSMASQ_REQUEST,      /* mac, ip; text: "ignored" or "" */
    PROVISION_DNSMASQ_ACK,          /* mac, ip; text: host name or "" */
    PROVISION_DNSMASQ_NAK,          /* mac, ip; text: reason */
    PROVISION_DNSMASQ_PROXY,        /* mac, maybe ip; text: "proxy" (an offer), "proxy-ignored",
                                     * or the boot file that was named at port 4011 */
    PROVISION_DNSMASQ_TFTP_SENT,    /* ip; text: file without folders */
    PROVISION_DNSMASQ_TFTP_MISSING, /* same */
    PROVISION_DNSMASQ_TFTP_FAILED,  /* same */
};

struct provision_dnsmasq_line {
    enum provision_dnsmasq_kind kind;
    uint32_t transaction;                   /* of DHCP lines; 0: none */
    char mac[PROVISION_MAC_TEXT_SIZE];      /* "" where the line has none */
    char ip[PROVISION_IP_TEXT_SIZE];        /* same */
    char text[PROVISION_DNSMASQ_TEXT_SIZE]; /* printable ASCII, cut to fit */
};

/* Never fails: what is not understood is OTHER. `line` is without newline. */
void provision_dnsmasq_line_parse(const char *line, size_t size,
                                  struct provision_dnsmasq_line *out);

/* The architecture number in a vendor class ("PXEClient:Arch:00007:..."), or -1. */
int provision_class_arch(const char *vendor_class);

#endif

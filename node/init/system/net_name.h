/* node/init/system/net_name.h - names of network cards that a reboot, another order of drivers
 * or one more card does not change: made of where the card sits, or of its permanent MAC.
 *
 * The forms are those of systemd.net-naming-scheme(7), so that a machine has the names that
 * other Linux systems give it:
 *   en wl ww                     wired, WLAN, WWAN; in front of
 *   [P<domain>]p<bus>s<slot>[f<function>][n<port name>|d<port index>][v<virtual function>]
 *   [P<domain>]p<bus>s<slot>[f<function>]u<port>[u<port>...][c<configuration>][i<interface>]
 *   x<permanent MAC, 12 hexadecimal digits>
 * Left out are eno<N> and ens<N>: their numbers are the firmware's (SMBIOS type 41, ACPI _DSM and
 * _SUN), which on many boards are absent, twice the same, or other ones after an update.
 *
 * Memory: plain structs.  Threads: any.  Blocks: never.
 * Trust: texts come from drivers, firmware and USB devices: checked, never copied unread. */
#ifndef RAY_NODE_INIT_SYSTEM_NET_NAME_H
#define RAY_NODE_INIT_SYSTEM_NET_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/init/system/netlink.h"

enum {
    INIT_NET_PARENT_COUNT_MAX = 16,
    INIT_NET_PARENT_TEXT_SIZE = 64,
    INIT_NET_NAME_COUNT_MAX = 2,
};

/* A device above the card in sysfs. */
struct init_net_parent {
    char subsystem[INIT_NET_PARENT_TEXT_SIZE]; /* "virtio", "usb", "pci", ...; "" none */
    char name[INIT_NET_PARENT_TEXT_SIZE];      /* "virtio0", "1-1.4:1.0", "0000:00:02.0" */
};

struct init_net_device {
    char type[INIT_NET_PARENT_TEXT_SIZE]; /* DEVTYPE: "", "wlan", "wwan", ... */
    struct init_net_parent parents[INIT_NET_PARENT_COUNT_MAX]; /* the nearest first, up to PCI */
    size_t parent_count;
    char physical_function[INIT_NET_PARENT_TEXT_SIZE]; /* of an SR-IOV function; "": it is none */
    uint32_t virtual_index;                            /* its number there */
    bool is_multi_function;                            /* the PCI slot has several functions */
    uint32_t port_index;                               /* dev_port */
    char port_name[INIT_NET_PARENT_TEXT_SIZE];         /* phys_port_name, or "" */
    bool has_permanent_mac;
    uint8_t permanent_mac[INIT_MAC_SIZE];
};

/* The names that the card may have, the best first; none: it keeps the kernel's. By place, then
 * by MAC; what is on USB wanders between sockets and is named by MAC, then by place. */
struct init_net_names {
    size_t count;
    char names[INIT_NET_NAME_COUNT_MAX][INIT_LINK_NAME_SIZE];
};

void init_net_names_make(const struct init_net_device *device, struct init_net_names *out);

/* Whether phys_port_name says that this is not a card, but the switch's end of another
 * function's one ("pf0", "pf0vf3", "c1pf0sf8"): these share a MAC. */
bool init_net_is_representor(const char *port_name);

/* Letters, digits, '-' and '_', 1 to 15 of them: the kernel's rule (dev_valid_name), and no
 * character with a meaning anywhere ('%' makes the kernel count, '.' and ':' are VLANs). */
bool init_net_name_is_valid(const char *name);

#endif

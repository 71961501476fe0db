/* node/init/system/net_rename.h - gives network cards their stable names (net_name.h), once each,
 * while they are down; and tells other programs in run/rayos/network.json what was called what.
 *
 * What software makes (bridge, bond, VLAN, tap, veth, ...) and the switch's ends of other
 * functions keep their names, as does a card that is up already, or in a bridge.
 *
 * Memory: plain struct; borrows netlink and logger.  Threads: the owner's of netlink.
 * Blocks: netlink requests and sysfs (microseconds), a small file in RAM.
 * Trust: as net_device.h. */
#ifndef RAY_NODE_INIT_SYSTEM_NET_RENAME_H
#define RAY_NODE_INIT_SYSTEM_NET_RENAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "node/init/system/net_name.h"
#include "node/init/system/netlink.h"

#define INIT_NETWORK_FILE "run/rayos/network.json"

/* A link that was looked at. */
struct init_net_named {
    uint32_t index;
    uint8_t failure_count; /* of asking the kernel */
    bool is_done;
    bool is_card; /* hardware stands behind it */
    bool has_permanent_mac;
    uint8_t permanent_mac[INIT_MAC_SIZE];
    char name[INIT_LINK_NAME_SIZE];
    char kernel_name[INIT_LINK_NAME_SIZE];
    char alternative_name[INIT_LINK_NAME_SIZE]; /* or "" */
};

struct init_net_namer {
    int root_fd;
    bool keeps_kernel_names;   /* net.ifnames=0 */
    bool takes_software_links; /* tests in namespaces have no other */
    struct init_netlink *netlink;
    struct ray_logger *logger;
    bool is_published; /* the file says what `links` says */
    size_t count;
    struct init_net_named links[INIT_LINK_COUNT_MAX];
};

/* `links` are all that there are. Names those that are new, in this order; a new name stands in
 * links[i].name afterwards. Of two that want one name the first gets it. Failures are logged. */
void init_net_namer_run(struct init_net_namer *namer, struct init_link *links, size_t count);

#endif

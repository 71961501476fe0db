/* node/init/system/net_setup.h - the node's network before anything serves on it: loopback,
 * the cards' names, the boot card, the bridge ray0 with its MAC, and what DHCP says.
 *
 * Runs on the loop: start returns at once. A card that appears late, or gets its cable
 * late, is taken then. Only one card is ever put into ray0. Every card gets its stable name
 * (net_rename.h) as soon as it is seen, before it is set up.
 *
 * The services that PID 1 runs for it (command lines and environment below):
 *   dhcp  starts on on_bridge; as root: its main process becomes user
 *         "dhcpcd" in an empty folder by itself and keeps a small root helper, so it needs
 *         CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID,
 *         CAP_SYS_CHROOT, CAP_KILL, CAP_CHOWN, CAP_DAC_OVERRIDE; it does not tell when it is
 *         ready; SIGTERM leaves the address in place, so a restart does not cut the network
 *   time  starts on the first on_lease with ntp_count > 0, restarts when has_new_ntp;
 *         as root: it becomes user "_chrony" by itself; needs CAP_SYS_TIME, CAP_SETUID,
 *         CAP_SETGID, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_NET_BIND_SERVICE
 *
 * Memory: created and destroyed here; borrows loop and logger.  Threads: the loop's.
 * Blocks: netlink requests (microseconds, at most 2 s), sysfs.
 * Trust: the lease file is written by our own program from hostile values (net_lease.h). */
#ifndef RAY_NODE_INIT_SYSTEM_NET_SETUP_H
#define RAY_NODE_INIT_SYSTEM_NET_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "node/init/system/net_lease.h"
#include "node/init/system/net_rename.h"
#include "node/init/system/netlink.h"

#define INIT_NET_BRIDGE "ray0"

/* NULL-terminated, for ray_child_spec; argv[0] is the absolute path. */
extern const char *const init_net_dhcp_argv[];
extern const char *const init_net_time_argv[];
/* State folders that both need: call once, before either starts. */
int init_net_prepare_folders(int root_fd, struct ray_err *err);

struct init_net_callbacks {
    /* ray0 exists, is up and has a card: start DHCP. Once, and again when the bridge had to
     * be made anew with another card. */
    void (*on_bridge)(void *arg, const char *card, const uint8_t mac[INIT_MAC_SIZE]);
    /* The lease is new or changed (is_bound), or was lost; resolv.conf and the list of NTP
     * servers are written already. has_new_ntp: that list is not what it was. */
    void (*on_lease)(void *arg, const struct init_lease *lease, bool has_new_ntp);
    void *arg;
};

struct init_net_options {
    int root_fd;
    /* MAC of the card that the machine booted from (boot_facts.h), or has_boot_mac false. */
    bool has_boot_mac;
    uint8_t boot_mac[INIT_MAC_SIZE];
    uint64_t boot_card_wait_ms; /* for that very card, then any; 0: 10 s */
    uint64_t carrier_wait_ms;   /* for a card with carrier, then the first; 0: 4 s */
    bool keeps_kernel_names;    /* net.ifnames=0 */
    bool takes_software_links;  /* tests in namespaces have no other */
};

struct init_net;

int init_net_create(struct ray_loop *loop, const struct init_net_options *options,
                    const struct init_net_callbacks *callbacks, struct ray_logger *logger,
                    struct init_net **out, struct ray_err *err);
/* Leaves bridge and addresses as they are. */
void init_net_destroy(struct init_net *net);
/* Looks at the links again (after lost events; normally not needed). */
void init_net_rescan(struct init_net *net);

/* The choice, pure: which of `links` goes into the bridge now. `waited_ms` since start.
 * Returns an index, or -1: wait on. */
int init_net_choose(const struct init_link *links, size_t count,
                    const struct init_net_options *options, uint64_t waited_ms);

#endif

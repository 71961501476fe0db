/* node/init/system/netlink.h - the little of rtnetlink that a node needs: links, a bridge,
 * and being told when a link changes.
 *
 * Memory: struct init_netlink owns one socket.  Threads: one owner.
 * Blocks: a request waits for the kernel's answer, at most 2 s.
 * Trust: answers are the kernel's (sender checked); attribute lengths are checked anyway. */
#ifndef RAY_NODE_INIT_SYSTEM_NETLINK_H
#define RAY_NODE_INIT_SYSTEM_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { INIT_LINK_COUNT_MAX = 256, INIT_MAC_SIZE = 6, INIT_LINK_NAME_SIZE = 16 };

struct init_link {
    uint32_t index;
    uint32_t master_index;  /* 0: none */
    uint16_t hardware_type; /* ARPHRD_* */
    bool is_up;             /* IFF_UP */
    bool has_carrier;
    bool has_mac;
    bool has_kind;  /* made by software: bridge, veth, vlan, ... */
    bool has_lower; /* stands on another link, or on one of another namespace */
    bool has_permanent_mac;
    uint8_t mac[INIT_MAC_SIZE];
    uint8_t permanent_mac[INIT_MAC_SIZE]; /* of the card; equals mac when unknown */
    char name[INIT_LINK_NAME_SIZE];
    char kind[16]; /* "" or "bridge" */
};

struct init_netlink {
    int fd; /* -1: closed */
    uint32_t sequence;
};

void init_netlink_init(struct init_netlink *netlink);
int init_netlink_open(struct init_netlink *netlink, struct ray_err *err);
void init_netlink_fini(struct init_netlink *netlink);

/* All links, at most `link_count_max`; *out_count of them. */
int init_netlink_links(struct init_netlink *netlink, struct init_link *out_links,
                       size_t link_count_max, size_t *out_count, struct ray_err *err);
/* RAY_ENOTFOUND when there is none of this name. */
int init_netlink_link_by_name(struct init_netlink *netlink, const char *name, struct init_link *out,
                              struct ray_err *err);
int init_netlink_set_up(struct init_netlink *netlink, uint32_t index, bool is_up,
                        struct ray_err *err);
/* RAY_EEXISTS: another link has that name, or alternative name. RAY_EUNAVAILABLE: the link is up
 * (kernels before 6.2; later ones rename it under its users: do not ask). */
int init_netlink_rename(struct init_netlink *netlink, uint32_t index, const char *name,
                        struct ray_err *err);
/* One more name by which link_by_name, and other programs, find it. RAY_EEXISTS as above. */
int init_netlink_add_name(struct init_netlink *netlink, uint32_t index, const char *name,
                          struct ray_err *err);
/* A bridge without spanning tree and forward delay; `mac` NULL: the kernel chooses.
 * RAY_EEXISTS. */
int init_netlink_make_bridge(struct init_netlink *netlink, const char *name,
                             const uint8_t mac[INIT_MAC_SIZE], struct ray_err *err);
int init_netlink_set_mac(struct init_netlink *netlink, uint32_t index,
                         const uint8_t mac[static INIT_MAC_SIZE], struct ray_err *err);
/* 0 takes it out of its bridge. */
int init_netlink_set_master(struct init_netlink *netlink, uint32_t index, uint32_t master_index,
                            struct ray_err *err);

/* A socket that becomes readable when links change; non-blocking. */
int init_netlink_open_monitor(int *out_fd, struct ray_err *err);
/* Drops what is queued; true when anything (or an overflow) was: look at the links again. */
bool init_netlink_drain_monitor(int fd);

/* One RTM_NEWLINK message; pure. RAY_EMALFORMED. */
int init_netlink_parse_link(const uint8_t *message, size_t size, struct init_link *out,
                            struct ray_err *err);

/* "52:54:00:77:00:15"; and from "52:54:..", or BOOTIF's "01-52-54-..". */
char *init_mac_format(const uint8_t mac[static INIT_MAC_SIZE], char out[static 18]);
int init_mac_parse(const char *text, uint8_t out[static INIT_MAC_SIZE]);

#endif

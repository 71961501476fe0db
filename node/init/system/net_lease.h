/* node/init/system/net_lease.h - what DHCP gave the node: checked, and as a file.
 *
 * rayos-dhcp-event turns dhcpcd's environment into a lease and writes
 * /run/rayos/dhcp.json; PID 1 reads that.
 * Memory: plain structs; reading and writing allocate and free inside.  Threads: any.
 * Blocks: file functions on /run.  Trust: every value comes from the network and is
 * hostile: addresses are parsed to binary and printed again, names are [A-Za-z0-9.-] or
 * dropped, counts are bounded. What it says is a hint: nothing rests on it. */
#ifndef RAY_NODE_INIT_SYSTEM_NET_LEASE_H
#define RAY_NODE_INIT_SYSTEM_NET_LEASE_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/http/origin.h"

enum {
    INIT_LEASE_SERVER_COUNT_MAX = 4,
    INIT_LEASE_DOMAIN_SIZE_MAX = 254,
    INIT_LEASE_FILE_SIZE_MAX = 8 * 1024,
};

#define INIT_LEASE_FILE "run/rayos/dhcp.json"
#define INIT_LEASE_NTP_FILE "run/rayos/chrony.sources"

typedef char init_address_text[INET_ADDRSTRLEN];

struct init_lease {
    bool is_bound;   /* false: the lease was lost; the rest is empty */
    char reason[16]; /* dhcpcd's: "BOUND", "RENEW", "EXPIRE", ... */
    init_address_text address;
    uint8_t prefix;
    init_address_text gateway; /* "" when none */
    init_address_text server;  /* the DHCP server, "" when unknown */
    init_address_text dns[INIT_LEASE_SERVER_COUNT_MAX];
    size_t dns_count;
    init_address_text ntp[INIT_LEASE_SERVER_COUNT_MAX]; /* option 42 only */
    size_t ntp_count;
    char domain[INIT_LEASE_DOMAIN_SIZE_MAX];
    uint32_t mtu; /* 0: none given */
    /* Who boots machines here (option 224): "http://10.77.0.1:8080", or "". */
    char boot_server[RAY_HTTP_ORIGIN_SIZE_MAX];
};

enum init_lease_change {
    INIT_LEASE_BOUND,
    INIT_LEASE_LOST,
    INIT_LEASE_NOTHING, /* a reason that changes nothing for us: PREINIT, CARRIER, ... */
};

/* From dhcpcd's environment ("reason", "new_ip_address", ...). RAY_EMALFORMED when a
 * reason that promises an address has no valid one. */
int init_lease_from_env(char *const *envp, enum init_lease_change *out_change,
                        struct init_lease *out, struct ray_err *err);

int init_lease_write(int root_fd, const struct init_lease *lease, struct ray_err *err);
/* The text of that file; pure. RAY_EMALFORMED: not one that init_lease_write makes. */
int init_lease_parse(const char *text, size_t size, struct init_lease *out, struct ray_err *err);
/* RAY_ENOTFOUND before the first lease. */
int init_lease_read(int root_fd, struct init_lease *out, struct ray_err *err);

/* etc/resolv.conf; and INIT_LEASE_NTP_FILE, which is empty without servers. */
int init_lease_write_resolv(int root_fd, const struct init_lease *lease, struct ray_err *err);
int init_lease_write_ntp_sources(int root_fd, const struct init_lease *lease, struct ray_err *err);
/* Whether both name the same NTP servers. */
bool init_lease_has_same_ntp(const struct init_lease *a, const struct init_lease *b);

#endif

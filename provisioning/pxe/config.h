/* provisioning/pxe/config.h - what rayos-provision is told: by options, and by a file of
 * `key = value` lines with the same keys. config_value.c reads the values, config_check.c sees
 * whether they fit together.
 *
 * Memory: the struct is the caller's; no allocation.  Threads: any.  Blocks: never.
 * Trust: the operator's texts; still checked to the last, because they end up in dnsmasq's
 * configuration and in boot scripts. */
#ifndef RAY_PROVISIONING_PXE_CONFIG_H
#define RAY_PROVISIONING_PXE_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/pxe/address.h"

enum {
    PROVISION_HOST_COUNT_MAX = 256,
    PROVISION_HOST_NAME_SIZE = 33,
    PROVISION_PATH_SIZE = 1024,
    PROVISION_CONFIG_SIZE_MAX = 65536,
    PROVISION_TRANSFER_COUNT_MAX = 1024,
    PROVISION_USER_SIZE = 33,
};

/* Who gives machines their addresses. */
enum provision_mode {
    PROVISION_MODE_NONE,  /* not chosen: an error, so that no network is answered by accident */
    PROVISION_MODE_DHCP,  /* we do; the network is ours */
    PROVISION_MODE_PROXY, /* another server does; we add where to boot from (proxyDHCP) */
    PROVISION_MODE_HTTP,  /* another server does that, too; we only serve scripts and images */
};

struct provision_host {
    struct provision_mac mac;
    uint32_t ip;
    char name[PROVISION_HOST_NAME_SIZE];
};

struct provision_config {
    enum provision_mode mode;
    char interface[IF_NAMESIZE];
    uint32_t address; /* ours */
    unsigned prefix_size;
    struct provision_ip6 address6; /* with prefix6_size 0: none */
    unsigned prefix6_size;
    uint32_t range_first; /* for machines without a fixed address */
    uint32_t range_last;
    char import_dir[PROVISION_PATH_SIZE]; /* "": none */
    char state_dir[PROVISION_PATH_SIZE];
    char dnsmasq_path[PROVISION_PATH_SIZE];
    char ipxe_path[PROVISION_PATH_SIZE];
    char ipxe_bios_path[PROVISION_PATH_SIZE];
    char user[PROVISION_USER_SIZE];         /* "": stays who it is */
    char control_path[PROVISION_PATH_SIZE]; /* "": control.sock in the state folder */
    uint16_t http_port;
    size_t transfer_count_max; /* images being sent at once */
    bool takes_hello;
    struct provision_host hosts[PROVISION_HOST_COUNT_MAX];
    size_t host_count;
};

/* X(field, key, value name, default, help): every key, so that options, file and help stay one
 * table. A value name that ends in "..." may be given several times. */
#define PROVISION_CONFIG_KEYS(X)                                                                   \
    X(mode, "mode", "dhcp|proxy|http", NULL,                                                       \
      "who gives addresses: we, another DHCP server (we add where to boot), or neither DHCP")      \
    X(interface, "interface", "NAME", NULL, "network interface to serve on")                       \
    X(address, "address", "IP/BITS", NULL, "our address on it, for example 10.77.0.1/24")          \
    X(address6, "address6", "IP/BITS", NULL, "our IPv6 address on it; without it no IPv6")         \
    X(range, "range", "FIRST,LAST", NULL, "addresses for machines without --host (mode dhcp)")     \
    X(host, "host", "MAC,IP,NAME...", NULL, "fixed address of a machine; may be repeated")         \
    X(import, "import", "DIR", NULL, "image folder that is added to the store at start")           \
    X(import, "image-dir", "DIR", NULL, "the same by its older name")                              \
    X(state_dir, "state-dir", "DIR", NULL, "folder for images, machines and generated files")      \
    X(http_port, "http-port", "PORT", "8080", "TCP port of scripts and images")                    \
    X(transfers, "transfers", "N", "32", "images sent at once; the others queue")                  \
    X(hello, "hello", "on|off", "on", "whether nodes may report that they are up")                 \
    X(user, "user", "NAME", NULL, "user to become, when started as root")                          \
    X(control, "control", "PATH", NULL, "socket for clusterctl; STATE/control.sock without it")    \
    X(dnsmasq, "dnsmasq", "PATH", "/usr/sbin/dnsmasq", "the dnsmasq program")                      \
    X(ipxe, "ipxe", "PATH", "/usr/lib/ipxe/snponly.efi", "boot file for UEFI x64")                 \
    X(ipxe_bios, "ipxe-bios", "PATH", "/usr/lib/ipxe/undionly.kpxe", "boot file for BIOS")

/* Ports and paths as above, the rest empty. */
void provision_config_init(struct provision_config *config);
/* Sets one key; `host` adds. RAY_EUSAGE names key and value. */
int provision_config_set(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err);
/* A file's text: empty lines, "# comments", "key = value". The error names the line. */
int provision_config_parse(struct provision_config *config, const char *text, struct ray_err *err);
/* Whether all is there and fits together (range and hosts within the network, no address or
 * MAC twice, nothing that the mode has no use for). */
int provision_config_check(const struct provision_config *config, struct ray_err *err);

const char *provision_mode_word(enum provision_mode mode);
/* Whether dnsmasq runs (modes dhcp and proxy). */
bool provision_mode_has_dnsmasq(enum provision_mode mode);

#endif

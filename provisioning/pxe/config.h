/* provisioning/pxe/config.h - what rayos-provision is told: by options, and by a file of
 * `key = value` lines with the same keys.
 *
 * Memory: the struct is the caller's; no allocation.  Threads: any.  Blocks: never.
 * Trust: the operator's texts; still checked to the last, because they end up in dnsmasq's
 * configuration and in boot scripts. */
#ifndef RAY_PROVISIONING_PXE_CONFIG_H
#define RAY_PROVISIONING_PXE_CONFIG_H

#include <net/if.h>
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
};

struct provision_host {
    struct provision_mac mac;
    uint32_t ip;
    char name[PROVISION_HOST_NAME_SIZE];
};

struct provision_config {
    char interface[IF_NAMESIZE];
    uint32_t address; /* ours */
    unsigned prefix_size;
    uint32_t range_first; /* for machines without a fixed address */
    uint32_t range_last;
    char image_dir[PROVISION_PATH_SIZE];
    char state_dir[PROVISION_PATH_SIZE];
    char dnsmasq_path[PROVISION_PATH_SIZE];
    char ipxe_path[PROVISION_PATH_SIZE];
    uint16_t http_port;
    size_t transfer_count_max; /* images being sent at once */
    struct provision_host hosts[PROVISION_HOST_COUNT_MAX];
    size_t host_count;
};

/* X(field, key, value name, default, help): every key, so that options, file and help stay one
 * table. A value name that ends in "..." may be given several times. */
#define PROVISION_CONFIG_KEYS(X)                                                                   \
    X(interface, "interface", "NAME", NULL, "network interface to serve on")                       \
    X(address, "address", "IP/BITS", NULL, "our address on it, for example 10.77.0.1/24")          \
    X(range, "range", "FIRST,LAST", NULL, "addresses for machines without --host")                 \
    X(host, "host", "MAC,IP,NAME...", NULL, "fixed address of a machine; may be repeated")         \
    X(image_dir, "image-dir", "DIR", NULL, "folder with manifest.json and rayos.efi")              \
    X(state_dir, "state-dir", "DIR", NULL, "folder for leases and generated files")                \
    X(http_port, "http-port", "PORT", "8080", "TCP port of scripts and images")                    \
    X(transfers, "transfers", "N", "32", "images sent at once; the others queue")                  \
    X(dnsmasq, "dnsmasq", "PATH", "/usr/sbin/dnsmasq", "the dnsmasq program")                      \
    X(ipxe, "ipxe", "PATH", "/usr/lib/ipxe/snponly.efi", "boot file for UEFI x64")

/* Ports and paths as above, the rest empty. */
void provision_config_init(struct provision_config *config);
/* Sets one key; `host` adds. RAY_EUSAGE names key and
 * value. */
int provision_config_set(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err);
/* A file's text: empty lines, "# comments", "key = value". The error names the line. */
int provision_config_parse(struct provision_config *config, const char *text, struct ray_err *err);
/* Whether all is there and fits together (range and hosts within the network, no address or
 * MAC twice). */
int provision_config_check(const struct provision_config *config, struct ray_err *err);

#endif

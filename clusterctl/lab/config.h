/* clusterctl/lab/config.h - what a lab is made of: the arguments of `lab up` as one plain
 * struct, the identity of each machine, and the JSON form in which `lab up` hands them to
 * the supervisor (lab.json, key "config").
 *
 * Memory: plain structs, no pointers.  Threads: any.  Blocks: never.
 * Trust: the JSON is read back from our own file, yet every field is checked. */
#ifndef RAY_CLUSTERCTL_LAB_CONFIG_H
#define RAY_CLUSTERCTL_LAB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "clusterctl/lab/accel.h"
#include "clusterctl/lab/paths.h"

enum {
    LAB_NODE_COUNT_MAX = 16,
    LAB_CPU_COUNT_MAX = 16,
    LAB_MEMORY_MIB_MIN = 256,
    LAB_MEMORY_MIB_MAX = 65536,
    LAB_MACHINE_ARG_COUNT_MAX = 16,
    LAB_MACHINE_ARG_SIZE = 256,
    LAB_TIMEOUT_S_MAX = 86400,
    LAB_HTTP_PORT = 8080,
};

#define LAB_DATA_DISK_SIZE_MIN (UINT64_C(320) << 20) /* mkfs.xfs wants 300 MiB for itself */
#define LAB_DATA_DISK_SIZE_MAX (UINT64_C(1) << 40)
#define LAB_HOST_ADDRESS "10.77.0.1"
#define LAB_NETWORK_PREFIX 24
#define LAB_INTERFACE "lab0"          /* the services' end of the veth pair */
#define LAB_SWITCH_INTERFACE "lab0sw" /* the switch's end */
#define LAB_FOREIGN_ADDRESS "10.77.0.2"
#define LAB_FOREIGN_INTERFACE "lab1" /* of the foreign DHCP server, where there is one */
#define LAB_FOREIGN_SWITCH_INTERFACE "lab1sw"

enum lab_boot {
    LAB_BOOT_PXE_UEFI,    /* OVMF: iPXE by TFTP, then the UKI by HTTP */
    LAB_BOOT_PXE_BIOS,    /* SeaBIOS, iPXE in the card's ROM: kernel and initramfs by HTTP */
    LAB_BOOT_HTTP_UEFI,   /* OVMF fetches the UKI by HTTP itself */
    LAB_BOOT_DISK,        /* OVMF, the UKI from the ESP of the machine's own disk */
    LAB_BOOT_DIRECT,      /* SeaBIOS, kernel and initramfs given by QEMU */
    LAB_BOOT_DIRECT_UEFI, /* OVMF, kernel and initramfs given by QEMU */
    LAB_BOOT_COUNT
};

/* What the machine's disk is attached to. */
enum lab_disk_bus {
    LAB_DISK_VIRTIO,
    LAB_DISK_NVME,
    LAB_DISK_AHCI,
    LAB_DISK_USB,
    LAB_DISK_BUS_COUNT,
};

/* Who gives addresses on the lab's network. */
enum lab_dhcp {
    LAB_DHCP_OWN,     /* rayos-provision */
    LAB_DHCP_FOREIGN, /* a server that knows nothing of RayOS; rayos-provision is a proxyDHCP */
    LAB_DHCP_BARE,    /* that server alone: a node may boot the others */
    LAB_DHCP_COUNT,
};

struct lab_config {
    uint32_t node_count;
    enum lab_boot boot;
    enum lab_disk_bus disk_bus;
    enum lab_dhcp dhcp;
    enum ray_accel_choice accel;
    char image_dir[LAB_PATH_SIZE]; /* absolute */
    uint32_t memory_mib;
    uint32_t cpu_count;
    uint64_t data_disk_size_bytes; /* of the whole disk; 0: none */
    uint64_t seed;                 /* of the switch's faults */
    uint32_t timeout_s;            /* until every node is ready */
    bool captures;                 /* the switch writes capture.pcap */
    bool disks_boot;               /* the disk carries the image, too */
    bool makes_cluster;            /* the nodes become one cluster */
    uint32_t machine_arg_count;    /* more arguments for every QEMU */
    char machine_args[LAB_MACHINE_ARG_COUNT_MAX][LAB_MACHINE_ARG_SIZE];
};

/* Who machine `index` (from 0) is; the same in every lab. */
struct lab_identity {
    char name[16];    /* node1 */
    char mac[18];     /* 52:54:00:77:00:15 */
    char address[16]; /* 10.77.0.21 */
    char uuid[37];
};

const char *lab_boot_name(enum lab_boot boot);
int lab_boot_parse(const char *name, enum lab_boot *out, struct ray_err *err);
bool lab_boot_is_uefi(enum lab_boot boot);
bool lab_boot_is_network(enum lab_boot boot);
bool lab_boot_is_direct(enum lab_boot boot); /* QEMU gives the kernel */
const char *lab_disk_bus_name(enum lab_disk_bus bus);
int lab_disk_bus_parse(const char *name, enum lab_disk_bus *out, struct ray_err *err);
const char *lab_dhcp_name(enum lab_dhcp dhcp);
bool lab_dhcp_has_foreign(enum lab_dhcp dhcp);
bool lab_dhcp_has_provision(enum lab_dhcp dhcp); /* the lab runs a rayos-provision of its own */
int lab_dhcp_parse(const char *name, enum lab_dhcp *out, struct ray_err *err);
const char *lab_accel_name(enum ray_accel_choice choice);
int lab_accel_parse(const char *name, enum ray_accel_choice *out, struct ray_err *err);

void lab_identity(size_t index, struct lab_identity *out);
/* Index of the machine called `name`; RAY_ENOTFOUND says which names there are. */
int lab_node_find(const struct lab_config *config, const char *name, size_t *out_index,
                  struct ray_err *err);

/* Checks ranges and combinations; RAY_EUSAGE says which and what is allowed. */
int lab_config_check(const struct lab_config *config, struct ray_err *err);

/* One JSON object; *out_text is malloced for the caller. */
int lab_config_write(const struct lab_config *config, char **out_text, struct ray_err *err);
/* RAY_EMALFORMED names the field. */
int lab_config_read(const char *text, size_t size, struct lab_config *out, struct ray_err *err);

#endif

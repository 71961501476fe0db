/* node/init/system/efi_entry.h - the firmware's boot entry that was used: by network or from
 * a medium, and by which card.
 *
 * Memory: none kept.  Threads: any.  Blocks: reads two EFI variables.
 * Trust: variables can be written by whoever has the machine: every length is checked. */
#ifndef RAY_NODE_INIT_SYSTEM_EFI_ENTRY_H
#define RAY_NODE_INIT_SYSTEM_EFI_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/init/system/netlink.h"

struct init_efi_entry {
    bool is_network; /* a MAC or URI node is in the device path */
    bool is_medium;  /* a disk, partition or CD node is */
    bool has_mac;
    uint8_t mac[INIT_MAC_SIZE];
};

/* An EFI_LOAD_OPTION, without the four attribute bytes of efivarfs in front (UEFI 2.10,
 * section 3.1.3). RAY_EMALFORMED. */
int init_efi_entry_parse(const uint8_t *data, size_t size, struct init_efi_entry *out,
                         struct ray_err *err);

/* BootCurrent and the entry that it names, from the mounted efivarfs. RAY_ENOTFOUND: no EFI,
 * or the firmware started us from no entry (a hypervisor's own kernel). */
int init_efi_entry_load(int root_fd, struct init_efi_entry *out, struct ray_err *err);

#endif

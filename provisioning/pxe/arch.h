/* provisioning/pxe/arch.h - which machines have a way to the image: the client architectures
 * that firmware names in DHCP (option 93, IANA's "Processor Architecture Types"), and the
 * words that iPXE has for its own.
 *
 * Memory: none, results are constants.  Threads: any.  Blocks: never.
 * Trust: numbers and words come from the network. */
#ifndef RAY_PROVISIONING_PXE_ARCH_H
#define RAY_PROVISIONING_PXE_ARCH_H

#include <stdbool.h>
#include <stddef.h>

/* How a machine gets from its firmware to the image. */
enum provision_boot_path {
    PROVISION_BOOT_NONE,      /* there is no image for it */
    PROVISION_BOOT_BIOS,      /* iPXE (undionly.kpxe or the card's own), kernel and initramfs */
    PROVISION_BOOT_UEFI_PXE,  /* iPXE (snponly.efi), the UKI */
    PROVISION_BOOT_UEFI_HTTP, /* the firmware fetches the UKI itself */
};

struct provision_arch {
    int number;       /* of option 93 */
    bool is_http;     /* the firmware boots by HTTP */
    const char *word; /* for the machine table, at most 23 bytes: "x64-uefi-pxe" */
    const char *name; /* for people: "UEFI PXE on aarch64" */
    enum provision_boot_path path;
};

/* The entry of a number, or one for "this architecture" that has no path; never NULL. A client
 * that calls itself HTTPClient but names an architecture of PXE is not served. */
const struct provision_arch *provision_arch_find(int number, bool is_http);
/* The entry for iPXE's ${buildarch} and ${platform}; never NULL. */
const struct provision_arch *provision_arch_of_ipxe(const char *buildarch, const char *platform);

/* The entry of a word of the machine table; "" (it did not say) is taken for UEFI PXE; others
 * that are not in the table have no path. Never NULL. */
const struct provision_arch *provision_arch_of_word(const char *word);

/* Writes the word into a record's facts. */
void provision_arch_put(const struct provision_arch *arch, char *out, size_t out_size);

/* The sentence for a machine without a path. Returns `out`. */
const char *provision_arch_refusal(const struct provision_arch *arch, char *out, size_t out_size);

#endif

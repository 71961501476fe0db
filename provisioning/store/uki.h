/* provisioning/store/uki.h - where kernel and initramfs lie in a unified kernel image: sections of
 * a PE file (Microsoft's "PE Format", sections COFF File Header and Section Table; names of
 * sections: the UAPI group's specification of UKIs).
 *
 * Memory: none.  Threads: any.  Blocks: find on the disk; parse never.
 * Trust: the file is untrusted; what is found lies within it, and only that. */
#ifndef RAY_PROVISIONING_STORE_UKI_H
#define RAY_PROVISIONING_STORE_UKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/store/manifest.h"

enum { PROVISION_UKI_HEAD_SIZE = 4096 }; /* all headers end before, or it is none of ours */

struct provision_span {
    uint64_t offset;
    uint64_t size_bytes; /* may end with padding */
};

/* `head`: the first bytes of a file of `file_size`. RAY_EMALFORMED: no PE file, or its section
 * lies outside or is there twice.  RAY_ENOTFOUND: it has no such section. */
int provision_uki_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
                        const char *section, struct provision_span *out, struct ray_err *err);

/* The span of `file` (KERNEL or INITRD) in the open UKI. */
int provision_uki_find(int fd, enum provision_file file, struct provision_span *out,
                       struct ray_err *err);

#endif

/* provisioning/disk/signature.h - does a disk hold something? By the magic numbers of partition
 * tables, file systems and containers, and by bytes that are not blank.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: the bytes are hostile. */
#ifndef RAY_PROVISIONING_DISK_SIGNATURE_H
#define RAY_PROVISIONING_DISK_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* What has to be looked at, at both ends of the disk (or all of a smaller one). */
    SIGNATURE_SPAN = 1 << 20,
    SIGNATURE_TEXT_SIZE = 256,
};

/* What is there, for a person: "GPT partition table, XFS", "data of unknown kind"; "" when both
 * spans are blank (all zeros, or all ones as erased flash has it). `tail` ends with the disk's
 * last byte. */
void signature_describe(const uint8_t *head, size_t head_size, const uint8_t *tail,
                        size_t tail_size, char out[static SIGNATURE_TEXT_SIZE]);

#endif

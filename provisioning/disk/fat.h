/* provisioning/disk/fat.h - grows a FAT32 file system whose allocation tables have room, by the
 * numbers in its first sectors (Microsoft's FAT specification 1.03). No cluster moves.
 *
 * Memory: the caller's.  Threads: any.  Blocks: never.
 * Trust: the bytes may be of anything. */
#ifndef RAY_PROVISIONING_DISK_FAT_H
#define RAY_PROVISIONING_DISK_FAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    FAT_SECTOR_SIZE = 512,
    /* Boot sector and FSInfo, and their copies. */
    FAT_HEAD_SIZE = 32 * FAT_SECTOR_SIZE,
};

struct fat_facts {
    uint64_t sector_count;     /* of the file system */
    uint64_t sector_count_max; /* what its allocation tables have room for */
};

/* RAY_EMALFORMED: no FAT32 with sectors of 512 bytes, or numbers that do not fit together. */
int fat_read(const uint8_t head[static FAT_HEAD_SIZE], struct fat_facts *out, struct ray_err *err);

/* Makes the file system `sector_count` sectors large: not less than it has, not more than
 * sector_count_max. `head` was accepted by fat_read. */
void fat_grow(uint8_t head[static FAT_HEAD_SIZE], uint64_t sector_count);

#endif

/* provisioning/disk/gpt.h - GUID partition tables as bytes (UEFI specification 2.10, chapter 5),
 * for disks with sectors of 512 bytes.
 *
 * Memory: the caller's.  Threads: any.  Blocks: never.
 * Trust: what is read is hostile; what is written was laid out by us. */
#ifndef RAY_PROVISIONING_DISK_GPT_H
#define RAY_PROVISIONING_DISK_GPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    GPT_SECTOR_SIZE = 512,
    GPT_GUID_SIZE = 16,
    GPT_NAME_SIZE = 37, /* 36 characters; what is no ASCII is read as '?' */
    GPT_PARTITION_COUNT_MAX = 128,
    GPT_TABLE_SECTORS = 32,
    GPT_HEAD_SIZE = (2 + GPT_TABLE_SECTORS) * GPT_SECTOR_SIZE, /* MBR, header, table */
    GPT_TAIL_SIZE = (1 + GPT_TABLE_SECTORS) * GPT_SECTOR_SIZE, /* table, header */
};

/* As on the disk: the first three fields little endian. */
struct gpt_guid {
    uint8_t bytes[GPT_GUID_SIZE];
};

extern const struct gpt_guid gpt_type_esp;
extern const struct gpt_guid gpt_type_linux_data;

struct gpt_partition {
    struct gpt_guid type;
    struct gpt_guid id;
    uint64_t first_sector;
    uint64_t last_sector; /* inclusive */
    uint64_t attributes;
    char name[GPT_NAME_SIZE];
};

struct gpt {
    struct gpt_guid disk_id;
    uint64_t sector_count; /* of the whole disk */
    size_t partition_count;
    struct gpt_partition partitions[GPT_PARTITION_COUNT_MAX]; /* without the unused ones */
};

bool gpt_guid_is_same(const struct gpt_guid *a, const struct gpt_guid *b);

/* Reads the primary table from the disk's first bytes. RAY_ENOTFOUND: there is none;
 * RAY_EMALFORMED: damaged, or it says what no disk of this size can have; RAY_EUNSUPPORTED: an
 * unusual size or place of the table. */
int gpt_read(const uint8_t *head, size_t head_size, uint64_t sector_count, struct gpt *out,
             struct ray_err *err);

/* The bytes for the disk's beginning and end. Partitions must lie within the disk. */
void gpt_write(const struct gpt *gpt, uint8_t out_head[static GPT_HEAD_SIZE],
               uint8_t out_tail[static GPT_TAIL_SIZE]);

#endif

#include "provisioning/disk/fat.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* Offsets in the boot sector (section 3.1 and 3.3) and in FSInfo (section 5). */
enum {
    AT_SECTOR_SIZE = 11,
    AT_CLUSTER_SECTORS = 13,
    AT_RESERVED = 14,
    AT_TABLE_COUNT = 16,
    AT_SECTORS_16 = 19,
    AT_TABLE_SECTORS_16 = 22,
    AT_SECTORS_32 = 32,
    AT_TABLE_SECTORS_32 = 36,
    AT_INFO = 48,
    AT_BACKUP = 50,
    AT_SIGNATURE = 510,
    INFO_AT_SECOND = 484,
    INFO_AT_FREE = 488,
};

enum {
    SIGNATURE = 0xAA55,
    INFO_FIRST = 0x41615252,
    INFO_SECOND = 0x61417272,
    CLUSTER_COUNT_MIN = 65525, /* below it is no FAT32 */
    CLUSTER_COUNT_MAX = 0x0FFFFFF5,
};

static const uint32_t free_unknown = 0xFFFFFFFF;

struct shape {
    uint64_t data_start; /* sectors */
    uint64_t cluster_sectors;
    uint64_t clusters_max;
    uint64_t sectors;
    size_t info_sector;
    size_t backup_sector;
};

static uint32_t load(const uint8_t *at, size_t size)
{
    uint32_t value = 0;

    for (size_t i = size; i > 0; i--) {
        value = value << 8 | at[i - 1];
    }
    return value;
}

static void store32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t clusters_of(const struct shape *shape, uint64_t sectors)
{
    return (sectors - shape->data_start) / shape->cluster_sectors;
}

/* Sums of the products below stay far under 2^64: each factor is at most 32 bits. */
static bool read_shape(const uint8_t *head, struct shape *out)
{
    uint64_t reserved = load(&head[AT_RESERVED], 2);
    uint64_t tables = head[AT_TABLE_COUNT];
    uint64_t table_sectors = load(&head[AT_TABLE_SECTORS_32], 4);
    uint64_t entries = table_sectors * (FAT_SECTOR_SIZE / 4);

    *out = (struct shape){.data_start = reserved + tables * table_sectors,
                          .cluster_sectors = head[AT_CLUSTER_SECTORS],
                          .sectors = load(&head[AT_SECTORS_32], 4),
                          .info_sector = load(&head[AT_INFO], 2),
                          .backup_sector = load(&head[AT_BACKUP], 2)};
    if (load(&head[AT_SIGNATURE], 2) != SIGNATURE ||
        load(&head[AT_SECTOR_SIZE], 2) != FAT_SECTOR_SIZE || load(&head[AT_SECTORS_16], 2) != 0 ||
        load(&head[AT_TABLE_SECTORS_16], 2) != 0) {
        return false;
    }
    if (out->cluster_sectors == 0 || (out->cluster_sectors & (out->cluster_sectors - 1)) != 0 ||
        tables == 0 || tables > 2 || table_sectors == 0 || out->sectors <= out->data_start) {
        return false;
    }
    out->clusters_max = entries - 2 < CLUSTER_COUNT_MAX ? entries - 2 : CLUSTER_COUNT_MAX;
    /* Both sectors and their copies must lie in the head that is changed, apart from each other
     * and from the boot sector. */
    return out->info_sector == 1 && out->backup_sector >= 2 && out->backup_sector + 2 <= reserved &&
           out->backup_sector + 2 <= FAT_HEAD_SIZE / FAT_SECTOR_SIZE &&
           clusters_of(out, out->sectors) >= CLUSTER_COUNT_MIN &&
           clusters_of(out, out->sectors) <= out->clusters_max;
}

static bool is_info(const uint8_t *sector)
{
    return load(sector, 4) == INFO_FIRST && load(&sector[INFO_AT_SECOND], 4) == INFO_SECOND;
}

int fat_read(const uint8_t head[static FAT_HEAD_SIZE], struct fat_facts *out, struct ray_err *err)
{
    struct shape shape;
    uint64_t max;

    if (!read_shape(head, &shape)) {
        return ray_fail(err, RAY_EMALFORMED, "no FAT32 file system of a sound shape");
    }
    if (memcmp(head, &head[shape.backup_sector * FAT_SECTOR_SIZE], FAT_SECTOR_SIZE) != 0 ||
        !is_info(&head[FAT_SECTOR_SIZE]) ||
        !is_info(&head[(shape.backup_sector + 1) * FAT_SECTOR_SIZE])) {
        return ray_fail(err, RAY_EMALFORMED,
                        "FAT32: boot sector and its copy differ, or no FSInfo");
    }
    max = shape.data_start + shape.clusters_max * shape.cluster_sectors;
    *out = (struct fat_facts){.sector_count = shape.sectors,
                              .sector_count_max = max < UINT32_MAX ? max : UINT32_MAX};
    return RAY_OK;
}

/* The count of free clusters is a hint, but a wrong one shows in every tool. */
static void grow_info(uint8_t *info, uint64_t old_clusters, uint64_t new_clusters)
{
    uint64_t free_count = load(&info[INFO_AT_FREE], 4);

    free_count =
        free_count <= old_clusters ? free_count + (new_clusters - old_clusters) : free_unknown;
    store32(&info[INFO_AT_FREE], (uint32_t)free_count);
}

void fat_grow(uint8_t head[static FAT_HEAD_SIZE], uint64_t sector_count)
{
    struct shape shape;
    bool is_sound = read_shape(head, &shape);
    size_t boots[2] = {0, shape.backup_sector};

    assert(is_sound && sector_count >= shape.sectors && sector_count <= UINT32_MAX);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *boot = &head[boots[i] * FAT_SECTOR_SIZE];

        store32(&boot[AT_SECTORS_32], (uint32_t)sector_count);
        grow_info(&boot[FAT_SECTOR_SIZE], clusters_of(&shape, shape.sectors),
                  clusters_of(&shape, sector_count));
    }
}

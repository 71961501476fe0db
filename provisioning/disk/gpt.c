/* Layout of a disk of n sectors: 0 protective MBR, 1 header, 2..33 table, partitions,
 * n-33..n-2 the table again, n-1 the header again. */
#include "provisioning/disk/gpt.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    HEADER_SIZE = 92,
    ENTRY_SIZE = 128,
    TABLE_SIZE = GPT_PARTITION_COUNT_MAX * ENTRY_SIZE,
    TABLE_AT = 2 * GPT_SECTOR_SIZE, /* in the head */
    REVISION = 0x00010000,
    MBR_RECORD = 446,
    MBR_KIND_PROTECTIVE = 0xEE,
};

static_assert(TABLE_SIZE == GPT_TABLE_SECTORS * GPT_SECTOR_SIZE, "128 entries of 128 bytes");

/* Offsets of table 5.5 (header) and 5.6 (entry). */
enum {
    AT_REVISION = 8,
    AT_HEADER_SIZE = 12,
    AT_HEADER_SUM = 16,
    AT_OWN = 24,
    AT_OTHER = 32,
    AT_FIRST_USABLE = 40,
    AT_LAST_USABLE = 48,
    AT_DISK_ID = 56,
    AT_TABLE = 72,
    AT_COUNT = 80,
    AT_ENTRY_SIZE = 84,
    AT_TABLE_SUM = 88,
    ENTRY_AT_ID = 16,
    ENTRY_AT_FIRST = 32,
    ENTRY_AT_LAST = 40,
    ENTRY_AT_ATTRIBUTES = 48,
    ENTRY_AT_NAME = 56,
};

static const uint8_t signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};

/* C12A7328-F81F-11D2-BA4B-00A0C93EC93B */
const struct gpt_guid gpt_type_esp = {{0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B,
                                       0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B}};
/* 0FC63DAF-8483-4772-8E79-3D69D8477DE4 */
const struct gpt_guid gpt_type_linux_data = {{0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E,
                                              0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4}};

static uint64_t load(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i > 0; i--) {
        value = value << 8 | at[i - 1];
    }
    return value;
}

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)load(at, 4);
}

static uint64_t load64(const uint8_t *at)
{
    return load(at, 8);
}

static void store(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* The CRC-32 of Ethernet and zip (5.3.2 refers to it). Bit by bit: 16 KiB at a time is all. */
static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0xFFFFFFFF;

    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320 : 0);
        }
    }
    return ~sum;
}

bool gpt_guid_is_same(const struct gpt_guid *a, const struct gpt_guid *b)
{
    return memcmp(a->bytes, b->bytes, GPT_GUID_SIZE) == 0;
}

/* --- reading --- */

static uint32_t header_checksum(const uint8_t *header, size_t size)
{
    uint8_t copy[GPT_SECTOR_SIZE];

    memcpy(copy, header, size);
    store(&copy[AT_HEADER_SUM], 0, 4);
    return checksum(copy, size);
}

static int read_header(const uint8_t *header, uint64_t sector_count, struct ray_err *err)
{
    uint32_t size = load32(&header[AT_HEADER_SIZE]);

    if (memcmp(header, signature, sizeof(signature)) != 0) {
        return ray_fail(err, RAY_ENOTFOUND, "no GUID partition table");
    }
    if (size < HEADER_SIZE || size > GPT_SECTOR_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "partition table: header of %" PRIu32 " bytes", size);
    }
    if (header_checksum(header, size) != load32(&header[AT_HEADER_SUM])) {
        return ray_fail(err, RAY_EMALFORMED, "partition table: the header is damaged");
    }
    if (load32(&header[AT_REVISION]) != REVISION || load64(&header[AT_TABLE]) != 2 ||
        load32(&header[AT_ENTRY_SIZE]) != ENTRY_SIZE || load32(&header[AT_COUNT]) == 0 ||
        load32(&header[AT_COUNT]) > GPT_PARTITION_COUNT_MAX) {
        return ray_fail(err, RAY_EUNSUPPORTED, "partition table: unusual revision, size or place");
    }
    if (load64(&header[AT_OWN]) != 1 || load64(&header[AT_OTHER]) >= sector_count ||
        load64(&header[AT_FIRST_USABLE]) < 2 ||
        load64(&header[AT_FIRST_USABLE]) > load64(&header[AT_LAST_USABLE]) ||
        load64(&header[AT_LAST_USABLE]) >= sector_count) {
        return ray_fail(err, RAY_EMALFORMED, "partition table: made for another disk");
    }
    return RAY_OK;
}

static void read_entry(const uint8_t *entry, struct gpt_partition *out)
{
    *out = (struct gpt_partition){.first_sector = load64(&entry[ENTRY_AT_FIRST]),
                                  .last_sector = load64(&entry[ENTRY_AT_LAST]),
                                  .attributes = load64(&entry[ENTRY_AT_ATTRIBUTES])};
    memcpy(out->type.bytes, entry, GPT_GUID_SIZE);
    memcpy(out->id.bytes, &entry[ENTRY_AT_ID], GPT_GUID_SIZE);
    for (size_t i = 0; i + 1 < GPT_NAME_SIZE; i++) {
        uint64_t unit = load(&entry[ENTRY_AT_NAME + 2 * i], 2);

        if (unit == 0) {
            return;
        }
        out->name[i] = '?';
        if (unit >= ' ' && unit < 0x7F) {
            out->name[i] = (char)unit;
        }
    }
}

static int check_partition(const struct gpt *gpt, const struct gpt_partition *partition,
                           const uint8_t *header, struct ray_err *err)
{
    if (partition->first_sector > partition->last_sector ||
        partition->first_sector < load64(&header[AT_FIRST_USABLE]) ||
        partition->last_sector > load64(&header[AT_LAST_USABLE])) {
        return ray_fail(err, RAY_EMALFORMED, "partition '%s' is not within the disk",
                        partition->name);
    }
    for (size_t i = 0; i < gpt->partition_count; i++) {
        if (partition->first_sector <= gpt->partitions[i].last_sector &&
            partition->last_sector >= gpt->partitions[i].first_sector) {
            return ray_fail(err, RAY_EMALFORMED, "partitions '%s' and '%s' overlap",
                            gpt->partitions[i].name, partition->name);
        }
    }
    return RAY_OK;
}

int gpt_read(const uint8_t *head, size_t head_size, uint64_t sector_count, struct gpt *out,
             struct ray_err *err)
{
    static const struct gpt_guid unused = {{0}};
    const uint8_t *header;
    const uint8_t *table;
    size_t count;
    int rc;

    if (head_size < GPT_HEAD_SIZE || sector_count < GPT_HEAD_SIZE / GPT_SECTOR_SIZE) {
        return ray_fail(err, RAY_ENOTFOUND, "too small for a partition table");
    }
    header = &head[GPT_SECTOR_SIZE];
    table = &head[TABLE_AT];
    rc = read_header(header, sector_count, err);
    if (rc != RAY_OK) {
        return rc;
    }
    count = load32(&header[AT_COUNT]);
    if (checksum(table, count * ENTRY_SIZE) != load32(&header[AT_TABLE_SUM])) {
        return ray_fail(err, RAY_EMALFORMED, "partition table: the entries are damaged");
    }
    *out = (struct gpt){.sector_count = sector_count};
    memcpy(out->disk_id.bytes, &header[AT_DISK_ID], GPT_GUID_SIZE);
    for (size_t i = 0; i < count; i++) {
        struct gpt_partition *partition = &out->partitions[out->partition_count];

        read_entry(&table[i * ENTRY_SIZE], partition);
        if (gpt_guid_is_same(&partition->type, &unused)) {
            continue;
        }
        rc = check_partition(out, partition, header, err);
        if (rc != RAY_OK) {
            return rc;
        }
        out->partition_count++;
    }
    return RAY_OK;
}

/* --- writing --- */

static void write_entry(const struct gpt_partition *partition, uint8_t *out)
{
    memcpy(out, partition->type.bytes, GPT_GUID_SIZE);
    memcpy(&out[ENTRY_AT_ID], partition->id.bytes, GPT_GUID_SIZE);
    store(&out[ENTRY_AT_FIRST], partition->first_sector, 8);
    store(&out[ENTRY_AT_LAST], partition->last_sector, 8);
    store(&out[ENTRY_AT_ATTRIBUTES], partition->attributes, 8);
    for (size_t i = 0; i + 1 < GPT_NAME_SIZE && partition->name[i] != '\0'; i++) {
        out[ENTRY_AT_NAME + 2 * i] = (uint8_t)partition->name[i];
    }
}

static void write_header(const struct gpt *gpt, uint64_t own, uint64_t other, uint64_t table_at,
                         uint32_t table_sum, uint8_t *out)
{
    memcpy(out, signature, sizeof(signature));
    store(&out[AT_REVISION], REVISION, 4);
    store(&out[AT_HEADER_SIZE], HEADER_SIZE, 4);
    store(&out[AT_OWN], own, 8);
    store(&out[AT_OTHER], other, 8);
    store(&out[AT_FIRST_USABLE], 2 + GPT_TABLE_SECTORS, 8);
    store(&out[AT_LAST_USABLE], gpt->sector_count - 2 - GPT_TABLE_SECTORS, 8);
    memcpy(&out[AT_DISK_ID], gpt->disk_id.bytes, GPT_GUID_SIZE);
    store(&out[AT_TABLE], table_at, 8);
    store(&out[AT_COUNT], GPT_PARTITION_COUNT_MAX, 4);
    store(&out[AT_ENTRY_SIZE], ENTRY_SIZE, 4);
    store(&out[AT_TABLE_SUM], table_sum, 4);
    store(&out[AT_HEADER_SUM], header_checksum(out, HEADER_SIZE), 4);
}

/* 5.2.3: one record over the whole disk, so that programs that know no GPT keep off. */
static void write_protective_mbr(uint64_t sector_count, uint8_t *out)
{
    uint64_t size = sector_count - 1 > UINT32_MAX ? UINT32_MAX : sector_count - 1;
    uint8_t *record = &out[MBR_RECORD];

    store(&record[1], 0x000200, 3);
    record[4] = MBR_KIND_PROTECTIVE;
    store(&record[5], 0xFFFFFF, 3);
    store(&record[8], 1, 4);
    store(&record[12], size, 4);
    out[GPT_SECTOR_SIZE - 2] = 0x55;
    out[GPT_SECTOR_SIZE - 1] = 0xAA;
}

void gpt_write(const struct gpt *gpt, uint8_t out_head[static GPT_HEAD_SIZE],
               uint8_t out_tail[static GPT_TAIL_SIZE])
{
    uint64_t last = gpt->sector_count - 1;
    uint8_t *table = &out_head[TABLE_AT];
    uint32_t table_sum;

    assert(gpt->sector_count > (GPT_HEAD_SIZE + GPT_TAIL_SIZE) / GPT_SECTOR_SIZE);
    assert(gpt->partition_count <= GPT_PARTITION_COUNT_MAX);
    memset(out_head, 0, GPT_HEAD_SIZE);
    memset(out_tail, 0, GPT_TAIL_SIZE);
    for (size_t i = 0; i < gpt->partition_count; i++) {
        const struct gpt_partition *partition = &gpt->partitions[i];

        assert(partition->first_sector >= 2 + GPT_TABLE_SECTORS);
        assert(partition->first_sector <= partition->last_sector);
        assert(partition->last_sector <= last - 1 - GPT_TABLE_SECTORS);
        write_entry(partition, &table[i * ENTRY_SIZE]);
    }
    table_sum = checksum(table, TABLE_SIZE);
    memcpy(out_tail, table, TABLE_SIZE);
    write_protective_mbr(gpt->sector_count, out_head);
    write_header(gpt, 1, last, 2, table_sum, &out_head[GPT_SECTOR_SIZE]);
    write_header(gpt, last, 1, last - GPT_TABLE_SECTORS, table_sum, &out_tail[TABLE_SIZE]);
}

/* Every number is little-endian at a fixed place. A batch's head fits into one sector and proves
 * itself alone, without the batches before it: a search behind damage relies on that. The salt in
 * its checksum keeps a client's data from looking like a head. */
#include "coordinator/store/wal_format.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "coordinator/store/crc32c.h"

static const uint8_t segment_magic[8] = {'R', 'A', 'Y', 'W', 'A', 'L', '\r', '\n'};

enum {
    BATCH_MAGIC = 0x54424157, /* "WABT" */
    SEGMENT_ROOT = 1,
    SEGMENT_CRC_AT = COORD_WAL_SEGMENT_HEAD_SIZE - 4,
    SEGMENT_IDS_AT = 48,
    BATCH_CRC_AT = 64,
    RECORD_CRC_AT = 24,
};

static_assert(COORD_WAL_BATCH_HEAD_SIZE % COORD_WAL_RECORD_ALIGN == 0, "records are aligned");
static_assert(COORD_WAL_RECORD_HEAD_SIZE % COORD_WAL_RECORD_ALIGN == 0, "data is aligned");

uint32_t coord_wal_blocks(uint32_t size)
{
    return (size + COORD_DISK_BLOCK_SIZE - 1) & ~(uint32_t)(COORD_DISK_BLOCK_SIZE - 1);
}

void coord_wal_segment_head_encode(const struct coord_wal_segment_head *head,
                                   const struct coord_wal_config *config, uint8_t *block)
{
    assert(head->first_index > 0 && head->first_batch > 0);
    memset(block, 0, COORD_WAL_SEGMENT_HEAD_SIZE);
    memcpy(block, segment_magic, sizeof segment_magic);
    ray_store32le(block + 8, COORD_WAL_VERSION);
    ray_store32le(block + 12, head->is_root ? SEGMENT_ROOT : 0);
    ray_store64le(block + 16, head->segment);
    ray_store64le(block + 24, head->first_index);
    ray_store64le(block + 32, head->first_batch);
    ray_store32le(block + 40, head->chain);
    ray_store32le(block + 44, head->segment_size);
    memcpy(block + SEGMENT_IDS_AT, config->cluster_id.bytes, RAY_ID_SIZE);
    memcpy(block + SEGMENT_IDS_AT + RAY_ID_SIZE, config->node_id.bytes, RAY_ID_SIZE);
    ray_store32le(block + SEGMENT_CRC_AT, coord_crc32c(0, block, SEGMENT_CRC_AT));
}

int coord_wal_segment_head_decode(const uint8_t *block, const struct coord_wal_config *config,
                                  struct coord_wal_segment_head *out, struct ray_err *err)
{
    struct coord_wal_segment_head head;

    if (memcmp(block, segment_magic, sizeof segment_magic) != 0 ||
        ray_load32le(block + SEGMENT_CRC_AT) != coord_crc32c(0, block, SEGMENT_CRC_AT)) {
        return ray_fail(err, RAY_EMALFORMED, "a segment's head is damaged");
    }
    if (ray_load32le(block + 8) != COORD_WAL_VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "the log has format %u, this program knows %d",
                        ray_load32le(block + 8), COORD_WAL_VERSION);
    }
    if (memcmp(block + SEGMENT_IDS_AT, config->cluster_id.bytes, RAY_ID_SIZE) != 0 ||
        memcmp(block + SEGMENT_IDS_AT + RAY_ID_SIZE, config->node_id.bytes, RAY_ID_SIZE) != 0) {
        return ray_fail(err, RAY_ECONFLICT, "the log belongs to another cluster or node");
    }
    head = (struct coord_wal_segment_head){
        .is_root = (ray_load32le(block + 12) & SEGMENT_ROOT) != 0,
        .segment = ray_load64le(block + 16),
        .first_index = ray_load64le(block + 24),
        .first_batch = ray_load64le(block + 32),
        .chain = ray_load32le(block + 40),
        .segment_size = ray_load32le(block + 44),
    };
    if (head.first_index == 0 || head.first_batch == 0) {
        return ray_fail(err, RAY_EMALFORMED, "a segment's head has no index");
    }
    *out = head;
    return RAY_OK;
}

static uint32_t head_crc(const uint8_t *bytes, const struct coord_wal_config *config)
{
    return coord_crc32c(coord_crc32c(0, config->salt, COORD_WAL_SALT_SIZE), bytes, BATCH_CRC_AT);
}

void coord_wal_batch_head_encode(struct coord_wal_batch_head *head,
                                 const struct coord_wal_config *config, uint8_t *out)
{
    assert(head->batch > head->durable_batch);
    memset(out, 0, COORD_WAL_BATCH_HEAD_SIZE);
    ray_store32le(out, BATCH_MAGIC);
    ray_store32le(out + 4, head->size);
    ray_store64le(out + 8, head->batch);
    ray_store64le(out + 16, head->segment);
    ray_store32le(out + 24, head->offset);
    ray_store32le(out + 28, head->record_count);
    ray_store64le(out + 32, head->first_index);
    ray_store64le(out + 40, head->durable_index);
    ray_store64le(out + 48, head->durable_batch);
    ray_store32le(out + 56, head->chain);
    ray_store32le(out + 60, head->body_crc);
    head->own_crc = head_crc(out, config);
    ray_store32le(out + BATCH_CRC_AT, head->own_crc);
}

bool coord_wal_batch_head_decode(const uint8_t *bytes, const struct coord_wal_config *config,
                                 uint64_t segment, uint32_t offset,
                                 struct coord_wal_batch_head *out)
{
    struct coord_wal_batch_head head;

    if (ray_load32le(bytes) != BATCH_MAGIC) {
        return false;
    }
    head = (struct coord_wal_batch_head){
        .size = ray_load32le(bytes + 4),
        .batch = ray_load64le(bytes + 8),
        .segment = ray_load64le(bytes + 16),
        .offset = ray_load32le(bytes + 24),
        .record_count = ray_load32le(bytes + 28),
        .first_index = ray_load64le(bytes + 32),
        .durable_index = ray_load64le(bytes + 40),
        .durable_batch = ray_load64le(bytes + 48),
        .chain = ray_load32le(bytes + 56),
        .body_crc = ray_load32le(bytes + 60),
        .own_crc = ray_load32le(bytes + BATCH_CRC_AT),
    };
    if (head.own_crc != head_crc(bytes, config) || head.segment != segment ||
        head.offset != offset || head.size < COORD_WAL_BATCH_HEAD_SIZE ||
        head.size > COORD_WAL_BATCH_SIZE_MAX || head.batch <= head.durable_batch ||
        head.first_index == 0) {
        return false;
    }
    *out = head;
    return true;
}

uint32_t coord_wal_record_room(uint32_t data_size)
{
    assert(data_size <= COORD_ENTRY_SIZE_MAX);
    return (COORD_WAL_RECORD_HEAD_SIZE + data_size + COORD_WAL_RECORD_ALIGN - 1) &
           ~(uint32_t)(COORD_WAL_RECORD_ALIGN - 1);
}

static uint32_t record_crc(const uint8_t *bytes, uint32_t size)
{
    return coord_crc32c(coord_crc32c(0, bytes, RECORD_CRC_AT), bytes + COORD_WAL_RECORD_HEAD_SIZE,
                        size);
}

void coord_wal_record_encode(const struct coord_wal_record *record, uint8_t *out)
{
    uint32_t room = coord_wal_record_room(record->size);
    uint32_t used = COORD_WAL_RECORD_HEAD_SIZE + record->size;

    memset(out, 0, COORD_WAL_RECORD_HEAD_SIZE);
    ray_store32le(out, record->size);
    out[4] = record->type;
    ray_store64le(out + 8, record->term);
    ray_store64le(out + 16, record->index);
    if (record->size > 0) {
        memcpy(out + COORD_WAL_RECORD_HEAD_SIZE, record->data, record->size);
    }
    memset(out + used, 0, room - used);
    ray_store32le(out + RECORD_CRC_AT, record_crc(out, record->size));
}

static bool is_type_known(uint8_t type, uint32_t size)
{
    switch (type) {
    case COORD_ENTRY_COMMAND:
    case COORD_ENTRY_NOOP:
    case COORD_ENTRY_CHANGE:
        return true;
    case COORD_WAL_RECORD_TRUNCATE:
        return size == 0;
    default:
        return false;
    }
}

/* All but the checksum. */
static int record_parse(const uint8_t *bytes, size_t size, struct coord_wal_record *out,
                        size_t *out_room)
{
    struct coord_wal_record record;

    if (size < COORD_WAL_RECORD_HEAD_SIZE) {
        return RAY_EMALFORMED;
    }
    record = (struct coord_wal_record){
        .size = ray_load32le(bytes),
        .type = bytes[4],
        .term = ray_load64le(bytes + 8),
        .index = ray_load64le(bytes + 16),
    };
    if (record.size > COORD_ENTRY_SIZE_MAX || coord_wal_record_room(record.size) > size ||
        !is_type_known(record.type, record.size) || record.index == 0) {
        return RAY_EMALFORMED;
    }
    record.data = record.size > 0 ? bytes + COORD_WAL_RECORD_HEAD_SIZE : NULL;
    *out_room = coord_wal_record_room(record.size);
    *out = record;
    return RAY_OK;
}

int coord_wal_record_decode(const uint8_t *bytes, size_t size, struct coord_wal_record *out,
                            size_t *out_room)
{
    struct coord_wal_record record;
    size_t room;

    if (record_parse(bytes, size, &record, &room) != RAY_OK ||
        ray_load32le(bytes + RECORD_CRC_AT) != record_crc(bytes, record.size)) {
        return RAY_EMALFORMED;
    }
    *out_room = room;
    *out = record;
    return RAY_OK;
}

/* The batch's checksum is right: what is wrong from here on was written wrong. */
static int records_check(const uint8_t *bytes, const struct coord_wal_batch_head *head)
{
    size_t at = COORD_WAL_BATCH_HEAD_SIZE;
    uint64_t next_index = head->first_index;

    for (uint32_t i = 0; i < head->record_count; i++) {
        struct coord_wal_record record;
        size_t room;

        if (record_parse(bytes + at, head->size - at, &record, &room) != RAY_OK) {
            return RAY_EMALFORMED;
        }
        if (record.type == COORD_WAL_RECORD_TRUNCATE) {
            if (record.index >= next_index) {
                return RAY_EMALFORMED;
            }
            next_index = record.index;
        } else if (record.index != next_index) {
            return RAY_EMALFORMED;
        } else {
            next_index++;
        }
        at += room;
    }
    return at == head->size ? RAY_OK : RAY_EMALFORMED;
}

int coord_wal_batch_check(const uint8_t *bytes, size_t size, const struct coord_wal_config *config,
                          uint64_t segment, uint32_t offset, struct coord_wal_batch_head *out)
{
    struct coord_wal_batch_head head;
    uint32_t padded;

    if (size < COORD_DISK_BLOCK_SIZE ||
        !coord_wal_batch_head_decode(bytes, config, segment, offset, &head)) {
        return RAY_EMALFORMED;
    }
    padded = coord_wal_blocks(head.size);
    if (padded > size || head.body_crc != coord_crc32c(0, bytes + COORD_WAL_BATCH_HEAD_SIZE,
                                                       padded - COORD_WAL_BATCH_HEAD_SIZE)) {
        return RAY_EMALFORMED;
    }
    if (records_check(bytes, &head) != RAY_OK) {
        return RAY_EMALFORMED;
    }
    *out = head;
    return RAY_OK;
}

void coord_wal_batch_each(const uint8_t *bytes, const struct coord_wal_batch_head *head,
                          void (*each)(void *arg, const struct coord_wal_record *record,
                                       uint32_t offset),
                          void *arg)
{
    size_t at = COORD_WAL_BATCH_HEAD_SIZE;

    for (uint32_t i = 0; i < head->record_count; i++) {
        struct coord_wal_record record;
        size_t room;

        if (record_parse(bytes + at, head->size - at, &record, &room) != RAY_OK) {
            assert(false && "the batch was checked");
            return;
        }
        each(arg, &record, (uint32_t)at);
        at += room;
    }
}

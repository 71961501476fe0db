/* Any bytes as the records of a batch whose checksums are right: {count of records, first index,
 * records}. What passes the check is walked. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "coordinator/store/crc32c.h"
#include "coordinator/store/wal_format.h"

enum { PREFIX = 9 };

struct walk {
    const uint8_t *bytes;
    size_t size;
    uint64_t seen;
};

static void on_record(void *arg, const struct coord_wal_record *record, uint32_t offset)
{
    struct walk *walk = arg;
    struct coord_wal_record again;
    size_t room;

    assert(offset < walk->size && record->size <= walk->size - offset);
    assert(record->size == 0 || walk->bytes[offset] == (uint8_t)record->size);
    walk->seen += record->size == 0 ? 0 : record->data[record->size - 1];
    (void)coord_wal_record_decode(walk->bytes + offset, walk->size - offset, &again, &room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct coord_wal_config config = {.salt = {3}};
    struct coord_wal_batch_head head = {
        .batch = 7, .segment = 2, .offset = 8192, .durable_batch = 5, .durable_index = 3};
    uint32_t padded;
    uint8_t *block;

    if (size < PREFIX || size > (64 << 10)) {
        return 0;
    }
    head.record_count = data[0];
    head.first_index = ray_load64le(data + 1) | 1;
    head.size = (uint32_t)(COORD_WAL_BATCH_HEAD_SIZE + size - PREFIX);
    padded = coord_wal_blocks(head.size);
    block = calloc(1, padded);
    if (block == NULL) {
        return 0;
    }
    memcpy(block + COORD_WAL_BATCH_HEAD_SIZE, data + PREFIX, size - PREFIX);
    head.body_crc =
        coord_crc32c(0, block + COORD_WAL_BATCH_HEAD_SIZE, padded - COORD_WAL_BATCH_HEAD_SIZE);
    coord_wal_batch_head_encode(&head, &config, block);
    if (coord_wal_batch_check(block, padded, &config, 2, 8192, &head) == RAY_OK) {
        struct walk walk = {.bytes = block, .size = padded};

        coord_wal_batch_each(block, &head, on_record, &walk);
    }
    free(block);
    return 0;
}

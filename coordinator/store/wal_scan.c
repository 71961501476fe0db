/* From the newest root on, batch follows batch: each names its number, its place and the checksum
 * of the one before. Where that ends, everything behind is searched, block by block, for heads
 * that prove themselves: they say what was durable when they were written. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/wal_impl.h"
#include "coordinator/store/zero.h"

enum { READ_SIZE = 1 << 20 };

/* --- files --- */

struct listing {
    struct coord_wal_scan *scan;
    int rc;
};

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct listing *listing = arg;
    struct coord_wal_scan *scan = listing->scan;
    uint64_t number;

    if (strcmp(name, COORD_WAL_RESERVE_NAME) == 0) {
        scan->reserve_size = size;
    }
    if (listing->rc != RAY_OK || coord_wal_segment_parse(name, &number) != RAY_OK) {
        return;
    }
    if (scan->count == COORD_DISK_FILES_MAX) {
        listing->rc = RAY_ETOOBIG;
        return;
    }
    if (scan->count == scan->capacity) {
        listing->rc = coord_wal_segments_grow(&scan->segments, &scan->capacity);
        if (listing->rc != RAY_OK) {
            return;
        }
    }
    assert(scan->count == 0 || scan->segments[scan->count - 1].number < number);
    scan->segments[scan->count++] = (struct coord_wal_segment){
        .number = number, .size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size};
}

static bool is_segment_size(uint64_t size)
{
    return size % COORD_DISK_BLOCK_SIZE == 0 && size >= COORD_WAL_SEGMENT_SIZE_MIN &&
           size <= COORD_WAL_SEGMENT_SIZE_MAX;
}

static int list_files(struct coord_wal_scan *scan, struct coord_wal_config *config,
                      struct ray_err *err)
{
    struct listing listing = {.scan = scan};
    int rc = scan->disk->ops->list(scan->disk, on_file, &listing, err);

    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "segments of the log");
    }
    if (listing.rc != RAY_OK) {
        return ray_fail(err, listing.rc, "too many segments of the log");
    }
    for (size_t i = 0; i < scan->count; i++) {
        if (is_segment_size(scan->segments[i].size)) {
            config->segment_size = scan->segments[i].size;
            break;
        }
    }
    scan->bytes_size = config->segment_size;
    scan->bytes =
        ray_fault(RAY_FAULT_ALLOC)
            ? NULL
            : aligned_alloc(COORD_DISK_BLOCK_SIZE, scan->bytes_size + COORD_WAL_SEGMENT_HEAD_SIZE);
    return scan->bytes != NULL
               ? RAY_OK
               : ray_fail(err, RAY_ENOMEM, "a segment of %zu bytes", scan->bytes_size);
}

static bool is_damage(int rc)
{
    return rc == RAY_EIO || rc == RAY_EMALFORMED;
}

/* What the medium cannot read becomes bytes that are neither zero nor anything of ours. */
static int read_part(struct coord_wal_scan *scan, const char *name, uint32_t offset, uint8_t *out,
                     uint32_t size, struct ray_err *err)
{
    int rc = scan->disk->ops->read(scan->disk, name, offset, out, size, err);

    if (!is_damage(rc)) {
        return rc;
    }
    for (uint32_t at = 0; at < size; at += COORD_DISK_BLOCK_SIZE) {
        rc = scan->disk->ops->read(scan->disk, name, offset + at, out + at, COORD_DISK_BLOCK_SIZE,
                                   err);
        if (is_damage(rc)) {
            memset(out + at, 0xee, COORD_DISK_BLOCK_SIZE);
            scan->unreadable_count++;
        } else if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* The first `size` bytes of one. A file that has lost its size is damage. */
static int read_file(struct coord_wal_scan *scan, size_t at, uint8_t *out, uint32_t size,
                     struct ray_err *err)
{
    char name[COORD_DISK_NAME_SIZE];
    uint32_t there = scan->segments[at].size & ~(uint32_t)(COORD_DISK_BLOCK_SIZE - 1);

    coord_wal_segment_name(scan->segments[at].number, name);
    if (there < size) {
        memset(out + there, 0xee, size - there);
    } else {
        there = size;
    }
    for (uint32_t offset = 0; offset < there; offset += READ_SIZE) {
        uint32_t part = there - offset < READ_SIZE ? there - offset : READ_SIZE;
        int rc = read_part(scan, name, offset, out + offset, part, err);

        if (rc != RAY_OK) {
            return ray_wrap(err, rc, "segment %s", name);
        }
    }
    return RAY_OK;
}

static int read_segment(struct coord_wal_scan *scan, size_t at, struct ray_err *err)
{
    int rc;

    if (scan->loaded == at + 1) {
        return RAY_OK;
    }
    scan->loaded = 0;
    rc = read_file(scan, at, scan->bytes, (uint32_t)scan->bytes_size, err);
    if (rc == RAY_OK) {
        scan->loaded = at + 1;
    }
    return rc;
}

/* --- the walk --- */

static int head_decode(const struct coord_wal_scan *scan, size_t at, const uint8_t *block,
                       struct coord_wal_segment_head *out, struct ray_err *err)
{
    struct coord_wal_segment_head head;
    int rc = coord_wal_segment_head_decode(block, scan->config, &head, err);

    if (rc == RAY_OK && head.segment != scan->segments[at].number) {
        rc = ray_fail(err, RAY_EMALFORMED, "a segment lies under another's name");
    }
    if (rc == RAY_OK) {
        *out = head;
    }
    return rc;
}

/* Reads one. RAY_EMALFORMED: there is none. */
static int head_read(struct coord_wal_scan *scan, size_t at, struct coord_wal_segment_head *out,
                     struct ray_err *err)
{
    uint8_t *block = scan->bytes + scan->bytes_size;
    int rc = read_file(scan, at, block, COORD_WAL_SEGMENT_HEAD_SIZE, err);

    return rc == RAY_OK ? head_decode(scan, at, block, out, err) : rc;
}

/* The newest segment whose head is a root's; else the oldest. */
static int find_start(struct coord_wal_scan *scan, struct ray_err *err)
{
    struct coord_wal_segment_head head;

    scan->start = 0;
    for (size_t i = scan->count; i > 0; i--) {
        int rc = head_read(scan, i - 1, &head, err);

        if (rc == RAY_OK && head.is_root) {
            scan->start = i - 1;
            return RAY_OK;
        }
        if (rc != RAY_OK && rc != RAY_EMALFORMED) {
            return rc;
        }
    }
    return RAY_OK;
}

struct taking {
    struct coord_wal_index *index;
    uint64_t segment;
    uint32_t offset; /* of the batch */
    int rc;
};

static void on_record(void *arg, const struct coord_wal_record *record, uint32_t offset)
{
    struct taking *taking = arg;

    if (taking->rc != RAY_OK) {
        return;
    }
    if (record->type == COORD_WAL_RECORD_TRUNCATE) {
        coord_wal_index_truncate(taking->index, record->index);
        return;
    }
    taking->rc = coord_wal_index_push(taking->index, &(struct coord_wal_place){
                                                         .term = record->term,
                                                         .segment = (uint32_t)taking->segment,
                                                         .offset = taking->offset + offset,
                                                         .size = record->size,
                                                         .type = record->type,
                                                     });
}

static void note_last(struct coord_wal_scan *scan, const struct coord_wal_batch_head *head)
{
    memmove(scan->last + 1, scan->last, sizeof scan->last - sizeof scan->last[0]);
    scan->last[0] = (struct coord_wal_scan_batch){
        .number = head->batch,
        .segment = head->segment,
        .offset = head->offset,
        .size = coord_wal_blocks(head->size),
    };
}

/* The batches of the segment that was read, from end_offset on, as long as they follow. */
static int walk_batches(struct coord_wal_scan *scan, struct coord_wal_index *index,
                        struct ray_err *err)
{
    uint64_t segment = scan->segments[scan->end].number;

    while (scan->end_offset < scan->bytes_size) {
        struct coord_wal_batch_head head;
        struct taking taking = {.index = index, .segment = segment, .offset = scan->end_offset};
        const uint8_t *bytes = scan->bytes + scan->end_offset;

        if (coord_wal_batch_check(bytes, scan->bytes_size - scan->end_offset, scan->config, segment,
                                  scan->end_offset, &head) != RAY_OK ||
            head.batch != scan->expected_batch || head.chain != scan->chain ||
            head.first_index != coord_wal_index_next(index)) {
            return RAY_OK;
        }
        coord_wal_batch_each(bytes, &head, on_record, &taking);
        if (taking.rc != RAY_OK) {
            return ray_fail(err, taking.rc, "a log of %zu entries", index->count);
        }
        note_last(scan, &head);
        scan->is_end_root = false;
        scan->expected_batch++;
        scan->chain = head.own_crc;
        scan->stated_batch = head.durable_batch;
        scan->stated_index = head.durable_index;
        scan->end_offset += coord_wal_blocks(head.size);
    }
    return RAY_OK;
}

/* Whether segment `at` is where the log begins or goes on. */
static int take_head(struct coord_wal_scan *scan, size_t at, struct coord_wal_index *index,
                     bool *out_follows, struct ray_err *err)
{
    struct coord_wal_segment_head head;
    int rc = head_read(scan, at, &head, err);

    *out_follows = false;
    if (rc != RAY_OK) {
        return rc == RAY_EMALFORMED ? RAY_OK : rc;
    }
    if (at == scan->start) {
        index->first = head.first_index;
        scan->expected_batch = head.first_batch;
        scan->chain = head.chain;
        scan->is_end_root = head.is_root;
    } else if (head.is_root || head.first_batch != scan->expected_batch ||
               head.chain != scan->chain || head.first_index != coord_wal_index_next(index) ||
               head.segment != scan->segments[at - 1].number + 1) {
        return RAY_OK;
    }
    *out_follows = true;
    return RAY_OK;
}

static int walk(struct coord_wal_scan *scan, struct coord_wal_index *index, struct ray_err *err)
{
    for (size_t at = scan->start; at < scan->count; at++) {
        bool follows;
        int rc = take_head(scan, at, index, &follows, err);

        if (rc != RAY_OK) {
            return rc;
        }
        if (!follows) {
            return RAY_OK;
        }
        scan->end = at;
        scan->end_offset = COORD_WAL_SEGMENT_HEAD_SIZE;
        rc = read_segment(scan, at, err);
        rc = rc == RAY_OK ? walk_batches(scan, index, err) : rc;
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* --- behind the end --- */

static void note_evidence(struct coord_wal_scan *scan, uint64_t batch, uint64_t durable_batch)
{
    if (batch > scan->seen_batch) {
        scan->seen_batch = batch;
    }
    if (durable_batch > scan->proven_batch) {
        scan->proven_batch = durable_batch;
    }
}

static void search_block(struct coord_wal_scan *scan, size_t at, uint32_t offset)
{
    const uint8_t *block = scan->bytes + offset;
    uint64_t number = scan->segments[at].number;
    struct coord_wal_segment_head segment;
    struct coord_wal_batch_head batch;

    if (coord_is_zero(block, COORD_DISK_BLOCK_SIZE)) {
        return;
    }
    scan->dirty_size += COORD_DISK_BLOCK_SIZE;
    if (offset == 0) {
        if (head_decode(scan, at, block, &segment, NULL) == RAY_OK) {
            /* Written when all but the batch before were durable. */
            note_evidence(scan, segment.first_batch,
                          segment.first_batch > COORD_WAL_IN_FLIGHT_MAX
                              ? segment.first_batch - COORD_WAL_IN_FLIGHT_MAX
                              : 0);
        }
    } else if (coord_wal_batch_head_decode(block, scan->config, number, offset, &batch)) {
        note_evidence(scan, batch.batch, batch.durable_batch);
    }
}

static int search_behind(struct coord_wal_scan *scan, struct ray_err *err)
{
    for (size_t at = scan->end; at < scan->count; at++) {
        int rc = read_segment(scan, at, err);
        uint32_t offset = at == scan->end ? scan->end_offset : 0;

        if (rc != RAY_OK) {
            return rc;
        }
        if ((at > scan->start && scan->segments[at].number != scan->segments[at - 1].number + 1) ||
            scan->segments[at].size != scan->bytes_size) {
            scan->has_gap = true;
        }
        for (; offset < scan->bytes_size; offset += COORD_DISK_BLOCK_SIZE) {
            search_block(scan, at, offset);
        }
    }
    return RAY_OK;
}

int coord_wal_scan_run(struct coord_wal_scan *scan, struct coord_disk *disk,
                       struct coord_wal_config *config, struct coord_wal_index *index,
                       struct ray_err *err)
{
    int rc;

    *scan = (struct coord_wal_scan){.disk = disk, .config = config, .expected_batch = 1};
    rc = list_files(scan, config, err);
    if (rc == RAY_OK) {
        rc = find_start(scan, err);
    }
    scan->end = scan->start;
    if (rc == RAY_OK) {
        rc = walk(scan, index, err);
    }
    if (rc == RAY_OK) {
        rc = search_behind(scan, err);
    }
    return rc;
}

void coord_wal_scan_fini(struct coord_wal_scan *scan)
{
    free(scan->segments);
    free(scan->bytes);
    scan->segments = NULL;
    scan->bytes = NULL;
}

/* --- making it so --- */

static int zero_blocks(struct coord_wal_scan *scan, size_t at, uint32_t from, struct ray_err *err)
{
    char name[COORD_DISK_NAME_SIZE];
    uint32_t offset = from;

    coord_wal_segment_name(scan->segments[at].number, name);
    while (offset < scan->bytes_size) {
        uint32_t end = offset;
        int rc;

        while (end < scan->bytes_size && !coord_is_zero(scan->bytes + end, COORD_DISK_BLOCK_SIZE)) {
            end += COORD_DISK_BLOCK_SIZE;
        }
        if (end == offset) {
            offset += COORD_DISK_BLOCK_SIZE;
            continue;
        }
        memset(scan->bytes + offset, 0, end - offset);
        rc = scan->disk->ops->write_now(scan->disk, name, offset, scan->bytes + offset,
                                        end - offset, err);
        if (rc != RAY_OK) {
            return ray_wrap(err, rc, "cutting the tail of %s", name);
        }
        offset = end;
    }
    return RAY_OK;
}

int coord_wal_scan_cut(struct coord_wal_scan *scan, struct ray_err *err)
{
    for (size_t at = scan->end; at < scan->count; at++) {
        int rc = read_segment(scan, at, err);

        rc = rc == RAY_OK ? zero_blocks(scan, at, at == scan->end ? scan->end_offset : 0, err) : rc;
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

int coord_wal_scan_settle(struct coord_wal_scan *scan, struct ray_err *err)
{
    for (size_t i = COORD_WAL_IN_FLIGHT_MAX; i > 0; i--) {
        const struct coord_wal_scan_batch *batch = &scan->last[i - 1];
        bool is_first = batch->offset == COORD_WAL_SEGMENT_HEAD_SIZE;
        uint32_t from = is_first ? 0 : batch->offset;
        uint32_t size = batch->offset + batch->size - from;
        struct coord_wal_batch_head head;
        char name[COORD_DISK_NAME_SIZE];
        int rc;

        if (batch->number == 0 || batch->number <= scan->stated_batch) {
            continue;
        }
        coord_wal_segment_name(batch->segment, name);
        assert(size <= scan->bytes_size);
        scan->loaded = 0;
        rc = scan->disk->ops->read(scan->disk, name, from, scan->bytes, size, err);
        if (rc == RAY_OK &&
            coord_wal_batch_check(scan->bytes + (batch->offset - from), batch->size, scan->config,
                                  batch->segment, batch->offset, &head) != RAY_OK) {
            rc = ray_fail(err, RAY_EIO, "it reads differently each time");
        }
        if (rc == RAY_OK) {
            rc = scan->disk->ops->write_now(scan->disk, name, from, scan->bytes, size, err);
        }
        if (rc != RAY_OK) {
            return ray_wrap(err, rc, "settling the end of %s", name);
        }
    }
    return RAY_OK;
}

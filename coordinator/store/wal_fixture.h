/* coordinator/store/wal_fixture.h - a log on a fake disk, and what it must hold.
 *
 * Memory: init/fini.  Threads: one.  Blocks: never.  Trust: tests. */
#ifndef RAY_COORDINATOR_STORE_WAL_FIXTURE_H
#define RAY_COORDINATOR_STORE_WAL_FIXTURE_H

#include "coordinator/store/disk_fake.h"
#include "coordinator/store/wal.h"

enum { FIXTURE_STATES_MAX = 1024, FIXTURE_ENTRIES_MAX = 256 };

/* A log as its owner sees it: entries (first, first + count), each known by term and seed. */
struct fixture_state {
    uint64_t first;
    size_t count;
    struct {
        uint64_t term;
        uint32_t size;
    } entries[FIXTURE_ENTRIES_MAX];
};

struct fixture {
    struct coord_fake_disk *fake;
    struct coord_wal_config config;
    struct coord_wal *wal;
    struct coord_wal_recovery recovery;
    uint64_t durable_index; /* as told */
    int failed_status;
    enum coord_wal_space space;
    size_t durable_calls;
    uint64_t compact_index; /* as the test asked */
    /* states[k]: after k records. */
    struct fixture_state *states;
    size_t state_count;
};

void fixture_init(struct fixture *fixture, uint32_t segment_size, uint32_t batch_size);
void fixture_fini(struct fixture *fixture);
/* On the fixture's disk; asserts success. */
void fixture_open(struct fixture *fixture);
int fixture_try_open(struct fixture *fixture, struct ray_err *err);
void fixture_close(struct fixture *fixture);
/* Close and open; what was under way is completed before. */
void fixture_reopen(struct fixture *fixture);

/* Data of the entry (term, index): any test can tell whether it is the right one. */
void fixture_data(uint64_t term, uint64_t index, uint8_t *out, uint32_t size);
int fixture_append(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                   uint32_t size);
void fixture_must_append(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                         uint32_t size);
void fixture_reset(struct fixture *fixture, uint64_t index);

/* Reads all back, data too. */
void fixture_read(struct coord_wal *wal, struct fixture_state *out);
bool fixture_is_same(const struct fixture_state *a, const struct fixture_state *b);
/* Equal where both have entries, and ending at the same index: compaction moves the front. */
bool fixture_is_same_end(const struct fixture_state *a, const struct fixture_state *b);
/* The newest state, and that it is what the log holds. */
const struct fixture_state *fixture_now(const struct fixture *fixture);
void fixture_check(struct fixture *fixture);

#endif

#include "coordinator/store/wal_fixture.h"

#include "base/test.h"

static void on_durable(void *arg, uint64_t index)
{
    struct fixture *fixture = arg;

    fixture->durable_index = index;
    fixture->durable_calls++;
}

static void on_failed(void *arg, int status)
{
    struct fixture *fixture = arg;

    assert_int_equal(fixture->failed_status, RAY_OK);
    fixture->failed_status = status;
}

static void on_space(void *arg, enum coord_wal_space space)
{
    struct fixture *fixture = arg;

    assert_true(space != fixture->space);
    fixture->space = space;
}

void fixture_init(struct fixture *fixture, uint32_t segment_size, uint32_t batch_size)
{
    *fixture = (struct fixture){
        .fake = coord_fake_disk_create(),
        .config = {.segment_size = segment_size, .batch_size = batch_size},
    };
    memset(fixture->config.cluster_id.bytes, 0xc1, RAY_ID_SIZE);
    memset(fixture->config.node_id.bytes, 0x0d, RAY_ID_SIZE);
    memset(fixture->config.salt, 0x5a, sizeof fixture->config.salt);
    fixture->states = calloc(FIXTURE_STATES_MAX, sizeof *fixture->states);
    assert_non_null(fixture->states);
    fixture->states[0].first = 1;
    fixture->state_count = 1;
}

void fixture_close(struct fixture *fixture)
{
    coord_wal_destroy(fixture->wal);
    fixture->wal = NULL;
}

void fixture_fini(struct fixture *fixture)
{
    fixture_close(fixture);
    coord_fake_disk_destroy(fixture->fake);
    free(fixture->states);
    *fixture = (struct fixture){0};
}

int fixture_try_open(struct fixture *fixture, struct ray_err *err)
{
    const struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_failed, .on_space = on_space, .arg = fixture};

    fixture->failed_status = RAY_OK;
    fixture->space = COORD_WAL_SPACE_OK;
    return coord_wal_open(&fixture->wal, &fixture->fake->disk, &fixture->config, &user,
                          &fixture->recovery, err);
}

void fixture_open(struct fixture *fixture)
{
    struct ray_err err = {0};

    if (fixture_try_open(fixture, &err) != RAY_OK) {
        fail_msg("open: %s", err.text);
    }
}

void fixture_reopen(struct fixture *fixture)
{
    coord_fake_disk_run(fixture->fake);
    fixture_close(fixture);
    fixture_open(fixture);
}

void fixture_data(uint64_t term, uint64_t index, uint8_t *out, uint32_t size)
{
    uint32_t x = (uint32_t)(term * 2654435761U + index * 40503U + 1);

    for (uint32_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out[i] = (uint8_t)x;
    }
}

const struct fixture_state *fixture_now(const struct fixture *fixture)
{
    return &fixture->states[fixture->state_count - 1];
}

static struct fixture_state *state_add(struct fixture *fixture)
{
    assert_true(fixture->state_count < FIXTURE_STATES_MAX);
    fixture->states[fixture->state_count] = fixture->states[fixture->state_count - 1];
    return &fixture->states[fixture->state_count++];
}

/* A state after each record: a cut may leave the log after any of them. */
static void note_append(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                        uint32_t size)
{
    const struct fixture_state *now = fixture_now(fixture);

    if (first < now->first + now->count) {
        state_add(fixture)->count = (size_t)(first - fixture_now(fixture)->first);
    }
    for (size_t i = 0; i < count; i++) {
        struct fixture_state *state = state_add(fixture);

        assert_true(state->count < FIXTURE_ENTRIES_MAX);
        state->entries[state->count].term = term;
        state->entries[state->count].size = size;
        state->count++;
    }
}

int fixture_append(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                   uint32_t size)
{
    struct coord_entry entries[64];
    uint8_t *data = malloc(count * size + 1);
    int rc;

    assert_non_null(data);
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        fixture_data(term, first + i, data + i * size, size);
        entries[i] = (struct coord_entry){
            .term = term,
            .index = first + i,
            .type = size == 0 ? COORD_ENTRY_NOOP : COORD_ENTRY_COMMAND,
            .size = size,
            .data = size > 0 ? data + i * size : NULL,
        };
    }
    rc = coord_wal_append(fixture->wal, entries, count, NULL);
    free(data);
    if (rc == RAY_OK) {
        note_append(fixture, term, first, count, size);
    }
    return rc;
}

void fixture_must_append(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                         uint32_t size)
{
    assert_int_equal(fixture_append(fixture, term, first, count, size), RAY_OK);
}

void fixture_reset(struct fixture *fixture, uint64_t index)
{
    struct fixture_state *state = state_add(fixture);

    state->first = index + 1;
    state->count = 0;
    assert_int_equal(coord_wal_reset(fixture->wal, index, NULL), RAY_OK);
}

void fixture_read(struct coord_wal *wal, struct fixture_state *out)
{
    static uint8_t want[COORD_ENTRY_SIZE_MAX];
    uint64_t index = coord_wal_first_index(wal);
    uint64_t last = coord_wal_last_index(wal);

    *out = (struct fixture_state){.first = index};
    while (index <= last) {
        struct coord_wal_span span = {0};
        struct ray_err err = {0};

        if (coord_wal_read(wal, index, 7, 2000, &span, &err) != RAY_OK) {
            fail_msg("read: %s", err.text);
        }
        for (size_t i = 0; i < span.count; i++) {
            const struct coord_entry *entry = &span.entries[i];

            assert_int_equal(entry->index, index + i);
            fixture_data(entry->term, entry->index, want, entry->size);
            assert_true(entry->size == 0 || memcmp(want, entry->data, entry->size) == 0);
            out->entries[out->count].term = entry->term;
            out->entries[out->count].size = entry->size;
            out->count++;
        }
        index += span.count;
        coord_wal_span_fini(&span);
    }
}

static bool is_same_entry(const struct fixture_state *a, const struct fixture_state *b,
                          uint64_t index)
{
    size_t i = (size_t)(index - a->first);
    size_t j = (size_t)(index - b->first);

    return a->entries[i].term == b->entries[j].term && a->entries[i].size == b->entries[j].size;
}

bool fixture_is_same_end(const struct fixture_state *a, const struct fixture_state *b)
{
    uint64_t first = a->first > b->first ? a->first : b->first;
    uint64_t end = a->first + a->count;

    if (end != b->first + b->count) {
        return false;
    }
    for (uint64_t index = first; index < end; index++) {
        if (!is_same_entry(a, b, index)) {
            return false;
        }
    }
    return true;
}

bool fixture_is_same(const struct fixture_state *a, const struct fixture_state *b)
{
    return a->first == b->first && fixture_is_same_end(a, b);
}

void fixture_check(struct fixture *fixture)
{
    struct fixture_state state;

    fixture_read(fixture->wal, &state);
    if (!fixture_is_same(&state, fixture_now(fixture))) {
        print_message("found %llu + %zu, expected %llu + %zu\n", (unsigned long long)state.first,
                      state.count, (unsigned long long)fixture_now(fixture)->first,
                      fixture_now(fixture)->count);
    }
    assert_true(fixture_is_same(&state, fixture_now(fixture)));
}

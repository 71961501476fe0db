/* coordinator/core/message_test.c - frames there and back, held against protobuf-c's own codec,
 * and every cut and flip of hostile ones. */
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "net/proto/raft.pb-c.h"

enum { BUFFER_SIZE = 4096, ARENA_SIZE = 1 << 20 };

static const uint8_t some_bytes[200] = {1, 2, 3};

static struct coord_config two(void)
{
    return (struct coord_config){
        .servers = {{.id = 5, .role = COORD_VOTER}, {.id = 0x1234567890, .role = COORD_STANDBY}},
        .count = 2};
}

/* One of each kind, with every field set. */
static size_t samples(struct coord_message out[8], struct coord_entry entries[4],
                      uint8_t config_bytes[static COORD_CONFIG_ENCODED_SIZE_MAX])
{
    struct coord_config config = two();

    entries[0] = (struct coord_entry){
        .term = 3, .index = 101, .type = COORD_ENTRY_COMMAND, .size = 200, .data = some_bytes};
    entries[1] = (struct coord_entry){.term = 4, .index = 102, .type = COORD_ENTRY_NOOP};
    entries[2] = (struct coord_entry){.term = 4,
                                      .index = 103,
                                      .type = COORD_ENTRY_CHANGE,
                                      .size = (uint32_t)coord_config_encode(&config, config_bytes),
                                      .data = config_bytes};
    entries[3] = (struct coord_entry){.term = 300, .index = 104, .type = COORD_ENTRY_COMMAND};
    out[0] = (struct coord_message){.type = COORD_APPEND,
                                    .term = 300,
                                    .append = {.prev_index = 100,
                                               .prev_term = 3,
                                               .commit_index = COORD_INDEX_MAX,
                                               .entries = entries,
                                               .count = 4}};
    out[1] = (struct coord_message){
        .type = COORD_APPEND_RESULT, .term = 7, .append_result = {.rejected = 9, .last_index = 8}};
    out[2] = (struct coord_message){
        .type = COORD_VOTE,
        .term = COORD_TERM_MAX,
        .vote = {.last_index = 10, .last_term = 6, .is_pre_vote = true, .is_transfer = true}};
    out[3] = (struct coord_message){.type = COORD_VOTE_RESULT,
                                    .term = 8,
                                    .vote_result = {.is_granted = true, .is_pre_vote = true}};
    out[4] = (struct coord_message){
        .type = COORD_SNAPSHOT,
        .term = 8,
        .snapshot = {.index = 1000, .term = 8, .config = config, .config_index = 999}};
    out[5] = (struct coord_message){
        .type = COORD_TIMEOUT_NOW, .term = 8, .timeout_now = {.last_index = 12, .last_term = 8}};
    /* And with as little as possible. */
    out[6] = (struct coord_message){.type = COORD_APPEND, .term = 1};
    out[7] = (struct coord_message){.type = COORD_VOTE_RESULT, .term = 1};
    return 8;
}

static struct coord_frame sample_frame(const struct coord_message *messages, size_t count)
{
    return (struct coord_frame){.from = 2,
                                .to = 300,
                                .probe = {.term = 8, .number = 77},
                                .echo = {.term = 7, .number = 5},
                                .messages = messages,
                                .count = count};
}

static void assert_same(const struct coord_message *a, const struct coord_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->term, b->term);
    switch (a->type) {
    case COORD_APPEND:
        assert_int_equal(a->append.prev_index, b->append.prev_index);
        assert_int_equal(a->append.prev_term, b->append.prev_term);
        assert_int_equal(a->append.commit_index, b->append.commit_index);
        assert_int_equal(a->append.count, b->append.count);
        for (size_t i = 0; i < a->append.count; i++) {
            const struct coord_entry *x = &a->append.entries[i];
            const struct coord_entry *y = &b->append.entries[i];

            assert_true(x->term == y->term && x->index == y->index && x->type == y->type);
            assert_int_equal(x->size, y->size);
            if (x->size > 0) {
                assert_memory_equal(x->data, y->data, x->size);
            }
        }
        break;
    case COORD_APPEND_RESULT:
        assert_memory_equal(&a->append_result, &b->append_result, sizeof a->append_result);
        break;
    case COORD_VOTE:
        assert_true(a->vote.last_index == b->vote.last_index &&
                    a->vote.last_term == b->vote.last_term &&
                    a->vote.is_pre_vote == b->vote.is_pre_vote &&
                    a->vote.is_transfer == b->vote.is_transfer);
        break;
    case COORD_VOTE_RESULT:
        assert_true(a->vote_result.is_granted == b->vote_result.is_granted &&
                    a->vote_result.is_pre_vote == b->vote_result.is_pre_vote);
        break;
    case COORD_SNAPSHOT:
        assert_true(a->snapshot.index == b->snapshot.index &&
                    a->snapshot.term == b->snapshot.term &&
                    a->snapshot.config_index == b->snapshot.config_index &&
                    coord_config_equal(&a->snapshot.config, &b->snapshot.config));
        break;
    case COORD_TIMEOUT_NOW:
        assert_memory_equal(&a->timeout_now, &b->timeout_now, sizeof a->timeout_now);
        break;
    }
}

static size_t encode_samples(uint8_t out[BUFFER_SIZE])
{
    uint8_t config_bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entries[4];
    struct coord_message messages[8];
    struct coord_frame frame = sample_frame(messages, samples(messages, entries, config_bytes));
    size_t size = 0;

    assert_int_equal(coord_frame_encode(&frame, out, BUFFER_SIZE, &size, NULL), RAY_OK);
    return size;
}

static void test_there_and_back(void **state)
{
    uint8_t config_bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    uint8_t buffer[BUFFER_SIZE];
    struct coord_entry entries[4];
    struct coord_message messages[8];
    struct coord_frame frame = sample_frame(messages, samples(messages, entries, config_bytes));
    struct coord_frame back;
    struct ray_arena arena;
    size_t size_max = COORD_FRAME_HEADER_SIZE_MAX;
    size_t size;

    (void)state;
    ray_arena_init(&arena, ARENA_SIZE);
    for (size_t i = 0; i < frame.count; i++) {
        size_max += coord_message_size_max(&messages[i]);
    }
    assert_int_equal(coord_frame_encode(&frame, buffer, sizeof buffer, &size, NULL), RAY_OK);
    assert_true(size <= size_max && size + COORD_FRAME_HEADER_SIZE_MAX >= size_max);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(coord_frame_encode(&frame, buffer, i, &size_max, NULL), RAY_ETOOBIG);
    }
    assert_int_equal(coord_frame_decode(buffer, size, &arena, &back, NULL), RAY_OK);
    assert_int_equal(back.count, frame.count);
    assert_true(back.from == 2 && back.to == 300 && back.probe.term == 8 &&
                back.probe.number == 77 && back.echo.term == 7 && back.echo.number == 5);
    for (size_t i = 0; i < back.count; i++) {
        assert_int_equal(back.messages[i].from, 2);
        assert_int_equal(back.messages[i].to, 300);
        assert_same(&messages[i], &back.messages[i]);
    }
    ray_arena_fini(&arena);
}

/* The schema is what travels: protobuf-c reads our bytes, and writes the same. */
static void test_against_protobuf_c(void **state)
{
    uint8_t buffer[BUFFER_SIZE];
    uint8_t again[BUFFER_SIZE];
    size_t size = encode_samples(buffer);
    Rayos__Raft__Frame *frame = rayos__raft__frame__unpack(NULL, size, buffer);

    (void)state;
    assert_non_null(frame);
    assert_int_equal(frame->n_messages, 8);
    assert_int_equal(frame->messages[0]->body_case, RAYOS__RAFT__MESSAGE__BODY_APPEND);
    assert_int_equal(frame->messages[0]->append->n_entries, 4);
    assert_int_equal(frame->messages[0]->append->entries[0]->data.len, 200);
    assert_int_equal(frame->messages[2]->vote->transfer, true);
    assert_int_equal(frame->messages[4]->snapshot->config_index, 999);
    assert_int_equal(frame->echo_number, 5);
    assert_int_equal(rayos__raft__frame__get_packed_size(frame), size);
    assert_int_equal(rayos__raft__frame__pack(frame, again), size);
    assert_memory_equal(buffer, again, size);
    rayos__raft__frame__free_unpacked(frame, NULL);
}

/* Never a byte too far, and what decodes is well-formed. */
static void decode_hostile(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = ray_test_copy(bytes, size);
    struct coord_frame frame;
    struct ray_arena arena;

    ray_arena_init(&arena, ARENA_SIZE);
    if (coord_frame_decode(exact, size, &arena, &frame, NULL) == RAY_OK) {
        for (size_t i = 0; i < frame.count; i++) {
            assert_int_equal(coord_message_check(&frame.messages[i], NULL), RAY_OK);
        }
    }
    ray_arena_fini(&arena);
    free(exact);
}

static void test_cuts_and_flips(void **state)
{
    uint8_t buffer[BUFFER_SIZE];
    size_t size = encode_samples(buffer);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        decode_hostile(buffer, i);
        for (int bit = 0; bit < 8; bit++) {
            buffer[i] ^= (uint8_t)(1 << bit);
            decode_hostile(buffer, size);
            buffer[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static int decode_one(const struct coord_message *message)
{
    struct coord_frame frame = sample_frame(message, 1);
    uint8_t buffer[BUFFER_SIZE];
    struct coord_frame back;
    struct ray_arena arena;
    size_t size;
    int rc;

    ray_arena_init(&arena, ARENA_SIZE);
    assert_int_equal(coord_frame_encode(&frame, buffer, sizeof buffer, &size, NULL), RAY_OK);
    rc = coord_frame_decode(buffer, size, &arena, &back, NULL);
    ray_arena_fini(&arena);
    return rc;
}

static void test_nonsense_is_refused(void **state)
{
    uint8_t config_bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entries[4];
    struct coord_message good[8];
    struct coord_message bad;

    (void)state;
    (void)samples(good, entries, config_bytes);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(decode_one(&good[i]), RAY_OK);
        bad = good[i];
        bad.term = 0;
        assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
        bad.term = COORD_TERM_MAX + 1;
        assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    }
    bad = good[0];
    bad.append.prev_index = 0;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[0];
    bad.append.prev_term = 0;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[0];
    bad.append.prev_term = 4; /* above the first entry's */
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[0];
    bad.term = 299; /* below an entry's */
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    entries[1].size = 1;
    entries[1].data = some_bytes;
    assert_int_equal(decode_one(&good[0]), RAY_EMALFORMED);
    entries[1].size = 0;
    entries[2].size--;
    assert_int_equal(decode_one(&good[0]), RAY_EMALFORMED);
    entries[2].size++;
    entries[3].type = (enum coord_entry_type)4;
    assert_int_equal(decode_one(&good[0]), RAY_EMALFORMED);
    bad = good[2];
    bad.vote.last_index = 0;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[4];
    bad.snapshot.config_index = 1001;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[4];
    bad.snapshot.config.servers[0].role = COORD_STANDBY;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
    bad = good[5];
    bad.timeout_now.last_term = 9;
    assert_int_equal(decode_one(&bad), RAY_EMALFORMED);
}

static void test_limits(void **state)
{
    static struct coord_message messages[COORD_FRAME_MESSAGES_MAX + 1];
    static uint8_t buffer[COORD_FRAME_SIZE_MAX + 1];
    static const uint8_t one_more[] = {0x3a, 0x04, 0x08, 0x01, 0x2a, 0x00};
    struct coord_frame frame = {.from = 1, .to = 2, .messages = messages};
    struct coord_frame back;
    struct ray_arena arena;
    size_t size;

    (void)state;
    ray_arena_init(&arena, ARENA_SIZE);
    for (size_t i = 0; i < COORD_FRAME_MESSAGES_MAX + 1; i++) {
        messages[i] = (struct coord_message){.type = COORD_VOTE_RESULT, .term = 1};
    }
    frame.count = COORD_FRAME_MESSAGES_MAX;
    assert_int_equal(coord_frame_encode(&frame, buffer, sizeof buffer, &size, NULL), RAY_OK);
    assert_int_equal(coord_frame_decode(buffer, size, &arena, &back, NULL), RAY_OK);
    /* One message more, by hand: frames may be joined. */
    memcpy(buffer + size, one_more, sizeof one_more);
    assert_int_equal(coord_frame_decode(buffer, size + sizeof one_more, &arena, &back, NULL),
                     RAY_ETOOBIG);
    frame.count++;
    assert_int_equal(coord_frame_encode(&frame, buffer, sizeof buffer, &size, NULL), RAY_ETOOBIG);
    assert_int_equal(coord_frame_decode(buffer, sizeof buffer, &arena, &back, NULL), RAY_ETOOBIG);
    assert_int_equal(coord_frame_decode(buffer, 0, &arena, &back, NULL), RAY_EMALFORMED);
    /* Without memory: an error. */
    ray_arena_fini(&arena);
    ray_arena_init(&arena, 64);
    size = encode_samples(buffer);
    assert_int_equal(coord_frame_decode(buffer, size, &arena, &back, NULL), RAY_ETOOBIG);
    ray_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_against_protobuf_c),
        cmocka_unit_test(test_cuts_and_flips), cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

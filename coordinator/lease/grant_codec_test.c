#include "base/test.h"
#include "coordinator/lease/grant_codec.h"
#include "net/proto/grant.pb-c.h"
#include "net/proto_codec.h"

static const struct ray_id node = {{1}};
static const struct ray_id incarnation = {{2}};

static struct coord_lease_pair pair_of(uint8_t first)
{
    return (struct coord_lease_pair){.id = {{first}},
                                     .epoch = {3, 40},
                                     .from = {3, 7},
                                     .origin = RAY_EPOCH_DEATH,
                                     .kind = COORD_LEASE_GUEST};
}

static struct coord_lease_answer answer_of(const struct coord_lease_pair *pairs, size_t count)
{
    return (struct coord_lease_answer){.node = node,
                                       .incarnation = incarnation,
                                       .status = COORD_LEASE_GRANTED,
                                       .cluster_epoch = 3,
                                       .t_send_ns = 99,
                                       .grant_ns = 5,
                                       .revision = 41,
                                       .hash = coord_lease_hash_of(pairs, count),
                                       .pairs = pairs,
                                       .pair_count = count};
}

/* Through bytes and back; the code of the decoder. */
static int pass(const struct coord_lease_answer *answer, struct ray_arena *arena,
                struct coord_lease_answer *out)
{
    const uint8_t *bytes;
    uint8_t *exact;
    size_t size;
    int rc;

    assert_int_equal(coord_lease_answer_encode(answer, arena, &bytes, &size, NULL), RAY_OK);
    exact = ray_test_copy(bytes, size);
    rc = coord_lease_answer_decode(exact, size, arena, out, NULL);
    free(exact);
    return rc;
}

static void test_renew(void **state)
{
    const struct coord_lease_pair pair = pair_of(5);
    struct coord_lease_renew renew = {.node = node,
                                      .incarnation = incarnation,
                                      .cluster_epoch = 3,
                                      .t_send_ns = UINT64_MAX,
                                      .hash = coord_lease_hash_of(&pair, 1)};
    struct coord_lease_renew same;
    const uint8_t *bytes;
    struct ray_arena arena;
    size_t size;

    (void)state;
    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(coord_lease_renew_encode(&renew, &arena, &bytes, &size, NULL), RAY_OK);
        assert_int_equal(coord_lease_renew_decode(bytes, size, &arena, &same, NULL), RAY_OK);
        assert_memory_equal(&same, &renew, sizeof same);
        renew.hash = (struct coord_lease_hash){{0}};
    }
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = ray_test_copy(bytes, cut);

        (void)coord_lease_renew_decode(exact, cut, &arena, &same, NULL);
        free(exact);
    }
    assert_int_equal(coord_lease_renew_decode(bytes, 0, &arena, &same, NULL), RAY_EMALFORMED);
    assert_int_equal(
        coord_lease_renew_decode(bytes, COORD_LEASE_RENEW_SIZE_MAX + 1, &arena, &same, NULL),
        RAY_ETOOBIG);
    ray_arena_fini(&arena);
}

static void test_answers(void **state)
{
    struct coord_lease_pair pairs[2] = {pair_of(5), pair_of(6)};
    struct coord_lease_answer answer = answer_of(pairs, 2);
    struct coord_lease_answer same;
    struct ray_arena arena;

    (void)state;
    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(pass(&answer, &arena, &same), RAY_OK);
    assert_int_equal(same.pair_count, 2);
    assert_true(ray_id_equal(&same.pairs[1].id, &pairs[1].id) && same.pairs[1].from.index == 7 &&
                same.pairs[1].origin == RAY_EPOCH_DEATH);
    assert_true(same.grant_ns == 5 && same.t_send_ns == 99 && same.revision == 41);
    answer.is_unchanged = true;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    answer.pair_count = 0;
    assert_int_equal(pass(&answer, &arena, &same), RAY_OK);
    assert_true(same.is_unchanged && coord_lease_hash_equal(&same.hash, &answer.hash));
    answer.hash = (struct coord_lease_hash){{0}};
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    answer.status = COORD_LEASE_DUPLICATE;
    assert_int_equal(pass(&answer, &arena, &same), RAY_OK);
    answer.status = (enum coord_lease_status)9;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    ray_arena_fini(&arena);
}

static void test_lists_that_no_leader_sends(void **state)
{
    struct coord_lease_pair pairs[2] = {pair_of(5), pair_of(6)};
    struct coord_lease_answer answer = answer_of(pairs, 2);
    struct coord_lease_answer same = {0};
    struct ray_arena arena;

    (void)state;
    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    answer.hash.bytes[0] ^= 1;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    answer.hash.bytes[0] ^= 1;
    answer.grant_ns = COORD_LEASE_TIME_MAX_NS + 1;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    answer.grant_ns = 0;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    answer.grant_ns = 1;
    pairs[1].id.bytes[0] = 4;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    pairs[1].id.bytes[0] = 5;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    pairs[1] = pair_of(6);
    pairs[1].from = pairs[1].epoch;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    pairs[1] = pair_of(6);
    pairs[1].origin = RAY_EPOCH_STOPPED;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    pairs[1] = pair_of(6);
    pairs[1].kind = (enum coord_lease_kind)7;
    assert_int_equal(pass(&answer, &arena, &same), RAY_EMALFORMED);
    pairs[1] = pair_of(6);
    assert_int_equal(pass(&answer, &arena, &same), RAY_OK);
    assert_int_equal(same.pair_count, 2);
    ray_arena_fini(&arena);
}

static void test_the_largest_list(void **state)
{
    struct coord_lease_pair *pairs = calloc(COORD_LEASE_PAIRS_MAX + 1, sizeof *pairs);
    struct coord_lease_answer answer;
    struct coord_lease_answer same;
    struct ray_arena arena;

    (void)state;
    assert_non_null(pairs);
    for (size_t i = 0; i < COORD_LEASE_PAIRS_MAX; i++) {
        pairs[i] = pair_of(1);
        pairs[i].epoch = (struct ray_epoch){UINT64_MAX, UINT64_MAX};
        pairs[i].from = (struct ray_epoch){UINT64_MAX, UINT64_MAX - 1};
        pairs[i].id.bytes[1] = (uint8_t)(i >> 8);
        pairs[i].id.bytes[2] = (uint8_t)i;
    }
    answer = answer_of(pairs, COORD_LEASE_PAIRS_MAX);
    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(pass(&answer, &arena, &same), RAY_OK);
    assert_int_equal(same.pair_count, COORD_LEASE_PAIRS_MAX);
    ray_arena_fini(&arena);
    free(pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renew),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_lists_that_no_leader_sends),
        cmocka_unit_test(test_the_largest_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

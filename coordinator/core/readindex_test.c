/* coordinator/core/readindex_test.c - when a probe is confirmed, and when it must not be. */
#include "base/test.h"
#include "coordinator/core/readindex.h"

static struct coord_config voters(size_t count)
{
    struct coord_config config = {.count = count};

    for (size_t i = 0; i < count; i++) {
        config.servers[i] = (struct coord_server){.id = i + 1, .role = COORD_VOTER};
    }
    return config;
}

static void lead(struct coord_readindex *reads, uint64_t self_id, size_t count)
{
    struct coord_config config = voters(count);

    coord_readindex_init(reads, self_id);
    coord_readindex_lead(reads, 7, &config);
}

static bool hear(struct coord_readindex *reads, uint64_t from, uint64_t term, uint64_t number)
{
    return coord_readindex_heard(reads, from, (struct coord_probe){.term = term, .number = number});
}

static void test_alone(void **state)
{
    struct coord_readindex reads;

    (void)state;
    lead(&reads, 1, 1);
    assert_false(coord_readindex_is_confirmed(&reads, 0));
    assert_true(coord_readindex_is_confirmed(&reads, coord_readindex_begin(&reads, 1)));
    assert_int_equal(coord_readindex_probe(&reads).number, 0);
}

static void test_majority_of_five(void **state)
{
    struct coord_readindex reads;
    uint64_t first;
    uint64_t second;

    (void)state;
    lead(&reads, 1, 5);
    first = coord_readindex_begin(&reads, 10);
    second = coord_readindex_begin(&reads, 20);
    assert_int_equal(coord_readindex_probe(&reads).number, second);
    assert_int_equal(coord_readindex_probe(&reads).term, 7);
    assert_false(hear(&reads, 2, 7, first));
    assert_false(hear(&reads, 2, 7, first)); /* twice is once */
    assert_false(coord_readindex_is_confirmed(&reads, first));
    assert_true(hear(&reads, 3, 7, second));
    assert_true(coord_readindex_is_confirmed(&reads, first));
    assert_false(coord_readindex_is_confirmed(&reads, second));
    assert_true(hear(&reads, 2, 7, second));
    assert_true(coord_readindex_is_confirmed(&reads, second));
    assert_false(coord_readindex_is_confirmed(&reads, second + 1));
}

static void test_what_does_not_count(void **state)
{
    struct coord_readindex reads;
    uint64_t number;

    (void)state;
    lead(&reads, 1, 3);
    reads.config.servers[2].role = COORD_STANDBY;
    reads.config.count = 3;
    number = coord_readindex_begin(&reads, 1);
    assert_false(hear(&reads, 2, 6, number));     /* an older term */
    assert_false(hear(&reads, 2, 8, number));     /* a newer one */
    assert_false(hear(&reads, 2, 7, number + 1)); /* never begun */
    assert_false(hear(&reads, 2, 7, 0));
    assert_false(hear(&reads, 9, 7, number)); /* a stranger */
    assert_false(hear(&reads, 1, 7, number)); /* ourselves */
    assert_false(hear(&reads, 3, 7, number)); /* a standby */
    assert_false(coord_readindex_is_confirmed(&reads, number));
    assert_true(hear(&reads, 2, 7, number));
}

/* A leader outside the newest configuration needs the majority of the others. */
static void test_leader_outside(void **state)
{
    struct coord_readindex reads;
    uint64_t number;

    (void)state;
    lead(&reads, 9, 3);
    number = coord_readindex_begin(&reads, 1);
    assert_false(hear(&reads, 1, 7, number));
    assert_true(hear(&reads, 2, 7, number));
}

static void test_configuration_changes(void **state)
{
    struct coord_readindex reads;
    struct coord_config config = voters(4);
    uint64_t number;

    (void)state;
    lead(&reads, 1, 3);
    number = coord_readindex_begin(&reads, 1);
    coord_readindex_set_config(&reads, &config); /* now three of four */
    assert_false(hear(&reads, 2, 7, number));
    assert_true(hear(&reads, 4, 7, number));
    number = coord_readindex_begin(&reads, 1);
    assert_false(hear(&reads, 4, 7, number));
    config.count = 3; /* 4 leaves, and its echo with it */
    coord_readindex_set_config(&reads, &config);
    assert_false(coord_readindex_is_confirmed(&reads, number));
    config.count = 1;
    coord_readindex_set_config(&reads, &config);
    assert_true(coord_readindex_is_confirmed(&reads, number));
}

static void test_deposed(void **state)
{
    struct coord_readindex reads;
    struct coord_config config = voters(3);
    uint64_t number;

    (void)state;
    lead(&reads, 1, 3);
    number = coord_readindex_begin(&reads, 1);
    coord_readindex_stop(&reads);
    assert_false(coord_readindex_is_leading(&reads));
    assert_false(hear(&reads, 2, 7, number));
    assert_false(coord_readindex_is_confirmed(&reads, number));
    assert_int_equal(coord_readindex_probe(&reads).term, 0);
    /* Elected again: the old echo is worth nothing. */
    coord_readindex_lead(&reads, 9, &config);
    number = coord_readindex_begin(&reads, 2);
    assert_false(hear(&reads, 2, 7, number));
    assert_false(coord_readindex_is_confirmed(&reads, number));
}

static void test_echo(void **state)
{
    struct coord_probe asked = {.term = 7, .number = 3};

    (void)state;
    assert_int_equal(coord_readindex_echo(asked, 7).number, 3);
    assert_int_equal(coord_readindex_echo(asked, 8).term, 0);
    assert_int_equal(coord_readindex_echo(asked, 8).number, 0);
    assert_int_equal(coord_readindex_echo((struct coord_probe){0}, 0).number, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_majority_of_five),
        cmocka_unit_test(test_what_does_not_count),
        cmocka_unit_test(test_leader_outside),
        cmocka_unit_test(test_configuration_changes),
        cmocka_unit_test(test_deposed),
        cmocka_unit_test(test_echo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

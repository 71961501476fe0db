/* feature_test.c - when the feature level may rise. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/core/feature.h"

static struct coord_feature_node server(uint8_t number, uint32_t level)
{
    struct coord_feature_node node = {.level = level, .is_server = true, .is_heard = true};

    node.id.bytes[0] = number;
    return node;
}

static struct coord_feature_found find(const struct coord_feature_node *nodes, size_t count)
{
    struct coord_feature_found found = {.is_any = false};

    for (size_t i = 0; i < count; i++) {
        coord_feature_add(&found, &nodes[i]);
    }
    return found;
}

static void test_the_lowest_counts(void **state)
{
    struct coord_feature_node nodes[] = {server(0, 3), server(1, 2), server(2, 3), server(3, 2)};

    (void)state;
    assert_int_equal(find(nodes, 1).level, 3);
    assert_int_equal(find(nodes, 4).level, 2);
    assert_int_equal(find(nodes, 4).holder.id.bytes[0], 1);
}

static void test_a_silent_server_holds_it_back(void **state)
{
    struct coord_feature_node nodes[] = {server(0, 3), server(1, 2), server(2, 3)};

    (void)state;
    nodes[2].is_heard = false; /* whatever it said once: its disk may start with another build */
    assert_int_equal(find(nodes, 3).level, 0);
    assert_int_equal(find(nodes, 3).holder.id.bytes[0], 2);
}

static void test_an_observer_counts_while_it_lives(void **state)
{
    struct coord_feature_node nodes[] = {
        server(0, 3), server(1, 3), {.level = 1, .is_heard = true}};

    (void)state;
    assert_int_equal(find(nodes, 3).level, 1);
    assert_false(find(nodes, 3).holder.is_server);
    nodes[2].is_heard = false;
    assert_int_equal(find(nodes, 3).level, 3);
}

static void test_it_waits(void **state)
{
    struct coord_feature_watch watch = {.level = 0};

    (void)state;
    assert_int_equal(coord_feature_step(&watch, 1, 1, 100, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 200, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 249, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 250, 50), 2);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 251, 50), 2); /* as long as it is not there */
    assert_int_equal(coord_feature_step(&watch, 2, 2, 252, 50), 0);
}

static void test_whoever_goes_back_begins_it_anew(void **state)
{
    struct coord_feature_watch watch = {.level = 0};

    (void)state;
    assert_int_equal(coord_feature_step(&watch, 2, 1, 100, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 1, 1, 120, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 140, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 160, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 0, 1, 170, 50), 0); /* a server was not heard */
    assert_int_equal(coord_feature_step(&watch, 2, 1, 219, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 268, 50), 0);
    assert_int_equal(coord_feature_step(&watch, 2, 1, 269, 50), 2);
}

/* Whatever the levels: never above any server's, nor above that of anybody who is heard. */
static void test_never_above_anybody(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct coord_feature_node nodes[6];
        struct coord_feature_found found;
        size_t count;

        for (size_t i = 0; i < 6; i++) {
            seed = seed * 1664525 + 1013904223;
            nodes[i] = (struct coord_feature_node){.level = seed >> 16 & 3,
                                                   .is_server = i == 0 || (seed >> 20 & 1) != 0,
                                                   .is_heard = (seed >> 22 & 3) != 0};
        }
        count = 1 + (seed >> 8) % 6;
        found = find(nodes, count);
        assert_true(found.is_any);
        for (size_t i = 0; i < count; i++) {
            bool is_silent = nodes[i].is_server && !nodes[i].is_heard;

            assert_true(!is_silent || found.level == 0);
            assert_true((!nodes[i].is_server && !nodes[i].is_heard) ||
                        found.level <= nodes[i].level);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lowest_counts),
        cmocka_unit_test(test_a_silent_server_holds_it_back),
        cmocka_unit_test(test_an_observer_counts_while_it_lives),
        cmocka_unit_test(test_it_waits),
        cmocka_unit_test(test_whoever_goes_back_begins_it_anew),
        cmocka_unit_test(test_never_above_anybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

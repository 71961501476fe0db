/* A run is what its seed says: the same twice, another with another seed; and a few hold. */
#include "base/test.h"
#include "tests/sim/run.h"

static void test_same(void **state)
{
    struct sim_options options = {.ops = &sim_node_raft, .seed = 7, .linear_every = 1};
    struct sim_result a;
    struct sim_result b;

    (void)state;
    sim_run(&options, &a);
    sim_run(&options, &b);
    assert_true(a.hash == b.hash);
    assert_int_equal(a.event_count, b.event_count);
    options.seed = 8;
    sim_run(&options, &b);
    assert_true(a.hash != b.hash);
}

static void test_holds(void **state)
{
    struct sim_options options = {.ops = &sim_node_raft, .linear_every = 1};
    struct sim_result result;
    uint64_t done_count = 0;
    uint64_t start_count = 0;

    (void)state;
    for (options.seed = 1; options.seed <= 10; options.seed++) {
        sim_run(&options, &result);
        if (result.verdict.is_bad) {
            print_error("seed %d: %s\n", (int)options.seed, result.verdict.text);
        }
        assert_false(result.verdict.is_bad);
        done_count += result.done_count;
        start_count += result.start_count;
    }
    /* They did something, and something happened to them. */
    assert_true(done_count > 500 && start_count > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

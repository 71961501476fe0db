/* world_test.c - walks from many seeds; in a build with mutants and with RAYOS_MUTANT set they
 * must end with a violated lemma. RAY_WORLD_SEEDS and RAY_WORLD_FIRST ask for more or for one. */
#include <stdlib.h>

#include "base/test.h"
#include "coordinator/lease/world.h"
#include "coordinator/mutant.h"

#ifdef RAY_MUTANTS
enum { SEEDS = 300 }; /* the rarest mutant needs about 150 */
#else
enum { SEEDS = 25 };
#endif
enum { TICKS = 1200, CALM_TICKS = 500 };

static unsigned number_from(const char *name, unsigned usual)
{
    const char *text = getenv(name);

    return text == NULL ? usual : (unsigned)strtoul(text, NULL, 10);
}

struct sum {
    uint64_t run_ticks;
    uint64_t takeovers;
    uint64_t migrations;
    uint64_t recoveries;
};

static bool walk(unsigned seed, struct sum *sum)
{
    struct world *world = world_create(seed);
    bool is_good;

    world_walk(world, TICKS);
    if (world->lemma == NULL) {
        world_heal(world);
        world_walk(world, CALM_TICKS);
    }
    if (world->lemma == NULL) {
        world_check_progress(world);
    }
    is_good = world->lemma == NULL;
    if (!is_good) {
        print_message("seed %u: lemma %s (%s)\n", seed, world->lemma, world->detail);
    }
    sum->run_ticks += world->run_ticks;
    sum->takeovers += world->takeover_count;
    sum->migrations += world->migration_count;
    sum->recoveries += world->has_recovered ? 1 : 0;
    world_destroy(world);
    return is_good;
}

static void test_lemmas(void **state)
{
    unsigned count = number_from("RAY_WORLD_SEEDS", SEEDS);
    unsigned first = number_from("RAY_WORLD_FIRST", 1);
    struct sum sum = {0};

    (void)state;
    for (unsigned seed = first; seed < first + count; seed++) {
        assert_true(walk(seed, &sum));
    }
    print_message("%u seeds, %u ticks: guests ran %llu ticks, %llu deaths, %llu migrations,"
                  " %llu recoveries\n",
                  count, count * (TICKS + CALM_TICKS), (unsigned long long)sum.run_ticks,
                  (unsigned long long)sum.takeovers, (unsigned long long)sum.migrations,
                  (unsigned long long)sum.recoveries);
    /* A walk in which nothing happens proves nothing. */
    assert_true(count < SEEDS || (sum.run_ticks > UINT64_C(500) * SEEDS && sum.takeovers > SEEDS &&
                                  sum.migrations > SEEDS / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lemmas)};
    struct ray_err err = {0};

    if (ray_mutant_from_env(&err) != RAY_OK) {
        print_error("%s\n", err.text);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* forecast_test.c - what is said beforehand is what the policy does. */
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/forecast.h"

enum { NODES = 6 };

struct world {
    struct coord_member_node nodes[NODES];
    struct coord_members members;
};

/* Nodes 1, 2, ...: the first `voters` vote, the others stand by. */
static void init(struct world *world, size_t nodes, size_t voters)
{
    *world = (struct world){0};
    for (size_t i = 0; i < nodes; i++) {
        world->nodes[i] =
            (struct coord_member_node){.id = i + 1, .is_healthy = true, .is_wanted = true};
        world->members.config.servers[i] =
            (struct coord_server){.id = i + 1, .role = i < voters ? COORD_VOTER : COORD_STANDBY};
    }
    world->members.config.count = nodes;
    world->members.nodes = world->nodes;
    world->members.count = nodes;
    world->members.leader_id = 1;
    world->members.last_index = 1000;
    world->members.wanted_voters = 3;
}

static void test_nothing_to_do(void **state)
{
    struct coord_forecast forecast;
    struct world world;

    (void)state;
    init(&world, 4, 3);
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
    assert_true(forecast.is_settled);
    assert_int_equal(forecast.step_count, 0);
    assert_true(coord_config_equal(&forecast.config, &world.members.config));
}

/* The leader hands over, a standby votes, the drained one leaves. */
static void test_the_leader_is_drained(void **state)
{
    struct coord_forecast forecast;
    struct world world;

    (void)state;
    init(&world, 4, 3);
    world.nodes[0].is_wanted = false;
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
    assert_true(forecast.is_settled);
    assert_int_equal(forecast.step_count, 4);
    assert_int_equal(forecast.steps[0].what, COORD_FORECAST_VOTES);
    assert_int_equal(forecast.steps[0].id, 4);
    assert_int_equal(forecast.steps[1].what, COORD_FORECAST_LEADS);
    assert_int_equal(forecast.steps[2].what, COORD_FORECAST_STANDS_BY);
    assert_int_equal(forecast.steps[2].id, 1);
    assert_int_equal(forecast.steps[3].what, COORD_FORECAST_LEAVES);
    assert_int_equal(forecast.steps[3].id, 1);
    assert_int_equal(coord_config_voter_count(&forecast.config), 3);
    assert_int_equal(coord_forecast_healthy(&world.members, &forecast.config), 3);
}

static void test_three_without_a_standby_become_one(void **state)
{
    struct coord_forecast forecast;
    struct world world;

    (void)state;
    init(&world, 3, 3);
    world.nodes[2].is_wanted = false;
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
    assert_true(forecast.is_settled);
    assert_int_equal(coord_config_voter_count(&forecast.config), 1);
    assert_null(coord_config_find(&forecast.config, 3));
}

/* The drained one stays a voter, and that is what is said. */
static void test_what_cannot_be(void **state)
{
    struct coord_forecast forecast;
    struct world world;

    (void)state;
    init(&world, 1, 1);
    world.nodes[0].is_wanted = false;
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
    assert_true(coord_config_is_voter(&forecast.config, 1));

    init(&world, 3, 3);
    world.nodes[1].is_healthy = false; /* away, and wanted */
    world.nodes[2].is_wanted = false;
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
    assert_true(forecast.is_settled);
    assert_true(coord_config_is_voter(&forecast.config, 3));
    assert_int_equal(coord_forecast_healthy(&world.members, &forecast.config), 2);
}

/* Whoever drains one of any number, of which any are away: it ends, and never without a majority.
 */
static void test_any(void **state)
{
    (void)state;
    for (size_t nodes = 1; nodes <= NODES; nodes++) {
        for (unsigned away = 0; away < 1U << (nodes - 1); away++) {
            for (size_t drained = 0; drained < nodes; drained++) {
                struct coord_forecast forecast;
                struct world world;

                init(&world, nodes, nodes < 3 ? 1 : 3);
                for (size_t i = 1; i < nodes; i++) {
                    world.nodes[i].is_healthy = (away >> (i - 1) & 1) == 0;
                }
                world.nodes[drained].is_wanted = false;
                if (coord_forecast_healthy(&world.members, &world.members.config) * 2 <=
                    coord_config_voter_count(&world.members.config)) {
                    continue; /* there is no leader to do anything */
                }
                assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_OK);
                assert_true(forecast.is_settled);
                assert_true(coord_forecast_healthy(&world.members, &forecast.config) * 2 >
                            coord_config_voter_count(&forecast.config));
            }
        }
    }
}

static void test_bad_input(void **state)
{
    struct coord_forecast forecast = {.step_count = 7};
    struct world world;

    (void)state;
    init(&world, 3, 3);
    world.members.wanted_voters = 2;
    assert_int_equal(coord_forecast(&world.members, &forecast, NULL), RAY_EINVAL);
    assert_int_equal(forecast.step_count, 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_the_leader_is_drained),
        cmocka_unit_test(test_three_without_a_standby_become_one),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_bad_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/test.h"
#include "clusterctl/verbs/power_judge.h"

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static void begin(Rayos__Cluster__NodeStatus *node, Rayos__Cluster__Plan *plan)
{
    rayos__cluster__node_status__init(node);
    rayos__cluster__plan__init(plan);
    node->name = text("node2");
    node->role = text("voter");
    node->state = text("member");
    node->is_up = true;
    plan->voters = 3;
    plan->voters_up = 3;
}

static void test_says_what_it_costs(void **state)
{
    Rayos__Cluster__NodeStatus node;
    Rayos__Cluster__Plan plan;
    struct power_order order = {.node = &node, .plan = &plan, .is_reboot = true};
    char why[POWER_WHY_SIZE];

    (void)state;
    begin(&node, &plan);
    power_describe(&order, why);
    assert_string_equal(why, "Node node2 goes down and comes back.");
    plan.voters_up = 2;
    plan.guests = 7;
    power_describe(&order, why);
    assert_non_null(strstr(why, "no quorum: of 3 voters 2 are up"));
    assert_non_null(strstr(why, "7 guests"));
    order.is_drained = true;
    power_describe(&order, why);
    assert_string_equal(why, "Node node2 goes down and comes back.");
    node.is_ephemeral = true;
    power_describe(&order, why);
    assert_non_null(strstr(why, "as a new node of that name"));
}

/* A member may say anything: it is cut, and cannot move the cursor. */
static void test_hostile_name(void **state)
{
    Rayos__Cluster__NodeStatus node;
    Rayos__Cluster__Plan plan;
    struct power_order order = {.node = &node, .plan = &plan, .is_reboot = true};
    char name[4096];
    char why[POWER_WHY_SIZE];

    (void)state;
    begin(&node, &plan);
    memset(name, '\x1b', sizeof name);
    name[sizeof name - 1] = '\0';
    node.name = name;
    node.is_ephemeral = true;
    plan.voters_up = 0;
    plan.voters = UINT32_MAX;
    plan.guests = UINT64_MAX;
    power_describe(&order, why);
    assert_true(strlen(why) < sizeof why);
    assert_null(strchr(why, '\x1b'));
    assert_non_null(strstr(why, "no quorum"));
    assert_non_null(strstr(why, "18446744073709551615 guests"));
}

static void test_is_back_by_a_later_boot_alone(void **state)
{
    const struct power_boot before = {.node = {.bytes = {1}}, .counter = 5};
    struct power_boot now = before;
    Rayos__Cluster__NodeStatus node;
    Rayos__Cluster__Plan plan;
    char line[NODE_WAIT_LINE_SIZE];

    (void)state;
    begin(&node, &plan);
    assert_false(power_is_back(&before, &now, &node, line));
    assert_string_equal(line, "goes down");
    now.counter = 4; /* told by a member that lags behind */
    assert_false(power_is_back(&before, &now, &node, line));
    node.is_up = false;
    assert_false(power_is_back(&before, &now, &node, line));
    assert_string_equal(line, "down");
    now.counter = 6;
    assert_false(power_is_back(&before, &now, &node, line));
    assert_string_equal(line, "starts");
    node.is_up = true;
    assert_true(power_is_back(&before, &now, &node, line));
    assert_string_equal(line, "back, member, voter");
}

/* The next boot of a machine without a disk is a new node: its first. */
static void test_is_back_under_another_id(void **state)
{
    const struct power_boot before = {.node = {.bytes = {1}}, .counter = 5};
    const struct power_boot now = {.node = {.bytes = {2}}, .counter = 1};
    Rayos__Cluster__NodeStatus node;
    Rayos__Cluster__Plan plan;
    char line[NODE_WAIT_LINE_SIZE];

    (void)state;
    begin(&node, &plan);
    node.state = text("pending");
    assert_false(power_is_back(&before, &now, &node, line));
    assert_string_equal(line, "waits for approval");
    node.state = text("member");
    assert_true(power_is_back(&before, &now, &node, line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_it_costs),
        cmocka_unit_test(test_hostile_name),
        cmocka_unit_test(test_is_back_by_a_later_boot_alone),
        cmocka_unit_test(test_is_back_under_another_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

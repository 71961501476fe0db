#include "base/test.h"
#include "coordinator/place/group.h"
#include "coordinator/place/place_fixture.h"

enum { RANDOM_COUNT = 3000, MEMBERS_MAX = 4, BONDS_MAX = 4, STEPS = 100000 };

struct question {
    struct place_fix fixes[MEMBERS_MAX]; /* the first has the cluster */
    struct coord_place_member members[MEMBERS_MAX];
    struct coord_place_bond bonds[BONDS_MAX];
    struct coord_place_question question;
};

static void make(struct question *out, uint64_t seed)
{
    struct place_fix_random random = {seed * 77};
    uint32_t node_count;

    memset(out, 0, sizeof(*out));
    do {
        place_fix_make(&out->fixes[0], random.state++);
        node_count = out->fixes[0].cluster.node_count;
    } while (node_count > 5);
    out->question.member_count = 1 + place_fix_below(&random, MEMBERS_MAX);
    for (uint32_t i = 0; i < out->question.member_count; i++) {
        if (i > 0) {
            do {
                place_fix_make(&out->fixes[i], random.state++);
            } while (out->fixes[i].cluster.node_count != node_count);
        }
        out->members[i].request = out->fixes[i].request;
        out->members[i].request.home = COORD_PLACE_NOWHERE;
        out->members[i].request.architecture = 0;
        out->members[i].request.relation_count %= 2;
        out->members[i].priority = place_fix_below(&random, 2);
    }
    out->question.members = out->members;
    out->question.bonds = out->bonds;
    out->question.bond_count =
        out->question.member_count < 2 ? 0 : place_fix_below(&random, BONDS_MAX + 1);
    for (uint32_t i = 0; i < out->question.bond_count; i++) {
        uint32_t a = place_fix_below(&random, out->question.member_count);

        out->bonds[i] = (struct coord_place_bond){
            .a = a,
            .b = (a + 1) % out->question.member_count,
            .is_together = place_fix_below(&random, 3) == 0,
            .is_for_domain = place_fix_below(&random, 2) == 0,
            .is_required = place_fix_below(&random, 2) == 0,
        };
    }
    out->question.steps_max = STEPS;
}

static bool keeps_bond(const struct coord_place_cluster *cluster,
                       const struct coord_place_bond *bond, const uint32_t *places)
{
    uint32_t a = places[bond->a];
    uint32_t b = places[bond->b];
    bool is_same;

    if (!bond->is_required || a == COORD_PLACE_NOWHERE || b == COORD_PLACE_NOWHERE) {
        return true;
    }
    is_same = bond->is_for_domain ? cluster->nodes[a].domain == cluster->nodes[b].domain : a == b;
    return is_same == bond->is_together;
}

/* Whether the cluster keeps its rules with all of them where `places` says. */
static bool is_possible(const struct question *q, const uint32_t *places)
{
    struct coord_place_node nodes[PLACE_FIX_NODES_MAX];
    struct coord_place_cluster cluster = {nodes, q->fixes[0].cluster.node_count};

    memcpy(nodes, q->fixes[0].nodes, sizeof(nodes));
    for (uint32_t i = 0; i < q->question.member_count; i++) {
        const struct coord_place_request *request = &q->members[i].request;

        if (places[i] == COORD_PLACE_NOWHERE) {
            continue;
        }
        if (!place_fix_is_possible(&cluster, request, places[i])) {
            return false;
        }
        for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
            nodes[places[i]].used.of[r] += request->needs.of[r];
        }
        for (uint32_t v = 0; v < request->volume_count; v++) {
            if (request->volumes[v].node != places[i]) {
                nodes[places[i]].used.of[COORD_PLACE_DISK] += request->volumes[v].size_mib;
            }
        }
    }
    for (uint32_t i = 0; i < q->question.bond_count; i++) {
        if (!keeps_bond(&cluster, &q->bonds[i], places)) {
            return false;
        }
    }
    return true;
}

/* By trying every assignment. */
static bool has_solution(const struct question *q)
{
    uint32_t node_count = q->fixes[0].cluster.node_count;
    uint32_t places[MEMBERS_MAX] = {0};

    for (;;) {
        uint32_t at = 0;

        if (is_possible(q, places)) {
            return true;
        }
        while (at < q->question.member_count && ++places[at] == node_count) {
            places[at++] = 0;
        }
        if (at == q->question.member_count) {
            return false;
        }
    }
}

static struct coord_place_group *make_group(void)
{
    struct coord_place_group *group;

    assert_int_equal(coord_place_group_create(PLACE_FIX_NODES_MAX, &group, NULL), RAY_OK);
    return group;
}

static void test_as_the_solver_says(void **state)
{
    struct coord_place_group *group = make_group();
    uint32_t solved = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_COUNT; seed++) {
        struct coord_place_group_answer answer;
        uint32_t places[MEMBERS_MAX];
        struct question q;
        bool is_there;

        make(&q, seed);
        assert_int_equal(
            coord_place_group_find(group, &q.fixes[0].cluster, &q.question, places, &answer, NULL),
            RAY_OK);
        is_there = has_solution(&q);
        assert_int_equal(answer.first_failed == COORD_PLACE_NOWHERE, is_there);
        assert_int_equal(answer.is_proven, !is_there);
        assert_true(is_possible(&q, places));
        solved += is_there;
    }
    assert_in_range(solved, RANDOM_COUNT / 10, RANDOM_COUNT - RANDOM_COUNT / 10);
    coord_place_group_destroy(group);
}

/* Best first is a dead end here: the large one fits one node only, which the small one likes
 * better and has the right to choose before it. */
static void test_takes_choices_back(void **state)
{
    struct coord_place_group *group = make_group();
    struct coord_place_group_answer answer;
    struct coord_place_member members[2];
    uint32_t places[2];
    struct place_fix fix;
    struct coord_place_question question = {.members = members, .member_count = 2};

    (void)state;
    place_fix_plain(&fix, 2);
    fix.nodes[0].total.of[COORD_PLACE_MEMORY] = 2048;
    members[0] = (struct coord_place_member){.request = fix.request, .priority = 1};
    members[1] = (struct coord_place_member){.request = fix.request};
    members[1].request.needs.of[COORD_PLACE_MEMORY] = 16384;
    question.steps_max = 10;
    assert_int_equal(coord_place_group_find(group, &fix.cluster, &question, places, &answer, NULL),
                     RAY_OK);
    assert_int_equal(answer.placed_count, 2);
    assert_int_equal(places[0], 0);
    assert_int_equal(places[1], 1);

    /* With too few steps it says so, and places the one that goes first. */
    question.steps_max = 0;
    assert_int_equal(coord_place_group_find(group, &fix.cluster, &question, places, &answer, NULL),
                     RAY_OK);
    assert_int_equal(answer.placed_count, 1);
    assert_int_equal(answer.first_failed, 1);
    assert_false(answer.is_proven);
    assert_int_equal(places[1], COORD_PLACE_NOWHERE);
    coord_place_group_destroy(group);
}

static void test_out_of_range(void **state)
{
    struct coord_place_group *group = make_group();
    struct coord_place_group_answer answer;
    struct coord_place_bond bond = {.a = 0, .b = 0};
    struct coord_place_member member;
    uint32_t places[1];
    struct place_fix fix;
    struct coord_place_question question = {.members = &member, .member_count = 1};

    (void)state;
    place_fix_plain(&fix, 2);
    member = (struct coord_place_member){.request = fix.request};
    question.bonds = &bond;
    question.bond_count = 1;
    assert_int_equal(coord_place_group_find(group, &fix.cluster, &question, places, &answer, NULL),
                     RAY_EINVAL);
    question.bond_count = 0;
    member.request.home = 9;
    assert_int_equal(coord_place_group_find(group, &fix.cluster, &question, places, &answer, NULL),
                     RAY_EINVAL);
    fix.cluster.node_count = PLACE_FIX_NODES_MAX + 1;
    assert_int_equal(coord_place_group_find(group, &fix.cluster, &question, places, &answer, NULL),
                     RAY_EINVAL);
    assert_int_equal(coord_place_group_create(0, &group, NULL), RAY_EINVAL);
    coord_place_group_destroy(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_solver_says),
        cmocka_unit_test(test_takes_choices_back),
        cmocka_unit_test(test_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

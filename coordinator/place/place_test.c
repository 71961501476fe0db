#include "base/test.h"
#include "coordinator/place/place.h"
#include "coordinator/place/place_fixture.h"

enum { RANDOM_COUNT = 20000 };

static struct coord_place *make(void)
{
    struct coord_place *place;

    assert_int_equal(coord_place_create(PLACE_FIX_NODES_MAX, &place, NULL), RAY_OK);
    return place;
}

static struct coord_place_answer find(struct coord_place *place, const struct place_fix *fix)
{
    struct coord_place_answer answer;

    assert_int_equal(coord_place_find(place, &fix->cluster, &fix->request, &answer, NULL), RAY_OK);
    return answer;
}

/* By trying every node. */
static uint32_t solve(const struct place_fix *fix, uint32_t except)
{
    uint32_t best = COORD_PLACE_NOWHERE;
    int32_t best_score = 0;

    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        if (i != except && place_fix_is_possible(&fix->cluster, &fix->request, i)) {
            int32_t score = place_fix_score(&fix->cluster, &fix->request, i);

            if (best == COORD_PLACE_NOWHERE || score > best_score) {
                best = i;
                best_score = score;
            }
        }
    }
    return best;
}

/* Those that alone keep the guest from a node. */
static void count_barriers(const struct place_fix *fix, const struct coord_place_answer *answer,
                           uint32_t met[static COORD_PLACE_BARRIER_COUNT])
{
    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        for (int barrier = 0; barrier < COORD_PLACE_BARRIER_COUNT; barrier++) {
            met[barrier] += answer->verdicts[i].barriers == 1U << barrier;
        }
    }
}

static void test_as_the_solver_says(void **state)
{
    struct coord_place *place = make();
    uint32_t met[COORD_PLACE_BARRIER_COUNT] = {0};
    uint32_t placed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_COUNT; seed++) {
        struct place_fix fix;
        struct coord_place_answer answer;

        place_fix_make(&fix, seed);
        answer = find(place, &fix);
        count_barriers(&fix, &answer, met);
        assert_int_equal(answer.best, solve(&fix, COORD_PLACE_NOWHERE));
        if (answer.best != COORD_PLACE_NOWHERE) {
            placed++;
            assert_int_equal(answer.second, solve(&fix, answer.best));
            assert_int_equal(answer.verdicts[answer.best].score,
                             place_fix_score(&fix.cluster, &fix.request, answer.best));
        }
    }
    /* The generator makes both kinds, and each barrier stands alone between a guest and a node. */
    assert_in_range(placed, RANDOM_COUNT / 4, RANDOM_COUNT - RANDOM_COUNT / 20);
    for (int i = 0; i < COORD_PLACE_BARRIER_COUNT; i++) {
        assert_true(met[i] >= RANDOM_COUNT / 200);
    }
    coord_place_destroy(place);
}

/* ---- the order in which things are told ---- */

static void shuffle(uint32_t *order, uint32_t count, struct place_fix_random *random)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = place_fix_below(random, i + 1);

        order[i] = order[j];
        order[j] = i;
    }
}

static uint32_t moved(const uint32_t *order, uint32_t index)
{
    return index == COORD_PLACE_NOWHERE ? index : order[index];
}

/* The same cluster and guest: nodes and domains have other numbers, relations and volumes come the
 * other way round. */
static void tell_otherwise(const struct place_fix *fix, const uint32_t *nodes,
                           const uint32_t *domains, struct place_fix *out)
{
    *out = *fix;
    out->cluster.nodes = out->nodes;
    out->request.relations = out->relations;
    out->request.volumes = out->volumes;
    out->request.denied_by = fix->request.denied_by == NULL ? NULL : out->denied_by;
    out->request.lacks = fix->request.lacks == NULL ? NULL : out->lacks;
    out->request.home = moved(nodes, fix->request.home);
    out->request.domain = moved(domains, fix->request.domain);
    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        out->nodes[nodes[i]] = fix->nodes[i];
        out->nodes[nodes[i]].domain = domains[fix->nodes[i].domain];
        out->denied_by[nodes[i]] = fix->denied_by[i];
        out->lacks[nodes[i]] = fix->lacks[i];
    }
    for (uint32_t i = 0; i < fix->request.relation_count; i++) {
        uint32_t to = fix->request.relation_count - 1 - i;

        out->relations[to] = fix->relations[i];
        out->relations[to].node = moved(nodes, fix->relations[i].node);
    }
    for (uint32_t i = 0; i < fix->request.volume_count; i++) {
        uint32_t to = fix->request.volume_count - 1 - i;

        out->volumes[to] = fix->volumes[i];
        out->volumes[to].node = moved(nodes, fix->volumes[i].node);
    }
}

static void check_same(const struct place_fix *fix, const struct coord_place_answer *one,
                       const struct coord_place_answer *other, const uint32_t *nodes)
{
    assert_int_equal(one->best == COORD_PLACE_NOWHERE, other->best == COORD_PLACE_NOWHERE);
    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        const struct coord_place_verdict *here = &one->verdicts[i];
        const struct coord_place_verdict *there = &other->verdicts[nodes[i]];

        assert_int_equal(here->barriers, there->barriers);
        if (here->barriers == 0) {
            assert_int_equal(here->score, there->score);
            assert_memory_equal(here->terms, there->terms, sizeof here->terms);
        }
    }
    if (one->best != COORD_PLACE_NOWHERE) {
        assert_int_equal(one->verdicts[one->best].score, other->verdicts[other->best].score);
    }
}

static void test_the_order_does_not_matter(void **state)
{
    struct coord_place *place = make();
    struct coord_place *second = make();

    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_COUNT / 2; seed++) {
        struct place_fix_random random = {~seed};
        uint32_t nodes[PLACE_FIX_NODES_MAX] = {0};
        uint32_t domains[PLACE_FIX_NODES_MAX] = {0};
        struct coord_place_answer one;
        struct coord_place_answer other;
        struct place_fix otherwise;
        struct place_fix fix;

        place_fix_make(&fix, seed);
        shuffle(nodes, fix.cluster.node_count, &random);
        shuffle(domains, fix.cluster.node_count, &random);
        tell_otherwise(&fix, nodes, domains, &otherwise);
        one = find(place, &fix);
        other = find(second, &otherwise);
        check_same(&fix, &one, &other, nodes);
    }
    coord_place_destroy(second);
    coord_place_destroy(place);
}

/* Carries the change out, in the cluster or the request. */
static void carry_out(struct place_fix *fix, uint32_t node, const struct coord_place_change *change)
{
    struct coord_place_node *at = &fix->nodes[node];

    switch (change->barrier) {
    case COORD_PLACE_BARRIER_STANDING:
        at->standing = COORD_PLACE_STANDS;
        break;
    case COORD_PLACE_BARRIER_ARCHITECTURE:
        at->architecture = fix->request.architecture;
        break;
    case COORD_PLACE_BARRIER_CPU_LEVEL:
        at->cpu_level = (uint16_t)change->lacking;
        break;
    case COORD_PLACE_BARRIER_CPU:
    case COORD_PLACE_BARRIER_MEMORY:
    case COORD_PLACE_BARRIER_DISK: {
        int r = (int)(change->barrier - COORD_PLACE_BARRIER_CPU);

        /* More free means below what is used, when more is used than there is. */
        if (at->used.of[r] > at->total.of[r]) {
            at->total.of[r] = at->used.of[r];
        }
        at->total.of[r] += change->lacking;
        break;
    }
    case COORD_PLACE_BARRIER_POLICY:
        assert_int_equal(fix->denied_by[node], change->rule);
        fix->denied_by[node] = 0;
        break;
    case COORD_PLACE_BARRIER_APART:
    case COORD_PLACE_BARRIER_TOGETHER:
        assert_true(change->count > 0);
        for (uint32_t i = 0; i < fix->request.relation_count; i++) {
            fix->relations[i].is_required &=
                fix->relations[i].is_together != (change->barrier == COORD_PLACE_BARRIER_TOGETHER);
        }
        break;
    case COORD_PLACE_BARRIER_VOLUMES:
        assert_true(change->count > 0);
        for (uint32_t i = 0; i < fix->request.volume_count; i++) {
            fix->volumes[i].can_move = true;
        }
        break;
    case COORD_PLACE_BARRIER_DOMAIN:
        fix->request.has_domain = false;
        break;
    case COORD_PLACE_BARRIER_LABELS:
        assert_int_equal(fix->lacks[node], change->count);
        fix->lacks[node] = 0;
        break;
    case COORD_PLACE_BARRIER_COUNT:
        fail();
    }
}

/* What is said to be enough is enough, and each part of it is needed. */
static void test_changes_are_enough_and_needed(void **state)
{
    struct coord_place *place = make();
    uint32_t rejected = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_COUNT / 4; seed++) {
        struct coord_place_change changes[COORD_PLACE_BARRIER_COUNT];
        struct place_fix fix;
        uint32_t node;
        size_t count;

        place_fix_make(&fix, seed);
        node = (uint32_t)(seed % fix.cluster.node_count);
        (void)find(place, &fix);
        count = coord_place_changes(place, &fix.cluster, &fix.request, node, changes);
        assert_int_equal(count == 0, place_fix_is_possible(&fix.cluster, &fix.request, node));
        for (size_t i = 0; i < count; i++) {
            assert_int_not_equal(find(place, &fix).verdicts[node].barriers, 0);
            carry_out(&fix, node, &changes[i]);
        }
        assert_int_equal(find(place, &fix).verdicts[node].barriers, 0);
        rejected += count > 0;
    }
    assert_true(rejected > RANDOM_COUNT / 20);
    coord_place_destroy(place);
}

/* A resource that lacks n lacks nothing with n more, and still lacks with n - 1. */
static void test_lacking_is_exact(void **state)
{
    struct coord_place_change changes[COORD_PLACE_BARRIER_COUNT];
    struct coord_place *place = make();
    struct place_fix fix;

    (void)state;
    place_fix_plain(&fix, 1);
    fix.request.needs.of[COORD_PLACE_MEMORY] = 20000;
    (void)find(place, &fix);
    assert_int_equal(coord_place_changes(place, &fix.cluster, &fix.request, 0, changes), 1);
    assert_int_equal(changes[0].lacking, 20000 - 16384);
    fix.nodes[0].total.of[COORD_PLACE_MEMORY] += changes[0].lacking - 1;
    assert_int_equal(find(place, &fix).best, COORD_PLACE_NOWHERE);
    fix.nodes[0].total.of[COORD_PLACE_MEMORY]++;
    assert_int_equal(find(place, &fix).best, 0);
    coord_place_destroy(place);
}

static void test_equal_goes_to_the_first(void **state)
{
    struct coord_place *place = make();
    struct place_fix fix;

    (void)state;
    place_fix_plain(&fix, 5);
    assert_int_equal(find(place, &fix).best, 0);
    assert_int_equal(find(place, &fix).second, 1);
    fix.nodes[0].failures = 1;
    assert_int_equal(find(place, &fix).best, 1);
    coord_place_destroy(place);
}

static void test_home_is_not_left_for_little(void **state)
{
    struct coord_place *place = make();
    struct place_fix fix;

    (void)state;
    place_fix_plain(&fix, 2);
    fix.request.home = 1;
    fix.nodes[1].used = (struct coord_place_amount){{1500, 2048, 0}};
    assert_int_equal(find(place, &fix).best, 1);
    fix.nodes[1].used = (struct coord_place_amount){{6000, 14000, 0}};
    assert_int_equal(find(place, &fix).best, 0);
    coord_place_destroy(place);
}

static void expect_invalid(struct coord_place *place, const struct place_fix *fix)
{
    struct coord_place_answer answer;
    struct ray_err err = {0};

    assert_int_equal(coord_place_find(place, &fix->cluster, &fix->request, &answer, &err),
                     RAY_EINVAL);
    assert_string_not_equal(err.text, "");
}

static void test_out_of_range(void **state)
{
    struct coord_place *place = make();
    struct coord_place *other;
    struct place_fix fix;

    (void)state;
    assert_int_equal(coord_place_create(0, &other, NULL), RAY_EINVAL);
    assert_int_equal(coord_place_create(COORD_PLACE_NODES_MAX + 1, &other, NULL), RAY_EINVAL);
    place_fix_plain(&fix, 3);
    fix.request.home = 3;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.request.needs.of[COORD_PLACE_CPU] = COORD_PLACE_AMOUNT_MAX + 1;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.nodes[2].domain = 3;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.nodes[1].used.of[COORD_PLACE_DISK] = UINT64_MAX;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.request.relation_count = 1;
    fix.relations[0].node = COORD_PLACE_NOWHERE;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.request.volume_count = COORD_PLACE_VOLUMES_MAX + 1;
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.request.volume_count = 1;
    fix.volumes[0] = (struct coord_place_volume){.node = 7};
    expect_invalid(place, &fix);
    place_fix_plain(&fix, 3);
    fix.cluster.node_count = PLACE_FIX_NODES_MAX + 1;
    expect_invalid(place, &fix);
    coord_place_destroy(place);
}

static void test_nobody_and_nothing(void **state)
{
    struct coord_place *place = make();
    struct place_fix fix;

    (void)state;
    place_fix_plain(&fix, 0);
    assert_int_equal(find(place, &fix).best, COORD_PLACE_NOWHERE);
    place_fix_plain(&fix, 1);
    fix.nodes[0].total = (struct coord_place_amount){{0}};
    fix.request.needs = (struct coord_place_amount){{0}};
    assert_int_equal(find(place, &fix).best, 0);
    assert_int_equal(find(place, &fix).second, COORD_PLACE_NOWHERE);
    coord_place_destroy(place);
}

static void test_every_barrier_has_its_sentence(void **state)
{
    char text[COORD_PLACE_TEXT_SIZE];
    struct place_fix fix;

    (void)state;
    place_fix_plain(&fix, 1);
    for (int i = 0; i < COORD_PLACE_BARRIER_COUNT; i++) {
        struct coord_place_change change = {
            .barrier = (enum coord_place_barrier)i,
            .lacking = 1500,
            .count = 1,
        };

        assert_string_not_equal(coord_place_change_text(&change, &fix.cluster, 0, text), "");
        assert_string_not_equal(coord_place_barrier_name(change.barrier), "");
    }
    for (int i = 0; i < COORD_PLACE_TERM_COUNT; i++) {
        assert_string_not_equal(coord_place_term_name((enum coord_place_term)i), "");
    }
    for (int i = 0; i < COORD_PLACE_STANDING_COUNT; i++) {
        assert_string_not_equal(coord_place_standing_text((enum coord_place_standing)i), "");
    }
    assert_string_equal(
        coord_place_change_text(
            &(struct coord_place_change){.barrier = COORD_PLACE_BARRIER_CPU, .lacking = 1500},
            &fix.cluster, 0, text),
        "needs 1.500 more free CPUs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_solver_says),
        cmocka_unit_test(test_the_order_does_not_matter),
        cmocka_unit_test(test_changes_are_enough_and_needed),
        cmocka_unit_test(test_lacking_is_exact),
        cmocka_unit_test(test_equal_goes_to_the_first),
        cmocka_unit_test(test_home_is_not_left_for_little),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_nobody_and_nothing),
        cmocka_unit_test(test_every_barrier_has_its_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

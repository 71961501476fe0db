#include "base/test.h"
#include "coordinator/lease/agent.h"

static const struct ray_id node = {{1}};
static const struct ray_id incarnation = {{2}};
static const struct ray_id guest_a = {{10}};
static const struct ray_id guest_b = {{11}};

struct fixture {
    struct ray_grant_page *page;
    struct coord_lease_agent agent;
};

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->page = aligned_alloc(64, RAY_GRANT_PAGE_SIZE);
    assert_non_null(f->page);
    ray_grant_page_init(f->page);
    coord_lease_agent_init(&f->agent, f->page, &node, &incarnation, 1, 50);
    return f;
}

static void end(struct fixture *f)
{
    free(f->page);
    free(f);
}

static struct coord_lease_pair pair_of(const struct ray_id *id, uint64_t index)
{
    return (struct coord_lease_pair){
        .id = *id, .epoch = {1, index}, .origin = RAY_EPOCH_CREATED, .kind = COORD_LEASE_GUEST};
}

static struct coord_lease_answer answer_of(uint64_t t_send_ns, const struct coord_lease_pair *pairs,
                                           size_t count)
{
    return (struct coord_lease_answer){.node = node,
                                       .incarnation = incarnation,
                                       .status = COORD_LEASE_GRANTED,
                                       .cluster_epoch = 1,
                                       .t_send_ns = t_send_ns,
                                       .grant_ns = 300,
                                       .hash = coord_lease_hash_of(pairs, count),
                                       .pairs = pairs,
                                       .pair_count = count};
}

static struct coord_lease_renew renew(struct fixture *f, uint64_t now_ns)
{
    struct coord_lease_renew message;

    coord_lease_agent_renew(&f->agent, now_ns, &message);
    return message;
}

static int take(struct fixture *f, uint64_t now_ns, struct coord_lease_answer answer)
{
    return coord_lease_agent_answer(&f->agent, now_ns, &answer, NULL);
}

static bool is_alive(const struct fixture *f, const struct ray_id *id, uint64_t index,
                     uint64_t now_ns)
{
    return coord_lease_agent_is_alive(&f->agent, now_ns, id, (struct ray_epoch){1, index}, NULL);
}

static void test_deadline_is_t_send_plus_t(void **state)
{
    const struct coord_lease_pair pairs[] = {pair_of(&guest_a, 5), pair_of(&guest_b, 6)};
    struct fixture *f = begin();
    struct coord_lease_renew message;

    (void)state;
    message = renew(f, 1000);
    assert_int_equal(message.t_send_ns, 1000);
    assert_int_equal(coord_lease_agent_renew_at(&f->agent), 1050);
    assert_int_equal(take(f, 1200, answer_of(1000, pairs, 2)), RAY_OK);
    assert_true(is_alive(f, &guest_a, 5, 1299) && is_alive(f, &guest_b, 6, 1299));
    assert_false(is_alive(f, &guest_a, 5, 1300));
    assert_false(is_alive(f, &guest_a, 6, 1299));
    /* Only pairs of the newest list move. */
    (void)renew(f, 1100);
    assert_int_equal(take(f, 1200, answer_of(1100, pairs, 1)), RAY_OK);
    assert_true(is_alive(f, &guest_a, 5, 1399));
    assert_false(is_alive(f, &guest_b, 6, 1399));
    end(f);
}

static void test_what_does_not_count(void **state)
{
    const struct coord_lease_pair pairs[] = {pair_of(&guest_a, 5), pair_of(&guest_b, 6)};
    struct fixture *f = begin();
    struct coord_lease_answer answer;

    (void)state;
    (void)renew(f, 1000);
    (void)renew(f, 1100);
    assert_int_equal(take(f, 1200, answer_of(1200, pairs, 1)), RAY_EMALFORMED); /* not sent */
    answer = answer_of(1100, pairs, 1);
    answer.incarnation.bytes[0]++;
    assert_int_equal(take(f, 1200, answer), RAY_EMALFORMED);
    answer = answer_of(1100, pairs, 1);
    answer.cluster_epoch = 2;
    assert_int_equal(take(f, 1200, answer), RAY_ECONFLICT);
    answer = answer_of(1100, pairs, 1);
    answer.hash.bytes[3] ^= 1;
    assert_int_equal(take(f, 1200, answer), RAY_EMALFORMED);
    answer = answer_of(1100, pairs, 1);
    answer.grant_ns = COORD_LEASE_TIME_MAX_NS + 1;
    assert_int_equal(take(f, 1200, answer), RAY_EMALFORMED);
    assert_false(is_alive(f, &guest_a, 5, 1001));
    assert_int_equal(take(f, 1200, answer_of(1100, pairs, 1)), RAY_OK);
    assert_int_equal(take(f, 1200, answer_of(1000, pairs, 2)), RAY_ECONFLICT); /* overtaken */
    assert_false(is_alive(f, &guest_b, 6, 1001));
    end(f);
}

static void test_unchanged_is_of_one_list(void **state)
{
    const struct coord_lease_pair old = pair_of(&guest_a, 5);
    const struct coord_lease_pair new = pair_of(&guest_a, 9);
    struct fixture *f = begin();
    struct coord_lease_answer unchanged;
    struct coord_lease_renew message;

    (void)state;
    (void)renew(f, 1000);
    unchanged = answer_of(1000, NULL, 0);
    unchanged.is_unchanged = true;
    assert_int_equal(take(f, 1000, unchanged), RAY_ECONFLICT); /* there is no list */
    assert_int_equal(take(f, 1000, answer_of(1000, &old, 1)), RAY_OK);
    message = renew(f, 1100);
    unchanged.hash = message.hash;
    unchanged.t_send_ns = 1100;
    assert_int_equal(take(f, 1100, answer_of(1100, &new, 1)), RAY_OK);
    assert_int_equal(take(f, 1100, unchanged), RAY_ECONFLICT); /* of the list before */
    message = renew(f, 1200);
    unchanged.hash = message.hash;
    unchanged.t_send_ns = 1200;
    assert_int_equal(take(f, 1200, unchanged), RAY_OK);
    assert_true(is_alive(f, &guest_a, 9, 1499));
    end(f);
}

static void test_refused_for_good(void **state)
{
    const struct coord_lease_pair pair = pair_of(&guest_a, 5);
    struct fixture *f = begin();
    struct coord_lease_answer refusal = answer_of(1100, NULL, 0);

    (void)state;
    (void)renew(f, 1000);
    assert_int_equal(take(f, 1000, answer_of(1000, &pair, 1)), RAY_OK);
    (void)renew(f, 1100);
    refusal.status = COORD_LEASE_DUPLICATE;
    assert_int_equal(take(f, 1100, refusal), RAY_EDENIED);
    assert_false(is_alive(f, &guest_a, 5, 1101));
    assert_true(coord_lease_agent_renew_at(&f->agent) == UINT64_MAX);
    end(f);
}

static void test_drop(void **state)
{
    const struct coord_lease_pair pair = pair_of(&guest_a, 5);
    struct fixture *f = begin();

    (void)state;
    (void)renew(f, 1000);
    (void)renew(f, 1010);
    assert_int_equal(take(f, 1010, answer_of(1000, &pair, 1)), RAY_OK);
    coord_lease_agent_set_cluster_epoch(&f->agent, 1020, 1);
    assert_true(is_alive(f, &guest_a, 5, 1021)); /* no change at all */
    coord_lease_agent_drop(&f->agent, 1020);
    assert_false(is_alive(f, &guest_a, 5, 1021));
    assert_int_equal(coord_lease_agent_renew_at(&f->agent), 1020);
    assert_int_equal(take(f, 1030, answer_of(1010, &pair, 1)), RAY_ECONFLICT);
    (void)renew(f, 1040);
    assert_int_equal(take(f, 1050, answer_of(1040, &pair, 1)), RAY_OK);
    assert_true(is_alive(f, &guest_a, 5, 1051));
    coord_lease_agent_set_cluster_epoch(&f->agent, 1060, 2);
    assert_false(is_alive(f, &guest_a, 5, 1061));
    assert_null(coord_lease_agent_pair(&f->agent, &guest_a));
    end(f);
}

static void test_clock_that_stood_still(void **state)
{
    const uint64_t second = UINT64_C(1000000000);
    const struct coord_lease_pair pair = pair_of(&guest_a, 5);
    struct fixture *f = begin();

    (void)state;
    (void)renew(f, second);
    assert_int_equal(take(f, second, answer_of(second, &pair, 1)), RAY_OK);
    assert_false(coord_lease_agent_check_clock(&f->agent, second, 50 * second));
    assert_false(coord_lease_agent_check_clock(&f->agent, second + 1, 53 * second));
    assert_true(is_alive(f, &guest_a, 5, second + 1));
    assert_true(coord_lease_agent_check_clock(&f->agent, second + 2, 53 * second));
    assert_false(is_alive(f, &guest_a, 5, second + 2));
    end(f);
}

static void test_slots_live_until_reaped(void **state)
{
    const struct coord_lease_pair pair = pair_of(&guest_a, 5);
    const struct coord_lease_pair other = pair_of(&guest_b, 6);
    struct fixture *f = begin();
    size_t slot = 999;
    size_t other_slot = 999;

    (void)state;
    (void)renew(f, 1000);
    assert_int_equal(take(f, 1000, answer_of(1000, &pair, 1)), RAY_OK);
    assert_int_equal(coord_lease_agent_hold(&f->agent, &guest_a, &slot, NULL), RAY_OK);
    (void)renew(f, 1100);
    assert_int_equal(take(f, 1100, answer_of(1100, &other, 1)), RAY_OK);
    assert_true(coord_lease_agent_is_alive(&f->agent, 1100, &guest_b, other.epoch, &other_slot));
    assert_true(slot != other_slot);
    assert_true(is_alive(f, &guest_a, 5, 1299)); /* runs out by itself */
    coord_lease_agent_reaped(&f->agent, &guest_a);
    assert_false(is_alive(f, &guest_a, 5, 1299));
    /* A new process finds what the old one left. */
    coord_lease_agent_init(&f->agent, f->page, &node, &incarnation, 1, 50);
    assert_true(is_alive(f, &guest_b, 6, 1399));
    end(f);
}

static void test_a_full_page(void **state)
{
    struct coord_lease_pair *pairs = calloc(COORD_LEASE_PAIRS_MAX, sizeof *pairs);
    struct fixture *f = begin();
    size_t slot;

    (void)state;
    assert_non_null(pairs);
    for (size_t i = 0; i < COORD_LEASE_PAIRS_MAX; i++) {
        pairs[i] = pair_of(&guest_a, 5);
        pairs[i].id.bytes[1] = (uint8_t)(i >> 8);
        pairs[i].id.bytes[2] = (uint8_t)i;
    }
    (void)renew(f, 1000);
    assert_int_equal(take(f, 1000, answer_of(1000, pairs, COORD_LEASE_PAIRS_MAX)), RAY_OK);
    for (size_t i = 0; i < COORD_LEASE_PAIRS_MAX; i++) {
        assert_true(is_alive(f, &pairs[i].id, 5, 1299));
    }
    assert_int_equal(coord_lease_agent_hold(&f->agent, &guest_b, &slot, NULL), RAY_EUNAVAILABLE);
    assert_int_equal(coord_lease_agent_hold(&f->agent, &pairs[7].id, &slot, NULL), RAY_OK);
    free(pairs);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline_is_t_send_plus_t),
        cmocka_unit_test(test_what_does_not_count),
        cmocka_unit_test(test_unchanged_is_of_one_list),
        cmocka_unit_test(test_refused_for_good),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_clock_that_stood_still),
        cmocka_unit_test(test_slots_live_until_reaped),
        cmocka_unit_test(test_a_full_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

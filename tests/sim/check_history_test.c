/* Linearizability by search and by witness: textbook histories, and random ones of a correct
 * register, broken in one place. The search is held against trying all orders. */
#include "base/test.h"
#include "tests/sim/check_linear.h"
#include "tests/sim/check_witness.h"
#include "tests/sim/mem.h"
#include "tests/sim/rng.h"

static void add(struct sim_history *history, struct sim_op op)
{
    size_t at = sim_history_call(history, &op);

    history->ops[at] = op;
    history->ops[at].sequence = at + 1;
}

static struct sim_op write_op(uint64_t value, uint64_t call_ns, uint64_t return_ns)
{
    return (struct sim_op){.kind = SIM_OP_WRITE,
                           .value = value,
                           .is_known = true,
                           .call_ns = call_ns,
                           .return_ns = return_ns};
}

static struct sim_op read_op(uint64_t value, uint64_t call_ns, uint64_t return_ns)
{
    return (struct sim_op){.kind = SIM_OP_READ,
                           .value = value,
                           .is_known = true,
                           .call_ns = call_ns,
                           .return_ns = return_ns};
}

static struct sim_op swap_op(uint64_t expected, uint64_t value, bool has_failed, uint64_t call_ns,
                             uint64_t return_ns)
{
    return (struct sim_op){.kind = SIM_OP_SWAP,
                           .expected = expected,
                           .value = value,
                           .has_failed = has_failed,
                           .is_known = true,
                           .call_ns = call_ns,
                           .return_ns = return_ns};
}

static bool is_linear(const struct sim_history *history)
{
    struct sim_verdict verdict = {0};

    assert_true(sim_check_linear(history, SIM_LINEAR_STEPS_MAX, &verdict));
    assert_true(!verdict.is_bad || verdict.checker == SIM_CHECK_LINEAR);
    return !verdict.is_bad;
}

static void test_textbook(void **state)
{
    struct sim_history history = {0};

    (void)state;
    assert_true(is_linear(&history));
    add(&history, write_op(1, 10, 20));
    add(&history, read_op(1, 30, 40));
    add(&history, read_op(0, 15, 25)); /* overlaps the write */
    assert_true(is_linear(&history));
    add(&history, read_op(0, 30, 50)); /* stale */
    assert_false(is_linear(&history));
    history.ops[3].key = 1; /* another register is still 0 */
    assert_true(is_linear(&history));
    sim_history_fini(&history);
}

/* Two reads that see an overlapping write in the wrong order. */
static void test_new_old(void **state)
{
    struct sim_history history = {0};

    (void)state;
    add(&history, write_op(1, 10, 100));
    add(&history, read_op(1, 20, 30));
    add(&history, read_op(0, 40, 50));
    assert_false(is_linear(&history));
    history.ops[1].value = 0;
    history.ops[2].value = 1;
    assert_true(is_linear(&history));
    sim_history_fini(&history);
}

static void test_swap(void **state)
{
    struct sim_history history = {0};

    (void)state;
    add(&history, swap_op(0, 1, false, 10, 20));
    add(&history, swap_op(0, 2, false, 30, 40)); /* both cannot win */
    assert_false(is_linear(&history));
    history.ops[1].has_failed = true;
    assert_true(is_linear(&history));
    sim_history_fini(&history);
}

/* An unanswered write may have run, or run much later, or never. */
static void test_unknown(void **state)
{
    struct sim_history history = {0};

    (void)state;
    add(&history, write_op(5, 10, 20));
    history.ops[0].is_known = false;
    add(&history, read_op(0, 30, 40));
    add(&history, read_op(5, 50, 60));
    assert_true(is_linear(&history));
    add(&history, read_op(0, 70, 80)); /* but it does not run back */
    assert_false(is_linear(&history));
    sim_history_fini(&history);
}

/* ---- random histories ---- */

struct draw {
    struct sim_rng *rng;
    struct sim_witness *witness; /* NULL: none */
    uint64_t state;
    uint64_t now_ns;
    uint64_t index;
};

/* One operation that takes effect at a time within it; the times of effect go up. */
static void draw_op(struct draw *draw, struct sim_history *history)
{
    struct sim_op op = {.kind = (enum sim_op_kind)sim_rng_below(draw->rng, 3),
                        .client = (uint32_t)history->count,
                        .value = sim_rng_between(draw->rng, 1, 3),
                        .expected = sim_rng_between(draw->rng, 0, 3),
                        .is_known = true};

    draw->now_ns += sim_rng_between(draw->rng, 1, 10);
    op.call_ns = draw->now_ns - sim_rng_below(draw->rng, draw->now_ns < 30 ? draw->now_ns : 30);
    op.return_ns = draw->now_ns + sim_rng_below(draw->rng, 30);
    op.has_failed = draw->state != op.expected;
    if (op.kind == SIM_OP_READ) {
        op.value = draw->state;
        op.index = draw->index;
    } else {
        (void)sim_op_step(&op, &draw->state);
        op.index = ++draw->index;
        op.sequence = history->count + 1;
        if (draw->witness != NULL) {
            sim_witness_executed(draw->witness, &op);
        }
    }
    if (op.kind != SIM_OP_READ && sim_rng_one_in(draw->rng, 10)) {
        op.is_known = false;
        op.return_ns = UINT64_MAX;
    }
    add(history, op);
}

static bool try_all(const struct sim_history *history, unsigned gone, uint64_t state)
{
    uint64_t first_return_ns = UINT64_MAX;
    bool is_known_left = false;

    for (size_t i = 0; i < history->count; i++) {
        const struct sim_op *op = &history->ops[i];

        if ((gone >> i & 1) == 0 && op->is_known) {
            is_known_left = true;
            first_return_ns = op->return_ns < first_return_ns ? op->return_ns : first_return_ns;
        }
    }
    if (!is_known_left) {
        return true;
    }
    for (size_t i = 0; i < history->count; i++) {
        const struct sim_op *op = &history->ops[i];
        uint64_t next = state;

        if ((gone >> i & 1) == 0 && op->call_ns <= first_return_ns && sim_op_step(op, &next) &&
            try_all(history, gone | 1U << i, next)) {
            return true;
        }
    }
    return false;
}

static void test_against_all_orders(void **state)
{
    struct sim_rng rng;
    unsigned good_count = 0;
    unsigned bad_count = 0;

    (void)state;
    sim_rng_init(&rng, 11);
    for (int round = 0; round < 2000; round++) {
        struct sim_history history = {0};
        struct draw draw = {.rng = &rng};

        for (int i = 0; i < 8; i++) {
            draw_op(&draw, &history);
        }
        assert_true(is_linear(&history));
        struct sim_op *op = &history.ops[sim_rng_below(&rng, history.count)];

        op->value = sim_rng_between(&rng, 0, 3);
        op->return_ns = op->is_known ? op->call_ns + 1 : UINT64_MAX;
        bool is_good = is_linear(&history);

        assert_int_equal(is_good, try_all(&history, 0, 0));
        good_count += is_good;
        bad_count += !is_good;
        sim_history_fini(&history);
    }
    assert_true(good_count > 200 && bad_count > 200);
}

/* A long one ends in time, with many at once and many unanswered. */
static void test_long(void **state)
{
    struct sim_history history = {0};
    struct sim_rng rng;
    struct draw draw = {.rng = &rng};

    (void)state;
    sim_rng_init(&rng, 3);
    for (int i = 0; i < 400; i++) {
        draw_op(&draw, &history);
    }
    assert_true(is_linear(&history));
    sim_history_fini(&history);
}

static void test_too_long(void **state)
{
    struct sim_history history = {0};
    struct sim_verdict verdict = {0};

    (void)state;
    add(&history, write_op(1, 10, 20));
    assert_false(sim_check_linear(&history, 0, &verdict));
    assert_false(verdict.is_bad);
    sim_history_fini(&history);
}

/* ---- witness ---- */

struct witnessed {
    struct sim_verdict verdict;
    struct sim_witness witness;
    struct sim_history history;
};

static void draw_witnessed(struct witnessed *all, uint64_t seed)
{
    struct sim_rng rng;
    struct draw draw = {.rng = &rng, .witness = &all->witness};

    *all = (struct witnessed){0};
    sim_witness_init(&all->witness, &all->verdict);
    sim_rng_init(&rng, seed);
    for (int i = 0; i < 50; i++) {
        draw_op(&draw, &all->history);
    }
}

static void finish_witnessed(struct witnessed *all)
{
    sim_witness_fini(&all->witness);
    sim_history_fini(&all->history);
}

static struct sim_op *find_op(struct witnessed *all, enum sim_op_kind kind)
{
    for (size_t i = 20; i < all->history.count; i++) {
        if (all->history.ops[i].kind == kind && all->history.ops[i].is_known) {
            return &all->history.ops[i];
        }
    }
    fail();
    return NULL;
}

static void expect(struct witnessed *all, enum sim_checker checker)
{
    sim_witness_check(&all->witness, &all->history);
    assert_true(all->verdict.is_bad);
    assert_int_equal(all->verdict.checker, checker);
    finish_witnessed(all);
}

static void test_witness_good(void **state)
{
    struct witnessed all;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        draw_witnessed(&all, seed);
        sim_witness_check(&all.witness, &all.history);
        assert_false(all.verdict.is_bad);
        finish_witnessed(&all);
    }
}

static void test_witness_bad(void **state)
{
    struct witnessed all;

    (void)state;
    draw_witnessed(&all, 1);
    find_op(&all, SIM_OP_READ)->value += 1;
    expect(&all, SIM_CHECK_WITNESS);
    draw_witnessed(&all, 1);
    find_op(&all, SIM_OP_READ)->index -= 10; /* an old revision */
    expect(&all, SIM_CHECK_WITNESS);
    draw_witnessed(&all, 1);
    find_op(&all, SIM_OP_SWAP)->has_failed ^= true;
    expect(&all, SIM_CHECK_WITNESS);
    draw_witnessed(&all, 1);
    find_op(&all, SIM_OP_WRITE)->index += 1;
    expect(&all, SIM_CHECK_ONCE);
}

static void test_twice(void **state)
{
    struct witnessed all;
    struct sim_op again;

    (void)state;
    draw_witnessed(&all, 1);
    again = *find_op(&all, SIM_OP_WRITE);
    sim_witness_executed(&all.witness, &again); /* another replica */
    assert_false(all.verdict.is_bad);
    again.index = 100;
    sim_witness_executed(&all.witness, &again);
    expect(&all, SIM_CHECK_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_textbook),
        cmocka_unit_test(test_new_old),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_against_all_orders),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_witness_good),
        cmocka_unit_test(test_witness_bad),
        cmocka_unit_test(test_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

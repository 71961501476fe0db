/* Randomness, clocks, the order of events, processes that are paused, killed and started. */
#include "base/test.h"
#include "tests/sim/mem.h"
#include "tests/sim/world.h"

static void test_rng(void **state)
{
    struct sim_rng a;
    struct sim_rng b;
    uint64_t sum = 0;
    uint64_t hits = 0;

    (void)state;
    sim_rng_init(&a, 1);
    sim_rng_init(&b, 1);
    for (int i = 0; i < 1000; i++) {
        assert_true(sim_rng_next(&a) == sim_rng_next(&b));
    }
    sim_rng_init(&b, 2);
    assert_true(sim_rng_next(&a) != sim_rng_next(&b));
    for (int i = 0; i < 100000; i++) {
        uint64_t wait = sim_rng_wait(&a, 1000000);

        assert_true(wait >= 1 && wait <= 8004000);
        sum += wait;
        hits += sim_rng_ppm(&a, 250000);
        assert_true(sim_rng_between(&a, 3, 5) - 3 <= 2);
    }
    /* A mean within 5 %: the straight lines of sim_rng_wait cost that. */
    assert_true(sum / 100000 > 950000 && sum / 100000 < 1050000);
    assert_true(hits > 24000 && hits < 26000);
}

static void test_clock(void **state)
{
    struct sim_clock clock;
    struct sim_rng rng;

    (void)state;
    sim_rng_init(&rng, 7);
    sim_clock_init(&clock, 1000, 5);
    assert_int_equal(sim_clock_local(&clock, 1000), 5);
    sim_clock_set_rate(&clock, 1000, 10000);
    assert_int_equal(sim_clock_local(&clock, 1000 + 100 * SIM_S), 5 + 101 * SIM_S);
    for (int i = 0; i < 10000; i++) {
        int32_t ppm = (int32_t)sim_rng_between(&rng, 0, 20000) - 10000;
        uint64_t now = clock.base_true_ns + sim_rng_below(&rng, SIM_S);

        sim_clock_set_rate(&clock, now, ppm);
        uint64_t local = clock.base_local_ns + sim_rng_below(&rng, 100 * SIM_S);
        uint64_t at = sim_clock_true(&clock, local);

        assert_true(sim_clock_local(&clock, at) >= local);
        assert_true(at == now || sim_clock_local(&clock, at - 1) < local);
    }
    uint64_t now = clock.base_true_ns + 1;
    uint64_t local = sim_clock_local(&clock, now);

    sim_clock_stop(&clock, now);
    assert_true(sim_clock_local(&clock, now + SIM_S) == local);
    assert_true(sim_clock_true(&clock, local + 1) == UINT64_MAX);
    sim_clock_go_on(&clock, now + SIM_S);
    assert_true(sim_clock_local(&clock, now + SIM_S) == local);
    assert_true(sim_clock_local(&clock, now + 2 * SIM_S) > local);
}

struct record {
    struct sim_world *world;
    struct sim_proc *proc;
    char text[64];
    size_t size;
    unsigned dead_count;
    unsigned timer_count;
    unsigned turn_count;
    unsigned died_count;
    bool dies;
};

static void note(void *arg, uint64_t tag, bool is_alive)
{
    struct record *record = arg;

    if (!is_alive) {
        record->dead_count++;
        return;
    }
    record->text[record->size++] = (char)tag;
    if (record->dies) {
        sim_proc_die(record->proc);
    }
}

static void on_timer(void *arg)
{
    struct record *record = arg;

    record->timer_count++;
}

static void on_turn_end(void *arg)
{
    struct record *record = arg;

    record->turn_count++;
}

static void on_died(void *arg)
{
    struct record *record = arg;

    record->died_count++;
    sim_proc_kill(record->proc);
}

static void run_until(struct sim_world *world, uint64_t end_ns)
{
    while (sim_world_step(world, end_ns)) {
    }
}

static void test_order(void **state)
{
    struct record record = {0};
    struct sim_world *world = sim_world_create(3);
    struct sim_rng rng;

    (void)state;
    sim_world_post(world, 20, note, &record, 'c');
    sim_world_post(world, 10, note, &record, 'a');
    sim_world_post(world, 10, note, &record, 'b');
    sim_world_post(world, 30, note, &record, 'd');
    run_until(world, 25);
    assert_int_equal(world->now_ns, 25);
    assert_string_equal(record.text, "abc");
    sim_world_drain(world);
    assert_int_equal(record.dead_count, 1);
    /* A random heap comes out sorted. */
    sim_rng_init(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        sim_world_post(world, sim_rng_between(&rng, 100, 400), note, &record, 'x');
    }
    uint64_t last = 0;

    while (sim_world_step(world, 1000)) {
        record.size = 0;
        assert_true(world->now_ns >= last);
        last = world->now_ns;
    }
    sim_world_destroy(world);
}

static void test_process(void **state)
{
    struct record record = {0};
    struct sim_world *world = sim_world_create(3);
    struct sim_clock clock;

    (void)state;
    sim_clock_init(&clock, 0, 0);
    struct sim_proc *proc = sim_proc_add(world, &clock);

    record.proc = proc;
    proc->on_timer = on_timer;
    proc->on_turn_end = on_turn_end;
    proc->on_died = on_died;
    proc->arg = &record;
    sim_proc_start(proc);
    /* Paused events come later, in their order, and before those of then. */
    sim_proc_post(proc, 10, note, &record, 'a');
    sim_proc_post(proc, 12, note, &record, 'b');
    sim_proc_pause(proc, 50);
    run_until(world, 11);
    sim_proc_pause(proc, 100);
    run_until(world, 99);
    assert_int_equal(record.size, 0);
    sim_proc_post(proc, 150, note, &record, 'c');
    run_until(world, 200);
    assert_string_equal(record.text, "abc");
    assert_int_equal(record.turn_count, 3);
    /* Another life does not get what was meant for the first. */
    sim_proc_post(proc, 300, note, &record, 'x');
    sim_proc_kill(proc);
    sim_proc_start(proc);
    sim_proc_post(proc, 301, note, &record, 'd');
    run_until(world, 400);
    assert_string_equal(record.text, "abcd");
    assert_int_equal(record.dead_count, 1);
    /* It dies within its turn: the turn ends first. */
    record.dies = true;
    sim_proc_post(proc, 500, note, &record, 'e');
    sim_proc_post(proc, 500, note, &record, 'x');
    run_until(world, 600);
    assert_string_equal(record.text, "abcde");
    assert_int_equal(record.died_count, 1);
    assert_int_equal(record.dead_count, 2);
    assert_false(sim_proc_is_live(proc));
    sim_world_destroy(world);
}

static void test_timer(void **state)
{
    struct record record = {0};
    struct sim_world *world = sim_world_create(3);
    struct sim_clock clock;

    (void)state;
    sim_clock_init(&clock, 0, 0);
    struct sim_proc *proc = sim_proc_add(world, &clock);

    proc->on_timer = on_timer;
    proc->arg = &record;
    sim_proc_start(proc);
    proc->env.set_timer(proc->env.arg, SIM_S);
    proc->env.set_timer(proc->env.arg, 2 * SIM_S); /* replaces */
    run_until(world, SIM_S);
    /* The clock becomes slower: not before its own time. */
    sim_clock_set_rate(&clock, world->now_ns, -500000);
    run_until(world, 2 * SIM_S + SIM_S / 2);
    assert_int_equal(record.timer_count, 0);
    run_until(world, 3 * SIM_S);
    assert_int_equal(record.timer_count, 1);
    proc->env.set_timer(proc->env.arg, 3 * SIM_S);
    proc->env.set_timer(proc->env.arg, UINT64_MAX);
    run_until(world, 10 * SIM_S);
    assert_int_equal(record.timer_count, 1);
    sim_world_destroy(world);
}

static void test_hash(void **state)
{
    uint8_t bytes[64] = {0};
    uint64_t hash = sim_hash(1, bytes, sizeof bytes);

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        assert_true(sim_hash(1, bytes, sizeof bytes) != hash);
        bytes[i] ^= 1;
        assert_true(sim_hash(1, bytes, i) != hash);
    }
    assert_true(sim_hash(1, bytes, sizeof bytes) == hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng),     cmocka_unit_test(test_clock), cmocka_unit_test(test_order),
        cmocka_unit_test(test_process), cmocka_unit_test(test_timer), cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

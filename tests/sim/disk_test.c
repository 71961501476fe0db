/* What a disk promises, and each way in which it breaks. */
#include "base/test.h"
#include "tests/sim/disk.h"

enum { BLOCK = COORD_DISK_BLOCK_SIZE, FILE_BLOCKS = 8, PAIR = 2 * BLOCK };

struct fixture {
    struct sim_world *world;
    struct sim_clock clock;
    struct sim_proc *proc;
    struct sim_disk *disk;
    struct coord_disk *user;
    uint8_t *page; /* aligned, two blocks */
    uint8_t *back;
};

struct answer {
    int count;
    int status;
};

static void on_done(void *arg, int status)
{
    struct answer *answer = arg;

    answer->count++;
    answer->status = status;
}

static void on_died(void *arg)
{
    struct fixture *fixture = arg;

    sim_disk_crash(fixture->disk, true);
    fixture->user->ops->destroy(fixture->user);
    fixture->user = NULL;
    sim_proc_kill(fixture->proc);
}

static void start(struct fixture *fixture)
{
    sim_proc_start(fixture->proc);
    fixture->user = sim_disk_open(fixture->disk, fixture->proc);
}

static void set_up(struct fixture *fixture, uint64_t seed)
{
    struct sim_disk_config config = {
        .delay_ns = 100000, .jitter_ns = 100000, .capacity = UINT64_MAX};

    *fixture = (struct fixture){.world = sim_world_create(seed)};
    sim_clock_init(&fixture->clock, 0, 0);
    fixture->proc = sim_proc_add(fixture->world, &fixture->clock);
    fixture->proc->on_died = on_died;
    fixture->proc->arg = fixture;
    fixture->disk = sim_disk_create(fixture->world, &config);
    fixture->page = aligned_alloc(BLOCK, PAIR);
    fixture->back = aligned_alloc(BLOCK, PAIR);
    assert_non_null(fixture->page);
    assert_non_null(fixture->back);
    start(fixture);
}

static void crash(struct fixture *fixture, bool is_power_cut)
{
    sim_disk_crash(fixture->disk, is_power_cut);
    fixture->user->ops->destroy(fixture->user);
    fixture->user = NULL;
    sim_proc_kill(fixture->proc);
}

static void tear_down(struct fixture *fixture)
{
    if (fixture->user != NULL) {
        crash(fixture, true);
    }
    sim_world_drain(fixture->world);
    sim_disk_destroy(fixture->disk);
    sim_world_destroy(fixture->world);
    free(fixture->page);
    free(fixture->back);
}

static void run(struct fixture *fixture)
{
    while (sim_world_step(fixture->world, fixture->world->now_ns + SIM_S)) {
    }
}

static int create(struct fixture *fixture, const char *name)
{
    struct answer answer = {0};

    fixture->user->ops->create(fixture->user, name, (uint64_t)FILE_BLOCKS * BLOCK, on_done,
                               &answer);
    assert_int_equal(answer.count, 0);
    run(fixture);
    assert_int_equal(answer.count, 1);
    return answer.status;
}

static int put(struct fixture *fixture, const char *name, uint64_t block, int value)
{
    struct answer answer = {0};

    memset(fixture->page, value, PAIR);
    fixture->user->ops->write(fixture->user, name, block * BLOCK, fixture->page, PAIR, on_done,
                              &answer);
    run(fixture);
    assert_int_equal(answer.count, 1);
    return answer.status;
}

static int get(struct fixture *fixture, const char *name, uint64_t block)
{
    struct ray_err err;

    return fixture->user->ops->read(fixture->user, name, block * BLOCK, fixture->back, PAIR, &err);
}

static void count_file(void *arg, const char *name, uint64_t size)
{
    unsigned *count = arg;

    assert_true(strlen(name) > 0 && size % BLOCK == 0);
    (*count)++;
}

static void test_files(void **state)
{
    struct fixture fixture;
    struct answer answer = {0};
    struct ray_err err;
    unsigned count = 0;

    (void)state;
    set_up(&fixture, 1);
    assert_int_equal(create(&fixture, "wal-2"), RAY_OK);
    assert_int_equal(create(&fixture, "wal-1"), RAY_OK);
    assert_int_equal(create(&fixture, "wal-1"), RAY_EEXISTS);
    assert_int_equal(put(&fixture, "wal-1", 3, 7), RAY_OK);
    assert_int_equal(get(&fixture, "wal-1", 3), RAY_OK);
    assert_memory_equal(fixture.back, fixture.page, PAIR);
    assert_int_equal(get(&fixture, "wal-1", 5), RAY_OK);
    assert_int_equal(fixture.back[0], 0);
    assert_int_equal(get(&fixture, "wal-1", FILE_BLOCKS - 1), RAY_EMALFORMED);
    assert_int_equal(get(&fixture, "none", 0), RAY_ENOTFOUND);
    assert_int_equal(put(&fixture, "wal-1", FILE_BLOCKS - 1, 7), RAY_EINVAL);
    fixture.user->ops->rename(fixture.user, "wal-1", "wal-2", on_done, &answer);
    run(&fixture);
    assert_int_equal(answer.status, RAY_OK);
    assert_int_equal(get(&fixture, "wal-2", 3), RAY_OK);
    assert_int_equal(fixture.back[0], 7);
    assert_int_equal(fixture.user->ops->list(fixture.user, count_file, &count, &err), RAY_OK);
    assert_int_equal(count, 1);
    fixture.user->ops->remove(fixture.user, "wal-2", on_done, &answer);
    run(&fixture);
    assert_true(sim_disk_is_empty(fixture.disk));
    assert_int_equal(answer.count, 2);
    tear_down(&fixture);
}

/* All that two blocks under way may leave is seen: old, new, torn; a kill never tears. */
static void test_crash(void **state)
{
    unsigned old_count[2] = {0};
    unsigned new_count[2] = {0};
    unsigned torn_count[2] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture fixture;
        struct answer answer = {0};
        size_t cut = seed % 2;
        size_t set = 0;

        set_up(&fixture, seed);
        assert_int_equal(create(&fixture, "wal-1"), RAY_OK);
        memset(fixture.page, 1, PAIR);
        fixture.user->ops->write(fixture.user, "wal-1", 0, fixture.page, PAIR, on_done, &answer);
        crash(&fixture, cut == 1);
        assert_int_equal(answer.count, 1);
        assert_int_equal(answer.status, RAY_ECANCELED);
        start(&fixture);
        assert_int_equal(get(&fixture, "wal-1", 0), RAY_OK);
        for (size_t i = 0; i < PAIR; i += 512) {
            assert_true(fixture.back[i] == fixture.back[i + 511]);
            set += fixture.back[i];
        }
        old_count[cut] += set == 0;
        new_count[cut] += set == 16;
        torn_count[cut] += set > 0 && set < 16;
        tear_down(&fixture);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(old_count[i] > 10 && new_count[i] > 10);
    }
    assert_true(torn_count[0] == 0 && torn_count[1] > 10);
}

struct now_call {
    struct fixture *fixture;
    int rc;
};

static void write_now(void *arg)
{
    struct now_call *call = arg;
    struct fixture *fixture = call->fixture;
    struct ray_err err;

    call->rc = fixture->user->ops->write_now(fixture->user, "meta", 0, fixture->page, BLOCK, &err);
}

static void test_write_now(void **state)
{
    struct fixture fixture;
    struct now_call call = {.fixture = &fixture};

    (void)state;
    set_up(&fixture, 1);
    assert_int_equal(create(&fixture, "meta"), RAY_OK);
    memset(fixture.page, 9, BLOCK);
    assert_true(sim_proc_run(fixture.proc, write_now, &call));
    assert_int_equal(call.rc, RAY_OK);
    /* It took time. */
    assert_false(sim_proc_run(fixture.proc, write_now, &call));
    run(&fixture);
    /* The power fails within the second one from now. */
    sim_disk_cut_within(fixture.disk, 2);
    assert_true(sim_proc_run(fixture.proc, write_now, &call));
    run(&fixture);
    assert_non_null(fixture.user);
    assert_true(sim_proc_run(fixture.proc, write_now, &call));
    assert_null(fixture.user);
    assert_false(sim_proc_is_live(fixture.proc));
    tear_down(&fixture);
}

static void test_errors(void **state)
{
    struct fixture fixture;
    struct sim_disk_config config;

    (void)state;
    set_up(&fixture, 1);
    config = *sim_disk_config(fixture.disk);
    config.capacity = (uint64_t)FILE_BLOCKS * BLOCK;
    sim_disk_set_config(fixture.disk, &config);
    assert_int_equal(create(&fixture, "a"), RAY_OK);
    assert_int_equal(fixture.user->ops->free_size(fixture.user), 0);
    assert_int_equal(create(&fixture, "b"), RAY_ENOSPC);
    config.error_ppm = 1000000;
    sim_disk_set_config(fixture.disk, &config);
    assert_int_equal(put(&fixture, "a", 0, 1), RAY_EIO);
    tear_down(&fixture);
}

static void test_rot(void **state)
{
    struct fixture fixture;
    struct sim_disk *copy;

    (void)state;
    set_up(&fixture, 1);
    copy = sim_disk_create(fixture.world, sim_disk_config(fixture.disk));
    assert_int_equal(create(&fixture, "wal-1"), RAY_OK);
    assert_int_equal(create(&fixture, "snap-1"), RAY_OK);
    assert_int_equal(put(&fixture, "wal-1", 0, 1), RAY_OK);
    assert_int_equal(put(&fixture, "wal-1", 2, 1), RAY_OK);
    /* Not yet old enough: other files do not count. */
    assert_int_equal(put(&fixture, "snap-1", 0, 1), RAY_OK);
    assert_false(sim_disk_rot(fixture.disk, "wal-", 2, false));
    sim_disk_clone(fixture.disk, copy);
    assert_int_equal(put(&fixture, "wal-1", 4, 1), RAY_OK);
    assert_true(sim_disk_rot(fixture.disk, "wal-", 2, false));
    assert_int_equal(get(&fixture, "wal-1", 0), RAY_OK);
    memset(fixture.page, 1, PAIR);
    assert_memory_not_equal(fixture.back, fixture.page, PAIR);
    assert_true(sim_disk_rot(fixture.disk, "wal-", 2, true));
    assert_int_equal(get(&fixture, "wal-1", 0), RAY_EIO);
    sim_disk_heal(fixture.disk);
    assert_int_equal(get(&fixture, "wal-1", 0), RAY_OK);
    /* The copy is its own. */
    crash(&fixture, false);
    sim_disk_clone(copy, fixture.disk);
    start(&fixture);
    assert_int_equal(get(&fixture, "wal-1", 0), RAY_OK);
    assert_memory_equal(fixture.back, fixture.page, PAIR);
    sim_disk_destroy(copy);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),     cmocka_unit_test(test_crash),
        cmocka_unit_test(test_write_now), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_rot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

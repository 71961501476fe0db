#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "node/init/boot.h"

struct world {
    struct ray_loop loop;
    struct timeline timeline;
    struct boot boot;
    char trace[1024];
    bool is_done;
    const char *fatal;
    int pipe_fds[2]; /* a thread stage waits for a byte */
};

static void note(struct world *world, const char *word)
{
    (void)snprintf(world->trace + strlen(world->trace), sizeof world->trace - strlen(world->trace),
                   "%s ", word);
}

static int run_ok(void *arg, struct ray_err *err)
{
    (void)arg;
    (void)err;
    return RAY_OK;
}

static int run_bad(void *arg, struct ray_err *err)
{
    (void)arg;
    return ray_fail(err, RAY_EIO, "it is broken");
}

static int run_pending(void *arg, struct ray_err *err)
{
    (void)arg;
    (void)err;
    return RAY_EAGAIN;
}

static int run_slow(void *arg, struct ray_err *err)
{
    struct world *world = arg;
    char byte;

    return read(world->pipe_fds[0], &byte, 1) == 1 ? RAY_OK : ray_fail(err, RAY_EIO, "pipe");
}

static void on_done_stage(void *arg, int rc)
{
    note(arg, rc == RAY_OK ? "done" : "done-bad");
}

static void on_stage(void *arg, const struct timeline_stage *stage)
{
    char text[128];

    (void)snprintf(text, sizeof text, "%s=%s", stage->name, timeline_result_name(stage->result));
    note(arg, text);
}

static void on_done(void *arg, const char *fatal)
{
    struct world *world = arg;

    world->is_done = true;
    world->fatal = fatal;
}

static struct world *world_start(const struct boot_stage *stages, size_t count, bool is_hosted)
{
    struct world *world = calloc(1, sizeof *world);
    struct boot_config config = {.stages = stages,
                                 .count = count,
                                 .is_hosted = is_hosted,
                                 .on_stage = on_stage,
                                 .on_done = on_done};

    assert_non_null(world);
    assert_int_equal(pipe(world->pipe_fds), 0);
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    config.loop = &world->loop;
    config.timeline = &world->timeline;
    config.arg = world;
    assert_int_equal(boot_init(&world->boot, &config, NULL), RAY_OK);
    boot_start(&world->boot);
    return world;
}

static void world_end(struct world *world)
{
    boot_fini(&world->boot);
    ray_loop_fini(&world->loop);
    (void)close(world->pipe_fds[0]);
    (void)close(world->pipe_fds[1]);
    free(world);
}

static void run_until_done(struct world *world)
{
    while (!world->is_done) {
        ray_loop_once(&world->loop);
    }
}

static void test_order_and_failure(void **state)
{
    static const struct boot_stage stages[] = {
        {"one", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
        {"two", BOOT_ON_LOOP, false, true, 0, run_bad, on_done_stage},
        {"three", BOOT_ON_THREAD, false, true, 0, run_ok, on_done_stage},
        {"four", BOOT_ON_THREAD, false, true, 0, run_bad, NULL},
    };
    struct world *world = world_start(stages, 4, false);

    (void)state;
    run_until_done(world);
    assert_string_equal(world->trace, "one=ok done-bad two=failed done three=ok four=failed ");
    assert_null(world->fatal);
    assert_string_equal(world->timeline.stages[1].error, "it is broken");
    assert_true(world->timeline.stages[3].end_us >= world->timeline.stages[0].begin_us);
    world_end(world);
}

static void test_fatal_stage_ends_boot(void **state)
{
    static const struct boot_stage stages[] = {
        {"mounts", BOOT_ON_LOOP, true, true, 0, run_bad, NULL},
        {"never", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
    };
    struct world *world = world_start(stages, 2, false);

    (void)state;
    run_until_done(world);
    assert_string_equal(world->trace, "mounts=failed ");
    assert_string_equal(world->fatal, "mounts");
    world_end(world);
}

/* Boot goes on without it; its late end is still delivered. */
static void test_late_thread_stage(void **state)
{
    static const struct boot_stage stages[] = {
        {"slow", BOOT_ON_THREAD, false, true, 20, run_slow, on_done_stage},
        {"next", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
    };
    struct world *world = world_start(stages, 2, false);

    (void)state;
    run_until_done(world);
    assert_string_equal(world->trace, "slow=late next=ok ");
    assert_int_equal(write(world->pipe_fds[1], "x", 1), 1);
    ray_loop_run(&world->loop); /* until the job is over */
    assert_string_equal(world->trace, "slow=late next=ok done ");
    world_end(world);
}

static void test_finish_from_outside(void **state)
{
    static const struct boot_stage stages[] = {
        {"search", BOOT_ON_LOOP, false, true, 5000, run_pending, on_done_stage},
        {"next", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
    };
    struct world *world = world_start(stages, 2, false);
    struct ray_err err = {.text = "nothing there"};

    (void)state;
    ray_loop_once(&world->loop);
    boot_finish(&world->boot, "other", RAY_OK, NULL); /* not its turn */
    assert_string_equal(world->trace, "");
    boot_finish(&world->boot, "search", RAY_ENOTFOUND, &err);
    boot_finish(&world->boot, "search", RAY_OK, NULL); /* once only */
    run_until_done(world);
    assert_string_equal(world->trace, "done-bad search=failed next=ok ");
    assert_string_equal(world->timeline.stages[0].error, "nothing there");
    world_end(world);
}

static void test_hosted_leaves_out(void **state)
{
    static const struct boot_stage stages[] = {
        {"mounts", BOOT_ON_LOOP, true, false, 0, run_bad, NULL},
        {"control", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
    };
    struct world *world = world_start(stages, 2, true);

    (void)state;
    run_until_done(world);
    assert_string_equal(world->trace, "control=ok ");
    world_end(world);
}

static void test_stop(void **state)
{
    static const struct boot_stage stages[] = {
        {"slow", BOOT_ON_THREAD, false, true, 0, run_slow, on_done_stage},
        {"never", BOOT_ON_LOOP, false, true, 0, run_ok, NULL},
    };
    struct world *world = world_start(stages, 2, false);

    (void)state;
    ray_loop_once(&world->loop);
    boot_stop(&world->boot);
    assert_int_equal(write(world->pipe_fds[1], "x", 1), 1);
    ray_loop_run(&world->loop);
    assert_string_equal(world->trace, "done slow=ok ");
    assert_false(world->is_done);
    world_end(world);
}

/* Without memory for a job the stage runs all the same. */
static void test_no_memory_for_a_job(void **state)
{
    static const struct boot_stage stages[] = {
        {"thread", BOOT_ON_THREAD, false, true, 0, run_ok, on_done_stage},
    };
    struct world *world = world_start(stages, 1, false);

    (void)state;
    (void)ray_fault_set("alloc:1+");
    run_until_done(world);
    (void)ray_fault_set(NULL);
    assert_string_equal(world->trace, "done thread=ok ");
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_failure),   cmocka_unit_test(test_fatal_stage_ends_boot),
        cmocka_unit_test(test_late_thread_stage),   cmocka_unit_test(test_finish_from_outside),
        cmocka_unit_test(test_hosted_leaves_out),   cmocka_unit_test(test_stop),
        cmocka_unit_test(test_no_memory_for_a_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

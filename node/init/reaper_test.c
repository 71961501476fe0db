#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "node/init/reaper.h"

struct world {
    struct ray_loop loop;
    struct reaper reaper;
    struct ray_child child;
    bool has_ended;
    struct ray_child_exit how;
};

static struct ray_child *find(void *arg, pid_t pid)
{
    struct world *world = arg;

    return world->child.pid == pid ? &world->child : NULL;
}

static void on_end(void *arg, const struct ray_child_exit *how)
{
    struct world *world = arg;

    world->has_ended = true;
    world->how = *how;
}

static struct world *start(void)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    assert_int_equal(reaper_init(&world->reaper, &world->loop, find, world, NULL), RAY_OK);
    ray_child_init(&world->child);
    return world;
}

static void end(struct world *world)
{
    ray_child_fini(&world->child);
    reaper_fini(&world->reaper);
    ray_loop_fini(&world->loop);
    free(world);
}

static void test_own_child_hears_of_it(void **state)
{
    static const char *const argv[] = {"/bin/sh", "-c", "exit 3", NULL};
    const struct ray_child_spec spec = {
        .path = argv[0], .argv = argv, .cgroup_fd = -1, .keeps_all_caps = true};
    struct world *world = start();

    (void)state;
    assert_int_equal(ray_child_spawn(&world->child, &world->loop, &spec, on_end, world, NULL),
                     RAY_OK);
    while (!world->has_ended) {
        ray_loop_once(&world->loop);
    }
    assert_int_equal(world->how.status, 3);
    assert_int_equal(world->reaper.orphan_count, 0);
    end(world);
}

/* A hundred processes that nobody waits for, as they come to PID 1. */
static void test_orphans(void **state)
{
    enum { COUNT = 100 };
    struct world *world = start();

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        assert_true(pid > 0);
    }
    while (world->reaper.orphan_count < COUNT) {
        ray_loop_once(&world->loop);
    }
    assert_true(waitpid(-1, NULL, WNOHANG) < 0); /* none is left */
    end(world);
}

/* More zombies than one turn takes, all dead before the reaper looks. */
static void test_more_than_a_turn(void **state)
{
    enum { COUNT = REAPER_PER_TURN + 10 };
    struct world *world;
    sigset_t set;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < COUNT; i++) {
        siginfo_t info;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        assert_true(pid > 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    }
    world = start(); /* looks at once */
    assert_int_equal(world->reaper.orphan_count, REAPER_PER_TURN);
    while (world->reaper.orphan_count < COUNT) {
        ray_loop_once(&world->loop);
    }
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_child_hears_of_it),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_more_than_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

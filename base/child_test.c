#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/child.h"
#include "base/size.h"
#include "base/test.h"

/* A child whose words come back through a pipe at its descriptor 1. */
struct bench {
    struct ray_loop loop;
    struct ray_child child;
    struct ray_child_exit how;
    int exit_count;
    int fds[2];
    char output[8192];
    size_t output_size;
    struct ray_child_fd named[4];
    const char *argv[4];
    struct ray_child_spec spec;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    if (bench == NULL || ray_loop_init(&bench->loop, NULL) != RAY_OK ||
        pipe2(bench->fds, O_CLOEXEC) < 0) {
        free(bench);
        return -1;
    }
    ray_child_init(&bench->child);
    bench->named[0] = (struct ray_child_fd){.fd = bench->fds[1], .child_fd = 1};
    bench->argv[0] = "sh";
    bench->argv[1] = "-c";
    bench->spec = (struct ray_child_spec){
        .path = "/bin/sh",
        .argv = bench->argv,
        .fds = bench->named,
        .fd_count = 1,
        .cgroup_fd = -1,
        .keeps_all_caps = true,
    };
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    ray_child_fini(&bench->child);
    ray_loop_fini(&bench->loop);
    (void)close(bench->fds[0]);
    (void)close(bench->fds[1]);
    free(bench);
    return 0;
}

static void on_exit_seen(void *arg, const struct ray_child_exit *how)
{
    struct bench *bench = arg;

    assert_int_equal(bench->child.pid, 0);
    bench->how = *how;
    bench->exit_count++;
}

static int spawn(struct bench *bench, const char *script, struct ray_err *err)
{
    bench->argv[2] = script;
    bench->exit_count = 0;
    return ray_child_spawn(&bench->child, &bench->loop, &bench->spec, on_exit_seen, bench, err);
}

/* What the child wrote is in the pipe, which is large enough for it. */
static const char *output_of(struct bench *bench)
{
    struct pollfd ready = {.fd = bench->fds[0], .events = POLLIN};

    bench->output_size = 0;
    while (poll(&ready, 1, 0) == 1 && bench->output_size < sizeof bench->output - 1) {
        ssize_t got = read(bench->fds[0], bench->output + bench->output_size,
                           sizeof bench->output - 1 - bench->output_size);

        assert_true(got > 0);
        bench->output_size += (size_t)got;
    }
    bench->output[bench->output_size] = '\0';
    return bench->output;
}

/* Runs to the end; returns the output. */
static const char *run(struct bench *bench, const char *script)
{
    struct ray_err err = {0};

    if (spawn(bench, script, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    ray_loop_run(&bench->loop);
    assert_int_equal(bench->exit_count, 1);
    return output_of(bench);
}

static void test_exit_status(void **state)
{
    struct bench *bench = *state;
    char text[48];

    assert_string_equal(run(bench, "echo hello; exit 3"), "hello\n");
    assert_false(bench->how.is_signaled);
    assert_int_equal(bench->how.status, 3);
    assert_string_equal(ray_child_exit_text(&bench->how, text), "exit status 3");
    (void)run(bench, "kill -9 $$");
    assert_true(bench->how.is_signaled);
    assert_int_equal(bench->how.status, SIGKILL);
    assert_string_equal(ray_child_exit_text(&bench->how, text), "signal 9 (SIGKILL)");
}

static void test_exit_texts(void **state)
{
    static const struct {
        struct ray_child_exit how;
        const char *text;
    } cases[] = {
        {{.status = 0}, "exit status 0"},
        {{.status = -1}, "exit status lost"},
        {{.is_signaled = true, .status = 11, .dumped_core = true},
         "signal 11 (SIGSEGV), core dumped"},
        {{.is_signaled = true, .status = 63}, "signal 63 (?)"},
    };
    char text[48];

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        assert_string_equal(ray_child_exit_text(&cases[i].how, text), cases[i].text);
    }
}

static void test_environment_and_folder(void **state)
{
    struct bench *bench = *state;
    static const char *const envp[] = {"A=1", "LISTEN_PID=", "B=2", NULL};

    assert_string_equal(run(bench, "pwd; umask; echo ${HOME-none}"), "/\n0022\nnone\n");
    bench->spec.envp = envp;
    bench->spec.dir = "/usr";
    assert_string_equal(run(bench, "pwd; echo $A $B; [ $LISTEN_PID = $$ ] && echo same"),
                        "/usr\n1 2\nsame\n");
}

/* Descriptors that swap places, one that stands where another is wanted, and a leak. */
static void test_descriptors(void **state)
{
    struct bench *bench = *state;
    int other[2];
    int leaked = open("/dev/null", O_RDONLY);

    assert_true(leaked >= 0); /* without CLOEXEC on purpose */
    assert_int_equal(pipe2(other, O_CLOEXEC), 0);
    bench->named[1] = (struct ray_child_fd){.fd = bench->fds[1], .child_fd = other[1]};
    bench->named[2] = (struct ray_child_fd){.fd = other[1], .child_fd = bench->fds[1]};
    bench->named[3] = (struct ray_child_fd){.fd = -1, .child_fd = 60};
    bench->spec.fd_count = 4;
    {
        char script[256];
        char expected[64];
        char got[64] = "";

        (void)snprintf(script, sizeof script,
                       "echo one >/proc/$$/fd/%d; echo two >/proc/$$/fd/%d; [ -e /proc/$$/fd/%d ] "
                       "|| echo closed; "
                       "readlink /proc/$$/fd/0 /proc/$$/fd/2 /proc/$$/fd/60",
                       other[1], bench->fds[1], leaked);
        (void)snprintf(expected, sizeof expected, "one\nclosed\n/dev/null\n/dev/null\n/dev/null\n");
        assert_string_equal(run(bench, script), expected);
        assert_int_equal(read(other[0], got, sizeof got - 1), 4);
        assert_string_equal(got, "two\n");
    }
    (void)close(other[0]);
    (void)close(other[1]);
    (void)close(leaked);
}

/* Whatever the parent ignores, handles or blocks, the child starts clean. */
static void test_signals_are_reset(void **state)
{
    struct bench *bench = *state;
    sigset_t blocked;
    sigset_t before;
    sigset_t after;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, NULL), 0);
    assert_string_equal(run(bench, "grep -E 'Sig(Blk|Ign)' /proc/self/status"),
                        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    before = blocked;
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    assert_int_equal(sigismember(&after, SIGINT), 0);
    (void)sigemptyset(&blocked);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, NULL), 0);
    (void)signal(SIGPIPE, SIG_DFL);
}

static void test_session_limits_and_nice(void **state)
{
    struct bench *bench = *state;
    static const struct ray_child_rlimit rlimits[] = {
        {.resource = RLIMIT_NOFILE, .limit = {.rlim_cur = 9, .rlim_max = 9}},
        {.resource = RLIMIT_CORE, .limit = {.rlim_cur = 0, .rlim_max = 0}},
    };

    bench->named[1] = (struct ray_child_fd){.fd = -1, .child_fd = 8};
    bench->spec.fd_count = 2;
    bench->spec.rlimits = rlimits;
    bench->spec.rlimit_count = 2;
    bench->spec.new_session = true;
    bench->spec.nice = 5;
    bench->spec.oom_score_adj = "500";
    bench->spec.no_new_privs = true;
    assert_string_equal(run(bench, "ulimit -n; ulimit -c; nice; cat /proc/self/oom_score_adj;"
                                   "[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && "
                                   "echo leader; grep NoNewPrivs /proc/self/status"),
                        "9\n0\n5\n500\nleader\nNoNewPrivs:\t1\n");
}

static void test_ids_and_caps(void **state)
{
    static const gid_t groups[] = {7, 8};
    struct bench *bench = *state;

    if (geteuid() != 0) {
        skip();
    }
    bench->spec.has_ids = true;
    bench->spec.uid = 4321;
    bench->spec.gid = 1234;
    bench->spec.groups = groups;
    bench->spec.group_count = 2;
    bench->spec.keeps_all_caps = false;
    bench->spec.keep_caps = UINT64_C(1) << CAP_NET_BIND_SERVICE;
    assert_string_equal(
        run(bench, "id -u; id -g; id -G; grep Cap /proc/self/status | tr '\\n\\t' '  '"),
        "4321\n1234\n1234 7 8\n"
        "CapInh: 0000000000000400 CapPrm: 0000000000000400 CapEff: 0000000000000400 "
        "CapBnd: 0000000000000400 CapAmb: 0000000000000400 ");
    /* Root without capabilities: exec gives none back. */
    bench->spec.has_ids = false;
    bench->spec.keep_caps = 0;
    assert_string_equal(run(bench, "id -u; grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | uniq"),
                        "0\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                        "CapBnd:\t0000000000000000\n");
}

static void test_caps_beyond_ours_fail(void **state)
{
    struct bench *bench = *state;
    struct ray_err err = {0};

    bench->spec.keeps_all_caps = false;
    bench->spec.keep_caps = UINT64_C(1) << 63; /* no kernel has it */
    assert_true(spawn(bench, "true", &err) < 0);
    assert_non_null(strstr(err.text, "capabilities"));
    assert_int_equal(bench->child.pid, 0);
}

static void test_namespaces(void **state)
{
    struct bench *bench = *state;

    if (geteuid() != 0) {
        skip();
    }
    bench->spec.new_network = true;
    bench->spec.new_mount = true;
    assert_string_equal(run(bench, "grep -c : /proc/net/dev; mount -t tmpfs none /mnt 2>/dev/null "
                                   "|| mount -t tmpfs none /tmp; echo $?"),
                        "1\n0\n");
    assert_string_not_equal(run(bench, "readlink /proc/self/ns/mnt /proc/self/ns/net"), "");
}

static int open_test_cgroup(char path[static 64])
{
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(roots); i++) {
        char procs[80];

        (void)snprintf(path, 64, "%s/ray-test-%d", roots[i], (int)getpid());
        if (mkdir(path, 0755) < 0) {
            continue;
        }
        (void)snprintf(procs, sizeof procs, "%s/cgroup.events", path);
        if (access(procs, F_OK) == 0) {
            return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        (void)rmdir(path); /* a plain folder: not cgroup2 */
    }
    return -1;
}

static void test_born_in_cgroup(void **state)
{
    struct bench *bench = *state;
    char path[64];
    int fd = open_test_cgroup(path);

    if (fd < 0) {
        skip(); /* no cgroup2 that we may write to */
    }
    bench->spec.cgroup_fd = fd;
    assert_non_null(strstr(run(bench, "cat /proc/self/cgroup"), strrchr(path, '/')));
    (void)close(fd);
    assert_int_equal(rmdir(path), 0);
    bench->spec.cgroup_fd = bench->fds[0]; /* not a cgroup */
    assert_true(spawn(bench, "true", NULL) < 0);
}

static int refuse(void *arg)
{
    (void)arg;
    return EXDEV;
}

static int name_us(void *arg)
{
    return prctl(PR_SET_NAME, arg, 0, 0, 0) < 0 ? errno : 0;
}

static void test_failing_steps_are_named(void **state)
{
    struct bench *bench = *state;
    struct ray_err err = {0};

    bench->spec.before_exec = refuse;
    assert_true(spawn(bench, "true", &err) < 0);
    assert_non_null(strstr(err.text, "last preparation"));
    assert_int_equal(err.code, ray_err_from_errno(EXDEV));
    bench->spec.before_exec = name_us;
    bench->spec.before_exec_arg = (void *)(uintptr_t)"tester";
    assert_string_equal(run(bench, "true"), "");
    bench->spec.dir = "/nonexistent";
    assert_int_equal(spawn(bench, "true", &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "working directory"));
    bench->spec.dir = NULL;
    bench->spec.oom_score_adj = "many";
    assert_int_equal(spawn(bench, "true", &err), RAY_EINVAL);
    assert_non_null(strstr(err.text, "oom_score_adj"));
    bench->spec.oom_score_adj = NULL;
    bench->named[0].fd = 9999;
    assert_true(spawn(bench, "true", &err) < 0);
    assert_non_null(strstr(err.text, "descriptors"));
    bench->named[0].fd = bench->fds[1];
    bench->spec.path = "/nonexistent";
    assert_int_equal(spawn(bench, "true", &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "'/nonexistent': exec"));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}

static void test_bad_specs(void **state)
{
    struct bench *bench = *state;
    struct ray_child_fd many[RAY_CHILD_FD_COUNT_MAX + 1];

    bench->spec.path = "sh";
    assert_int_equal(spawn(bench, "true", NULL), RAY_EINVAL);
    bench->spec.path = "/bin/sh";
    bench->named[1] = bench->named[0];
    bench->spec.fd_count = 2;
    assert_int_equal(spawn(bench, "true", NULL), RAY_EINVAL);
    bench->named[1].child_fd = -1;
    assert_int_equal(spawn(bench, "true", NULL), RAY_EINVAL);
    for (int i = 0; i <= RAY_CHILD_FD_COUNT_MAX; i++) {
        many[i] = (struct ray_child_fd){.fd = bench->fds[1], .child_fd = i};
    }
    bench->spec.fds = many;
    bench->spec.fd_count = RAY_CHILD_FD_COUNT_MAX + 1;
    assert_int_equal(spawn(bench, "true", NULL), RAY_ETOOBIG);
    bench->spec.fd_count = RAY_CHILD_FD_COUNT_MAX;
    assert_string_equal(run(bench, "echo most"), "most\n");
    bench->spec.rlimit_count = RAY_CHILD_RLIMIT_COUNT_MAX + 1;
    assert_int_equal(spawn(bench, "true", NULL), RAY_ETOOBIG);
}

static void test_kill_and_reap(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(ray_child_kill(&bench->child, SIGTERM), RAY_ENOTFOUND);
    assert_false(ray_child_reap(&bench->child));
    assert_int_equal(spawn(bench, "exec sleep 1000", NULL), RAY_OK);
    assert_false(ray_child_reap(&bench->child));
    assert_int_equal(ray_child_kill(&bench->child, SIGTERM), RAY_OK);
    ray_loop_run(&bench->loop);
    assert_int_equal(bench->how.status, SIGTERM);
    /* As PID 1 does on SIGCHLD: without the loop. */
    assert_int_equal(spawn(bench, "exit 4", NULL), RAY_OK);
    while (!ray_child_reap(&bench->child)) {
        struct pollfd ended = {.fd = bench->child.pidfd, .events = POLLIN};

        assert_true(poll(&ended, 1, -1) == 1);
    }
    assert_int_equal(bench->exit_count, 1);
    assert_int_equal(bench->how.status, 4);
    /* Another took the status. */
    assert_int_equal(spawn(bench, "exit 5", NULL), RAY_OK);
    assert_int_equal(waitpid(bench->child.pid, NULL, 0), bench->child.pid);
    assert_int_equal(ray_child_kill(&bench->child, SIGTERM), RAY_ENOTFOUND);
    assert_true(ray_child_reap(&bench->child));
    assert_int_equal(bench->how.status, -1);
}

/* on_exit starts the next one, as a supervisor does. */
static void respawn(void *arg, const struct ray_child_exit *how)
{
    struct bench *bench = arg;

    assert_int_equal(how->status, bench->exit_count);
    if (++bench->exit_count < 3) {
        bench->argv[2] = bench->exit_count == 1 ? "exit 1" : "exit 2";
        assert_int_equal(
            ray_child_spawn(&bench->child, &bench->loop, &bench->spec, respawn, bench, NULL),
            RAY_OK);
    }
}

static void test_respawn_in_callback(void **state)
{
    struct bench *bench = *state;

    bench->argv[2] = "exit 0";
    assert_int_equal(
        ray_child_spawn(&bench->child, &bench->loop, &bench->spec, respawn, bench, NULL), RAY_OK);
    ray_loop_run(&bench->loop);
    assert_int_equal(bench->exit_count, 3);
}

/* A middle process starts a child that is to die with it, and is killed. The grandchild holds the
 * pipe's only other writing end, so the end of file is its death. */
static void test_parent_death(void **state)
{
    struct bench *bench = *state;
    int fds[2];
    char byte;
    pid_t middle;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    middle = fork();
    assert_true(middle >= 0);
    if (middle == 0) {
        bench->named[0].fd = fds[1];
        bench->spec.parent_death_signal = SIGKILL;
        (void)spawn(bench, "echo x; exec sleep 1000", NULL);
        (void)close(fds[1]);
        (void)pause();
        _exit(0);
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    assert_int_equal(kill(middle, SIGKILL), 0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(read(fds[0], &byte, 1), 1); /* the newline */
    assert_int_equal(read(fds[0], &byte, 1), 0);
    (void)close(fds[0]);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "fork"};
    static const char *const envp[] = {"LISTEN_PID=", NULL};
    struct bench *bench = *state;

    bench->spec.envp = envp;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            struct ray_err err = {0};
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = spawn(bench, "exit 7", &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                ray_loop_run(&bench->loop);
                assert_int_equal(bench->how.status, 7);
                break;
            }
            assert_true(rc < 0);
            assert_int_equal(err.code, rc);
            assert_int_equal(bench->child.pid, 0);
            assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_exit_status),
        TEST(test_exit_texts),
        TEST(test_environment_and_folder),
        TEST(test_descriptors),
        TEST(test_signals_are_reset),
        TEST(test_session_limits_and_nice),
        TEST(test_ids_and_caps),
        TEST(test_caps_beyond_ours_fail),
        TEST(test_namespaces),
        TEST(test_born_in_cgroup),
        TEST(test_failing_steps_are_named),
        TEST(test_bad_specs),
        TEST(test_kill_and_reap),
        TEST(test_respawn_in_callback),
        TEST(test_parent_death),
        TEST(test_faults),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}

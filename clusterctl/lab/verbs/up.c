/* clusterctl/lab/verbs/up.c - `lab up`: checks, lock, folder, supervisor; then watches the
 * boot. Whatever fails on the way, and a signal, too, takes the lab down again. */
#include "clusterctl/lab/verbs/up.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/child.h"
#include "base/size.h"
#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/cluster.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/tidy.h"
#include "clusterctl/lab/verbs/takedown.h"
#include "clusterctl/lab/verbs/verbs.h"

enum {
    START_TIMEOUT_MS = 60000,
    READY_FD = 3,
    LOCK_FD = 4,
};

extern char **environ;

/* ---- the supervisor ---- */

/* An empty folder with lab.json in it; what an earlier lab of this name left goes. */
static int make_folder(const struct lab_paths *paths, const struct lab_config *config,
                       struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    char *text = NULL;
    int rc = ray_make_dirs(AT_FDCWD, paths->dir, 0755, err);

    rc = rc == RAY_OK ? lab_wipe(AT_FDCWD, paths->dir, err) : rc;
    rc = rc == RAY_OK ? lab_path_join(path, sizeof path, paths->dir, LAB_FILE_STATE, err) : rc;
    rc = rc == RAY_OK ? lab_config_write(config, &text, err) : rc;
    rc = rc == RAY_OK ? ray_atomic_write(AT_FDCWD, path, text, strlen(text), 0644, err) : rc;
    free(text);
    return rc;
}

struct starter {
    struct ray_child child;
    int ready_fd;
    int signal_fd; /* borrowed: signals that end us, blocked since before the start */
    int signum;    /* the one that came; 0: none */
    bool has_ended;
};

static void on_supervisor_exit(void *arg, const struct ray_child_exit *how)
{
    struct starter *starter = arg;

    (void)how; /* its line, or the lack of one, tells more */
    starter->has_ended = true;
}

static int spawn_supervisor(const struct lab_paths *paths, int lock_fd, struct ray_loop *loop,
                            struct starter *starter, struct ray_err *err)
{
    const char *const argv[] = {paths->program, "lab", "supervise", "--name", paths->name, NULL};
    char log_path[LAB_PATH_SIZE];
    int ready[2] = {-1, -1};
    int log_fd = -1;
    int rc = lab_path_join(log_path, sizeof log_path, paths->dir, LAB_FILE_LOG, err);

    if (rc != RAY_OK) {
        return rc;
    }
    log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0 || pipe2(ready, O_CLOEXEC) < 0) {
        rc = ray_fail_errno(err, errno, "%s", log_path);
    } else {
        const struct ray_child_fd fds[] = {
            {log_fd, 1}, {log_fd, 2}, {ready[1], READY_FD}, {lock_fd, LOCK_FD}};
        const struct ray_child_spec spec = {
            .path = paths->program,
            .argv = argv,
            .envp = (const char *const *)environ,
            .dir = paths->checkout,
            .fds = fds,
            .fd_count = RAY_ARRAY_COUNT(fds),
            .keeps_all_caps = true,
            .new_session = true,
            .cgroup_fd = -1,
        };

        rc = ray_child_spawn(&starter->child, loop, &spec, on_supervisor_exit, starter, err);
        (void)close(ready[1]); /* the child has its own */
        starter->ready_fd = ready[0];
    }
    if (log_fd >= 0) {
        (void)close(log_fd); /* the child has its own */
    }
    return rc;
}

/* "error CODE\tTEXT\tNEXT" of the supervisor as our own error. */
static int read_failure(char *line, struct ray_err *err)
{
    char *code = line + strlen("error ");
    char *text = strchr(code, '\t');
    char *next = text == NULL ? NULL : strchr(text + 1, '\t');

    if (strncmp(line, "error ", strlen("error ")) != 0 || next == NULL) {
        return ray_fail(err, RAY_EINTERNAL, "the lab's supervisor said: %s", line);
    }
    *text = '\0';
    *next = '\0';
    (void)ray_fail(err, ray_err_from_api_code(code), "%s", text + 1);
    return ray_next(err, "%s", next + 1);
}

/* Waits for the supervisor's one line. */
static int wait_for_supervisor(struct starter *starter, const struct lab_paths *paths,
                               struct ray_err *err)
{
    struct pollfd poll_fds[] = {{.fd = starter->ready_fd, .events = POLLIN},
                                {.fd = starter->signal_fd, .events = POLLIN}};
    char line[2048];
    size_t used = 0;

    for (;;) {
        ssize_t size;
        int count = poll(poll_fds, RAY_ARRAY_COUNT(poll_fds), START_TIMEOUT_MS);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return ray_fail_errno(err, errno, "supervisor");
        }
        if (poll_fds[1].revents != 0) {
            struct signalfd_siginfo info = {0};

            starter->signum = read(starter->signal_fd, &info, sizeof info) == sizeof info
                                  ? (int)info.ssi_signo
                                  : SIGTERM;
            return ray_fail(err, RAY_ECANCELED, "interrupted");
        }
        size = count == 0 ? 0 : read(starter->ready_fd, line + used, sizeof line - 1 - used);
        if (size <= 0) {
            (void)ray_fail(err, count == 0 ? RAY_ETIMEOUT : RAY_EINTERNAL,
                           "the lab's supervisor %s",
                           count == 0 ? "does not start" : "ended at once");
            return ray_next(err, "see %s/%s", paths->dir, LAB_FILE_LOG);
        }
        used += (size_t)size;
        line[used] = '\0';
        if (line[used - 1] == '\n' || used == sizeof line - 1) {
            line[used - 1] = '\0';
            return strcmp(line, "ok") == 0 ? RAY_OK : read_failure(line, err);
        }
    }
}

/* ---- the verb ---- */

/* Starts the supervisor; on failure nothing is left running. */
static int start(const struct lab_paths *paths, const struct lab_config *config, int lock_fd,
                 int signal_fd, int *out_signal, struct ray_err *err)
{
    struct starter starter = {.ready_fd = -1, .signal_fd = signal_fd};
    struct ray_loop loop = {0};
    int rc = make_folder(paths, config, err);

    ray_child_init(&starter.child);
    rc = rc == RAY_OK ? ray_loop_init(&loop, err) : rc;
    rc = rc == RAY_OK ? spawn_supervisor(paths, lock_fd, &loop, &starter, err) : rc;
    if (rc == RAY_OK) {
        rc = wait_for_supervisor(&starter, paths, err);
        *out_signal = starter.signum;
        if (rc != RAY_OK && !starter.has_ended) {
            (void)ray_child_kill(&starter.child, SIGKILL); /* or it has ended by now */
        }
    }
    if (starter.ready_fd >= 0) {
        (void)close(starter.ready_fd); /* read only */
    }
    ray_child_fini(&starter.child);
    ray_loop_fini(&loop);
    return rc;
}

/* Signals that end us must not come between the start of the supervisor and the moment when
 * somebody looks for them: they wait. */
static int hold_signals(sigset_t *out_set, int *out_fd, struct ray_err *err)
{
    (void)sigemptyset(out_set); /* cannot fail with these numbers */
    (void)sigaddset(out_set, SIGINT);
    (void)sigaddset(out_set, SIGTERM);
    (void)sigaddset(out_set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, out_set, NULL) < 0) {
        return ray_fail_errno(err, errno, "signals");
    }
    *out_fd = signalfd(-1, out_set, SFD_CLOEXEC);
    return *out_fd < 0 ? ray_fail_errno(err, errno, "signals") : RAY_OK;
}

static int watch(const struct lab_client *client, const struct lab_config *config,
                 const sigset_t *held, struct lab_boot_times *out_times, int *out_signal,
                 struct ray_err *err)
{
    struct lab_session session = {0};
    int rc = lab_session_open(&session, client, err);

    if (rc == RAY_OK && sigprocmask(SIG_UNBLOCK, held, NULL) < 0) {
        rc = ray_fail_errno(err, errno, "signals");
    }
    rc = rc == RAY_OK ? lab_watch_boot(&session, client, config, out_times, err) : rc;
    *out_signal = session.interrupted_by;
    lab_session_close(&session);
    return rc;
}

static int fail_and_take_down(const struct lab_paths *paths, int signum, const struct ray_err *err)
{
    struct ray_err down_err = {0};
    enum lab_end end;
    int status = signum != 0 ? 128 + signum : lab_fail(err);

    if (lab_take_down(paths, signum != 0 ? "interrupted" : "the start failed", &end, &down_err) !=
        RAY_OK) {
        (void)lab_fail(&down_err);
    }
    (void)fprintf(stderr, "lab: '%s' is down; logs: %s\n", paths->name, paths->dir);
    return status;
}

static void print_outcome(const struct lab_config *config, const struct lab_boot_times *times)
{
    (void)printf("lab: %u nodes ready in %.1f s", config->node_count,
                 (double)times->ready_us / 1e6);
    if (times->quorate_us != 0) {
        uint32_t voters = lab_cluster_voters(config->node_count);

        (void)printf(", one cluster of %u %s after %.1f s", voters,
                     voters == 1 ? "voter" : "voters", (double)times->quorate_us / 1e6);
    }
    (void)printf("\n");
}

/* A context of the lab's operator, by which `lab enter -- clusterctl ...` finds the cluster. The
 * lab is up without it, too. */
static void make_context(const struct lab_client *client)
{
    static const int fds[] = {STDIN_FILENO, STDERR_FILENO, STDERR_FILENO};
    char token[LAB_PATH_SIZE];
    const char *const argv[] = {
        client->paths.program, "context", "add", client->paths.name, "--token", token, "--use"};
    struct ray_err err = {0};
    int status = 0;
    int rc = lab_path_join(token, sizeof token, client->paths.dir, LAB_FILE_TOKEN, &err);

    rc = rc == RAY_OK ? lab_enter(client, argv, RAY_ARRAY_COUNT(argv), fds, &status, &err) : rc;
    if (rc != RAY_OK) {
        (void)lab_fail(&err);
    }
    if (rc != RAY_OK || status != 0) {
        (void)fprintf(stderr, "lab: no context was made: make ctl reaches no cluster\n");
    }
}

int lab_run_up(const struct ray_args *args, void *context)
{
    struct lab_config config = {0};
    struct lab_client client = {.dir_fd = -1};
    struct ray_err err = {0};
    struct lab_boot_times times = {.ready_us = 0};
    sigset_t held;
    int signum = 0;
    int lock_fd = -1;
    int signal_fd = -1;
    int rc = lab_paths_find(&client.paths, ray_args_value(args, "name"), &err);

    (void)context;
    rc = rc == RAY_OK ? lab_up_config(args, &client.paths, &config, &err) : rc;
    rc = rc == RAY_OK ? hold_signals(&held, &signal_fd, &err) : rc;
    rc = rc == RAY_OK ? lab_lock_take(&client.paths, &lock_fd, &err) : rc;
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    rc = start(&client.paths, &config, lock_fd, signal_fd, &signum, &err);
    (void)close(lock_fd);   /* the supervisor holds it on */
    (void)close(signal_fd); /* signals still wait, for the handlers of watch */
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    if (rc == RAY_OK && !ray_args_flag(args, "detach")) {
        rc = watch(&client, &config, &held, &times, &signum, &err);
    }
    if (rc == RAY_OK && times.quorate_us != 0) {
        make_context(&client);
    }
    lab_client_close(&client);
    if (rc != RAY_OK) {
        return fail_and_take_down(&client.paths, signum, &err);
    }
    if (ray_args_flag(args, "detach")) {
        (void)printf("lab: '%s' starts %u nodes\n", client.paths.name, config.node_count);
    } else {
        print_outcome(&config, &times);
    }
    return 0;
}

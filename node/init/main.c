/* rayos-init: PID 1 of a node. See README.md for the order of boot.
 *
 *   rayos-init                 as PID 1, started by the kernel
 *   rayos-init --hosted DIR    everything below DIR, no mounts, no reboot(2): for tests and for
 *                              looking at it on a workstation; ends after an ordered shutdown
 *   .../modprobe NAME          what the kernel calls for modules (a link to this program)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/analyzer.h"
#include "node/init/emergency.h"
#include "node/init/init.h"

enum { FILE_COUNT_MAX = 65536, RETRY_S = 10 };

RAY_ANALYZER_FDS_BY_NUMBER_BEGIN

/* The kernel may start us without any descriptor; then library code would take 0, 1 and 2 for
 * other things. Before /dev is mounted an empty memory file stands in. */
static void fill_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) {
            (void)memfd_create("no-stdio", 0);
        }
    }
}

/* The console that the kernel gave us blocks: nothing may write there by accident. */
static void drop_console_fds(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        fd = memfd_create("no-stdio", MFD_CLOEXEC);
    }
    if (fd < 0) {
        return;
    }
    for (int target = STDIN_FILENO; target <= STDERR_FILENO; target++) {
        (void)dup2(fd, target);
    }
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

RAY_ANALYZER_FDS_BY_NUMBER_END

/* Those that init.c and the reaper want are taken by the loop later. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP,  SIGPIPE,   SIGALRM, SIGQUIT, SIGTSTP, SIGTTIN,
                                  SIGTTOU, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ};
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void prepare_process(void)
{
    const struct rlimit files = {FILE_COUNT_MAX, FILE_COUNT_MAX};

    (void)umask(022);
    (void)setsid();    /* PID 1 has no session of its own; fails harmlessly when it has */
    (void)!chdir("/"); /* it exists, always */
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)prctl(PR_SET_NAME, "rayos-init", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* it holds the node's key: never in a core */
    /* The pool's size is asked for by libuv once. A stuck disk must not take all threads. */
    (void)setenv("UV_THREADPOOL_SIZE", "8", 1);
}

/* Memory may be short for a moment only. */
static int start_with_patience(struct init *init, const char *root, bool is_hosted,
                               struct ray_err *err)
{
    const struct timespec delay = {.tv_sec = 1};

    for (int try = 1;; try++) {
        int rc = init_start(init, root, is_hosted, err);
        if (rc == RAY_OK) {
            return RAY_OK;
        }
        init_fini(init);
        if (try == INIT_START_COUNT) {
            return rc;
        }
        (void)nanosleep(&delay, NULL);
    }
}

/* Not even an event loop could be made: say so, and try a reboot. */
static void stay_and_reboot(const struct ray_err *err)
{
    const struct timespec delay = {.tv_sec = RETRY_S};
    int fd = open("/dev/console", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        (void)dprintf(fd, "rayos-init: cannot start: %s; reboot in %d s\n", err->text, RETRY_S);
    }
    (void)nanosleep(&delay, NULL);
    (void)reboot(RB_AUTOBOOT);
    for (;;) {
        (void)pause();
    }
}

static int run_hosted(struct init *init, const char *root)
{
    struct ray_err err = {0};
    char resolved[INIT_PATH_SIZE_MAX];
    char *path = realpath(root, NULL);

    if (path == NULL || strlen(path) >= sizeof resolved) {
        (void)fprintf(stderr, "rayos-init: %s: %s\n", root,
                      path == NULL ? strerror(errno) : "path too long");
        free(path);
        return 2;
    }
    memcpy(resolved, path, strlen(path) + 1);
    free(path);
    (void)fprintf(stderr, "rayos-init: hosted in %s; services run as this user\n", resolved);
    if (start_with_patience(init, resolved, true, &err) != RAY_OK) {
        (void)fprintf(stderr, "rayos-init: cannot start: %s\n", err.text);
        return 1;
    }
    init_run(init);
    init_fini(init);
    return 0;
}

int main(int argc, char **argv)
{
    static struct init init;
    struct ray_err err = {0};
    const char *name = argc > 0 && strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1
                       : argc > 0                                ? argv[0]
                                                                 : "";

    if (getpid() != 1 && strcmp(name, "modprobe") == 0) {
        return init_modprobe_main(argc, argv);
    }
    if (argc == 3 && strcmp(argv[1], "--hosted") == 0) {
        ignore_signals();
        return run_hosted(&init, argv[2]);
    }
    if (getpid() != 1) {
        (void)fprintf(stderr, "rayos-init is PID 1 of a node; elsewhere: "
                              "rayos-init --hosted DIR\n");
        return 2;
    }
    fill_standard_fds();
    ignore_signals();
    (void)reboot(RB_DISABLE_CAD);  /* Ctrl-Alt-Del is SIGINT from here on */
    (void)emergency_install(&err); /* without it a crash is a kernel panic, which reboots too */
    drop_console_fds();
    prepare_process();
    if (start_with_patience(&init, "", false, &err) != RAY_OK) {
        stay_and_reboot(&err);
    }
    for (;;) {
        init_run(&init); /* ends for a hosted one only */
    }
}

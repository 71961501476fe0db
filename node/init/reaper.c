#include "node/init/reaper.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/* True when a zombie was taken care of. */
static bool reap_one(struct reaper *reaper)
{
    siginfo_t info = {0};
    struct ray_child *child;

    /* WNOWAIT: look first, because our own children are reaped by their pidfd. */
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
        return errno == EINTR;
    }
    if (info.si_pid == 0) {
        return false;
    }
    child = reaper->find(reaper->arg, info.si_pid);
    if (child != NULL) {
        return ray_child_reap(child);
    }
    reaper->orphan_count++;
    return waitpid(info.si_pid, NULL, WNOHANG) == info.si_pid;
}

void reaper_run(struct reaper *reaper)
{
    for (int i = 0; i < REAPER_PER_TURN; i++) {
        if (!reap_one(reaper)) {
            return;
        }
    }
    ray_timer_start(&reaper->again, REAPER_AGAIN_MS, 0);
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    reaper_run(arg);
}

static void on_again(void *arg)
{
    reaper_run(arg);
}

int reaper_init(struct reaper *reaper, struct ray_loop *loop,
                struct ray_child *(*find)(void *arg, pid_t pid), void *arg, struct ray_err *err)
{
    int rc;

    *reaper = (struct reaper){.find = find, .arg = arg};
    rc = ray_timer_init(&reaper->again, loop, on_again, reaper, err);
    if (rc == RAY_OK) {
        rc = ray_signal_init(&reaper->signal, loop, SIGCHLD, on_signal, reaper, err);
    }
    if (rc != RAY_OK) {
        reaper_fini(reaper);
        return rc;
    }
    reaper_run(reaper); /* what ended before we listened */
    return RAY_OK;
}

void reaper_fini(struct reaper *reaper)
{
    ray_signal_fini(&reaper->signal);
    ray_timer_fini(&reaper->again);
}

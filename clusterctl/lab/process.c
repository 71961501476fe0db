/* clusterctl/lab/process.c - see process.h. */
#include "clusterctl/lab/process.h"

#include <assert.h>
#include <signal.h>
#include <sys/wait.h>

static struct lab_process *find_pid(struct lab_processes *table, pid_t pid)
{
    for (struct lab_process *process = table->first; process != NULL; process = process->next) {
        if (process->child.pid == pid) {
            return process;
        }
    }
    return NULL;
}

/* Every zombie is looked at before it is reaped: one of ours is reaped by its owner, who
 * wants to know how it ended; an orphan simply goes. */
static void on_sigchld(void *arg, int signum)
{
    struct lab_processes *table = arg;

    (void)signum;
    for (;;) {
        siginfo_t info = {0};
        struct lab_process *process;

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
            return;
        }
        process = find_pid(table, info.si_pid);
        if (process == NULL) {
            (void)waitpid(info.si_pid, NULL, WNOHANG); /* it is a zombie: cannot fail */
        } else if (!ray_child_reap(&process->child)) {
            return;
        }
    }
}

int lab_processes_init(struct lab_processes *table, struct ray_loop *loop, struct ray_err *err)
{
    *table = (struct lab_processes){.loop = loop};
    return ray_signal_init(&table->sigchld, loop, SIGCHLD, on_sigchld, table, err);
}

void lab_processes_fini(struct lab_processes *table)
{
    while (table->first != NULL) {
        struct lab_process *process = table->first;

        table->first = process->next;
        ray_timer_fini(&process->deadline);
        ray_child_fini(&process->child);
        process->table = NULL;
    }
    ray_signal_fini(&table->sigchld);
}

static void unlink_process(struct lab_process *process)
{
    struct lab_process **link = &process->table->first;

    while (*link != process) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = process->next;
    process->next = NULL;
    process->table = NULL;
}

static void on_child_exit(void *arg, const struct ray_child_exit *how)
{
    struct lab_process *process = arg;

    ray_timer_fini(&process->deadline);
    unlink_process(process);
    process->on_exit(process->arg, how);
}

static void on_deadline(void *arg)
{
    struct lab_process *process = arg;

    (void)ray_child_kill(&process->child, SIGKILL); /* gone: then its exit is on its way */
}

int lab_process_start(struct lab_process *process, struct lab_processes *table,
                      const struct ray_child_spec *spec,
                      void (*on_exit)(void *arg, const struct ray_child_exit *how), void *arg,
                      struct ray_err *err)
{
    int rc;

    assert(process->table == NULL);
    *process = (struct lab_process){.on_exit = on_exit, .arg = arg};
    ray_child_init(&process->child);
    rc = ray_timer_init(&process->deadline, table->loop, on_deadline, process, err);
    if (rc == RAY_OK) {
        rc = ray_child_spawn(&process->child, table->loop, spec, on_child_exit, process, err);
    }
    if (rc != RAY_OK) {
        ray_timer_fini(&process->deadline);
        return rc;
    }
    process->table = table;
    process->next = table->first;
    table->first = process;
    return RAY_OK;
}

bool lab_process_is_running(const struct lab_process *process)
{
    return process->table != NULL;
}

void lab_process_stop(struct lab_process *process, uint64_t grace_ms)
{
    if (!lab_process_is_running(process)) {
        return;
    }
    process->is_stopping = true;
    if (grace_ms == 0) {
        (void)ray_child_kill(&process->child, SIGKILL);
        return;
    }
    (void)ray_child_kill(&process->child, SIGCONT);
    (void)ray_child_kill(&process->child, SIGTERM);
    ray_timer_start(&process->deadline, grace_ms, 0);
}

bool lab_processes_other_run(const struct lab_processes *table, const struct lab_process *a,
                             const struct lab_process *b)
{
    for (const struct lab_process *at = table->first; at != NULL; at = at->next) {
        if (at != a && at != b) {
            return true;
        }
    }
    return false;
}

void lab_processes_stop_others(struct lab_processes *table, const struct lab_process *a,
                               const struct lab_process *b, uint64_t grace_ms)
{
    for (struct lab_process *at = table->first; at != NULL; at = at->next) {
        if (at != a && at != b) {
            lab_process_stop(at, grace_ms); /* its end comes later, from the loop */
        }
    }
}

int lab_process_signal(struct lab_process *process, int signum, struct ray_err *err)
{
    int rc =
        lab_process_is_running(process) ? ray_child_kill(&process->child, signum) : RAY_ENOTFOUND;

    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "signal %d: the process has ended", signum);
}

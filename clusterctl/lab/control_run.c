/* clusterctl/lab/control_run.c - lab.run: a command of the operator inside the lab's
 * namespaces, with the operator's own standard input and outputs.
 *
 * The supervisor starts it, because it alone can: an ordinary user's second call has a user
 * namespace of its own, from which the kernel lets nobody into the lab's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/control_internal.h"

enum { RUN_GRACE_MS = 2000, RUN_FD_COUNT = 3 };

struct lab_run {
    struct lab_run *next;
    struct lab *lab;
    struct ray_rpc_call *call; /* NULL: the caller has left */
    pid_t caller;
    struct lab_process process;
};

static void run_free(struct lab_run *run)
{
    struct lab_run **link = &run->lab->control->runs;

    while (*link != run) {
        link = &(*link)->next;
    }
    *link = run->next;
    free(run);
}

static void on_exit_of_run(void *arg, const struct ray_child_exit *how)
{
    struct lab_run *run = arg;
    struct lab *lab = run->lab;

    if (run->call != NULL) {
        Rayos__Lab__RunReply body = RAYOS__LAB__RUN_REPLY__INIT;

        body.is_signaled = how->is_signaled;
        body.status = how->status;
        (void)ray_rpc_reply(run->call, &body.base); /* gone: nobody wants it */
    }
    run_free(run);
    lab_check_stopped(lab);
}

static void on_cancel(void *arg)
{
    struct lab_run *run = arg;

    run->call = NULL;
    lab_process_stop(&run->process, RUN_GRACE_MS);
}

/* The program's absolute path: as given when it has a slash, else looked up in PATH. */
static int find_program(const Rayos__Lab__RunRequest *request, char *out, size_t out_size,
                        struct ray_err *err)
{
    const char *name = request->argv[0];
    const char *path = getenv("PATH");

    if (strchr(name, '/') != NULL) {
        const char *folder = name[0] == '/' ? "" : request->directory;

        return lab_path_join(out, out_size, folder, name[0] == '/' ? name + 1 : name, err);
    }
    while (path != NULL && *path != '\0') {
        size_t size = strcspn(path, ":");

        if ((size_t)snprintf(out, out_size, "%.*s/%s", (int)size, path, name) < out_size &&
            access(out, X_OK) == 0) {
            return RAY_OK;
        }
        path += size + (path[size] == ':' ? 1 : 0);
    }
    return ray_fail(err, RAY_ENOTFOUND, "%s: no such command", name);
}

static int start(struct lab_run *run, const Rayos__Lab__RunRequest *request, struct ray_err *err)
{
    struct ray_child_fd fds[RUN_FD_COUNT];
    struct lab_argv argv;
    struct lab_argv env;
    char program[LAB_PATH_SIZE];
    int rc;

    lab_argv_init(&argv);
    lab_argv_init(&env);
    for (size_t i = 0; i < request->n_argv; i++) {
        lab_argv_push(&argv, "%s", request->argv[i]);
    }
    for (size_t i = 0; i < request->n_env; i++) {
        lab_argv_push(&env, "%s", request->env[i]);
    }
    for (int i = 0; i < RUN_FD_COUNT; i++) {
        fds[i] = (struct ray_child_fd){ray_rpc_call_take_fd(run->call, (size_t)i), i};
    }
    rc = request->n_argv == 0 ? ray_fail(err, RAY_EINVAL, "no command") : RAY_OK;
    if (run->lab->state == LAB_STATE_STOPPING) {
        rc = ray_fail(err, RAY_ECONFLICT, "the lab is going down");
    }
    rc = rc == RAY_OK ? lab_argv_check(&argv, err) : rc;
    rc = rc == RAY_OK ? lab_argv_check(&env, err) : rc;
    rc = rc == RAY_OK ? find_program(request, program, sizeof program, err) : rc;
    if (rc == RAY_OK) {
        const struct ray_child_spec spec = {
            .path = program,
            .argv = argv.items,
            .envp = env.items,
            .dir = request->directory,
            .fds = fds,
            .fd_count = RUN_FD_COUNT,
            .keeps_all_caps = true,
            .new_session = true,
            .cgroup_fd = -1,
        };

        rc =
            lab_process_start(&run->process, &run->lab->processes, &spec, on_exit_of_run, run, err);
    }
    for (int i = 0; i < RUN_FD_COUNT; i++) {
        if (fds[i].fd >= 0) {
            (void)close(fds[i].fd);
        }
    }
    lab_argv_fini(&env);
    lab_argv_fini(&argv);
    return rc;
}

void lab_method_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct lab *lab = arg;
    struct lab_run *run = calloc(1, sizeof *run);
    struct ray_err err = {0};
    int rc;

    if (run == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "run");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    run->lab = lab;
    run->call = call;
    run->caller = ray_rpc_call_peer(call)->pid;
    rc = start(run, (const Rayos__Lab__RunRequest *)input, &err);
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err);
        free(run);
        return;
    }
    run->next = lab->control->runs;
    lab->control->runs = run;
    ray_rpc_call_on_cancel(call, on_cancel, run);
}

void lab_method_run_signal(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__RunSignalRequest *request = (const Rayos__Lab__RunSignalRequest *)input;
    struct lab *lab = arg;
    pid_t caller = ray_rpc_call_peer(call)->pid;

    for (struct lab_run *run = lab->control->runs; run != NULL; run = run->next) {
        if (run->caller == caller && request->signal > 0 && request->signal < NSIG) {
            (void)lab_process_signal(&run->process, request->signal, NULL); /* or it ended */
        }
    }
    lab_reply_done(call);
}

/* clusterctl/lab/verbs/enter.c - `lab enter -- CMD`: a command in the lab's namespaces, with
 * our standard input and outputs, environment and working directory. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clusterctl/lab/verbs/session.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

enum { STATUS_SIGNAL = 128 };

extern char **environ;

const struct ray_args_option lab_enter_options[] = {LAB_NAME_OPTION, {0}};

static void on_signal_sent(void *arg, const struct ray_rpc_result *result)
{
    (void)arg;
    (void)result; /* the command's own end is what counts */
}

/* Our signals are the command's. */
static void on_interrupt(void *arg)
{
    struct lab_session *session = arg;
    Rayos__Lab__RunSignalRequest request = RAYOS__LAB__RUN_SIGNAL_REQUEST__INIT;

    request.signal = session->interrupted_by;
    (void)ray_rpc_call_start(session->client, "lab.run_signal", &request.base, NULL, 0,
                             &rayos__lab__done__descriptor, LAB_CALL_TIMEOUT_MS, NULL,
                             on_signal_sent, session, NULL, NULL);
}

struct environment {
    char config[LAB_PATH_SIZE + 32];
    char context[LAB_NAME_SIZE + 32];
    char **entries; /* to be freed; the strings are borrowed */
    size_t count;
};

static bool is_operators(const char *entry)
{
    return strncmp(entry, "XDG_CONFIG_HOME=", strlen("XDG_CONFIG_HOME=")) == 0 ||
           strncmp(entry, "RAYOS_CONTEXT=", strlen("RAYOS_CONTEXT=")) == 0;
}

/* Ours, with the lab's operator in place of ours: `clusterctl cluster status` there asks the lab's
 * cluster. */
static int make_environment(const struct lab_client *client, struct environment *env,
                            struct ray_err *err)
{
    size_t count = 0;

    while (environ[count] != NULL) {
        count++;
    }
    env->entries = calloc(count + 2, sizeof(*env->entries));
    if (env->entries == NULL) {
        return ray_fail(err, RAY_ENOMEM, "environment");
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_operators(environ[i])) {
            env->entries[env->count++] = environ[i];
        }
    }
    (void)snprintf(env->config, sizeof env->config, "XDG_CONFIG_HOME=%s/" LAB_DIR_CONFIG,
                   client->paths.dir);
    (void)snprintf(env->context, sizeof env->context, "RAYOS_CONTEXT=%s", client->paths.name);
    env->entries[env->count++] = env->config;
    env->entries[env->count++] = env->context;
    return RAY_OK;
}

static int call_run(const struct lab_client *client, Rayos__Lab__RunRequest *request,
                    const int fds[static 3], int *out_status, struct ray_err *err)
{
    const struct lab_call call = {
        .method = "lab.run",
        .input = &request->base,
        .fds = fds,
        .fd_count = 3,
        .output = &rayos__lab__run_reply__descriptor,
    };
    struct lab_session session = {0};
    ProtobufCMessage *body = NULL;
    int rc = lab_session_open(&session, client, err);

    if (rc == RAY_OK) {
        session.on_interrupt = on_interrupt;
        session.interrupt_arg = &session;
        rc = lab_session_call(&session, &call, &body, err);
    }
    lab_session_close(&session);
    if (rc == RAY_OK) {
        const Rayos__Lab__RunReply *reply = (const Rayos__Lab__RunReply *)body;

        *out_status = reply->is_signaled ? STATUS_SIGNAL + reply->status : reply->status;
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

int lab_enter(const struct lab_client *client, const char *const *argv, size_t argv_count,
              const int fds[static 3], int *out_status, struct ray_err *err)
{
    Rayos__Lab__RunRequest request = RAYOS__LAB__RUN_REQUEST__INIT;
    struct environment env = {.count = 0};
    char directory[LAB_PATH_SIZE];
    int rc;

    if (getcwd(directory, sizeof directory) == NULL) {
        return ray_fail_errno(err, errno, "working directory");
    }
    rc = make_environment(client, &env, err);
    if (rc == RAY_OK) {
        request.argv = (char **)(uintptr_t)argv;
        request.n_argv = argv_count;
        request.directory = directory;
        request.env = env.entries;
        request.n_env = env.count;
        rc = call_run(client, &request, fds, out_status, err);
    }
    free(env.entries);
    return rc;
}

int lab_run_enter(const struct ray_args *args, void *context)
{
    static const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct lab_client client;
    struct ray_err err = {0};
    int status = 0;
    int rc = lab_client_open(&client, args, &err);

    (void)context;
    rc = rc == RAY_OK
             ? lab_enter(&client, args->positionals, args->positional_count, fds, &status, &err)
             : rc;
    lab_client_close(&client);
    return rc == RAY_OK ? status : lab_fail(&err);
}

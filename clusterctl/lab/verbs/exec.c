/* clusterctl/lab/verbs/exec.c - `lab exec` and `lab ping`: the test agent of a node. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/lab/verbs/session.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

enum { INPUT_SIZE_MAX = 512 << 10, STATUS_SIGNAL = 128, STATUS_TIMEOUT = 124 };

#define AGENT_TIMEOUT_OPTION                                                                       \
    {.name = "agent-timeout",                                                                      \
     .value_name = "SECONDS",                                                                      \
     .default_value = "30",                                                                        \
     .help = "how long to wait for the node's test agent"}

const struct ray_args_option lab_exec_options[] = {
    LAB_NAME_OPTION,
    {.name = "timeout",
     .value_name = "SECONDS",
     .default_value = "0",
     .help = "kill the command after that; 0: never"},
    {.name = "input", .short_name = 'i', .help = "give it our standard input (512 KiB at most)"},
    AGENT_TIMEOUT_OPTION,
    {0},
};

const struct ray_args_option lab_ping_options[] = {
    LAB_NAME_OPTION, AGENT_TIMEOUT_OPTION, OUTPUT_OPTION, {0}};

/* All of our standard input, in a file of no name. */
static int read_input(int *out_fd, struct ray_err *err)
{
    int fd = memfd_create("lab-exec-input", MFD_CLOEXEC);
    char bytes[16384];
    size_t total = 0;
    ssize_t size;
    int rc = fd < 0 ? ray_fail_errno(err, errno, "standard input") : RAY_OK;

    while (rc == RAY_OK && (size = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
        if (size < 0 || write(fd, bytes, (size_t)size) != size) {
            rc = ray_fail_errno(err, errno, "standard input");
        } else if ((size_t)size > INPUT_SIZE_MAX - total) {
            rc = ray_fail(err, RAY_ETOOBIG, "standard input has more than %d KiB",
                          INPUT_SIZE_MAX >> 10);
        } else {
            total += (size_t)size;
        }
    }
    if (rc != RAY_OK && fd >= 0) {
        (void)close(fd); /* a memfd: nothing to lose */
    } else if (rc == RAY_OK) {
        *out_fd = fd;
    }
    return rc;
}

static void on_output(void *arg, const ProtobufCMessage *message)
{
    const Rayos__Lab__ExecItem *item = (const Rayos__Lab__ExecItem *)message;
    FILE *stream = item->stream == 2 ? stderr : stdout;

    (void)arg;
    (void)fwrite(item->data.data, 1, item->data.len, stream); /* ferror is looked at last */
    (void)fflush(stream);
}

static int exec_status(const Rayos__Lab__ExecItem *end)
{
    if (end->timed_out) {
        (void)fprintf(stderr, "clusterctl: the command was killed at its time limit\n");
        return STATUS_TIMEOUT;
    }
    return end->is_signaled ? STATUS_SIGNAL + end->status : end->status;
}

int lab_run_exec(const struct ray_args *args, void *context)
{
    Rayos__Lab__ExecRequest request = RAYOS__LAB__EXEC_REQUEST__INIT;
    struct lab_client client = {.dir_fd = -1};
    struct lab_session session = {0};
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    uint64_t timeout_s = 0;
    uint64_t agent_timeout_s = 0;
    int fd = -1;
    int status = 0;
    int rc = lab_option_u64(args, "timeout", 0, 86400, &timeout_s, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_option_u64(args, "agent-timeout", 0, 3600, &agent_timeout_s, &err) : rc;
    if (rc == RAY_OK && ray_args_flag(args, "input")) {
        rc = read_input(&fd, &err);
    }
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    rc = rc == RAY_OK ? lab_session_open(&session, &client, &err) : rc;
    if (rc == RAY_OK) {
        const struct lab_call call = {
            .method = "lab.exec",
            .input = &request.base,
            .fds = &fd,
            .fd_count = fd >= 0 ? 1 : 0,
            .output = &rayos__lab__exec_item__descriptor,
            .on_item = on_output,
        };

        request.node = (char *)(uintptr_t)args->positionals[0];
        request.argv = (char **)(uintptr_t)&args->positionals[1];
        request.n_argv = args->positional_count - 1;
        request.timeout_ms = timeout_s * 1000;
        request.agent_timeout_ms = agent_timeout_s * 1000;
        request.has_input = fd >= 0;
        rc = lab_session_call(&session, &call, &body, &err);
    }
    if (rc == RAY_OK) {
        status = exec_status((const Rayos__Lab__ExecItem *)body);
        protobuf_c_message_free_unpacked(body, NULL);
    } else if (session.interrupted_by != 0) {
        status = STATUS_SIGNAL + session.interrupted_by;
    } else {
        status = lab_fail(&err);
    }
    lab_session_close(&session);
    lab_client_close(&client);
    if (fd >= 0) {
        (void)close(fd); /* a memfd: nothing to lose */
    }
    return status;
}

int lab_run_ping(const struct ray_args *args, void *context)
{
    Rayos__Lab__PingRequest request = RAYOS__LAB__PING_REQUEST__INIT;
    static const struct output_view view = {.name_key = "boottime_ns"};
    struct lab_client client = {.dir_fd = -1};
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    uint64_t agent_timeout_s = 0;
    int status;
    int rc = lab_option_u64(args, "agent-timeout", 0, 3600, &agent_timeout_s, &err);

    (void)context;
    request.node = (char *)(uintptr_t)args->positionals[0];
    request.agent_timeout_ms = agent_timeout_s * 1000;
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    if (rc == RAY_OK) {
        rc =
            lab_client_call(&client, "lab.ping", &request.base, &rayos__lab__ping_reply__descriptor,
                            request.agent_timeout_ms + LAB_CALL_TIMEOUT_MS, &body, &err);
    }
    lab_client_close(&client);
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    status = output_message(args, body, &view);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

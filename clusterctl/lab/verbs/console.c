/* clusterctl/lab/verbs/console.c - `lab console NODE`: history first, then both ways, until
 * Ctrl-] or the end of our input. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "clusterctl/lab/verbs/session.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"
#include "net/proto_codec.h"

enum { LEAVE_KEY = 0x1d, HISTORY_SIZE = 16 << 10 };

const struct ray_args_option lab_console_options[] = {LAB_NAME_OPTION, {0}};

struct console {
    struct lab_session *session;
    struct ray_poll input;
    struct ray_timer no_input; /* the first turn, when there is nothing to wait for */
    char *node;
    bool has_left;
};

static void on_data(void *arg, const ProtobufCMessage *message)
{
    const Rayos__Lab__ConsoleData *item = (const Rayos__Lab__ConsoleData *)message;

    (void)arg;
    if (item->lost_bytes > 0) {
        (void)printf("\r\n[%llu bytes were lost]\r\n", (unsigned long long)item->lost_bytes);
    }
    (void)fwrite(item->data.data, 1, item->data.len, stdout); /* a broken pipe ends us below */
    (void)fflush(stdout);
}

static void stop_input(struct console *console)
{
    if (console->input.uv != NULL) {
        (void)ray_poll_set(&console->input, 0); /* fails only for a bad descriptor */
    }
}

static void leave(struct console *console)
{
    console->has_left = true;
    stop_input(console);
    ray_rpc_call_cancel(console->session->client, console->session->call_id);
}

static void on_written(void *arg, const struct ray_rpc_result *result)
{
    (void)arg;
    if (result->code != RAY_OK && result->code != RAY_ECANCELED) {
        (void)fprintf(stderr, "\r\n[%s]\r\n", result->text);
    }
}

static void send_input(struct console *console, uint8_t *bytes, size_t size,
                       void (*on_end)(void *arg, const struct ray_rpc_result *result))
{
    Rayos__Lab__ConsoleWriteRequest request = RAYOS__LAB__CONSOLE_WRITE_REQUEST__INIT;

    request.node = console->node;
    request.data = ray_proto_bytes(bytes, size);
    if (ray_rpc_call_start(console->session->client, "lab.console_write", &request.base, NULL, 0,
                           &rayos__lab__done__descriptor, LAB_CALL_TIMEOUT_MS, NULL, on_end,
                           console, NULL, NULL) != RAY_OK) {
        leave(console); /* the supervisor does not keep up or is gone */
    }
}

static void on_last_answer(void *arg, const struct ray_rpc_result *result)
{
    (void)result; /* whatever it says, it came after all that was shown before */
    leave(arg);
}

/* The answer to an empty write comes behind the history and all that is shown by now. */
static void end_input(void *arg)
{
    uint8_t nothing = 0;

    send_input(arg, &nothing, 0, on_last_answer);
}

static void on_input(void *arg, int status, int events)
{
    struct console *console = arg;
    uint8_t bytes[1024];
    uint8_t *key;
    ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);

    (void)status; /* read tells the same */
    (void)events;
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    key = size > 0 ? memchr(bytes, LEAVE_KEY, (size_t)size) : NULL;
    if (key != NULL) {
        size = key - bytes;
    }
    if (size > 0) {
        send_input(console, bytes, (size_t)size, on_written);
    }
    if (key != NULL) {
        leave(console);
    } else if (size <= 0) {
        stop_input(console);
        end_input(console);
    }
}

/* false: standard input is no terminal and stays as it is. */
static bool terminal_raw(struct termios *before)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before) < 0) {
        return false;
    }
    raw = *before;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Bytes from a file or /dev/null cannot be waited for; then there is no input. */
static int watch_input(struct console *console, struct ray_err *err)
{
    struct ray_loop *loop = &console->session->loop;
    int rc = ray_timer_init(&console->no_input, loop, end_input, console, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_poll_init(&console->input, loop, STDIN_FILENO, on_input, console, NULL) == RAY_OK) {
        return ray_poll_set(&console->input, UV_READABLE);
    }
    ray_timer_start(&console->no_input, 0, 0);
    return RAY_OK;
}

int lab_run_console(const struct ray_args *args, void *context)
{
    Rayos__Lab__ConsoleRequest request = RAYOS__LAB__CONSOLE_REQUEST__INIT;
    struct console console = {.node = (char *)(uintptr_t)args->positionals[0]};
    struct lab_client client = {.dir_fd = -1};
    struct lab_session session = {0};
    struct termios before;
    struct ray_err err = {0};
    bool is_raw = false;
    int rc = lab_client_open(&client, args, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_session_open(&session, &client, &err) : rc;
    if (rc == RAY_OK) {
        const struct lab_call call = {
            .method = "lab.console",
            .input = &request.base,
            .output = &rayos__lab__console_data__descriptor,
            .on_item = on_data,
            .arg = &session,
        };

        console.session = &session;
        request.node = console.node;
        request.history_bytes_max = HISTORY_SIZE;
        request.follow = true;
        is_raw = terminal_raw(&before);
        if (is_raw) {
            (void)printf("[console of %s; Ctrl-] leaves]\r\n", console.node);
        }
        rc = watch_input(&console, &err);
        rc = rc == RAY_OK ? lab_session_call(&session, &call, NULL, &err) : rc;
        ray_poll_fini(&console.input);
        ray_timer_fini(&console.no_input);
    }
    if (is_raw) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before); /* the terminal is gone: so be it */
        (void)printf("\r\n");
    }
    lab_session_close(&session);
    lab_client_close(&client);
    return rc == RAY_OK || console.has_left || session.interrupted_by != 0 ? 0 : lab_fail(&err);
}

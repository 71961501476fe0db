/* qmp_test.c - the client against a scripted peer, and against a real QEMU without a machine. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "clusterctl/lab/qmp.h"
#include "clusterctl/lab/qmp_message.h"

enum { TIMEOUT_MS = 60000, EVENT_COUNT_MAX = 8 };

static const char greeting[] = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

struct rig {
    struct ray_loop loop;
    struct ray_qmp *qmp;
    int peer_fd; /* -1: a real QEMU is there */
    struct ray_timer guard;
    bool has_timed_out;
    bool is_ready;
    unsigned reply_count;
    int reply_rc;
    char reply[RAY_ERR_TEXT_SIZE];
    char events[EVENT_COUNT_MAX][32];
    size_t event_count;
    uint64_t event_t_us;
    int close_code;
    char close_text[RAY_ERR_TEXT_SIZE];
    bool destroys_in_reply;
    bool destroys_in_event;
    bool destroys_in_close;
    bool repeats_in_reply;
};

static void on_ready(void *arg)
{
    ((struct rig *)arg)->is_ready = true;
}

static void end(struct rig *rig)
{
    ray_qmp_destroy(rig->qmp);
    rig->qmp = NULL;
}

static void on_event(void *arg, const char *name, yyjson_val *data, uint64_t t_us)
{
    struct rig *rig = arg;

    (void)data;
    assert_true(rig->event_count < EVENT_COUNT_MAX);
    (void)snprintf(rig->events[rig->event_count++], sizeof rig->events[0], "%s", name);
    rig->event_t_us = t_us;
    if (rig->destroys_in_event) {
        end(rig);
    }
}

static void on_close(void *arg, const struct ray_err *err)
{
    struct rig *rig = arg;

    assert_int_equal(rig->close_code, RAY_OK); /* once */
    rig->close_code = err->code;
    (void)snprintf(rig->close_text, sizeof rig->close_text, "%s", err->text);
    if (rig->destroys_in_close) {
        end(rig);
    }
}

static void on_reply(void *arg, int rc, yyjson_val *value, const struct ray_err *err)
{
    struct rig *rig = arg;
    char *text;

    rig->reply_count++;
    rig->reply_rc = rc;
    if (rc == RAY_OK) {
        text = yyjson_val_write(value, 0, NULL);
        assert_non_null(text);
        (void)snprintf(rig->reply, sizeof rig->reply, "%s", text);
        free(text);
    } else {
        (void)snprintf(rig->reply, sizeof rig->reply, "%s", err->text);
    }
    if (rig->destroys_in_reply) {
        end(rig);
    } else if (rig->repeats_in_reply) {
        rig->repeats_in_reply = false;
        (void)ray_qmp_execute(rig->qmp, "again", NULL, TIMEOUT_MS, on_reply, rig, NULL);
    }
}

static void on_guard(void *arg)
{
    ((struct rig *)arg)->has_timed_out = true;
}

static void up_on(struct rig *rig, int fd)
{
    const struct ray_qmp_handlers handlers = {
        .on_ready = on_ready, .on_event = on_event, .on_close = on_close};

    assert_int_equal(ray_timer_init(&rig->guard, &rig->loop, on_guard, rig, NULL), RAY_OK);
    ray_timer_start(&rig->guard, TIMEOUT_MS, 0);
    assert_int_equal(ray_qmp_create(&rig->qmp, &rig->loop, fd, &handlers, rig, NULL), RAY_OK);
}

static void up(struct rig *rig)
{
    int fds[2];

    *rig = (struct rig){0};
    assert_int_equal(ray_loop_init(&rig->loop, NULL), RAY_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig->peer_fd = fds[1];
    up_on(rig, fds[0]);
}

static void down(struct rig *rig)
{
    ray_qmp_destroy(rig->qmp);
    ray_timer_fini(&rig->guard);
    ray_loop_fini(&rig->loop);
    if (rig->peer_fd >= 0) {
        (void)close(rig->peer_fd);
    }
    assert_false(rig->has_timed_out);
}

#define UNTIL(rig, condition)                                                                      \
    do {                                                                                           \
        while (!(condition) && !(rig)->has_timed_out) {                                            \
            ray_loop_once(&(rig)->loop);                                                           \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void say(struct rig *rig, const char *text)
{
    assert_int_equal(send(rig->peer_fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the client has sent by now, as one line. */
static void hear(struct rig *rig, const char *want)
{
    char text[512];
    ssize_t size = 0;

    while (size <= 0 && !rig->has_timed_out) {
        ray_loop_once(&rig->loop);
        size = recv(rig->peer_fd, text, sizeof text - 1, MSG_DONTWAIT);
    }
    assert_true(size > 0);
    text[size] = '\0';
    assert_string_equal(text, want);
}

static void shake_hands(struct rig *rig)
{
    say(rig, greeting);
    hear(rig, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
    say(rig, "{\"return\": {}, \"id\": 0}\r\n");
    UNTIL(rig, rig->is_ready);
}

static int execute(struct rig *rig, const char *command, const char *arguments)
{
    return ray_qmp_execute(rig->qmp, command, arguments, TIMEOUT_MS, on_reply, rig, NULL);
}

static void test_conversation(void **state)
{
    struct rig rig;
    (void)state;

    up(&rig);
    assert_false(ray_qmp_is_ready(rig.qmp));
    assert_int_equal(execute(&rig, "early", NULL), RAY_OK); /* waits for the greeting */
    shake_hands(&rig);
    assert_true(ray_qmp_is_ready(rig.qmp));
    hear(&rig, "{\"execute\":\"early\",\"id\":1}\n");
    say(&rig, "{\"return\": {\"a\": 1}, \"id\": 1}\r\n");
    UNTIL(&rig, rig.reply_count == 1);
    assert_int_equal(rig.reply_rc, RAY_OK);
    assert_string_equal(rig.reply, "{\"a\":1}");
    assert_int_equal(execute(&rig, "set_link", "{\"name\": \"net0\", \"up\": false}"), RAY_OK);
    hear(&rig,
         "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"net0\",\"up\":false},\"id\":2}\n");
    say(&rig, "{\"id\": 2, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no net0\"}}\n");
    UNTIL(&rig, rig.reply_count == 2);
    assert_int_equal(rig.reply_rc, RAY_ENOTFOUND);
    assert_string_equal(rig.reply, "no net0");
    /* Two commands, answered the other way round, an event in between, in pieces. */
    assert_int_equal(execute(&rig, "one", NULL), RAY_OK);
    assert_int_equal(execute(&rig, "two", NULL), RAY_OK);
    hear(&rig, "{\"execute\":\"one\",\"id\":3}\n{\"execute\":\"two\",\"id\":4}\n");
    say(&rig, "{\"return\": 4, \"id\": 4}\n{\"timestamp\": {\"seconds\": 17, \"microsec");
    UNTIL(&rig, rig.reply_count == 3);
    assert_string_equal(rig.reply, "4");
    say(&rig, "onds\": 5}, \"event\": \"RESET\", \"data\": {}}\n{\"return\": 3, \"id\": 3}\n");
    UNTIL(&rig, rig.reply_count == 4);
    assert_string_equal(rig.reply, "3");
    assert_int_equal(rig.event_count, 1);
    assert_string_equal(rig.events[0], "RESET");
    assert_int_equal(rig.event_t_us, 17000005);
    down(&rig);
}

static void test_bytewise(void **state)
{
    static const char text[] = "{\"return\": {}, \"id\": 0}\r\n\r\n{\"event\": \"STOP\"}\r\n";
    struct rig rig;
    (void)state;

    up(&rig);
    for (size_t i = 0; i < sizeof greeting - 1; i++) {
        say(&rig, (char[]){greeting[i], '\0'});
        ray_loop_once(&rig.loop);
    }
    hear(&rig, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(rig.event_count, 0);
        say(&rig, (char[]){text[i], '\0'});
        ray_loop_once(&rig.loop);
    }
    UNTIL(&rig, rig.event_count == 1);
    assert_int_equal(rig.event_t_us, 0);
    down(&rig);
}

static void test_timeout(void **state)
{
    struct rig rig;
    (void)state;

    up(&rig);
    shake_hands(&rig);
    assert_int_equal(ray_qmp_execute(rig.qmp, "slow", NULL, 1, on_reply, &rig, NULL), RAY_OK);
    assert_int_equal(execute(&rig, "other", NULL), RAY_OK);
    UNTIL(&rig, rig.reply_count == 1);
    assert_int_equal(rig.reply_rc, RAY_ETIMEOUT);
    /* The late reply disturbs nobody. */
    say(&rig, "{\"return\": 1, \"id\": 1}\n{\"return\": 2, \"id\": 2}\n");
    UNTIL(&rig, rig.reply_count == 2);
    assert_string_equal(rig.reply, "2");
    assert_int_equal(rig.close_code, RAY_OK);
    down(&rig);
}

static void test_bad_peers(void **state)
{
    static const struct {
        const char *says;
        int code;
        const char *why;
    } table[] = {
        {"hello\n", RAY_EMALFORMED, "hello"},
        {"[1]\n", RAY_EMALFORMED, "neither reply nor event"},
        {"{}\n", RAY_EMALFORMED, "neither reply nor event"},
        {"{\"QMP\": 1}\n", RAY_EMALFORMED, "neither reply nor event"},
        {"{\"event\": 5}\n", RAY_EMALFORMED, "neither reply nor event"},
        {"{\"error\": {\"class\": \"X\"}}\n", RAY_EMALFORMED, "neither reply nor event"},
        {"{\"return\": {}}\n", RAY_EMALFORMED, "without id"},
        {"{\"return\": {}, \"id\": 0}\n", RAY_EMALFORMED, "answered twice"},
        {"{\"return\": {}, \"id\": -1}\n", RAY_EMALFORMED, "without id"},
        {"{\"error\": {\"class\": \"G\", \"desc\": \"parse error\"}}\n", RAY_EMALFORMED,
         "parse error"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rig rig;

        up(&rig);
        assert_int_equal(execute(&rig, "x", NULL), RAY_OK);
        say(&rig, table[i].says);
        UNTIL(&rig, rig.close_code != RAY_OK);
        assert_int_equal(rig.close_code, table[i].code);
        if (strstr(rig.close_text, table[i].why) == NULL) {
            fail_msg("%s: %s", table[i].says, rig.close_text);
        }
        assert_int_equal(rig.reply_count, 1); /* before on_close */
        assert_int_equal(rig.reply_rc, table[i].code);
        assert_int_equal(execute(&rig, "y", NULL), RAY_ECLOSED);
        down(&rig);
    }
}

static void test_greeted_twice_and_closed(void **state)
{
    struct rig rig;
    (void)state;

    up(&rig);
    shake_hands(&rig);
    say(&rig, greeting);
    UNTIL(&rig, rig.close_code == RAY_EMALFORMED);
    down(&rig);
    up(&rig);
    shake_hands(&rig);
    assert_int_equal(execute(&rig, "x", NULL), RAY_OK);
    (void)close(rig.peer_fd);
    rig.peer_fd = -1;
    UNTIL(&rig, rig.close_code == RAY_ECLOSED);
    assert_int_equal(rig.reply_rc, RAY_ECLOSED);
    down(&rig);
    up(&rig); /* the words before the end are heard */
    shake_hands(&rig);
    say(&rig, "{\"event\": \"SHUTDOWN\"}\n");
    (void)close(rig.peer_fd);
    rig.peer_fd = -1;
    UNTIL(&rig, rig.close_code == RAY_ECLOSED);
    assert_int_equal(rig.event_count, 1);
    down(&rig);
}

static void test_endless_line(void **state)
{
    char *text = malloc(RAY_QMP_INPUT_SIZE_MAX);
    size_t sent = 0;
    struct rig rig;
    (void)state;

    assert_non_null(text);
    memset(text, '[', RAY_QMP_INPUT_SIZE_MAX);
    up(&rig);
    while (rig.close_code == RAY_OK && !rig.has_timed_out) {
        ssize_t n = sent < RAY_QMP_INPUT_SIZE_MAX
                        ? send(rig.peer_fd, text, RAY_QMP_INPUT_SIZE_MAX - sent,
                               MSG_DONTWAIT | MSG_NOSIGNAL)
                        : send(rig.peer_fd, "[", 1, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        ray_loop_once(&rig.loop);
    }
    assert_int_equal(rig.close_code, RAY_EMALFORMED);
    assert_non_null(strstr(rig.close_text, "more than 1048576 bytes"));
    down(&rig);
    free(text);
}

static void test_limits(void **state)
{
    struct rig rig;
    char *large = malloc(RAY_QMP_OUTPUT_SIZE_MAX);
    (void)state;

    assert_non_null(large);
    up(&rig);
    assert_int_equal(execute(&rig, "x", "[]"), RAY_EINVAL);
    assert_int_equal(execute(&rig, "x", "{"), RAY_EINVAL);
    memset(large, 'a', RAY_QMP_OUTPUT_SIZE_MAX);
    (void)snprintf(large, 7, "{\"a\":\"");
    large[6] = 'a'; /* where the NUL was */
    (void)snprintf(large + RAY_QMP_OUTPUT_SIZE_MAX - 3, 3, "\"}");
    assert_int_equal(execute(&rig, "x", large), RAY_ETOOBIG);
    for (int i = 0; i < RAY_QMP_PENDING_COUNT_MAX; i++) {
        assert_int_equal(execute(&rig, "x", NULL), RAY_OK);
    }
    assert_int_equal(execute(&rig, "x", NULL), RAY_ETOOBIG);
    end(&rig);
    assert_int_equal(rig.reply_count, RAY_QMP_PENDING_COUNT_MAX);
    assert_int_equal(rig.reply_rc, RAY_ECANCELED);
    assert_int_equal(rig.close_code, RAY_OK); /* not called by destroy */
    down(&rig);
    free(large);
}

static void test_destroy_in_callbacks(void **state)
{
    struct rig rig;
    (void)state;

    up(&rig);
    shake_hands(&rig);
    rig.destroys_in_reply = true;
    assert_int_equal(execute(&rig, "a", NULL), RAY_OK);
    assert_int_equal(execute(&rig, "b", NULL), RAY_OK);
    say(&rig, "{\"return\": 1, \"id\": 1}\n{\"return\": 2, \"id\": 2}\n");
    UNTIL(&rig, rig.reply_count == 2);
    assert_int_equal(rig.reply_rc, RAY_ECANCELED); /* b, by the destroy in a's reply */
    down(&rig);
    up(&rig);
    shake_hands(&rig);
    rig.destroys_in_event = true;
    say(&rig, "{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n");
    UNTIL(&rig, rig.event_count == 1);
    down(&rig);
    up(&rig);
    rig.destroys_in_close = true;
    say(&rig, "?\n");
    UNTIL(&rig, rig.close_code == RAY_EMALFORMED);
    down(&rig);
    up(&rig); /* a reply starts the next command */
    shake_hands(&rig);
    rig.repeats_in_reply = true;
    assert_int_equal(execute(&rig, "a", NULL), RAY_OK);
    hear(&rig, "{\"execute\":\"a\",\"id\":1}\n");
    say(&rig, "{\"return\": 1, \"id\": 1}\n");
    hear(&rig, "{\"execute\":\"again\",\"id\":2}\n");
    down(&rig);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "read", "send"};
    (void)state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            const struct ray_qmp_handlers handlers = {.on_close = on_close};
            struct rig rig = {0};
            int fds[2];
            bool has_fired;

            assert_true(n < 100);
            assert_int_equal(ray_loop_init(&rig.loop, NULL), RAY_OK);
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
            rig.peer_fd = fds[1];
            say(&rig, greeting);
            say(&rig, "{\"return\": {}, \"id\": 0}\n{\"return\": {}, \"id\": 1}\n");
            ray_test_fault_arm(points[i], n);
            if (ray_qmp_create(&rig.qmp, &rig.loop, fds[0], &handlers, &rig, NULL) == RAY_OK &&
                execute(&rig, "x", NULL) == RAY_OK) {
                while (rig.reply_count == 0 && rig.close_code == RAY_OK) {
                    ray_loop_once(&rig.loop);
                }
                assert_int_equal(rig.reply_count, 1); /* exactly once, whatever fails */
            }
            has_fired = ray_test_fault_disarm();
            assert_true(has_fired || rig.reply_rc == RAY_OK);
            ray_qmp_destroy(rig.qmp);
            ray_loop_fini(&rig.loop);
            (void)close(rig.peer_fd);
            if (!has_fired) {
                break;
            }
        }
    }
}

static pid_t start_qemu(int fd)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (dup2(fd, 3) == 3) { /* clears CLOEXEC */
            (void)alarm(120);
            (void)execlp("qemu-system-x86_64", "qemu-system-x86_64", "-machine", "none", "-S",
                         "-display", "none", "-nodefaults", "-chardev", "socket,id=qmp,fd=3",
                         "-mon", "chardev=qmp,mode=control", (char *)NULL);
        }
        _exit(127);
    }
    return pid;
}

static void test_real_qemu(void **state)
{
    struct rig rig = {.peer_fd = -1};
    int status = 0;
    int fds[2];
    pid_t pid;
    (void)state;

    assert_int_equal(ray_loop_init(&rig.loop, NULL), RAY_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid = start_qemu(fds[1]);
    assert_true(pid > 0);
    (void)close(fds[1]);
    up_on(&rig, fds[0]);
    assert_int_equal(execute(&rig, "query-status", NULL), RAY_OK);
    UNTIL(&rig, rig.reply_count == 1 || rig.close_code != RAY_OK);
    if (rig.close_code != RAY_OK) {
        (void)waitpid(pid, &status, 0);
        down(&rig);
        assert_int_equal(WEXITSTATUS(status), 127); /* no QEMU here */
        skip();
    }
    assert_non_null(strstr(rig.reply, "prelaunch"));
    assert_int_equal(execute(&rig, "cont", NULL), RAY_OK);
    UNTIL(&rig, rig.reply_count == 2 && rig.event_count == 1);
    assert_string_equal(rig.events[0], "RESUME");
    assert_true(rig.event_t_us > UINT64_C(1500000000000000));
    assert_int_equal(execute(&rig, "no-such-command", NULL), RAY_OK);
    UNTIL(&rig, rig.reply_count == 3);
    assert_int_equal(rig.reply_rc, RAY_ENOTFOUND);
    assert_int_equal(execute(&rig, "set_link", "{\"name\": \"x\", \"up\": false}"), RAY_OK);
    UNTIL(&rig, rig.reply_count == 4);
    assert_int_equal(rig.reply_rc, RAY_ENOTFOUND);
    assert_int_equal(execute(&rig, "query-qmp-schema", NULL), RAY_OK); /* a large reply */
    UNTIL(&rig, rig.reply_count == 5);
    assert_int_equal(rig.reply_rc, RAY_OK);
    assert_int_equal(execute(&rig, "quit", NULL), RAY_OK);
    UNTIL(&rig, rig.close_code == RAY_ECLOSED);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(rig.events[rig.event_count - 1], "SHUTDOWN");
    down(&rig);
}

static void test_connect(void **state)
{
    char path[200];
    int fd;
    (void)state;

    assert_int_equal(ray_qmp_connect("/nonexistent/qmp", &fd, NULL), RAY_ENOTFOUND);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(ray_qmp_connect(path, &fd, NULL), RAY_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_bytewise),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_bad_peers),
        cmocka_unit_test(test_greeted_twice_and_closed),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_destroy_in_callbacks),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_real_qemu),
        cmocka_unit_test(test_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

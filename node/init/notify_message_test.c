#include <string.h>

#include "base/test.h"
#include "node/init/notify_message.h"

static struct notify_message parse(const char *text)
{
    struct notify_message message;

    notify_message_parse(text, strlen(text), &message);
    return message;
}

static void test_words(void **state)
{
    struct notify_message message = parse("READY=1\nSTATUS=3 guests\nMAINPID=4\n");

    (void)state;
    assert_true(message.is_ready);
    assert_true(message.has_status);
    assert_string_equal(message.status, "3 guests");
    assert_false(message.is_alive || message.is_stopping || message.stores_fds);
    assert_string_equal(message.fd_name, "stored");
    assert_true(parse("WATCHDOG=1").is_alive);
    assert_true(parse("STOPPING=1\n\n").is_stopping);
    message = parse("FDSTORE=1\nFDNAME=grant-page");
    assert_true(message.stores_fds);
    assert_string_equal(message.fd_name, "grant-page");
    assert_true(parse("FDNAME=x\nFDSTOREREMOVE=1").removes_fds);
}

static void test_ignores(void **state)
{
    static const char *const nothing[] = {"",         "\n\n",   "READY",    "READY=",  "READY=0",
                                          "READY=11", "=1",     "READYX=1", "ready=1", " READY=1",
                                          "READY=1 ", "X=1\rY", "FDSTORE=2"};

    (void)state;
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        struct notify_message message = parse(nothing[i]);
        assert_false(message.is_ready || message.stores_fds || message.has_status);
    }
}

static void test_fd_names(void **state)
{
    char name[NOTIFY_FD_NAME_SIZE_MAX + 8];

    (void)state;
    assert_int_equal(parse("FDNAME=a:b").refused_count, 1);
    assert_string_equal(parse("FDNAME=a:b").fd_name, "stored");
    assert_int_equal(parse("FDNAME=").refused_count, 1);
    memset(name, 'n', sizeof name);
    assert_true(notify_fd_name_is_valid(name, NOTIFY_FD_NAME_SIZE_MAX - 1));
    assert_false(notify_fd_name_is_valid(name, NOTIFY_FD_NAME_SIZE_MAX));
    assert_false(notify_fd_name_is_valid(name, 0));
}

static void test_status_is_escaped_and_cut(void **state)
{
    static const char key[] = "STATUS=";
    char text[NOTIFY_MESSAGE_SIZE_MAX];
    struct notify_message message = parse("STATUS=\x1b[2Jgone");

    (void)state;
    assert_string_equal(message.status, "\\x1b[2Jgone");
    memset(text, 's', sizeof text);
    memcpy(text, key, sizeof key - 1);
    notify_message_parse(text, sizeof text, &message);
    assert_true(strlen(message.status) < NOTIFY_STATUS_SIZE_MAX);
}

static void test_markers(void **state)
{
    struct notify_message message =
        parse("X_RAYOS_MARKER=RAYOS_TEST_AGENT:ready\nX_RAYOS_MARKER=RAYOS_NODE_READY:me\n"
              "X_RAYOS_MARKER=RAYOS_NO_SUCH:thing\nX_RAYOS_MARKER=");

    (void)state;
    assert_int_equal(message.marker_count, 1);
    assert_int_equal(message.markers[0].marker, RAY_MARKER_TEST_AGENT);
    assert_string_equal(message.markers[0].detail, "ready");
    assert_int_equal(message.refused_count, 3); /* PID 1's own, unknown, empty */
}

static void test_marker_limit(void **state)
{
    static const char line[] = "X_RAYOS_MARKER=RAYOS_TEST_AGENT:ready\n";
    char text[NOTIFY_MESSAGE_SIZE_MAX] = "";
    struct notify_message message;

    (void)state;
    for (int i = 0; i <= NOTIFY_MARKER_COUNT_MAX; i++) {
        memcpy(text + strlen(text), line, sizeof line);
    }
    message = parse(text);
    assert_int_equal(message.marker_count, NOTIFY_MARKER_COUNT_MAX);
    assert_int_equal(message.refused_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),    cmocka_unit_test(test_ignores),
        cmocka_unit_test(test_fd_names), cmocka_unit_test(test_status_is_escaped_and_cut),
        cmocka_unit_test(test_markers),  cmocka_unit_test(test_marker_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

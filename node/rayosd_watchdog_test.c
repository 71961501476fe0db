/* What PID 1 hears: fed while there is a pulse, silence while there is none. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"
#include "node/rayosd_watchdog.h"

enum { TURNS = 3 };

struct fixture {
    struct ray_loop loop;
    struct ray_logger logger;
    struct rayosd_watchdog watchdog;
    int fd; /* PID 1's end */
    bool is_alive;
    unsigned taken_count; /* pulses */
};

static bool take_pulse(void *arg)
{
    struct fixture *fixture = arg;

    fixture->taken_count++;
    return fixture->is_alive;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    size_t size;

    assert_non_null(fixture);
    (void)snprintf(name, sizeof name, "@ray-watchdog-%d", (int)getpid());
    size = strlen(name);
    memcpy(address.sun_path + 1, name + 1, size - 1);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fixture->fd >= 0);
    assert_return_code(bind(fixture->fd, (struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                       0);
    ray_logger_init(&fixture->logger, STDERR_FILENO, ray_log_form_from_env(), RAY_LOG_INFO);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    *state = fixture;
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    rayosd_watchdog_fini(&fixture->watchdog);
    ray_loop_fini(&fixture->loop);
    (void)close(fixture->fd);
    free(fixture);
    return unsetenv("NOTIFY_SOCKET") | unsetenv("WATCHDOG_USEC");
}

static int init(struct fixture *fixture)
{
    return rayosd_watchdog_init(&fixture->watchdog, &fixture->loop, &fixture->logger, take_pulse,
                                fixture, NULL);
}

/* How often it was fed since the last call. */
static unsigned feeds(const struct fixture *fixture)
{
    char text[64];
    ssize_t got;
    unsigned count = 0;

    while ((got = recv(fixture->fd, text, sizeof text - 1, 0)) > 0) {
        text[got] = '\0';
        assert_string_equal(text, "WATCHDOG=1");
        count++;
    }
    return count;
}

static void run_turns(struct fixture *fixture)
{
    unsigned until = fixture->taken_count + TURNS;

    while (fixture->taken_count < until) {
        ray_loop_once(&fixture->loop);
    }
}

static void test_fed_while_there_is_a_pulse(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(setenv("WATCHDOG_USEC", "40000", 1), 0);
    assert_int_equal(init(fixture), RAY_OK);
    fixture->is_alive = true;
    run_turns(fixture);
    assert_int_equal(feeds(fixture), TURNS);
    fixture->is_alive = false;
    run_turns(fixture);
    assert_int_equal(feeds(fixture), 0);
    assert_true(fixture->watchdog.is_withheld);
    fixture->is_alive = true;
    run_turns(fixture);
    assert_int_equal(feeds(fixture), TURNS);
    assert_false(fixture->watchdog.is_withheld);
}

static void test_nobody_asks(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(init(fixture), RAY_OK);
    assert_null(fixture->watchdog.timer.uv);
}

static void test_no_time(void **state)
{
    static const char *const texts[] = {"", "x", "0", "39999", "86400000001", "-1", "1000000s"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(setenv("WATCHDOG_USEC", texts[i], 1), 0);
        assert_int_equal(init(*state), RAY_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fed_while_there_is_a_pulse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_time, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

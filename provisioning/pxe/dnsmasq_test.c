/* The supervisor with shell scripts in the place of dnsmasq. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "provisioning/pxe/dnsmasq.h"

#define STARTED "echo 'Nov 21 02:44:10 dnsmasq[1]: started, version 2.91' >&2\n"

struct place {
    char dir[64];
    char program[96];
    struct ray_loop loop;
    struct provision_dnsmasq *dnsmasq;
    int line_count;
    int started_count;
    int ended_count;
    int gave_up_count;
    int stopped_count;
    unsigned last_restart_ms;
    char why[256];
    char last_line[256];
};

static void on_line(void *arg, const char *line, const struct provision_dnsmasq_line *parsed)
{
    struct place *place = arg;

    (void)parsed;
    place->line_count++;
    (void)snprintf(place->last_line, sizeof(place->last_line), "%s", line);
}

static void on_started(void *arg)
{
    ((struct place *)arg)->started_count++;
}

static void on_ended(void *arg, const char *why, bool gave_up, unsigned restart_ms)
{
    struct place *place = arg;

    place->ended_count++;
    place->gave_up_count += gave_up;
    place->last_restart_ms = restart_ms;
    (void)snprintf(place->why, sizeof(place->why), "%s", why);
}

static void on_stopped(void *arg)
{
    ((struct place *)arg)->stopped_count++;
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/dnsmasq-test-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->program, sizeof(place->program), "%s/program", place->dir);
    assert_int_equal(ray_loop_init(&place->loop, NULL), RAY_OK);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    provision_dnsmasq_destroy(place->dnsmasq);
    ray_loop_fini(&place->loop);
    (void)unlink(place->program);
    (void)rmdir(place->dir);
    free(place);
    return 0;
}

static void put_program(struct place *place, const char *body)
{
    FILE *file = fopen(place->program, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s", body) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(place->program, 0755), 0);
}

static void make(struct place *place, const char *body)
{
    const struct provision_dnsmasq_config config = {
        .program = place->program,
        .conf_path = "/none/conf",
        .restart_ms = 1,
        .on_line = on_line,
        .on_started = on_started,
        .on_ended = on_ended,
        .on_stopped = on_stopped,
        .arg = place,
    };

    put_program(place, body);
    assert_int_equal(provision_dnsmasq_create(&place->dnsmasq, &place->loop, &config, NULL),
                     RAY_OK);
}

static void test_serves_and_stops(void **state)
{
    struct place *place = *state;

    make(place, "echo \"$*\" >&2\n" STARTED "exec sleep 1000\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->started_count == 0) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->line_count, 2);
    assert_true(provision_dnsmasq_is_serving(place->dnsmasq));
    provision_dnsmasq_stop(place->dnsmasq);
    assert_false(provision_dnsmasq_is_serving(place->dnsmasq));
    while (place->stopped_count == 0) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->ended_count, 0);
}

static void test_arguments(void **state)
{
    struct place *place = *state;

    make(place, "echo \"$*\" >&2\nexec sleep 1000\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->line_count == 0) {
        ray_loop_once(&place->loop);
    }
    assert_string_equal(place->last_line, "--no-daemon --conf-file=/none/conf");
}

static void test_comes_back(void **state)
{
    struct place *place = *state;

    make(place, STARTED "kill -9 $$\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->started_count < 3) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->gave_up_count, 0);
    assert_non_null(strstr(place->why, "SIGKILL"));
    provision_dnsmasq_stop(place->dnsmasq);
    while (place->stopped_count == 0) {
        ray_loop_once(&place->loop);
    }
}

static void test_gives_up(void **state)
{
    struct place *place = *state;

    make(place,
         "echo 'dnsmasq: no luck today' >&2\necho 'dnsmasq: FAILED to start up' >&2\nexit 5\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->gave_up_count == 0) {
        ray_loop_once(&place->loop);
        assert_in_range(place->last_restart_ms, 0, 50);
    }
    assert_int_equal(place->ended_count, 7);
    assert_string_equal(place->why, "exit status 5: no luck today");
    provision_dnsmasq_stop(place->dnsmasq); /* nothing runs: at once */
    assert_int_equal(place->stopped_count, 1);
}

static void test_hopeless(void **state)
{
    struct place *place = *state;

    make(place, "printf 'dnsmasq: bad option at line 3' >&2\nprintf '\\n' >&2\nexit 1\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->gave_up_count == 0) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->ended_count, 1);
    assert_non_null(strstr(place->why, "bad option at line 3"));
}

static void test_long_lines(void **state)
{
    struct place *place = *state;

    make(place, "i=0\nwhile [ $i -lt 1000 ]; do printf 'abcdefgh'; i=$((i+1)); done\necho\n"
                "echo end\nexec sleep 1000\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (strcmp(place->last_line, "end") != 0) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->line_count, 5);
}

static void test_ignores_sigterm(void **state)
{
    struct place *place = *state;

    /* SIGKILL follows after 3 s of libuv's clock; to keep the test short, it is sent here. */
    make(place, "trap '' TERM\n" STARTED "while :; do sleep 0.02; done\n");
    assert_int_equal(provision_dnsmasq_start(place->dnsmasq, NULL), RAY_OK);
    while (place->started_count == 0) {
        ray_loop_once(&place->loop);
    }
    provision_dnsmasq_stop(place->dnsmasq);
    assert_int_equal(place->stopped_count, 0);
    provision_dnsmasq_destroy(place->dnsmasq);
    place->dnsmasq = NULL;
}

static void test_missing(void **state)
{
    struct place *place = *state;
    struct ray_err err = {0};

    make(place, "");
    (void)unlink(place->program);
    assert_true(provision_dnsmasq_start(place->dnsmasq, &err) < 0);
    assert_non_null(strstr(err.text, "start dnsmasq"));
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "fork"};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        make(place, STARTED "exec sleep 1000\n");
        for (unsigned n = 1;; n++) {
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = provision_dnsmasq_start(place->dnsmasq, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_int_not_equal(rc, RAY_OK);
        }
        provision_dnsmasq_destroy(place->dnsmasq);
        place->dnsmasq = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_serves_and_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hopeless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignores_sigterm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/dnsmasq", tests, NULL, NULL);
}

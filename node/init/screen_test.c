/* The status screen on a pty: what is drawn, when, and how it survives a hang-up. */
#include <pty.h>
#include <string.h>

#include "node/init/screen.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct screen screen;
    struct screen_config config;
    const char *name; /* of the node, as the facts have it */
    unsigned fill_count;
    int person_fd;
    char seen[65536];
};

static void fill(void *arg, struct status_facts *facts)
{
    struct fixture *fixture = arg;

    fixture->fill_count++;
    *facts = (struct status_facts){
        .state = STATUS_BOOTING,
        .detail = "modules",
        .prompt = "Alt-F2",
        .version = "0.1.0",
        .up_s = SCREEN_YOUNG_S,
        .node_name = fixture->name,
        .words = "",
        .fingerprint_hex = "",
        .no_address_why = "",
        .cluster = "",
        .boot_path = "pxe",
        .last_end = "",
        .data_device = "",
        .data_why = "",
        .watchdog = "",
        .withheld = "",
    };
}

/* A new pty becomes <root>/dev/tty1. */
static void plug(struct fixture *fixture)
{
    const struct winsize size = {.ws_col = 80, .ws_row = 20};
    char slave[64];
    char path[128];
    int slave_fd;

    assert_int_equal(openpty(&fixture->person_fd, &slave_fd, slave, NULL, &size), 0);
    assert_int_equal(fcntl(fixture->person_fd, F_SETFL, O_NONBLOCK), 0);
    (void)snprintf(path, sizeof path, "%s/dev/tty1", fixture->root->path);
    (void)unlink(path);
    assert_int_equal(symlink(slave, path), 0);
    (void)close(slave_fd);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    fake_put(fixture->root, "dev/x", "");
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    fixture->name = "node1";
    fixture->person_fd = -1;
    fixture->config = (struct screen_config){
        .loop = &fixture->loop, .root = fixture->root->path, .fill = fill, .arg = fixture};
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    screen_fini(&fixture->screen);
    screen_fini(&fixture->screen);
    ray_loop_fini(&fixture->loop);
    if (fixture->person_fd >= 0) {
        (void)close(fixture->person_fd);
    }
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void look(struct fixture *fixture)
{
    size_t used = strlen(fixture->seen);
    ssize_t size = read(fixture->person_fd, fixture->seen + used, sizeof fixture->seen - used - 1);

    if (size > 0) {
        fixture->seen[used + (size_t)size] = '\0';
    }
}

static void wait_for(struct fixture *fixture, const char *wanted)
{
    look(fixture);
    while (strstr(fixture->seen, wanted) == NULL) {
        ray_loop_once(&fixture->loop);
        look(fixture);
    }
}

static void test_draws_what_changes(void **state)
{
    struct fixture *fixture = *state;
    unsigned fill_count;

    plug(fixture);
    assert_int_equal(screen_start(&fixture->screen, &fixture->config, NULL), RAY_OK);
    assert_int_equal(screen_start(&fixture->screen, &fixture->config, NULL), RAY_OK); /* again */
    wait_for(fixture, "Alt-F1: this screen");
    assert_non_null(strstr(fixture->seen, "booting: modules"));
    assert_null(strstr(fixture->seen, "\u2500")); /* a pty has no font that we know */
    fixture->seen[0] = '\0';
    /* Nothing changes, nothing is written; keys are not echoed. */
    assert_int_equal(write(fixture->person_fd, "x\x13\r", 3), 3);
    fill_count = fixture->fill_count;
    while (fixture->fill_count < fill_count + 2) {
        ray_loop_once(&fixture->loop);
    }
    look(fixture);
    assert_string_equal(fixture->seen, "");
    fixture->name = "node2";
    wait_for(fixture, "node2");
    assert_null(strstr(fixture->seen, "booting")); /* only the row that differs */
}

static void test_follows_the_size(void **state)
{
    struct fixture *fixture = *state;
    const struct winsize size = {.ws_col = 100, .ws_row = 30};

    plug(fixture);
    assert_int_equal(screen_start(&fixture->screen, &fixture->config, NULL), RAY_OK);
    wait_for(fixture, "\033[20;1H");
    fixture->seen[0] = '\0';
    assert_int_equal(ioctl(fixture->person_fd, TIOCSWINSZ, &size), 0);
    wait_for(fixture, "\033[30;1H");
    assert_int_equal(fixture->screen.shown.width, 100);
}

static void test_survives_a_hang_up(void **state)
{
    struct fixture *fixture = *state;

    plug(fixture);
    assert_int_equal(screen_start(&fixture->screen, &fixture->config, NULL), RAY_OK);
    wait_for(fixture, "Alt-F1: this screen");
    (void)close(fixture->person_fd);
    while (out_queue_is_open(&fixture->screen.out)) {
        ray_loop_once(&fixture->loop);
    }
    plug(fixture);
    fixture->seen[0] = '\0';
    fixture->screen.opened_ns = 0; /* now, not in 5 s */
    wait_for(fixture, "Alt-F1: this screen");
    assert_non_null(strstr(fixture->seen, "booting: modules"));
}

static void test_without_a_terminal(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(screen_start(&fixture->screen, &fixture->config, NULL), RAY_OK);
    screen_flush(&fixture->screen);
    assert_int_equal(fixture->fill_count, 0);
    plug(fixture);
    fixture->screen.opened_ns = 0;
    screen_flush(&fixture->screen);
    wait_for(fixture, "Alt-F1: this screen");
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "write"};
    struct fixture *fixture = *state;

    plug(fixture);
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        bool has_fired = true;
        for (unsigned n = 1; has_fired; n++) {
            int rc;

            ray_test_fault_arm(points[p], n);
            rc = screen_start(&fixture->screen, &fixture->config, NULL);
            has_fired = ray_test_fault_disarm();
            if (rc == RAY_OK) { /* whatever failed, the picture comes */
                fixture->screen.opened_ns = 0;
                wait_for(fixture, "Alt-F1: this screen");
            } else {
                assert_int_equal(rc, RAY_ENOMEM);
            }
            screen_fini(&fixture->screen);
            look(fixture);
            fixture->seen[0] = '\0';
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_draws_what_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follows_the_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_survives_a_hang_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

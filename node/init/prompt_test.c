/* The prompt on a real terminal: one end of a pty is the console, the test sits at the other. */
#include <pty.h>
#include <string.h>

#include "node/init/prompt.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct persist_log log;
    struct timeline timeline;
    struct marker_sink sink;
    struct prompt prompt;
    int person_fd;
    char screen[16384];
    char words[256]; /* what was run */
    struct terminal *busy;
};

static void banner(void *arg, struct terminal *terminal)
{
    (void)arg;
    terminal_print(terminal, "a node\n");
}

static bool run(void *arg, struct terminal *terminal, const struct prompt_command *command)
{
    struct fixture *fixture = arg;
    size_t used = strlen(fixture->words);

    (void)snprintf(fixture->words + used, sizeof fixture->words - used, "%s ",
                   prompt_word_info(command->word)->word);
    if (command->word == PROMPT_FACTS) {
        fixture->busy = terminal;
        return false;
    }
    terminal_print_bytes(terminal, "out\x1b[1m\nput", 11);
    terminal_print(terminal, "\n");
    return true;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const struct persist_log_config log_config = {
        .file_size_max = 1 << 20, .boot_id = "b", .version = "v"};
    struct prompt_config config = {.banner = banner, .run = run};
    char slave[64];
    char path[128];
    int slave_fd;

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    assert_int_equal(openpty(&fixture->person_fd, &slave_fd, slave, NULL, NULL), 0);
    assert_int_equal(fcntl(fixture->person_fd, F_SETFL, O_NONBLOCK), 0);
    fake_put(fixture->root, "sys/class/tty/console/active", "nosuch ttyT0\n");
    fake_put(fixture->root, "dev/x", "");
    (void)snprintf(path, sizeof path, "%s/dev/ttyT0", fixture->root->path);
    assert_int_equal(symlink(slave, path), 0);
    (void)snprintf(path, sizeof path, "%s/dev/console", fixture->root->path);
    assert_int_equal(symlink(slave, path), 0);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(persist_log_init(&fixture->log, &fixture->loop, &log_config, NULL), RAY_OK);
    assert_int_equal(marker_sink_init(&fixture->sink, &fixture->loop, fixture->root->path,
                                      &fixture->log, &fixture->timeline, NULL),
                     RAY_OK);
    config.loop = &fixture->loop;
    config.root = fixture->root->path;
    config.sink = &fixture->sink;
    config.arg = fixture;
    assert_int_equal(marker_sink_open_console(&fixture->sink, NULL), RAY_OK);
    assert_int_equal(prompt_init(&fixture->prompt, &config, NULL), RAY_OK);
    (void)close(slave_fd);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    prompt_fini(&fixture->prompt);
    marker_sink_fini(&fixture->sink);
    persist_log_fini(&fixture->log);
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
    size_t used = strlen(fixture->screen);
    ssize_t size =
        read(fixture->person_fd, fixture->screen + used, sizeof fixture->screen - used - 1);

    if (size > 0) {
        fixture->screen[used + (size_t)size] = '\0';
    }
}

/* Types, then waits until the screen shows `wanted`. */
static void type(struct fixture *fixture, const char *keys, const char *wanted)
{
    fixture->screen[0] = '\0';
    assert_int_equal(write(fixture->person_fd, keys, strlen(keys)), (ssize_t)strlen(keys));
    while (strstr(fixture->screen, wanted) == NULL) {
        ray_loop_once(&fixture->loop);
        look(fixture);
    }
}

static void test_sleeps_until_enter(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture->prompt.count, 1); /* the one that could be opened */
    type(fixture, "noise\x03 poweroff\ryes\r", "rayos# ");
    assert_non_null(strstr(fixture->screen, "a node"));
    assert_string_equal(fixture->words, ""); /* Enter woke it, "yes" was no word */
}

static void test_runs_words(void **state)
{
    struct fixture *fixture = *state;

    type(fixture, "\r", "rayos# ");
    type(fixture, "statux\x7fs\r", "put\r\nrayos# ");
    assert_non_null(strstr(fixture->screen, "out\\x1b[1m\r\n"));
    type(fixture, "nonsense\r", "no word 'nonsense'");
    type(fixture, "\r", "rayos# ");
    type(fixture, "halfway\x03", "^C");
    type(fixture, "\rversion\r", "put\r\nrayos# ");
    assert_string_equal(fixture->words, "status version ");
}

static void test_asks_before_danger(void **state)
{
    struct fixture *fixture = *state;

    type(fixture, "\r", "rayos# ");
    type(fixture, "reboot\r", "type yes: ");
    type(fixture, "y\r", "nothing done");
    type(fixture, "reboot\r", "type yes: ");
    type(fixture, "\x03", "rayos# ");
    assert_string_equal(fixture->words, "");
    type(fixture, "reboot\r", "type yes: ");
    type(fixture, "yes\r", "rayos# ");
    assert_string_equal(fixture->words, "reboot ");
}

static void test_markers_stand_at_the_line_start(void **state)
{
    struct fixture *fixture = *state;

    type(fixture, "\r", "rayos# ");
    type(fixture, "stat", "stat");
    marker_sink_emit(&fixture->sink, RAY_MARKER_NODE_READY, "n1");
    type(fixture, "us\r", "put\r\nrayos# ");
    assert_non_null(strstr(fixture->screen, "\nRAYOS_NODE_READY:n1\r\nrayos# stat"));
    assert_string_equal(fixture->words, "status ");
}

static void test_a_word_that_takes_time(void **state)
{
    struct fixture *fixture = *state;

    type(fixture, "\r", "rayos# ");
    type(fixture, "facts\r", "facts");
    while (fixture->busy == NULL) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(write(fixture->person_fd, "status\r", 7), 7); /* dropped */
    ray_loop_once(&fixture->loop);
    prompt_done(fixture->busy);
    type(fixture, "help\r", "put\r\nrayos# ");
    assert_string_equal(fixture->words, "facts help ");
}

static void test_hang_up(void **state)
{
    struct fixture *fixture = *state;

    type(fixture, "\r", "rayos# ");
    (void)close(fixture->person_fd);
    fixture->person_fd = -1;
    while (fixture->prompt.terminals[0].fd >= 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_true(ray_timer_is_active(&fixture->prompt.reopen));
    marker_sink_emit(&fixture->sink, RAY_MARKER_NODE_READY, "n1"); /* nowhere to go: it waits */
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(prompt_terminal_name("tty0"), "tty2");
    assert_string_equal(prompt_terminal_name("tty1"), "tty2");
    assert_string_equal(prompt_terminal_name("ttyS0"), "ttyS0");
}

/* Who has the display, and where lines for /dev/console go. */
static void test_consoles(void **state)
{
    static const struct {
        const char *active;
        const char *console;
        bool has_display;
    } cases[] = {
        {"tty0 ttyS0\n", "console", true}, {"ttyS0 tty0\n", "tty2", true},
        {"tty0\n", "tty2", true},          {"tty1\n", "tty2", true},
        {"ttyS0\n", "console", false},     {"ttyS0 ttyS1\n", "console", false},
        {"tty3\n", "console", false},      {"\n", "console", false},
    };
    struct fixture *fixture = *state;
    char name[MARKER_SINK_NAME_SIZE_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_put(fixture->root, "sys/class/tty/console/active", cases[i].active);
        prompt_console_name(fixture->root->path, name);
        assert_string_equal(name, cases[i].console);
        assert_int_equal(prompt_has_display(fixture->root->path), cases[i].has_display);
    }
    prompt_console_name("/nonexistent", name);
    assert_string_equal(name, "console");
    assert_true(prompt_has_display("/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sleeps_until_enter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks_before_danger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_markers_stand_at_the_line_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_word_that_takes_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hang_up, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_consoles, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pictures of the status screen, whole; then hostile texts, every size, and the bytes. */
#include <string.h>

#include "base/err.h"
#include "base/test.h"
#include "node/init/status_screen.h"

static struct status_facts well(void)
{
    return (struct status_facts){
        .state = STATUS_READY,
        .detail = "",
        .prompt = "Alt-F2",
        .version = "0.1.0",
        .node_name = "node1",
        .words = "pepper-pigeon-waffle-kimono-violin-bottle-blanket-mirror",
        .fingerprint_hex = "afb1f17d00112233445566778899aabbccddeeff00112233445566778899aabb",
        .addresses = {"10.77.0.21/24", "fe80::5054:ff:fe77:15/64"},
        .address_count = 2,
        .no_address_why = "",
        .cluster = "",
        .boot_path = "pxe",
        .is_uefi = true,
        .boot_counter = 3,
        .up_s = 200,
        .last_end = "",
        .has_data = true,
        .is_disk = true,
        .data_device = "vda1",
        .data_why = "",
        .watchdog = "i6300ESB timer",
        .watchdog_s = 30,
        .withheld = "",
        .pressures = {{"memory", false, true, 0}, {"io", false, true, 0}, {"cpu", false, false, 0}},
        .pressure_count = 3,
        .ready_count = 4,
    };
}

/* The rows as lines, without blanks at their ends; rules as one "----". */
static const char *picture(const struct status_facts *facts, unsigned width, unsigned height)
{
    static char text[STATUS_HEIGHT_MAX * (STATUS_WIDTH_MAX + 2)];
    struct status_screen screen;
    size_t at = 0;

    status_screen_render(facts, width, height, &screen);
    text[0] = '\0';
    for (unsigned i = 0; i < screen.height; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s\n",
                               screen.rows[i].is_rule ? "----" : screen.rows[i].text);
    }
    return text;
}

static void test_ready(void **state)
{
    struct status_facts facts = well();

    (void)state;
    facts.cluster = "quorate, 3 voters";
    assert_string_equal(
        picture(&facts, 80, 18),
        " RayOS 0.1.0                                                              node1\n"
        "----\n"
        " state        ready\n"
        "\n"
        " fingerprint  pepper-pigeon-waffle-kimono-violin-bottle-blanket-mirror\n"
        "              afb1f17d00112233...\n"
        " address      10.77.0.21/24\n"
        "              fe80::5054:ff:fe77:15/64\n"
        " cluster      quorate, 3 voters\n"
        " boot         pxe, UEFI, number 3, since 3 min\n"
        " data         disk vda1\n"
        " watchdog     i6300ESB timer, 30 s\n"
        " pressure     none\n"
        " services     4 ready, 0 waiting\n"
        "\n"
        "\n"
        "----\n"
        " Alt-F2: prompt, 'help' lists its words    Alt-F1: this screen\n");
}

static void test_booting(void **state)
{
    struct status_facts facts = well();

    (void)state;
    facts.state = STATUS_BOOTING;
    facts.detail = "modules";
    facts.node_name = facts.words = facts.fingerprint_hex = "";
    facts.address_count = 0;
    facts.no_address_why = "the network is not up yet";
    facts.boot_counter = 0;
    facts.up_s = 59;
    facts.has_data = false;
    facts.pressure_count = 0;
    facts.watchdog = "";
    facts.ready_count = 0;
    facts.waiting_count = 4;
    assert_string_equal(picture(&facts, 80, 16),
                        " RayOS 0.1.0\n"
                        "----\n"
                        " state        booting: modules\n"
                        "\n"
                        " fingerprint  no key yet\n"
                        " address      no IPv4 address: the network is not up yet\n"
                        " boot         pxe, UEFI, since less than a minute\n"
                        " data         not there yet\n"
                        " watchdog     none\n"
                        " pressure     not measured by this kernel\n"
                        " services     0 ready, 4 waiting\n"
                        "\n"
                        "\n"
                        "\n"
                        "----\n"
                        " Alt-F2: prompt, 'help' lists its words    Alt-F1: this screen\n");
}

static void make_ill(struct status_facts *facts)
{
    facts->is_disk = false;
    facts->data_why = "the XFS superblock makes no sense, or the mount failed";
    facts->can_repair_data = true;
    facts->services[0] =
        (struct status_service){"rayosd", "gave-up", "exited", "exit status 3", true};
    facts->services[1] = (struct status_service){"dhcp", "backoff", "exited", "", false};
    facts->service_count = 2;
    facts->ready_count = 1;
    facts->waiting_count = 1;
    facts->stages[0] = (struct status_stage){"coldplug", "passed its deadline of 60000 ms"};
    facts->stage_count = 1;
    facts->pressures[0].is_high = true;
    facts->pressures[0].percent = 45;
    facts->pressures[2].is_high = true;
    facts->pressures[2].percent = 99;
    facts->last_end = "watchdog";
    for (size_t i = 0; i < STATUS_PROBLEM_COUNT_MAX; i++) {
        (void)snprintf(facts->problems[i], sizeof facts->problems[i], "problem %zu", i);
    }
    facts->problem_count = STATUS_PROBLEM_COUNT_MAX;
}

static void test_degraded(void **state)
{
    struct status_facts facts = well();

    (void)state;
    make_ill(&facts);
    assert_string_equal(
        picture(&facts, 80, 25),
        " RayOS 0.1.0                                                              node1\n"
        "----\n"
        " state        degraded: rayosd has been given up, and 4 more\n"
        " next         Alt-F2: 'log' says why; then 'restart rayosd'\n"
        "\n"
        " fingerprint  pepper-pigeon-waffle-kimono-violin-bottle-blanket-mirror\n"
        "              afb1f17d00112233...\n"
        " address      10.77.0.21/24\n"
        "              fe80::5054:ff:fe77:15/64\n"
        " boot         pxe, UEFI, number 3, since 3 min\n"
        "              the boot before ended by: watchdog\n"
        " data         RAM, gone with this boot: the XFS superblock makes no sense, or\n"
        "              the mount failed\n"
        " watchdog     i6300ESB timer, 30 s\n"
        " pressure     memory high (45%), cpu high (99%)\n"
        " services     1 ready, 1 waiting, and not well:\n"
        "              rayosd gave-up: exited (exit status 3)\n"
        "              dhcp backoff: exited\n"
        " boot stage   coldplug: passed its deadline of 60000 ms\n"
        "\n"
        " last warnings in the log\n"
        " problem 6\n"
        " problem 7\n"
        "----\n"
        " Alt-F2: prompt, 'help' lists its words    Alt-F1: this screen\n");
}

static void test_emergency(void **state)
{
    struct status_facts facts = well();

    (void)state;
    facts.state = STATUS_EMERGENCY;
    facts.detail = "root";
    facts.reboot_in_s = 241;
    facts.stages[0] = (struct status_stage){"root", "mount /dev: Operation not permitted"};
    facts.stage_count = 1;
    assert_string_equal(picture(&facts, 60, 20),
                        " RayOS 0.1.0                                          node1\n"
                        "----\n"
                        " state        EMERGENCY: cannot boot without stage root\n"
                        " next         Alt-F2: 'log' and 'timeline' say more; it\n"
                        "              reboots by itself in 5 min unless a word is\n"
                        "              entered there\n"
                        "\n"
                        " fingerprint  pepper-pigeon-waffle-kimono-violin-bottle-\n"
                        "              blanket-mirror\n"
                        "              afb1f17d00112233...\n"
                        " address      10.77.0.21/24\n"
                        "              fe80::5054:ff:fe77:15/64\n"
                        " boot         pxe, UEFI, number 3, since 3 min\n"
                        " data         disk vda1\n"
                        " watchdog     i6300ESB timer, 30 s\n"
                        " pressure     none\n"
                        " services     4 ready, 0 waiting\n"
                        " boot stage   root: mount /dev: Operation not permitted\n"
                        "----\n"
                        " Alt-F2: prompt, 'help' lists its words    Alt-F1: this scre\n");
    facts.reboot_in_s = 0; /* somebody is there */
    assert_null(strstr(picture(&facts, 120, 20), "reboots by itself"));
    assert_non_null(strstr(picture(&facts, 120, 20), "then 'reboot'"));
}

/* The first line of state and next for one trouble alone. */
static void expect(const struct status_facts *facts, const char *state_text, const char *next_text)
{
    const char *text = picture(facts, 120, 30);
    const char *state_row = strstr(text, " state        ");
    const char *next_row = strstr(text, " next         ");

    assert_non_null(state_row);
    assert_memory_equal(state_row + 14, state_text, strlen(state_text));
    assert_int_equal(state_row[14 + strlen(state_text)], '\n');
    if (next_text == NULL) {
        assert_null(next_row);
    } else {
        assert_non_null(next_row);
        assert_memory_equal(next_row + 14, next_text, strlen(next_text));
    }
}

static void test_next_steps(void **state)
{
    struct status_facts facts = well();

    (void)state;
    expect(&facts, "ready", NULL);
    facts.is_disk = false;
    facts.is_data_absent = true; /* diskless on purpose */
    expect(&facts, "ready", NULL);
    facts.is_data_absent = false;
    expect(&facts, "degraded: the data disk is not used", "mend or replace");
    facts.can_repair_data = true;
    expect(&facts, "degraded: the data disk is not used", "Alt-F2: 'repair', then 'reboot'");
    facts = well();
    facts.is_log_full = true;
    expect(&facts, "degraded: no space for the log", "make room");
    facts = well();
    facts.watchdog = "";
    expect(&facts, "degraded: no watchdog", "enable one");
    facts = well();
    facts.withheld = "log-writer-hangs";
    expect(&facts, "degraded: the watchdog is about to reset this machine", "Alt-F2: 'log'");
    facts = well();
    facts.pressures[2].is_high = true; /* busy is not ill */
    expect(&facts, "ready", NULL);
    facts.pressures[1].is_high = true;
    expect(&facts, "degraded: short of io", "Alt-F2: 'log' names who uses it");
    facts = well();
    facts.services[0] = (struct status_service){"dhcp", "backoff", "exited", "", false};
    facts.service_count = 1;
    expect(&facts, "degraded: dhcp is not well", "Alt-F2: 'log' says why");
    facts.state = STATUS_WAITING;
    expect(&facts, "starting services: dhcp is not well", "Alt-F2: 'log' says why");
    facts.state = STATUS_STOPPING;
    facts.detail = "poweroff: power button";
    expect(&facts, "stopping: poweroff: power button", NULL);
}

/* Whatever names and reasons hold: cells are printable, rows are as wide as the screen. */
static void test_hostile_texts(void **state)
{
    static char hostile[600];
    struct status_facts facts = well();
    struct status_screen screen;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof hostile; i++) {
        hostile[i] = (char)(1 + i % 255);
    }
    make_ill(&facts);
    facts.detail = facts.version = facts.node_name = facts.words = facts.fingerprint_hex =
        facts.no_address_why = facts.cluster = facts.boot_path = facts.last_end = facts.data_why =
            facts.watchdog = facts.withheld = facts.prompt = hostile;
    facts.services[0] = (struct status_service){hostile, hostile, hostile, hostile, true};
    facts.stages[0] = (struct status_stage){hostile, hostile};
    memset(facts.problems, 0x9b, sizeof facts.problems); /* CSI, and no end */
    for (unsigned width = 0; width < STATUS_WIDTH_MAX + 20; width += 7) {
        for (unsigned height = 0; height < STATUS_HEIGHT_MAX + 4; height++) {
            facts.state = (enum status_state)(height % (STATUS_EMERGENCY + 1));
            status_screen_render(&facts, width, height, &screen);
            assert_true(screen.height >= 1 && screen.height <= STATUS_HEIGHT_MAX);
            assert_true(screen.width >= STATUS_WIDTH_MIN && screen.width <= STATUS_WIDTH_MAX);
            for (unsigned i = 0; i < screen.height; i++) {
                const struct status_row *row = &screen.rows[i];
                assert_true(strlen(row->text) <= screen.width);
                assert_true(row->begin <= row->end && row->end <= strlen(row->text));
                for (const char *at = row->text; *at != '\0'; at++) {
                    assert_true(*at >= 0x20 && *at < 0x7f);
                }
            }
        }
    }
}

static void test_small_screens_keep_the_footer(void **state)
{
    struct status_facts facts = well();

    (void)state;
    make_ill(&facts);
    for (unsigned height = 1; height <= 30; height++) {
        const char *text = picture(&facts, 80, height);
        const char *footer = strstr(text, "Alt-F2: prompt");
        assert_non_null(footer);
        assert_string_equal(strchr(footer, '\n'), "\n"); /* it is the last row */
        assert_true(height < 5 || strstr(text, " state ") != NULL);
    }
}

/* ---- bytes ---- */

static void test_bytes(void **state)
{
    struct status_facts facts = well();
    struct status_screen none = {0};
    struct status_screen first;
    struct status_screen second;
    struct ray_buf bytes;

    (void)state;
    ray_buf_init(&bytes, 1 << 16);
    status_screen_render(&facts, 80, 25, &first);
    assert_int_equal(status_screen_encode(&first, &none, true, &bytes), RAY_OK);
    assert_int_equal(strncmp(ray_buf_text(&bytes), "\033c", 2), 0);
    assert_non_null(strstr(ray_buf_text(&bytes), "\033[1;32mready\033[0m"));
    assert_non_null(strstr(ray_buf_text(&bytes), "\u2500\u2500"));
    assert_null(strchr(ray_buf_text(&bytes), '\n')); /* nothing ever scrolls */
    ray_buf_clear(&bytes);
    assert_int_equal(status_screen_encode(&first, &first, true, &bytes), RAY_OK);
    assert_int_equal(bytes.size, 0);
    facts.up_s = 3600;
    status_screen_render(&facts, 80, 25, &second);
    assert_int_equal(status_screen_encode(&second, &first, true, &bytes), RAY_OK);
    assert_string_equal(ray_buf_text(&bytes),
                        "\033[9;1H\033[0m boot         pxe, UEFI, number 3, since 1 h 0 min\033[K");
    ray_buf_clear(&bytes);
    assert_int_equal(status_screen_encode(&first, NULL, false, &bytes), RAY_OK);
    assert_null(strstr(ray_buf_text(&bytes), "\033c"));
    assert_null(strstr(ray_buf_text(&bytes), "\u2500"));
    assert_non_null(strstr(ray_buf_text(&bytes), "--------"));
    ray_buf_fini(&bytes);
    ray_buf_init(&bytes, 100); /* too small: said, not overrun */
    assert_int_equal(status_screen_encode(&first, &none, true, &bytes), RAY_ETOOBIG);
    ray_buf_fini(&bytes);
}

static void test_problems(void **state)
{
    static const char *const none[] = {
        "",           " ",       "12", "x error a b", "12 info kernel x", "12 errors kernel x",
        "12  warn x", "12 warn",
    };
    static char line[4096];
    char text[STATUS_PROBLEM_SIZE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(status_problem_parse(none[i], text));
    }
    assert_true(status_problem_parse("12345678 error kernel XFS: gone", text));
    assert_string_equal(text, "   12.35 s  kernel XFS: gone");
    assert_true(status_problem_parse("1 warn init/net x", text));
    assert_string_equal(text, "    0.00 s  init/net x");
    (void)snprintf(line, sizeof line, "1 warn %4000s", "x");
    assert_true(status_problem_parse(line, text));
    assert_int_equal(strlen(text), sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_booting),
        cmocka_unit_test(test_degraded),
        cmocka_unit_test(test_emergency),
        cmocka_unit_test(test_next_steps),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_small_screens_keep_the_footer),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

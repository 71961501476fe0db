/* chaos_net_test.c - words of people to commands of the switch, and faults back to words. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/size.h"
#include "clusterctl/lab/chaos_net.h"
#include "clusterctl/lab/switch_ctl.h"

static void test_percent(void **state)
{
    static const struct {
        const char *text;
        int64_t ppm; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"5", 50000},
        {"5%", 50000},
        {"0.1%", 1000},
        {"100", 1000000},
        {"100.0", 1000000},
        {"0.00009", 0},
        {"100.1", -1},
        {"101", -1},
        {"", -1},
        {"%", -1},
        {"-1", -1},
        {"5 %", -1},
        {"5x", -1},
        {".5", 5000},
        {".", -1},
        {"99999999999999999999", -1},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        uint32_t ppm = 77;
        int rc = lab_parse_percent(cases[i].text, &ppm, NULL);

        assert_int_equal(rc, cases[i].ppm < 0 ? RAY_EUSAGE : RAY_OK);
        assert_int_equal(ppm, cases[i].ppm < 0 ? 77 : cases[i].ppm);
    }
}

static void test_delay(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"20", 20000}, {"20ms", 20000},   {"1.5s", 1500000}, {"300us", 300},
        {"0.25", 250}, {"60s", 60000000}, {"61s", -1},       {"60000ms", 60000000},
        {"1m", -1},    {"", -1},          {"ms", -1},        {"0", 0},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        uint64_t us = 77;
        int rc = lab_parse_delay(cases[i].text, &us, NULL);

        assert_int_equal(rc, cases[i].us < 0 ? RAY_EUSAGE : RAY_OK);
        assert_int_equal(us, cases[i].us < 0 ? 77 : cases[i].us);
    }
}

static void test_rate(void **state)
{
    static const struct {
        const char *text;
        int64_t bps;
    } cases[] = {
        {"10M", 10000000},    {"10mbit", 10000000}, {"512k", 512000},
        {"1.5G", 1500000000}, {"none", 0},          {"0", 0},
        {"1000", 1000},       {"999", -1},          {"1000G", 1000000000000},
        {"1001G", -1},        {"fast", -1},         {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        uint64_t bps = 77;
        int rc = lab_parse_rate(cases[i].text, &bps, NULL);

        assert_int_equal(rc, cases[i].bps < 0 ? RAY_EUSAGE : RAY_OK);
        assert_int_equal(bps, cases[i].bps < 0 ? 77 : cases[i].bps);
    }
}

struct command_case {
    const char *action;
    const char *targets[4];
    const char *value;
    const char *jitter;
    bool is_one_way;
    const char *command; /* NULL: refused */
};

/* What we make, the switch understands. */
static void test_commands(void **state)
{
    static const struct command_case cases[] = {
        {"loss", {"node1", "node2"}, "5%", "", false, "set node1 node2 both loss=50000"},
        {"dup", {"node1", "host"}, "1", "", true, "set node1 host dup=10000"},
        {"reorder", {"node1", "*"}, "0.5", "", false, "set node1 * both reorder=5000"},
        {"delay", {"a", "b"}, "20", "", true, "set a b delay_us=20000 jitter_us=0"},
        {"delay", {"a", "b"}, "20", "5ms", false, "set a b both delay_us=20000 jitter_us=5000"},
        {"rate", {"a", "b"}, "10M", "", false, "set a b both rate_bps=10000000"},
        {"cut", {"a", "b"}, "", "", false, "cut a b both"},
        {"cut", {"a", "b"}, "", "", true, "cut a b"},
        {"heal", {NULL}, "", "", false, "heal"},
        {"heal", {"a", "b"}, "", "", false, "heal a b both"},
        {"clear", {NULL}, "", "", false, "clear"},
        {"clear", {"a", "b"}, "", "", true, "clear a b"},
        {"partition", {"a,b", "c"}, "", "", false, "partition a,b | c"},
        {"partition", {"a", "b", "c"}, "", "", false, "partition a | b | c"},
        {"loss", {"a", "b"}, "", "", false, NULL},
        {"loss", {"a", "b"}, "x", "", false, NULL},
        {"loss", {"a"}, "5", "", false, NULL},
        {"loss", {"a", "b", "c"}, "5", "", false, NULL},
        {"delay", {"a", "b"}, "20", "much", false, NULL},
        {"cut", {"a"}, "", "", false, NULL},
        {"cut", {NULL}, "", "", false, NULL},
        {"heal", {"a"}, "", "", false, NULL},
        {"partition", {"a,b"}, "", "", false, NULL},
        {"explode", {"a", "b"}, "", "", false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct lab_chaos_net chaos = {
            .action = cases[i].action,
            .targets = cases[i].targets,
            .value = cases[i].value,
            .jitter = cases[i].jitter,
            .is_one_way = cases[i].is_one_way,
        };
        char command[LAB_CHAOS_TEXT_SIZE];
        struct ray_switch_command parsed;
        int rc;

        while (chaos.target_count < 4 && chaos.targets[chaos.target_count] != NULL) {
            chaos.target_count++;
        }
        rc = lab_chaos_net_command(&chaos, command, NULL);
        assert_int_equal(rc, cases[i].command != NULL ? RAY_OK : RAY_EUSAGE);
        if (rc == RAY_OK) {
            assert_string_equal(command, cases[i].command);
            assert_int_equal(ray_switch_ctl_parse(command, strlen(command), &parsed, NULL), RAY_OK);
        }
        assert_int_equal(lab_chaos_net_is(cases[i].action),
                         strcmp(cases[i].action, "explode") != 0);
    }
}

static void test_too_long(void **state)
{
    char name[LAB_CHAOS_TEXT_SIZE + 1];
    const char *targets[] = {name, "b"};
    struct lab_chaos_net chaos = {
        .action = "cut", .targets = targets, .target_count = 2, .value = "", .jitter = ""};
    char command[LAB_CHAOS_TEXT_SIZE];

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(lab_chaos_net_command(&chaos, command, NULL), RAY_ETOOBIG);
    chaos.action = "partition";
    assert_int_equal(lab_chaos_net_command(&chaos, command, NULL), RAY_ETOOBIG);
}

static void test_fault_text(void **state)
{
    const struct lab_link_fault all = {true, 50000, 10000, 5, 20500, 1000, 1500000};
    const struct lab_link_fault none = {0};
    char text[LAB_CHAOS_TEXT_SIZE];
    char tiny[8];

    (void)state;
    lab_link_fault_text(&all, text, sizeof text);
    assert_string_equal(text, "cut, loss 5 %, dup 1 %, reorder 0.0005 %, delay 20.5 ms, "
                              "jitter 1 ms, rate 1.5 Mbit/s");
    lab_link_fault_text(&none, text, sizeof text);
    assert_string_equal(text, "");
    lab_link_fault_text(&all, tiny, sizeof tiny); /* cut, never beyond */
    assert_true(strlen(tiny) < sizeof tiny);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),  cmocka_unit_test(test_delay),
        cmocka_unit_test(test_rate),     cmocka_unit_test(test_commands),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_fault_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* switch_ctl_test.c - each command, and each way to get one wrong. */
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/test.h"
#include "clusterctl/lab/switch_ctl.h"

static struct ray_switch_command parse(const char *text)
{
    struct ray_switch_command command;
    struct ray_err err = {0};

    if (ray_switch_ctl_parse(text, strlen(text), &command, &err) != RAY_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return command;
}

static void test_set(void **state)
{
    struct ray_switch_command command = parse("set node1 node2 loss=50000 delay_us=20000");
    (void)state;

    assert_int_equal(command.verb, RAY_SWITCH_SET);
    assert_string_equal(command.from, "node1");
    assert_string_equal(command.to, "node2");
    assert_false(command.is_both);
    assert_int_equal(command.given, RAY_SWITCH_GIVEN_LOSS | RAY_SWITCH_GIVEN_DELAY);
    assert_int_equal(command.fault.loss_ppm, 50000);
    assert_true(command.fault.delay_ns == 20 * RAY_NS_PER_MS);

    command = parse(" set\t*  host both jitter_us=60000000 rate_bps=1000 dup=1000000 reorder=0\n");
    assert_string_equal(command.from, "*");
    assert_true(command.is_both);
    assert_true(command.fault.jitter_ns == 60 * RAY_NS_PER_S);
    assert_int_equal(command.fault.rate_bps, 1000);
    assert_int_equal(command.fault.duplicate_ppm, 1000000);
    assert_int_equal(command.given, RAY_SWITCH_GIVEN_JITTER | RAY_SWITCH_GIVEN_RATE |
                                        RAY_SWITCH_GIVEN_DUPLICATE | RAY_SWITCH_GIVEN_REORDER);
}

static void test_pairs(void **state)
{
    struct ray_switch_command command = parse("cut a b");
    (void)state;

    assert_int_equal(command.verb, RAY_SWITCH_CUT);
    assert_false(command.is_both);
    assert_true(parse("cut a b both").is_both);
    command = parse("heal");
    assert_int_equal(command.verb, RAY_SWITCH_HEAL);
    assert_string_equal(command.from, "");
    assert_string_equal(parse("heal a *").to, "*");
    assert_int_equal(parse("clear a b both").verb, RAY_SWITCH_CLEAR);
    assert_string_equal(parse("stats").from, "");
    assert_string_equal(parse("stats a").from, "a");
}

static void test_partition(void **state)
{
    static const char *const same[] = {"partition a,b | c", "partition a,b|c", "partition a b |c",
                                       "partition a, b | ,c,"};
    (void)state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(same); i++) {
        struct ray_switch_command command = parse(same[i]);

        assert_int_equal(command.member_count, 3);
        assert_string_equal(command.members[1].name, "b");
        assert_string_equal(command.members[2].name, "c");
        assert_int_equal(command.members[0].group, 0);
        assert_int_equal(command.members[1].group, 0);
        assert_int_equal(command.members[2].group, 1);
    }
}

static void test_pcap(void **state)
{
    struct ray_switch_command command = parse("pcap all \"/tmp/with blank.pcap\" 16M");
    (void)state;

    assert_int_equal(command.verb, RAY_SWITCH_PCAP);
    assert_string_equal(command.from, "all");
    assert_string_equal(command.path, "/tmp/with blank.pcap");
    assert_int_equal(command.size_max, 16 << 20);
    command = parse("pcap off");
    assert_int_equal(command.verb, RAY_SWITCH_PCAP_OFF);
    assert_string_equal(command.from, "");
    assert_string_equal(parse("pcap off node1").from, "node1");
    assert_string_equal(parse("pcap off all").from, "all");
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } table[] = {
        {"", "empty"},
        {"   ", "empty"},
        {"frobnicate", "not a command"},
        {"set", "name is missing"},
        {"set a", "name is missing"},
        {"set a b", "nothing to set"},
        {"set a b both", "nothing to set"},
        {"set a a loss=1", "named twice"},
        {"set A b loss=1", "not a port name"},
        {"set all b loss=1", "not a port name"},
        {"set aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b loss=1", "not a port name"},
        {"set a b loss", "whole number"},
        {"set a b loss=", "whole number"},
        {"set a b loss=-1", "whole number"},
        {"set a b loss=1000001", "from 0 to 1000000"},
        {"set a b loss=5%", "whole number"},
        {"set a b los=5", "not a fault"},
        {"set a b losss=5", "not a fault"},
        {"set a b loss=1 loss=2", "given twice"},
        {"set a b delay_us=60000001", "to 60000000"},
        {"set a b rate_bps=999", "at least 1000"},
        {"set a b rate_bps=1000000000001", "1000000000000"},
        {"cut", "name is missing"},
        {"cut a b c", "one word too many"},
        {"cut a b both c", "one word too many"},
        {"heal a", "name is missing"},
        {"partition", "two or more groups"},
        {"partition a,b", "two or more groups"},
        {"partition a |", "two or more groups"},
        {"partition | a", "empty"},
        {"partition a || b", "empty"},
        {"partition a | a", "named twice"},
        {"partition a | *", "not a port name"},
        {"stats *", "not a port name"},
        {"stats a b", "one word too many"},
        {"pcap", "name is missing"},
        {"pcap a", "FILE"},
        {"pcap a f", "FILE"},
        {"pcap a f 1 2", "one word too many"},
        {"pcap a f 0", "not a size"},
        {"pcap a f x", "not a size"},
        {"pcap a \"\" 5", "file name"},
        {"pcap a \"f 5", "quote"},
        {"pcap * f 5", "not a port name"},
        {"pcap off a b", "one word too many"},
        {"pcap off \xff", "\\xff"},
    };
    (void)state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(table); i++) {
        struct ray_switch_command command = {.member_count = 77};
        struct ray_err err = {0};
        int rc = ray_switch_ctl_parse(table[i].text, strlen(table[i].text), &command, &err);

        assert_int_equal(rc, RAY_EINVAL);
        if (strstr(err.text, table[i].why) == NULL) {
            fail_msg("'%s' was refused with '%s'", table[i].text, err.text);
        }
        assert_int_equal(command.member_count, 77); /* untouched */
    }
}

static void test_sizes(void **state)
{
    struct ray_switch_command command;
    struct ray_err err = {0};
    char text[RAY_SWITCH_CTL_SIZE_MAX + 1];
    (void)state;

    memset(text, ' ', sizeof text);
    text[0] = 'h';
    text[1] = 'e';
    text[2] = 'a';
    text[3] = 'l';
    assert_int_equal(ray_switch_ctl_parse(text, RAY_SWITCH_CTL_SIZE_MAX, &command, &err), RAY_OK);
    assert_int_equal(ray_switch_ctl_parse(text, RAY_SWITCH_CTL_SIZE_MAX + 1, &command, &err),
                     RAY_EINVAL);
    assert_int_equal(ray_switch_ctl_parse("heal\0 ", 6, &command, &err), RAY_EINVAL);
    for (size_t i = 0; i < RAY_SWITCH_CTL_SIZE_MAX; i += 2) {
        text[i] = 'w'; /* 2048 words */
        text[i + 1] = ' ';
    }
    assert_int_equal(ray_switch_ctl_parse(text, RAY_SWITCH_CTL_SIZE_MAX, &command, &err),
                     RAY_EINVAL);
}

static void test_partition_size(void **state)
{
    struct ray_switch_command command;
    struct ray_err err = {0};
    char text[1024] = "partition z |";
    (void)state;

    for (int i = 1; i <= RAY_SWITCH_PORT_COUNT_MAX; i++) {
        size_t size = strlen(text);
        int rc;

        (void)snprintf(text + size, sizeof text - size, " n%d", i);
        rc = ray_switch_ctl_parse(text, strlen(text), &command, &err);
        assert_int_equal(rc, i < RAY_SWITCH_PORT_COUNT_MAX ? RAY_OK : RAY_EINVAL);
    }
    assert_non_null(strstr(err.text, "more than 40 ports"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_pcap),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_partition_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

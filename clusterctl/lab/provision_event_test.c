/* provision_event_test.c - events of rayos-provision, as it writes them and as it must not. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/size.h"
#include "clusterctl/lab/provision_event.h"

static int parse(const char *line, struct lab_provision_event *out)
{
    return lab_provision_event_parse(line, strlen(line), out, NULL);
}

static void test_known_events(void **state)
{
    struct lab_provision_event event;

    (void)state;
    assert_int_equal(parse("{\"t_us\":5544304335,\"event\":\"http-done\",\"mac\":\"52:54:00:77:"
                           "00:1F\",\"ip\":\"10.77.0.31\",\"detail\":\"rayos.efi\","
                           "\"bytes\":37970944}",
                           &event),
                     RAY_OK);
    assert_int_equal(event.kind, LAB_PROVISION_HTTP_DONE);
    assert_int_equal(event.t_us, 5544304335);
    assert_int_equal(event.size_bytes, 37970944);
    assert_string_equal(event.mac, "52:54:00:77:00:1f");
    assert_string_equal(event.ip, "10.77.0.31");
    assert_string_equal(event.detail, "rayos.efi");
    assert_string_equal(event.name, "http-done");
}

static void test_missing_fields_are_empty(void **state)
{
    struct lab_provision_event event;

    (void)state;
    assert_int_equal(parse("{\"t_us\":0,\"event\":\"listening\"}", &event), RAY_OK);
    assert_int_equal(event.kind, LAB_PROVISION_LISTENING);
    assert_string_equal(event.mac, "");
    assert_int_equal(event.size_bytes, 0);
    assert_int_equal(parse("{\"t_us\":1,\"event\":\"new-thing\",\"mac\":7}", &event), RAY_OK);
    assert_int_equal(event.kind, LAB_PROVISION_OTHER);
    assert_string_equal(event.mac, "");
}

static void test_texts_are_escaped_and_cut(void **state)
{
    struct lab_provision_event event;
    char line[512];
    char *at;

    (void)state;
    assert_int_equal(parse("{\"t_us\":1,\"event\":\"tftp\",\"detail\":\"a\\nb\"}", &event), RAY_OK);
    assert_string_equal(event.detail, "a\\x0ab");
    at = stpcpy(line, "{\"t_us\":1,\"event\":\"tftp\",\"detail\":\"");
    memset(at, 'x', 300);
    (void)stpcpy(at + 300, "\"}");
    assert_int_equal(parse(line, &event), RAY_OK);
    assert_int_equal(strlen(event.detail), sizeof event.detail - 1);
}

/* A BIOS fetches kernel and initramfs, in that order. */
static void test_ends_of_downloads(void **state)
{
    static const struct {
        const char *line;
        bool ends;
    } cases[] = {
        {"{\"t_us\":1,\"event\":\"http-done\",\"detail\":\"rayos.efi after 9 ms\"}", true},
        {"{\"t_us\":1,\"event\":\"http-done\",\"detail\":\"vmlinuz after 9 ms\"}", false},
        {"{\"t_us\":1,\"event\":\"http-done\",\"detail\":\"initrd after 9 ms\"}", true},
        {"{\"t_us\":1,\"event\":\"http-start\",\"detail\":\"rayos.efi 1.2.3\"}", false},
        {"{\"t_us\":1,\"event\":\"http-done\"}", true},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct lab_provision_event event;

        assert_int_equal(parse(cases[i].line, &event), RAY_OK);
        assert_int_equal(lab_provision_event_ends_download(&event), cases[i].ends);
    }
}

static void test_refused(void **state)
{
    static const char *const lines[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{\"event\":\"tftp\"}",
                                        "{\"t_us\":1}",
                                        "{\"t_us\":-1,\"event\":\"tftp\"}",
                                        "{\"t_us\":\"1\",\"event\":\"tftp\"}",
                                        "{\"t_us\":1,\"event\":\"\"}",
                                        "{\"t_us\":1,\"event\":5}",
                                        "listening"};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(lines); i++) {
        struct lab_provision_event event = {.t_us = 77};

        assert_int_equal(parse(lines[i], &event), RAY_EMALFORMED);
        assert_int_equal(event.t_us, 77);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_events),
        cmocka_unit_test(test_missing_fields_are_empty),
        cmocka_unit_test(test_texts_are_escaped_and_cut),
        cmocka_unit_test(test_ends_of_downloads),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

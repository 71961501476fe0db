#include <string.h>

#include "base/test.h"
#include "node/facts/machine.h"
#include "node/facts/tree_fixture.h"

#define SECURE_BOOT "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void test_firmware(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Firmware firmware = RAYOS__NODE__FIRMWARE__INIT;

    facts_firmware_read(&tree->source, &firmware);
    assert_string_equal(firmware.kind, "bios");
    assert_string_equal(firmware.vendor, "");
    tree_put(tree, "sys/class/dmi/id/bios_vendor", "EDK II\n");
    tree_put(tree, "sys/class/dmi/id/product_name", "Standard PC\n");
    tree_put_bytes(tree, SECURE_BOOT, "\6\0\0\0\1", 5);
    facts_firmware_read(&tree->source, &firmware);
    assert_string_equal(firmware.kind, "uefi");
    assert_string_equal(firmware.vendor, "EDK II");
    assert_string_equal(firmware.machine_model, "Standard PC");
    assert_true(firmware.has_secure_boot);
    tree_put_bytes(tree, SECURE_BOOT, "\6\0\0\0\0", 5);
    facts_firmware_read(&tree->source, &firmware);
    assert_false(firmware.has_secure_boot);
    tree_put_bytes(tree, SECURE_BOOT, "\6\0\0\0\1\1", 6);
    facts_firmware_read(&tree->source, &firmware);
    assert_false(firmware.has_secure_boot);
}

static void test_clock(void **state)
{
    static const struct {
        const char *source;
        bool is_fit;
    } cases[] = {
        {"tsc\n", true},      {"kvm-clock\n", true}, {"hpet\n", true}, {"acpi_pm\n", false},
        {"jiffies\n", false}, {"tsc2\n", false},     {"", false},
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Rayos__Node__Clock clock = RAYOS__NODE__CLOCK__INIT;

        tree_put(tree, "sys/devices/system/clocksource/clocksource0/current_clocksource",
                 cases[i].source);
        facts_clock_read(&tree->source, &clock);
        assert_int_equal(clock.is_fit_for_leases, cases[i].is_fit);
    }
}

static void test_identity(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    struct facts_data data = {0};

    tree_put(tree, "run/rayos/identity.json",
             "{\"name\":\"n-0badcafe\",\"fingerprint\":\"ab12\",\"words\":\"one two\","
             "\"public_key_hex\":\"00\",\"persistent\":true}");
    tree_put(
        tree, "run/rayos/boot.json",
        "{\"boot_id\":\"b\",\"boot_counter\":7,\"image_version\":\"0.1\",\"boot_path\":\"pxe\","
        "\"data\":\"ram\",\"data_device\":\"\",\"data_reason\":\"several\"}");
    tree_put(tree, "proc/sys/kernel/osrelease", "6.12.0\n");
    tree_put(tree, "proc/uptime", "123.45 99.0\n");
    facts_identity_read(&tree->source, &facts, &data);
    assert_string_equal(facts.name, "n-0badcafe");
    assert_string_equal(facts.fingerprint, "ab12");
    assert_string_equal(facts.fingerprint_words, "one two");
    assert_true(facts.has_persistent_identity);
    assert_string_equal(facts.boot_id, "b");
    assert_int_equal(facts.boot_counter, 7);
    assert_string_equal(facts.image_version, "0.1");
    assert_string_equal(facts.boot_path, "pxe");
    assert_string_equal(facts.kernel, "6.12.0");
    assert_int_equal(facts.uptime_s, 123);
    assert_true(data.is_known);
    assert_false(data.is_disk);
    assert_string_equal(data.reason, "several");
}

/* By hand on a workstation. */
static void test_without_pid_1(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    struct facts_data data = {.is_known = true};

    tree_put(tree, "proc/sys/kernel/hostname", "desk\n");
    tree_put(tree, "proc/sys/kernel/random/boot_id", "abc-def\n");
    tree_put(tree, "usr/lib/rayos/image.json", "{\"version\":\"0.2\"}");
    facts_identity_read(&tree->source, &facts, &data);
    assert_string_equal(facts.name, "desk");
    assert_string_equal(facts.boot_id, "abc-def");
    assert_string_equal(facts.boot_path, "unknown");
    assert_string_equal(facts.image_version, "0.2");
    assert_false(data.is_known);
}

static void test_hostile_json(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "\"name\"",
        "{\"name\":7,\"data\":[]}",
        "{\"name\":{\"name\":\"x\"}}",
        "{\"boot_counter\":-1,\"name\":null}",
        "{\"name\":\"a\\u0000b\\u001b[2J\\nc\"}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
        struct facts_data data = {0};

        tree_put(tree, "run/rayos/identity.json", texts[i]);
        tree_put(tree, "run/rayos/boot.json", texts[i]);
        facts_identity_read(&tree->source, &facts, &data);
        for (const char *c = facts.name; *c != '\0'; c++) {
            assert_in_range(*c, 0x20, 0x7e);
        }
        assert_false(data.is_known);
        assert_int_equal(facts.boot_counter, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_firmware, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_clock, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_identity, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_without_pid_1, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_json, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "node/facts/cpu.h"
#include "node/facts/tree_fixture.h"

static const char amd[] =
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n"
    "model name\t: AMD EPYC 7B13\nflags\t\t: fpu svm hypervisor  sse2\n\nprocessor\t: 1\n";

static void test_list_parse(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"0", 1},
        {"0-3\n", 4},
        {"0-3,8\n", 5},
        {"0,2,4-5", 4},
        {"", 0},
        {"\n", 0},
        {"x", 0},
        {"3-1", 0},
        {"0-", 0},
        {"0,", 0},
        {"-1", 0},
        {"0-3x", 0},
        {"0 1", 0},
        {"99999999999", 0},
        {"1023", 1},
        {"1024", 0},
        {"0-2000000000", 8},
        {"5-2147483648", 0},
    };
    unsigned numbers[8];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(facts_cpu_list_parse(cases[i].text, numbers, 8), cases[i].count);
    }
    assert_int_equal(facts_cpu_list_parse("2-3,9", numbers, 8), 3);
    assert_int_equal(numbers[0], 2);
    assert_int_equal(numbers[1], 3);
    assert_int_equal(numbers[2], 9);
}

static void test_amd(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;

    tree_put(tree, "proc/cpuinfo", amd);
    tree_put(tree, "sys/devices/system/cpu/online", "0-3\n");
    tree_put(tree, "sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n");
    tree_put(tree, "sys/devices/system/cpu/cpu1/topology/physical_package_id", "0\n");
    tree_put(tree, "sys/devices/system/cpu/cpu2/topology/physical_package_id", "1\n");
    tree_put(tree, "sys/devices/system/cpu/cpu3/topology/physical_package_id", "99999\n");
    tree_put(tree, "dev/kvm", "");
    facts_cpu_read(&tree->source, &cpu);
    assert_string_equal(cpu.vendor, "AuthenticAMD");
    assert_string_equal(cpu.model, "AMD EPYC 7B13");
    assert_string_equal(cpu.virtualization, "svm");
    assert_true(cpu.is_virtual);
    assert_true(cpu.has_kvm);
    assert_int_equal(cpu.count, 4);
    assert_int_equal(cpu.socket_count, 2);
    assert_int_equal(cpu.n_features, 4);
    assert_string_equal(cpu.features[3], "sse2");
    assert_string_not_equal(cpu.architecture, "");
    assert_false(tree->source.is_out_of_memory);
}

static void test_nothing_there(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;

    facts_cpu_read(&tree->source, &cpu);
    facts_memory_read(&tree->source, &memory);
    assert_string_equal(cpu.vendor, "");
    assert_string_equal(cpu.virtualization, "");
    assert_int_equal(cpu.count, 0);
    assert_int_equal(cpu.n_features, 0);
    assert_false(cpu.has_kvm);
    assert_int_equal(memory.total_bytes, 0);
    assert_false(tree->source.is_out_of_memory);
}

static void test_arm(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;

    tree_put(tree, "proc/cpuinfo",
             "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n");
    facts_cpu_read(&tree->source, &cpu);
    assert_string_equal(cpu.vendor, "0x41");
    assert_string_equal(cpu.model, "0xd0c");
    assert_int_equal(cpu.n_features, 2);
}

/* More flags than there is room for, each longer than a text may be. */
static void test_too_many_features(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    char *text = malloc(16000);
    size_t used = 0;

    assert_non_null(text);
    used += (size_t)sprintf(text, "flags : ");
    for (int i = 0; i < FACTS_FEATURE_COUNT_MAX + 50; i++) {
        used += (size_t)sprintf(text + used, "f%d ", i);
    }
    memset(text + used, 'x', 2000);
    tree_put_bytes(tree, "proc/cpuinfo", text, used + 2000);
    facts_cpu_read(&tree->source, &cpu);
    assert_int_equal(cpu.n_features, FACTS_FEATURE_COUNT_MAX);
    free(text);
}

static void test_memory(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;

    tree_put(tree, "proc/meminfo",
             "MemTotal:        1024000 kB\nMemFree:  1 kB\nMemAvailable:     512 kB\n");
    facts_memory_read(&tree->source, &memory);
    assert_int_equal(memory.total_bytes, 1024000ULL * 1024);
    assert_int_equal(memory.available_bytes, 512ULL * 1024);
    tree_put(tree, "proc/meminfo",
             "MemTotal: 99999999999999999999999 kB\nMemAvailable: 18446744073709551615 kB\n");
    facts_memory_read(&tree->source, &memory);
    assert_int_equal(memory.total_bytes, 0);
    assert_int_equal(memory.available_bytes, 0);
    tree_put(tree, "proc/meminfo", "MemTotal: -5 kB\nMemAvailable:");
    facts_memory_read(&tree->source, &memory);
    assert_int_equal(memory.total_bytes, 0);
    assert_int_equal(memory.available_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_parse),
        cmocka_unit_test_setup_teardown(test_amd, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_there, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_arm, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_features, tree_test_setup,
                                        tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_memory, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

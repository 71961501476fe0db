#include <string.h>

#include "base/test.h"
#include "node/facts/tree_fixture.h"
#include "node/hello/facts.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BOOT_ID "11111111-2222-3333-4444-555555555555"
#define BRIDGE "sys/class/net/ray0/address"

static void put_node(struct tree *tree)
{
    tree_put(tree, BRIDGE, "52:54:00:77:00:15\n");
    tree_put(tree, "run/rayos/identity.json",
             "{\"name\":\"node1\",\"fingerprint\":\"" HEX64 "\",\"words\":\"a-b\"}");
    tree_put(tree, "run/rayos/boot.json",
             "{\"boot_id\":\"" BOOT_ID "\",\"image_version\":\"0.1.0+x\",\"boot_mac\":"
             "\"52:54:00:77:00:99\",\"machine_serial\":\"S1\",\"machine_uuid\":\"U1\"}");
    tree_put(tree, "proc/cmdline", "quiet rayos.image=" HEX64 "\n");
    tree_put(tree, "proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU\n\n");
    tree_put(tree, "proc/meminfo", "MemTotal: 1024 kB\nMemAvailable: 512 kB\n");
    tree_put(tree, "sys/class/dmi/id/sys_vendor", "QEMU\n");
    tree_put(tree, "sys/class/dmi/id/product_name", "Standard PC\n");
    tree_put(tree, "sys/block/vda/size", "2048\n");
    tree_dir(tree, "sys/block/vda/device");
}

static void test_node(void **state)
{
    struct tree *tree = *state;
    struct hello_facts facts;

    put_node(tree);
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, NULL), RAY_OK);
    assert_string_equal(facts.mac, "52:54:00:77:00:15");
    assert_string_equal(facts.name, "node1");
    assert_string_equal(facts.fingerprint, HEX64);
    assert_string_equal(facts.words, "a-b");
    assert_string_equal(facts.image_version, "0.1.0+x");
    assert_string_equal(facts.image_digest, HEX64);
    assert_string_equal(facts.boot_id, BOOT_ID);
    assert_string_equal(facts.vendor, "QEMU");
    assert_string_equal(facts.product, "Standard PC");
    assert_string_equal(facts.serial, "S1");
    assert_string_equal(facts.uuid, "U1");
    assert_string_equal(facts.cpu, "A CPU");
    assert_true(facts.memory_bytes == UINT64_C(1) << 20);
    assert_int_equal(facts.disk_count, 1);
}

/* Without a bridge the boot card's MAC is what DHCP knew. */
static void test_without_bridge(void **state)
{
    struct tree *tree = *state;
    struct hello_facts facts;

    put_node(tree);
    tree_put(tree, BRIDGE, "\n");
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, NULL), RAY_OK);
    assert_string_equal(facts.mac, "52:54:00:77:00:99");
}

static void test_nobody(void **state)
{
    static const struct {
        const char *path;
        const char *text;
        const char *word;
    } missing[] = {
        {"run/rayos/identity.json", "{}", "identity"},
        {"run/rayos/identity.json", "{\"name\":\"node1\",\"fingerprint\":\"00\"}", "identity"},
        {"run/rayos/identity.json", "{\"name\":\"\",\"fingerprint\":\"" HEX64 "\"}", "identity"},
    };
    struct tree *tree = *state;
    struct hello_facts facts;
    struct ray_err err = {0};

    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, &err), RAY_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "network card"));
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        put_node(tree);
        tree_put(tree, missing[i].path, missing[i].text);
        assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, &err), RAY_EUNAVAILABLE);
        assert_non_null(strstr(err.text, missing[i].word));
    }
    put_node(tree);
    tree_put(tree, "run/rayos/boot.json", "{\"boot_id\":\"\"}");
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, &err), RAY_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "id"));
}

/* Firmware, devices and whoever wrote the command line may say anything. */
static void test_hostile(void **state)
{
    struct tree *tree = *state;
    struct hello_facts facts;
    char serial[400] = "{\"boot_id\":\"" BOOT_ID "\",\"machine_uuid\":[7],\"machine_serial\":\"";
    size_t size = strlen(serial);

    put_node(tree);
    memset(serial + size, 'x', 200);
    (void)snprintf(serial + size + 200, sizeof serial - size - 200, "\"}");
    tree_put(tree, "run/rayos/boot.json", serial);
    tree_put(tree, "sys/class/dmi/id/sys_vendor", "a\x01\nb");
    tree_put(tree, "proc/cmdline", "rayos.image=../../etc/passwd");
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, NULL), RAY_OK);
    assert_int_equal(strlen(facts.serial), HELLO_HINT_SIZE_MAX - 1);
    assert_string_equal(facts.uuid, "");
    assert_string_equal(facts.vendor, "a\\x01");
    assert_string_equal(facts.image_digest, "");
    tree_put(tree, "run/rayos/boot.json", "no JSON");
    tree_put(tree, "proc/sys/kernel/random/boot_id", BOOT_ID "\n");
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, NULL), RAY_OK);
    assert_string_equal(facts.boot_id, BOOT_ID);
    assert_string_equal(facts.serial, "");
    /* A MAC that is none. */
    tree_put(tree, BRIDGE, "52:54:00:77:00:1\n");
    assert_int_equal(hello_facts_read(tree->fd, &tree->arena, &facts, NULL), RAY_EUNAVAILABLE);
}

static void test_without_memory(void **state)
{
    struct tree *tree = *state;
    struct hello_facts facts;

    put_node(tree);
    for (unsigned n = 1;; n++) {
        int rc;

        ray_arena_fini(&tree->arena);
        ray_arena_init(&tree->arena, FACTS_ARENA_SIZE_MAX);
        ray_test_fault_arm("alloc", n);
        rc = hello_facts_read(tree->fd, &tree->arena, &facts, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        /* What is only a hint may be missing then. */
        assert_true(rc == RAY_OK || rc == RAY_ENOMEM || rc == RAY_EUNAVAILABLE);
        assert_true(n < 1000);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, tree_test_setup, tree_test_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_node),    CASE(test_without_bridge), CASE(test_nobody),
        CASE(test_hostile), CASE(test_without_memory),
    };

    return cmocka_run_group_tests_name("node/hello/facts", tests, NULL, NULL);
}

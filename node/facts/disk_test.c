#include <string.h>

#include "base/test.h"
#include "node/facts/disk.h"
#include "node/facts/mounts.h"
#include "node/facts/tree_fixture.h"

/* A disk as sysfs shows it: the entry is a link into the tree of devices. */
static void put_disk(struct tree *tree, const char *name, const char *where)
{
    char path[256], target[256];

    (void)snprintf(path, sizeof path, "sys/block/%s", name);
    (void)snprintf(target, sizeof target, "../devices/%s/block/%s", where, name);
    tree_link(tree, path, target);
    (void)snprintf(path, sizeof path, "sys/devices/%s/block/%s/device/x", where, name);
    tree_put(tree, path, "");
}

static void test_virtio(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    const Rayos__Node__Disk *disk;

    put_disk(tree, "vda", "pci0000:00/0000:00:04.0/virtio1");
    tree_put(tree, "sys/block/vda/size", "8388608\n");
    tree_put(tree, "sys/block/vda/serial", "data-1\n");
    tree_put(tree, "sys/block/vda/dev", "254:0\n");
    tree_put(tree, "sys/block/vda/queue/rotational", "1\n");
    tree_put(tree, "sys/block/vda/vda1/partition", "1\n");
    tree_put(tree, "sys/block/vda/vda1/size", "2048\n");
    tree_put(tree, "sys/block/vda/vda1/dev", "254:1\n");
    tree_put(tree, "sys/block/vda/vda1/uevent",
             "MAJOR=254\nDEVTYPE=partition\nPARTNAME=RAYOS_DATA\nPARTN=1\n");
    tree_put(tree, "proc/self/mountinfo",
             "21 1 0:20 / /proc rw - proc proc rw\n"
             "22 1 254:1 / /var/ray\\040os rw,noatime - xfs /dev/vda1 rw\n");
    tree_dir(tree, "sys/block/loop0"); /* no device behind it */
    facts_disks_read(&tree->source, &facts);
    assert_int_equal(facts.n_disks, 1);
    disk = facts.disks[0];
    assert_string_equal(disk->name, "vda");
    assert_string_equal(disk->serial, "data-1");
    assert_string_equal(disk->transport, "virtio");
    assert_int_equal(disk->size_bytes, 8388608ULL * 512);
    assert_true(disk->is_rotational);
    assert_false(disk->is_removable);
    assert_string_equal(disk->in_use, "vda1 is mounted at /var/ray os");
    assert_int_equal(disk->n_partitions, 1);
    assert_string_equal(disk->partitions[0]->name, "vda1");
    assert_string_equal(disk->partitions[0]->label, "RAYOS_DATA");
    assert_int_equal(disk->partitions[0]->size_bytes, 1 << 20);
    assert_false(tree->source.is_out_of_memory);
}

static void test_uses(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;

    put_disk(tree, "sda", "pci0000:00/ata1/host0");
    tree_put(tree, "sys/block/sda/dev", "8:0");
    tree_put(tree, "sys/block/sda/sda1/partition", "1");
    tree_put(tree, "sys/block/sda/sda1/uevent", "PARTNAME=RAYOS_DATA");
    put_disk(tree, "sdb", "pci0000:00/usb1/host1");
    tree_put(tree, "sys/block/sdb/dev", "8:16");
    put_disk(tree, "sdc", "pci0000:00/host2");
    tree_put(tree, "sys/block/sdc/dev", "8:32");
    tree_dir(tree, "sys/block/sdc/holders/dm-0");
    put_disk(tree, "nvme0n1", "pci0000:00/nvme/nvme0");
    tree_put(tree, "sys/block/nvme0n1/dev", "259:0");
    tree_put(tree, "proc/swaps", "Filename\tType\n/dev/sdb2  partition\n/dev/sdb\tpartition 1\n");
    tree_put(tree, "proc/self/mountinfo", "30 1 259:0 / /mnt rw - xfs /dev/nvme0n1 rw\n");
    facts_disks_read(&tree->source, &facts);
    assert_int_equal(facts.n_disks, 4);
    assert_string_equal(facts.disks[0]->name, "nvme0n1");
    assert_string_equal(facts.disks[0]->transport, "nvme");
    assert_string_equal(facts.disks[0]->in_use, "nvme0n1 is mounted at /mnt");
    assert_string_equal(facts.disks[1]->transport, "ata");
    assert_string_equal(facts.disks[1]->in_use, "holds RAYOS_DATA");
    assert_string_equal(facts.disks[2]->transport, "usb");
    assert_string_equal(facts.disks[2]->in_use, "sdb is swap");
    assert_string_equal(facts.disks[3]->transport, "scsi");
    assert_string_equal(facts.disks[3]->in_use, "sdc is part of dm-0");
}

static void test_hostile_mountinfo(void **state)
{
    static const char *const texts[] = {
        "",
        "\n\n\n",
        "22",
        "22 1",
        "22 1 254:1",
        "22 1 254:1 /",
        "22 1 x:y / /mnt rw",
        "22 1 99999999999:1 / /mnt rw",
        "22 1 254:1 / \\",
        "22 1 254:1 / \\04",
        "22 1 254:1 / \\999",
        "22 1 254:1 / \\377\\033[2J",
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct facts_mounts mounts;
        const char *point;

        tree_put(tree, "proc/self/mountinfo", texts[i]);
        facts_mounts_read(&tree->source, &mounts);
        point = facts_mounts_find(&mounts, "254:1");
        for (const char *c = point; c != NULL && *c != '\0'; c++) {
            assert_in_range(*c, 0x20, 0x7e);
        }
        assert_null(facts_mounts_find(&mounts, ""));
        assert_null(facts_mounts_find(&mounts, "0:0"));
    }
}

static void test_limits(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    char name[64];

    for (int i = 0; i < FACTS_DISK_COUNT_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "sys/block/d%d/device/model", i);
        tree_put(tree, name, "m");
    }
    for (int i = 0; i < FACTS_PARTITION_COUNT_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "sys/block/d0/d0p%d/partition", i);
        tree_put(tree, name, "1");
    }
    tree_put(tree, "sys/block/d0/size", "18446744073709551615");
    facts_disks_read(&tree->source, &facts);
    assert_int_equal(facts.n_disks, FACTS_DISK_COUNT_MAX);
    assert_int_equal(facts.disks[0]->n_partitions, FACTS_PARTITION_COUNT_MAX);
    assert_int_equal(facts.disks[0]->size_bytes, 0); /* does not fit into bytes */
    assert_string_equal(facts.disks[0]->transport, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_virtio, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_uses, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_mountinfo, tree_test_setup,
                                        tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_limits, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

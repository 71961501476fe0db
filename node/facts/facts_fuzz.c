/* facts_fuzz.c - hostile contents of the files that facts are read from.
 *
 * Input: any number of {file index, length (two bytes, big-endian), contents}. Every text that
 * comes out must be short printable ASCII, and the whole must pack. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/facts/facts.h"
#include "node/facts/tree_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/self/mountinfo",
    "proc/swaps",
    "proc/uptime",
    "run/rayos/identity.json",
    "run/rayos/boot.json",
    "usr/lib/rayos/image.json",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu0/topology/physical_package_id",
    "sys/block/vda/size",
    "sys/block/vda/dev",
    "sys/block/vda/device/model",
    "sys/block/vda/vda1/uevent",
    "sys/block/vda/vda1/dev",
    "sys/class/net/eth0/address",
    "sys/class/net/eth0/speed",
    "sys/class/dmi/id/bios_vendor",
    "run/rayos/network.json",
};
enum { FILE_COUNT = sizeof files / sizeof files[0] };

static void check_text(const char *text)
{
    size_t size = strlen(text);

    if (size >= FACTS_TEXT_SIZE_MAX) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            abort();
        }
    }
}

static void check_facts(const Rayos__Node__Facts *facts)
{
    check_text(facts->name);
    check_text(facts->boot_id);
    check_text(facts->image_version);
    check_text(facts->cpu->vendor);
    for (size_t i = 0; i < facts->cpu->n_features; i++) {
        check_text(facts->cpu->features[i]);
    }
    for (size_t i = 0; i < facts->n_disks; i++) {
        check_text(facts->disks[i]->model);
        check_text(facts->disks[i]->in_use);
    }
    for (size_t i = 0; i < facts->n_network_cards; i++) {
        check_text(facts->network_cards[i]->kernel_name);
        check_text(facts->network_cards[i]->permanent_mac);
        check_text(facts->network_cards[i]->alternative_name);
    }
}

static void write_files(struct tree *tree, const uint8_t *data, size_t size)
{
    while (size >= 3) {
        const char *file = files[data[0] % FILE_COUNT];
        size_t length = (size_t)data[1] << 8 | data[2];

        data += 3;
        size -= 3;
        length = length < size ? length : size;
        tree_put_bytes(tree, file, data, length);
        data += length;
        size -= length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Rayos__Node__Facts *facts = NULL;
    struct ray_arena arena;
    struct tree tree;

    tree_setup(&tree);
    tree_put(&tree, "sys/block/vda/vda1/partition", "1");
    tree_put(&tree, "sys/block/vda/device/vendor", "");
    tree_put(&tree, "sys/class/net/eth0/type", "1");
    write_files(&tree, data, size);
    ray_arena_init(&arena, FACTS_ARENA_SIZE_MAX);
    if (facts_read(tree.fd, &arena, &facts, NULL, NULL) == RAY_OK) {
        check_facts(facts);
    }
    ray_arena_fini(&arena);
    tree_teardown(&tree);
    return 0;
}

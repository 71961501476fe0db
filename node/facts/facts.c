/* facts.c - all readers, one after the other, into one message. */
#include "node/facts/facts.h"

#include <assert.h>

#include "node/facts/cpu.h"
#include "node/facts/disk.h"
#include "node/facts/network.h"
#include "node/facts/read.h"

struct parts {
    Rayos__Node__Facts facts;
    Rayos__Node__Cpu cpu;
    Rayos__Node__Memory memory;
    Rayos__Node__Firmware firmware;
    Rayos__Node__Clock clock;
};

static void parts_init(struct parts *parts)
{
    rayos__node__facts__init(&parts->facts);
    rayos__node__cpu__init(&parts->cpu);
    rayos__node__memory__init(&parts->memory);
    rayos__node__firmware__init(&parts->firmware);
    rayos__node__clock__init(&parts->clock);
    parts->facts.cpu = &parts->cpu;
    parts->facts.memory = &parts->memory;
    parts->facts.firmware = &parts->firmware;
    parts->facts.clock = &parts->clock;
}

/* A machine with very many parts must still be told of: partitions go first, then cards,
 * then disks, each from the end. */
void facts_fit(Rayos__Node__Facts *facts, size_t size_max)
{
    while (rayos__node__facts__get_packed_size(facts) > size_max) {
        size_t i = facts->n_disks;

        while (i > 0 && facts->disks[i - 1]->n_partitions == 0) {
            i--;
        }
        if (i > 0) {
            facts->disks[i - 1]->n_partitions = 0;
        } else if (facts->n_network_cards > 0) {
            facts->n_network_cards--;
        } else if (facts->n_disks > 0) {
            facts->n_disks--;
        } else {
            break;
        }
    }
}

int facts_read(int root_fd, struct ray_arena *arena, Rayos__Node__Facts **out_facts,
               struct facts_data *out_data, struct ray_err *err)
{
    struct facts_source source = {.root_fd = root_fd, .arena = arena};
    struct facts_address *addresses = NULL;
    struct facts_data data = {0};
    struct parts *parts = facts_alloc(&source, sizeof *parts);
    size_t address_count;

    assert(root_fd >= 0 && out_facts != NULL);
    if (parts != NULL) {
        parts_init(parts);
        facts_identity_read(&source, &parts->facts, &data);
        facts_cpu_read(&source, &parts->cpu);
        facts_memory_read(&source, &parts->memory);
        facts_firmware_read(&source, &parts->firmware);
        facts_clock_read(&source, &parts->clock);
        facts_disks_read(&source, &parts->facts);
        address_count = facts_addresses_read(&source, &addresses);
        facts_network_read(&source, addresses, address_count, &parts->facts);
    }
    if (source.is_out_of_memory) {
        return ray_fail(err, RAY_ENOMEM, "the facts of this node need too much memory");
    }
    *out_facts = &parts->facts;
    if (out_data != NULL) {
        *out_data = data;
    }
    return RAY_OK;
}

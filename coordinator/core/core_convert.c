/* coordinator/core/core_convert.c - our structs to libraft's and back. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "coordinator/core/core_impl.h"

static_assert((int)COORD_STANDBY == (int)RAFT_STANDBY, "roles are libraft's");
static_assert((int)COORD_VOTER == (int)RAFT_VOTER, "roles are libraft's");

void coord_core_address(uint64_t id, char out[static COORD_CORE_ADDRESS_SIZE])
{
    int size = snprintf(out, COORD_CORE_ADDRESS_SIZE, "%" PRIx64, id);

    assert(size > 0 && size < COORD_CORE_ADDRESS_SIZE);
}

int coord_core_to_raft_config(const struct coord_config *config, struct raft_configuration *out)
{
    raft_configuration_init(out);
    for (size_t i = 0; i < config->count; i++) {
        char address[COORD_CORE_ADDRESS_SIZE];

        coord_core_address(config->servers[i].id, address);
        if (raft_configuration_add(out, config->servers[i].id, address,
                                   (int)config->servers[i].role) != 0) {
            raft_configuration_close(out);
            return RAY_ENOMEM;
        }
    }
    return RAY_OK;
}

void coord_core_from_raft_config(const struct raft_configuration *config, struct coord_config *out)
{
    assert(config->n <= COORD_SERVERS_MAX);
    *out = (struct coord_config){.count = config->n};
    for (size_t i = 0; i < config->n; i++) {
        out->servers[i] = (struct coord_server){.id = config->servers[i].id,
                                                .role = (enum coord_role)config->servers[i].role};
    }
}

enum raft_entry_type coord_core_to_raft_type(enum coord_entry_type type)
{
    switch (type) {
    case COORD_ENTRY_COMMAND:
        return RAFT_COMMAND;
    case COORD_ENTRY_NOOP:
        return RAFT_BARRIER;
    case COORD_ENTRY_CHANGE:
        return RAFT_CHANGE;
    }
    assert(false && "entries were checked");
    return RAFT_COMMAND;
}

enum coord_entry_type coord_core_from_raft_type(enum raft_entry_type type)
{
    switch (type) {
    case RAFT_COMMAND:
        return COORD_ENTRY_COMMAND;
    case RAFT_BARRIER:
        return COORD_ENTRY_NOOP;
    case RAFT_CHANGE:
        return COORD_ENTRY_CHANGE;
    }
    assert(false && "libraft has three types");
    return COORD_ENTRY_COMMAND;
}

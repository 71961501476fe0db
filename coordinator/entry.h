/* coordinator/entry.h - one entry of the replicated log, and who replicates it.
 *
 * Memory: plain structs; `data` is borrowed unless a function says otherwise.
 * Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_ENTRY_H
#define RAY_COORDINATOR_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On disk and on the wire; never renumbered. */
enum coord_entry_type {
    COORD_ENTRY_COMMAND = 1, /* a packed rayos.registry.Command */
    COORD_ENTRY_NOOP = 2,    /* a new leader's own first entry (guard G1); empty */
    COORD_ENTRY_CHANGE = 3,  /* a configuration, as coord_config_encode writes it */
};

enum { COORD_ENTRY_SIZE_MAX = 512 << 10 };

struct coord_entry {
    uint64_t term;
    uint64_t index;
    enum coord_entry_type type;
    uint32_t size;
    const uint8_t *data; /* NULL when size is 0 */
};

enum coord_role {
    COORD_STANDBY = 0, /* replicates, no vote */
    COORD_VOTER = 1,
};

enum { COORD_SERVERS_MAX = 16 };

/* A member by the number that the log knows it by. Numbers are given out by the state machine
 * from a counter and never reused; a wiped or cloned node gets a new one. */
struct coord_server {
    uint64_t id; /* not 0 */
    enum coord_role role;
};

/* Sorted by id. */
struct coord_config {
    struct coord_server servers[COORD_SERVERS_MAX];
    size_t count;
};

#endif

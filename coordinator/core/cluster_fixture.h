/* coordinator/core/cluster_fixture.h - some members in one process, for tests: a clock, FIFO
 * links that carry encoded frames, disks that are slow or stall, crashes that lose what is not
 * stored. Deterministic: the same calls give the same run.
 *
 * Every applied entry is held against a table of all that was ever applied: two nodes that
 * differ end the test. So does a second leader of one term.
 * Memory: init/fini.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_COORDINATOR_CORE_CLUSTER_FIXTURE_H
#define RAY_COORDINATOR_CORE_CLUSTER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/core/config.h"
#include "coordinator/core/core.h"

enum {
    CLUSTER_NODES_MAX = 8,
    CLUSTER_INDEX_MAX = 200000,
    CLUSTER_HEARTBEAT_MS = 40,
};

#define CLUSTER_ELECTION_MS UINT32_C(200)

struct cluster_record {
    uint64_t term;
    enum coord_entry_type type;
    uint32_t size;
    uint8_t *data;
};

struct cluster_node {
    uint64_t id;
    struct coord_core *core; /* NULL: down */
    struct coord_core_out out;

    /* Disk. */
    struct coord_hard_state hard;
    struct cluster_record *log; /* log[i]: entry log_first + i */
    uint64_t log_first;
    size_t log_count;
    size_t log_capacity;
    uint64_t durable_index;
    bool is_disk_stalled;
    struct coord_snapshot snapshot; /* index 0: none */

    /* State machine: what it has seen of configurations. */
    uint64_t applied_index;
    struct coord_config config;
    uint64_t config_index;
    bool is_install_held; /* notices of snapshots are not followed */
    uint64_t installed_count;
    uint32_t start_count;
};

struct cluster_frame {
    uint64_t from;
    uint64_t to;
    uint64_t at_ms;
    size_t size;
    uint8_t *bytes;
};

struct cluster {
    uint64_t now_ms;
    struct cluster_node nodes[CLUSTER_NODES_MAX]; /* id = position + 1 */
    size_t count;
    struct cluster_frame *frames; /* FIFO by arrival */
    size_t frame_first;
    size_t frame_count;
    size_t frame_capacity;
    bool is_cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1]; /* from, to */
    uint32_t delay_ms;
    uint32_t jitter_ms;      /* more delay, at random: messages overtake each other */
    uint32_t double_percent; /* of messages that come twice */
    /* NULL, or whether a message may pass; a test may keep a copy. */
    bool (*filter)(void *arg, const struct coord_message *message);
    void *filter_arg;
    struct cluster_record *applied; /* [CLUSTER_INDEX_MAX] by index */
    uint64_t applied_max;
    uint64_t leader_of_term[4096];
    uint64_t message_count;
    uint64_t append_empty_count;
    uint32_t random;
    size_t cache_size;
};

/* `count` nodes; node 1 has the first configuration with itself as the only voter, the others
 * are empty. All are started. */
void cluster_init(struct cluster *cluster, size_t count);
void cluster_fini(struct cluster *cluster);

struct cluster_node *cluster_node(struct cluster *cluster, uint64_t id);
void cluster_start(struct cluster *cluster, uint64_t id);
/* What is not durable is lost. */
void cluster_crash(struct cluster *cluster, uint64_t id);
void cluster_cut(struct cluster *cluster, uint64_t id, bool is_cut); /* from all others */

/* Does what an out says. */
void cluster_handle(struct cluster *cluster, struct cluster_node *node);
void cluster_run(struct cluster *cluster, uint64_t ms);
/* Until the node that leads (0: any) is ready; its id. Fails the test after 20 s. */
uint64_t cluster_await_leader(struct cluster *cluster);
/* Until every running member of the newest configuration has applied `index`. */
void cluster_await_applied(struct cluster *cluster, uint64_t index);

/* One command of `size` bytes by the leader `id`; its index. */
uint64_t cluster_submit(struct cluster *cluster, uint64_t id, size_t size);
/* Adds as standbys and promotes until nodes 1..voters vote, by the leader. */
void cluster_grow(struct cluster *cluster, size_t voters);
/* One change, waits until it is committed everywhere. */
void cluster_change(struct cluster *cluster, uint64_t id, bool is_removed, enum coord_role role);
/* A snapshot of what is applied; the node's log keeps `trailing` entries. */
void cluster_snapshot(struct cluster *cluster, uint64_t id, size_t trailing);

uint32_t cluster_random(struct cluster *cluster, uint32_t below);

#endif

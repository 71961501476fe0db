/* From a disk to a member. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "tests/sim/mem.h"
#include "tests/sim/node_raft.h"

static int load_entries(void *arg, uint64_t index, coord_core_sink *sink, void *sink_arg)
{
    struct sim_node *node = arg;
    struct coord_wal_span span = {0};
    int rc = coord_wal_read(node->wal, index, 64, COORD_MESSAGE_PAYLOAD_SIZE, &span, NULL);

    for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
        if (!sink(sink_arg, &span.entries[i])) {
            break;
        }
    }
    coord_wal_span_fini(&span);
    return rc;
}

static void on_durable(void *arg, uint64_t index);

static void on_wal_failed(void *arg, int status)
{
    (void)status;
    sim_raft_fail(arg, "the disk failed under the log");
}

static void on_space(void *arg, enum coord_wal_space space)
{
    struct sim_node *node = arg;
    struct coord_core_out out;

    if (space == COORD_WAL_SPACE_FULL && sim_raft_is_running(node)) {
        int rc = coord_core_step_down(node->core, sim_raft_now_ms(node), &out, NULL);

        sim_raft_drive(node, rc, &out);
    }
}

/* The log as the core wants it: with the bytes of configurations. */
static int read_boot(struct sim_node *node, struct coord_core_boot *boot,
                     struct coord_wal_span **out_spans, size_t *out_span_count)
{
    uint64_t first = coord_wal_first_index(node->wal);
    size_t count = (size_t)(coord_wal_last_index(node->wal) + 1 - first);
    struct coord_entry *entries = sim_alloc(count, sizeof *entries);
    size_t span_capacity = 0;
    int rc = RAY_OK;

    for (size_t i = 0; i < count && rc == RAY_OK; i++) {
        rc = coord_wal_info(node->wal, first + i, &entries[i]);
        if (rc == RAY_OK && entries[i].type == COORD_ENTRY_CHANGE) {
            *out_spans = sim_grow(*out_spans, *out_span_count, &span_capacity, sizeof **out_spans);
            struct coord_wal_span *span = &(*out_spans)[(*out_span_count)++];

            *span = (struct coord_wal_span){0};
            rc = coord_wal_read(node->wal, first + i, 1, 0, span, NULL);
            if (rc == RAY_OK) {
                entries[i] = span->entries[0];
            }
        }
    }
    boot->entries = entries;
    boot->count = count;
    return rc;
}

static void start_core(struct sim_node *node)
{
    const struct sim_cluster *cluster = node->world.cluster;
    struct coord_core_config config = {.self_id = sim_raft_server(node->world.place),
                                       .election_ms = cluster->election_ms,
                                       .heartbeat_ms = cluster->heartbeat_ms,
                                       .load = load_entries,
                                       .arg = node};
    struct coord_core_boot boot = {
        .hard = {.term = node->meta.now.term, .vote = node->meta.now.vote}};
    struct coord_wal_span *spans = NULL;
    size_t span_count = 0;
    struct coord_core_out out;
    struct ray_err err = {.code = RAY_OK};
    int rc = read_boot(node, &boot, &spans, &span_count);

    node->world.env->random(node->world.env->arg, &config.seed, sizeof config.seed);
    if (rc == RAY_OK) {
        rc = coord_core_create(&node->core, &config, &err);
    }
    if (rc == RAY_OK) {
        rc = coord_core_start(node->core, sim_raft_now_ms(node), &boot, &out, &err);
    }
    for (size_t i = 0; i < span_count; i++) {
        coord_wal_span_fini(&spans[i]);
    }
    free(spans);
    free((void *)(uintptr_t)boot.entries);
    if (rc != RAY_OK) {
        sim_raft_fail(node, err.code != RAY_OK ? err.text : "the log cannot be read");
        return;
    }
    sim_raft_drive(node, rc, &out);
}

static void first_entry(struct sim_node *node)
{
    struct coord_config config = {.count = node->world.cluster->node_count};
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = {.term = 1, .index = 1, .type = COORD_ENTRY_CHANGE, .data = bytes};

    for (uint32_t i = 0; i < config.count; i++) {
        config.servers[i] = (struct coord_server){.id = sim_raft_server(i), .role = COORD_VOTER};
    }
    entry.size = (uint32_t)coord_config_encode(&config, bytes);
    if (coord_wal_append(node->wal, &entry, 1, NULL) != RAY_OK) {
        sim_raft_fail(node, "the first entry cannot be appended");
        return;
    }
    node->world.observer.appended(node->world.observer.arg, 1, 1, sim_raft_entry_hash(&entry), 0);
    coord_wal_flush(node->wal);
}

static int open_log(struct sim_node *node, struct ray_err *err)
{
    struct coord_wal_config config = {.cluster_id = node->meta.now.cluster_id,
                                      .node_id = node->meta.now.node_id,
                                      .segment_size = node->world.cluster->segment_size};
    struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_wal_failed, .on_space = on_space, .arg = node};
    struct coord_wal_recovery recovery;

    memcpy(config.salt, node->meta.now.log_salt, sizeof config.salt);
    int rc = coord_wal_open(&node->wal, node->world.disk, &config, &user, &recovery, err);

    if (rc != RAY_OK) {
        return rc;
    }
    node->world.env->log(node->world.env->arg, RAY_LOG_INFO, "node",
                         recovery.text[0] != '\0' ? recovery.text : "log is clean");
    if (recovery.outcome == COORD_WAL_ROT) {
        sim_raft_quarantine(node, recovery.text);
    } else if (recovery.last_index == 0) {
        first_entry(node);
    } else {
        node->durable_index = recovery.last_index;
        start_core(node);
    }
    return RAY_OK;
}

static void see_name(void *arg, const char *name, uint64_t size)
{
    bool *has_log = arg;

    (void)size;
    *has_log = *has_log || strncmp(name, "wal-", 4) == 0;
}

/* The power failed after the meta block got its name and before it got its content; the log is
 * made after that. */
static bool is_unborn(const struct sim_node *node)
{
    bool has_log = false;

    return node->world.disk->ops->list(node->world.disk, see_name, &has_log, NULL) == RAY_OK &&
           !has_log;
}

static void be_born(struct sim_node *node);

static void on_cleared(void *arg, int status)
{
    struct sim_node *node = arg;

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
    } else if (status == RAY_OK) {
        be_born(node);
    } else {
        sim_raft_fail(node, "it cannot be born");
    }
}

static void on_born(void *arg, int status)
{
    struct sim_node *node = arg;
    struct ray_err err;

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
        return;
    }
    if (status != RAY_OK || open_log(node, &err) != RAY_OK) {
        sim_raft_fail(node, "it cannot be born");
    }
}

static void be_born(struct sim_node *node)
{
    struct coord_meta first = {.cluster_id = node->world.cluster->id,
                               .node_id = node->world.cluster->nodes[node->world.place],
                               .server_id = sim_raft_server(node->world.place),
                               .term = 1};

    node->world.env->random(node->world.env->arg, first.incarnation.bytes, RAY_ID_SIZE);
    node->world.env->random(node->world.env->arg, first.log_salt, sizeof first.log_salt);
    node->is_in_birth = true;
    coord_meta_create(&node->meta, node->world.disk, &first, on_born, node);
}

static void on_durable(void *arg, uint64_t index)
{
    struct sim_node *node = arg;
    struct coord_core_out out;

    node->durable_index = index;
    if (node->has_failed || node->is_quarantined) {
        return;
    }
    if (node->core == NULL) {
        start_core(node);
    } else {
        int rc = coord_core_persisted(node->core, sim_raft_now_ms(node), index, &out, NULL);

        sim_raft_drive(node, rc, &out);
    }
}

int sim_raft_start(struct sim_node *node, struct ray_err *err)
{
    struct coord_disk *disk = node->world.disk;
    int rc = coord_meta_open(&node->meta, disk, err);

    if (rc == RAY_ENOTFOUND) {
        be_born(node);
        return RAY_OK;
    }
    if (rc == RAY_EMALFORMED && is_unborn(node)) {
        node->is_in_birth = true;
        disk->ops->remove(disk, COORD_META_NAME, on_cleared, node);
        return RAY_OK;
    }
    return rc == RAY_OK ? open_log(node, err) : rc;
}

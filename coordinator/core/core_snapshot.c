/* coordinator/core/core_snapshot.c - snapshots by index, term and configuration; the bytes are
 * the owner's. */
#include <assert.h>
#include <inttypes.h>

#include "coordinator/core/core_impl.h"

static int check_snapshot(const struct coord_snapshot *snapshot, struct ray_err *err)
{
    if (snapshot->index == 0 || snapshot->term == 0 || snapshot->config_index == 0 ||
        snapshot->config_index > snapshot->index) {
        return ray_fail(err, RAY_EINVAL, "an impossible snapshot");
    }
    return coord_config_check(&snapshot->config, err);
}

static int fill_metadata(const struct coord_snapshot *snapshot, struct raft_snapshot_metadata *out)
{
    *out = (struct raft_snapshot_metadata){
        .index = snapshot->index,
        .term = snapshot->term,
        .configuration_index = snapshot->config_index,
    };
    return coord_core_to_raft_config(&snapshot->config, &out->configuration);
}

static int check_taken(const struct coord_core *core, const struct coord_snapshot *snapshot,
                       struct ray_err *err)
{
    int rc = check_snapshot(snapshot, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (snapshot->index <= core->snapshot.index || snapshot->index > core->commit_index ||
        snapshot->index > core->raft.last_stored ||
        coord_core_term_of(core, snapshot->index) != snapshot->term ||
        snapshot->config_index > core->committed_config_index) {
        return ray_fail(err, RAY_EINVAL,
                        "a snapshot at %" PRIu64 ": the last is at %" PRIu64
                        ", committed is %" PRIu64 ", stored %" PRIu64,
                        snapshot->index, core->snapshot.index, core->commit_index,
                        coord_core_stored_index(core));
    }
    return RAY_OK;
}

int coord_core_snapshot_taken(struct coord_core *core, uint64_t now_ms,
                              const struct coord_snapshot *snapshot, size_t trailing,
                              struct coord_core_out *out, struct ray_err *err)
{
    struct raft_event event;
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK) {
        rc = check_taken(core, snapshot, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    event = coord_core_event(core, RAFT_SNAPSHOT);
    event.snapshot.trailing = trailing < UINT32_MAX ? (unsigned)trailing : UINT32_MAX;
    if (fill_metadata(snapshot, &event.snapshot.metadata) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    core->snapshot = *snapshot;
    rc = coord_core_run(core, &event, err);
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

/* ---- somebody else's ---- */

/* libraft hears of it as if its leader had sent it just now: it drops its log and asks for the
 * snapshot to be stored, which it is. Without a leader that is known we stand in for it, and
 * forget that at once; messages to ourselves are dropped. */
static int step_install(struct coord_core *core, const struct coord_snapshot *snapshot,
                        struct ray_err *err)
{
    struct raft_event event = coord_core_event(core, RAFT_RECEIVE);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT};
    struct raft_snapshot_metadata metadata;
    char address[COORD_CORE_ADDRESS_SIZE];
    bool is_newer_term = snapshot->term > core->raft.current_term;
    uint64_t leader_id = is_newer_term ? 0 : coord_core_leader(core);
    int rc;

    if (fill_metadata(snapshot, &metadata) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    message.server_id = leader_id == 0 ? core->config.self_id : leader_id;
    coord_core_address(message.server_id, address);
    message.server_address = address;
    message.install_snapshot = (struct raft_install_snapshot){
        .term = is_newer_term ? snapshot->term : core->raft.current_term,
        .last_index = snapshot->index,
        .last_term = snapshot->term,
        .conf = metadata.configuration,
        .conf_index = snapshot->config_index,
    };
    event.receive.message = &message;
    rc = coord_core_run(core, &event, err);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(core->raft.snapshot.installing);
    event = coord_core_event(core, RAFT_PERSISTED_SNAPSHOT);
    event.persisted_snapshot.metadata = metadata;
    event.persisted_snapshot.last = true;
    core->snapshot = *snapshot;
    core->notice = (struct coord_snapshot){0};
    coord_log_clear(&core->log, snapshot->index + 1);
    rc = coord_core_run(core, &event, err);
    assert(rc != RAY_OK || core->commit_index == snapshot->index);
    if (leader_id == 0) {
        coord_core_forget_leader(core);
    }
    return rc;
}

int coord_core_snapshot_installed(struct coord_core *core, uint64_t now_ms,
                                  const struct coord_snapshot *snapshot, bool *out_is_needed,
                                  struct coord_core_out *out, struct ray_err *err)
{
    bool is_needed;
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK) {
        rc = check_snapshot(snapshot, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    is_needed = snapshot->index > core->commit_index && core->raft.state != RAFT_LEADER &&
                coord_core_term_of(core, snapshot->index) != snapshot->term;
    if (is_needed) {
        rc = step_install(core, snapshot, err);
    }
    if (rc == RAY_OK) {
        *out_is_needed = is_needed;
        coord_core_close(core, out);
    }
    return rc;
}

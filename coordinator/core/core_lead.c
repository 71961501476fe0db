/* coordinator/core/core_lead.c - what only a leader does: submit, change the configuration,
 * hand over, give up, announce. */
#include <assert.h>
#include <inttypes.h>

#include "coordinator/core/core_impl.h"
#include "coordinator/mutant.h"

static int check_leads(const struct coord_core *core, struct ray_err *err)
{
    if (core->raft.state != RAFT_LEADER) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this node does not lead");
    }
    if (coord_core_is_transferring(core)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "leadership is being handed over");
    }
    return RAY_OK;
}

/* One SUBMIT of `entries`; index and term are libraft's. */
static int run_submit(struct coord_core *core, const struct coord_entry *entries, size_t count,
                      struct ray_err *err)
{
    struct raft_event event = coord_core_event(core, RAFT_SUBMIT);

    if (coord_core_reserve_entries(core, count) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        core->raft_entries[i] = (struct raft_entry){
            .term = core->raft.current_term,
            .type = coord_core_to_raft_type(entries[i].type),
            .buf = {.base = (void *)(uintptr_t)entries[i].data, .len = entries[i].size},
            .batch = core, /* never freed: entries of a submit stay ours */
        };
    }
    event.submit.entries = core->raft_entries;
    event.submit.n = (unsigned)count;
    return coord_core_run(core, &event, err);
}

static int check_submit(const struct coord_core *core, const struct coord_entry *entries,
                        size_t count, struct ray_err *err)
{
    int rc = check_leads(core, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (count == 0 || count > COORD_CORE_SUBMIT_MAX) {
        return ray_fail(err, RAY_EINVAL, "a submit of %zu entries, not 1 to %d", count,
                        COORD_CORE_SUBMIT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].type != COORD_ENTRY_COMMAND || entries[i].size > COORD_ENTRY_SIZE_MAX) {
            return ray_fail(err, RAY_EINVAL, "a command of type %d and %u bytes",
                            (int)entries[i].type, entries[i].size);
        }
    }
    if (coord_log_size_above(&core->log, core->raft.last_stored) > COORD_CORE_UNSTORED_SIZE_MAX) {
        return ray_fail(err, RAY_EAGAIN, "the disk does not keep up");
    }
    return RAY_OK;
}

int coord_core_submit(struct coord_core *core, uint64_t now_ms, const struct coord_entry *entries,
                      size_t count, uint64_t *out_first_index, struct coord_core_out *out,
                      struct ray_err *err)
{
    uint64_t first_index = coord_core_last_index(core) + 1;
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK) {
        rc = check_submit(core, entries, count, err);
    }
    if (rc == RAY_OK) {
        rc = run_submit(core, entries, count, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    *out_first_index = first_index;
    coord_core_close(core, out);
    return RAY_OK;
}

/* ---- configuration ---- */

/* Who becomes a voter has been a standby and has nearly everything: else the new majority may
 * wait for it. It has in any case what made it a standby: who does not know itself a member
 * gives nobody its vote. */
static int check_promotion(const struct coord_core *core, const struct coord_config *next,
                           struct ray_err *err)
{
    for (size_t i = 0; i < next->count; i++) {
        uint64_t id = next->servers[i].id;
        raft_index match = 0;

        if (next->servers[i].role != COORD_VOTER || coord_config_is_voter(&core->newest, id)) {
            continue;
        }
        if (coord_config_find(&core->newest, id) == NULL) {
            return ray_fail(err, RAY_EINVAL, "server %" PRIu64 " must be a standby first", id);
        }
        if (raft_match_index(&core->raft, id, &match) != 0 ||
            match + COORD_CORE_LAG_MAX < coord_core_last_index(core) ||
            match < core->committed_config_index) {
            return ray_fail(err, RAY_EAGAIN,
                            "server %" PRIu64 " lacks %" PRIu64 " entries, at most %d", id,
                            coord_core_last_index(core) - (uint64_t)match, COORD_CORE_LAG_MAX);
        }
    }
    return RAY_OK;
}

/* The last but one voter must be there to be elected once more (is_needed_once_more). */
static int check_removal(const struct coord_core *core, const struct coord_config *next,
                         struct ray_err *err)
{
    if (coord_config_voter_count(next) == 1 && coord_config_voter_count(&core->newest) == 2 &&
        next->count < core->newest.count) {
        return ray_fail(err, RAY_EINVAL, "one of two voters must be a standby before it leaves");
    }
    return check_promotion(core, next, err);
}

static int check_change(const struct coord_core *core, const struct coord_config *next,
                        struct ray_err *err)
{
    int rc = check_leads(core, err);

    if (rc == RAY_OK) {
        rc = coord_config_check_next(&core->newest, next, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    /* Guard G1: before an entry of its own term is committed, a leader may not know the newest
     * committed configuration, and two majorities may miss each other (defect R4). */
    if (!coord_core_is_ready(core) && !RAY_MUTANT(CORE_EARLY_CHANGE)) {
        return ray_fail(err, RAY_EAGAIN, "no entry of this leader's term is committed yet");
    }
    if (core->raft.configuration_uncommitted_index != 0) {
        return ray_fail(err, RAY_EAGAIN, "a configuration change is under way");
    }
    return check_removal(core, next, err);
}

int coord_core_change(struct coord_core *core, uint64_t now_ms, const struct coord_config *next,
                      uint64_t *out_index, struct coord_core_out *out, struct ray_err *err)
{
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = {.type = COORD_ENTRY_CHANGE, .data = bytes};
    uint64_t index = coord_core_last_index(core) + 1;
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK) {
        rc = check_change(core, next, err);
    }
    if (rc == RAY_OK) {
        entry.size = (uint32_t)coord_config_encode(next, bytes);
        rc = run_submit(core, &entry, 1, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    *out_index = index;
    coord_core_close(core, out);
    return RAY_OK;
}

/* ---- leaving office ---- */

static bool is_heard(struct coord_core *core, uint64_t id)
{
    const struct coord_core_peer *peer = coord_core_peer(core, id);

    return peer->is_heard && core->now_ms - peer->heard_at_ms <= core->config.election_ms;
}

/* The voter that lacks least among those that were heard from; 0: none. */
static uint64_t best_successor(struct coord_core *core)
{
    uint64_t best_id = 0;
    raft_index best_match = 0;

    for (size_t i = 0; i < core->newest.count; i++) {
        uint64_t id = core->newest.servers[i].id;
        raft_index match = 0;

        if (id == core->config.self_id || core->newest.servers[i].role != COORD_VOTER ||
            !is_heard(core, id) || raft_match_index(&core->raft, id, &match) != 0) {
            continue;
        }
        if (best_id == 0 || match > best_match) {
            best_id = id;
            best_match = match;
        }
    }
    return best_id;
}

int coord_core_transfer(struct coord_core *core, uint64_t now_ms, uint64_t id,
                        struct coord_core_out *out, struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK) {
        rc = check_leads(core, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (id == 0) {
        id = best_successor(core);
    }
    if (id == 0 || id == core->config.self_id || !coord_config_is_voter(&core->newest, id) ||
        !is_heard(core, id)) {
        return ray_fail(err, RAY_ENOTFOUND, "no other voter to hand leadership to");
    }
    /* libraft's own waiting sends the word as soon as one result came, not when the log is
     * complete, and then never again: so it is told only when the target has everything. */
    core->transfer_id = id;
    core->transfer_deadline_ms = core->now_ms + core->config.election_ms;
    rc = coord_core_follow(core, err);
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

int coord_core_step_down(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                         struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc == RAY_OK && core->raft.state == RAFT_LEADER) {
        struct raft_event event = coord_core_event(core, RAFT_RECEIVE);
        struct raft_message message = {
            .type = RAFT_APPEND_ENTRIES_RESULT,
            .server_id = core->config.self_id,
            .server_address = core->address,
            .append_entries_result = {.version = 2, .term = core->raft.current_term + 1},
        };

        /* As if somebody had answered from a newer term. */
        event.receive.message = &message;
        rc = coord_core_run(core, &event, err);
    }
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

/* ---- announcing ---- */

static void announce_to(struct coord_core *core, uint64_t id)
{
    struct coord_core_peer *peer = coord_core_peer(core, id);
    struct coord_message *message;
    raft_index match = 0;
    uint64_t index;

    if (raft_match_index(&core->raft, id, &match) != 0) {
        return;
    }
    index = match < core->commit_index ? match : core->commit_index;
    if (index <= peer->told_commit_index || coord_core_term_of(core, match) == 0) {
        return;
    }
    message = coord_core_new_message(core, COORD_APPEND, id);
    if (message != NULL) {
        message->append.prev_index = match;
        message->append.prev_term = coord_core_term_of(core, match);
        message->append.commit_index = core->commit_index;
        peer->told_commit_index = index;
    }
}

int coord_core_announce(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                        struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; core->raft.state == RAFT_LEADER && i < core->newest.count; i++) {
        if (core->newest.servers[i].id != core->config.self_id) {
            announce_to(core, core->newest.servers[i].id);
        }
    }
    coord_core_close(core, out);
    return RAY_OK;
}

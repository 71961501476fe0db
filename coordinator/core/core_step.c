/* coordinator/core/core_step.c - one raft_step, what it asked for taken out of it, and what
 * must follow before the world sees anything.
 *
 * Memory rules of 0.22.1 (read in its source and held by the tests under ASan): entries of
 * SUBMIT and START stay ours; the no-op that libraft appends by itself is malloc'ed for us to
 * free; CONFIGURATION and PERSISTED_SNAPSHOT take the configuration; messages live until the
 * next step. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/core_impl.h"
#include "coordinator/mutant.h"

/* Internal events after one from outside: configuration, no-op, configuration, transfer. */
enum { FOLLOW_UPS_MAX = 8 };

int coord_core_broken(struct coord_core *core, int code, struct ray_err *err, const char *what)
{
    core->is_broken = true;
    return ray_fail(err, code, "log core: %s", what);
}

int coord_core_open(struct coord_core *core, uint64_t now_ms, struct ray_err *err)
{
    if (core->is_broken) {
        return ray_fail(err, RAY_EINTERNAL, "log core: it failed before");
    }
    /* Time never goes back inside: libraft subtracts without a look. */
    if (now_ms > core->now_ms) {
        core->now_ms = now_ms;
    }
    coord_log_evict(&core->log, core->raft.last_stored);
    ray_arena_reset(&core->scratch);
    core->message_count = 0;
    core->append_count = 0;
    core->append_first_index = 0;
    core->is_hard_changed = false;
    core->is_config_changed = false;
    core->is_stale_term = false;
    core->refused_by = 0;
    core->old_state = coord_core_state(core);
    core->old_leader_id = coord_core_leader(core);
    core->old_term = core->raft.current_term;
    return RAY_OK;
}

struct raft_event coord_core_event(const struct coord_core *core, enum raft_event_type type)
{
    return (struct raft_event){.time = core->now_ms, .type = type};
}

int coord_core_reserve_entries(struct coord_core *core, size_t count)
{
    struct raft_entry *entries;

    if (count <= core->raft_entry_capacity) {
        return RAY_OK;
    }
    entries = realloc(core->raft_entries, count * sizeof *entries);
    if (entries == NULL) {
        return RAY_ENOMEM;
    }
    core->raft_entries = entries;
    core->raft_entry_capacity = count;
    return RAY_OK;
}

struct coord_message *coord_core_new_message(struct coord_core *core, enum coord_message_type type,
                                             uint64_t to)
{
    struct coord_message *message;

    if (core->message_count == core->message_capacity) {
        size_t capacity = core->message_capacity == 0 ? 16 : 2 * core->message_capacity;
        struct coord_message *messages = realloc(core->messages, capacity * sizeof *messages);

        if (messages == NULL) {
            return NULL; /* as if it were lost */
        }
        core->messages = messages;
        core->message_capacity = capacity;
    }
    message = &core->messages[core->message_count++];
    *message = (struct coord_message){
        .type = type, .from = core->config.self_id, .to = to, .term = core->raft.current_term};
    return message;
}

bool coord_core_is_sole_voter(const struct coord_core *core)
{
    return coord_config_voter_count(&core->newest) == 1 &&
           coord_config_is_voter(&core->newest, core->config.self_id);
}

static void mirror_configurations(struct coord_core *core)
{
    struct coord_config newest;

    if (core->is_disguised) {
        return;
    }
    coord_core_from_raft_config(&core->raft.configuration, &newest);
    if (!coord_config_equal(&newest, &core->newest) ||
        core->raft.configuration_committed_index != core->committed_config_index) {
        core->is_config_changed = true;
    }
    core->newest = newest;
    coord_core_from_raft_config(&core->raft.configuration_committed, &core->committed);
    core->committed_config_index = core->raft.configuration_committed_index;
}

static struct raft_server *find_self(struct coord_core *core)
{
    struct raft_configuration *config = &core->raft.configuration;

    for (unsigned i = 0; i < config->n; i++) {
        if (config->servers[i].id == core->config.self_id) {
            return &config->servers[i];
        }
    }
    return NULL;
}

int coord_core_run_as_voter(struct coord_core *core, struct raft_event *event, bool is_stranger,
                            struct ray_err *err)
{
    struct raft_configuration *config = &core->raft.configuration;
    struct raft_server *self = find_self(core);
    bool is_added = false;
    int role = RAFT_VOTER;
    int rc;

    if (self != NULL) {
        role = self->role;
        self->role = RAFT_VOTER;
    } else if (is_stranger && core->raft.state != RAFT_LEADER) {
        if (raft_configuration_add(config, core->config.self_id, core->address, RAFT_VOTER) != 0) {
            return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
        }
        is_added = true;
    }
    core->is_disguised = true;
    rc = coord_core_run(core, event, err);
    core->is_disguised = false;
    if (is_added) {
        raft_free(config->servers[--config->n].address);
    } else if (self != NULL) {
        find_self(core)->role = role;
    }
    return rc;
}

/* Two voters become one, and this one is demoted by an entry that the other may lack: then it
 * refuses the other its vote, for its own log is longer, and only it can be elected. libraft
 * lets no standby stand. Counted as a voter it needs both votes, that is the other's: just what
 * the new configuration asks for. (With more voters left they can do without.) */
static bool is_needed_once_more(const struct coord_core *core)
{
    return core->raft.configuration_uncommitted_index != 0 && core->raft.state != RAFT_LEADER &&
           coord_config_voter_count(&core->newest) == 1 &&
           coord_config_find(&core->newest, core->config.self_id) != NULL &&
           !coord_core_is_sole_voter(core) &&
           coord_config_is_voter(&core->committed, core->config.self_id) &&
           !RAY_MUTANT(CORE_LAST_DEMOTED);
}

int coord_core_run_election(struct coord_core *core, struct raft_event *event, struct ray_err *err)
{
    if (is_needed_once_more(core)) {
        return coord_core_run_as_voter(core, event, false, err);
    }
    return coord_core_run(core, event, err);
}

void coord_core_bump_term(struct coord_core *core)
{
    assert(core->raft.state == RAFT_FOLLOWER);
    core->raft.current_term++;
    core->raft.voted_for = core->config.self_id;
    core->raft.follower_state.match = 0;
    core->is_hard_changed = true;
}

void coord_core_forget_leader(struct coord_core *core)
{
    if (core->raft.state == RAFT_FOLLOWER) {
        core->raft.follower_state.current_leader.id = 0;
        raft_free(core->raft.follower_state.current_leader.address);
        core->raft.follower_state.current_leader.address = NULL;
    }
}

/* ---- what a step asked for ---- */

static int reserve_append(struct coord_core *core, size_t count)
{
    size_t capacity = core->append_capacity == 0 ? 64 : core->append_capacity;
    struct coord_entry *entries;

    if (count <= core->append_capacity) {
        return RAY_OK;
    }
    while (capacity < count) {
        capacity *= 2;
    }
    entries = realloc(core->append, capacity * sizeof *entries);
    if (entries == NULL) {
        return RAY_ENOMEM;
    }
    core->append = entries;
    core->append_capacity = capacity;
    return RAY_OK;
}

/* libraft's own no-op has eight bytes of content, ours has none. */
static void free_barrier(struct coord_core *core, const struct raft_update *update)
{
    if (update->entries.batch == &core->raft.barrier) {
        raft_free(core->raft.barrier.buf.base);
        core->raft.barrier.buf.base = NULL;
    }
}

static int take_entries(struct coord_core *core, const struct raft_update *update)
{
    uint64_t index = update->entries.index;
    size_t count = update->entries.n;
    size_t at = core->append_count;

    assert(index > 0 && index <= core->log.next_index);
    assert(at == 0 || index == core->append_first_index + at);
    if (reserve_append(core, at + count) != RAY_OK) {
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct raft_entry *entry = &update->entries.batch[i];
        enum coord_entry_type type = coord_core_from_raft_type(entry->type);
        bool is_empty = type == COORD_ENTRY_NOOP;

        core->append[at + i] = (struct coord_entry){
            .term = entry->term,
            .index = index + i,
            .type = type,
            .size = is_empty ? 0 : (uint32_t)entry->buf.len,
            .data = is_empty ? NULL : entry->buf.base,
        };
        if (type == COORD_ENTRY_NOOP && core->raft.state == RAFT_LEADER &&
            entry->term == core->raft.current_term && core->noop_index == 0) {
            core->noop_index = index + i;
        }
    }
    free_barrier(core, update);
    coord_log_truncate(&core->log, index);
    if (coord_log_append(&core->log, &core->append[at], count) != RAY_OK) {
        return RAY_ENOMEM;
    }
    /* From here on they borrow from the log, not from the caller. */
    for (size_t i = 0; i < count; i++) {
        bool is_held = coord_log_get(&core->log, index + i, &core->append[at + i]);

        assert(is_held);
        (void)is_held;
    }
    coord_core_note_size(core, &core->append[at], count);
    if (at == 0) {
        core->append_first_index = index;
    }
    core->append_count = at + count;
    return RAY_OK;
}

static void send_result(struct coord_core *core, const struct raft_message *from)
{
    struct coord_message *message =
        coord_core_new_message(core, COORD_APPEND_RESULT, from->server_id);

    core->is_rejected = core->is_rejected || from->append_entries_result.rejected != 0;
    if (message == NULL) {
        return;
    }
    message->term = from->append_entries_result.term;
    message->append_result.rejected = from->append_entries_result.rejected;
    /* Defect C6: libraft does not set the hint when it refuses an older term. */
    if (!core->is_stale_term || RAY_MUTANT(CORE_STALE_HINT)) {
        message->append_result.last_index = from->append_entries_result.last_log_index;
    }
}

static void send_vote(struct coord_core *core, const struct raft_message *from)
{
    struct coord_message *message = coord_core_new_message(core, COORD_VOTE, from->server_id);

    if (message != NULL) {
        message->term = from->request_vote.term;
        message->vote.last_index = from->request_vote.last_log_index;
        message->vote.last_term =
            from->request_vote.last_log_index == 0 ? 0 : from->request_vote.last_log_term;
        message->vote.is_pre_vote = from->request_vote.pre_vote;
        message->vote.is_transfer = from->request_vote.disrupt_leader;
    }
}

static void send_vote_result(struct coord_core *core, const struct raft_message *from)
{
    struct coord_message *message =
        coord_core_new_message(core, COORD_VOTE_RESULT, from->server_id);

    if (message != NULL) {
        message->term = from->request_vote_result.term;
        /* libraft answers a pre-vote in the candidate's term, also from a newer one: then two
         * who only ask for pre-votes never agree on a term. */
        if (!from->request_vote_result.vote_granted && message->term < core->raft.current_term &&
            !RAY_MUTANT(CORE_HIDDEN_TERM)) {
            message->term = core->raft.current_term;
        }
        message->vote_result.is_granted = from->request_vote_result.vote_granted;
        message->vote_result.is_pre_vote = from->request_vote_result.pre_vote;
    }
}

static void send_snapshot(struct coord_core *core, const struct raft_message *from)
{
    struct coord_message *message = coord_core_new_message(core, COORD_SNAPSHOT, from->server_id);

    assert(core->snapshot.index == from->install_snapshot.last_index);
    if (message != NULL) {
        message->term = from->install_snapshot.term;
        message->snapshot = core->snapshot;
    }
}

static void send_timeout_now(struct coord_core *core, const struct raft_message *from)
{
    struct coord_message *message =
        coord_core_new_message(core, COORD_TIMEOUT_NOW, from->server_id);

    if (message != NULL) {
        message->term = from->timeout_now.term;
        message->timeout_now.last_index = from->timeout_now.last_log_index;
        message->timeout_now.last_term = from->timeout_now.last_log_term;
    }
}

static void take_message(struct coord_core *core, const struct raft_message *message)
{
    if (message->server_id == 0 || message->server_id == core->config.self_id) {
        return;
    }
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        coord_core_send_append(core, message);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        send_result(core, message);
        break;
    case RAFT_REQUEST_VOTE:
        send_vote(core, message);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        send_vote_result(core, message);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        send_snapshot(core, message);
        break;
    case RAFT_TIMEOUT_NOW:
        send_timeout_now(core, message);
        break;
    }
}

static int failed_step(struct coord_core *core, int rv, struct ray_err *err)
{
    switch (rv) {
    case RAFT_NOTLEADER:
        return ray_fail(err, RAY_EUNAVAILABLE, "this node does not lead");
    case RAFT_CANTCHANGE:
        return ray_fail(err, RAY_EAGAIN, "a configuration change is under way");
    case RAFT_NOMEM:
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    case RAFT_SHUTDOWN:
        return coord_core_broken(core, RAY_ECONFLICT, err, "a committed entry is contradicted");
    default:
        return coord_core_broken(core, RAY_EINTERNAL, err, raft_strerror(rv));
    }
}

static int step(struct coord_core *core, struct raft_event *event, struct ray_err *err)
{
    struct raft_update update = {0};
    int rv;

    coord_core_set_inflight(core);
    core->is_rejected = false;
    rv = raft_step(&core->raft, event, &update);
    if (rv != 0) {
        return failed_step(core, rv, err);
    }
    if (core->raft.state != RAFT_LEADER) {
        core->noop_index = 0;
        core->transfer_id = 0;
    }
    if ((update.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) != 0) {
        core->is_hard_changed = true;
    }
    if ((update.flags & (RAFT_UPDATE_STATE)) != 0) {
        core->noop_index = 0;
        core->led_since_ms = core->now_ms;
        memset(core->peers, 0, sizeof core->peers);
    }
    if ((update.flags & (RAFT_UPDATE_ENTRIES)) != 0 && take_entries(core, &update) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    if (raft_commit_index(&core->raft) > core->commit_index) {
        core->commit_index = raft_commit_index(&core->raft);
    }
    mirror_configurations(core);
    if ((update.flags & (RAFT_UPDATE_MESSAGES)) != 0) {
        for (unsigned i = 0; i < update.messages.n; i++) {
            take_message(core, &update.messages.batch[i]);
        }
    }
    return RAY_OK;
}

/* ---- what follows ---- */

static bool is_target_ready(struct coord_core *core)
{
    raft_index match = 0;

    return core->transfer_id != 0 && raft_transferee(&core->raft) == 0 &&
           raft_match_index(&core->raft, core->transfer_id, &match) == 0 &&
           match == raft_last_index(&core->raft);
}

/* The configuration that is committed by now, to be told to libraft; 0: none. */
static uint64_t committed_change(const struct coord_core *core)
{
    uint64_t index = core->raft.configuration_uncommitted_index;

    return index != 0 && index <= core->commit_index ? index : 0;
}

static int follow_up(struct coord_core *core, struct raft_event *event, struct raft_entry *noop,
                     bool *out_is_needed)
{
    uint64_t change_index = committed_change(core);

    *out_is_needed = true;
    if (change_index != 0) {
        *event = coord_core_event(core, RAFT_CONFIGURATION);
        event->configuration.index = change_index;
        return coord_core_to_raft_config(&core->newest, &event->configuration.conf);
    }
    if (core->raft.state == RAFT_LEADER && core->noop_index == 0) {
        *noop = (struct raft_entry){.term = core->raft.current_term, .type = RAFT_BARRIER};
        noop->batch = noop;
        *event = coord_core_event(core, RAFT_SUBMIT);
        event->submit.entries = noop;
        event->submit.n = 1;
        return RAY_OK;
    }
    if (is_target_ready(core)) {
        *event = coord_core_event(core, RAFT_TRANSFER);
        event->transfer.server_id = core->transfer_id;
        core->transfer_id = 0;
        return RAY_OK;
    }
    *out_is_needed = false;
    return RAY_OK;
}

int coord_core_follow(struct coord_core *core, struct ray_err *err)
{
    struct raft_event event;
    struct raft_entry noop;
    bool is_rejected = core->is_rejected;
    bool is_needed = true;
    int rc = RAY_OK;

    for (int i = 0; i < FOLLOW_UPS_MAX && rc == RAY_OK && is_needed; i++) {
        if (follow_up(core, &event, &noop, &is_needed) != RAY_OK) {
            return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
        }
        if (is_needed) {
            rc = step(core, &event, err);
        }
    }
    assert(rc != RAY_OK || !is_needed);
    core->is_rejected = is_rejected;
    return rc;
}

int coord_core_run(struct coord_core *core, struct raft_event *event, struct ray_err *err)
{
    int rc = step(core, event, err);

    return rc == RAY_OK ? coord_core_follow(core, err) : rc;
}

void coord_core_close(struct coord_core *core, struct coord_core_out *out)
{
    uint64_t timeout_ms = raft_timeout(&core->raft);
    bool is_notice = core->notice.index > core->commit_index &&
                     core->notice_from == coord_core_leader(core) &&
                     core->raft.state == RAFT_FOLLOWER;

    assert(coord_core_last_index(core) == raft_last_index(&core->raft));
    if (core->transfer_id != 0 && core->transfer_deadline_ms < timeout_ms) {
        timeout_ms = core->transfer_deadline_ms;
    }
    if (!is_notice) {
        core->notice = (struct coord_snapshot){0};
    }
    *out = (struct coord_core_out){
        .is_hard_changed = core->is_hard_changed,
        .hard = {.term = core->raft.current_term, .vote = core->raft.voted_for},
        .append_first_index = core->append_first_index,
        .append = core->append_count == 0 ? NULL : core->append,
        .append_count = core->append_count,
        .messages = core->message_count == 0 ? NULL : core->messages,
        .message_count = core->message_count,
        .snapshot = is_notice ? &core->notice : NULL,
        .snapshot_from = is_notice ? core->notice_from : 0,
        .state = coord_core_state(core),
        .leader_id = coord_core_leader(core),
        .is_config_changed = core->is_config_changed,
        .commit_index = core->commit_index,
        .next_timeout_ms = timeout_ms,
    };
    out->is_role_changed = out->state != core->old_state || out->leader_id != core->old_leader_id ||
                           out->hard.term != core->old_term;
}

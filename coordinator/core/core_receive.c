/* coordinator/core/core_receive.c - what is judged, cut or dropped before libraft sees it. Each
 * guard names what happens without it; README.md has the list. */
#include <assert.h>
#include <inttypes.h>

#include "coordinator/core/core_impl.h"
#include "coordinator/mutant.h"

/* Some sender's name for libraft, which wants it as text and copies it. */
static struct raft_message raft_message_from(const struct coord_message *message,
                                             enum raft_message_type type,
                                             char address[static COORD_CORE_ADDRESS_SIZE])
{
    coord_core_address(message->from, address);
    return (struct raft_message){
        .type = type, .server_id = message->from, .server_address = address};
}

static int run_receive(struct coord_core *core, struct raft_message *message, struct ray_err *err)
{
    struct raft_event event = coord_core_event(core, RAFT_RECEIVE);

    event.receive.message = message;
    return coord_core_run(core, &event, err);
}

/* ---- append ---- */

/* Steps one append; its entries share one allocation, which libraft frees unless it asks for
 * them to be stored. Only the content of a CHANGE is looked at. */
static int step_append(struct coord_core *core, const struct coord_message *piece,
                       struct ray_err *err)
{
    char address[COORD_CORE_ADDRESS_SIZE];
    struct raft_message message = raft_message_from(piece, RAFT_APPEND_ENTRIES, address);
    size_t appended_before = core->append_count;
    void *batch = NULL;
    int rc;

    if (coord_core_reserve_entries(core, piece->append.count) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    if (piece->append.count > 0) {
        batch = raft_malloc(1);
        if (batch == NULL) {
            return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
        }
    }
    for (size_t i = 0; i < piece->append.count; i++) {
        const struct coord_entry *entry = &piece->append.entries[i];

        core->raft_entries[i] = (struct raft_entry){
            .term = entry->term,
            .type = coord_core_to_raft_type(entry->type),
            .buf = {.base = (void *)(uintptr_t)entry->data, .len = entry->size},
            .batch = batch,
        };
    }
    message.append_entries = (struct raft_append_entries){
        .term = piece->term,
        .prev_log_index = piece->append.prev_index,
        .prev_log_term = piece->append.prev_term,
        .leader_commit = piece->append.commit_index,
        .entries = core->raft_entries,
        .n_entries = (unsigned)piece->append.count,
    };
    rc = run_receive(core, &message, err);
    if (rc == RAY_OK && core->append_count > appended_before) {
        raft_free(batch);
    }
    return rc;
}

/* A commit index below ours must not come back as the newer one: libraft takes the smaller of
 * the leader's and the last entry in the message, without a look at what it has. */
static void keep_commit(const struct coord_core *core, struct coord_message *piece)
{
    uint64_t last_index = piece->append.prev_index + piece->append.count;
    uint64_t commit_index = raft_commit_index(&core->raft);

    if (last_index < commit_index && !RAY_MUTANT(CORE_COMMIT_BACK)) {
        piece->append.commit_index = commit_index;
    }
}

/* The same sender's append without entries, at a committed place, which both logs have. libraft
 * answers with what is stored. */
static void make_heartbeat(struct coord_message *message, uint64_t index, uint64_t term)
{
    message->type = COORD_APPEND;
    message->append.prev_index = index;
    message->append.prev_term = term;
    message->append.commit_index = index;
    message->append.entries = NULL;
    message->append.count = 0;
}

/* Entries at or below our snapshot are known to match, but libraft no longer knows their terms
 * and would append them again at the end. */
static void cut_prefix(const struct coord_core *core, struct coord_message *piece)
{
    uint64_t known_index = core->snapshot.index;
    uint64_t skip;

    if (known_index == 0 || piece->append.prev_index >= known_index ||
        coord_core_term_of(core, piece->append.prev_index) != 0 || RAY_MUTANT(CORE_OLD_PREFIX)) {
        return;
    }
    skip = known_index - piece->append.prev_index;
    if (piece->append.count <= skip) {
        make_heartbeat(piece, core->commit_index, coord_core_term_of(core, core->commit_index));
        return;
    }
    piece->append.prev_index = known_index;
    piece->append.prev_term = core->snapshot.term;
    piece->append.entries += skip;
    piece->append.count -= skip;
}

/* How many entries the next piece has: guard G3 puts every CHANGE first in its own, because
 * libraft notes the index of a batch's first entry for it (defect R3). */
static size_t piece_count(const struct coord_entry *entries, size_t count)
{
    size_t i = 1;

    if (RAY_MUTANT(CORE_BATCHED_CHANGE)) {
        return count;
    }
    while (i < count && entries[i].type != COORD_ENTRY_CHANGE) {
        i++;
    }
    return i;
}

/* A leader proposes a change only when the one before is committed. So a second one in its log
 * proves the first, though no commit index has told us; libraft would forget the first, and
 * fall back behind it when the second is truncated. */
static int commit_older_change(struct coord_core *core, const struct coord_message *piece,
                               struct ray_err *err)
{
    uint64_t index = core->raft.configuration_uncommitted_index;
    struct raft_event event;

    if (piece->append.count == 0 || piece->append.entries[0].type != COORD_ENTRY_CHANGE ||
        index == 0 || index > piece->append.prev_index ||
        coord_core_term_of(core, piece->append.prev_index) != piece->append.prev_term ||
        RAY_MUTANT(CORE_LOST_CHANGE)) {
        return RAY_OK;
    }
    event = coord_core_event(core, RAFT_CONFIGURATION);
    event.configuration.index = index;
    if (coord_core_to_raft_config(&core->newest, &event.configuration.conf) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    return coord_core_run(core, &event, err);
}

static int receive_pieces(struct coord_core *core, struct coord_message rest, struct ray_err *err)
{
    int rc;

    do {
        struct coord_message piece = rest;

        if (rest.append.count > 0) {
            piece.append.count = piece_count(rest.append.entries, rest.append.count);
            rest.append.entries += piece.append.count;
            rest.append.count -= piece.append.count;
            rest.append.prev_index += piece.append.count;
            rest.append.prev_term = rest.append.entries[-1].term;
        }
        keep_commit(core, &piece);
        rc = commit_older_change(core, &piece, err);
        if (rc == RAY_OK) {
            rc = step_append(core, &piece, err);
        }
    } while (rc == RAY_OK && rest.append.count > 0 && !core->is_rejected);
    return rc;
}

static int receive_append(struct coord_core *core, const struct coord_message *message,
                          struct ray_err *err)
{
    struct coord_message rest = *message;
    uint64_t term = core->raft.current_term;

    if (message->term == term && core->raft.state == RAFT_LEADER) {
        /* Two leaders of one term: libraft would write a follower's state over a leader's. */
        core->counters.dropped_nonsense++;
        return RAY_OK;
    }
    if (message->term < term) {
        core->is_stale_term = true;
        rest.append.count = 0;
        return step_append(core, &rest, err);
    }
    if (rest.append.count > 0 &&
        coord_log_size_above(&core->log, core->raft.last_stored) > COORD_CORE_UNSTORED_SIZE_MAX) {
        /* Our disk does not keep up: the leader is heard, the entries come again. */
        core->counters.dropped_full++;
        rest.append.count = 0;
    }
    cut_prefix(core, &rest);
    return receive_pieces(core, rest, err);
}

/* ---- the others ---- */

static int receive_append_result(struct coord_core *core, const struct coord_message *from,
                                 struct ray_err *err)
{
    char address[COORD_CORE_ADDRESS_SIZE];
    struct raft_message message = raft_message_from(from, RAFT_APPEND_ENTRIES_RESULT, address);
    uint64_t rejected = from->append_result.rejected;
    uint64_t last_index = from->append_result.last_index;
    raft_index match = 0;

    if (core->raft.state == RAFT_LEADER && from->term == core->raft.current_term &&
        raft_match_index(&core->raft, from->from, &match) == 0) {
        struct coord_core_peer *peer = coord_core_peer(core, from->from);

        peer->is_heard = true;
        peer->heard_at_ms = core->now_ms;
        /* Guard G4: a stale refusal would put the next index at or below the match, from where
         * libraft sends nothing but empty appends for the rest of the term (defect R5). */
        if (rejected != 0 && rejected <= match && !RAY_MUTANT(CORE_STALE_REJECT)) {
            core->counters.dropped_stale++;
            return RAY_OK;
        }
        if (rejected != 0 && last_index < match && !RAY_MUTANT(CORE_STALE_REJECT)) {
            last_index = match;
        }
        core->refused_by = rejected != 0 ? from->from : 0;
    }
    message.append_entries_result = (struct raft_append_entries_result){
        .version = 2,
        .term = from->term,
        .rejected = rejected,
        .last_log_index = last_index,
    };
    return run_receive(core, &message, err);
}

/* Who does not know that it is a voter must vote all the same: the candidate's configuration
 * counts; a leader may have died between telling it to some and to others, or have left behind
 * an entry that removes us and never was committed. libraft lets only those vote who are voters
 * in their own eyes. (Not without any log, though: then we may have lost one.) */
static int receive_vote(struct coord_core *core, const struct coord_message *from,
                        struct ray_err *err)
{
    char address[COORD_CORE_ADDRESS_SIZE];
    struct raft_message message = raft_message_from(from, RAFT_REQUEST_VOTE, address);
    struct raft_event event = coord_core_event(core, RAFT_RECEIVE);

    message.request_vote = (struct raft_request_vote){
        .version = 2,
        .term = from->term,
        .candidate_id = from->from,
        .last_log_index = from->vote.last_index,
        .last_log_term = from->vote.last_term,
        .disrupt_leader = from->vote.is_transfer,
        .pre_vote = from->vote.is_pre_vote,
    };
    event.receive.message = &message;
    if (coord_core_last_index(core) == 0 || RAY_MUTANT(CORE_STANDBY_DEAF)) {
        return coord_core_run(core, &event, err);
    }
    return coord_core_run_as_voter(core, &event, true, err);
}

static int receive_vote_result(struct coord_core *core, const struct coord_message *from,
                               struct ray_err *err)
{
    char address[COORD_CORE_ADDRESS_SIZE];
    struct raft_message message = raft_message_from(from, RAFT_REQUEST_VOTE_RESULT, address);
    struct raft_event event = coord_core_event(core, RAFT_RECEIVE);

    /* libraft looks at a candidate's fields before it looks whether it is one: in a follower
     * they are a byte of a pointer, and a late answer to a pre-vote may raise its term. */
    if (core->raft.state != RAFT_CANDIDATE && !RAY_MUTANT(CORE_LATE_VOTE)) {
        core->counters.dropped_stale++;
        return RAY_OK;
    }
    message.request_vote_result = (struct raft_request_vote_result){
        .version = 2,
        .term = from->term,
        .vote_granted = from->vote_result.is_granted,
        .pre_vote = from->vote_result.is_pre_vote,
    };
    event.receive.message = &message;
    return coord_core_run_election(core, &event, err);
}

/* Not for libraft: it would drop its log at once. It hears of it when the snapshot is durable.
 * Who needs none says so: the leader goes on asking otherwise. */
static int receive_snapshot(struct coord_core *core, const struct coord_message *from,
                            struct ray_err *err)
{
    struct coord_message heartbeat = *from;
    uint64_t index = from->snapshot.index;

    if (from->term < core->raft.current_term || index <= core->commit_index) {
        index = core->commit_index;
        make_heartbeat(&heartbeat, index, coord_core_term_of(core, index));
        return receive_append(core, &heartbeat, err);
    }
    if (coord_core_term_of(core, index) == from->snapshot.term) {
        make_heartbeat(&heartbeat, index, from->snapshot.term);
        return receive_append(core, &heartbeat, err);
    }
    if (from->term != core->raft.current_term || core->raft.state != RAFT_FOLLOWER ||
        core->raft.follower_state.current_leader.id != from->from) {
        core->counters.dropped_stale++;
        return RAY_OK;
    }
    core->notice = from->snapshot;
    core->notice_from = from->from;
    return RAY_OK;
}

static int receive_timeout_now(struct coord_core *core, const struct coord_message *from,
                               struct ray_err *err)
{
    char address[COORD_CORE_ADDRESS_SIZE];
    struct raft_message message = raft_message_from(from, RAFT_TIMEOUT_NOW, address);

    /* A sole voter would lead in the term of the one who sent this (see bump_term). */
    if (coord_core_is_sole_voter(core)) {
        core->counters.dropped_stale++;
        return RAY_OK;
    }
    message.timeout_now = (struct raft_timeout_now){
        .term = from->term,
        .last_log_index = from->timeout_now.last_index,
        .last_log_term = from->timeout_now.last_term,
    };
    return run_receive(core, &message, err);
}

static int receive(struct coord_core *core, const struct coord_message *message,
                   struct ray_err *err)
{
    switch (message->type) {
    case COORD_APPEND:
        return receive_append(core, message, err);
    case COORD_APPEND_RESULT:
        return receive_append_result(core, message, err);
    case COORD_VOTE:
        return receive_vote(core, message, err);
    case COORD_VOTE_RESULT:
        return receive_vote_result(core, message, err);
    case COORD_SNAPSHOT:
        return receive_snapshot(core, message, err);
    case COORD_TIMEOUT_NOW:
        return receive_timeout_now(core, message, err);
    }
    return RAY_OK;
}

int coord_core_receive(struct coord_core *core, uint64_t now_ms,
                       const struct coord_message *message, struct coord_core_out *out,
                       struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc != RAY_OK) {
        return rc;
    }
    if (message->to != core->config.self_id || message->from == core->config.self_id ||
        message->from == 0 || coord_message_check(message, NULL) != RAY_OK) {
        core->counters.dropped_nonsense++;
    } else {
        rc = receive(core, message, err);
    }
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

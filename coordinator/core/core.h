/* coordinator/core/core.h - consensus: libraft 0.22.1's pure step interface behind guards.
 *
 * Events go in (a message, a tick, "stored up to here", entries to submit); each call fills a
 * struct coord_core_out with what the world must do now. No clock, no input or output: time is
 * an argument, randomness comes from the seed, so equal calls give equal outputs.
 *
 * What the owner does with an out, in this order:
 *   1. hard state, durable before anything else;
 *   2. append to the log (and start writing; the messages need not wait for it);
 *   3. messages;
 *   4. role, commit index, snapshot to fetch;
 *   5. ask for coord_core_tick at next_timeout_ms.
 *
 * Terms: an entry is *stored* when it is durable here, *committed* when it is durable on a
 * majority of voters. A follower may learn of a commit before its own disk is done: commit_index
 * may be above what is stored here, and nothing durable may be derived from the difference.
 *
 * A new cluster: make hard state {term 1, vote 0} durable and the log one entry {index 1,
 * term 1, CHANGE, configuration with this node as the only voter}, then start from that. A
 * joining node starts with nothing.
 *
 * After RAY_EINTERNAL or RAY_ENOMEM the core refuses all calls: destroy it and start again from
 * what is durable. RAY_ECONFLICT of coord_core_receive means that a peer contradicts a committed
 * entry: quarantine.
 *
 * Memory: create/destroy. What an out points to is borrowed until the next call on the same
 * core that takes an out; arguments are copied.  Threads: the owner's.  Blocks: never, but
 * `load` may.
 * Trust: messages may be hostile (decoded by message.h; judged here); the rest is the
 * owner's. Source: libraft v0.22.1 (cowsql/raft), coordinator/core/README.md. */
#ifndef RAY_COORDINATOR_CORE_CORE_H
#define RAY_COORDINATOR_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/core/message.h"
#include "coordinator/entry.h"

enum {
    COORD_CORE_SUBMIT_MAX = 1024,             /* entries of one submit */
    COORD_CORE_UNSTORED_SIZE_MAX = 64 << 20,  /* appended but not stored; then RAY_EAGAIN */
    COORD_CORE_CACHE_SIZE_DEFAULT = 16 << 20, /* of entries kept in memory */
    COORD_CORE_LAG_MAX = 1024,                /* entries that a standby may lack when promoted */
};

struct coord_core;

enum coord_core_state {
    COORD_FOLLOWER = 1,
    COORD_CANDIDATE = 2,
    COORD_LEADER = 3,
};

struct coord_hard_state {
    uint64_t term;
    uint64_t vote; /* 0: none */
};

/* Hands one entry to the core, which copies it; false: enough. */
typedef bool coord_core_sink(void *sink_arg, const struct coord_entry *entry);

struct coord_core_config {
    uint64_t self_id;
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t seed;     /* of election jitter: different on every node and start */
    size_t cache_size; /* 0: COORD_CORE_CACHE_SIZE_DEFAULT */
    /* Gives entries that are no longer cached, from `index` on, in order, until the sink has
     * enough: those between coord_core_first_index and the newest stored one. An error means
     * that the peer waits. */
    int (*load)(void *arg, uint64_t index, coord_core_sink *sink, void *sink_arg);
    void *arg;
};

/* What is durable here. */
struct coord_core_boot {
    struct coord_hard_state hard;
    const struct coord_snapshot *snapshot; /* NULL: none */
    /* The log, contiguous: it begins at 1, or at most one after the snapshot; what lies before
     * the snapshot is kept for followers. `data` may be NULL for other types than CHANGE: then
     * it is loaded when it is needed. */
    const struct coord_entry *entries;
    size_t count;
};

struct coord_core_out {
    bool is_hard_changed;
    struct coord_hard_state hard; /* always the present one */

    /* Entries append_first_index...; whatever the log has at or above append_first_index goes
     * first. */
    uint64_t append_first_index;
    const struct coord_entry *append;
    size_t append_count;

    const struct coord_message *messages;
    size_t message_count;

    /* The leader `snapshot_from` says that only its snapshot helps; repeated until
     * coord_core_snapshot_installed. NULL: no. */
    const struct coord_snapshot *snapshot;
    uint64_t snapshot_from;

    bool is_role_changed; /* state, leader_id or term differ from before the call */
    enum coord_core_state state;
    uint64_t leader_id; /* 0: unknown */

    bool is_config_changed; /* coord_core_configuration or coord_core_committed_configuration */

    uint64_t commit_index; /* always the present one; never falls */
    uint64_t next_timeout_ms;
};

int coord_core_create(struct coord_core **out, const struct coord_core_config *config,
                      struct ray_err *err);
void coord_core_destroy(struct coord_core *core); /* NULL is fine */

/* Once, first. RAY_EMALFORMED: this cannot be a log. A node that is the only voter of its
 * newest configuration leads at once, in a new term. */
int coord_core_start(struct coord_core *core, uint64_t now_ms, const struct coord_core_boot *boot,
                     struct coord_core_out *out, struct ray_err *err);

/* A decoded message; `message->from` is the authenticated sender. What is stale or makes no
 * sense now is dropped silently, as if it were lost. */
int coord_core_receive(struct coord_core *core, uint64_t now_ms,
                       const struct coord_message *message, struct coord_core_out *out,
                       struct ray_err *err);

/* At next_timeout_ms or any other time. */
int coord_core_tick(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                    struct ray_err *err);

/* All entries up to `index` are stored, as the newest append left them: after an append that
 * truncated at t, an older write that completes counts only up to t - 1 until the newer one is
 * done. Not above the last index; an index that is not new has no effect. */
int coord_core_persisted(struct coord_core *core, uint64_t now_ms, uint64_t index,
                         struct coord_core_out *out, struct ray_err *err);

/* Commands (type COMMAND; term and index are filled in by the core). RAY_EUNAVAILABLE: not the
 * leader (or about to hand over). RAY_EAGAIN: too much is not stored yet. */
int coord_core_submit(struct coord_core *core, uint64_t now_ms, const struct coord_entry *entries,
                      size_t count, uint64_t *out_first_index, struct coord_core_out *out,
                      struct ray_err *err);

/* The next configuration, one server away from the newest (coord_config_check_next).
 * RAY_EUNAVAILABLE: not the leader. RAY_EAGAIN: the leader's own no-op (G1) or the change before
 * is not committed, or a standby to be promoted lags. RAY_EINVAL: also a voter that was no
 * standby before, and one of two voters that leaves without becoming a standby first. */
int coord_core_change(struct coord_core *core, uint64_t now_ms, const struct coord_config *next,
                      uint64_t *out_index, struct coord_core_out *out, struct ray_err *err);

/* Hands leadership to a voter that is heard from; 0: the one that lacks least. Until it is done
 * or one election time has passed, submits are refused. RAY_EUNAVAILABLE, RAY_ENOTFOUND. */
int coord_core_transfer(struct coord_core *core, uint64_t now_ms, uint64_t id,
                        struct coord_core_out *out, struct ray_err *err);

/* A leader gives up its office without a successor (its disk failed); others do nothing. */
int coord_core_step_down(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                         struct ray_err *err);

/* The owner believes that `id` is dead (connection reset and dial refused). If it is this
 * node's leader, others may have this node's vote at once and it stands itself within
 * heartbeat_ms. Being wrong costs an election, never safety. */
int coord_core_leader_lost(struct coord_core *core, uint64_t now_ms, uint64_t id,
                           struct coord_core_out *out, struct ray_err *err);

/* A leader's word on the newest commit index to those who were not told it by an entry:
 * otherwise they learn it with the next heartbeat. Once per turn, after the rest. */
int coord_core_announce(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                        struct ray_err *err);

/* A durable snapshot of our own at an applied index; the last `trailing` entries at or below
 * its index are still served to followers, older ones may be dropped from the log. RAY_EINVAL:
 * not newer than the last one, above what is committed or stored, or not in the log. */
int coord_core_snapshot_taken(struct coord_core *core, uint64_t now_ms,
                              const struct coord_snapshot *snapshot, size_t trailing,
                              struct coord_core_out *out, struct ray_err *err);

/* A fetched snapshot (out.snapshot, or a newer one of the same cluster) is verified and
 * durable; the log is then what follows it: nothing, unless *out_is_needed is false (we have
 * its entries meanwhile, nothing changed). The owner drops its log when it is true. */
int coord_core_snapshot_installed(struct coord_core *core, uint64_t now_ms,
                                  const struct coord_snapshot *snapshot, bool *out_is_needed,
                                  struct coord_core_out *out, struct ray_err *err);

/* Other timing; takes effect with the next timer. heartbeat_ms < election_ms. */
void coord_core_set_timing(struct coord_core *core, uint32_t election_ms, uint32_t heartbeat_ms);

enum coord_core_state coord_core_state(const struct coord_core *core);
uint64_t coord_core_term(const struct coord_core *core);
uint64_t coord_core_leader(const struct coord_core *core);      /* 0: unknown */
uint64_t coord_core_first_index(const struct coord_core *core); /* oldest that may be loaded */
uint64_t coord_core_last_index(const struct coord_core *core);
uint64_t coord_core_stored_index(const struct coord_core *core);
uint64_t coord_core_commit_index(const struct coord_core *core);
/* 0: not in the log. */
uint64_t coord_core_term_of(const struct coord_core *core, uint64_t index);
/* Leading, and an entry of the own term is committed (G1): reads and changes may begin. */
bool coord_core_is_ready(const struct coord_core *core);
/* Submits are refused for a transfer. */
bool coord_core_is_transferring(const struct coord_core *core);

/* The newest in the log, committed or not; borrowed until the next call with an out. Empty on
 * a node that has none yet. */
const struct coord_config *coord_core_configuration(const struct coord_core *core);
/* The newest committed one and its entry's index (0: none). */
const struct coord_config *coord_core_committed_configuration(const struct coord_core *core,
                                                              uint64_t *out_index);

/* A leader's view of a member: the newest index known to be stored there.
 * RAY_EUNAVAILABLE: not the leader; RAY_ENOTFOUND. */
int coord_core_match(const struct coord_core *core, uint64_t id, uint64_t *out_index);

/* An entry from memory; false: not cached (any more), read the log. Borrowed until the next
 * call with an out. */
bool coord_core_entry(const struct coord_core *core, uint64_t index, struct coord_entry *out);

/* Since create, for metrics. */
struct coord_core_counters {
    uint64_t dropped_stale;    /* messages that came too late or twice */
    uint64_t dropped_nonsense; /* that no correct peer sends */
    uint64_t dropped_full;     /* appends refused for COORD_CORE_UNSTORED_SIZE_MAX */
    uint64_t cut_sends;        /* appends sent shorter than asked for: byte limits, slow log */
};
const struct coord_core_counters *coord_core_counters(const struct coord_core *core);

#endif

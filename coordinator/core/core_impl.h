/* coordinator/core/core_impl.h - what the files of the shim share; the only header that
 * includes raft.h.
 *
 * One call of core.h is: coord_core_open, any number of coord_core_run, coord_core_close.
 * Memory, threads, trust: as core.h. */
#ifndef RAY_COORDINATOR_CORE_CORE_IMPL_H
#define RAY_COORDINATOR_CORE_CORE_IMPL_H

#include <raft.h>

#include "base/arena.h"
#include "coordinator/core/config.h"
#include "coordinator/core/core.h"
#include "coordinator/core/log.h"

/* The memory rules and the guards are of this version; every other one needs a new look at
 * README.md first. */
#if RAFT_VERSION_NUMBER != 2201
#error "coordinator/core is written for libraft 0.22.1"
#endif

enum {
    COORD_CORE_ADDRESS_SIZE = 17,           /* a server's id in hexadecimal */
    COORD_CORE_INFLIGHT_SIZE = 4 << 20,     /* bytes under way to one peer, about */
    COORD_CORE_INFLIGHT_MIN = 16,           /* entries */
    COORD_CORE_INFLIGHT_MAX = 16384,        /* entries */
    COORD_CORE_SEND_SIZE_MAX = 8 << 20,     /* bytes to one peer in one call */
    COORD_CORE_LOAD_SIZE_MAX = 1 << 20,     /* of it, from the log on disk */
    COORD_CORE_SCRATCH_SIZE_MAX = 64 << 20, /* of one call */
    COORD_CORE_PEERS_MAX = 2 * COORD_SERVERS_MAX,
};

/* What was last said to a member; forgotten when it leaves. */
struct coord_core_peer {
    uint64_t id; /* 0: free */
    uint64_t sent_at_ms;
    uint64_t heard_at_ms;
    uint64_t sent_prev_index; /* of the last append with entries */
    bool is_sent;             /* sent_* are set */
    bool is_heard;
    uint64_t told_commit_index;
};

struct coord_core {
    struct raft raft;
    struct coord_core_config config;
    char address[COORD_CORE_ADDRESS_SIZE];
    bool is_started;
    bool is_broken;
    struct coord_log log;

    uint64_t now_ms;
    uint64_t commit_index;
    uint64_t led_since_ms;          /* while leading */
    uint64_t noop_index;            /* of the own term, while leading; 0: none yet */
    size_t mean_size;               /* of entries lately, for the limit of what is under way */
    struct coord_snapshot snapshot; /* newest of our own or installed; index 0: none */
    struct coord_snapshot notice;   /* the leader's; index 0: none */
    uint64_t notice_from;
    struct coord_config newest;
    struct coord_config committed;
    uint64_t committed_config_index;
    uint64_t transfer_id; /* waits until the target has everything; 0: none */
    uint64_t transfer_deadline_ms;
    struct coord_core_peer peers[COORD_CORE_PEERS_MAX];
    struct coord_core_counters counters;

    /* Of the call under way. */
    bool is_hard_changed;
    bool is_config_changed;
    bool is_disguised;   /* libraft's configuration is not the true one just now */
    bool is_rejected;    /* a result that refuses was sent in this step */
    bool is_stale_term;  /* the message being stepped is of an older term */
    uint64_t refused_by; /* the peer whose refusal is being stepped; 0: none */
    enum coord_core_state old_state;
    uint64_t old_leader_id;
    uint64_t old_term;
    struct ray_arena scratch;
    struct coord_message *messages;
    size_t message_count;
    size_t message_capacity;
    struct coord_entry *append;
    size_t append_count;
    size_t append_capacity;
    uint64_t append_first_index;
    struct raft_entry *raft_entries;
    size_t raft_entry_capacity;
};

/* core_step.c */
int coord_core_open(struct coord_core *core, uint64_t now_ms, struct ray_err *err);
/* Steps `event` and what follows. */
int coord_core_run(struct coord_core *core, struct raft_event *event, struct ray_err *err);
/* What must follow: own no-op, committed configuration, a transfer that became possible. */
int coord_core_follow(struct coord_core *core, struct ray_err *err);
void coord_core_close(struct coord_core *core, struct coord_core_out *out);
int coord_core_broken(struct coord_core *core, int code, struct ray_err *err, const char *what);
struct raft_event coord_core_event(const struct coord_core *core, enum raft_event_type type);
/* `raft_entries` with room for `count`; RAY_ENOMEM. */
int coord_core_reserve_entries(struct coord_core *core, size_t count);
struct coord_message *coord_core_new_message(struct coord_core *core, enum coord_message_type type,
                                             uint64_t to);
void coord_core_forget_leader(struct coord_core *core);
bool coord_core_is_sole_voter(const struct coord_core *core);
/* Steps an event while libraft sees this node as a voter of its own configuration, also when it
 * is none (`is_stranger` too: not even a member). Nothing else changes the configuration then. */
int coord_core_run_as_voter(struct coord_core *core, struct raft_event *event, bool is_stranger,
                            struct ray_err *err);
/* Steps an event of an election. A voter that is demoted, in favour of one that may not know it
 * yet, stands all the same. */
int coord_core_run_election(struct coord_core *core, struct raft_event *event, struct ray_err *err);
/* Of the current term: a new one, with an own vote. */
void coord_core_bump_term(struct coord_core *core);

/* core_send.c: turns libraft's append without entries into messages with them. */
void coord_core_send_append(struct coord_core *core, const struct raft_message *message);
void coord_core_set_inflight(struct coord_core *core);
void coord_core_note_size(struct coord_core *core, const struct coord_entry *entries, size_t count);
struct coord_core_peer *coord_core_peer(struct coord_core *core, uint64_t id);

/* core_convert.c */
void coord_core_address(uint64_t id, char out[static COORD_CORE_ADDRESS_SIZE]);
int coord_core_to_raft_config(const struct coord_config *config, struct raft_configuration *out);
void coord_core_from_raft_config(const struct raft_configuration *config, struct coord_config *out);
enum raft_entry_type coord_core_to_raft_type(enum coord_entry_type type);
enum coord_entry_type coord_core_from_raft_type(enum raft_entry_type type);

#endif

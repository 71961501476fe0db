/* coordinator/fsm/fsm.h - the replicated state machine: the registry.
 *
 * Pure and deterministic: two of them that were given the same entries have the same hash, the
 * same results and the same events, whatever their history of snapshots. Time is in the commands.
 *
 *     committed entry --> coord_fsm_apply --> result (to who asked), events (to coord_watch)
 *                              |
 *                  objects, sessions, logged clock
 *                   |             |            |
 *                 query     dump (snapshot)   dirty records (checkpoint)
 *
 * Memory: create and destroy; all that it gives out is borrowed until the next call of apply,
 * advance or destroy, or of the same function, unless said otherwise. Out of memory while
 * applying halts it: a replica that cannot follow stops and begins anew from its disk.
 * Threads: the loop's.  Blocks: never.
 * Trust: commands, queries and snapshots are hostile until checked; so all are checked here. */
#ifndef RAY_COORDINATOR_FSM_FSM_H
#define RAY_COORDINATOR_FSM_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "coordinator/fsm/registry.h"

enum {
    COORD_FSM_COMMAND_VERSION = 1,
    COORD_FSM_FEATURE_LEVEL = 1, /* the highest that this build can apply */
    COORD_FSM_COMMAND_SIZE_MAX = 512 << 10,
    COORD_FSM_CHECK_ARENA_SIZE_MAX = 8 << 20, /* of one command, unpacked */
    COORD_FSM_SPEC_SIZE_MAX = 64 << 10,
    COORD_FSM_VOLUME_SPEC_SIZE_MAX = 4 << 10,
    COORD_FSM_POLICY_SIZE_MAX = 256 << 10,
    COORD_FSM_STATE_SIZE_MAX = 512 << 20, /* of all objects, packed */
    COORD_FSM_OBJECTS_MAX = 262144,
    COORD_FSM_SESSIONS_MAX = 16384,
    COORD_FSM_PRINCIPAL_SESSIONS_MAX = 256, /* of those, one principal's */
    COORD_FSM_SESSION_WINDOW = 64,
    COORD_FSM_RESULT_TEXT_SIZE = 192,
    COORD_FSM_EVENTS_MAX = 128, /* of one entry */
    COORD_FSM_OBJECT_NODES_MAX = 3,
    COORD_FSM_EVENT_NODES_MAX = 2 * COORD_FSM_OBJECT_NODES_MAX,
    COORD_FSM_NODES_MAX = COORD_UNKNOWN_NODES_MAX,
    COORD_FSM_NODES_PENDING_MAX = 256,
    COORD_FSM_TOKENS_MAX = 1024,
    COORD_FSM_MIGRATIONS_CLOSED_MAX = 1024,
    COORD_FSM_GUEST_PRESENTATIONS_MAX = 16,
    COORD_FSM_REASON_SIZE_MAX = 256,
    COORD_FSM_POLICIES_MAX = 16,            /* versions kept, and what an unconfirmed one needs */
    COORD_FSM_OPERATIONS_WAITING_MAX = 256, /* for approval */
    COORD_FSM_ASKER_WAITING_MAX = 16,       /* of those, one asker's */
    COORD_FSM_ASKER_DECIDED_MAX = 64,       /* of what was decided, one asker's */
    COORD_FSM_OPERATIONS_MAX = 1024,        /* of those that wait and of what was decided */
    COORD_FSM_KEPT_COMMAND_SIZE_MAX = 64 << 10, /* that waits for approval */
    COORD_FSM_HASH_INTERVAL = 1024, /* hashes at multiples of it can be compared later */
    COORD_FSM_RECORD_KEY_SIZE = 18,
    COORD_FSM_RECORD_SIZE_MAX = 1 << 20,
    COORD_FSM_PAGE_COUNT_MAX = 1000,
    COORD_FSM_PAGE_SIZE_MAX = 768 << 10,
};

/* Logged time, microseconds. */
#define COORD_FSM_TICK_MAX_US UINT64_C(5000000) /* one tick moves the clock by at most this */
#define COORD_FSM_POLICY_CONFIRM_MAX_US (UINT64_C(24) * 3600 * 1000000)
#define COORD_FSM_APPROVAL_US (UINT64_C(24) * 3600 * 1000000) /* then it expires */
#define COORD_FSM_SESSION_TTL_MIN_US UINT64_C(10000000)
#define COORD_FSM_SESSION_TTL_MAX_US (UINT64_C(24) * 3600 * 1000000)

struct coord_fsm;

/* RAY_ENOMEM. Empty, at index 0. */
int coord_fsm_create(struct coord_fsm **out_fsm, struct ray_err *err);
void coord_fsm_destroy(struct coord_fsm *fsm);
/* Takes an older or newer build's place, which can apply up to that feature level: for tests and
 * the simulator. Before anything that needs it. */
void coord_fsm_set_level(struct coord_fsm *fsm, uint32_t level);

/* ---- commands ---- */

/* For whoever appends: RAY_OK when every replica of this version can apply these bytes (they may
 * still be refused by the state). RAY_EMALFORMED, RAY_EUNSUPPORTED, RAY_ETOOBIG. */
int coord_fsm_check(const uint8_t *bytes, size_t size, struct ray_err *err);

struct Rayos__Registry__Command;

/* The same, and what it says, in `arena`: an empty one of exactly COORD_FSM_CHECK_ARENA_SIZE_MAX,
 * so that all members refuse the same. */
int coord_fsm_open(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                   const struct Rayos__Registry__Command **out_command, struct ray_err *err);

struct coord_fsm_result {
    int code;              /* RAY_OK or why the state refused it */
    const char *text;      /* never NULL */
    const char *next_step; /* never NULL */
    uint64_t revision;     /* the entry that decided it: an older one for a retry */
    const uint8_t *body;   /* a packed rayos.registry.Reply, or NULL */
    size_t body_size;
    bool is_retry; /* the stored result of a request that ran before */
};

/* Whether the cluster's feature level has that command: RAY_EUNSUPPORTED names both. A leader that
 * appended another would halt members that have an older build. `command`: as coord_fsm_open gives
 * it. Without a cluster all are taken. */
int coord_fsm_has_command(const struct coord_fsm *fsm,
                          const struct Rayos__Registry__Command *command, struct ray_err *err);

/* What watches are told. */
struct coord_fsm_event {
    uint64_t revision;
    uint32_t sub_index;
    enum coord_kind kind;
    struct ray_id id;
    bool is_deleted;
    /* Whom it concerns, before and after. */
    struct ray_id nodes[COORD_FSM_EVENT_NODES_MAX];
    uint32_t node_count;
    bool is_for_all;       /* concerns every node */
    const uint8_t *packed; /* a rayos.registry.WatchEvent */
    size_t packed_size;
};

struct coord_fsm_outcome {
    struct coord_fsm_result result;
    const struct coord_fsm_event *events;
    size_t event_count;
};

/* Applies a command entry; `index` is one above the last. RAY_OK: applied or refused, out_outcome
 * says which. Anything else halts the state machine, which from then on answers the same:
 *   RAY_EUNSUPPORTED, RAY_EMALFORMED   this version cannot apply it (never skipped);
 *   RAY_ECONFLICT                      a hash in the log differs from ours: quarantine;
 *   RAY_ENOMEM. */
int coord_fsm_apply(struct coord_fsm *fsm, uint64_t index, uint64_t term, const uint8_t *bytes,
                    size_t size, struct coord_fsm_outcome *out_outcome, struct ray_err *err);

/* An entry that is no command (no-op, change of configuration). */
int coord_fsm_advance(struct coord_fsm *fsm, uint64_t index, uint64_t term, struct ray_err *err);

/* Packs a rayos.registry.Result to send to who asked; RAY_ENOMEM. */
int coord_fsm_result_pack(const struct coord_fsm_result *result, struct ray_buf *out,
                          struct ray_err *err);

/* ---- state ---- */

uint64_t coord_fsm_index(const struct coord_fsm *fsm); /* applied */
uint64_t coord_fsm_term(const struct coord_fsm *fsm);  /* of that entry */
bool coord_fsm_is_halted(const struct coord_fsm *fsm);

/* Of the whole state; O(1). */
void coord_fsm_hash(const struct coord_fsm *fsm, uint8_t out[static COORD_HASH_SIZE]);
/* What a leader should log now and then: the last multiple of COORD_FSM_HASH_INTERVAL that was
 * passed since create or load; false: none yet. */
bool coord_fsm_last_hash(const struct coord_fsm *fsm, uint64_t *out_index,
                         uint8_t out_hash[static COORD_HASH_SIZE]);

/* NULL before cluster-create. */
const struct coord_object *coord_fsm_cluster(const struct coord_fsm *fsm);
/* NULL: not there. */
const struct coord_object *coord_fsm_find(const struct coord_fsm *fsm, enum coord_kind kind,
                                          const struct ray_id *id);
const struct coord_object *coord_fsm_find_name(const struct coord_fsm *fsm, enum coord_kind kind,
                                               const char *name);
/* Whom the registry would remove if that node joined now with that token; NULL: nobody. A
 * NodeJoin has to name it. */
const struct coord_object *coord_fsm_outlived(const struct coord_fsm *fsm,
                                              const struct ray_id *joiner, const char *name,
                                              bool is_ephemeral,
                                              const uint8_t token_hash[static COORD_KEY_SIZE]);
/* The node with that raft id; NULL. O(nodes). */
const struct coord_object *coord_fsm_find_raft_id(struct coord_fsm *fsm, uint64_t raft_id);
/* Nodes whose role is voter, as the registry shows it. O(nodes). */
size_t coord_fsm_voter_count(struct coord_fsm *fsm);
/* The first object of the kind with an id above `after` (NULL: the first of all), by id. */
const struct coord_object *coord_fsm_next(struct coord_fsm *fsm, enum coord_kind kind,
                                          const struct ray_id *after);
/* Guests whose home is that node, whatever the incarnation, in no order: start with NULL. */
const struct coord_object *coord_fsm_next_at_home(const struct coord_fsm *fsm,
                                                  const struct ray_id *node,
                                                  const struct coord_object *after);
size_t coord_fsm_count(const struct coord_fsm *fsm, enum coord_kind kind);
/* Changed whenever something that a list of grants depends on changed: guests, nodes,
 * presentations, the cluster. Not part of the state. */
uint64_t coord_fsm_grant_generation(const struct coord_fsm *fsm);

struct coord_policy;

/* The rules in force, until the next call of apply; *out_policy NULL: there are none, and admins
 * alone may do anything. RAY_ENOMEM. */
int coord_fsm_policy(struct coord_fsm *fsm, const struct coord_policy **out_policy,
                     struct ray_err *err);
/* Their version; 0: none. O(log versions) */
uint64_t coord_fsm_policy_version(struct coord_fsm *fsm);
/* Roles of a principal as bits of coordinator/policy. */
uint32_t coord_fsm_roles(const struct coord_principal *principal);

size_t coord_fsm_session_count(const struct coord_fsm *fsm);
/* Whether ticks are of use now: a session or a token can expire. */
bool coord_fsm_can_expire(const struct coord_fsm *fsm);
uint64_t coord_fsm_clock_us(const struct coord_fsm *fsm); /* logged */

/* Which nodes an object concerns (home, destination, display, itself); returns their number.
 * *out_is_for_all: every node (cluster, policy, networks, images, voters and standbys). */
size_t coord_fsm_object_nodes(const struct coord_fsm *fsm, const struct coord_object *object,
                              struct ray_id out[static COORD_FSM_OBJECT_NODES_MAX],
                              bool *out_is_for_all);

/* ---- queries ---- */

/* A packed rayos.registry.Query; appends a packed Answer to `out`. RAY_EMALFORMED, RAY_EINVAL,
 * RAY_ENOTFOUND (asked by id or name), RAY_ETOOBIG, RAY_ENOMEM. */
int coord_fsm_query(struct coord_fsm *fsm, const uint8_t *bytes, size_t size, struct ray_buf *out,
                    struct ray_err *err);

/* ---- views: the part of the registry that concerns one node, as a member tells it ---- */

/* Filled from the answers to a query and the batches of a watch that both have `node` in their
 * filter. It can be looked at and queried like the whole; it is never given commands, dumped, saved
 * or compared. Objects without node (tokens, principals, events) are not in it. RAY_ENOMEM. */
int coord_fsm_view_create(struct coord_fsm **out_view, const struct ray_id *node,
                          struct ray_err *err);
/* One page, a packed Answer; its cursor is appended to `out_cursor`: empty, it was the last. What
 * changed between the pages comes with the watch, which begins at coord_fsm_index. After a failure
 * the view is worth nothing: destroy it. RAY_EMALFORMED, RAY_ETOOBIG, RAY_ENOMEM. */
int coord_fsm_view_page(struct coord_fsm *view, const uint8_t *bytes, size_t size,
                        struct ray_buf *out_cursor, struct ray_err *err);
/* A packed WatchBatch. RAY_EAGAIN: a new view is to be listed (a resync, or a guest came that
 * others hang on). RAY_EMALFORMED, RAY_ETOOBIG, RAY_ENOMEM: it is worth nothing. */
int coord_fsm_view_batch(struct coord_fsm *view, const uint8_t *bytes, size_t size,
                         struct ray_err *err);

/* ---- records: what snapshots and checkpoints are made of ---- */

/* Sorted by key bytes; values are packed StoredMachine, StoredObject or StoredSession. */
struct coord_fsm_record {
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE]; /* type, kind, id */
    const uint8_t *value;                   /* NULL: deleted (checkpoint only) */
    size_t value_size;
};

/* Snapshot of the state as of now, read a piece at a time while entries go on being applied: what
 * they change is copied first. One at a time; RAY_EAGAIN while one is under way, RAY_ENOMEM. */
int coord_fsm_dump_begin(struct coord_fsm *fsm, struct ray_err *err);
uint64_t
coord_fsm_dump_index(const struct coord_fsm *fsm); /* that it shows; 0: none is under way */
uint64_t coord_fsm_dump_term(const struct coord_fsm *fsm);
/* How many bytes it will have; right after begin. Packs everything once. */
int coord_fsm_dump_size(struct coord_fsm *fsm, uint64_t *out_size, struct ray_err *err);
/* Appends whole framed records (u32 little-endian size, key, value) until `out` has at least
 * size_min more bytes or all is written. The same state gives the same bytes. */
int coord_fsm_dump_next(struct coord_fsm *fsm, struct ray_buf *out, size_t size_min, bool *out_done,
                        struct ray_err *err);
void coord_fsm_dump_end(struct coord_fsm *fsm); /* also before its time */

/* Records that changed since the last coord_fsm_dirty_clear, the machine's own record among them:
 * first the deleted, then the others, in no order; stops at the first failure of `each`. */
int coord_fsm_dirty(struct coord_fsm *fsm,
                    int (*each)(void *arg, const struct coord_fsm_record *record,
                                struct ray_err *err),
                    void *arg, struct ray_err *err);
/* They replace all records that the checkpoint has: clear it first. So after create, load of a
 * snapshot, coord_fsm_dirty_all, and when too much was deleted to remember. */
bool coord_fsm_dirty_is_all(const struct coord_fsm *fsm);
void coord_fsm_dirty_all(struct coord_fsm *fsm);
void coord_fsm_dirty_clear(struct coord_fsm *fsm); /* they were handed on */
size_t coord_fsm_dirty_count(const struct coord_fsm *fsm);

/* From a dump's bytes, in pieces of any size, or from single records in order of their keys. */
struct coord_fsm_load;
int coord_fsm_load_begin(struct coord_fsm_load **out_load, struct ray_err *err);
void coord_fsm_load_set_level(struct coord_fsm_load *load, uint32_t level); /* before records */
int coord_fsm_load_bytes(struct coord_fsm_load *load, const uint8_t *bytes, size_t size,
                         struct ray_err *err);
int coord_fsm_load_record(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                          struct ray_err *err);
/* RAY_OK: *out_fsm is the caller's; its hash is that of the dumped one. RAY_EMALFORMED,
 * RAY_EUNSUPPORTED: nothing is made. `load` is gone in each case. `is_clean`: all records count as
 * durable already (load from a checkpoint). */
int coord_fsm_load_end(struct coord_fsm_load *load, bool is_clean, struct coord_fsm **out_fsm,
                       struct ray_err *err);
void coord_fsm_load_cancel(struct coord_fsm_load *load);

#endif

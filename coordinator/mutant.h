/* coordinator/mutant.h - known bad variants of the coordinator, by name, one at a time.
 *
 * A guard asks `if (RAY_MUTANT(NAME)) { the wrong thing }`. In every ordinary build that is the
 * constant false and nothing of it is left; with -DRAY_MUTANTS (preset `mutants`) one simulator
 * runs each of them by --mutant NAME, and `make mutants` prints who convicted it. A line here
 * is a promise: `make mutants` fails for a mutant that its checker lets go.
 *
 * Memory: constants; in mutant builds one variable.  Threads: any; select before others begin.
 * Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_MUTANT_H
#define RAY_COORDINATOR_MUTANT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* X(NAME, text, checker): `checker` is the name of a simulator's checker (tests/sim/check.h);
 * several that may each be the first to see it are joined by '|'; "test:NAME" is ctest's NAME,
 * run with RAYOS_MUTANT=name (its main calls ray_mutant_from_env), which must fail then.
 *
 * One block per room, owned by the room; a name begins with the room's. */
#define RAY_MUTANT_MAP_CORE(X)                                                                     \
    X(CORE_EARLY_CHANGE, "a configuration change before the leader's own no-op (R4, G1)",          \
      "test:coord_core_guard|election_safety|log_matching|acked_durable")                          \
    X(CORE_BATCHED_CHANGE, "a configuration change inside a batch of entries (R3, G3)",            \
      "test:coord_core_guard")                                                                     \
    X(CORE_STALE_REJECT, "a stale refusal moves the next index below the match (R5, G4)",          \
      "test:coord_core_guard")                                                                     \
    X(CORE_STALE_HINT, "a refused older term answers with memory that was never set (C6)",         \
      "test:coord_core_guard")                                                                     \
    X(CORE_EMPTY_APPENDS, "an empty append with every submit when much is under way (C7)",         \
      "test:coord_core_guard")                                                                     \
    X(CORE_START_ZERO, "an empty log begins at index 0 (G6)", "test:coord_core_guard")             \
    X(CORE_SAME_TERM, "a sole voter leads in the term that it finds", "test:coord_core_guard")     \
    X(CORE_STANDBY_DEAF, "a standby refuses its vote to a candidate that knows it as a voter",     \
      "test:coord_core_guard")                                                                     \
    X(CORE_COMMIT_BACK, "an old append lowers a follower's commit index", "test:coord_core_guard") \
    X(CORE_OLD_PREFIX, "entries below the snapshot are appended at the end",                       \
      "test:coord_core_guard")                                                                     \
    X(CORE_LATE_VOTE, "a follower reads a late answer to a pre-vote as a candidate's",             \
      "test:coord_core_guard")                                                                     \
    X(CORE_SHORT_CONTACT, "two ticks within a round trip end pipelining", "test:coord_core_guard") \
    X(CORE_LAST_DEMOTED, "of two voters the demoted one never stands again, though only it can",   \
      "test:coord_core_guard")                                                                     \
    X(CORE_HIDDEN_TERM, "a pre-vote is refused without telling the newer term",                    \
      "test:coord_core_guard")                                                                     \
    X(CORE_LOST_CHANGE, "two changes in a row: the older one is forgotten", "test:coord_core_guard")

#define RAY_MUTANT_MAP_STORE(X)                                                                    \
    X(STORE_EARLY_DURABLE, "an entry is reported durable before the disk has it",                  \
      "acked_durable|log_matching")                                                                \
    X(STORE_TAIL_AS_ROT, "an unacknowledged torn tail quarantines the node", "quarantine")         \
    X(STORE_ROT_AS_TAIL, "rot below durable_index is truncated like a tail",                       \
      "acked_durable|log_matching")                                                                \
    X(STORE_APPLIED_OUTSIDE, "the applied index is not in the checkpoint's transaction",           \
      "test:coord_checkpoint")

#define RAY_MUTANT_MAP_FSM(X)                                                                      \
    X(FSM_VIEW_LAST_PAGE, "a view watches from its last page on, and misses what came before it",  \
      "observer_view")                                                                             \
    X(FSM_CANCEL_KEEPS_EPOCH, "cancel keeps the epoch (c)", "test:coord_fsm_guest")                \
    X(FSM_STOPPED_KEEPS_EPOCH, "stopped keeps the epoch (hole 1)", "test:coord_fsm_guest")         \
    X(FSM_CLONE_ACCEPTED, "an incarnation comes in whatever its boot counter (e)",                 \
      "test:coord_fsm_node")                                                                       \
    X(FSM_T_LOWERED_AT_ONCE, "a change of timing lowers the maxima at once (i)",                   \
      "test:coord_fsm_node")                                                                       \
    X(FSM_RECOVERY_TRUSTS, "outcomes are taken while nodes are unknown (hole 5)",                  \
      "test:coord_fsm_guest")                                                                      \
    X(FSM_DETACH_AT_ONCE, "a volume leaves a guest that may write to it (hole 8)",                 \
      "test:coord_fsm_guest")                                                                      \
    X(FSM_RETRY_RUNS, "a request that has run is run again", "test:coord_fsm_apply")               \
    X(FSM_UNKNOWN_SKIPPED, "fields of a newer version are ignored", "test:coord_fsm_apply")        \
    X(FSM_OFFICE_OF_ANYBODY, "an observer's word moves the clock and compares states",             \
      "test:coord_fsm_node")                                                                       \
    X(FSM_FOREIGN_CLOCK, "ticks of another leader's clock move ours", "test:coord_fsm_apply")      \
    X(FSM_POLICY_OF_START, "the rules that a replica read first decide, whatever the log says",    \
      "test:coord_fsm_policy")                                                                     \
    X(FSM_APPROVED_BY_ASKER, "who asks for approval approves it himself",                          \
      "test:coord_fsm_approval")                                                                   \
    X(FSM_APPROVED_FOR_ONE_RULE, "of several rules that ask one's approver is enough",             \
      "test:coord_fsm_approval")                                                                   \
    X(FSM_APPROVED_UNSEEN, "an approval counts for what was changed since",                        \
      "test:coord_fsm_approval")                                                                   \
    X(FSM_LATE_DUMP, "a dump shows records as they are when they are written",                     \
      "test:coord_fsm_property")

#define RAY_MUTANT_MAP_WATCH(X)                                                                    \
    X(WATCH_GAP, "who fell out of the ring goes on with what is left of it", "watch_order")        \
    X(WATCH_RESTART_KEEPS, "a gap where a snapshot took the place of entries", "watch_order")      \
    X(WATCH_FULL_IS_SENT, "what a full link refused counts as sent", "watch_order")                \
    X(WATCH_REPEATS, "who resumes gets its last revision once more", "watch_order")                \
    X(WATCH_BOOKMARK_AHEAD, "a bookmark says the newest revision, whatever was sent", "watch_order")

#define RAY_MUTANT_MAP_LEASE(X)                                                                    \
    X(LEASE_NODE_DEADLINE, "an answer moves every slot of the node (a)", "test:coord_lease_world") \
    X(LEASE_GRANT_PENDING, "grants go on between append and apply of an outcome (b)",              \
      "test:coord_lease_world")                                                                    \
    X(LEASE_CANCEL_KEEPS_EPOCH, "cancel keeps the epoch (c)", "test:coord_lease_world")            \
    X(LEASE_NO_MARGIN, "W without M (d)", "test:coord_lease_world")                                \
    X(LEASE_NO_DRIFT, "W without the drift of clocks (d)", "test:coord_lease_world")               \
    X(LEASE_LATE_STOP, "a vCPU goes on for 2 M after its deadline (d)", "test:coord_lease_world")  \
    X(LEASE_CLONE_ACCEPTED, "a second incarnation is granted what the first is (e)",               \
      "test:coord_lease_world")                                                                    \
    X(LEASE_UNKNOWN_EXPIRED, "after a recovery unknown means expired (f)",                         \
      "test:coord_lease_world")                                                                    \
    X(LEASE_NO_ELECTION_WAIT, "a new leader takes over before it waited W (g)",                    \
      "test:coord_lease_world")                                                                    \
    X(LEASE_T_LOWERED_AT_ONCE, "W from the present T, not from the largest (i)",                   \
      "test:coord_lease_world")                                                                    \
    X(LEASE_OLD_PROBE, "a probe from before the request confirms it (k)",                          \
      "test:coord_lease_world")                                                                    \
    X(LEASE_BEFORE_NOOP, "granting before the own no-op is applied (l, G1)",                       \
      "test:coord_lease_world")                                                                    \
    X(LEASE_SECOND_RUN, "an epoch is forked a second time (hole 1)", "test:coord_lease_world")     \
    X(LEASE_FROZEN_THAWS, "a copy frozen for migration thaws by the page (hole 1)",                \
      "test:coord_lease_world")                                                                    \
    X(LEASE_STOPPED_UNBURNED, "stopped is proposed before burn and reaping (hole 1)",              \
      "test:coord_lease_world")                                                                    \
    X(LEASE_STOPPED_KEEPS_EPOCH, "stopped keeps the epoch (hole 1)", "test:coord_lease_world")     \
    X(LEASE_OUTCOME_GRANTS, "the reply to an outcome is a grant (hole 2)",                         \
      "test:coord_lease_world")                                                                    \
    X(LEASE_ADMISSION_RESETS, "admission forgets when the old incarnation was heard (hole 3)",     \
      "test:coord_lease_world")                                                                    \
    X(LEASE_AGENT_T, "the agent uses the T of its own watch (hole 4)", "test:coord_lease_world")   \
    X(LEASE_RECOVERY_TRUSTS, "recovery trusts what survivors hold (hole 5)",                       \
      "test:coord_lease_world")                                                                    \
    X(LEASE_FOREIGN_COPY, "a copy runs at an epoch that is not its own (hole 6)",                  \
      "test:coord_lease_world")                                                                    \
    X(LEASE_HALF_SLOT, "a slot gets its new deadline before its new pair (hole 7)",                \
      "test:coord_lease_world")                                                                    \
    X(LEASE_DELETE_AT_ONCE, "delete waits neither for stopped nor for W (hole 8)",                 \
      "test:coord_lease_world")                                                                    \
    X(LEASE_CLOCK_TRUSTED, "nobody looks whether the clock has stood still", "stood_still")        \
    X(LEASE_UNCHANGED_ANY, "unchanged is taken for a list that was not hashed (hole 10)",          \
      "test:coord_lease_world")

#define RAY_MUTANT_MAP_REPLICA(X)                                                                  \
    X(REPLICA_RETRY_WITHOUT_SESSION, "a command is repeated though nothing makes it run once",     \
      "exactly_once")                                                                              \
    X(REPLICA_FORWARD_OFFICE, "what a deposed leader had to say is said by the next one",          \
      "test:coord_replica_turn")                                                                   \
    X(REPLICA_READ_WITHOUT_PROBE, "a leader reads without asking whether it still is one",         \
      "linearizability")                                                                           \
    X(REPLICA_READ_WITHOUT_NOOP, "a leader reads before an entry of its own term is committed",    \
      "linearizability|log_witness")                                                               \
    X(REPLICA_GRANT_PENDING, "grants go on between append and apply of an outcome (b)",            \
      "granted_in_office")                                                                         \
    X(REPLICA_GRANT_WITHOUT_NOOP, "grants before the own no-op is applied (l)",                    \
      "granted_in_office")                                                                         \
    X(REPLICA_GRANT_WITHOUT_PROBE,                                                                 \
      "a grant does not wait for the probe after it was asked for (k)",                            \
      "asked_in_term|silent_death|one_run")                                                        \
    X(REPLICA_ELECTION_LONG_AGO, "a take-over by death before the election is older than W (g)",   \
      "silent_death|one_run")                                                                      \
    X(REPLICA_DEATH_AT_ONCE, "a take-over by death is appended whatever was heard",                \
      "silent_death|one_run")                                                                      \
    X(REPLICA_EPOCH_OF_ANYBODY, "any node's word for a later cluster epoch counts",                \
      "test:coord_replica_trust")                                                                  \
    X(REPLICA_STANDING_OF_ANYBODY, "any node's word ends or renumbers another",                    \
      "test:coord_replica_trust")                                                                  \
    X(REPLICA_PROPOSALS_OF_ANYBODY, "any node proposes whatever it likes, as whoever it likes",    \
      "test:coord_replica_authority")                                                              \
    X(REPLICA_ANSWER_LOST, "an answer for which a full link has no room is forgotten",             \
      "test:coord_replica_peers")                                                                  \
    X(REPLICA_SNAPSHOT_FOR_ANYBODY, "any node gets the whole registry, tokens too",                \
      "test:coord_replica_trust")                                                                  \
    X(REPLICA_FRAMES_OF_ANYBODY, "a node outside of the configuration votes and leads",            \
      "test:coord_replica_trust")                                                                  \
    X(REPLICA_OLDER_HEARD, "a boot that is not the latest is heard: a disk that was set back",     \
      "test:coord_replica_trust")                                                                  \
    X(REPLICA_SET_BACK_HEARD, "a disk that was set back is heard once it has booted often enough", \
      "set_back|progress|election_safety|log_matching|acked_durable")                              \
    X(REPLICA_REMOVED_STAYS, "who was removed stays in the configuration", "removed_out")          \
    X(REPLICA_REMOVED_SILENT,                                                                      \
      "what runs on a node that was removed is taken over at once (hole 8)",                       \
      "silent_death|one_run")                                                                      \
    X(REPLICA_REBOOT_SILENT, "a node that booted again is taken for one that is off (hole 3)",     \
      "silent_death|one_run")                                                                      \
    X(REPLICA_FEATURE_EARLY, "the feature level rises before all members have it",                 \
      "feature_level")                                                                             \
    X(REPLICA_KNOWN_AT_ONCE, "after a recovery a node is known again before W has passed (f)",     \
      "known_silent")

/* Of the simulator's own node (tests/sim/node_raft.c), so that each of its checkers is seen to
 * see. */
#define RAY_MUTANT_MAP_SIM(X)                                                                      \
    X(SIM_VOTE_FORGOTTEN, "a vote is not written down", "election_safety|quarantine")              \
    X(SIM_RETRY_RUNS, "a retry runs again", "exactly_once")                                        \
    X(SIM_CLOCK_IN_STATE, "the state machine reads a clock", "fsm_equality")                       \
    X(SIM_READ_LOCAL, "every member answers reads from what it has applied", "linearizability")    \
    X(SIM_READ_MISNAMED, "a read names the revision before the one it saw", "log_witness")         \
    X(SIM_ENTRY_SIGNED, "a follower puts its number into what it writes down", "log_matching")     \
    X(SIM_TIMER_LOST, "who stands for election asks for no further tick", "progress")

/* Of its machines and agents (tests/sim/grants*.c). */
#define RAY_MUTANT_MAP_GUEST(X)                                                                    \
    X(GUEST_INCARNATION_KEPT, "a node that booted again goes on as the same incarnation",          \
      "one_fork")                                                                                  \
    X(GUEST_LAUNCHER_FORGETS, "the launcher's table does not survive the process", "one_fork")     \
    X(GUEST_EARLY_RENEWAL, "a node renews before the registry shows its admission", "wanted_runs") \
    X(GUEST_FROZEN_THAWS, "a copy frozen for migration thaws by the page", "one_run")              \
    X(GUEST_LATE_STOP, "a vCPU goes on for 2 M after its deadline", "silent_death|one_run")        \
    X(GUEST_LAST_ROUND_LOST, "a migration leaves out what changed last", "newest_memory")          \
    X(GUEST_OWN_TIME, "an agent keeps the T that it began with", "longest_grant")                  \
    X(GUEST_STOPPED_RUNNING, "stopped is proposed before the monitor is reaped",                   \
      "no_run_no_volume")                                                                          \
    X(GUEST_STOPPED_UNBURNED, "stopped is proposed before the epoch is burned", "ended_epoch")

#define RAY_MUTANT_MAP(X)                                                                          \
    RAY_MUTANT_MAP_SIM(X)                                                                          \
    RAY_MUTANT_MAP_GUEST(X)                                                                        \
    RAY_MUTANT_MAP_CORE(X)                                                                         \
    RAY_MUTANT_MAP_STORE(X)                                                                        \
    RAY_MUTANT_MAP_FSM(X)                                                                          \
    RAY_MUTANT_MAP_WATCH(X)                                                                        \
    RAY_MUTANT_MAP_LEASE(X)                                                                        \
    RAY_MUTANT_MAP_REPLICA(X)

enum ray_mutant {
    RAY_MUTANT_NONE,
#define RAY_MUTANT_ENUM(name, text, checker) RAY_MUTANT_##name,
    RAY_MUTANT_MAP(RAY_MUTANT_ENUM)
#undef RAY_MUTANT_ENUM
        RAY_MUTANT_COUNT,
};

struct ray_mutant_info {
    const char *name; /* "STORE_TAIL_AS_ROT" */
    const char *text;
    const char *checker;
};

#ifdef RAY_MUTANTS
bool ray_mutant_is(enum ray_mutant mutant);
#define RAY_MUTANT(name) ray_mutant_is(RAY_MUTANT_##name)
#else
/* Still an error for a name that the list does not have. */
#define RAY_MUTANT(name) (RAY_MUTANT_##name == RAY_MUTANT_NONE)
#endif

/* Of every mutant but RAY_MUTANT_NONE. */
const struct ray_mutant_info *ray_mutant_info(enum ray_mutant mutant);
/* RAY_EINVAL: no such name. */
int ray_mutant_find(const char *name, enum ray_mutant *out, struct ray_err *err);
/* RAY_EUNSUPPORTED in a build without mutants, except for RAY_MUTANT_NONE. */
int ray_mutant_select(enum ray_mutant mutant, struct ray_err *err);
/* Selects what RAYOS_MUTANT names; nothing when it is not set. For main of a test. */
int ray_mutant_from_env(struct ray_err *err);

#endif

/* coordinator/replica/replica.h - one member of the replicated registry: consensus, log, state
 * machine, watches and grants, put together. What production runs and what the simulator breaks
 * are the same object.
 *
 *      requests            packets of peers              clock, timer, randomness
 *          |                     |                               |
 *    propose, read, renew    ray_link                        coord_env
 *          \________________  replica  ________________________ /
 *                           /    |    \
 *                  coord_core  store  fsm, watch, lease
 *
 * The owner calls coord_replica_turn at the end of each turn of its loop in which anything
 * happened (a callback of disk, link or timer, a request): what came in that turn is then
 * appended as one batch, written as one batch, and sent as one message per peer.
 *
 * Memory: create and destroy; whatever is given is copied or outlives it (world).
 * Threads: the loop's.  Blocks: create (reads the disk); term and vote are written at once.
 * Trust: packets of peers and commands of clients are hostile until checked. */
#ifndef RAY_COORDINATOR_REPLICA_REPLICA_H
#define RAY_COORDINATOR_REPLICA_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "base/id.h"
#include "coordinator/core/forecast.h"
#include "coordinator/entry.h"
#include "coordinator/env.h"
#include "coordinator/fsm/fsm.h"
#include "coordinator/lease/grant.h"
#include "coordinator/store/checkpoint.h"
#include "coordinator/store/disk.h"
#include "coordinator/store/meta.h"
#include "coordinator/watch/hub.h"
#include "net/link.h"

enum {
    COORD_REPLICA_PROPOSALS_MAX = 65536, /* of this node's clients, not yet answered */
    COORD_REPLICA_READS_MAX = 65536,
    COORD_REPLICA_PEERS_MAX = 4096,
};

struct coord_replica;

/* All outlive the replica, which sets link->user. */
struct coord_replica_world {
    const struct coord_env *env;
    struct coord_disk *disk;
    struct coord_checkpoint *checkpoint;
    struct ray_link *link;
};

/* 0 in a limit: the usual one. */
struct coord_replica_config {
    struct ray_id incarnation; /* of this boot */
    uint32_t election_ms;      /* until the registry says otherwise; 0: lan */
    uint32_t heartbeat_ms;
    uint32_t segment_size;     /* of the log */
    uint64_t snapshot_entries; /* applied since the last one that make a new one: 100,000 */
    uint64_t snapshot_size;    /* or bytes of log: 64 MiB */
    size_t log_cache_size;     /* of entries in memory: 4 MiB */
    uint64_t watchdog_ns;      /* added to W for strict guests: 60 s */
    uint32_t duty_ms;          /* between looks at members, time and states: 1 s */
    uint32_t save_ms;          /* between writes of the checkpoint: 1000 */
    size_t trailing_entries;   /* kept in the log before a snapshot: 20,000 */
    size_t watch_size;         /* of events kept for watchers: 4 MiB */
    uint32_t feature_level; /* that it can apply: this build's; others for tests and simulation */
    uint32_t feature_ms;    /* that all must have had a level before it is raised: 60 s */
};

enum coord_replica_role {
    COORD_REPLICA_FOLLOWER, /* also standbys */
    COORD_REPLICA_CANDIDATE,
    COORD_REPLICA_LEADER,
    COORD_REPLICA_WAITING,     /* in no configuration that it knows: an observer, or to be added */
    COORD_REPLICA_QUARANTINED, /* its log or state is damaged: no vote, waits for a new number */
    COORD_REPLICA_REMOVED,     /* told so by the cluster: never again under this identity */
    COORD_REPLICA_FAILED,      /* disk failed or it could not follow: destroy and create anew */
};

/* Called from coord_replica_turn, on_timer or a callback of disk and link, never from within a
 * request. */
struct coord_replica_user {
    void (*on_role)(void *arg, enum coord_replica_role role);
    /* The leader as this member knows it: its node, or none. */
    void (*on_leader)(void *arg, const struct ray_id *leader);
    /* One entry was applied (after its callbacks); `outcome` is NULL when it is no command. May be
     * NULL. */
    void (*on_applied)(void *arg, const struct coord_entry *entry,
                       const struct coord_fsm_outcome *outcome);
    /* One entry goes into this member's log, behind one of `previous_term`; for checkers. May be
     * NULL. */
    void (*on_appended)(void *arg, const struct coord_entry *entry, uint64_t previous_term);
    /* A leader answers a renewal of any node; for checkers. May be NULL. */
    void (*on_renewed)(void *arg, const struct coord_lease_answer *answer);
    /* Whether that node was a voter or standby when the owner last knew, for a member whose own
     * state is behind that. NULL: whoever is let in while nothing is known here is one. */
    bool (*knows_member)(void *arg, const struct ray_id *node);
    /* For marker, log and event: something that a person must know. */
    void (*on_trouble)(void *arg, const struct ray_err *what);
    void *arg;
};

/* ---- birth ---- */

/* Makes the meta block of a founding member (server_id 1) and its first log entry: a configuration
 * of itself alone; or of one that joins (server_id as the cluster gave it, log empty). Blocks no
 * longer than its callback takes. RAY_EEXISTS through `done`: there is a membership already. */
struct coord_replica_birth {
    struct ray_id cluster_id;
    struct ray_id node_id;
    uint64_t server_id;
    uint64_t cluster_epoch;
    uint64_t boot_counter; /* of starts before this; the first start is one more */
    uint32_t segment_size; /* of the log; 0: the usual one */
    bool is_founder;
};
int coord_replica_format(const struct coord_replica_world *world,
                         const struct coord_replica_birth *birth, coord_disk_done *done, void *arg,
                         struct ray_err *err);

/* A majority of voters is lost for good: makes this survivor the only voter of a new cluster epoch,
 * with all that its log has. Choose the one whose log is the longest (highest term, then index);
 * entries that only others had are lost. Offline; `done` comes when it is on the disk, then create.
 * All others come back by themselves, under new numbers, when they hear of the new epoch.
 * RAY_ENOTFOUND: no membership; RAY_EDENIED: removed or quarantined; RAY_EMALFORMED: its log has
 * rotted; RAY_EINVAL, RAY_ECONFLICT: what the state machine says of the lists. The same again after
 * a crash. */
struct coord_replica_recovery {
    const struct ray_id *survivors; /* nodes whose guests are known; this one among them */
    size_t survivor_count;
    const struct ray_id *confirmed_off;
    size_t confirmed_off_count;
    const char *principal;
    const char *reason;
    uint32_t feature_level; /* 0: this build's */
};
int coord_replica_recover(const struct coord_replica_world *world,
                          const struct coord_replica_recovery *recovery, coord_disk_done *done,
                          void *arg, struct ray_err *err);

/* Opens what is on the disk, verifies it, loads checkpoint or snapshot, replays nothing yet (that
 * happens in turns). RAY_ENOTFOUND: no membership; RAY_EMALFORMED: both copies of the meta block
 * are damaged (a wiped node); RAY_EIO. Rot in the log is no error: role is QUARANTINED. */
int coord_replica_create(struct coord_replica **out, const struct coord_replica_world *world,
                         const struct coord_replica_config *config,
                         const struct coord_replica_user *user, struct ray_err *err);
/* Open requests end with RAY_ECANCELED from within. Destroy the checkpoint before it (a commit
 * under way reads the replica's memory), link and disk after it. NULL is fine. */
void coord_replica_destroy(struct coord_replica *replica);

/* ---- the loop ---- */

void coord_replica_on_timer(struct coord_replica *replica);
void coord_replica_turn(struct coord_replica *replica);

/* ---- requests ---- */

/* RAY_OK and whatever the state machine said, with code and text of `result`. Otherwise:
 *   RAY_ETIMEOUT     the deadline; it may or may not have run or run yet (outcome unknown)
 *   RAY_EUNAVAILABLE no session protects it and its leader was lost, or this member stopped taking
 *                    part: outcome unknown
 *   RAY_ENOQUORUM    the deadline, and it never reached a leader: it did not run
 *   RAY_ENOSPC       the leader's disk is full: it did not run
 *   RAY_ECANCELED. */
typedef void coord_replica_done(void *arg, int status, const struct coord_fsm_result *result);

/* A packed rayos.registry.Command; the leader sets its time. Any member takes it and hands it
 * to the leader. With a session it is repeated until it is known to have run, once.
 * RAY_EAGAIN: COORD_REPLICA_PROPOSALS_MAX; RAY_EUNAVAILABLE: this member takes no part; what
 * coord_fsm_check and coord_fsm_has_command say. */
int coord_replica_propose(struct coord_replica *replica, const uint8_t *command, size_t size,
                          uint64_t deadline_ns, coord_replica_done *done, void *arg,
                          uint64_t *out_ticket, struct ray_err *err);

/* A linearizable read: when `done` comes with RAY_OK the state machine here shows at least all
 * that was acknowledged before this call; read it from within the callback. RAY_ENOQUORUM,
 * RAY_ECANCELED. */
typedef void coord_replica_read_done(void *arg, int status, uint64_t revision);
int coord_replica_read(struct coord_replica *replica, uint64_t deadline_ns,
                       coord_replica_read_done *done, void *arg, uint64_t *out_ticket,
                       struct ray_err *err);

/* `done` comes with RAY_OK when the state machine here has applied that entry, so that whoever
 * heard elsewhere of its result finds it in the state here, too; at once in the next turn when it
 * has. RAY_ENOQUORUM: the deadline, or this member stops taking part; RAY_ECANCELED. Its ticket is
 * like that of a read. */
int coord_replica_wait(struct coord_replica *replica, uint64_t index, uint64_t deadline_ns,
                       coord_replica_read_done *done, void *arg, uint64_t *out_ticket,
                       struct ray_err *err);

/* Its callback does not come any more; the command may still run. */
void coord_replica_cancel(struct coord_replica *replica, uint64_t ticket);

/* A renewal of an agent's grants (coordinator/lease/agent.h), for the leader, wherever that is.
 * With RAY_OK `answer` is what the leader says, borrowed for the call. Otherwise nothing was said,
 * and the agent renews again: RAY_ENOQUORUM (deadline or no leader), RAY_EAGAIN (too many),
 * RAY_ECONFLICT (of another cluster epoch), RAY_ECANCELED. RAY_EAGAIN from the call itself: too
 * many, or that incarnation is not admitted yet. */
typedef void coord_replica_renew_done(void *arg, int status,
                                      const struct coord_lease_answer *answer);
int coord_replica_renew(struct coord_replica *replica, const struct coord_lease_renew *renew,
                        uint64_t deadline_ns, coord_replica_renew_done *done, void *arg,
                        uint64_t *out_ticket, struct ray_err *err);

/* The renewal goes with the command (DESIGN.md section 8: an outcome's proposal carries one): it is
 * answered when the entry is applied, without a round of its own. Both were begun since the last
 * turn, the renewal last; else, and when the command is not appended at once, it is an ordinary
 * one. */
void coord_replica_carry(struct coord_replica *replica, uint64_t proposal, uint64_t renewal);

/* A peer has proven that it is at a later cluster epoch (net/link_peer.h: no link to it can be). Of
 * a member of the configuration it is believed: this replica is quarantined at that epoch, to be
 * given a new number there. */
void coord_replica_later_epoch(struct coord_replica *replica, const struct ray_id *node,
                               uint64_t cluster_epoch);

/* What a member says of a node that its registry does not have (any more). */
struct coord_replica_removal {
    uint64_t last_number; /* given to any node so far */
    uint64_t cluster_epoch;
};
/* Whether this member can say so of that node. RAY_ENOTFOUND: it is there, or leaves just now;
 * RAY_EUNAVAILABLE: this member holds no registry of its own. */
int coord_replica_removed(const struct coord_replica *replica, const struct ray_id *node,
                          struct coord_replica_removal *out);
/* A peer has proven that it says so of this node (net/link_peer.h). Of a voter or standby it
 * counts: quarantine, and role REMOVED for good once most of them have said so. False: it speaks of
 * a time before this node, or an earlier cluster epoch. */
bool coord_replica_told_removed(struct coord_replica *replica, const struct ray_id *node,
                                const struct coord_replica_removal *removal);

/* ---- outside of the configuration (role WAITING) ---- */

/* What such a node knows of the registry is a view (coord_fsm_view_create) that its owner gets from
 * a member: from now on coord_replica_fsm gives it, until its own state has got as far. The view is
 * the replica's, whatever is returned. The member that it is from heard the leader at `heard_ns`,
 * on the clock of this node. RAY_EAGAIN: it shows less than what is here (the leader is asked
 * whether that is true); RAY_ECONFLICT: it is of a later cluster epoch. */
int coord_replica_show(struct coord_replica *replica, struct coord_fsm *view, uint64_t heard_ns,
                       struct ray_err *err);
/* A packed WatchBatch for that view. As coord_fsm_view_batch; RAY_ENOTFOUND: no view is here.
 * RAY_EAGAIN: it stays, and wants to be replaced; after other failures it is gone. */
int coord_replica_show_batch(struct coord_replica *replica, const uint8_t *bytes, size_t size,
                             uint64_t heard_ns, struct ray_err *err);
bool coord_replica_has_view(const struct coord_replica *replica);

/* Applied state, for aged reads: revision is coord_fsm_index, age is in the status. */
struct coord_fsm *coord_replica_fsm(struct coord_replica *replica);
/* Higher whenever a state that coord_replica_fsm gave may be freed: another one may have its
 * address.
 */
uint64_t coord_replica_dropped_count(const struct coord_replica *replica);
/* Watchers are added to it by the owner; it is ticked by the replica. */
struct coord_watch_ring *coord_replica_ring(struct coord_replica *replica);

/* ---- state ---- */

struct coord_replica_status {
    enum coord_replica_role role;
    struct ray_id cluster_id;
    struct ray_id node_id;
    struct ray_id incarnation;
    uint64_t boot_counter;
    struct ray_id leader; /* none: not known */
    uint64_t server_id;
    uint64_t term;
    uint64_t last_index;
    uint64_t last_term; /* of that entry; 0: not known, as there is no log */
    uint64_t durable_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
    uint64_t heard_ns;      /* when the leader (or, leading, a majority) was heard last */
    bool is_quorate;        /* within an election timeout */
    bool is_partial;        /* what is shown is a view */
    bool is_full;           /* the log takes nothing more: read-only */
    uint64_t cluster_epoch; /* that it is at */
    struct coord_config config;
    size_t proposal_count;
    size_t read_count;
};
void coord_replica_status(const struct coord_replica *replica, struct coord_replica_status *out);

/* Since this replica was made, for people who watch it; nothing is decided by them. */
struct coord_replica_counters {
    uint64_t leader_changes; /* another leader was known than before, or one again */
    uint64_t elections;      /* that this member began */
    uint64_t appended;       /* entries into the log here */
    uint64_t applied;
    uint64_t saves; /* of the checkpoint */
    uint64_t save_failures;
    uint64_t snapshots_made;
    uint64_t snapshots_fetched;
    struct ray_histogram append; /* from an entry's append until it is durable here */
};
void coord_replica_counters(const struct coord_replica *replica,
                            struct coord_replica_counters *out);
/* Peers that there is a link to. */
size_t coord_replica_link_count(const struct coord_replica *replica);
/* Of the status; costs nothing. */
/* Whether that node is there, as far as this member knows: a leader hears it, another one has a
 * link to it. */
bool coord_replica_hears(struct coord_replica *replica, const struct coord_object *node);
/* The same of a node in whatever state it is, a damaged log or an old build, say: nobody takes its
 * place. */
bool coord_replica_may_run(struct coord_replica *replica, const struct coord_object *node);
/* By the configuration that holds here, which the registry follows a moment later: no more voters
 * than that has, and no observer before both say so. Outside of it what the registry says. */
enum coord_node_role coord_replica_role_of(const struct coord_replica *replica,
                                           const struct coord_object *node);
/* What becomes of the voters when `leaving` is not wanted any more (none: all stay), as far as this
 * member hears the others. RAY_EUNAVAILABLE: it holds no log, or knows no leader. */
struct coord_replica_forecast {
    struct coord_config config; /* as it is now */
    size_t healthy_voters;
    struct coord_forecast forecast;
    size_t healthy_voters_then;
};
int coord_replica_forecast(struct coord_replica *replica, const struct ray_id *leaving,
                           struct coord_replica_forecast *out, struct ray_err *err);
/* How far the feature level of the log is, and could be, as far as this member hears the others. */
struct coord_replica_feature {
    uint32_t level;        /* of the cluster */
    uint32_t build_level;  /* of this node's build */
    uint32_t common_level; /* that all who must have it have; 0: one of them is not heard */
    struct ray_id holder;  /* who keeps common_level below build_level; none: nobody, or a server
                              whose node is not known */
    uint32_t holder_level; /* that its build has; 0: it is not heard */
};
/* False: nothing is known yet. */
bool coord_replica_feature(struct coord_replica *replica, struct coord_replica_feature *out);
enum coord_replica_role coord_replica_role(const struct coord_replica *replica);

/* ---- membership, leader only (RAY_EUNAVAILABLE elsewhere) ---- */

/* Hands leadership to the best voter (a clean stop); on_role tells when it is gone.
 * RAY_ENOTFOUND: nobody can take it. */
int coord_replica_transfer(struct coord_replica *replica, struct ray_err *err);

/* ---- a clean stop ---- */

/* After a transfer, before destroy, at the end of each turn until it says true: all that was
 * taken is on the disk, and vouched for, so that later damage of the log's end is found. */
bool coord_replica_seal(struct coord_replica *replica);

#endif

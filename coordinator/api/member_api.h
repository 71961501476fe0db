/* coordinator/api/member_api.h - this node as a member of a cluster, or as one that waits to be
 * made one: identity, disk, replica and links put together, and the cluster's API on top.
 *
 *      net/rpc calls      credential file
 *           |                   |
 *       api methods      create or join
 *            \______ member _____/
 *                      |
 *      replica over disk, links, clocks, randomness (coordinator/replica)
 *
 * Below data_dir lie identity/node.key, raft/, facts/, checkpoint/ and policy/ (the rules in force,
 * to be read), and seeds, when somebody has put it there; below run_dir the incarnation of this
 * boot.
 *
 * Memory: create and destroy; strings are copied.  Threads: the loop's; the disk has its own.
 * Blocks: create, on the disk; making or loading a membership.
 * Trust: callers, the credential, peers and what is on the disk are hostile until checked. */
#ifndef RAY_COORDINATOR_API_MEMBER_API_H
#define RAY_COORDINATOR_API_MEMBER_API_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/rpc.h"

enum {
    COORD_MEMBER_METHODS_MAX = 32,
    COORD_MEMBER_LEAVE_MS = 5000, /* leadership is handed over within it, or not at all */
    COORD_MEMBER_STANDING_SIZE = 256,
};

struct coord_member;

struct coord_member_config {
    struct ray_loop *loop;
    struct ray_logger *logger;
    const char *data_dir; /* made when it is not there */
    const char *run_dir;
    const char *listen;     /* "host:port" for links */
    const char *advertise;  /* where others reach it; NULL: as `listen`; "": not known yet */
    const char *name;       /* NULL: the one of before, else n- and 8 digits of the fingerprint */
    const char *domain;     /* failure domain; NULL: the node is its own */
    const char *credential; /* file (coordinator/api/credential.h); NULL: none */
    const char *seeds;      /* where a joiner looks, too (seeds.h); borrowed; NULL: nowhere */
    bool is_fit_for_leases; /* this machine's clock source is */
    bool is_ephemeral;      /* data_dir ends with this boot: no vote, no part of the log */
    const uint8_t *facts; /* of this machine for the registry, a packed rayos.node.Facts; copied */
    size_t facts_size;    /* 0: nothing is told */
    /* A quorum is there, of so many voters; again when that changes. */
    void (*on_quorate)(void *arg, size_t voter_count);
    /* The policy has denied something that was asked of this node. */
    void (*on_denied)(void *arg, const char *rule, const char *detail);
    /* An order to this machine, a request of net/proto/cluster.proto with an Order (judged already,
     * its principal set): ends the call now or later. NULL: the machine takes none. */
    void (*on_order)(void *arg, struct ray_rpc_call *call, const ProtobufCMessage *input);
    /* It cannot go on (its disk failed): end the process, start anew. */
    void (*on_failed)(void *arg);
    void *arg;
};

/* Locks data_dir/raft first: RAY_ECONFLICT, another process has it. RAY_EMALFORMED: key or meta
 * block are damaged. */
int coord_member_create(struct coord_member **out_member, const struct coord_member_config *config,
                        struct ray_err *err);
/* After the servers that call it. NULL is fine. */
void coord_member_destroy(struct coord_member *member);

/* A clean stop: hands leadership over where it has it; `done` comes once, from the loop. */
void coord_member_leave(struct coord_member *member, void (*done)(void *arg), void *arg);

/* Whether it lives: since the last call a turn of the loop was done to its end, and the disk
 * answers. For a watchdog that is fed less than once a second. */
bool coord_member_take_pulse(struct coord_member *member);

const char *coord_member_name(const struct coord_member *member);
const char *coord_member_address(const struct coord_member *member);
/* Where others reach it from now on: joining waits for it, the registry is told. RAY_EUSAGE. */
int coord_member_set_address(struct coord_member *member, const char *address, struct ray_err *err);
/* How it stands, for people: "quorate, 3 voters", "joining: <why not yet>"; one line, cut. */
void coord_member_standing(const struct coord_member *member,
                           char out[static COORD_MEMBER_STANDING_SIZE]);

/* ---- numbers for those who watch this node from outside ---- */

enum { COORD_MEMBER_KINDS_MAX = 16 };

enum coord_member_command_end {
    COORD_MEMBER_DONE,
    COORD_MEMBER_REFUSED,   /* by the state machine; denied ones among them */
    COORD_MEMBER_UNSETTLED, /* no quorum, a deadline, a leader that was lost */
    COORD_MEMBER_COMMAND_ENDS
};

/* Texts are static. What counts begins with this process. */
struct coord_member_metrics {
    const char *state; /* "unclaimed", "joining", "member", ... */
    bool has_replica;  /* else what follows but calls, commands and denials is 0 */
    const char *role;  /* "leader", "follower", ...; "": no replica */
    bool is_quorate;
    bool is_full; /* the log takes nothing more */
    uint64_t cluster_epoch;
    uint64_t term;
    uint64_t last_index;
    uint64_t durable_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
    uint64_t heard_age_ms; /* since the leader, or a majority, was heard; UINT64_MAX: never */
    size_t voters;
    size_t standbys;
    uint64_t leader_changes;
    uint64_t elections;
    uint64_t appended;
    uint64_t applied;
    uint64_t saves;
    uint64_t save_failures;
    uint64_t snapshots_made;
    uint64_t snapshots_fetched;
    size_t proposals; /* under way here */
    size_t reads;
    size_t links; /* that are up */
    size_t sessions;
    size_t watch_streams;
    size_t event_streams;
    struct {
        const char *name; /* NULL: the end */
        size_t count;
    } objects[COORD_MEMBER_KINDS_MAX];
    size_t calls; /* that wait for an answer of the replica */
    uint64_t commands[COORD_MEMBER_COMMAND_ENDS];
    uint64_t denials;             /* to callers of this node, told or held back */
    struct ray_histogram command; /* from the call to its answer */
    struct ray_histogram append;  /* from an entry's append until it is durable here */
    struct ray_histogram write;   /* one write of the log's disk */
};
void coord_member_metrics(const struct coord_member *member, struct coord_member_metrics *out);

/* The methods of net/proto/cluster.proto for callers on the node's own socket; ends with a NULL
 * name. Whoever serves them gives the calls on, as each has a request type of its own. */
const struct ray_rpc_method *coord_member_methods(void);
/* `member` NULL: this node takes part in no cluster, and the caller is told so. */
void coord_member_call(struct coord_member *member, struct ray_rpc_call *call,
                       const ProtobufCMessage *input);

#endif

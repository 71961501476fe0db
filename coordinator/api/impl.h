/* coordinator/api/impl.h - the parts of a member, private to coordinator/api.
 * Memory, threads: as member_api.h.  Trust: each file says. */
#ifndef RAY_COORDINATOR_API_IMPL_H
#define RAY_COORDINATOR_API_IMPL_H

#include <limits.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "coordinator/api/credential.h"
#include "coordinator/api/denials.h"
#include "coordinator/api/member_api.h"
#include "coordinator/api/roster_list.h"
#include "coordinator/place/cache.h"
#include "coordinator/policy/policy.h"
#include "coordinator/replica/replica.h"
#include "coordinator/store/facts.h"
#include "coordinator/watch/hub.h"
#include "net/key.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/registry.pb-c.h"
#include "net/words.h"

enum {
    MEMBER_PATH_SIZE = 512,
    MEMBER_ARENA_SIZE_MAX = 4 << 20,
    MEMBER_ASKS_MAX = 4096,
    MEMBER_TIMEOUT_MS = 10000, /* of callers that name none */
    MEMBER_NODES_PAGE = 128,
    MEMBER_REPORT_MS = 1000,
    MEMBER_FEATURE_TEXT_SIZE = 2 * COORD_NAME_SIZE + 64,
};

#define MEMBER_FACT_ROSTER "roster"      /* member_roster_pack */
#define MEMBER_FACT_CLUSTER "cluster-id" /* the first one it joined: 16 bytes */
#define MEMBER_FACT_RECOVERY "recovery"  /* a registry.Command: cluster_recover */
#define MEMBER_FACT_BOOTS "boots"        /* starts before there was a membership: u64 */

enum member_state {
    MEMBER_UNCLAIMED,
    MEMBER_CREATING,
    MEMBER_JOINING,
    MEMBER_MEMBER, /* it has a replica; that one's role says more */
    MEMBER_FAILED,
    MEMBER_RECOVERING, /* its disk is made that of a cluster of its own */
};

/* Who calls. */
struct member_caller {
    char name[COORD_NAME_SIZE]; /* "root@n-01234567" */
    bool is_admin;
    uint32_t roles;               /* bits of coordinator/policy */
    Rayos__Registry__Caller kind; /* NONE: nobody whom the policy knows; other nodes */
};

/* One call that waits for the replica; methods put their own after it. */
struct member_ask {
    LIST_ENTRY(member_ask) entry;
    struct coord_member *member;
    struct ray_rpc_call *call; /* NULL once it is ended */
    struct member_caller caller;
    uint64_t begun_ns;    /* of a command */
    uint64_t deadline_ns; /* of what was proposed */
    uint64_t ticket;
    bool has_ticket;
    /* The command ran, and the state machine took it (refusals are told the caller before). */
    void (*on_result)(struct member_ask *ask, const struct coord_fsm_result *result);
    /* Refusals come to on_result, too. */
    bool takes_refusals;
    /* The state here may be shown now. */
    void (*on_shown)(struct member_ask *ask, bool is_linearizable);
    void (*on_release)(struct member_ask *ask); /* frees what is the method's; may be NULL */
    struct member_kept
        *kept; /* ask.c: a result that the state here does not show yet; NULL: none */
};

LIST_HEAD(member_ask_list, member_ask);

struct member_kept;     /* ask.c */
struct member_creation; /* create.c */
struct member_joining;  /* join.c */
struct member_claim;    /* claim.c */
struct member_events;   /* events.c */
struct member_follow;   /* follow.c */
struct member_relays;   /* relay.c */
struct ray_rpc_bulk_server;
struct ray_rpc_link;
struct member_turn; /* world.c */

LIST_HEAD(member_events_list, member_events);

struct coord_member {
    struct coord_member_config config; /* its strings are the copies below */
    char data_dir[MEMBER_PATH_SIZE];
    char run_dir[MEMBER_PATH_SIZE];
    char address[COORD_ADDRESS_SIZE];
    char name[COORD_NAME_SIZE];
    char domain[COORD_DOMAIN_SIZE];
    struct ray_key *key;
    struct ray_id id;
    struct ray_id incarnation;
    struct coord_credential credential;

    struct coord_env env;
    struct ray_timer timer;
    struct member_turn *turn;
    struct coord_disk *disk;
    struct coord_checkpoint *checkpoint;
    struct coord_facts *facts;
    struct ray_link *link;
    struct ray_rpc_link *rpc;     /* calls between nodes, on it */
    struct member_follow *follow; /* NULL: it has the log, or no membership */
    struct member_relays *relays;
    struct coord_replica_world world;
    struct coord_replica *replica; /* NULL: no membership */
    enum member_state state;
    struct ray_err trouble;      /* why it is FAILED, or joins and joins */
    struct member_roster roster; /* roster.c */
    bool has_dialled_roster;
    bool is_standing_still; /* since this turn */
    bool is_roster_doubted; /* a read is under way, which tells whether it is true */
    bool is_roster_late;    /* it could not be kept, and that was said */
    struct member_creation *creation;
    bool is_resuming; /* create.c */
    struct member_joining *joining;
    struct member_claim *claim;          /* NULL: no code was ever shown */
    bool was_claimed;                    /* it joins by what a claimer said */
    bool is_recovery_due;                /* it was told so: the process ends */
    uint64_t cluster_epoch;              /* that the links have */
    struct ray_rpc_bulk_server *joiners; /* guest.c */
    struct ray_rpc_bulk_server *operators;

    struct coord_place_cache *place; /* what placement has read; NULL: nobody has asked yet */
    uint64_t place_dropped_count;    /* of the replica, when it was asked */
    struct member_ask_list asks;
    size_t ask_count;
    size_t order_stream_count; /* logs that are read through here */
    struct ray_arena arena;    /* of one answer or command */

    struct coord_watch_hub *hub;
    struct ray_timer hub_timer;
    uint64_t last_watcher;
    struct member_events_list events;
    bool has_event_news;
    bool has_node_news;
    bool has_principal_news;
    bool has_policy_news;
    uint64_t told_policy_version; /* that the file shows */
    struct member_denials denials;

    struct ray_buf machine; /* facts, as the config has them */
    struct ray_timer report_timer;
    bool is_late; /* report.c */
    bool is_reporting;
    bool has_reported_silence; /* what was said last, and when */
    uint64_t reported_ns;

    bool is_probing;       /* the disk was asked and has not answered */
    unsigned silent_count; /* seconds since then */
    uint64_t turn_count;   /* whole ones */
    uint64_t told_turn_count;
    size_t told_voter_count; /* 0: not quorate */

    uint64_t command_counts[COORD_MEMBER_COMMAND_ENDS];
    struct ray_histogram command_times;
    uint64_t denial_count;

    struct ray_timer leave_timer;
    bool is_sealing; /* leaving, and nobody is led any more */
    void (*on_left)(void *arg);
    void *on_left_arg;
};

/* ---- world.c: what the replica gets from this machine ---- */

int member_world_open(struct coord_member *m, struct ray_err *err);
void member_world_close(struct coord_member *m);

/* ---- metrics.c ---- */

/* A command that was begun then has ended. */
void member_count_command(struct coord_member *m, uint64_t begun_ns,
                          enum coord_member_command_end end);

/* ---- pulse.c ---- */

extern const char member_disk_trouble[];
void member_pulse_turn(struct coord_member *m); /* once a second */
bool member_disk_is_silent(const struct coord_member *m);

/* ---- incarnation.c ---- */

/* The one of this boot, kept below `run_dir`; a new one when the kernel has booted since. */
int member_incarnation(const char *run_dir, struct ray_id *out, struct ray_err *err);

/* ---- identity.c ---- */

int member_identity_open(struct coord_member *m, struct ray_err *err);
bool member_is_name(const char *name);
/* Of a cluster, as people compare it. */
const char *member_fingerprint_words(const struct ray_id *cluster_id,
                                     char out[static RAY_WORDS_TEXT_SIZE]);

/* ---- member.c ---- */

/* Opens the replica of a membership that is on the disk. */
int member_open_replica(struct coord_member *m, struct ray_err *err);
void member_turn(struct coord_member *m); /* the end of each turn of the loop */
void member_fail(struct coord_member *m, const struct ray_err *why);
const char *member_state_name(const struct coord_member *m);
const char *member_role_name(enum coord_replica_role role); /* status.c */
bool member_is_removed(const struct coord_member *m);       /* for good: it serves nobody */
/* Whether and how far this member may answer; text and next step otherwise. */
int member_require_replica(struct coord_member *m, struct ray_err *err);
int member_require_cluster(struct coord_member *m, struct ray_err *err);
int member_require_stream(struct coord_member *m, struct ray_err *err); /* news may come here */
uint64_t member_age_ms(const struct coord_member *m); /* UINT64_MAX: nobody was heard yet */
/* The first cluster that this node was in is the only one until it is wiped. */
int member_pin(struct coord_member *m, const struct ray_id *cluster_id, struct ray_err *err);

/* Whether it has to ask others for what the registry says: it holds no part of the log, or not
 * enough of it yet. */
bool member_is_observer(const struct coord_member *m);

/* ---- nearest.c ---- */

enum { MEMBER_CANDIDATES_MAX = 32 };

/* Whom this node asks, in its own order, which spreads the nodes over the members; the leader
 * last, which has enough to do. */
size_t member_candidates(struct coord_member *m, struct ray_id out[static MEMBER_CANDIDATES_MAX]);

/* ---- follow.c: the part of the registry that concerns this node, from a member ---- */

/* Begins or ends with the role. */
void member_follow_turn(struct coord_member *m);
void member_follow_fini(struct coord_member *m);

/* ---- relay.c: calls that a member answers ---- */

struct member_relayed {
    const char *method;
    const ProtobufCMessageDescriptor *item; /* NULL: none */
    const ProtobufCMessageDescriptor *output;
};
int member_relays_init(struct coord_member *m, struct ray_err *err);
void member_relays_fini(struct coord_member *m); /* after member_asks_end */
void member_relay(struct coord_member *m, const struct member_caller *caller,
                  struct ray_rpc_call *call, const ProtobufCMessage *input,
                  const struct member_relayed *relayed);
/* protobuf_c_message_free_unpacked; NULL: no memory. */
ProtobufCMessage *member_message_copy(const ProtobufCMessage *message);

/* ---- ask.c ---- */

/* `size` of the method's struct, which begins with a member_ask. NULL: the caller has been told. */
void *member_ask_new(struct coord_member *m, const struct member_caller *caller,
                     struct ray_rpc_call *call, size_t size);
/* The ask is gone, and its call open: it is for somebody else to end. */
struct ray_rpc_call *member_ask_hand_over(struct member_ask *ask);
void member_ask_reply(struct member_ask *ask, const ProtobufCMessage *body);
void member_ask_fail(struct member_ask *ask, const struct ray_err *err);
/* Also of a result that is a refusal. */
void member_ask_refuse(struct member_ask *ask, const struct coord_fsm_result *result);
/* Sets header and proposes; on_result or an error to the caller follows. `header` may hold
 * reason, session and sequence. */
void member_ask_propose(struct member_ask *ask, Rayos__Registry__Command *command,
                        const char *reason);
/* The same of bytes that are complete. */
void member_ask_propose_bytes(struct member_ask *ask, const uint8_t *bytes, size_t size);
/* on_shown follows: now, or after a quorum was asked. */
void member_ask_show(struct member_ask *ask, bool is_linearizable);
void member_asks_end(struct coord_member *m);

/* ---- command.c ---- */

/* Packs into memory of malloc. Principal and reason are cut to what the registry takes. `caller`:
 * member_self, or for whom it is; the policy is asked about what is for somebody. */
int member_command_pack(const struct coord_member *m, Rayos__Registry__Command *command,
                        const struct member_caller *caller, const char *reason, uint8_t **out_bytes,
                        size_t *out_size, struct ray_err *err);
extern const struct member_caller member_self; /* what a node says of itself */
/* A client's command with this member's header: who, and from where. Bytes in the member's arena,
 * until it is next used. RAY_EMALFORMED, RAY_ETOOBIG; what it is to do is not looked into. */
struct member_command {
    uint64_t body; /* Rayos__Registry__Command__BodyCase, also of a newer version; 0: none */
    const uint8_t *bytes;
    size_t size;
};
int member_command_adopt(struct coord_member *m, const uint8_t *bytes, size_t size,
                         const struct member_caller *caller, struct member_command *out,
                         struct ray_err *err);
/* What a status of the replica means to who asked; RAY_OK for RAY_OK. */
int member_explain(int status, struct ray_err *err);
/* lan, slow, wan. */
int member_timing(const char *profile, Rayos__Registry__Timing *out, struct ray_err *err);
/* The object of this node for cluster-create and node-join; all borrowed from `m` and `out`. */
struct member_self {
    Rayos__Registry__Object object;
    Rayos__Registry__Node node;
    uint8_t proof[RAY_KEY_PROOF_SIZE];
};
void member_describe_self(const struct coord_member *m, struct member_self *out);

/* ---- create.c ---- */

/* `ask` NULL: by credential. What is under way ends with disk and replica. */
void member_create_begin(struct coord_member *m, struct member_ask *ask,
                         const Rayos__Cluster__CreateRequest *request);
void member_create_by_credential(struct coord_member *m);
/* Once a second: goes on where a crash or a deadline has ended it. */
void member_create_resume(struct coord_member *m);

/* ---- recovery.c ---- */

/* What cluster.recover has left on the disk for this start. RAY_OK: it is under way, and opens the
 * replica when it is done; RAY_ENOTFOUND: nothing. */
int member_recovery_begin(struct coord_member *m, struct ray_err *err);
void member_recovery_turn(struct coord_member *m); /* once a second */

/* ---- methods; input is of the method's own type ---- */

typedef void member_method(struct coord_member *m, const struct member_caller *caller,
                           struct ray_rpc_call *call, const ProtobufCMessage *input);

member_method member_cluster_create, member_cluster_status, member_node_list, member_node_plan;
member_method member_cluster_members; /* guest.c */
member_method member_cluster_recover;
member_method member_node_code; /* claim.c */
member_method member_token_create, member_token_list, member_token_remove;
member_method member_query, member_propose, member_place_ask;
member_method member_session_open, member_session_keep, member_session_close;
member_method member_watch, member_events_method;
member_method member_order; /* order.c: all that are for a machine */

/* What other nodes may call; ends with a NULL name. */
const struct ray_rpc_method *member_link_methods(void);
/* Of this node alone, without any other's help. */
void member_status_here(struct member_ask *ask);
/* This node's own words in what a member says of the cluster. */
void member_status_sign(struct coord_member *m, char id[static RAY_ID_TEXT_SIZE],
                        Rayos__Cluster__Status *status);

/* ---- permit.c: what only looks is asked of the rules that this member has ---- */

/* RAY_EDENIED, and the marker. */
int member_permit_read(struct coord_member *m, const struct member_caller *caller,
                       const char *method, struct ray_err *err);
/* The same without a word: whether he may go on. */
bool member_may_read(struct coord_member *m, const struct member_caller *caller);
/* An action on a node that no command of the log does: its reboot, its disks, its log. By the rules
 * that this member has; `node` need not be known. RAY_EDENIED, also of a rule that asks (nothing
 * waits here), with marker and an event in the caller's name. What another node asks for it has
 * judged itself: call this where the caller came in. */
int member_permit_node(struct coord_member *m, const struct member_caller *caller,
                       enum coord_policy_action action, const struct ray_id *node,
                       struct ray_err *err);
/* A refusal by the policy is told in the log and as a marker, by the node that was asked. False:
 * there are too many to tell this one; it is counted. */
bool member_tell_denied(struct coord_member *m, const char *rule, const char *detail);
void member_denials_turn(struct coord_member *m); /* once a second */
void member_tell_refused(struct coord_member *m, const struct coord_fsm_result *result);
/* data_dir/policy/rayos-policy.toml shows the rules in force. */
void member_policy_file_turn(struct coord_member *m);

/* ---- replace.c ---- */

/* RAY_ECONFLICT: the node whose place the joiner would take runs, or its vote is needed. Of a
 * request that was looked at otherwise. */
int member_replace_check(struct coord_member *m, const Rayos__Cluster__JoinRequest *request,
                         const struct ray_id *joiner, struct ray_err *err);

/* ---- guest.c ---- */

/* After a change of principals: connections of those who are none any more end, with all that
 * they watch. */
void member_operators_recheck(struct coord_member *m);

/* Who has that key; false: no principal (any more). */
bool member_operator(struct coord_member *m, const uint8_t *identity, struct member_caller *out);

/* ---- watch.c, events.c ---- */

int member_watch_init(struct coord_member *m, struct coord_watch_ring *ring, struct ray_err *err);
void member_watch_fini(struct coord_member *m);
void member_watch_turn(struct coord_member *m);
/* All that are open, with that. */
void member_watch_end(struct coord_member *m, const struct ray_err *why);
void member_events_end(struct coord_member *m, const struct ray_err *why);
void member_events_turn(struct coord_member *m);
size_t member_event_stream_count(const struct coord_member *m);

/* ---- ask.c, for tests ---- */

/* Whether there is time to wait for more before the caller has to be told what is known. */
bool member_ask_has_time(uint64_t now_ns, uint64_t deadline_ns);

/* ---- feature.c ---- */

/* Whether there is a level to be raised to, and somebody in the way of it. */
bool member_feature_is_held_back(const struct coord_replica_feature *feature);
/* How far the feature level is; `text`: who keeps it below this node's build, "" nobody. False:
 * nothing is known yet. For status, doctor and refusals. */
bool member_feature_wait(struct coord_member *m, struct coord_replica_feature *out,
                         char text[static MEMBER_FEATURE_TEXT_SIZE]);
/* A next step that names that node, for what needs a level that is not reached (RAY_EUNSUPPORTED).
 */
void member_feature_explain(struct coord_member *m, struct ray_err *err);
/* A joining node's build; 0: it says none. RAY_EUNSUPPORTED with the next step: too old. */
int member_feature_admit(uint32_t cluster_level, uint32_t build_level, struct ray_err *err);

/* ---- report.c: what this node says of itself ---- */

void member_report_turn(struct coord_member *m);

#endif

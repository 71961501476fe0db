/* coordinator/replica/impl.h - the parts of a replica, private to coordinator/replica.
 *
 * One rule keeps it simple: what consensus asks for (drive.c) is done at once and calls nobody
 * back; everything that can call back or enter consensus again happens step by step in
 * coord_replica_turn. A callback of disk, link or timer only notes what happened and may step
 * consensus once. The exception: what a peer's answer or the end of its link settles (requests,
 * reads, renewals) ends in that callback, last of all that it does.
 * Memory, threads: as replica.h.  Trust: each file says. */
#ifndef RAY_COORDINATOR_REPLICA_IMPL_H
#define RAY_COORDINATOR_REPLICA_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "coordinator/core/core.h"
#include "coordinator/core/feature.h"
#include "coordinator/core/readindex.h"
#include "coordinator/lease/book.h"
#include "coordinator/lease/grant_codec.h"
#include "coordinator/replica/replica.h"
#include "coordinator/store/snapshot.h"
#include "coordinator/store/wal.h"
#include "coordinator/watch/ring.h"
#include "net/proto/member.pb-c.h"
#include "net/proto/registry.pb-c.h"

enum {
    REPLICA_APPLY_MAX = 4096,          /* entries of one turn */
    REPLICA_READS_MS = 10,             /* answers of one turn; then the rest waits */
    REPLICA_PACKET_SIZE_MAX = 1 << 20, /* one link message */
    REPLICA_PACKET_FLUSH_SIZE = 256 << 10,
    REPLICA_PACKET_KEPT_MAX = 4 << 20, /* for a link that is full */
    REPLICA_ARENA_SIZE_MAX = 16 << 20,
    REPLICA_RETRY_MS = 100,     /* what found no leader tries again */
    REPLICA_SAVE_MS = 1000,     /* of the checkpoint, which bounds how long a start takes */
    REPLICA_SAVE_COUNT = 32768, /* entries; what changed twice in between is written once */
    REPLICA_SAVE_PHASES = 3,    /* members that gather at different entries */
    REPLICA_SAVE_GROWTH = 2048, /* objects: LMDB never gives back the pages of a transaction */
    REPLICA_SAVE_KEPT_SIZE = 1 << 20,  /* of the batch's memory */
    REPLICA_SAVE_RETRY_MS = 30000,     /* after a failure */
    REPLICA_DUTY_MS = 1000,            /* a leader's slow work */
    REPLICA_TICK_MS = 1000,            /* between ticks of the logged clock, at least */
    REPLICA_TRAILING = 20000,          /* entries kept before a snapshot */
    REPLICA_MANIFEST_CHUNK = 0xffffff, /* SnapshotAsk.chunk */
    REPLICA_SNAPSHOT_WINDOW = 2,       /* chunks asked for at once */
    REPLICA_SNAPSHOT_RETRY_MS = 1000,
    REPLICA_SNAPSHOT_REFUSED_MS = 5000, /* between attempts to get one that is no use */
    REPLICA_SNAPSHOT_ASKS_MAX = 4,      /* that one packet may bring */
    REPLICA_SNAPSHOT_BUSY_MS = 10000,   /* after a part was asked for: no hurry with the next */
    REPLICA_SNAPSHOT_BUSY_FACTOR = 4,
    REPLICA_VOUCHED_MAX = 2 * COORD_SERVERS_MAX,
    REPLICA_RENEW_MS = 2000, /* a renewal of a peer that has no answer by then has none */
    REPLICA_RENEWALS_MAX = 8192,
    REPLICA_OFFICE_MAX = 128, /* proposals of a kind that a leader makes by itself in a second */
    REPLICA_VIEW_FRESH_MS = 3000, /* of bookmarks that come once a second */
    REPLICA_RETURN_MS = 10000,    /* of a peer that has said that it is quarantined, and no more */
    REPLICA_LEFT_OUT_MS = 2000,   /* of a leader's silence that has said so */
    REPLICA_DOUBT_MS = 5000,      /* for the leader's word on a view */
    REPLICA_FEATURE_MS = 60000,   /* that all have had a level: nobody goes back any more */
};

/* In what coord_replica_cancel takes. */
#define REPLICA_TICKET_READ (UINT64_C(1) << 63)
#define REPLICA_TICKET_RENEW (UINT64_C(1) << 62)
/* So that a generation above the slot leaves both free. */
#define REPLICA_GENERATION_MASK ((UINT32_C(1) << 30) - 1)

/* ---- peers (peers.c) ---- */

/* What a hello said. */
struct replica_said {
    uint64_t server_id;
    struct ray_id incarnation;
    uint64_t boot_counter;
    uint64_t cluster_epoch;
    bool is_quarantined;
    char trouble[COORD_MESSAGE_SIZE]; /* why; printable */
    struct ray_id leader;             /* as it knows it; none: not known */
    uint64_t term;
    struct ray_id members[COORD_SERVERS_MAX]; /* of the newest configuration that it knows */
    size_t member_count;
    struct coord_meta_boot boots[COORD_META_BOOTS_MAX]; /* of its disk, oldest first */
    size_t boot_count;
};

/* Whether a peer is heard (standing.c). */
enum replica_standing {
    REPLICA_STANDING_GOOD,
    REPLICA_STANDING_EPOCH,      /* it is at another cluster epoch */
    REPLICA_STANDING_FOREIGN,    /* it says the number of another node */
    REPLICA_STANDING_REMOVED,    /* the registry has no such node any more */
    REPLICA_STANDING_RENUMBERED, /* it says an old number of its own */
    REPLICA_STANDING_DUPLICATE,  /* a later boot of that node was heard */
};

/* A node that we have, or had, a link to. Lives until it has to make place, or the replica ends. */
struct replica_peer {
    struct ray_id node;
    struct replica_peer *next_in_bucket;
    struct replica_peer *next; /* of all */
    uint64_t epoch;            /* of the link; 0: down */
    uint64_t server_id;        /* that it is heard as; 0: not */
    struct replica_said said;  /* in this epoch */
    uint64_t quarantined_ns;   /* when it last said that it is */
    enum replica_standing standing;
    struct ray_id incarnation; /* of the latest boot that was heard, ever */
    uint64_t boot_counter;
    bool is_duplicate_due;   /* it said hello as a duplicate: an event is due */
    uint64_t boot_server_id; /* that it said */
    struct ray_id duplicate; /* the last incarnation that was refused, and written down */
    struct ray_id stopping;  /* an incarnation that is not known again yet (refill.c), */
    uint64_t stopping_ns;    /* and since when it is granted nothing */
    uint32_t feature_level;  /* that its build has */
    uint64_t heard_ns;
    bool has_said_hello;              /* in this epoch */
    bool is_colleague;                /* a voter or standby, as far as is known here (trust.c) */
    bool has_voice;                   /* in consensus: that, or a member by a colleague's word */
    bool is_deafness_told;            /* in this epoch */
    bool has_lost_answer;             /* of this epoch, which has to end */
    bool has_removed_us;              /* it said so, in this epoch or since the last one */
    bool has_space;                   /* its log can grow */
    bool is_hello_due;                /* we have to (again) */
    bool is_frame_due;                /* a probe or an echo waits for a frame */
    struct coord_probe asked;         /* the newest probe heard from it in this epoch */
    struct ray_buf packet;            /* serialised items of a Packet, sent at the turn's end */
    char address[COORD_ADDRESS_SIZE]; /* given to the link; "" not added by us */
};

enum { REPLICA_BUCKETS = 1024, REPLICA_SERVER_SLOTS = 32 };

struct replica_peers {
    struct replica_peer *buckets[REPLICA_BUCKETS];
    struct replica_peer *all;
    size_t count;
    struct replica_peer *servers[REPLICA_SERVER_SLOTS]; /* last found, by number */
};

/* ---- requests (propose.c, read.c) ---- */

/* Commands that take something away from a node or move it. */
enum replica_subject {
    REPLICA_SUBJECT_NONE,
    REPLICA_SUBJECT_OUTCOME,    /* any outcome about a guest */
    REPLICA_SUBJECT_DEATH,      /* a take-over by death: only after W of silence */
    REPLICA_SUBJECT_REMOVAL,    /* a forced removal of a node */
    REPLICA_SUBJECT_SUCCESSION, /* a node comes in another one's place, by its token */
    REPLICA_SUBJECT_APPROVAL,   /* the same, as somebody says */
};

enum replica_request_state {
    REPLICA_REQUEST_FREE,
    REPLICA_REQUEST_QUEUED,    /* for the turn, or for a leader */
    REPLICA_REQUEST_APPENDED,  /* by us, at index and term; reads and renewals: wait for a probe */
    REPLICA_REQUEST_FORWARDED, /* to peer, in epoch */
    REPLICA_REQUEST_WAITING,   /* reads: index is known, to be applied */
};

/* A proposal or a read. */
struct replica_request {
    enum replica_request_state state;
    uint32_t generation;
    uint32_t next; /* slot of the list that it is in; REPLICA_NO_SLOT: last */
    uint32_t previous;
    bool is_orphan; /* appended in a leadership that was lost */
    bool has_session;
    bool was_tried; /* it may have been appended somewhere */
    bool was_lost;  /* and has run, perhaps, with a result that nobody here has heard */
    uint64_t deadline_ns;
    uint64_t index;
    uint64_t term;
    struct replica_peer *peer; /* forwarded to; or asked by (is_remote) */
    uint64_t epoch;
    uint64_t rider;       /* of a command: the renewal that goes with it; 0: none */
    uint64_t shown_index; /* of a read that was forwarded: what a view showed then; 0: none */
    uint64_t entry_index; /* of a renewal: the command that it went with; 0: none */
    uint64_t entry_term;
    struct replica_peer *to; /* of renewals: forwarded to, while `peer` is who asked */
    uint64_t to_epoch;
    bool is_relayed; /* of renewals: the peer is not the node itself */
    bool is_remote;  /* of a peer: `number` is its own */
    uint64_t number;
    uint8_t *command;
    size_t size;
    size_t time_offset; /* of Header.time_us in the command */
    coord_replica_done *done;
    coord_replica_read_done *read_done;
    coord_replica_renew_done *renew_done;
    struct coord_lease_renew renew; /* of a renewal */
    enum replica_subject subject;   /* of a command: what the book of grants has to know */
    struct ray_id subject_id;
    struct ray_epoch subject_epoch; /* of an outcome: that it expects */
    uint64_t office_term;           /* word of a leadership, and of no other; 0: anybody's */
    void *arg;
};

#define REPLICA_NO_SLOT UINT32_MAX

struct replica_list {
    uint32_t first;
    uint32_t last;
    size_t count;
};

struct replica_requests {
    struct replica_request *slots; /* grows by doubling up to slot_max */
    uint32_t slot_count;
    uint32_t slot_max;
    struct replica_list free;
    struct replica_list queued;
    struct replica_list appended; /* by rising index, of this leadership */
    struct replica_list orphaned; /* appended in a leadership that was lost; no order */
    struct replica_list forwarded;
    struct replica_list waiting; /* reads by rising index */
    uint64_t deadline_ns;        /* the earliest, or before it; UINT64_MAX none */
    uint64_t arrived_count;      /* since the start */
    uint64_t seen_count;         /* of them, when the turn dealt with what was queued */
};

/* ---- snapshots (snapshot_make.c, snapshot_fetch.c) ---- */

struct replica_making {
    struct coord_snapshot_writer *writer; /* NULL: none */
    struct ray_buf piece;
    bool is_dumped;
    bool is_finishing;
    bool is_writable;
    bool is_done;
    int status;
    struct coord_snapshot snapshot;
    uint64_t tried_index;                 /* of the newest that was begun */
    uint64_t asked_ns;                    /* when a peer asked for a part of one last */
    uint64_t asked_count;                 /* parts, ever */
    bool is_wanted;                       /* the one on the disk is damaged */
    struct coord_snapshot_reader *served; /* what peers asked for last; NULL: none */
};

struct replica_fetching {
    bool is_wanted;
    struct coord_snapshot wanted;
    struct replica_peer *from;
    uint64_t epoch;
    struct coord_snapshot_receiver *receiver; /* NULL: the manifest is asked for */
    uint32_t asked_count;
    uint64_t asked_ns;
    uint64_t retry_ns; /* after one that was no use */
    bool is_ready;
    bool is_finishing;
    bool is_done;
    int status;
};

/* ---- counters (measure.c) ---- */

enum { REPLICA_MEASURED_MAX = 64 };

/* Appends that are not durable yet; of more than fit the later ones are not measured. */
struct replica_measure {
    struct coord_replica_counters counters;
    struct {
        uint64_t index; /* the last of the append */
        uint64_t begun_ns;
    } begun[REPLICA_MEASURED_MAX];
    size_t first;
    size_t count;
};

struct coord_replica {
    struct coord_replica_world world;
    struct coord_replica_config config;
    struct coord_replica_user user;
    enum coord_replica_role role;
    enum coord_replica_role told_role;
    struct ray_id told_leader;

    struct coord_meta_store meta;
    struct coord_wal *wal;
    struct coord_core *core;
    struct coord_readindex probes;
    struct coord_fsm *fsm;
    struct coord_fsm *view; /* outside of the configuration (view.c); NULL: none */
    uint64_t dropped_count; /* states that were here and are gone: fsm or view */
    uint64_t view_heard_ns;
    bool is_view_doubted; /* the leader is being asked */
    bool is_view_refuted;
    struct coord_watch_ring ring;
    struct ray_arena arena;         /* of one received message */
    struct ray_arena request_arena; /* of one request; callbacks may make one at any time */
    struct coord_entry submit_entries[COORD_CORE_SUBMIT_MAX];
    uint32_t submit_slots[COORD_CORE_SUBMIT_MAX];
    uint8_t *scratch; /* COORD_FRAME_SIZE_MAX */

    struct replica_peers peers;
    struct replica_requests proposals;
    struct replica_requests reads;
    struct replica_requests renewals;
    struct coord_lease_book *book;
    bool is_probe_begun; /* in this turn */
    uint64_t noop_index;
    uint64_t rider_index;       /* of the last entry that a renewal waits for, in this office */
    struct ray_id heard_leader; /* by the newest term that colleagues say (trust.c) */
    struct ray_id vouched[REPLICA_VOUCHED_MAX]; /* members as colleagues say them */
    size_t vouched_count;
    uint64_t left_out_ns; /* when a leader first named members without this node; 0: not since its
                             last message */
    bool is_left_out;     /* of the configuration, whatever the own log still says */
    size_t named_count;   /* members of the newest configuration that a hello could name */
    uint64_t timing_revision; /* that the book knows of */
    struct replica_making making;
    struct replica_fetching fetching;
    struct replica_measure measure;

    struct coord_checkpoint_batch batch;
    bool is_saving;
    uint64_t saved_ns;
    uint64_t save_retry_ns; /* after a commit that failed */
    uint64_t saved_index;   /* the newest whose commit has begun */
    size_t saved_count;     /* of objects, then */

    uint64_t commit_index;
    bool is_durable_news; /* since the last turn */
    bool is_commit_news;
    bool is_peers_due;     /* nodes have changed since links were looked at */
    uint64_t lost_server;  /* a leader whose link has just ended; 0: none */
    uint64_t applied_size; /* bytes of entries since the last snapshot was begun */
    uint64_t next_timeout_ms;
    uint64_t retry_ns;
    uint64_t duty_ns;
    uint64_t hurried_index; /* of a change that another must follow at once; 0: none */
    uint64_t snapshot_index;
    uint64_t hashed_index;
    struct {
        struct ray_id role_after; /* where the next turn goes on */
        struct ray_id quarantine_after;
        struct ray_id unwanted_after;
    } office;
    struct coord_feature_watch feature; /* as leader of that term (level.c) */
    uint64_t feature_term;
    uint32_t raising_level; /* proposed in that term */
    uint64_t ticked_ns;
    uint64_t heard_ns;
    uint32_t election_ms;
    bool is_full;
    bool is_turn_due;                      /* another turn soon, whatever happens */
    bool is_refilling;                     /* the disk of a new number is being cleared */
    struct replica_wipe *wipe;             /* NULL: none */
    struct replica_recovering *recovering; /* offline; NULL: in the ordinary life */
    struct ray_err failure;                /* why it is FAILED or QUARANTINED */
};

/* Time. */
uint64_t replica_now_ns(const struct coord_replica *r);
uint64_t replica_now_ms(const struct coord_replica *r);
void replica_log(struct coord_replica *r, enum ray_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- replica.c ---- */

/* The end: role FAILED, consensus takes no further part; the owner hears of it. */
void replica_fail(struct coord_replica *r, const struct ray_err *why);
/* Damage of what was durable: written down, no vote any more. */
void replica_quarantine(struct coord_replica *r, const struct ray_err *why);
/* The same, and another cluster epoch is known of. */
void replica_quarantine_at(struct coord_replica *r, const struct ray_err *why,
                           uint64_t cluster_epoch);
/* The cluster has removed this node. */
void replica_remove(struct coord_replica *r);
bool replica_is_running(const struct coord_replica *r); /* has a core and has not failed */
void replica_tell_trouble(struct coord_replica *r, const struct ray_err *what);

void replica_replace_fsm(struct coord_replica *r, struct coord_fsm *fsm); /* takes it over */

/* ---- start.c ---- */

int replica_open(struct coord_replica *r, struct ray_err *err);
/* All but the meta block, of a member that may take part. */
int replica_open_state(struct coord_replica *r, struct ray_err *err);

/* ---- drive.c: what consensus asks for ---- */

/* Result and output of a coord_core call; false: the replica has failed. */
bool replica_drive(struct coord_replica *r, int rc, const struct coord_core_out *out,
                   const struct ray_err *err);
void replica_receive_frame(struct coord_replica *r, struct replica_peer *peer, const uint8_t *bytes,
                           size_t size);
/* Once a second: whether this node has left the configuration without its log having said so. */
void replica_drive_left_out(struct coord_replica *r);
/* At the end of a turn: frames for probes and echoes that found no message to go with. */
void replica_send_due_frames(struct coord_replica *r);

/* ---- measure.c ---- */

/* `count` entries were appended, the last one at `index`. */
void replica_measure_appended(struct coord_replica *r, uint64_t index, size_t count);
void replica_measure_durable(struct coord_replica *r, uint64_t index);

/* ---- view.c ---- */

/* The newest that is known here: the state machine, or the view of who has none. */
struct coord_fsm *replica_state(const struct coord_replica *r);
/* Whether the state is the view: a part of the registry. */
bool replica_is_viewing(const struct coord_replica *r);
void replica_view_turn(struct coord_replica *r);
/* The leader has committed up to `index`, and was asked when `shown_index` was shown here. */
void replica_view_compare(struct coord_replica *r, uint64_t shown_index, uint64_t index);
/* At the beginning of a turn: a view that was found untrue goes. */
void replica_view_refute(struct coord_replica *r);

/* ---- apply.c ---- */

void replica_apply(struct coord_replica *r);
bool replica_can_apply(const struct coord_replica *r);
/* The registry's timing rules. */
void replica_follow_timing(struct coord_replica *r);

/* ---- peers.c ---- */

void replica_peers_init(struct coord_replica *r);
void replica_peers_fini(struct coord_replica *r);
struct replica_peer *replica_peer_find(struct coord_replica *r, const struct ray_id *node);
struct replica_peer *replica_peer_get(struct coord_replica *r,
                                      const struct ray_id *node); /* made if need be; or NULL */
struct replica_peer *replica_peer_of_server(struct coord_replica *r, uint64_t server_id);
struct replica_peer *replica_leader_peer(struct coord_replica *r); /* up, or NULL */
/* Ends the epoch of its link, and connects anew. */
void replica_peer_restart(struct coord_replica *r, struct replica_peer *peer);
/* Addresses of members as the registry has them go to the link. */
void replica_peers_refresh(struct coord_replica *r);

/* ---- packet.c: items of net/proto/member.proto ---- */

/* Adds a Packet of one item to what the turn sends. RAY_EUNAVAILABLE: down; RAY_EAGAIN: full. */
int replica_packet_add(struct coord_replica *r, struct replica_peer *peer,
                       const Rayos__Member__Packet *item);
/* An answer, which is kept while the link is full; what does not fit any more ends the link. */
void replica_packet_answer(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Packet *item);
void replica_packet_flush(struct coord_replica *r, struct replica_peer *peer);
void replica_packets_flush(struct coord_replica *r);
void replica_receive_packet(struct coord_replica *r, struct replica_peer *peer,
                            const uint8_t *bytes, size_t size);

/* ---- standing.c: who is who ---- */

void replica_hello_say(struct coord_replica *r, struct replica_peer *peer);
void replica_hello_heard(struct coord_replica *r, struct replica_peer *peer,
                         const Rayos__Member__Hello *hello);
void replica_hellos_due(struct coord_replica *r); /* to all, at the end of the turn */
bool replica_standing_is_heard(const struct replica_peer *peer);
/* After the registry changed. */
void replica_standing_note_epoch(struct coord_replica *r);
void replica_standing_judge_all(struct coord_replica *r);
/* Tells those who are not heard once more. */
void replica_standing_remind(struct coord_replica *r);
/* Fills in of whom it is said. */
void replica_standing_tell(struct coord_replica *r, struct replica_peer *peer,
                           Rayos__Member__Standing *item);
void replica_standing_told(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Standing *item);
/* A member says that this node is removed. */
void replica_standing_hear_removed(struct coord_replica *r, struct replica_peer *peer);
/* What our own registry says of us. */
void replica_standing_check_self(struct coord_replica *r);

/* ---- trust.c: whose word counts ---- */

/* After a change of registry, configuration or links: of all peers; after one's hello. */
void replica_trust_weigh(struct coord_replica *r);
void replica_trust_weigh_one(struct coord_replica *r, struct replica_peer *peer);
/* Whether that node is a voter or standby, as far as is known here, whatever its links. */
bool replica_trust_names(struct coord_replica *r, const struct ray_id *node);
/* Somebody who has a voice and is linked names it as a member. */
bool replica_trust_is_vouched_for(const struct coord_replica *r, const struct ray_id *node);
/* A later cluster epoch that a peer says. */
bool replica_trust_epoch(const struct coord_replica *r, const struct replica_peer *peer,
                         uint64_t cluster_epoch);
/* What a peer says of this node: only of this very boot. */
bool replica_trust_standing(const struct coord_replica *r, const struct replica_peer *peer,
                            const Rayos__Member__Standing *item);
/* Whether most voters of the last configuration that is known here have told so. */
bool replica_trust_is_removed(struct coord_replica *r);

/* ---- authority.c: who may propose what ---- */

extern const char replica_own_principal[]; /* of what nodes say themselves */
/* Whether that peer may propose that command; the reason is logged. */
bool replica_may_propose(struct coord_replica *r, const struct replica_peer *peer,
                         const Rayos__Registry__Command *command);

/* ---- level.c: the feature level ---- */

/* Raises it when all have a higher one; as leader, once a second. */
void replica_level_turn(struct coord_replica *r);
/* Whether that peer's build can apply what the cluster may log. */
/* There is a link to it, and it says something. */
bool replica_is_heard(struct coord_replica *r, const struct coord_object *node);
bool replica_level_fits(const struct coord_replica *r, const struct replica_peer *peer);

/* ---- recover.c ---- */

/* The log and the state, of a replica that is never run. *out is set also when it fails. */
int replica_offline_open(struct coord_replica **out, const struct coord_replica_world *world,
                         uint32_t feature_level, struct replica_recovering *recovering,
                         struct ray_err *err);
void replica_offline_close(struct coord_replica *r);
void replica_recover_stored(struct coord_replica *r, int status, uint64_t index);

/* ---- refill.c ---- */

/* Told a new number: written down, then FAILED; the next start clears the disk. */
void replica_refill_begin(struct coord_replica *r, uint64_t server_id);
int replica_refill_start(struct coord_replica *r, struct ray_err *err);
void replica_refill_turn(struct coord_replica *r);
void replica_refill_fini(struct coord_replica *r);
void replica_refill_serve(struct coord_replica *r); /* as leader */
/* Whether that peer is quarantined, and known as the node that it says it is. */
bool replica_refill_is_served(const struct replica_peer *peer);

/* ---- requests.c ---- */

void replica_requests_init(struct replica_requests *requests, uint32_t slot_max);
void replica_requests_fini(struct replica_requests *requests); /* frees, tells nobody */
/* NULL: slot_max or memory. State FREE, in no list. */
struct replica_request *replica_request_new(struct replica_requests *requests,
                                            uint64_t *out_ticket);
struct replica_request *replica_request_of(struct replica_requests *requests, uint64_t ticket);
/* Whether a request, of whatever state, has to do with that peer. */
bool replica_requests_name(const struct replica_requests *requests,
                           const struct replica_peer *peer);
void replica_request_free(struct replica_requests *requests, struct replica_request *request);
void replica_request_move(struct replica_requests *requests, struct replica_request *request,
                          enum replica_request_state state);
/* An APPENDED one whose leadership was lost. */
void replica_request_orphan(struct replica_requests *requests, struct replica_request *request);
/* Its number on the wire and for the owner. */
uint64_t replica_request_ticket(const struct replica_requests *requests,
                                const struct replica_request *request);
struct replica_request *replica_request_first(struct replica_requests *requests,
                                              const struct replica_list *list);
struct replica_request *replica_request_after(struct replica_requests *requests,
                                              const struct replica_request *request);

/* Ends one request, frees its slot and tells who waits for it. */
typedef void replica_request_end(struct coord_replica *r, struct replica_request *request);
/* `late` for each one whose deadline has come. */
void replica_requests_expire(struct coord_replica *r, struct replica_requests *requests,
                             uint64_t now_ns, replica_request_end *late);
/* `end` for each one that is under way. */
void replica_requests_end(struct coord_replica *r, struct replica_requests *requests,
                          replica_request_end *end);

/* ---- propose.c ---- */

void replica_propose_turn(struct coord_replica *r);
void replica_propose_applied(struct coord_replica *r, uint64_t index, uint64_t term,
                             const struct coord_fsm_result *result);
void replica_propose_deposed(struct coord_replica *r);
void replica_propose_peer_down(struct coord_replica *r, const struct replica_peer *peer);
void replica_propose_leader_changed(struct coord_replica *r);
void replica_propose_expire(struct coord_replica *r, uint64_t now_ns);
void replica_propose_cancel_all(struct coord_replica *r);
/* This member takes no part any more: everything ends, as far as it is known. */
void replica_propose_stop(struct coord_replica *r);
void replica_propose_remote(struct coord_replica *r, struct replica_peer *peer,
                            const Rayos__Member__Propose *propose);
void replica_propose_answered(struct coord_replica *r, struct replica_peer *peer,
                              const Rayos__Member__Proposed *proposed);
/* A command of our own making; nobody waits for it. */
/* `office_term`: the leadership that says it, with which it ends; 0: this node says it. */
void replica_propose_own(struct coord_replica *r, const uint8_t *command, size_t size,
                         uint64_t office_term);

/* ---- read.c ---- */

void replica_read_turn(struct coord_replica *r);
void replica_read_applied(struct coord_replica *r);
void replica_read_deposed(struct coord_replica *r);
void replica_read_peer_down(struct coord_replica *r, const struct replica_peer *peer);
void replica_read_leader_changed(struct coord_replica *r);
void replica_read_expire(struct coord_replica *r, uint64_t now_ns);
void replica_read_cancel_all(struct coord_replica *r);
void replica_read_stop(struct coord_replica *r);
void replica_read_remote(struct coord_replica *r, struct replica_peer *peer,
                         const Rayos__Member__ReadAsk *ask);
void replica_read_answered(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__ReadGiven *given);

/* A new probe for all that this turn brought; its number. Once per turn. */
uint64_t replica_probe(struct coord_replica *r);

/* ---- grants.c ---- */

int replica_grants_init(struct coord_replica *r, struct ray_err *err);
void replica_grants_lead(struct coord_replica *r); /* elected */
void replica_grants_deposed(struct coord_replica *r);
void replica_grants_peer_down(struct coord_replica *r, const struct replica_peer *peer);
void replica_grants_turn(struct coord_replica *r);
void replica_grants_applied(struct coord_replica *r);
void replica_grants_expire(struct coord_replica *r, uint64_t now_ns);
void replica_grants_cancel_all(struct coord_replica *r);
void replica_grants_stop(struct coord_replica *r);
void replica_grants_remote(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Renew *renew);
void replica_grants_answered(struct coord_replica *r, struct replica_peer *peer,
                             const Rayos__Member__Renewed *renewed);
/* Before a command with a subject is appended at `index`; RAY_EAGAIN with the reason: not now. */
int replica_grants_before_append(struct coord_replica *r, const struct replica_request *request,
                                 uint64_t index, struct ray_err *err);
/* A renewal that goes with a command: into the message to the leader, */
void replica_grants_ride(struct coord_replica *r, uint64_t ticket, struct replica_peer *leader,
                         Rayos__Member__Propose *propose);
void replica_grants_stay(struct coord_replica *r, uint64_t ticket); /* it was not sent */
/* out of it (its ticket; 0: none came, or it is answered already), */
uint64_t replica_grants_rider(struct coord_replica *r, struct replica_peer *peer,
                              const Rayos__Member__Propose *propose);
/* and when its command was appended. */
void replica_grants_appended(struct coord_replica *r, uint64_t ticket, uint64_t index,
                             uint64_t term);
/* A leader's slow work: `settled`, and the end of what waits for W. */
bool replica_grants_may_settle(struct coord_replica *r);
/* W of the maxima, with the watchdog's time where a guest is strict: after so long of nothing
 * granted nothing runs. */
uint64_t replica_grants_wait_ns(struct coord_replica *r);

/* ---- snapshot_make.c ---- */

void replica_making_turn(struct coord_replica *r);
void replica_making_drop(struct coord_replica *r);
void replica_making_fini(struct coord_replica *r);
void replica_snapshot_asked(struct coord_replica *r, struct replica_peer *peer,
                            const Rayos__Member__SnapshotAsk *ask);

/* ---- snapshot_fetch.c ---- */

void replica_fetching_want(struct coord_replica *r, const struct coord_snapshot *snapshot,
                           uint64_t from_server);
void replica_fetching_turn(struct coord_replica *r);
void replica_fetching_part(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__SnapshotPart *part);
void replica_fetching_fini(struct coord_replica *r);
/* A state machine from the snapshot's file. */
int replica_snapshot_load(struct coord_replica *r, uint64_t index, uint64_t term,
                          struct coord_fsm **out_fsm, struct ray_err *err);

/* ---- save.c: the checkpoint ---- */

/* At a start: so far the checkpoint goes. What the log's end changes waits like anything else, so
 * that it does not delay the start. */
void replica_save_loaded(struct coord_replica *r, uint64_t index);
void replica_save_turn(struct coord_replica *r);

/* ---- lead.c: what a leader does slowly ---- */

void replica_lead_turn(struct coord_replica *r);
/* A command of the cluster's own, with its header; what a leader says as such, which nobody else
 * says for him. */
void replica_office_turn(struct coord_replica *r); /* office.c; as leader, once a second */
void replica_propose_office(struct coord_replica *r, Rayos__Registry__Command *command,
                            const char *reason);

#endif

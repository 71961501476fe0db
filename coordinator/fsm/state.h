/* coordinator/fsm/state.h - what the files of this room share: the state, and how it is changed.
 *
 * A handler of a command first checks everything, then changes: it calls fsm_touch before it
 * writes to an object, fsm_object_new to make one, fsm_remove to delete one. After the handler,
 * fsm_finish gives each touched object its revision, its entry in the history, its hash and its
 * event.
 * Memory: the state machine's.  Threads: the loop's.  Blocks: never.
 * Trust: what reaches here was checked, but for strings and bytes out of commands. */
#ifndef RAY_COORDINATOR_FSM_STATE_H
#define RAY_COORDINATOR_FSM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "coordinator/fsm/fsm.h"
#include "coordinator/fsm/hash.h"
#include "coordinator/fsm/permit.h"
#include "coordinator/fsm/table.h"
#include "coordinator/policy/policy.h"
#include "net/proto/registry.pb-c.h"
#include "net/spec.h"

enum {
    FSM_ARENA_SIZE_MAX = 16 << 20, /* of one command, unpacked, with its events */
    FSM_ARENA_KEPT_SIZE = 64 << 10,
    FSM_HASHES_KEPT = 4,
    FSM_TOMBS_MAX = 65536,
    FSM_TICK_TOKENS_MAX = 64,
};

/* As ray_fail; the code is in sight of compiler and analyzer, so that they know what is set after
 * RAY_OK. `code` is evaluated twice. */
#define fsm_refuse(err, code, ...) ((void)ray_fail((err), (code), __VA_ARGS__), (code))

/* First byte of a record's key. */
enum fsm_record_type { FSM_RECORD_MACHINE, FSM_RECORD_OBJECT, FSM_RECORD_SESSION };

/* What has a record of its own: the beginning of objects and sessions. */
struct fsm_item {
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
    bool is_dirty;
    uint32_t dump_slot; /* 1 + index in the dump under way; 0: none */
    struct fsm_item *dirty_previous;
    struct fsm_item *dirty_next;
};

/* A string that many changes share. */
struct fsm_text {
    uint64_t hash;
    uint32_t use_count;
    uint32_t size;
    char bytes[]; /* NUL-terminated */
};

struct fsm_change {
    uint64_t revision;
    uint64_t time_us;
    struct fsm_text *principal;
    struct fsm_text *reason;
    struct fsm_text *what;
};

struct fsm_object {
    struct fsm_item item;
    struct fsm_sum record_sum; /* of the packed Object */
    uint32_t packed_size;
    uint32_t touch_slot;        /* 1 + index among those touched by this entry; 0: none */
    struct fsm_change *changes; /* a circle once it is full */
    uint8_t change_count;
    uint8_t change_first;
    uint8_t change_capacity;
    /* A guest's place in its home's list; a node's list of guests. */
    struct fsm_object *home_previous;
    struct fsm_object *home_next;
    struct fsm_object *home_first;
    struct coord_object pub; /* last: only the kind's member of its union is allocated */
};

struct fsm_stored_result {
    uint64_t sequence; /* 0: free */
    uint64_t revision;
    int32_t code;
    uint32_t body_size;
    uint8_t *bytes; /* text, NUL, next step, NUL, body; NULL: all empty */
};

struct fsm_session {
    struct fsm_item item;
    struct fsm_sum head_sum;
    struct ray_id id;
    uint64_t ttl_us;
    uint64_t used_at_us;
    uint64_t last_sequence;
    char principal[COORD_NAME_SIZE];
    uint32_t result_capacity;          /* a power of two; grows to the window as it is used */
    struct fsm_stored_result *results; /* by sequence % result_capacity */
};

struct fsm_touched {
    struct fsm_object *object;
    bool is_removed;
    bool is_quiet;  /* no entry in the history */
    bool is_silent; /* no event: an old happening that makes room */
    bool was_for_all;
    uint32_t node_count; /* whom it concerned before */
    struct ray_id nodes[COORD_FSM_OBJECT_NODES_MAX];
};

struct fsm_dump_slot {
    struct fsm_item *item; /* NULL: the image has it, or it was written */
    uint8_t *image;
    uint32_t image_size;
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
};

struct fsm_dump {
    struct fsm_dump_slot *slots; /* NULL: none is under way */
    size_t count;
    size_t next;
    uint64_t index;
    uint64_t term;
    struct ray_buf head; /* the machine's framed record */
};

struct fsm_tomb {
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
};

struct coord_fsm {
    uint32_t level_max; /* that this build can apply */
    uint64_t index;
    uint64_t term;
    uint64_t clock_us;
    uint64_t tick_term;
    uint64_t tick_now_us;
    uint64_t tick_term_clock_us;
    uint64_t event_sequence;

    struct fsm_table objects; /* by key */
    struct fsm_table names;   /* by kind and name */
    struct fsm_table sessions;
    struct fsm_table texts;
    struct fsm_order order[COORD_KIND_COUNT];
    struct fsm_order session_order;
    struct fsm_object *cluster;
    struct fsm_sum sum;
    uint64_t state_size;
    uint64_t session_check_at_us; /* no session expires before */
    uint64_t grant_generation;

    struct coord_policy *policy; /* policy.c: the rules of version `policy_version`, read */
    uint64_t policy_version;

    bool is_view; /* view.c: a part, without its references; has no hash, size or history */
    struct ray_id view_node;
    int halt_code; /* RAY_OK: not halted */
    struct {
        uint64_t index;
        uint8_t hash[COORD_HASH_SIZE];
    } hashes[FSM_HASHES_KEPT]; /* by index / COORD_FSM_HASH_INTERVAL */

    struct fsm_item dirty; /* ring */
    size_t dirty_count;
    struct fsm_tomb *tombs;
    size_t tomb_count;
    size_t tomb_capacity;
    bool is_all_dirty;

    struct fsm_dump dump;
    struct ray_arena arena;   /* the entry's: command, events */
    struct ray_arena scratch; /* for reading: queries, dumps */

    struct fsm_touched touched[COORD_FSM_EVENTS_MAX];
    size_t touched_count;
    struct coord_fsm_event events[COORD_FSM_EVENTS_MAX];
    size_t event_count;
};

/* One command while it is being applied. */
struct fsm_apply {
    struct coord_fsm *fsm;
    const Rayos__Registry__Header *header;
    uint64_t index;
    const char *what; /* for the history */
    /* Of a decision, while what was decided runs; the operation's history names who decided. */
    const Rayos__Registry__Header *decision;
    struct ray_id incarnation;
    bool has_reply;
    bool has_refusal; /* the reply says more of a refusal */
    bool is_fatal;    /* the returned code halts the state machine */
    Rayos__Registry__Reply reply;
    Rayos__Registry__Epoch reply_epoch;
    struct ray_err *err;
};

/* ---- state.c ---- */

void fsm_key(uint8_t out[static COORD_FSM_RECORD_KEY_SIZE], enum fsm_record_type type,
             unsigned kind, const struct ray_id *id);
struct fsm_object *fsm_find(const struct coord_fsm *fsm, enum coord_kind kind,
                            const struct ray_id *id);
struct fsm_object *fsm_find_name(const struct coord_fsm *fsm, enum coord_kind kind,
                                 const char *name);
struct fsm_object *fsm_object_of(struct fsm_item *item);
/* The index-th object of its kind, in order; only after fsm_order_sort. */
struct fsm_object *fsm_at(const struct coord_fsm *fsm, enum coord_kind kind, size_t index);
void fsm_arena_reset(struct ray_arena *arena);

/* ---- object.c ---- */

/* Puts an object without name into the tables; NULL: no memory. */
struct fsm_object *fsm_object_create(struct coord_fsm *fsm, enum coord_kind kind,
                                     const struct ray_id *id);
/* Takes it out of the tables and frees it; its hash and size must be subtracted already. */
void fsm_object_destroy(struct coord_fsm *fsm, struct fsm_object *object);
/* Subtracts it from the state's hash and size. */
void fsm_object_forget(struct coord_fsm *fsm, struct fsm_object *object);
void fsm_object_free(struct coord_fsm *fsm, struct fsm_object *object);
/* `name` fits and is free; false: no memory (the name is then empty). */
bool fsm_object_rename(struct coord_fsm *fsm, struct fsm_object *object, const char *name);
/* Packs the Object and replaces its part of hash and size. The bytes are in `arena`, with at
 * least 32 bytes before them that the caller may use. */
int fsm_object_seal(struct coord_fsm *fsm, struct fsm_object *object, struct ray_arena *arena,
                    uint8_t **out_bytes, size_t *out_size, struct ray_err *err);
/* A guest's home, with the lists of the nodes; the node exists (but in a view). */
void fsm_guest_set_home(struct coord_fsm *fsm, struct fsm_object *guest,
                        const struct coord_home *home);

bool fsm_bytes_set(struct coord_bytes *bytes, const void *data, size_t size); /* false: no memory */
/* Copies; checked before. false: no memory. */
bool fsm_labels_set(struct coord_object *object, const struct coord_label *labels, size_t count);

/* ---- apply.c ---- */

/* The node that the command is proposed by; NULL: it does not say so, or there is none. */
const struct coord_object *fsm_proposer(const struct fsm_apply *apply);
/* Whether operators make changes of that name, and not members alone. */
bool fsm_is_asked(const char *what);

/* RAY_EUNSUPPORTED: the cluster is at a level that this build does not have. */
int fsm_level_known(const struct coord_fsm *fsm, uint32_t level, struct ray_err *err);
/* RAY_EUNSUPPORTED: `what` needs a level that the cluster has not reached. */
int fsm_level_reached(uint32_t level, uint32_t needed, const char *what, struct ray_err *err);

/* ---- touch.c ---- */

/* RAY_ENOMEM; RAY_ETOOBIG, fatal: more changes than one entry may make. */
int fsm_touch(struct fsm_apply *apply, struct fsm_object *object);
int fsm_touch_quiet(struct fsm_apply *apply, struct fsm_object *object);
int fsm_object_new(struct fsm_apply *apply, enum coord_kind kind, const struct ray_id *id,
                   const char *name, struct fsm_object **out);
int fsm_remove(struct fsm_apply *apply, struct fsm_object *object);
/* An object of kind event; the oldest makes room. Not twice the same in a row. */
int fsm_happen(struct fsm_apply *apply, const char *what, enum coord_kind kind,
               const struct ray_id *id, const char *text);
/* One that a principal brings about at will, and that never pushes those of others out: of so many
 * by one only the newest is written anew. */
int fsm_happen_bounded(struct fsm_apply *apply, const char *what, enum coord_kind kind,
                       const struct ray_id *id, const char *text);
/* The same for what he says himself, by whatever name: of so many of his among the newest. */
int fsm_happen_said(struct fsm_apply *apply, const char *what, enum coord_kind kind,
                    const struct ray_id *id, const char *text);
/* What only the state machine and members say happened. */
bool fsm_is_own_word(const char *what);
/* Such an event "policy-denied". */
int fsm_happen_denied(struct fsm_apply *apply, const char *text);
extern const char fsm_denied_word[];
int fsm_finish(struct fsm_apply *apply);

/* ---- history.c ---- */

/* NULL: no memory. One reference more, for a change. `likely`, NULL for none, is looked at before
 * the table. */
struct fsm_text *fsm_text_get(struct coord_fsm *fsm, struct fsm_text *likely, const char *bytes,
                              size_t size);
/* The newest one; without texts when there is none. */
struct fsm_change fsm_history_last(const struct fsm_object *object);
/* Takes over the change's references, also when it fails: RAY_ENOMEM when one of its texts is NULL.
 * The oldest beyond COORD_CHANGES_MAX leaves. */
int fsm_history_add(struct coord_fsm *fsm, struct fsm_object *object,
                    const struct fsm_change *change);
const struct fsm_change *fsm_history_at(const struct fsm_object *object, size_t index);
void fsm_happening_id(uint64_t sequence, struct ray_id *out);
/* Subtracts the hashes of all changes, or frees them. */
void fsm_history_forget(struct coord_fsm *fsm, const struct fsm_object *object);
void fsm_history_free(struct coord_fsm *fsm, struct fsm_object *object);

/* ---- session.c ---- */

struct fsm_session *fsm_session_find(const struct coord_fsm *fsm, const struct ray_id *id);
struct fsm_session *fsm_session_create(struct coord_fsm *fsm, const struct ray_id *id);
void fsm_session_destroy(struct coord_fsm *fsm, struct fsm_session *session);
void fsm_session_free(struct fsm_session *session);
/* NULL: that request has not run. */
const struct fsm_stored_result *fsm_session_result(const struct fsm_session *session,
                                                   uint64_t sequence);
/* Makes room for it and copies; RAY_ENOMEM. */
int fsm_session_store(struct coord_fsm *fsm, struct fsm_session *session, uint64_t sequence,
                      const struct coord_fsm_result *result);
void fsm_session_seal(struct coord_fsm *fsm, struct fsm_session *session); /* head's hash */
/* Adds (or, with is_add false, subtracts) the hashes of all results. */
void fsm_session_sum(struct coord_fsm *fsm, const struct fsm_session *session, bool is_add);
void fsm_session_used(struct coord_fsm *fsm, struct fsm_session *session);
int fsm_sessions_expire(struct coord_fsm *fsm);
int fsm_session_open(struct fsm_apply *apply, const void *command);
int fsm_session_keep(struct fsm_apply *apply, const void *command);
int fsm_session_close(struct fsm_apply *apply, const void *command);

/* ---- pack.c ---- */

/* An object as the message Object. */
struct fsm_packing {
    const struct coord_object *object;
    const ProtobufCMessage *body; /* in the arena; NULL: packed from the object, or none */
    unsigned body_field;          /* 0: none */
    size_t body_size;
    size_t size;
};

int fsm_packing_begin(struct fsm_packing *out, const struct coord_object *object,
                      struct ray_arena *arena); /* RAY_ENOMEM */
/* Writes `size` bytes and returns their end. */
uint8_t *fsm_packing_put(const struct fsm_packing *packing, uint8_t *at);
/* The packed StoredObject or StoredSession of an item, in `arena`. */
int fsm_item_pack(const struct fsm_item *item, struct ray_arena *arena, const uint8_t **out_bytes,
                  size_t *out_size, struct ray_err *err);
int fsm_machine_pack(const struct coord_fsm *fsm, struct ray_arena *arena,
                     const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);

/* An object's record, taken apart without the object itself. What is borrowed is the record's. */
struct fsm_stored {
    const uint8_t *object;
    size_t object_size;
    const uint8_t *at; /* the next change */
    const uint8_t *end;
};

struct fsm_text_part {
    const char *bytes; /* any, without NUL at the end */
    size_t size;
};

struct fsm_stored_change {
    uint64_t revision;
    uint64_t time_us;
    struct fsm_text_part principal;
    struct fsm_text_part reason;
    struct fsm_text_part what;
};

/* False: it is not as fsm_item_pack writes it; but that it is so, no `true` proves. */
bool fsm_stored_open(struct fsm_stored *out, const uint8_t *bytes, size_t size);
bool fsm_stored_next(struct fsm_stored *stored, struct fsm_stored_change *out);
bool fsm_stored_is_over(const struct fsm_stored *stored);

/* ---- dirty.c, dump.c ---- */

void fsm_dirty_add(struct coord_fsm *fsm, struct fsm_item *item);
void fsm_dirty_remove(struct coord_fsm *fsm, struct fsm_item *item); /* it is being deleted */
/* Before an item changes or goes: what a dump under way still needs of it. RAY_ENOMEM. */
int fsm_dump_save(struct coord_fsm *fsm, struct fsm_item *item);

/* ---- record.c: structs to messages and back ---- */

/* Borrows from the object; NULL: no memory in the arena. */
Rayos__Registry__Object *fsm_object_message(const struct coord_object *object,
                                            struct ray_arena *arena);
/* Only the kind's own part of it, if there is one; false: no memory. */
bool fsm_body_message(Rayos__Registry__Object *message, const struct coord_object *object,
                      struct ray_arena *arena);
Rayos__Registry__Change **fsm_changes_message(const struct fsm_object *object,
                                              struct ray_arena *arena, size_t *out_count);
/* What is told to those who ask or watch: without what lets a node in. Whether there is such. */
bool fsm_object_hide(Rayos__Registry__Object *message);
/* Instead, of an operation that waits: its command in `arena`, without the same. What cannot be
 * shown is left out. RAY_ENOMEM. */
int fsm_operation_show(Rayos__Registry__Object *message, struct ray_arena *arena);
/* Which member of the message's oneof the kind has; NOT_SET: none. */
Rayos__Registry__Object__BodyCase fsm_body_of(enum coord_kind kind);
/* All of it, from a record; the object has kind, id and no name. RAY_EMALFORMED, RAY_ENOMEM. */
int fsm_object_read(struct coord_fsm *fsm, struct fsm_object *object,
                    const Rayos__Registry__Object *message, struct ray_err *err);

/* ---- check.c: fields of messages ---- */

int fsm_id(const ProtobufCBinaryData *bytes, const char *what, struct ray_id *out,
           struct ray_err *err); /* RAY_EINVAL unless 16 bytes, not all zero */
int fsm_optional_id(const ProtobufCBinaryData *bytes, const char *what, struct ray_id *out,
                    struct ray_err *err); /* empty: none */
int fsm_home(const Rayos__Registry__Home *message, const char *what, struct coord_home *out,
             struct ray_err *err); /* absent: RAY_EINVAL */
int fsm_fixed(const ProtobufCBinaryData *bytes, const char *what, uint8_t *out, size_t size,
              struct ray_err *err);
/* At most out_size - 1 bytes of printable ASCII without spaces, or any text. */
int fsm_word(const char *text, const char *what, char *out, size_t out_size, struct ray_err *err);
int fsm_line(const char *text, const char *what, char *out, size_t out_size, struct ray_err *err);
struct ray_epoch fsm_epoch(const Rayos__Registry__Epoch *message); /* absent: {0, 0} */
/* Sorted, unique, within limits; *out in `arena` borrows from the messages. */
int fsm_labels(Rayos__Registry__Label **messages, size_t count, struct ray_arena *arena,
               struct coord_label **out, struct ray_err *err);
int fsm_timing(const Rayos__Registry__Timing *message, struct coord_timing *out,
               struct ray_err *err);
size_t fsm_spec_size_max(enum coord_kind kind);
/* RAY_EUNSUPPORTED: a field somewhere in it is from a newer version. */
int fsm_strict(const ProtobufCMessage *message, struct ray_err *err);

/* ---- policy.c ---- */

/* Of a principal's body: is_admin and role say the same. */
bool fsm_is_role(const Rayos__Registry__Principal *message);
/* Whether packed rules can be read. RAY_EMALFORMED, RAY_EUNSUPPORTED, RAY_EINVAL, RAY_ETOOBIG. */
int fsm_policy_check(const struct coord_bytes *rules, struct ray_err *err);
/* The same of new ones, at a feature level. */
int fsm_policy_check_new(uint32_t level, const struct coord_bytes *rules, struct ray_err *err);
/* Whether an admin who may set the policy is left when `principal` becomes that: `name` NULL: it
 * goes. RAY_ECONFLICT with the next step; RAY_ENOMEM. */
int fsm_policy_check_admin(struct fsm_apply *apply, const struct fsm_object *principal,
                           const char *name, bool is_admin);
/* The version in force; NULL: none. */
struct fsm_object *fsm_policy_newest(struct coord_fsm *fsm);
/* The first version, from cluster-create: its rules were checked. */
int fsm_policy_first(struct fsm_apply *apply, const ProtobufCBinaryData *rules);
/* Brings older rules back when nobody has confirmed the new ones in time. */
int fsm_policy_tick(struct fsm_apply *apply);
bool fsm_policy_is_right(const struct coord_fsm *fsm, const struct coord_object *object);

/* ---- describe.c ---- */

const char *fsm_kind_text(enum coord_kind kind);
/* NULL: none, or it has no name (yet). */
const char *fsm_node_name(const struct coord_fsm *fsm, const struct ray_id *id);
/* In the scratch arena, until it is next used; *out NULL: it is none. RAY_ENOMEM. */
int fsm_spec_read(struct coord_fsm *fsm, enum ray_spec_kind kind, const struct coord_bytes *spec,
                  ProtobufCMessage **out);
/* More than any limit. */
void fsm_set_unmeasured(struct coord_policy_object *out);
/* What the spec of a guest or volume asks for, if any rule of `policy` looks at it. RAY_ENOMEM. */
int fsm_measure(struct coord_fsm *fsm, const struct coord_policy *policy, enum coord_kind kind,
                const struct coord_bytes *spec, struct coord_policy_object *out);

/* ---- authorize.c ---- */

enum { FSM_DETAIL_SIZE = 192 };

struct fsm_judge;
/* Gives each action of a command to the judge. */
typedef void fsm_subject(struct fsm_judge *judge, const void *command);

/* What the rules say to one command. */
struct fsm_verdict {
    enum coord_policy_effect effect;
    uint32_t rule; /* from 1; COORD_POLICY_NO_RULE */
    /* All rules that ask, a bit each: what a command names is not bounded by its answer's size. */
    uint8_t asking[COORD_POLICY_RULES_MAX / 8];
    uint32_t asking_count;
    uint64_t changed_revision; /* when somebody has last changed one of its objects; 0: none is */
    const char *rule_name;
    const char *reason;
    char detail[FSM_DETAIL_SIZE]; /* "ann guest.stop guest:web-1" */
    const char *action;           /* the end of it: "guest.stop guest:web-1" */
};

/* Who a header names. RAY_EDENIED: nobody (any more). */
int fsm_actor(struct fsm_apply *apply, const Rayos__Registry__Header *header,
              struct coord_policy_actor *out);
/* Whoever asks for the command that runs: the principal, or the node of the console; none: not
 * known. Ids stay, where names are given anew. */
void fsm_actor_id(const struct fsm_apply *apply, struct ray_id *out);
/* Fatal: RAY_ENOMEM. `subject` NULL: no operator may say that. */
int fsm_judge_command(struct fsm_apply *apply, const Rayos__Registry__Header *header,
                      fsm_subject *subject, const void *command, struct fsm_verdict *out);
bool fsm_verdict_asks(const struct fsm_verdict *verdict, uint32_t rule);
/* RAY_EDENIED for a verdict that denies, with text, next step, event and reply. */
int fsm_deny(struct fsm_apply *apply, const struct fsm_verdict *verdict);

/* ---- subject.c ---- */

fsm_subject fsm_subject_put, fsm_subject_label, fsm_subject_delete, fsm_subject_session;
fsm_subject fsm_subject_cluster, fsm_subject_recover, fsm_subject_confirm_off, fsm_subject_event;
fsm_subject fsm_subject_approve, fsm_subject_drain, fsm_subject_remove;
fsm_subject fsm_subject_migrate, fsm_subject_attach, fsm_subject_detach;
fsm_subject fsm_subject_policy, fsm_subject_decide;

/* ---- operation.c: what waits for approval ---- */

/* Keeps a command that a rule asks about: RAY_EDENIED, with the operation's name in text and
 * reply; or why it cannot wait. */
int fsm_operation_ask(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                      const struct fsm_verdict *verdict);
int fsm_operations_expire(struct fsm_apply *apply);
bool fsm_operation_is_right(const struct coord_object *object);

/* ---- apply.c ---- */

/* A command that was kept: taken apart, judged as what its asker may do now, and run in his name.
 */
int fsm_kept_open(struct fsm_apply *apply, const struct coord_bytes *bytes,
                  Rayos__Registry__Command **out);
int fsm_kept_judge(struct fsm_apply *apply, const Rayos__Registry__Command *command,
                   struct fsm_verdict *out);
int fsm_kept_run(struct fsm_apply *apply, const Rayos__Registry__Command *command);

/* ---- handlers; what they return besides RAY_ENOMEM is the command's result ---- */

/* The cluster; NULL with *out_rc set: there is none yet. */
struct fsm_object *fsm_cluster_of(struct fsm_apply *apply, int *out_rc);
int fsm_require_no_recovery(struct fsm_apply *apply);
int fsm_find_or_fail(struct fsm_apply *apply, enum coord_kind kind, const ProtobufCBinaryData *id,
                     struct fsm_object **out);
int fsm_name_check(struct fsm_apply *apply, enum coord_kind kind, const char *name,
                   const struct fsm_object *self);
int fsm_put_token(struct fsm_apply *apply, const Rayos__Registry__Object *message);
int fsm_put_principal(struct fsm_apply *apply, const Rayos__Registry__Object *message);
int fsm_token_check(struct fsm_apply *apply, const Rayos__Registry__Object *message);
int fsm_principal_check(struct fsm_apply *apply, const Rayos__Registry__Object *message);
int fsm_first_node_check(struct fsm_apply *apply, const Rayos__Registry__Object *message);
int fsm_first_node_add(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                       uint64_t boot_counter);
/* It is back, or off: nothing if it was not unknown. */
int fsm_unknown_remove(struct fsm_apply *apply, const struct ray_id *node);

bool fsm_label_is_removed(const Rayos__Registry__ObjectLabel *command, const char *key);
int fsm_object_put(struct fsm_apply *apply, const void *command);
int fsm_object_label(struct fsm_apply *apply, const void *command);
int fsm_object_delete(struct fsm_apply *apply, const void *command);
int fsm_cluster_create(struct fsm_apply *apply, const void *command);
int fsm_tick(struct fsm_apply *apply, const void *command);
int fsm_hash(struct fsm_apply *apply, const void *command);
int fsm_feature_raise(struct fsm_apply *apply, const void *command);
int fsm_timing_set(struct fsm_apply *apply, const void *command);
int fsm_timing_settled(struct fsm_apply *apply, const void *command);
int fsm_voters_set(struct fsm_apply *apply, const void *command);
int fsm_cluster_recover(struct fsm_apply *apply, const void *command);
int fsm_confirm_off(struct fsm_apply *apply, const void *command);
/* Before anything that grows with their number: each is an id, none twice, not too many. */
int fsm_confirm_off_check(struct fsm_apply *apply, const Rayos__Registry__ConfirmOff *off);
int fsm_event_add(struct fsm_apply *apply, const void *command);
int fsm_node_join(struct fsm_apply *apply, const void *command);
int fsm_node_approve(struct fsm_apply *apply, const void *command);
int fsm_node_admit(struct fsm_apply *apply, const void *command);
int fsm_node_report(struct fsm_apply *apply, const void *command);
int fsm_node_role(struct fsm_apply *apply, const void *command);
int fsm_node_renumber(struct fsm_apply *apply, const void *command);
int fsm_node_quarantine(struct fsm_apply *apply, const void *command);
int fsm_node_drain(struct fsm_apply *apply, const void *command);
int fsm_node_remove(struct fsm_apply *apply, const void *command);
int fsm_guest_report(struct fsm_apply *apply, const void *command);
int fsm_migration_open(struct fsm_apply *apply, const void *command);
int fsm_outcome(struct fsm_apply *apply, const void *command);
int fsm_volume_attach(struct fsm_apply *apply, const void *command);
int fsm_volume_detach(struct fsm_apply *apply, const void *command);
int fsm_policy_set(struct fsm_apply *apply, const void *command);
int fsm_policy_confirm(struct fsm_apply *apply, const void *command);
int fsm_policy_revert(struct fsm_apply *apply, const void *command);
int fsm_operation_decide(struct fsm_apply *apply, const void *command);
/* A guest or volume without run goes for good, with what hangs on it. */
int fsm_guest_delete(struct fsm_apply *apply, struct fsm_object *guest);
int fsm_volume_delete(struct fsm_apply *apply, struct fsm_object *volume);
/* A removed node without guests left goes for good. */
int fsm_node_release(struct fsm_apply *apply, const struct ray_id *node);

#endif

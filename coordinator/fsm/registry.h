/* coordinator/fsm/registry.h - the objects of the registry as plain structs, for whoever reads
 * the state machine's state in place (coordinator/lease, coordinator/replica).
 *
 * The enums have the values of net/proto/registry.proto.
 * Memory: belongs to the state machine; valid until the next coord_fsm_apply or destroy.
 * Threads: the loop's.  Blocks: never.  Trust: checked when applied or loaded. */
#ifndef RAY_COORDINATOR_FSM_REGISTRY_H
#define RAY_COORDINATOR_FSM_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/id.h"

enum {
    COORD_NAME_SIZE = 64, /* with its NUL */
    COORD_ADDRESS_SIZE = 64,
    COORD_DOMAIN_SIZE = 32,
    COORD_WORD_SIZE = 24,
    COORD_MESSAGE_SIZE = 256,
    COORD_KEY_SIZE = 32,
    COORD_SIGNATURE_SIZE = 64,
    COORD_HASH_SIZE = 16,
    COORD_GUEST_VOLUMES_MAX = 16,
    COORD_LABELS_MAX = 64,
    COORD_LABEL_KEY_SIZE_MAX = 128,
    COORD_LABEL_VALUE_SIZE_MAX = 4096,
    COORD_LABELS_SIZE_MAX = 8192, /* keys and values of one object */
    COORD_FACTS_SIZE_MAX = 32 << 10,
    COORD_UNKNOWN_NODES_MAX = 4096,
    COORD_CHANGES_MAX = 32,
    COORD_EVENTS_KEPT_MAX = 4096,
    COORD_OPERATION_RULES_MAX = 16, /* that ask about one command */
};

enum coord_kind {
    COORD_NONE,
    COORD_CLUSTER,
    COORD_NODE,
    COORD_PRINCIPAL,
    COORD_TOKEN,
    COORD_POLICY,
    COORD_NETWORK,
    COORD_IMAGE,
    COORD_VOLUME,
    COORD_GUEST,
    COORD_MIGRATION,
    COORD_PRESENTATION,
    COORD_OPERATION,
    COORD_EVENT,
    COORD_KIND_COUNT
};

enum coord_node_state {
    COORD_NODE_UNCLAIMED,
    COORD_NODE_PENDING,
    COORD_NODE_MEMBER,
    COORD_NODE_DRAINED,
    COORD_NODE_REMOVED,
};

enum coord_node_role { COORD_NODE_OBSERVER, COORD_NODE_STANDBY, COORD_NODE_VOTER };

enum coord_migration_state {
    COORD_MIGRATION_OPEN,
    COORD_MIGRATION_DONE,
    COORD_MIGRATION_CLOSED,
};

struct coord_home {
    struct ray_id node; /* none: no home */
    struct ray_id incarnation;
};

struct coord_bytes {
    const uint8_t *data; /* NULL when size is 0 */
    uint32_t size;
};

struct coord_timing {
    char profile[COORD_WORD_SIZE];
    uint32_t heartbeat_ms;
    uint32_t election_ms;
    uint32_t grant_ms; /* T */
    uint32_t renew_ms;
    uint32_t margin_ms; /* M */
    uint32_t drift_ppm; /* d */
};

struct coord_cluster {
    uint64_t cluster_epoch; /* from 1; raised by each recovery */
    uint32_t feature_level;
    uint32_t wanted_voters; /* 1, 3 or 5 */
    struct coord_timing timing;
    uint32_t grant_ms_max; /* T, M, d that may still be in use somewhere: W uses these */
    uint32_t margin_ms_max;
    uint32_t drift_ppm_max;
    uint64_t timing_revision; /* of the last change of timing */
    bool is_settled;
    uint64_t last_raft_id;
    /* Not empty: the cluster is in recovery; no guest may run, none may get a new home. */
    struct ray_id *unknown_nodes; /* sorted */
    uint32_t unknown_count;
};

struct coord_node {
    uint8_t identity_key[COORD_KEY_SIZE]; /* Ed25519 */
    uint8_t link_key[COORD_KEY_SIZE];     /* X25519 */
    uint8_t link_key_signature[COORD_SIGNATURE_SIZE];
    char address[COORD_ADDRESS_SIZE];
    char domain[COORD_DOMAIN_SIZE]; /* failure domain; empty: the node is its own */
    enum coord_node_state state;
    enum coord_node_role role;
    uint64_t raft_id;           /* 0: none yet (pending) */
    uint64_t numbered_revision; /* when it was given, to the incarnation admitted then */
    struct ray_id incarnation;  /* the admitted one; none until the first admission */
    uint64_t boot_counter;
    uint64_t admitted_revision;
    bool is_fit_for_leases;
    bool is_ephemeral;   /* an observer for good */
    bool is_in_memory;   /* it joined without a data disk */
    bool is_quarantined; /* as it said itself */
    bool has_join_token; /* it has not taken part yet */
    uint8_t join_token[COORD_KEY_SIZE];
    char wanted_name[COORD_NAME_SIZE]; /* pending, and another has the name; else empty */
    char health[COORD_WORD_SIZE];
    char message[COORD_MESSAGE_SIZE];
    struct coord_bytes facts;
};

enum coord_principal_role {
    COORD_PRINCIPAL_NONE, /* of older data: is_admin says it */
    COORD_PRINCIPAL_ADMIN,
    COORD_PRINCIPAL_OPERATOR,
    COORD_PRINCIPAL_VIEWER,
};

struct coord_principal {
    uint8_t key[COORD_KEY_SIZE]; /* Ed25519 */
    bool is_admin;
    enum coord_principal_role role;
};

struct coord_policy_version { /* its rules are the object's spec */
    uint64_t version;         /* from 1; the newest is in force */
    uint64_t confirm_by_us;   /* logged clock; 0: nothing is to be confirmed */
    uint64_t restores;        /* with confirm_by_us: what comes back */
    uint64_t from;            /* whose rules these are; 0: new ones */
};

struct coord_token {
    uint8_t hash[COORD_KEY_SIZE]; /* BLAKE2b-256 of the secret */
    uint32_t uses_left;
    uint64_t expires_at_us; /* logged clock; 0: never */
    bool needs_approval;
    bool is_ephemeral;
    char node_name[COORD_NAME_SIZE]; /* only this node joins with it; empty: any */
    struct ray_id replaces;          /* who is removed when that one joins; none */
    bool takes_place;                /* in the place of whoever has the joiner's name */
};

struct coord_volume {
    struct ray_id guest; /* attached to; none */
    bool is_detaching;
    bool has_writer;
    struct ray_epoch writer_epoch; /* of that guest; only with has_writer */
};

struct coord_guest {
    bool is_wanted; /* running is wanted */
    bool has_run;   /* its home may run `epoch` */
    bool is_strict;
    uint32_t state; /* GuestState of the schema: as its home saw it */
    enum ray_epoch_origin entry;
    struct coord_home home;
    struct ray_epoch epoch;
    struct ray_epoch epoch_from;    /* that it ended */
    struct ray_id migration;        /* the open one; none */
    struct coord_home migration_to; /* of the open one */
    struct ray_id volumes[COORD_GUEST_VOLUMES_MAX];
    uint32_t volume_count;
    char message[COORD_MESSAGE_SIZE];
};

struct coord_migration {
    struct ray_id guest;
    struct coord_home from;
    struct coord_home to;
    struct ray_epoch epoch; /* that it moves */
    enum coord_migration_state state;
};

struct coord_presentation {
    struct ray_id guest;
    struct ray_id node; /* whose display */
    char surface[COORD_NAME_SIZE];
    struct ray_epoch epoch;
};

struct coord_operation {
    char state[COORD_WORD_SIZE];
    char message[COORD_MESSAGE_SIZE];
    struct ray_id node;
    /* Of what a rule asks about (operation.c). */
    struct coord_bytes command; /* as long as it waits */
    struct coord_bytes rules;   /* names with spaces between them, no NUL */
    char rule[COORD_NAME_SIZE];
    char asker[COORD_NAME_SIZE];
    struct ray_id asker_id; /* the principal, or the node of a console; none: not known */
    char decider[COORD_NAME_SIZE];
    char action[COORD_MESSAGE_SIZE];
    uint64_t expires_at_us; /* logged clock; 0: it does not wait */
};

struct coord_happening { /* an object of kind event */
    uint64_t sequence;
    char what[COORD_WORD_SIZE * 2];
    char text[COORD_MESSAGE_SIZE];
    enum coord_kind object_kind;
    struct ray_id object_id;
    uint64_t time_us;
    char principal[COORD_NAME_SIZE];
};

struct coord_label {
    const char *key;
    struct coord_bytes value;
};

struct coord_object {
    enum coord_kind kind;
    struct ray_id id;
    char name[COORD_NAME_SIZE];
    uint64_t revision;
    uint64_t created_revision;
    bool is_gone; /* to be deleted once its run has ended */
    const struct coord_label *labels;
    uint32_t label_count;
    struct coord_bytes spec;
    /* Only the kind's own member has memory behind it; the others must not be touched. */
    union {
        struct coord_cluster cluster;
        struct coord_node node;
        struct coord_principal principal;
        struct coord_token token;
        struct coord_volume volume;
        struct coord_guest guest;
        struct coord_migration migration;
        struct coord_presentation presentation;
        struct coord_operation operation;
        struct coord_policy_version policy;
        struct coord_happening happening;
    };
};

bool coord_home_equal(const struct coord_home *a, const struct coord_home *b);

#endif

/* coordinator/policy/policy.h - may this actor do this to that? The first rule that matches
 * decides.
 *
 *     rules (a packed rayos.policy.Policy) --> coord_policy --> decide(actor, action, object)
 *
 * Pure: evaluated when a command is applied, so that the log's order decides races, and every
 * replica comes to the same end. What no rule matches is denied.
 *
 * Memory: create copies what it needs; destroy. Actors and objects are borrowed during a call;
 * texts that come out live as long as the policy.
 * Threads: its owner's; decide changes nothing.  Blocks: never.
 * Trust: rules are hostile until checked, which create does; names in actors and objects may hold
 * anything, they are compared and never interpreted. */
#ifndef RAY_COORDINATOR_POLICY_POLICY_H
#define RAY_COORDINATOR_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coordinator/policy/action.h"

enum {
    COORD_POLICY_RULES_MAX = 1024,
    COORD_POLICY_PATTERNS_MAX = 64, /* of one list of one rule */
    COORD_POLICY_PATTERN_SIZE_MAX = 128,
    COORD_POLICY_NAME_SIZE_MAX = 64,
    COORD_POLICY_REASON_SIZE_MAX = 256,
    COORD_POLICY_SIZE_MAX = 256 << 10, /* packed */
    COORD_POLICY_LEVEL = 1, /* the highest feature level that this build has actions of */
};

enum coord_policy_effect {
    COORD_POLICY_ALLOW = 1,
    COORD_POLICY_DENY = 2,
    COORD_POLICY_ASK = 3,
};

/* Bits of an actor's roles. */
enum {
    COORD_POLICY_ADMIN = 1U << 0,
    COORD_POLICY_OPERATOR = 1U << 1,
    COORD_POLICY_VIEWER = 1U << 2,
};

struct coord_policy_actor {
    const char *kind; /* "principal", "node", "guest" */
    const char *name;
    uint32_t roles;
};

struct coord_policy_label {
    const char *key;
    const char *value;
    size_t value_size;
};

struct coord_policy_object {
    const char *kind; /* "guest", "network", ...; "cluster" has no name */
    const char *name;
    const struct coord_policy_label *labels;
    size_t label_count;
    const char *node; /* where it happens, or to which it moves; NULL: no node */
    /* What is asked for; 0 where that has no meaning. */
    uint32_t vcpus;
    uint64_t memory_mib;
    uint64_t disk_mib;
};

struct coord_policy;

/* From a packed rayos.policy.Policy. RAY_EMALFORMED, RAY_EUNSUPPORTED (fields of a later version),
 * RAY_EINVAL (says which rule, its line, and what to write instead), RAY_ETOOBIG, RAY_ENOMEM. */
int coord_policy_create(const uint8_t *bytes, size_t size, struct coord_policy **out_policy,
                        struct ray_err *err);
/* The same of rules that are to be set, at a cluster's feature level: an action that comes with a
 * later one is none, in the words of a build that does not know it, so that all replicas accept and
 * refuse the same rules. RAY_EINVAL also for a rule about registry.read alone that is narrowed by
 * what a look does not have. */
int coord_policy_create_new(uint32_t level, const uint8_t *bytes, size_t size,
                            struct coord_policy **out_policy, struct ray_err *err);
void coord_policy_destroy(struct coord_policy *policy);

/* Parts of a rule that are texts. */
enum coord_policy_field {
    COORD_POLICY_FIELD_NAME,
    COORD_POLICY_FIELD_WHO, /* of `who` and of `approvers` */
    COORD_POLICY_FIELD_ACTION,
    COORD_POLICY_FIELD_OBJECT,
    COORD_POLICY_FIELD_ON,
    COORD_POLICY_FIELD_LABEL_KEY,
    COORD_POLICY_FIELD_LABEL_VALUE,
    COORD_POLICY_FIELD_REASON,
};

/* One of them by itself, for who knows where it is written: RAY_EINVAL with what and what to write
 * instead, without a place. */
int coord_policy_check_text(enum coord_policy_field field, const char *text, struct ray_err *err);

/* Whether a rule with these patterns of actions is about registry.read alone, which has no object:
 * it would never match by object, labels, node or amount. Actions above `level` are none. */
bool coord_policy_is_only_read(char *const *actions, size_t count, uint32_t level);

/* The rules that a new cluster has, packed: admins may do everything, operators may run guests,
 * viewers may look; guests get no network, no device and no display. RAY_ENOMEM. */
int coord_policy_default(struct ray_buf *out, struct ray_err *err);

#define COORD_POLICY_NO_RULE 0U

struct coord_policy_decision {
    enum coord_policy_effect effect;
    uint32_t rule;      /* from 1; COORD_POLICY_NO_RULE: none matched, so denied */
    const char *name;   /* of the rule; "default" for none */
    const char *reason; /* of the rule; may be empty */
};

struct coord_policy_decision coord_policy_decide(const struct coord_policy *policy,
                                                 const struct coord_policy_actor *actor,
                                                 enum coord_policy_action action,
                                                 const struct coord_policy_object *object);

/* Whether `actor` may approve what rule `rule` (from 1, of effect ASK) asks for. Who asked must not
 * approve it himself: that is the caller's to refuse. */
bool coord_policy_may_approve(const struct coord_policy *policy, uint32_t rule,
                              const struct coord_policy_actor *actor);

/* Which part of a rule did not match: "who", "action", "object", "labels", "on", "at_most"; NULL:
 * it matches. For "why": rules before the one that decided, and what nearly matched. */
const char *coord_policy_mismatch(const struct coord_policy *policy, uint32_t rule,
                                  const struct coord_policy_actor *actor,
                                  enum coord_policy_action action,
                                  const struct coord_policy_object *object);

/* Whether any rule has `at_most`: else nobody needs to measure an object. */
bool coord_policy_has_limits(const struct coord_policy *policy);
/* Whether any rule names nodes: else all are alike to it. */
bool coord_policy_has_places(const struct coord_policy *policy);
uint32_t coord_policy_rule_count(const struct coord_policy *policy);
const char *coord_policy_rule_name(const struct coord_policy *policy, uint32_t rule);

/* The rules as TOML, as `clusterctl policy set` reads them. RAY_ENOMEM. */
int coord_policy_print(const struct coord_policy *policy, struct ray_buf *out, struct ray_err *err);

/* RAY_ENOTFOUND. */
int coord_policy_action_find(const char *text, enum coord_policy_action *out, struct ray_err *err);
const char *coord_policy_action_text(enum coord_policy_action action);
const char *coord_policy_action_object(enum coord_policy_action action); /* kind; may be empty */
bool coord_policy_action_is_read(enum coord_policy_action action);
uint32_t coord_policy_action_level(enum coord_policy_action action); /* that it comes with */
const char *coord_policy_effect_text(enum coord_policy_effect effect);

/* `*` stands for any number of characters; all else for itself. O(pattern x text), no recursion. */
bool coord_policy_glob(const char *pattern, const char *text, size_t text_size);

#endif

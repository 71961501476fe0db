/* rules.c - from packed bytes to checked rules. What a typing error would turn into a rule that
 * never matches is refused: an unknown role, an action that does not exist, a kind of object that
 * nothing has. */
#include "coordinator/policy/rules.h"

#include <stdlib.h>
#include <string.h>

#include "net/proto_codec.h"

/* Unpacked rules are larger than their bytes: pointers, and the messages around them. */
enum { ARENA_SIZE_MAX = 16 * COORD_POLICY_SIZE_MAX };

static const char *const kinds_of_who[] = {"role", "principal", "node", "guest", NULL};
static const char *const kinds_of_object[] = {
    "cluster", "node",  "token",  "principal",    "policy", "op",        "image", "network",
    "volume",  "guest", "device", "presentation", "event",  "migration", NULL};

/* What is being looked at, for errors. */
struct place {
    const Rayos__Policy__Rule *rule; /* NULL: nothing but the text */
    size_t number;                   /* from 1 */
    uint32_t level;                  /* actions of later ones are none */
    bool is_new;                     /* they are to be set; else they were */
};

static int refuse(const struct place *place, struct ray_err *err, const char *what,
                  const char *text, const char *next)
{
    if (place->rule == NULL) {
        (void)ray_fail(err, RAY_EINVAL, "%s '%.64s'", what, text);
    } else if (place->rule->line > 0) {
        (void)ray_fail(err, RAY_EINVAL, "line %u: rule '%.64s': %s '%.64s'", place->rule->line,
                       place->rule->name, what, text);
    } else {
        (void)ray_fail(err, RAY_EINVAL, "rule %zu '%.64s': %s '%.64s'", place->number,
                       place->rule->name, what, text);
    }
    (void)ray_next(err, "%s", next);
    return RAY_EINVAL;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static int check_text(const struct place *place, const char *text, size_t size_max,
                      struct ray_err *err)
{
    if (strlen(text) > size_max) {
        return refuse(place, err, "too long:", text, "shorten it");
    }
    if (!is_printable(text)) {
        return refuse(place, err, "not printable ASCII:", text, "use printable ASCII");
    }
    return RAY_OK;
}

bool coord_policy_role_find(const char *name, uint32_t *out_bit)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } roles[] = {
        {"admin", COORD_POLICY_ADMIN},
        {"operator", COORD_POLICY_OPERATOR},
        {"viewer", COORD_POLICY_VIEWER},
    };

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, name) == 0) {
            *out_bit = roles[i].bit;
            return true;
        }
    }
    return false;
}

/* "KIND:PATTERN" of one of `kinds`, or "*". */
static bool is_selector(const char *text, const char *const *kinds)
{
    const char *colon = strchr(text, ':');

    if (strcmp(text, "*") == 0) {
        return true;
    }
    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    for (; *kinds != NULL; kinds++) {
        if (strlen(*kinds) == (size_t)(colon - text) &&
            memcmp(*kinds, text, (size_t)(colon - text)) == 0) {
            return true;
        }
    }
    return false;
}

static int check_who(const struct place *place, const char *text, struct ray_err *err)
{
    uint32_t bit;

    if (!is_selector(text, kinds_of_who)) {
        return refuse(place, err, "not an actor:", text,
                      "write \"*\", \"role:admin\", \"principal:NAME\", \"node:NAME\" or "
                      "\"guest:NAME\"");
    }
    if (strncmp(text, "role:", 5) == 0 && strcmp(text + 5, "*") != 0 &&
        !coord_policy_role_find(text + 5, &bit)) {
        return refuse(place, err, "no such role:", text, "roles are admin, operator and viewer");
    }
    return RAY_OK;
}

static int check_action(const struct place *place, const char *text, struct ray_err *err)
{
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        const char *action = coord_policy_action_text((enum coord_policy_action)i);

        if (coord_policy_action_level((enum coord_policy_action)i) <= place->level &&
            coord_policy_glob(text, action, strlen(action))) {
            return RAY_OK;
        }
    }
    return refuse(place, err, "no such action:", text,
                  "docs/reference/policy.md lists them all, with the feature level that new ones "
                  "come with");
}

static int check_object(const struct place *place, const char *text, struct ray_err *err)
{
    if (!is_selector(text, kinds_of_object)) {
        return refuse(place, err, "not an object:", text,
                      "write \"*\" or \"KIND:NAME\", as \"guest:web-*\"");
    }
    return RAY_OK;
}

static int check_on(const struct place *place, const char *text, struct ray_err *err)
{
    return text[0] != '\0' ? RAY_OK
                           : refuse(place, err, "empty name of a node:", text,
                                    "write a node's name, or leave 'on' out");
}

typedef int check_pattern(const struct place *place, const char *text, struct ray_err *err);

static int check_list(const struct place *place, char *const *patterns, size_t count,
                      check_pattern *check, struct ray_err *err)
{
    if (count > COORD_POLICY_PATTERNS_MAX) {
        return refuse(place, err, "more than 64 patterns in a list, the last:", patterns[count - 1],
                      "make two rules of it");
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_text(place, patterns[i], COORD_POLICY_PATTERN_SIZE_MAX, err);

        if (rc == RAY_OK) {
            rc = check(place, patterns[i], err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int check_label_key(const struct place *place, const char *key, struct ray_err *err)
{
    return key[0] != '\0'
               ? RAY_OK
               : refuse(place, err, "label without a key:", key, "write KEY = \"VALUE\"");
}

static int check_labels(const struct place *place, struct ray_err *err)
{
    const Rayos__Policy__Rule *rule = place->rule;

    if (rule->n_labels > COORD_POLICY_PATTERNS_MAX) {
        return refuse(place, err,
                      "more than 64 labels, the last:", rule->labels[rule->n_labels - 1]->key,
                      "make two rules of it");
    }
    for (size_t i = 0; i < rule->n_labels; i++) {
        int rc = check_text(place, rule->labels[i]->key, COORD_POLICY_PATTERN_SIZE_MAX, err);

        if (rc == RAY_OK) {
            rc = check_text(place, rule->labels[i]->value, COORD_POLICY_PATTERN_SIZE_MAX, err);
        }
        if (rc == RAY_OK) {
            rc = check_label_key(place, rule->labels[i]->key, err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static bool is_name(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || size >= COORD_POLICY_NAME_SIZE_MAX || strcmp(name, "default") == 0) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

static int check_name(const struct place *place, const char *name, struct ray_err *err)
{
    return is_name(name) ? RAY_OK
                         : refuse(place, err, "not a name for a rule:", name,
                                  "use 1 to 63 of a-z, 0-9 and '-'; \"default\" is taken");
}

static int check_nothing(const struct place *place, const char *text, struct ray_err *err)
{
    (void)place;
    (void)text;
    (void)err;
    return RAY_OK;
}

int coord_policy_check_text(enum coord_policy_field field, const char *text, struct ray_err *err)
{
    static check_pattern *const checks[] = {
        [COORD_POLICY_FIELD_NAME] = check_name,
        [COORD_POLICY_FIELD_WHO] = check_who,
        [COORD_POLICY_FIELD_ACTION] = check_action,
        [COORD_POLICY_FIELD_OBJECT] = check_object,
        [COORD_POLICY_FIELD_ON] = check_on,
        [COORD_POLICY_FIELD_LABEL_KEY] = check_label_key,
        [COORD_POLICY_FIELD_LABEL_VALUE] = check_nothing,
        [COORD_POLICY_FIELD_REASON] = check_nothing,
    };
    const struct place nowhere = {.rule = NULL, .level = COORD_POLICY_LEVEL};
    size_t size_max = field == COORD_POLICY_FIELD_REASON ? COORD_POLICY_REASON_SIZE_MAX
                                                         : COORD_POLICY_PATTERN_SIZE_MAX;
    int rc = check_text(&nowhere, text, size_max, err);

    return rc == RAY_OK ? checks[field](&nowhere, text, err) : rc;
}

static int check_head(const struct place *place, struct ray_err *err)
{
    const Rayos__Policy__Rule *rule = place->rule;

    if (check_name(place, rule->name, err) != RAY_OK) {
        return RAY_EINVAL;
    }
    if (rule->effect != RAYOS__POLICY__EFFECT__EFFECT_ALLOW &&
        rule->effect != RAYOS__POLICY__EFFECT__EFFECT_DENY &&
        rule->effect != RAYOS__POLICY__EFFECT__EFFECT_ASK) {
        return refuse(place, err, "has no effect:", rule->name,
                      "write effect = \"allow\", \"deny\" or \"ask\"");
    }
    if (rule->n_approvers > 0 && rule->effect != RAYOS__POLICY__EFFECT__EFFECT_ASK) {
        return refuse(place, err, "has approvers and does not ask:", rule->name,
                      "write effect = \"ask\", or leave 'approvers' out");
    }
    return check_text(place, rule->reason, COORD_POLICY_REASON_SIZE_MAX, err);
}

static bool has_other(const char *pattern, enum coord_policy_action than, uint32_t level)
{
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        const char *action = coord_policy_action_text((enum coord_policy_action)i);

        if (i != (int)than && coord_policy_action_level((enum coord_policy_action)i) <= level &&
            coord_policy_glob(pattern, action, strlen(action))) {
            return true;
        }
    }
    return false;
}

bool coord_policy_is_only_read(char *const *actions, size_t count, uint32_t level)
{
    const char *read = coord_policy_action_text(COORD_POLICY_REGISTRY_READ);
    bool result = count > 0;

    for (size_t i = 0; i < count && result; i++) {
        result = coord_policy_glob(actions[i], read, strlen(read)) &&
                 !has_other(actions[i], COORD_POLICY_REGISTRY_READ, level);
    }
    return result;
}

/* Such a rule never matches: one that denies would let through what it was written against. */
static int check_read(const struct place *place, struct ray_err *err)
{
    const Rayos__Policy__Rule *rule = place->rule;
    bool is_narrow =
        rule->n_object > 0 || rule->n_labels > 0 || rule->n_on > 0 || rule->at_most != NULL;

    return !place->is_new || !is_narrow ||
                   !coord_policy_is_only_read(rule->action, rule->n_action, place->level)
               ? RAY_OK
               : refuse(place, err, "registry.read has no object:", rule->name,
                        "leave 'object', 'labels', 'on' and 'at_most' out");
}

static int check_rule(const struct place *place, struct ray_err *err)
{
    const Rayos__Policy__Rule *rule = place->rule;
    int rc = check_head(place, err);

    if (rc == RAY_OK) {
        rc = check_list(place, rule->who, rule->n_who, check_who, err);
    }
    if (rc == RAY_OK) {
        rc = check_list(place, rule->action, rule->n_action, check_action, err);
    }
    if (rc == RAY_OK) {
        rc = check_list(place, rule->object, rule->n_object, check_object, err);
    }
    if (rc == RAY_OK) {
        rc = check_list(place, rule->on, rule->n_on, check_on, err);
    }
    if (rc == RAY_OK) {
        rc = check_list(place, rule->approvers, rule->n_approvers, check_who, err);
    }
    if (rc == RAY_OK) {
        rc = check_labels(place, err);
    }
    return rc == RAY_OK ? check_read(place, err) : rc;
}

static int check_unique(const struct place *place, const Rayos__Policy__Policy *message,
                        struct ray_err *err)
{
    for (size_t i = 0; i + 1 < place->number; i++) {
        if (strcmp(message->rules[i]->name, place->rule->name) == 0) {
            return refuse(place, err, "a second rule of this name:", place->rule->name,
                          "give each rule a name of its own");
        }
    }
    return RAY_OK;
}

int coord_policy_check(const Rayos__Policy__Policy *message, uint32_t level, bool is_new,
                       struct ray_err *err)
{
    if (message->n_rules > COORD_POLICY_RULES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a policy of %zu rules, at most %d", message->n_rules,
                        COORD_POLICY_RULES_MAX);
    }
    for (size_t i = 0; i < message->n_rules; i++) {
        struct place place = {message->rules[i], i + 1, level, is_new};
        int rc = check_rule(&place, err);

        if (rc == RAY_OK) {
            rc = check_unique(&place, message, err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* A field that this version does not know might narrow a rule; so nothing of it is used. */
static bool has_unknown(const Rayos__Policy__Policy *message)
{
    bool result = message->base.n_unknown_fields > 0;

    for (size_t i = 0; i < message->n_rules && !result; i++) {
        const Rayos__Policy__Rule *rule = message->rules[i];

        result = rule->base.n_unknown_fields > 0 ||
                 (rule->at_most != NULL && rule->at_most->base.n_unknown_fields > 0);
        for (size_t l = 0; l < rule->n_labels && !result; l++) {
            result = rule->labels[l]->base.n_unknown_fields > 0;
        }
    }
    return result;
}

static int read(struct coord_policy *policy, const uint8_t *bytes, size_t size, struct ray_err *err)
{
    ProtobufCMessage *message;
    int rc = ray_proto_unpack(&rayos__policy__policy__descriptor, bytes, size, &policy->arena,
                              &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    policy->message = (const Rayos__Policy__Policy *)message;
    for (size_t i = 0; i < policy->message->n_rules; i++) {
        policy->has_limits |= policy->message->rules[i]->at_most != NULL;
        policy->has_places |= policy->message->rules[i]->n_on > 0;
    }
    if (has_unknown(policy->message)) {
        return ray_fail(err, RAY_EUNSUPPORTED, "the policy is written for a later version");
    }
    return RAY_OK;
}

static int create(const uint8_t *bytes, size_t size, uint32_t level, bool is_new,
                  struct coord_policy **out_policy, struct ray_err *err)
{
    struct coord_policy *policy;
    int rc;

    if (size > COORD_POLICY_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a policy of %zu bytes, at most %d", size,
                        COORD_POLICY_SIZE_MAX);
    }
    policy = calloc(1, sizeof(*policy));
    if (policy == NULL) {
        return ray_fail(err, RAY_ENOMEM, "policy");
    }
    ray_arena_init(&policy->arena, ARENA_SIZE_MAX);
    rc = read(policy, bytes, size, err);
    if (rc == RAY_OK) {
        rc = coord_policy_check(policy->message, level, is_new, err);
    }
    if (rc != RAY_OK) {
        coord_policy_destroy(policy);
        return rc;
    }
    *out_policy = policy;
    return RAY_OK;
}

int coord_policy_create(const uint8_t *bytes, size_t size, struct coord_policy **out_policy,
                        struct ray_err *err)
{
    return create(bytes, size, COORD_POLICY_LEVEL, false, out_policy, err);
}

int coord_policy_create_new(uint32_t level, const uint8_t *bytes, size_t size,
                            struct coord_policy **out_policy, struct ray_err *err)
{
    return create(bytes, size, level, true, out_policy, err);
}

void coord_policy_destroy(struct coord_policy *policy)
{
    if (policy != NULL) {
        ray_arena_fini(&policy->arena);
        free(policy);
    }
}

uint32_t coord_policy_rule_count(const struct coord_policy *policy)
{
    return (uint32_t)policy->message->n_rules;
}

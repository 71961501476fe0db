/* policy_file.c - from the tree of TOML to the message, looking at everything: a problem ends
 * neither its rule nor the file, as whoever repairs them wants to see them all. Syntax is the
 * exception: behind what is no TOML there is nothing to look at. */
#include "clusterctl/policy/policy_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "clusterctl/policy/toml_tree.h"
#include "coordinator/policy/policy_api.h"
#include "net/proto/policy.pb-c.h"
#include "net/proto_codec.h"

enum { ARENA_SIZE_MAX = 64 << 20 };

struct reading {
    struct ray_arena arena;
    struct policy_file_problems *problems;
    bool is_out_of_memory;
};

/* ---- problems ---- */

static void __attribute__((format(printf, 5, 6))) add_problem(struct reading *reading,
                                                              uint32_t line, uint32_t column,
                                                              const char *next_step,
                                                              const char *format, ...)
{
    struct policy_file_problems *problems = reading->problems;
    struct policy_file_problem *problem;
    struct ray_err err; /* escapes what it quotes */
    va_list ap;

    if (problems->count == POLICY_FILE_PROBLEMS_MAX) {
        problems->left_out++;
        return;
    }
    va_start(ap, format);
    (void)ray_vfail(&err, RAY_EINVAL, format, ap);
    va_end(ap);
    problem = &problems->list[problems->count++];
    problem->line = line;
    problem->column = column;
    (void)snprintf(problem->text, sizeof problem->text, "%.255s", err.text);
    (void)snprintf(problem->next_step, sizeof problem->next_step, "%.255s", next_step);
}

static int compare_places(const void *a, const void *b)
{
    const struct policy_file_problem *one = a;
    const struct policy_file_problem *other = b;

    if (one->line != other->line) {
        return one->line < other->line ? -1 : 1;
    }
    return one->column == other->column ? 0 : one->column < other->column ? -1 : 1;
}

static const char *type_name(enum toml_tree_type type)
{
    switch (type) {
    case TOML_TREE_TABLE:
        return "a table";
    case TOML_TREE_ARRAY:
        return "a list";
    case TOML_TREE_STRING:
        return "a text";
    case TOML_TREE_INTEGER:
        return "a whole number";
    case TOML_TREE_OTHER:
        break;
    }
    return "a value of another type";
}

static bool is_type(struct reading *reading, const struct toml_tree *value,
                    enum toml_tree_type type, const char *next_step)
{
    if (value->type == type) {
        return true;
    }
    add_problem(reading, value->line, value->column, next_step, "%s where %s belongs",
                type_name(value->type), type_name(type));
    return false;
}

static void *allocate(struct reading *reading, size_t size)
{
    void *memory = ray_arena_alloc(&reading->arena, size);

    reading->is_out_of_memory |= memory == NULL;
    return memory;
}

/* ---- values ---- */

/* NULL: a problem. */
static char *take_text(struct reading *reading, const struct toml_tree *value,
                       enum coord_policy_field field)
{
    struct ray_err err = {0};

    if (!is_type(reading, value, TOML_TREE_STRING, "write it in quotation marks")) {
        return NULL;
    }
    if (strlen(value->text) != value->text_size) {
        add_problem(reading, value->line, value->column, "use printable ASCII",
                    "a text with a NUL in it");
        return NULL;
    }
    if (coord_policy_check_text(field, value->text, &err) != RAY_OK) {
        add_problem(reading, value->line, value->column, err.next_step, "%s", err.text);
        return NULL;
    }
    return (char *)(uintptr_t)value->text; /* protobuf-c packs from pointers without const */
}

static size_t count_of(const struct toml_tree *value)
{
    size_t count = 0;

    for (const struct toml_tree *child = value->first; child != NULL; child = child->next) {
        count++;
    }
    return count;
}

/* An empty list reads as "nobody" and would mean "anybody". */
static bool is_filled(struct reading *reading, const struct toml_tree *value)
{
    if (value->first != NULL) {
        return true;
    }
    add_problem(reading, value->line, value->column, "leave it out if it is to match everything",
                "'%s' is empty", value->key);
    return false;
}

static void take_list(struct reading *reading, const struct toml_tree *value,
                      enum coord_policy_field field, char ***out, size_t *out_count)
{
    char **list;
    size_t count = 0;

    if (!is_type(reading, value, TOML_TREE_ARRAY, "write [\"...\"]") ||
        !is_filled(reading, value)) {
        return;
    }
    list = allocate(reading, count_of(value) * sizeof *list);
    for (const struct toml_tree *child = value->first; child != NULL && list != NULL;
         child = child->next) {
        char *text = take_text(reading, child, field);

        if (text != NULL) {
            list[count++] = text;
        }
    }
    *out = list;
    *out_count = count;
}

static void take_labels(struct reading *reading, const struct toml_tree *value,
                        Rayos__Policy__Rule *rule)
{
    Rayos__Policy__LabelMatch **list;

    if (!is_type(reading, value, TOML_TREE_TABLE, "write { \"KEY\" = \"VALUE\" }") ||
        !is_filled(reading, value)) {
        return;
    }
    list = allocate(reading, count_of(value) * sizeof(*list));
    for (const struct toml_tree *child = value->first; child != NULL && list != NULL;
         child = child->next) {
        Rayos__Policy__LabelMatch *match = allocate(reading, sizeof *match);
        char *text = take_text(reading, child, COORD_POLICY_FIELD_LABEL_VALUE);
        struct ray_err err = {0};

        if (coord_policy_check_text(COORD_POLICY_FIELD_LABEL_KEY, child->key, &err) != RAY_OK) {
            add_problem(reading, child->key_line, child->key_column, err.next_step, "%s", err.text);
        } else if (match != NULL && text != NULL) {
            rayos__policy__label_match__init(match);
            match->key = (char *)(uintptr_t)child->key;
            match->value = text;
            list[rule->n_labels++] = match;
        }
    }
    rule->labels = list;
}

static uint64_t take_amount(struct reading *reading, const struct toml_tree *value, int64_t max)
{
    if (!is_type(reading, value, TOML_TREE_INTEGER, "write a whole number")) {
        return 0;
    }
    if (value->number < 1 || value->number > max) {
        add_problem(reading, value->line, value->column,
                    "leave it out if any amount is to match; 'effect' says what to deny",
                    "'%s' is not between 1 and %lld", value->key, (long long)max);
        return 0;
    }
    return (uint64_t)value->number;
}

static void unknown_key(struct reading *reading, const struct toml_tree *value, const char *where,
                        const char *known)
{
    add_problem(reading, value->key_line, value->key_column, known, "%s has no key '%.64s'", where,
                value->key);
}

static void take_at_most(struct reading *reading, const struct toml_tree *value,
                         Rayos__Policy__Rule *rule)
{
    Rayos__Policy__AtMost *most;

    if (!is_type(reading, value, TOML_TREE_TABLE, "write { vcpus = 4 }") ||
        !is_filled(reading, value)) {
        return;
    }
    most = allocate(reading, sizeof *most);
    if (most == NULL) {
        return;
    }
    rayos__policy__at_most__init(most);
    for (const struct toml_tree *child = value->first; child != NULL; child = child->next) {
        if (strcmp(child->key, "vcpus") == 0) {
            most->vcpus = (uint32_t)take_amount(reading, child, UINT32_MAX);
        } else if (strcmp(child->key, "memory_mib") == 0) {
            most->memory_mib = take_amount(reading, child, INT64_MAX);
        } else if (strcmp(child->key, "disk_mib") == 0) {
            most->disk_mib = take_amount(reading, child, INT64_MAX);
        } else {
            unknown_key(reading, child, "'at_most'", "it has vcpus, memory_mib and disk_mib");
        }
    }
    rule->at_most = most;
}

static void take_effect(struct reading *reading, const struct toml_tree *value,
                        Rayos__Policy__Rule *rule)
{
    static const char next_step[] = "write effect = \"allow\", \"deny\" or \"ask\"";

    if (!is_type(reading, value, TOML_TREE_STRING, next_step)) {
        return;
    }
    for (int effect = COORD_POLICY_ALLOW; effect <= COORD_POLICY_ASK; effect++) {
        if (strcmp(value->text, coord_policy_effect_text((enum coord_policy_effect)effect)) == 0) {
            rule->effect = (Rayos__Policy__Effect)effect;
            return;
        }
    }
    add_problem(reading, value->line, value->column, next_step, "not an effect: '%.64s'",
                value->text);
}

/* ---- rules ---- */

struct seen {
    bool has_name;
    bool has_effect;
    const struct toml_tree *approvers;
    const struct toml_tree *narrow; /* the first of object, labels, on, at_most */
};

static void set_text(char **field, char *text)
{
    if (text != NULL) {
        *field = text;
    }
}

static bool is_narrow(const char *key)
{
    return strcmp(key, "object") == 0 || strcmp(key, "labels") == 0 || strcmp(key, "on") == 0 ||
           strcmp(key, "at_most") == 0;
}

static void take_key(struct reading *reading, const struct toml_tree *value,
                     Rayos__Policy__Rule *rule, struct seen *seen)
{
    if (seen->narrow == NULL && is_narrow(value->key)) {
        seen->narrow = value;
    }
    if (strcmp(value->key, "name") == 0) {
        seen->has_name = true;
        set_text(&rule->name, take_text(reading, value, COORD_POLICY_FIELD_NAME));
    } else if (strcmp(value->key, "effect") == 0) {
        seen->has_effect = true;
        take_effect(reading, value, rule);
    } else if (strcmp(value->key, "who") == 0) {
        take_list(reading, value, COORD_POLICY_FIELD_WHO, &rule->who, &rule->n_who);
    } else if (strcmp(value->key, "action") == 0) {
        take_list(reading, value, COORD_POLICY_FIELD_ACTION, &rule->action, &rule->n_action);
    } else if (strcmp(value->key, "object") == 0) {
        take_list(reading, value, COORD_POLICY_FIELD_OBJECT, &rule->object, &rule->n_object);
    } else if (strcmp(value->key, "labels") == 0) {
        take_labels(reading, value, rule);
    } else if (strcmp(value->key, "on") == 0) {
        take_list(reading, value, COORD_POLICY_FIELD_ON, &rule->on, &rule->n_on);
    } else if (strcmp(value->key, "at_most") == 0) {
        take_at_most(reading, value, rule);
    } else if (strcmp(value->key, "approvers") == 0) {
        seen->approvers = value;
        take_list(reading, value, COORD_POLICY_FIELD_WHO, &rule->approvers, &rule->n_approvers);
    } else if (strcmp(value->key, "reason") == 0) {
        set_text(&rule->reason, take_text(reading, value, COORD_POLICY_FIELD_REASON));
    } else {
        unknown_key(reading, value, "a rule",
                    "it has name, effect, who, action, object, labels, on, at_most, approvers and "
                    "reason");
    }
}

static void take_rule(struct reading *reading, const struct toml_tree *value,
                      Rayos__Policy__Rule *rule)
{
    struct seen seen = {.has_name = false};

    rayos__policy__rule__init(rule);
    rule->line = value->line;
    if (!is_type(reading, value, TOML_TREE_TABLE, "write [[rule]]")) {
        return;
    }
    for (const struct toml_tree *child = value->first; child != NULL; child = child->next) {
        take_key(reading, child, rule, &seen);
    }
    if (!seen.has_name) {
        add_problem(reading, value->line, value->column, "write name = \"...\"",
                    "a rule without a name");
    }
    if (!seen.has_effect) {
        add_problem(reading, value->line, value->column,
                    "write effect = \"allow\", \"deny\" or \"ask\"", "a rule without an effect");
    }
    if (seen.approvers != NULL && seen.has_effect &&
        rule->effect != RAYOS__POLICY__EFFECT__EFFECT_ASK) {
        add_problem(reading, seen.approvers->key_line, seen.approvers->key_column,
                    "write effect = \"ask\", or leave 'approvers' out",
                    "a rule that does not ask has approvers");
    }
    if (seen.narrow != NULL &&
        coord_policy_is_only_read(rule->action, rule->n_action, COORD_POLICY_LEVEL)) {
        add_problem(reading, seen.narrow->key_line, seen.narrow->key_column,
                    "leave 'object', 'labels', 'on' and 'at_most' out",
                    "registry.read has no object: the rule would never match");
    }
}

static const struct toml_tree *name_in(const struct toml_tree *rule)
{
    const struct toml_tree *child = rule->first;

    while (child != NULL && strcmp(child->key, "name") != 0) {
        child = child->next;
    }
    return child != NULL ? child : rule;
}

static void find_twins(struct reading *reading, const struct toml_tree *list,
                       const Rayos__Policy__Policy *policy)
{
    const struct toml_tree *value = list->first;

    for (size_t i = 0; i < policy->n_rules; i++, value = value->next) {
        const Rayos__Policy__Rule *rule = policy->rules[i];
        size_t twin = 0;

        while (twin < i && strcmp(policy->rules[twin]->name, rule->name) != 0) {
            twin++;
        }
        if (twin < i && rule->name[0] != '\0') {
            const struct toml_tree *name = name_in(value);

            add_problem(reading, name->line, name->column, "give each rule a name of its own",
                        "a second rule '%.64s'; the first is in line %u", rule->name,
                        policy->rules[twin]->line);
        }
    }
}

static void take_rules(struct reading *reading, const struct toml_tree *value,
                       Rayos__Policy__Policy *policy)
{
    Rayos__Policy__Rule *rules;
    size_t count = count_of(value);

    if (!is_type(reading, value, TOML_TREE_ARRAY, "write [[rule]]")) {
        return;
    }
    if (count > COORD_POLICY_RULES_MAX) {
        add_problem(reading, value->key_line, value->key_column, "put rules together",
                    "%zu rules, at most %d", count, COORD_POLICY_RULES_MAX);
        return;
    }
    rules = allocate(reading, (count + 1) * sizeof *rules);
    policy->rules = allocate(reading, (count + 1) * sizeof *policy->rules);
    if (reading->is_out_of_memory) {
        return;
    }
    for (const struct toml_tree *child = value->first; child != NULL; child = child->next) {
        Rayos__Policy__Rule *rule = &rules[policy->n_rules];

        take_rule(reading, child, rule);
        policy->rules[policy->n_rules++] = rule;
    }
    find_twins(reading, value, policy);
}

static void take_root(struct reading *reading, const struct toml_tree *root,
                      Rayos__Policy__Policy *policy)
{
    for (const struct toml_tree *child = root->first; child != NULL; child = child->next) {
        if (strcmp(child->key, "rule") == 0) {
            take_rules(reading, child, policy);
        } else {
            unknown_key(reading, child, "a policy", "it has [[rule]] and nothing else");
        }
    }
    if (root->first == NULL) {
        add_problem(reading, 1, 1, "write at least one [[rule]]", "there is no rule");
    }
}

/* What only the whole can have wrong: limits. */
static int pack(struct reading *reading, const Rayos__Policy__Policy *policy,
                struct ray_buf *out_rules, struct ray_err *err)
{
    struct coord_policy *checked = NULL;
    struct ray_err problem = {0};
    const uint8_t *bytes;
    size_t size;
    int rc =
        ray_proto_pack(&policy->base, POLICY_FILE_SIZE_MAX, &reading->arena, &bytes, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = coord_policy_create_new(COORD_POLICY_LEVEL, bytes, size, &checked, &problem);
    coord_policy_destroy(checked);
    if (rc == RAY_ENOMEM) {
        return ray_fail(err, rc, "%s", problem.text);
    }
    if (rc != RAY_OK) {
        add_problem(reading, 1, 1, problem.next_step, "%s", problem.text);
        return RAY_OK;
    }
    return ray_buf_append(out_rules, bytes, size) == RAY_OK
               ? RAY_OK
               : ray_fail(err, RAY_ENOMEM, "rules of %zu bytes", size);
}

static int read_tree(struct reading *reading, const struct toml_tree *root,
                     struct ray_buf *out_rules, struct ray_err *err)
{
    Rayos__Policy__Policy policy = RAYOS__POLICY__POLICY__INIT;

    take_root(reading, root, &policy);
    if (reading->is_out_of_memory) {
        return ray_fail(err, RAY_ENOMEM, "the rules");
    }
    return reading->problems->count == 0 ? pack(reading, &policy, out_rules, err) : RAY_OK;
}

/* No TOML has control characters, no policy has other letters than ASCII's, and toml++ 3.4 is sure
 * that it meets neither in a key. */
static bool has_stranger(struct reading *reading, const char *text, size_t size)
{
    uint32_t line = 1;
    size_t line_start = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\n') {
            line++;
            line_start = i + 1;
        } else if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f) {
            add_problem(reading, line, (uint32_t)(i - line_start + 1), "remove it",
                        "no TOML: a control character (0x%02x)", c);
            return true;
        }
        if (c >= 0x80) {
            add_problem(reading, line, (uint32_t)(i - line_start + 1), "use ASCII",
                        "not ASCII (0x%02x), which a policy is, comments too", c);
            return true;
        }
    }
    return false;
}

static int read_text(struct reading *reading, const char *text, size_t size,
                     struct ray_buf *out_rules, struct ray_err *err)
{
    struct toml_tree_error error = {.line = 1, .column = 1};
    struct toml_tree *root = NULL;
    int rc;

    if (has_stranger(reading, text, size)) {
        return RAY_OK;
    }
    rc = toml_tree_read(text, size, &reading->arena, &root, &error);
    switch (rc) {
    case RAY_OK:
        return read_tree(reading, root, out_rules, err);
    case RAY_EMALFORMED:
        add_problem(reading, error.line, error.column, "https://toml.io has the language",
                    "no TOML: %s", error.message);
        return RAY_OK;
    case RAY_ETOOBIG:
        add_problem(reading, 1, 1, "a rule has lists and tables of texts and numbers",
                    "tables within tables, deeper than any rule has");
        return RAY_OK;
    default:
        return ray_fail(err, rc, "the rules");
    }
}

int policy_file_read(const char *text, size_t size, struct ray_buf *out_rules,
                     struct policy_file_problems *out_problems, struct ray_err *err)
{
    struct reading reading = {.problems = out_problems};
    int rc;

    out_problems->count = 0;
    out_problems->left_out = 0;
    if (size > POLICY_FILE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a policy of %zu bytes, at most %d", size,
                        POLICY_FILE_SIZE_MAX);
    }
    ray_arena_init(&reading.arena, ARENA_SIZE_MAX);
    rc = read_text(&reading, text, size, out_rules, err);
    ray_arena_fini(&reading.arena);
    qsort(out_problems->list, out_problems->count, sizeof(out_problems->list[0]), compare_places);
    if (rc == RAY_OK && out_problems->count > 0) {
        rc =
            ray_fail(err, RAY_EINVAL, "%zu problems", out_problems->count + out_problems->left_out);
    }
    return rc;
}

/* args.c - a scanner that takes one word at a time.
 *
 * The current command moves down the tree with each word that names a subcommand; at a leaf
 * words are positionals. Options belong to the leaf or are global. All rules are in
 * ray_args_scan_word, so that parsing and completion cannot differ. */
#include "base/args.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/args_table.h"

/* Errors made by the user carry the way to help. */
#define USAGE(scan, err, ...) usage((scan), (err), ray_fail((err), RAY_EUSAGE, __VA_ARGS__))

const char *ray_args_path_text(const struct ray_args *args, char *out, size_t out_size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < args->depth && used < out_size; i++) {
        int rc = snprintf(out + used, out_size - used, "%s%s", i > 0 ? " " : "", args->path[i]);

        used += rc > 0 ? (size_t)rc : 0;
    }
    return out;
}

static int usage(const struct ray_args_scan *scan, struct ray_err *err, int rc)
{
    char path[128];

    (void)ray_next(err, "run '%s --help'", ray_args_path_text(&scan->args, path, sizeof path));
    return rc;
}

static size_t option_count(const struct ray_args_option *options)
{
    size_t count = 0;

    while (options != NULL && options[count].name != NULL) {
        count++;
    }
    assert(count <= RAY_ARGS_OPTION_COUNT_MAX);
    return count;
}

static const struct ray_args_option *find_long(const struct ray_args_option *options,
                                               const char *name, size_t size)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == size && memcmp(options->name, name, size) == 0) {
            return options;
        }
    }
    return NULL;
}

static const struct ray_args_option *find_short(const struct ray_args_option *options, char name)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->short_name == name) {
            return options;
        }
    }
    return NULL;
}

const struct ray_args_command *ray_args_find_command(const struct ray_args_command *parent,
                                                     const char *name)
{
    const struct ray_args_command *command = parent->subcommands;

    for (; command != NULL && command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

static void enter_command(struct ray_args_scan *scan, const struct ray_args_command *command)
{
    /* Errors in a table are ours. */
    assert(scan->args.depth < RAY_ARGS_DEPTH_MAX);
    assert(command->subcommands == NULL || command->options == NULL);
    assert(command->subcommands != NULL || command->run != NULL);
    assert(command->positional_min <= command->positional_max);
    assert(command->positional_max <= RAY_ARGS_POSITIONAL_COUNT_MAX);
    (void)option_count(command->options);
    scan->args.command = command;
    scan->args.path[scan->args.depth++] = command->name;
}

void ray_args_scan_init(struct ray_args_scan *scan, const struct ray_args_command *root,
                        const struct ray_args_option *global_options)
{
    *scan = (struct ray_args_scan){.args = {.global_options = global_options}};
    (void)option_count(global_options);
    enter_command(scan, root);
}

/* Whether `value` is one of "a|b|c". */
static bool is_choice(const char *choices, const char *value)
{
    size_t value_size = strlen(value);

    for (;;) {
        size_t size = strcspn(choices, "|");

        if (size == value_size && memcmp(choices, value, size) == 0) {
            return true;
        }
        if (choices[size] == '\0') {
            return false;
        }
        choices += size + 1;
    }
}

static bool is_repeatable(const struct ray_args_option *option)
{
    size_t size = option->value_name != NULL ? strlen(option->value_name) : 0;

    return size > 3 && strcmp(option->value_name + size - 3, "...") == 0;
}

/* Where the value of an option is kept; *out_is_given is NULL for a global one. */
static const char **value_slot(struct ray_args *args, const struct ray_args_option *option,
                               bool **out_is_given)
{
    const struct ray_args_option *own = args->command->options;

    *out_is_given = NULL;
    for (size_t i = 0; own != NULL && own[i].name != NULL; i++) {
        if (&own[i] == option) {
            *out_is_given = &args->is_given[i];
            return &args->values[i];
        }
    }
    assert(args->global_options != NULL && option >= args->global_options);
    return &args->global_values[option - args->global_options];
}

static int set_value(struct ray_args_scan *scan, const struct ray_args_option *option,
                     const char *value, struct ray_err *err)
{
    struct ray_args *args = &scan->args;
    bool *is_given;
    const char **slot = value_slot(args, option, &is_given);

    if (option->choices != NULL && !is_choice(option->choices, value)) {
        return USAGE(scan, err, "--%s is '%s', must be one of %s", option->name, value,
                     option->choices);
    }
    if (is_repeatable(option)) {
        if (args->repeated_count == RAY_ARGS_REPEATED_COUNT_MAX) {
            return USAGE(scan, err, "--%s is given too often, at most %d times", option->name,
                         RAY_ARGS_REPEATED_COUNT_MAX);
        }
        args->repeated[args->repeated_count].option = option;
        args->repeated[args->repeated_count].value = value;
        args->repeated_count++;
    } else if (*slot != NULL && option->value_name != NULL) {
        return USAGE(scan, err, "--%s is given twice, as '%s' and '%s'", option->name, *slot,
                     value);
    }
    *slot = value;
    if (is_given != NULL) {
        *is_given = true;
    }
    return RAY_OK;
}

static int scan_long(struct ray_args_scan *scan, const char *word, struct ray_err *err)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const struct ray_args_option *option = find_long(scan->args.command->options, name, size);

    if (option == NULL) {
        option = find_long(scan->args.global_options, name, size);
    }
    if (option == NULL && strcmp(name, "help") == 0) {
        scan->wish = RAY_ARGS_WISH_HELP;
        return RAY_OK;
    }
    if (option == NULL && strcmp(name, "version") == 0) {
        scan->wish = RAY_ARGS_WISH_VERSION;
        return RAY_OK;
    }
    if (option == NULL) {
        return USAGE(scan, err, "unknown option '%s'", word);
    }
    if (option->value_name == NULL) {
        if (name[size] == '=') {
            return USAGE(scan, err, "option '--%s' takes no value", option->name);
        }
        return set_value(scan, option, "", err);
    }
    if (name[size] == '=') {
        return set_value(scan, option, name + size + 1, err);
    }
    scan->pending = option;
    return RAY_OK;
}

/* "-n 3", "-n3", "-vf". */
static int scan_short(struct ray_args_scan *scan, const char *word, struct ray_err *err)
{
    for (const char *at = word + 1; *at != '\0'; at++) {
        const struct ray_args_option *option = find_short(scan->args.command->options, *at);
        int rc;

        if (option == NULL) {
            option = find_short(scan->args.global_options, *at);
        }
        if (option == NULL && *at == 'h') {
            scan->wish = RAY_ARGS_WISH_HELP;
            return RAY_OK;
        }
        if (option == NULL) {
            return USAGE(scan, err, "unknown option '-%c' in '%s'", *at, word);
        }
        if (option->value_name != NULL && at[1] != '\0') {
            return set_value(scan, option, at + 1, err);
        }
        if (option->value_name != NULL) {
            scan->pending = option;
            return RAY_OK;
        }
        rc = set_value(scan, option, "", err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int scan_command(struct ray_args_scan *scan, const char *word, struct ray_err *err)
{
    const struct ray_args_command *command = ray_args_find_command(scan->args.command, word);
    char path[128];

    if (command == NULL) {
        return USAGE(scan, err, "unknown command '%s' of '%s'", word,
                     ray_args_path_text(&scan->args, path, sizeof path));
    }
    enter_command(scan, command);
    return RAY_OK;
}

static int scan_positional(struct ray_args_scan *scan, const char *word, struct ray_err *err)
{
    struct ray_args *args = &scan->args;

    if (args->positional_count >= args->command->positional_max) {
        return USAGE(scan, err, "unexpected argument '%s'", word);
    }
    args->positionals[args->positional_count++] = word;
    return RAY_OK;
}

int ray_args_scan_word(struct ray_args_scan *scan, const char *word, struct ray_err *err)
{
    const struct ray_args_option *pending = scan->pending;

    if (pending != NULL) {
        scan->pending = NULL;
        return set_value(scan, pending, word, err);
    }
    if (!scan->only_positionals && strcmp(word, "--") == 0) {
        scan->only_positionals = true;
        return RAY_OK;
    }
    if (!scan->only_positionals && strncmp(word, "--", 2) == 0) {
        return scan_long(scan, word, err);
    }
    if (!scan->only_positionals && word[0] == '-' && word[1] != '\0') {
        return scan_short(scan, word, err);
    }
    if (scan->args.command->subcommands != NULL) {
        return scan_command(scan, word, err);
    }
    return scan_positional(scan, word, err);
}

int ray_args_scan_end(struct ray_args_scan *scan, struct ray_err *err)
{
    const struct ray_args *args = &scan->args;
    char path[128];

    if (scan->pending != NULL) {
        return USAGE(scan, err, "option '--%s' needs a value %s", scan->pending->name,
                     scan->pending->value_name);
    }
    (void)ray_args_path_text(args, path, sizeof path);
    if (args->command->subcommands != NULL) {
        return USAGE(scan, err, "'%s' needs a command", path);
    }
    if (args->positional_count < args->command->positional_min) {
        return USAGE(scan, err, "'%s' needs %s", path,
                     args->command->positional != NULL ? args->command->positional
                                                       : "more arguments");
    }
    return RAY_OK;
}

int ray_args_parse(const struct ray_args_command *root,
                   const struct ray_args_option *global_options, int argc, char **argv,
                   struct ray_args *out, struct ray_err *err)
{
    struct ray_args_scan scan;
    int rc = RAY_OK;

    assert(root != NULL && argc >= 1 && out != NULL);
    ray_args_scan_init(&scan, root, global_options);
    for (int i = 1; i < argc && rc == RAY_OK; i++) {
        rc = ray_args_scan_word(&scan, argv[i], err);
        if (rc == RAY_OK && scan.wish != RAY_ARGS_WISH_RUN) {
            return USAGE(&scan, err, "'%s' stands alone", argv[i]);
        }
    }
    if (rc == RAY_OK) {
        rc = ray_args_scan_end(&scan, err);
    }
    if (rc == RAY_OK) {
        *out = scan.args;
    }
    return rc;
}

/* Own options hide global ones of the same name. */
static const struct ray_args_option *find_any(const struct ray_args *args, const char *name)
{
    const struct ray_args_option *option = find_long(args->command->options, name, strlen(name));

    if (option == NULL) {
        option = find_long(args->global_options, name, strlen(name));
    }
    assert(option != NULL);
    return option;
}

const char *ray_args_value(const struct ray_args *args, const char *option_name)
{
    const struct ray_args_option *option = find_any(args, option_name);
    bool *is_given;
    /* The slot is only read. */
    const char *value = *value_slot((struct ray_args *)(uintptr_t)args, option, &is_given);

    return value != NULL ? value : option->default_value;
}

bool ray_args_flag(const struct ray_args *args, const char *option_name)
{
    assert(find_any(args, option_name)->value_name == NULL);
    return ray_args_value(args, option_name) != NULL;
}

const char *ray_args_value_at(const struct ray_args *args, const char *option_name, size_t index)
{
    const struct ray_args_option *option = find_any(args, option_name);

    assert(is_repeatable(option));
    for (size_t i = 0; i < args->repeated_count; i++) {
        if (args->repeated[i].option == option && index-- == 0) {
            return args->repeated[i].value;
        }
    }
    return NULL;
}

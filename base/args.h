/* base/args.h - command lines from one table: parsing, help and completion.
 *
 * A program is a tree of commands; each has options and positional arguments. The same
 * table prints `--help` and answers `__complete`.
 * Memory: results borrow from argv.  Threads: one.  Blocks: never.
 * Trust: argv is the user's; texts quoted in errors are escaped. */
#ifndef RAY_BASE_ARGS_H
#define RAY_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    RAY_ARGS_OPTION_COUNT_MAX = 32,
    RAY_ARGS_POSITIONAL_COUNT_MAX = 32,
    RAY_ARGS_REPEATED_COUNT_MAX = 64,
    RAY_ARGS_DEPTH_MAX = 8,
};

struct ray_args_option {
    const char *name;          /* "nodes": --nodes N or --nodes=N */
    char short_name;           /* 'n' or 0 */
    const char *value_name;    /* "N"; NULL: a flag without value; ends in "...": may be repeated */
    const char *default_value; /* shown in help, returned when not given; or NULL */
    const char *choices;       /* "table|json|yaml|name"; NULL: any */
    const char *help;          /* one line */
};

struct ray_args;

struct ray_args_command {
    const char *name;       /* "up" */
    const char *positional; /* "[NAME] -- CMD..." as help shows it; NULL: none */
    size_t positional_min;
    size_t positional_max; /* the most; RAY_ARGS_POSITIONAL_COUNT_MAX: as many as fit */
    const char *help;      /* one line */
    const struct ray_args_option *options;      /* of a leaf; ends with a NULL name; NULL: none */
    const struct ray_args_command *subcommands; /* ends with a NULL name; NULL: a leaf */
    /* What a leaf does; returns the exit status. `context` is what was given to run. */
    int (*run)(const struct ray_args *args, void *context);
    /* Prints candidates for positional `index`, one a line; NULL: none. */
    void (*complete)(const struct ray_args *args, size_t index, void *context);
    bool is_hidden;      /* left out of help and completion */
    const void *subject; /* what this row is about, for a `run` of several rows; or NULL */
};

struct ray_args {
    const struct ray_args_command *command;
    const char *path[RAY_ARGS_DEPTH_MAX]; /* names of the commands from the root to this one */
    size_t depth;
    const char *values[RAY_ARGS_OPTION_COUNT_MAX]; /* by index of the command's options */
    bool is_given[RAY_ARGS_OPTION_COUNT_MAX];
    const char *positionals[RAY_ARGS_POSITIONAL_COUNT_MAX];
    size_t positional_count;
    const struct ray_args_option *global_options;         /* ends with a NULL name; or NULL */
    const char *global_values[RAY_ARGS_OPTION_COUNT_MAX]; /* a given flag has "" */
    struct {
        const struct ray_args_option *option;
        const char *value;
    } repeated[RAY_ARGS_REPEATED_COUNT_MAX]; /* values of repeatable options as they came */
    size_t repeated_count;
};

/* Parses argv[1..] against `root`. Global options may stand anywhere before "--".
 * RAY_OK: *out is set and out->command is a leaf with run.
 * RAY_EUSAGE: err says what is wrong, which argument, and err->next_step how help is had. */
int ray_args_parse(const struct ray_args_command *root,
                   const struct ray_args_option *global_options, int argc, char **argv,
                   struct ray_args *out, struct ray_err *err);

/* Parses and runs; handles --help, `help`, `--version` (prints `version`), `__complete`, and prints
 * usage errors to stderr. Returns the exit status (2 for usage). */
int ray_args_main(const struct ray_args_command *root, const struct ray_args_option *global_options,
                  const char *version, int argc, char **argv, void *context);

/* Value of an option of this command or a global one: given, else default, else NULL.
 * Asserts that the name is in the table. */
const char *ray_args_value(const struct ray_args *args, const char *option_name);
bool ray_args_flag(const struct ray_args *args, const char *option_name);

/* The value of a repeatable option that came `index`th, from 0; NULL beyond the last. */
const char *ray_args_value_at(const struct ray_args *args, const char *option_name, size_t index);

#endif

/* args_help.c - what the table says to people and shells: help, version, completion. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/args_table.h"

enum { HELP_LEFT_WIDTH_MAX = 30 };

/* "-n, --nodes N" */
static const char *option_left(const struct ray_args_option *option, char *out, size_t out_size)
{
    char letter[8] = "    ";

    if (option->short_name != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", option->short_name);
    }
    (void)snprintf(out, out_size, "%s--%s%s%s", letter, option->name,
                   option->value_name != NULL ? " " : "",
                   option->value_name != NULL ? option->value_name : "");
    return out;
}

static void print_row(const char *left, const char *help)
{
    if (strlen(left) > HELP_LEFT_WIDTH_MAX) {
        (void)printf("  %s\n  %-*s  %s\n", left, HELP_LEFT_WIDTH_MAX, "", help);
    } else {
        (void)printf("  %-*s  %s\n", HELP_LEFT_WIDTH_MAX, left, help);
    }
}

static void print_options(const char *title, const struct ray_args_option *options)
{
    if (options == NULL || options->name == NULL) {
        return;
    }
    (void)printf("\n%s\n", title);
    for (; options->name != NULL; options++) {
        char left[128];
        char help[512];
        size_t used;

        (void)snprintf(help, sizeof help, "%s", options->help != NULL ? options->help : "");
        used = strlen(help);
        if (options->choices != NULL) {
            (void)snprintf(help + used, sizeof help - used, " [%s]", options->choices);
            used = strlen(help);
        }
        if (options->default_value != NULL) {
            (void)snprintf(help + used, sizeof help - used, " (default: %s)",
                           options->default_value);
        }
        print_row(option_left(options, left, sizeof left), help);
    }
}

static void print_help(const struct ray_args *args)
{
    const struct ray_args_command *command = args->command;
    const struct ray_args_command *sub = command->subcommands;
    char path[256];

    (void)ray_args_path_text(args, path, sizeof path);
    (void)printf("%s - %s\n\nUsage: %s", path, command->help != NULL ? command->help : "", path);
    if (sub != NULL) {
        (void)printf(" COMMAND ...");
    } else {
        (void)printf("%s%s%s", command->options != NULL ? " [OPTIONS]" : "",
                     command->positional != NULL ? " " : "",
                     command->positional != NULL ? command->positional : "");
    }
    (void)printf("\n");
    if (sub != NULL) {
        (void)printf("\nCommands:\n");
    }
    for (; sub != NULL && sub->name != NULL; sub++) {
        if (!sub->is_hidden) {
            print_row(sub->name, sub->help != NULL ? sub->help : "");
        }
    }
    print_options("Options:", command->options);
    print_options("Global options:", args->global_options);
    (void)printf("\n");
    print_row("-h, --help", "show this text");
    if (args->depth == 1) {
        print_row("    --version", "show the version");
    }
}

/* "help [COMMAND...]". */
static int run_help(const struct ray_args_command *root,
                    const struct ray_args_option *global_options, int argc, char **argv,
                    struct ray_err *err)
{
    struct ray_args_scan scan;

    ray_args_scan_init(&scan, root, global_options);
    for (int i = 2; i < argc; i++) {
        int rc;

        if (scan.args.command->subcommands == NULL) {
            return ray_fail(err, RAY_EUSAGE, "no help on '%s'", argv[i]);
        }
        rc = ray_args_scan_word(&scan, argv[i], err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    print_help(&scan.args);
    return RAY_OK;
}

/* Shells filter candidates themselves; what cannot fit is left out here to keep lists short. */
static void print_candidate(const char *prefix, const char *before, const char *text,
                            size_t text_size)
{
    char candidate[256];

    (void)snprintf(candidate, sizeof candidate, "%s%.*s", before, (int)text_size, text);
    if (strncmp(candidate, prefix, strlen(prefix)) == 0) {
        (void)printf("%s\n", candidate);
    }
}

static void complete_options(const struct ray_args_option *options, const char *prefix)
{
    for (; options != NULL && options->name != NULL; options++) {
        print_candidate(prefix, "--", options->name, strlen(options->name));
    }
}

static void complete_choices(const struct ray_args_option *option, const char *prefix)
{
    const char *choices = option->choices;

    while (choices != NULL) {
        size_t size = strcspn(choices, "|");

        print_candidate(prefix, "", choices, size);
        choices = choices[size] == '|' ? choices + size + 1 : NULL;
    }
}

/* __complete WORD...: candidates for the last word, given those before it. Words before it that
 * are wrong are passed over: the user will hear of them when the command runs. */
static void run_complete(const struct ray_args_command *root,
                         const struct ray_args_option *global_options, int argc, char **argv,
                         void *context)
{
    const char *prefix = argc > 2 ? argv[argc - 1] : "";
    const struct ray_args_command *command;
    struct ray_args_scan scan;

    ray_args_scan_init(&scan, root, global_options);
    for (int i = 2; i < argc - 1; i++) {
        (void)ray_args_scan_word(&scan, argv[i], NULL);
    }
    command = scan.args.command;
    if (scan.pending != NULL) {
        complete_choices(scan.pending, prefix);
    } else if (!scan.only_positionals && prefix[0] == '-') {
        complete_options(command->options, prefix);
        complete_options(global_options, prefix);
        print_candidate(prefix, "", "--help", 6);
    } else if (command->subcommands != NULL) {
        for (const struct ray_args_command *sub = command->subcommands; sub->name != NULL; sub++) {
            if (!sub->is_hidden) {
                print_candidate(prefix, "", sub->name, strlen(sub->name));
            }
        }
    } else if (command->complete != NULL && scan.args.positional_count < command->positional_max) {
        command->complete(&scan.args, scan.args.positional_count, context);
    }
}

/* Scans everything; on RAY_OK the scan says what is wanted. */
static int scan_all(struct ray_args_scan *scan, int argc, char **argv, struct ray_err *err)
{
    for (int i = 1; i < argc; i++) {
        int rc = ray_args_scan_word(scan, argv[i], err);

        if (rc != RAY_OK || scan->wish != RAY_ARGS_WISH_RUN) {
            return rc;
        }
    }
    return ray_args_scan_end(scan, err);
}

static int finish_usage(const struct ray_args_command *root, int rc, const struct ray_err *err)
{
    if (rc != RAY_OK) {
        (void)fprintf(stderr, "%s: %s\n", root->name, err->text);
        if (err->next_step[0] != '\0') {
            (void)fprintf(stderr, "next: %s\n", err->next_step);
        }
    }
    return ray_err_exit_status(rc);
}

int ray_args_main(const struct ray_args_command *root, const struct ray_args_option *global_options,
                  const char *version, int argc, char **argv, void *context)
{
    struct ray_err err = {0};
    struct ray_args_scan scan;
    int rc;

    assert(root != NULL && version != NULL);
    if (argc >= 2 && strcmp(argv[1], "__complete") == 0) {
        run_complete(root, global_options, argc, argv, context);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "help") == 0 && root->subcommands != NULL &&
        ray_args_find_command(root, "help") == NULL) {
        rc = run_help(root, global_options, argc, argv, &err);
        return finish_usage(root, rc, &err);
    }
    ray_args_scan_init(&scan, root, global_options);
    rc = scan_all(&scan, argc, argv, &err);
    if (rc != RAY_OK) {
        return finish_usage(root, rc, &err);
    }
    switch (scan.wish) {
    case RAY_ARGS_WISH_HELP:
        print_help(&scan.args);
        return 0;
    case RAY_ARGS_WISH_VERSION:
        (void)printf("%s %s\n", root->name, version);
        return 0;
    case RAY_ARGS_WISH_RUN:
        break;
    }
    return scan.args.command->run(&scan.args, context);
}

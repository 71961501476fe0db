/* reference.c - a walk over the tree; one section for each command of the first level, one heading
 * for each leaf. */
#include "clusterctl/cli/reference.h"

#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"

enum { PATH_SIZE = 128, DEPTH_MAX = RAY_ARGS_DEPTH_MAX };

/* In a table a bar would end the cell. */
static void print_cell(const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        (void)fputs(*text == '|' ? "\\|" : (char[]){*text, '\0'}, stdout);
    }
}

static void print_option(const struct ray_args_option *option)
{
    (void)fputs("| `", stdout);
    if (option->short_name != 0) {
        (void)printf("-%c`, `", option->short_name);
    }
    (void)printf("--%s", option->name);
    if (option->value_name != NULL) {
        (void)fputc(' ', stdout);
        print_cell(option->value_name);
    }
    (void)fputs("` | ", stdout);
    print_cell(option->help);
    if (option->choices != NULL) {
        (void)fputs(": `", stdout);
        print_cell(option->choices);
        (void)fputc('`', stdout);
    }
    if (option->default_value != NULL) {
        (void)printf(" (`%s`)", option->default_value);
    }
    (void)fputs(" |\n", stdout);
}

static void print_options(const struct ray_args_option *options)
{
    if (options == NULL || options->name == NULL) {
        return;
    }
    (void)fputs("\n| option | what |\n| --- | --- |\n", stdout);
    for (; options->name != NULL; options++) {
        print_option(options);
    }
}

static void print_leaf(const struct ray_args_command *command, const char *path)
{
    (void)printf("\n### %s\n\n`%s%s%s%s`: %s.\n", path, path,
                 command->options != NULL ? " [OPTIONS]" : "",
                 command->positional != NULL ? " " : "",
                 command->positional != NULL ? command->positional : "", command->help);
    print_options(command->options);
}

/* Those that `path` names already are parents. */
static void print_below(const struct ray_args_command *command, const char *path, int depth)
{
    if (command->subcommands == NULL) {
        print_leaf(command, path);
        return;
    }
    for (const struct ray_args_command *sub = command->subcommands;
         sub->name != NULL && depth < DEPTH_MAX; sub++) {
        char below[PATH_SIZE];

        (void)snprintf(below, sizeof below, "%s %s", path, sub->name);
        if (!sub->is_hidden) {
            print_below(sub, below, depth + 1);
        }
    }
}

static int run_reference(const struct ray_args *args, void *context)
{
    const struct reference_tree *tree = context;

    (void)args;
    (void)printf("# %s\n\n"
                 "All commands. This page is made by `tools/clusterctl_docs` from the table that "
                 "parses them.\n"
                 "How a call finds its cluster: [contexts](contexts.md). What `-o json` prints: "
                 "[JSON](clusterctl-json.md).\n"
                 "How commands end: [exit statuses](exit-status.md).\n\nOf every command:\n",
                 tree->root->name);
    print_options(tree->options);
    for (const struct ray_args_command *command = tree->root->subcommands; command->name != NULL;
         command++) {
        if (!command->is_hidden) {
            (void)printf("\n## %s\n", command->name);
            if (command->subcommands != NULL) {
                (void)printf("\n%s.\n", command->help);
            }
            print_below(command, command->name, 0);
        }
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}

const struct ray_args_command reference_command = {.name = "reference",
                                                   .help = "print the page of all commands",
                                                   .run = run_reference,
                                                   .is_hidden = true};

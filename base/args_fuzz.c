/* The input is a command line, its words separated by NULs. Whatever they are, parsing ends in
 * RAY_OK with a leaf and counts within their limits, or in RAY_EUSAGE with a printable text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"

enum { WORD_COUNT_MAX = 200 };

static int run_nothing(const struct ray_args *args, void *context)
{
    (void)args;
    (void)context;
    return 0;
}

static const struct ray_args_option options[] = {
    {.name = "nodes", .short_name = 'n', .value_name = "N", .default_value = "3"},
    {.name = "boot", .short_name = 'b', .value_name = "HOW", .choices = "pxe|direct"},
    {.name = "verbose", .short_name = 'v'},
    {.name = "host", .value_name = "MAC..."},
    {0},
};

static const struct ray_args_option globals[] = {
    {.name = "output", .short_name = 'o', .value_name = "FORM", .choices = "table|json"},
    {0},
};

static const struct ray_args_command inner[] = {
    {.name = "up", .positional_max = 1, .options = options, .run = run_nothing},
    {.name = "exec",
     .positional_min = 2,
     .positional_max = RAY_ARGS_POSITIONAL_COUNT_MAX,
     .run = run_nothing},
    {0},
};

static const struct ray_args_command outer[] = {
    {.name = "lab", .subcommands = inner},
    {.name = "status", .run = run_nothing},
    {0},
};

static const struct ray_args_command root = {.name = "ctl", .subcommands = outer};

static void check_error(const struct ray_err *err)
{
    assert(err->code == RAY_EUSAGE && err->text[0] != '\0' && err->next_step[0] != '\0');
    for (const char *at = err->text; *at != '\0'; at++) {
        assert(*at >= 0x20 && *at < 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    char *argv[WORD_COUNT_MAX + 1] = {(char *)(uintptr_t)"ctl"};
    struct ray_err err = {0};
    struct ray_args args;
    int argc = 1;

    if (copy == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    for (size_t at = 0; at < size && argc < WORD_COUNT_MAX; at += strlen(copy + at) + 1) {
        argv[argc++] = copy + at;
    }
    if (ray_args_parse(&root, globals, argc, argv, &args, &err) == RAY_OK) {
        assert(args.command->run != NULL && args.depth >= 2);
        assert(args.positional_count >= args.command->positional_min);
        assert(args.positional_count <= args.command->positional_max);
        assert(args.repeated_count <= RAY_ARGS_REPEATED_COUNT_MAX);
        (void)ray_args_value(&args, "output");
    } else {
        check_error(&err);
    }
    free(copy);
    return 0;
}

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/size.h"
#include "base/test.h"

struct called {
    struct ray_args args;
    int count;
};

static int run_leaf(const struct ray_args *args, void *context)
{
    struct called *called = context;

    if (called != NULL) {
        called->args = *args;
        called->count++;
    }
    return 42;
}

static void complete_names(const struct ray_args *args, size_t index, void *context)
{
    (void)context;
    (void)printf("node%zu-%s\n", index, ray_args_value(args, "nodes"));
}

static const struct ray_args_option up_options[] = {
    {.name = "nodes",
     .short_name = 'n',
     .value_name = "N",
     .default_value = "3",
     .help = "how many"},
    {.name = "boot", .value_name = "HOW", .choices = "pxe|direct", .help = "how they boot"},
    {.name = "verbose", .short_name = 'v', .help = "say more"},
    {.name = "force", .short_name = 'f', .help = "do it anyway"},
    {.name = "host", .value_name = "MAC,IP...", .help = "fixed addresses"},
    {0},
};

static const struct ray_args_command lab_commands[] = {
    {.name = "up",
     .positional = "[NAME]",
     .positional_max = 1,
     .help = "starts a lab",
     .options = up_options,
     .run = run_leaf,
     .complete = complete_names},
    {.name = "exec",
     .positional = "NAME -- CMD...",
     .positional_min = 2,
     .positional_max = RAY_ARGS_POSITIONAL_COUNT_MAX,
     .help = "runs a command",
     .run = run_leaf},
    {.name = "switch", .help = "internal", .run = run_leaf, .is_hidden = true},
    {0},
};

static const struct ray_args_command commands[] = {
    {.name = "lab", .help = "machines", .subcommands = lab_commands},
    {.name = "status", .help = "how it is", .run = run_leaf},
    {0},
};

static const struct ray_args_command root = {
    .name = "ctl", .help = "the command line", .subcommands = commands};

static const struct ray_args_option globals[] = {
    {.name = "output",
     .short_name = 'o',
     .value_name = "FORM",
     .default_value = "table",
     .choices = "table|json|yaml|name",
     .help = "form of the output"},
    {.name = "quiet", .short_name = 'q', .help = "say less"},
    {0},
};

enum { WORD_COUNT_MAX = 64 };

static int parse(struct ray_args *out, struct ray_err *err, const char *const *words)
{
    char *argv[WORD_COUNT_MAX] = {(char *)(uintptr_t)"ctl"};
    int argc = 1;

    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < WORD_COUNT_MAX);
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    return ray_args_parse(&root, globals, argc, argv, out, err);
}
#define PARSE(out, err, ...) parse((out), (err), (const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    struct ray_args args;

    (void)state;
    assert_int_equal(PARSE(&args, NULL, "lab", "up"), RAY_OK);
    assert_string_equal(args.command->name, "up");
    assert_int_equal(args.depth, 3);
    assert_string_equal(args.path[1], "lab");
    assert_string_equal(ray_args_value(&args, "nodes"), "3");
    assert_null(ray_args_value(&args, "boot"));
    assert_string_equal(ray_args_value(&args, "output"), "table");
    assert_false(ray_args_flag(&args, "verbose"));
    assert_false(ray_args_flag(&args, "quiet"));
    assert_null(ray_args_value_at(&args, "host", 0));
    assert_int_equal(args.positional_count, 0);
    assert_false(args.is_given[0]);
}

static void test_ways_to_write_options(void **state)
{
    static const char *const ways[][6] = {
        {"lab", "up", "--nodes", "5", "-v", "my"},
        {"lab", "up", "--nodes=5", "-v", "my"},
        {"lab", "up", "-n", "5", "-v", "my"},
        {"lab", "up", "-n5", "-v", "my"},
        {"lab", "up", "my", "-vn5"},
        {"lab", "up", "-vn", "5", "--", "my"},
        {"lab", "up", "--verbose", "-n5", "my"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(ways); i++) {
        const char *words[7] = {NULL};
        struct ray_args args;

        memcpy(words, ways[i], sizeof ways[i]);
        assert_int_equal(parse(&args, NULL, words), RAY_OK);
        assert_string_equal(ray_args_value(&args, "nodes"), "5");
        assert_true(args.is_given[0]);
        assert_true(ray_args_flag(&args, "verbose"));
        assert_false(ray_args_flag(&args, "force"));
        assert_int_equal(args.positional_count, 1);
        assert_string_equal(args.positionals[0], "my");
    }
}

static void test_globals_stand_anywhere(void **state)
{
    struct ray_args args;

    (void)state;
    assert_int_equal(PARSE(&args, NULL, "-o", "json", "lab", "-q", "up"), RAY_OK);
    assert_string_equal(ray_args_value(&args, "output"), "json");
    assert_true(ray_args_flag(&args, "quiet"));
    assert_int_equal(PARSE(&args, NULL, "status", "--output=yaml"), RAY_OK);
    assert_string_equal(ray_args_value(&args, "output"), "yaml");
}

static void test_rest_belongs_to_the_command(void **state)
{
    struct ray_args args;

    (void)state;
    assert_int_equal(PARSE(&args, NULL, "lab", "exec", "node1", "--", "ls", "-l", "--", "-o"),
                     RAY_OK);
    assert_int_equal(args.positional_count, 5);
    assert_string_equal(args.positionals[2], "-l");
    assert_string_equal(args.positionals[3], "--");
    assert_string_equal(args.positionals[4], "-o");
    assert_int_equal(PARSE(&args, NULL, "lab", "exec", "-", ""), RAY_OK);
    assert_string_equal(args.positionals[0], "-");
    assert_string_equal(args.positionals[1], "");
}

static void test_repeated(void **state)
{
    struct ray_args args;

    (void)state;
    assert_int_equal(PARSE(&args, NULL, "lab", "up", "--host", "a", "--host=b"), RAY_OK);
    assert_string_equal(ray_args_value_at(&args, "host", 0), "a");
    assert_string_equal(ray_args_value_at(&args, "host", 1), "b");
    assert_null(ray_args_value_at(&args, "host", 2));
}

static void test_limits(void **state)
{
    char *argv[RAY_ARGS_REPEATED_COUNT_MAX + 4] = {
        (char *)(uintptr_t)"ctl", (char *)(uintptr_t)"lab", (char *)(uintptr_t)"up"};
    struct ray_args args;
    int most = RAY_ARGS_REPEATED_COUNT_MAX;

    (void)state;
    for (int i = 0; i <= most; i++) {
        argv[3 + i] = (char *)(uintptr_t)"--host=x";
    }
    assert_int_equal(ray_args_parse(&root, globals, 3 + most, argv, &args, NULL), RAY_OK);
    assert_string_equal(ray_args_value_at(&args, "host", (size_t)most - 1), "x");
    assert_int_equal(ray_args_parse(&root, globals, 4 + most, argv, &args, NULL), RAY_EUSAGE);
    argv[2] = (char *)(uintptr_t)"exec";
    for (int i = 0; i <= most; i++) {
        argv[3 + i] = (char *)(uintptr_t)"x";
    }
    most = RAY_ARGS_POSITIONAL_COUNT_MAX;
    assert_int_equal(ray_args_parse(&root, globals, 3 + most, argv, &args, NULL), RAY_OK);
    assert_int_equal(ray_args_parse(&root, globals, 4 + most, argv, &args, NULL), RAY_EUSAGE);
}

static void test_wrong_usage(void **state)
{
    static const struct {
        const char *words[5];
        const char *text;
        const char *help;
    } cases[] = {
        {{NULL}, "'ctl' needs a command", "run 'ctl --help'"},
        {{"lab"}, "'ctl lab' needs a command", "run 'ctl lab --help'"},
        {{"lap"}, "unknown command 'lap' of 'ctl'", "run 'ctl --help'"},
        {{"lab", "u\x1bp"}, "unknown command 'u\\x1bp' of 'ctl lab'", "run 'ctl lab --help'"},
        {{"lab", "up", "a", "b"}, "unexpected argument 'b'", "run 'ctl lab up --help'"},
        {{"lab", "exec", "a"}, "'ctl lab exec' needs NAME -- CMD...", "run 'ctl lab exec --help'"},
        {{"lab", "up", "--nope"}, "unknown option '--nope'", "run 'ctl lab up --help'"},
        {{"lab", "up", "--node=1"}, "unknown option '--node=1'", "run 'ctl lab up --help'"},
        {{"lab", "up", "-vx"}, "unknown option '-x' in '-vx'", "run 'ctl lab up --help'"},
        {{"lab", "--nodes=3", "up"}, "unknown option '--nodes=3'", "run 'ctl lab --help'"},
        {{"lab", "up", "--nodes"}, "option '--nodes' needs a value N", "run 'ctl lab up --help'"},
        {{"lab", "up", "-n"}, "option '--nodes' needs a value N", "run 'ctl lab up --help'"},
        {{"lab", "up", "-v=1"}, "unknown option '-=' in '-v=1'", "run 'ctl lab up --help'"},
        {{"lab", "up", "--force=1"}, "option '--force' takes no value", "run 'ctl lab up --help'"},
        {{"lab", "up", "-n1", "-n2"},
         "--nodes is given twice, as '1' and '2'",
         "run 'ctl lab up --help'"},
        {{"lab", "up", "--boot=px"},
         "--boot is 'px', must be one of pxe|direct",
         "run 'ctl lab up --help'"},
        {{"status", "-o", ""},
         "--output is '', must be one of table|json|yaml|name",
         "run 'ctl status --help'"},
        {{"status", "--help"}, "'--help' stands alone", "run 'ctl status --help'"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct ray_args args = {.depth = 77};
        struct ray_err err = {0};
        const char *words[6] = {NULL};

        memcpy(words, cases[i].words, sizeof cases[i].words);
        assert_int_equal(parse(&args, &err, words), RAY_EUSAGE);
        assert_string_equal(err.text, cases[i].text);
        assert_string_equal(err.next_step, cases[i].help);
        assert_int_equal(args.depth, 77);
        assert_int_equal(parse(&args, NULL, words), RAY_EUSAGE);
    }
}

/* Runs ray_args_main with stdout and stderr caught in `out`; returns its status. */
static int run_main(char *out, size_t out_size, struct called *called, const char *const *words)
{
    char *argv[WORD_COUNT_MAX] = {(char *)(uintptr_t)"ctl"};
    int saved[2] = {dup(1), dup(2)};
    int fds[2];
    int argc = 1;
    int status;
    ssize_t got;

    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    assert_true(saved[0] >= 0 && saved[1] >= 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(fflush(stdout), 0);
    assert_true(dup2(fds[1], 1) == 1 && dup2(fds[1], 2) == 2);
    status = ray_args_main(&root, globals, "1.2.3", argc, argv, called);
    (void)fflush(stdout);
    (void)dup2(saved[0], 1);
    (void)dup2(saved[1], 2);
    got = read(fds[0], out, out_size - 1);
    out[got > 0 ? got : 0] = '\0';
    (void)close(saved[0]);
    (void)close(saved[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return status;
}
#define MAIN(out, called, ...)                                                                     \
    run_main((out), sizeof(out), (called), (const char *const[]){__VA_ARGS__, NULL})

static void test_main_runs(void **state)
{
    struct called called = {.count = 0};
    char out[4096];

    (void)state;
    assert_int_equal(MAIN(out, &called, "lab", "up", "x"), 42);
    assert_int_equal(called.count, 1);
    assert_string_equal(called.args.positionals[0], "x");
    assert_int_equal(MAIN(out, &called, "lab", "switch"), 42);
    assert_string_equal(out, "");
    assert_int_equal(MAIN(out, &called, "lab", "pu"), 2);
    assert_string_equal(out,
                        "ctl: unknown command 'pu' of 'ctl lab'\nnext: run 'ctl lab --help'\n");
    assert_int_equal(MAIN(out, &called, "--version"), 0);
    assert_string_equal(out, "ctl 1.2.3\n");
    assert_int_equal(called.count, 2);
}

static void test_help(void **state)
{
    char first[4096];
    char out[4096];

    (void)state;
    assert_int_equal(MAIN(out, NULL, "--help"), 0);
    assert_non_null(strstr(out, "Usage: ctl COMMAND"));
    assert_non_null(strstr(out, "\n  lab "));
    assert_non_null(strstr(out, "--version"));
    assert_int_equal(MAIN(first, NULL, "help"), 0);
    assert_string_equal(first, out);
    assert_int_equal(MAIN(out, NULL, "lab", "-h"), 0);
    assert_null(strstr(out, "switch"));
    assert_int_equal(MAIN(out, NULL, "lab", "up", "x", "--help", "--nonsense"), 0);
    assert_non_null(strstr(out, "Usage: ctl lab up [OPTIONS] [NAME]\n"));
    assert_non_null(strstr(out, "-n, --nodes N "));
    assert_non_null(strstr(out, "how many (default: 3)"));
    assert_non_null(strstr(out, "[pxe|direct]"));
    assert_non_null(strstr(out, "Global options:"));
    assert_int_equal(MAIN(first, NULL, "help", "lab", "up"), 0);
    assert_string_equal(first, out);
    assert_int_equal(MAIN(out, NULL, "help", "nope"), 2);
    assert_int_equal(MAIN(out, NULL, "help", "status", "x"), 2);
}

static void test_completion(void **state)
{
    static const struct {
        const char *words[6];
        const char *candidates;
    } cases[] = {
        {{"__complete"}, "lab\nstatus\n"},
        {{"__complete", ""}, "lab\nstatus\n"},
        {{"__complete", "l"}, "lab\n"},
        {{"__complete", "lab", ""}, "up\nexec\n"},
        {{"__complete", "lab", "up", "--no"}, "--nodes\n"},
        {{"__complete", "status", "-"}, "--output\n--quiet\n--help\n"},
        {{"__complete", "lab", "up", "--boot", ""}, "pxe\ndirect\n"},
        {{"__complete", "-o", "j"}, "json\n"},
        {{"__complete", "lab", "up", "-n7", ""}, "node0-7\n"},
        {{"__complete", "lab", "up", "x", ""}, ""},
        {{"__complete", "lab", "exec", "--", "-"}, ""},
        {{"__complete", "wrong", "lab", "--bad", "u"}, "up\n"},
    };
    char out[4096];

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        const char *words[7] = {NULL};

        memcpy(words, cases[i].words, sizeof cases[i].words);
        assert_int_equal(run_main(out, sizeof out, NULL, words), 0);
        assert_string_equal(out, cases[i].candidates);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_ways_to_write_options),
        cmocka_unit_test(test_globals_stand_anywhere),
        cmocka_unit_test(test_rest_belongs_to_the_command),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_main_runs),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_completion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

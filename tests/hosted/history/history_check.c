/* history_check FILE: whether what clients of real processes saw could have happened one after
 * another; the simulator's full search. Exit status: 0 it could, 1 it could not, 3 the search was
 * given up, 2 the file is none. */
#include <stdio.h>

#include "base/args.h"
#include "tests/hosted/history/history_file.h"
#include "tests/sim/check_linear.h"

enum { STEPS_MAX = 20000000, STATUS_BAD = 1, STATUS_NO_FILE = 2, STATUS_GIVEN_UP = 3 };

static void say(const struct sim_history *history, const char *verdict)
{
    size_t counts[3] = {0};
    size_t failed_count = 0;
    size_t unknown_count = 0;

    for (size_t i = 0; i < history->count; i++) {
        counts[history->ops[i].kind]++;
        failed_count += history->ops[i].has_failed;
        unknown_count += !history->ops[i].is_known;
    }
    (void)printf(
        "history: %zu reads, %zu writes, %zu swaps (%zu of them failed), %zu unknown: %s\n",
        counts[SIM_OP_READ], counts[SIM_OP_WRITE], counts[SIM_OP_SWAP], failed_count, unknown_count,
        verdict);
}

static int check(const struct sim_history *history)
{
    struct sim_verdict verdict = {0};
    bool is_complete = sim_check_linear(history, STEPS_MAX, &verdict);

    if (verdict.is_bad) {
        say(history, verdict.text);
        return STATUS_BAD;
    }
    say(history, is_complete ? "linearizable" : "the search was given up");
    return is_complete ? 0 : STATUS_GIVEN_UP;
}

static int run(const struct ray_args *args, void *context)
{
    struct sim_history history = {0};
    struct ray_err err = {0};
    FILE *file = fopen(args->positionals[0], "re");
    int status = STATUS_NO_FILE;

    (void)context;
    if (file == NULL) {
        (void)fprintf(stderr, "history_check: %s cannot be opened\n", args->positionals[0]);
        return STATUS_NO_FILE;
    }
    if (history_file_read(file, &history, &err) != RAY_OK) {
        (void)fprintf(stderr, "history_check: %s\n", err.text);
    } else {
        status = check(&history);
    }
    sim_history_fini(&history);
    (void)fclose(file); /* was only read */
    return status;
}

static const struct ray_args_command command = {
    .name = "history_check",
    .positional = "FILE",
    .positional_min = 1,
    .positional_max = 1,
    .help = "judges a history of clients",
    .run = run,
};

int main(int argc, char **argv)
{
    return ray_args_main(&command, NULL, RAY_VERSION, argc, argv, NULL);
}

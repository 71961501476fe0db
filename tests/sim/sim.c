/* The simulator: many seeds in one process, or one with its trace.
 *
 *   sim [--node raft|replica|grants] [--seeds FIRST:COUNT] [--seed N] [--nodes N] [--linear EVERY]
 *       [--mutant NAME] [--keep-going | --until CHECKER[|CHECKER...]] [--trace] [--json FILE]
 *   sim --list-mutants | --list-checkers
 *
 * Exit status: 0 all seeds held, 1 one did not, 2 usage. A failed assertion counts as a violation
 * of `crash`. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coordinator/mutant.h"
#include "tests/sim/run.h"

static const struct sim_node_ops *const nodes[] = {&sim_node_raft, &sim_node_replica,
                                                   &sim_node_grants};

enum { NODE_COUNT = sizeof nodes / sizeof nodes[0], MMAP_SIZE_MIN = 32 << 10 };

struct arguments {
    struct sim_options options;
    uint64_t first;
    uint64_t count;
    const char *mutant;
    const char *json;
    const char *until; /* goes on unless one of these convicts */
    bool is_going_on;
};

struct totals {
    uint64_t seeds;
    uint64_t failed;
    uint64_t events;
    uint64_t messages;
    uint64_t ops;
    uint64_t done;
    uint64_t commits;
    uint64_t elections;
    uint64_t starts;
    uint64_t damaged;
    uint64_t linear;
    uint64_t watched;
    uint64_t resyncs;
    uint64_t compared; /* what viewers show */
    uint64_t lost;
    uint64_t runs; /* of guests */
    uint64_t takeovers;
    uint64_t migrations;
    uint64_t first_bad;
    enum sim_checker first_checker;
    char first_text[SIM_VERDICT_TEXT_SIZE];
};

/* For the handler of a crash alone. */
static volatile uint64_t running_seed;
static const char *volatile running_json;

static void put_text(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0) {
        return; /* nobody is left to tell */
    }
}

static void put_number(int fd, uint64_t number)
{
    char digits[21];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_text(fd, digits + at);
}

/* The seed that died, also where nobody reads what else it said. */
static void on_crash(int number)
{
    put_text(STDERR_FILENO, "sim: seed ");
    put_number(STDERR_FILENO, running_seed);
    put_text(STDERR_FILENO, " violates crash: signal ");
    put_number(STDERR_FILENO, (uint64_t)number);
    put_text(STDERR_FILENO, "\n");
    if (running_json != NULL) {
        /* "w" of stdio has not been used yet: the file is made only at the end. */
        FILE *file = fopen(running_json, "we"); // NOLINT(bugprone-signal-handler,cert-sig30-c)

        if (file != NULL) {
            (void)fprintf(file, // NOLINT(bugprone-signal-handler,cert-sig30-c)
                          "{\"seeds\": 0, \"failed\": 1, \"first_bad\": %" PRIu64
                          ", \"checker\": \"crash\"}\n",
                          running_seed);
            (void)fclose(file); // NOLINT(bugprone-signal-handler,cert-sig30-c)
        }
    }
    _exit(1);
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: sim [--node raft|replica|grants] [--seeds FIRST:COUNT | --seed N]\n"
                  "           [--nodes N] [--linear EVERY] [--mutant NAME]\n"
                  "           [--keep-going | --until CHECKER[|CHECKER...]] [--trace]\n"
                  "           [--json FILE]\n"
                  "       sim --list-mutants | --list-checkers\n");
    return 2;
}

static void list_mutants(void)
{
    for (int i = RAY_MUTANT_NONE + 1; i < RAY_MUTANT_COUNT; i++) {
        const struct ray_mutant_info *info = ray_mutant_info((enum ray_mutant)i);

        (void)printf("%s\t%s\t%s\n", info->name, info->checker, info->text);
    }
}

static void list_checkers(void)
{
    for (int i = 0; i < SIM_CHECKER_COUNT; i++) {
        (void)printf("%s\t%s\n", sim_checker_name((enum sim_checker)i),
                     sim_checker_text((enum sim_checker)i));
    }
}

static bool parse_number(const char *text, char end, uint64_t *out, const char **out_rest)
{
    char *rest;

    errno = 0;
    unsigned long long value = strtoull(text, &rest, 10);

    if (errno != 0 || rest == text || *rest != end || text[0] == '-') {
        return false;
    }
    *out = value;
    if (out_rest != NULL) {
        *out_rest = rest + 1;
    }
    return true;
}

static bool parse_node(const char *name, struct sim_options *options)
{
    for (size_t i = 0; i < NODE_COUNT; i++) {
        if (strcmp(nodes[i]->name, name) == 0) {
            options->ops = nodes[i];
            return true;
        }
    }
    return false;
}

/* An option with a value; false: neither known nor right. */
static bool take_value(struct arguments *arguments, const char *name, const char *value)
{
    const char *rest;
    uint64_t number;

    if (strcmp(name, "--node") == 0) {
        return parse_node(value, &arguments->options);
    }
    if (strcmp(name, "--seeds") == 0) {
        return parse_number(value, ':', &arguments->first, &rest) &&
               parse_number(rest, '\0', &arguments->count, NULL);
    }
    if (strcmp(name, "--mutant") == 0) {
        arguments->mutant = value;
        return true;
    }
    if (strcmp(name, "--json") == 0) {
        arguments->json = value;
        return true;
    }
    if (strcmp(name, "--until") == 0) {
        arguments->until = value;
        return true;
    }
    if (!parse_number(value, '\0', &number, NULL)) {
        return false;
    }
    if (strcmp(name, "--seed") == 0) {
        arguments->first = number;
        arguments->count = 1;
    } else if (strcmp(name, "--nodes") == 0 && number <= 7) {
        arguments->options.node_count = (uint32_t)number;
    } else if (strcmp(name, "--linear") == 0 && number <= UINT32_MAX) {
        arguments->options.linear_every = (uint32_t)number;
    } else {
        return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--keep-going") == 0) {
            arguments->is_going_on = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            arguments->options.trace = stdout;
        } else if (i + 1 < argc && take_value(arguments, argv[i], argv[i + 1])) {
            i++;
        } else {
            return false;
        }
    }
    return true;
}

/* Whether `list` (words between bars) has `word`. */
static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = list; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, word, size) == 0 && (at[size] == '|' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool is_asked(const struct arguments *arguments, const struct sim_result *result)
{
    return result->verdict.is_bad &&
           (arguments->until == NULL ||
            has_word(arguments->until, sim_checker_name(result->verdict.checker)));
}

static void add_up(struct totals *totals, uint64_t seed, const struct sim_result *result,
                   bool is_first_wanted)
{
    totals->seeds++;
    totals->events += result->event_count;
    totals->messages += result->message_count;
    totals->ops += result->op_count;
    totals->done += result->done_count;
    totals->commits += result->commit_count;
    totals->elections += result->election_count;
    totals->starts += result->start_count;
    totals->damaged += result->damaged_count;
    totals->linear += result->linear_count;
    totals->watched += result->watched_count;
    totals->resyncs += result->resync_count;
    totals->compared += result->compared_count;
    totals->lost += result->lost_count;
    totals->runs += result->run_count;
    totals->takeovers += result->takeover_count;
    totals->migrations += result->migration_count;
    totals->failed += result->verdict.is_bad;
    if (is_first_wanted && totals->first_bad == 0) {
        totals->first_bad = seed;
        totals->first_checker = result->verdict.checker;
        memcpy(totals->first_text, result->verdict.text, sizeof totals->first_text);
    }
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static int write_json(const char *path, const struct totals *totals, double seconds)
{
    FILE *file = fopen(path, "we");

    if (file == NULL) {
        (void)fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        return 1;
    }
    (void)fprintf(file,
                  "{\"seeds\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"seconds\": %.2f,"
                  " \"events\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"ops\": %" PRIu64
                  ", \"done\": %" PRIu64 ", \"commits\": %" PRIu64 ", \"elections\": %" PRIu64
                  ", \"starts\": %" PRIu64 ", \"damaged\": %" PRIu64 ", \"linear\": %" PRIu64
                  ", \"watched\": %" PRIu64 ", \"resyncs\": %" PRIu64 ", \"lost\": %" PRIu64
                  ", \"runs\": %" PRIu64 ", \"takeovers\": %" PRIu64 ", \"migrations\": %" PRIu64,
                  totals->seeds, totals->failed, seconds, totals->events, totals->messages,
                  totals->ops, totals->done, totals->commits, totals->elections, totals->starts,
                  totals->damaged, totals->linear, totals->watched, totals->resyncs, totals->lost,
                  totals->runs, totals->takeovers, totals->migrations);
    if (totals->first_bad > 0) {
        (void)fprintf(file, ", \"first_bad\": %" PRIu64 ", \"checker\": \"%s\"", totals->first_bad,
                      sim_checker_name(totals->first_checker));
    }
    (void)fprintf(file, "}\n");
    return fclose(file) == 0 ? 0 : 1;
}

static void say_one(const struct arguments *arguments, uint64_t seed,
                    const struct sim_result *result)
{
    if (result->verdict.is_bad) {
        (void)fprintf(stderr,
                      "sim: seed %" PRIu64 " violates %s: %s; again: sim --node %s --seed %" PRIu64
                      " --trace\n",
                      seed, sim_checker_name(result->verdict.checker), result->verdict.text,
                      arguments->options.ops->name, seed);
    }
    if (arguments->count == 1) {
        (void)printf("seed %" PRIu64 " hash %016" PRIx64 " events %" PRIu64 " messages %" PRIu64
                     " asked %" PRIu64 " answered %" PRIu64 " entries %" PRIu64
                     " elections %" PRIu64 " starts %" PRIu64 "\n",
                     seed, result->hash, result->event_count, result->message_count,
                     result->op_count, result->done_count, result->commit_count,
                     result->election_count, result->start_count);
    }
}

static int run_all(struct arguments *arguments)
{
    struct totals totals = {0};
    struct sim_result result;
    struct timespec begin;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < arguments->count; i++) {
        running_seed = arguments->first + i;
        arguments->options.seed = arguments->first + i;
        sim_run(&arguments->options, &result);
        add_up(&totals, arguments->options.seed, &result, is_asked(arguments, &result));
        say_one(arguments, arguments->options.seed, &result);
        if (is_asked(arguments, &result) && !arguments->is_going_on) {
            break;
        }
    }
    double seconds = seconds_since(&begin);

    (void)printf("sim: %" PRIu64 " seeds, %" PRIu64 " violations, %.0f seeds/s, %" PRIu64
                 " operations, %" PRIu64 " entries, %" PRIu64 " elections, %" PRIu64
                 " starts of processes, %" PRIu64 " searched in full, %" PRIu64
                 " events watched, %" PRIu64 " resyncs, %" PRIu64 " views compared, %" PRIu64
                 " left without anybody to lead\n",
                 totals.seeds, totals.failed, (double)totals.seeds / seconds, totals.ops,
                 totals.commits, totals.elections, totals.starts, totals.linear, totals.watched,
                 totals.resyncs, totals.compared, totals.lost);
    if (totals.runs > 0) {
        (void)printf("sim: %" PRIu64 " runs of guests, %" PRIu64 " taken over by death, %" PRIu64
                     " migrated\n",
                     totals.runs, totals.takeovers, totals.migrations);
    }
    if (arguments->json != NULL && write_json(arguments->json, &totals, seconds) != 0) {
        return 1;
    }
    return totals.failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .options = {.ops = nodes[0], .linear_every = 10}, .first = 1, .count = 100};
    struct ray_err err;
    enum ray_mutant mutant = RAY_MUTANT_NONE;

    if (argc == 2 && strcmp(argv[1], "--list-mutants") == 0) {
        list_mutants();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--list-checkers") == 0) {
        list_checkers();
        return 0;
    }
    if (!parse(argc, argv, &arguments)) {
        return usage();
    }
    if (arguments.mutant != NULL && (ray_mutant_find(arguments.mutant, &mutant, &err) != RAY_OK ||
                                     ray_mutant_select(mutant, &err) != RAY_OK)) {
        (void)fprintf(stderr, "sim: %s\n", err.text);
        return 2;
    }
    /* Large tables stay pages that nobody touched, in each of the many lives. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_SIZE_MIN);
    running_json = arguments.json;
    (void)signal(SIGABRT, on_crash);
    return run_all(&arguments);
}

/* main.c - rayos-model: finds every bad variant, and shows that the right wording holds.
 *
 *   rayos-model [--states N] [--steps N]   everything, at most N states each, then a walk of the
 *                                          right wording with all faults together
 *   rayos-model --trace VARIANT            the shortest way to its violation
 * Exit status: 0 as expected, 1 otherwise, 2 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/model/search.h"
#include "tests/sim/model/variant.h"

static const char *const violations[] = {"holds", "X: two machines run", "L: old memory resumes"};

static double seconds(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_trace(const struct model_result *result)
{
    static const char *const machines[] = {"A", "B", "A'", ""};

    for (uint64_t i = 0; i < result->trace_count; i++) {
        const struct model_step *step = &result->trace[i];
        const struct model_state *state = &step->state;

        (void)printf("  %2llu %-22s %-2s", (unsigned long long)i + 1,
                     model_action_name((enum model_action)step->action),
                     machines[step->who < 3 ? step->who : 3]);
        (void)printf(" home %s epoch %u |", machines[state->registry.home], state->registry.epoch);
        for (int m = 0; m < MODEL_MACHINES; m++) {
            (void)printf(" %s%s e%u slot e%u:%u", machines[m],
                         state->machines[m].is_running ? "*" : "", state->machines[m].copy_epoch,
                         state->machines[m].slot_epoch, state->machines[m].slot_left);
        }
        (void)putchar('\n');
    }
}

static bool search(const struct model_setup *setup, const struct model_variant *variant,
                   uint64_t states, bool expects_violation, bool prints)
{
    static struct model_result result; /* large; this program is one thread */
    double begin = seconds();
    struct ray_err err = {0};
    bool is_good;

    if (model_search(setup, variant, states, &result, &err) != RAY_OK) {
        (void)fprintf(stderr, "rayos-model: %s\n", err.text);
        return false;
    }
    is_good = (result.violation != MODEL_HOLDS) == expects_violation;
    (void)printf("%-12s %-10s %-22s %9llu states%s %6.2f s  %s\n", variant->name, setup->name,
                 violations[result.violation], (unsigned long long)result.state_count,
                 result.violation == MODEL_HOLDS && result.is_complete ? ", all" : "     ",
                 seconds() - begin, is_good ? "as expected" : "NOT AS EXPECTED");
    if (prints || (!is_good && result.violation != MODEL_HOLDS)) {
        print_trace(&result);
    }
    (void)fflush(stdout);
    return is_good;
}

static bool walk(uint64_t steps)
{
    static struct model_result result;
    const struct model_setup *setup = model_setup_find("all");
    double begin = seconds();

    model_walk(setup, &model_right, steps, 1, &result);
    (void)printf("%-12s %-10s %-22s %9llu steps at random %.2f s\n", "right", setup->name,
                 violations[result.violation], (unsigned long long)result.state_count,
                 seconds() - begin);
    if (result.violation != MODEL_HOLDS) {
        print_trace(&result);
    }
    return result.violation == MODEL_HOLDS;
}

static int all(uint64_t states, uint64_t steps)
{
    size_t bad_count = 0;

    for (size_t i = 0; i < model_variant_count; i++) {
        const struct model_variant *variant = &model_variants[i];

        bad_count +=
            search(model_setup_find(variant->setup), variant, states, !variant->is_harmless, false)
                ? 0
                : 1;
    }
    for (size_t i = 0; i < model_setup_count; i++) {
        bad_count += search(&model_setups[i], &model_right, states, false, false) ? 0 : 1;
    }
    bad_count += walk(steps) ? 0 : 1;
    (void)printf("%zu of %zu as expected\n",
                 model_variant_count + model_setup_count + 1 - bad_count,
                 model_variant_count + model_setup_count + 1);
    return bad_count == 0 ? 0 : 1;
}

static int show(const char *name, uint64_t states)
{
    for (size_t i = 0; i < model_variant_count; i++) {
        const struct model_variant *variant = &model_variants[i];

        if (strcmp(variant->name, name) == 0) {
            return search(model_setup_find(variant->setup), variant, states, !variant->is_harmless,
                          true)
                       ? 0
                       : 1;
        }
    }
    (void)fprintf(stderr, "rayos-model: no variant named '%s'\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t states = 4000000;
    uint64_t steps = 20000000;
    const char *name = NULL;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--states") == 0) {
            states = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--steps") == 0) {
            steps = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--trace") == 0) {
            name = argv[i + 1];
        } else {
            argc = 0;
        }
    }
    if (argc % 2 == 0 || states == 0 || states > 100000000) {
        (void)fprintf(stderr, "usage: rayos-model [--states N] [--steps N] [--trace VARIANT]\n");
        return 2;
    }
    return name != NULL ? show(name, states) : all(states, steps);
}

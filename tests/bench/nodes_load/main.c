/* main.c - nodes_load --leader ADDRESS --token FILE: so many nodes join, and renew. Says "up" when
 * all have links, and at the end one line of JSON: renewals answered, how long they took. */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/size.h"
#include "tests/bench/nodes_load/nodes.h"

enum { AT_ONCE = 16, WARM_UP_MS = 2000, ARENA_SIZE_MAX = 1 << 20 };

void nodes_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "nodes_load: %s: %s\n", what, why);
    exit(1);
}

static uint64_t number_of(const struct ray_args *args, const char *name, uint64_t max)
{
    uint64_t value = 0;

    if (ray_parse_u64(ray_args_value(args, name), 1, max, &value) != RAY_OK) {
        nodes_die(name, "not a number, 0, or too large");
    }
    return value;
}

/* ---- the time that counts ---- */

static void on_end(void *arg)
{
    struct nodes *nodes = arg;

    ray_loop_stop(&nodes->loop);
}

static void on_warm(void *arg)
{
    struct nodes *nodes = arg;

    (void)puts("up");
    nodes->begin_ns = ray_clock_monotonic_ns();
    ray_timer_fini(&nodes->end);
    if (ray_timer_init(&nodes->end, &nodes->loop, on_end, nodes, NULL) != RAY_OK) {
        nodes_die("timer", "no memory");
    }
    ray_timer_start(&nodes->end, nodes->length_ns / RAY_NS_PER_MS, 0);
}

void nodes_next(struct nodes *nodes)
{
    while (nodes->joined < nodes->count && nodes->joined < nodes->up + AT_ONCE) {
        node_join(&nodes->all[nodes->joined++]);
    }
    if (nodes->up == nodes->count && !ray_timer_is_active(&nodes->end)) {
        ray_timer_start(&nodes->end, WARM_UP_MS, 0);
    }
}

/* ---- beginning and end ---- */

static void make_nodes(struct nodes *nodes)
{
    nodes->all = calloc(nodes->count, sizeof *nodes->all);
    if (nodes->all == NULL) {
        nodes_die("nodes", "no memory");
    }
    for (uint64_t i = 0; i < nodes->count; i++) {
        struct node *node = &nodes->all[i];

        node->nodes = nodes;
        node->number = i;
        if (ray_key_generate(&node->key, NULL) != RAY_OK) {
            nodes_die("a key", "no memory");
        }
        ray_key_node_id(ray_key_identity(node->key), &node->id);
        randombytes_buf(node->incarnation.bytes, RAY_ID_SIZE);
    }
}

static void end_nodes(struct nodes *nodes)
{
    for (uint64_t i = 0; i < nodes->count; i++) {
        struct node *node = &nodes->all[i];

        ray_bulk_shake_destroy(node->shake);
        ray_rpc_client_destroy(node->client);
        ray_timer_fini(&node->timer);
        if (node->link != NULL) {
            node->link->ops->destroy(node->link);
        }
        ray_key_destroy(node->key);
    }
    ray_timer_fini(&nodes->end);
    ray_loop_fini(&nodes->loop);
    ray_token_destroy(nodes->token);
    ray_arena_fini(&nodes->arena);
    free(nodes->samples_us);
    free(nodes->all);
}

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t other = *(const uint32_t *)b;

    return (one > other) - (one < other);
}

static double at_ms(const struct nodes *nodes, size_t percent)
{
    size_t index = nodes->sample_count * percent / 100;

    return nodes->sample_count == 0
               ? 0
               : (double)nodes->samples_us[index < nodes->sample_count ? index : index - 1] / 1000;
}

static void report(struct nodes *nodes)
{
    double took_s = (double)(ray_clock_monotonic_ns() - nodes->begin_ns) / 1e9;

    if (nodes->sample_count > 0) {
        qsort(nodes->samples_us, nodes->sample_count, sizeof *nodes->samples_us, compare);
    }
    (void)printf("{\"count\": %zu, \"ops_per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
                 "\"late\": %llu}\n",
                 nodes->sample_count, (double)nodes->sample_count / took_s, at_ms(nodes, 50),
                 at_ms(nodes, 99), (unsigned long long)nodes->late);
}

static int run(const struct ray_args *args, void *context)
{
    struct nodes *nodes = context;
    struct ray_err err = {0};

    nodes->count = number_of(args, "count", NODES_MAX);
    nodes->renew_ms = number_of(args, "renew-ms", 60000);
    nodes->length_ns = number_of(args, "seconds", 3600) * RAY_NS_PER_S;
    nodes->sample_room =
        (size_t)(nodes->count * (nodes->length_ns / RAY_NS_PER_MS / nodes->renew_ms + 4));
    nodes->samples_us = calloc(nodes->sample_room, sizeof *nodes->samples_us);
    (void)snprintf(nodes->leader_address, sizeof nodes->leader_address, "%s",
                   ray_args_value(args, "leader"));
    if (nodes->samples_us == NULL ||
        ray_token_load(&nodes->token, AT_FDCWD, ray_args_value(args, "token"), &err) != RAY_OK ||
        ray_loop_init(&nodes->loop, &err) != RAY_OK ||
        ray_timer_init(&nodes->end, &nodes->loop, on_warm, nodes, &err) != RAY_OK) {
        nodes_die("beginning", err.text);
    }
    ray_arena_init(&nodes->arena, ARENA_SIZE_MAX);
    make_nodes(nodes);
    nodes_next(nodes);
    ray_loop_run(&nodes->loop);
    report(nodes);
    end_nodes(nodes);
    return 0;
}

/* A descriptor for each link. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* else a link fails, and says so */
    }
}

int main(int argc, char **argv)
{
    static const struct ray_args_option options[] = {
        {.name = "leader", .value_name = "HOST:PORT", .default_value = "", .help = "its address"},
        {.name = "token", .value_name = "FILE", .default_value = "", .help = "of so many uses"},
        {.name = "count", .value_name = "N", .default_value = "1000", .help = "nodes"},
        {.name = "renew-ms", .value_name = "MS", .default_value = "500", .help = "of each node"},
        {.name = "seconds", .value_name = "S", .default_value = "10", .help = "how long"},
        {.name = NULL},
    };
    static const struct ray_args_command root = {.name = "nodes_load",
                                                 .help = "nodes of a cluster that renew, for make "
                                                         "bench",
                                                 .options = options,
                                                 .run = run};
    struct nodes nodes = {.count = 0};

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sodium_init() < 0 ||
        setvbuf(stdout, NULL, _IOLBF, 0) != 0) {
        return 1;
    }
    raise_limit();
    return ray_args_main(&root, NULL, RAY_VERSION, argc, argv, &nodes);
}

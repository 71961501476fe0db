/* main.c - registry_load MODE --sockets A,B,C: the load of `make bench BENCH=registry` on our side.
 * tests/bench/etcd_load is the same for etcd: modes, options and output are. */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "base/args.h"
#include "base/log.h"
#include "tests/bench/registry_load/load.h"

static int run_put(const struct ray_args *args, void *context)
{
    struct load *load = context;

    load_open(load, args);
    load_loop(load, false);
    return 0;
}

static int run_get(const struct ray_args *args, void *context)
{
    struct load *load = context;

    load_open(load, args);
    load_loop(load, true);
    return 0;
}

static int run_fill(const struct ray_args *args, void *context)
{
    struct load *load = context;

    load_open(load, args);
    load_fill(load);
    return 0;
}

static int run_probe(const struct ray_args *args, void *context)
{
    struct load *load = context;

    load_open_each(load, args);
    load_probe(load);
    return 0;
}

static int run_watch(const struct ray_args *args, void *context)
{
    struct load *load = context;

    load_open(load, args);
    load_watch(load);
    return 0;
}

static int run_ready(const struct ray_args *args, void *context)
{
    (void)context;
    load_ready(ray_args_value(args, "sockets"));
    return 0;
}

static const struct ray_args_option options[] = {
    {.name = "sockets",
     .value_name = "PATH,...",
     .default_value = "/run/rayos/node.sock",
     .help = "node.sock of members; connections go to them in turn"},
    {.name = "clients", .value_name = "N", .default_value = "1", .help = "at once"},
    {.name = "seconds", .value_name = "S", .default_value = "5", .help = "how long"},
    {.name = "size", .value_name = "BYTES", .default_value = "256", .help = "of a value"},
    {.name = "count", .value_name = "N", .default_value = "10000", .help = "keys"},
    {.name = "times", .value_name = "N", .default_value = "1", .help = "that fill puts each key"},
    {.name = "every-ms", .value_name = "MS", .default_value = "50", .help = "of probe, watch"},
    {.name = NULL},
};

static const struct ray_args_command modes[] = {
    {.name = "put", .help = "writes in a closed loop", .options = options, .run = run_put},
    {.name = "get",
     .help = "linearizable reads in a closed loop",
     .options = options,
     .run = run_get},
    {.name = "fill", .help = "each key so many times", .options = options, .run = run_fill},
    {.name = "probe", .help = "when puts begin and end", .options = options, .run = run_probe},
    {.name = "watch", .help = "how late events come", .options = options, .run = run_watch},
    {.name = "ready",
     .help = "until a member shows its state",
     .options = options,
     .run = run_ready},
    {.name = NULL},
};

static const struct ray_args_command root = {
    .name = "registry_load", .help = "loads a cluster for make bench", .subcommands = modes};

int main(int argc, char **argv)
{
    struct load load = {0};
    int status;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sodium_init() < 0 ||
        setvbuf(stdout, NULL, _IOLBF, 0) != 0) {
        return 1;
    }
    status = ray_args_main(&root, NULL, RAY_VERSION, argc, argv, &load);
    load_close(&load);
    return status;
}

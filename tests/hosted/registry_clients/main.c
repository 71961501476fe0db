/* registry_clients --operator-key FILE --cluster ID --history FILE ADDRESS=LINK_KEY...: clients of
 * a cluster under faults, until SIGTERM; what they saw is for history_check. The last line counts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/size.h"
#include "tests/hosted/registry_clients/clients.h"

static uint64_t number_of(const struct ray_args *args, const char *name, uint64_t max)
{
    uint64_t value = 0;

    if (ray_parse_u64(ray_args_value(args, name), 0, max, &value) != RAY_OK) {
        clients_die(name, "not a number, or too large");
    }
    return value;
}

static const char *required(const struct ray_args *args, const char *name)
{
    const char *value = ray_args_value(args, name);

    if (value == NULL) {
        clients_die(name, "is needed");
    }
    return value;
}

static void add_member(struct clients *all, const char *text)
{
    struct clients_member *member = &all->members[all->member_count++];
    const char *equals = strchr(text, '=');
    size_t size;

    if (equals == NULL || (size_t)(equals - text) >= sizeof member->address ||
        sodium_hex2bin(member->link_key, sizeof member->link_key, equals + 1, strlen(equals + 1),
                       NULL, &size, NULL) != 0 ||
        size != sizeof member->link_key) {
        clients_die(text, "no ADDRESS=LINK_KEY");
    }
    memcpy(member->address, text, (size_t)(equals - text));
}

static void set_up(struct clients *all, const struct ray_args *args)
{
    struct ray_err err = {0};

    if (ray_key_load(&all->key, AT_FDCWD, required(args, "operator-key"), 0, &err) != RAY_OK ||
        ray_id_parse(required(args, "cluster"), &all->cluster, &err) != RAY_OK) {
        clients_die("--operator-key, --cluster", err.text);
    }
    all->count = (uint32_t)number_of(args, "clients", CLIENTS_MAX);
    all->key_count = (uint32_t)number_of(args, "keys", CLIENTS_KEYS_MAX);
    all->think_ms = number_of(args, "think-ms", 60000);
    all->op_max = number_of(args, "ops", UINT32_MAX);
    if (all->count == 0 || all->key_count == 0 || all->think_ms == 0) {
        clients_die("--clients, --keys, --think-ms", "at least 1");
    }
    all->seed = number_of(args, "seed", UINT64_MAX);
    sim_rng_init(&all->rng, all->seed);
    for (size_t i = 0; i < args->positional_count; i++) {
        add_member(all, args->positionals[i]);
    }
    all->history = fopen(required(args, "history"), "wxe");
    if (all->history == NULL) {
        clients_die("--history", "cannot be made, or is there already");
    }
}

static int run(const struct ray_args *args, void *context)
{
    struct clients *all = context;

    set_up(all, args);
    clients_run(all);
    if (fclose(all->history) != 0) {
        clients_die("--history", "was not written to its end");
    }
    (void)printf("{\"ops\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"unknown\": %" PRIu64
                 ", \"retries\": %" PRIu64 "}\n",
                 all->op_count, all->ok_count, all->unknown_count, all->retry_count);
    ray_key_destroy(all->key);
    return 0;
}

static const struct ray_args_option options[] = {
    {.name = "operator-key", .value_name = "FILE", .help = "of an admin of the cluster"},
    {.name = "cluster", .value_name = "ID", .help = "of the cluster"},
    {.name = "history", .value_name = "FILE", .help = "to be made"},
    {.name = "clients",
     .value_name = "N",
     .default_value = "8",
     .help = "at once; each fourth "
             "has no session"},
    {.name = "keys", .value_name = "N", .default_value = "4", .help = "registers"},
    {.name = "think-ms", .value_name = "MS", .default_value = "20", .help = "between requests"},
    {.name = "ops", .value_name = "N", .default_value = "0", .help = "so many; 0: until SIGTERM"},
    {.name = "seed", .value_name = "N", .default_value = "1", .help = "of what they ask for"},
    {.name = NULL},
};

static const struct ray_args_command command = {
    .name = "registry_clients",
    .positional = "ADDRESS=LINK_KEY...",
    .positional_min = 1,
    .positional_max = CLIENTS_MEMBERS_MAX,
    .help = "clients of a cluster that write down what they saw",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    struct clients *all;
    int status;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sodium_init() < 0) {
        return 1;
    }
    all = calloc(1, sizeof *all);
    if (all == NULL) {
        return 1;
    }
    status = ray_args_main(&command, NULL, RAY_VERSION, argc, argv, all);
    free(all);
    return status;
}

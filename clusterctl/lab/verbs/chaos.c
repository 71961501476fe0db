/* clusterctl/lab/verbs/chaos.c - `lab chaos ...`: faults, brought about on purpose. Each
 * command returns when its fault is in force and says so. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

const struct ray_args_option lab_chaos_options[] = {
    LAB_NAME_OPTION,
    {.name = "one-way", .help = "for faults between A and B: only from A to B"},
    {.name = "jitter",
     .value_name = "TIME",
     .default_value = "",
     .help = "for delay: up to so much more"},
    {.name = "timeout",
     .value_name = "SECONDS",
     .default_value = "0",
     .help = "for machines: how long it may take; 0: 10, for poweroff 120"},
    {0},
};

/* Which of the words behind the action are names, and which is a value. */
static const struct action {
    const char *name;
    const char *words;
    size_t word_min;
    size_t word_max;
    size_t value_count;
    const char *help;
} actions[] = {
    {"poweroff", "NODE", 1, 1, 0, "press the power button; done when the machine is off"},
    {"reset", "NODE", 1, 1, 0, "press the reset button"},
    {"kill", "NODE|provision", 1, 1, 0, "cut the power, or kill rayos-provision"},
    {"start", "NODE|provision", 1, 1, 0, "switch on again, with the same disks"},
    {"wipe", "NODE", 1, 1, 0, "cut the power, empty the disk, start: another node to its cluster"},
    {"pause", "NODE", 1, 1, 0, "stall the machine (SIGSTOP); its time goes on"},
    {"resume", "NODE", 1, 1, 0, "end a pause"},
    {"freeze", "NODE", 1, 1, 0, "stop the machine and its clocks (QMP stop)"},
    {"thaw", "NODE", 1, 1, 0, "end a freeze"},
    {"nmi", "NODE", 1, 1, 0, "inject a non-maskable interrupt"},
    {"link", "NODE up|down", 2, 2, 1, "pull the network cable, or plug it in again"},
    {"loss", "A B PERCENT", 3, 3, 1, "lose so many frames between A and B"},
    {"dup", "A B PERCENT", 3, 3, 1, "send so many frames twice"},
    {"reorder", "A B PERCENT", 3, 3, 1, "let so many frames be overtaken"},
    {"delay", "A B TIME", 3, 3, 1, "delay frames: 20, 20ms, 1.5s; see --jitter"},
    {"rate", "A B RATE", 3, 3, 1, "limit bits per second: 10M, 512kbit, none"},
    {"cut", "A B", 2, 2, 0, "let nothing through between A and B"},
    {"heal", "[A B]", 0, 2, 0, "end cuts and partitions, between A and B or everywhere"},
    {"clear", "[A B]", 0, 2, 0, "end all faults, cuts too, between A and B or everywhere"},
    {"partition", "A,B C...", 2, RAY_ARGS_POSITIONAL_COUNT_MAX - 1, 0,
     "split the network into groups"},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

static void print_actions(void)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(actions); i++) {
        char words[48];

        (void)snprintf(words, sizeof words, "%s %s", actions[i].name, actions[i].words);
        (void)printf("  %-22s  %s\n", words, actions[i].help);
    }
}

static int read_request(const struct ray_args *args, Rayos__Lab__ChaosRequest *request,
                        struct ray_err *err)
{
    const struct action *action = find_action(args->positionals[0]);
    size_t word_count = args->positional_count - 1;
    uint64_t timeout_s = 0;
    int rc;

    if (action == NULL) {
        (void)ray_fail(err, RAY_EUSAGE, "'%s' is no action", args->positionals[0]);
        (void)ray_next(err, "clusterctl lab chaos list");
        return RAY_EUSAGE;
    }
    if (word_count < action->word_min || word_count > action->word_max) {
        return ray_fail(err, RAY_EUSAGE, "this is written: chaos %s %s", action->name,
                        action->words);
    }
    rc = lab_option_u64(args, "timeout", 0, LAB_TIMEOUT_S_MAX, &timeout_s, err);
    request->action = (char *)(uintptr_t)action->name;
    request->targets = (char **)(uintptr_t)&args->positionals[1];
    request->n_targets = word_count - action->value_count;
    if (action->value_count > 0) {
        request->value = (char *)(uintptr_t)args->positionals[word_count];
    }
    request->one_way = ray_args_flag(args, "one-way");
    request->jitter = (char *)(uintptr_t)ray_args_value(args, "jitter");
    request->timeout_ms = timeout_s * 1000;
    return rc;
}

int lab_run_chaos(const struct ray_args *args, void *context)
{
    Rayos__Lab__ChaosRequest request = RAYOS__LAB__CHAOS_REQUEST__INIT;
    struct lab_client client = {.dir_fd = -1};
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int rc;

    (void)context;
    if (strcmp(args->positionals[0], "list") == 0) {
        print_actions();
        return 0;
    }
    rc = read_request(args, &request, &err);
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    if (rc == RAY_OK) { /* the supervisor keeps the time limit */
        rc = lab_client_call(&client, "lab.chaos", &request.base,
                             &rayos__lab__chaos_reply__descriptor, 0, &body, &err);
    }
    lab_client_close(&client);
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    (void)printf("%s\n", ((const Rayos__Lab__ChaosReply *)body)->text);
    protobuf_c_message_free_unpacked(body, NULL);
    return 0;
}

void lab_complete_chaos(const struct ray_args *args, size_t index, void *context)
{
    if (index > 0) {
        lab_complete_node(args, index, context);
        return;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(actions); i++) {
        (void)puts(actions[i].name);
    }
}

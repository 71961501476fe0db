/* machine.c - each verb is one call on the control socket of rayos-provision. */
#include "clusterctl/verbs/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/size.h"
#include "clusterctl/verbs/provision_call.h"
#include "net/proto/provision.pb-c.h"

/* ---- looking ---- */

static const struct output_column machine_columns[] = {
    {"MAC", "mac", OUTPUT_AS_TEXT},           {"NAME", "name", OUTPUT_AS_TEXT},
    {"GROUP", "group", OUTPUT_AS_TEXT},       {"BOOTS BY", "arch", OUTPUT_AS_TEXT},
    {"OUTCOME", "outcome", OUTPUT_AS_TEXT},   {"IMAGE", "image_version", OUTPUT_AS_TEXT},
    {"NEXT BOOT", "action", OUTPUT_AS_TEXT},  {"LAST SEEN", "last_seen_at_us", OUTPUT_AS_TIME},
    {"FINGERPRINT", "words", OUTPUT_AS_TEXT}, {0},
};

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_view view = {
        .list_key = "machines", .name_key = "mac", .columns = machine_columns};
    Rayos__Provision__MachinesRequest request = RAYOS__PROVISION__MACHINES_REQUEST__INIT;
    const char *group = ray_args_value(args, "group");
    const char *outcome = ray_args_value(args, "outcome");
    const char *text = args->positional_count > 0 ? args->positionals[0] : NULL;

    (void)context;
    request.group = group != NULL ? (char *)group : request.group;
    request.outcome = outcome != NULL ? (char *)outcome : request.outcome;
    request.text = text != NULL ? (char *)text : request.text;
    request.only_unknown = ray_args_flag(args, "unknown");
    return provision_print_stream(
        args,
        &(const struct provision_call){.method = "provision.machines",
                                       .request = &request.base,
                                       .item = &rayos__provision__machine__descriptor,
                                       .reply = &rayos__provision__done__descriptor},
        &view);
}

static int run_show(const struct ray_args *args, void *context)
{
    Rayos__Provision__MachineRequest request = RAYOS__PROVISION__MACHINE_REQUEST__INIT;

    (void)context;
    request.machine = (char *)args->positionals[0];
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.machine",
                                       .request = &request.base,
                                       .reply = &rayos__provision__machine__descriptor},
        &(const struct output_view){.name_key = "mac"});
}

/* One line an event, written at once: a watch is read while it goes on. */
static void print_event(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Provision__MachineEvent *event = (const Rayos__Provision__MachineEvent *)item;
    const Rayos__Provision__TimelineEvent *what = event->event;
    char detail[512] = "";
    char name[64];
    char when[32] = "";
    char mac[32];

    (void)arg;
    if (what == NULL) {
        return;
    }
    output_time(what->at_us, when, sizeof when);
    (void)ray_escape(mac, sizeof mac, event->mac, strlen(event->mac));
    (void)ray_escape(name, sizeof name, event->name, strlen(event->name));
    (void)ray_escape(detail, sizeof detail, what->detail, strlen(what->detail));
    (void)printf("%s  %s  %-12s  %-12s %s\n", when, mac, name, what->kind, detail);
    (void)fflush(stdout);
}

static int run_watch(const struct ray_args *args, void *context)
{
    Rayos__Provision__WatchRequest request = RAYOS__PROVISION__WATCH_REQUEST__INIT;
    struct ray_err err = {0};

    (void)context;
    if (args->positional_count > 0) {
        request.machine = (char *)args->positionals[0];
    }
    return provision_call(args,
                          &(const struct provision_call){
                              .method = "provision.watch",
                              .request = &request.base,
                              .item = &rayos__provision__machine_event__descriptor,
                              .reply = &rayos__provision__done__descriptor,
                              .is_endless = true,
                              .on_item = print_event,
                          },
                          NULL, &err) == RAY_OK
               ? 0
               : output_error(&err);
}

/* ---- changes ---- */

/* A text option as a message that is left out when the option was not given. */
static Rayos__Provision__Text *given_text(const struct ray_args *args, const char *option,
                                          Rayos__Provision__Text *place)
{
    const char *value = ray_args_value(args, option);

    if (value == NULL) {
        return NULL;
    }
    *place = (Rayos__Provision__Text)RAYOS__PROVISION__TEXT__INIT;
    place->value = (char *)value;
    return place;
}

static int run_set(const struct ray_args *args, void *context)
{
    Rayos__Provision__MachineSetRequest request = RAYOS__PROVISION__MACHINE_SET_REQUEST__INIT;
    Rayos__Provision__Text texts[5];
    const char *reason = ray_args_value(args, "reason");
    struct ray_err err = {0};

    (void)context;
    request.machine = (char *)args->positionals[0];
    request.name = given_text(args, "name", &texts[0]);
    request.group = given_text(args, "group", &texts[1]);
    request.boot = given_text(args, "boot", &texts[2]);
    request.image = given_text(args, "image", &texts[3]);
    request.arguments = given_text(args, "arguments", &texts[4]);
    request.reason = reason != NULL ? (char *)reason : request.reason;
    request.dry_run = ray_args_flag(args, "dry-run");
    request.retry = ray_args_flag(args, "retry");
    if (request.name == NULL && request.group == NULL && request.boot == NULL &&
        request.image == NULL && request.arguments == NULL && !request.retry) {
        (void)ray_fail(&err, RAY_EUSAGE, "nothing to set for machine '%s'", request.machine);
        (void)ray_next(&err, "give --name, --group, --boot, --image, --arguments or --retry");
        return output_error(&err);
    }
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.machine_set",
                                       .request = &request.base,
                                       .reply = &rayos__provision__machine__descriptor},
        &(const struct output_view){.name_key = "mac"});
}

static int run_forget(const struct ray_args *args, void *context)
{
    Rayos__Provision__MachineRequest request = RAYOS__PROVISION__MACHINE_REQUEST__INIT;
    struct ray_err err = {0};

    (void)context;
    request.machine = (char *)args->positionals[0];
    if (ray_args_flag(args, "dry-run")) {
        (void)printf("would forget machine %s: its name, group, assignment and timeline\n",
                     request.machine);
        return 0;
    }
    if (provision_call(args,
                       &(const struct provision_call){.method = "provision.machine_forget",
                                                      .request = &request.base,
                                                      .reply = &rayos__provision__done__descriptor},
                       NULL, &err) != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("machine %s is forgotten; it is listed again when it boots\n", request.machine);
    return 0;
}

/* ---- groups ---- */

static int run_group_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"GROUP", "name", OUTPUT_AS_TEXT},
        {"MACHINES", "machine_count", OUTPUT_AS_TEXT},
        {"BOOT", "assignment.boot", OUTPUT_AS_TEXT},
        {"IMAGE", "assignment.image", OUTPUT_AS_TEXT},
        {"ARGUMENTS", "assignment.arguments", OUTPUT_AS_TEXT},
        {0}};
    static const struct output_view view = {.list_key = "groups", .columns = columns};
    Rayos__Provision__GroupsRequest request = RAYOS__PROVISION__GROUPS_REQUEST__INIT;

    (void)context;
    return provision_print_stream(
        args,
        &(const struct provision_call){.method = "provision.groups",
                                       .request = &request.base,
                                       .item = &rayos__provision__group__descriptor,
                                       .reply = &rayos__provision__done__descriptor},
        &view);
}

static int run_group_set(const struct ray_args *args, void *context)
{
    Rayos__Provision__GroupSetRequest request = RAYOS__PROVISION__GROUP_SET_REQUEST__INIT;
    Rayos__Provision__Text texts[3];
    const char *reason = ray_args_value(args, "reason");
    struct ray_err err = {0};

    (void)context;
    request.name = (char *)args->positionals[0];
    request.boot = given_text(args, "boot", &texts[0]);
    request.image = given_text(args, "image", &texts[1]);
    request.arguments = given_text(args, "arguments", &texts[2]);
    request.clear = ray_args_flag(args, "clear");
    request.reason = reason != NULL ? (char *)reason : request.reason;
    request.dry_run = ray_args_flag(args, "dry-run");
    if (request.boot == NULL && request.image == NULL && request.arguments == NULL &&
        !request.clear) {
        (void)ray_fail(&err, RAY_EUSAGE, "nothing to set for group '%s'", request.name);
        (void)ray_next(&err, "give --boot, --image, --arguments or --clear");
        return output_error(&err);
    }
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.group_set",
                                       .request = &request.base,
                                       .reply = &rayos__provision__group__descriptor},
        NULL);
}

/* ---- the table ---- */

#define BOOT_OPTIONS                                                                               \
    {.name = "boot",                                                                               \
     .value_name = "WAY",                                                                          \
     .choices = "live|local-disk|hold|default",                                                    \
     .help = "live: the image from RAM; local-disk: the firmware's next entry; hold: wait; "       \
             "default: nothing of its own"},                                                       \
        {.name = "image",                                                                          \
         .value_name = "IMAGE",                                                                    \
         .help = "id, its beginning or version; '' for the newest"},                               \
        {.name = "arguments",                                                                      \
         .value_name = "WORDS",                                                                    \
         .help =                                                                                   \
             "for the kernel, of the allow-list; '' for none; UEFI HTTP boot cannot give them"}

static const struct ray_args_option list_options[] = {
    {.name = "group", .value_name = "NAME", .help = "only machines of this group"},
    {.name = "outcome",
     .value_name = "OUTCOME",
     .choices = "unknown|serving|booted|ready|failed",
     .help = "only machines whose last boot ended so"},
    {.name = "unknown", .help = "only machines of which no operator has said anything"},
    OUTPUT_OPTION,
    PROVISION_SOCKET_OPTION,
    PROVISION_TIMEOUT_OPTION,
    {0}};

static const struct ray_args_option show_options[] = {
    OUTPUT_OPTION, PROVISION_SOCKET_OPTION, PROVISION_TIMEOUT_OPTION, {0}};

static const struct ray_args_option watch_options[] = {PROVISION_SOCKET_OPTION, {0}};

static const struct ray_args_option set_options[] = {
    {.name = "name", .value_name = "NAME", .help = "what people call it; '' for none"},
    {.name = "group", .value_name = "NAME", .help = "whose assignment it gets; '' for none"},
    BOOT_OPTIONS,
    {.name = "retry", .help = "forget that tries of its image failed"},
    PROVISION_REASON_OPTION,
    PROVISION_DRY_RUN_OPTION,
    OUTPUT_OPTION,
    PROVISION_SOCKET_OPTION,
    PROVISION_TIMEOUT_OPTION,
    {0}};

static const struct ray_args_option forget_options[] = {
    PROVISION_DRY_RUN_OPTION, PROVISION_SOCKET_OPTION, PROVISION_TIMEOUT_OPTION, {0}};

static const struct ray_args_option group_set_options[] = {
    BOOT_OPTIONS,
    {.name = "clear", .help = "take the group's assignment away"},
    PROVISION_REASON_OPTION,
    PROVISION_DRY_RUN_OPTION,
    OUTPUT_OPTION,
    PROVISION_SOCKET_OPTION,
    PROVISION_TIMEOUT_OPTION,
    {0}};

static const struct ray_args_command machine_subcommands[] = {
    {.name = "list",
     .positional = "[TEXT]",
     .positional_max = 1,
     .help = "the machines that were seen; TEXT: within MAC, name, serial, ...",
     .options = list_options,
     .run = run_list},
    {.name = "show",
     .positional = "MACHINE",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one machine with its timeline; by MAC, name or beginning of its fingerprint",
     .options = show_options,
     .run = run_show},
    {.name = "set",
     .positional = "MACHINE",
     .positional_min = 1,
     .positional_max = 1,
     .help = "what a machine is called and what it boots",
     .options = set_options,
     .run = run_set},
    {.name = "watch",
     .positional = "[MACHINE]",
     .positional_max = 1,
     .help = "events as they come, until Ctrl-C",
     .options = watch_options,
     .run = run_watch},
    {.name = "forget",
     .positional = "MACHINE",
     .positional_min = 1,
     .positional_max = 1,
     .help = "drop all that is known of a machine",
     .options = forget_options,
     .run = run_forget},
    {.name = "group-list",
     .help = "the groups and what they boot",
     .options = show_options,
     .run = run_group_list},
    {.name = "group-set",
     .positional = "GROUP",
     .positional_min = 1,
     .positional_max = 1,
     .help = "what the machines of a group boot",
     .options = group_set_options,
     .run = run_group_set},
    {0}};

const struct ray_args_command machine_command = {
    .name = "machine",
    .help = "machines that boot over the network",
    .subcommands = machine_subcommands,
};

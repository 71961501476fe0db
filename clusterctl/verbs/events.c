/* events.c - what has happened. A stream that is lost goes on behind the last one that came, at
 * whichever member answers then. */
#include "clusterctl/verbs/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/cli/yaml.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/since.h"

enum { TEXT_SIZE_MAX = 16384, TIME_SIZE = 32, US_PER_S = 1000000, NS_PER_US = 1000 };

/* ---- one ---- */

static void print_line(const Rayos__Cluster__Event *event)
{
    char time[TIME_SIZE];
    char what[TEXT_SIZE_MAX];
    char said[TEXT_SIZE_MAX];

    output_time(event->time_us, time, sizeof time);
    (void)ray_escape(what, sizeof what, event->what, strlen(event->what));
    (void)ray_escape(said, sizeof said, event->text, strlen(event->text));
    (void)printf("%s%llu  %s  %s  %s  by %s\n", event->has_gap ? "(older ones are gone)\n" : "",
                 (unsigned long long)event->sequence, time, what, said, event->principal);
}

/* One object a line, or one document each: they come one by one. */
static void print_tree(const Rayos__Cluster__Event *event, enum output_form form)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value = doc == NULL ? NULL : output_from_message(doc, &event->base);
    char *line = NULL;

    if (value != NULL && form == OUTPUT_JSON) {
        yyjson_mut_doc_set_root(doc, value);
        line = yyjson_mut_write(doc, YYJSON_WRITE_ESCAPE_UNICODE, NULL);
    }
    if (form == OUTPUT_JSON) {
        (void)printf("%s\n", line == NULL ? "{}" : line);
    } else {
        (void)fputs("---\n", stdout);
        (void)(value != NULL && yaml_print(stdout, value));
    }
    free(line);
    yyjson_mut_doc_free(doc);
}

/* ---- the stream ---- */

struct following {
    Rayos__Cluster__EventsRequest request;
    struct since since;
    void (*on_event)(void *arg, const Rayos__Cluster__Event *event);
    void *arg;
};

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct following *following = arg;
    const Rayos__Cluster__Event *event = (const Rayos__Cluster__Event *)item;

    following->request.after_sequence = event->sequence; /* begun again: behind it */
    if (since_takes(&following->since, event->revision, event->time_us)) {
        following->on_event(following->arg, event);
    }
}

static void on_again(void *arg)
{
    (void)arg; /* the request says already where it goes on */
}

static int follow(const struct ray_args *args, struct following *following, struct ray_err *err)
{
    const struct cluster_stream stream = {.method = "events",
                                          .input = &following->request.base,
                                          .item = &rayos__cluster__event__descriptor,
                                          .output = &rayos__cluster__done__descriptor,
                                          .on_item = on_item,
                                          .on_again = on_again,
                                          .arg = following,
                                          .is_endless = following->request.is_following};

    return cluster_stream(args, &stream, NULL, err);
}

int events_each(const struct ray_args *args,
                void (*on_event)(void *arg, const Rayos__Cluster__Event *event), void *arg,
                struct ray_err *err)
{
    struct following following = {
        .request = RAYOS__CLUSTER__EVENTS_REQUEST__INIT, .on_event = on_event, .arg = arg};

    return follow(args, &following, err);
}

/* ---- the verb ---- */

static void on_event(void *arg, const Rayos__Cluster__Event *event)
{
    const enum output_form *form = arg;

    if (*form == OUTPUT_JSON || *form == OUTPUT_YAML) {
        print_tree(event, *form);
    } else if (*form == OUTPUT_NAME) {
        (void)printf("%llu\n", (unsigned long long)event->sequence);
    } else {
        print_line(event);
    }
    (void)fflush(stdout); /* whoever follows sees it now */
}

static uint64_t now_us(void)
{
    struct timespec now = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

static int run_events(const struct ray_args *args, void *context)
{
    enum output_form form = OUTPUT_TABLE;
    const char *since = ray_args_value(args, "since");
    struct following following = {
        .request = RAYOS__CLUSTER__EVENTS_REQUEST__INIT, .on_event = on_event, .arg = &form};
    struct ray_err err = {0};
    int rc = output_form_parse(ray_args_value(args, "output"), &form, &err);

    (void)context;
    if (rc == RAY_OK && ray_parse_u64(ray_args_value(args, "after"), 0, UINT64_MAX,
                                      &following.request.after_sequence) != RAY_OK) {
        rc = ray_fail(&err, RAY_EUSAGE, "--after wants the number of an event");
    }
    if (rc == RAY_OK && since != NULL) {
        rc = since_parse(since, now_us(), &following.since, &err);
    }
    following.request.is_following = ray_args_flag(args, "follow");
    rc = rc == RAY_OK ? follow(args, &following, &err) : rc;
    return rc == RAY_OK ? 0 : output_error(&err);
}

static const struct ray_args_option events_options[] = {
    {.name = "after",
     .value_name = "N",
     .default_value = "0",
     .help = "go on behind this event; what is still kept, else"},
    {.name = "since",
     .value_name = "REV|TIME",
     .help = "from this revision or time on ('10m': ten minutes ago; '2026-11-21 10:30', UTC)"},
    {.name = "follow", .short_name = 'f', .help = "wait for those to come"},
    {.name = "output",
     .short_name = 'o',
     .value_name = "FORM",
     .default_value = "table",
     .choices = OUTPUT_CHOICES,
     .help = "how to print; json: one object a line; yaml: one document each; name: the number"},
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

const struct ray_args_command events_command = {.name = "events",
                                                .help = "what has happened in the cluster",
                                                .options = events_options,
                                                .run = run_events};

/* clusterctl/lab/verbs/wait.c - `lab wait` and `lab events`. */
#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/verbs/session.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

const struct ray_args_option lab_wait_options[] = {
    LAB_NAME_OPTION,
    {.name = "marker",
     .short_name = 'm',
     .value_name = "MARKER",
     .help = "wait for this marker, with or without its detail (RAYOS_NODE_READY)"},
    {.name = "state",
     .value_name = "STATE",
     .choices = "off|running|paused|frozen|ready",
     .help = "wait for this state of the machine instead"},
    {.name = "node", .value_name = "NODE...", .help = "on this node; all when none is given"},
    {.name = "count", .value_name = "K", .default_value = "1", .help = "wait for the Kth one"},
    {.name = "this-boot", .help = "count only since the last power-on or reset"},
    {.name = "timeout", .value_name = "SECONDS", .default_value = "300", .help = "give up after"},
    OUTPUT_OPTION,
    {0},
};

/* Fills the request; `nodes` keeps the list. */
static int read_wait(const struct ray_args *args, Rayos__Lab__WaitRequest *request,
                     char *nodes[static LAB_NODE_COUNT_MAX], struct ray_err *err)
{
    const char *marker = ray_args_value(args, "marker");
    const char *state = ray_args_value(args, "state");
    const char *node;
    uint64_t count = 0;
    uint64_t timeout_s = 0;
    int rc;

    if ((marker == NULL) == (state == NULL)) {
        return ray_fail(err, RAY_EUSAGE, "one of --marker and --state is needed");
    }
    rc = lab_option_u64(args, "count", 1, UINT32_MAX, &count, err);
    rc = rc == RAY_OK ? lab_option_u64(args, "timeout", 1, LAB_TIMEOUT_S_MAX, &timeout_s, err) : rc;
    for (size_t i = 0; rc == RAY_OK && (node = ray_args_value_at(args, "node", i)) != NULL; i++) {
        if (request->n_nodes == LAB_NODE_COUNT_MAX) {
            return ray_fail(err, RAY_EUSAGE, "--node: at most %d", LAB_NODE_COUNT_MAX);
        }
        nodes[request->n_nodes++] = (char *)(uintptr_t)node;
    }
    request->nodes = nodes;
    request->marker = (char *)(uintptr_t)(marker != NULL ? marker : "");
    request->state = (char *)(uintptr_t)(state != NULL ? state : "");
    request->count = (uint32_t)count;
    request->timeout_ms = timeout_s * 1000;
    request->this_boot = ray_args_flag(args, "this-boot");
    return rc;
}

int lab_run_wait(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"NODE", "node", OUTPUT_AS_TEXT},
        {"AFTER", "t_us", OUTPUT_AS_SECONDS},
        {"MARKER", "line", OUTPUT_AS_TEXT},
        {NULL, NULL, OUTPUT_AS_TEXT},
    };
    static const struct output_view view = {
        .list_key = "markers", .name_key = "node", .columns = columns};
    Rayos__Lab__WaitRequest request = RAYOS__LAB__WAIT_REQUEST__INIT;
    char *nodes[LAB_NODE_COUNT_MAX];
    ProtobufCMessage *body = NULL;
    struct lab_client client = {.dir_fd = -1};
    struct ray_err err = {0};
    int status;
    int rc = read_wait(args, &request, nodes, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    if (rc == RAY_OK) { /* the supervisor keeps the time limit */
        rc = lab_client_call(&client, "lab.wait", &request.base,
                             &rayos__lab__wait_reply__descriptor, 0, &body, &err);
    }
    lab_client_close(&client);
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    status = output_message(args, body, &view);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

/* ---- events ---- */

const struct ray_args_option lab_events_options[] = {
    LAB_NAME_OPTION,
    {.name = "from", .value_name = "N", .default_value = "0", .help = "begin with this number"},
    {.name = "follow", .short_name = 'f', .help = "go on as they happen"},
    {.name = "output",
     .short_name = 'o',
     .value_name = "FORM",
     .default_value = "table",
     .choices = "table|json",
     .help = "lines for people, or one JSON object a line"},
    {0},
};

static void print_json(const Rayos__Lab__Event *event)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value = output_from_message(doc, &event->base);
    char *text = value == NULL ? NULL : yyjson_mut_val_write(value, 0, NULL);

    if (text != NULL) {
        (void)puts(text);
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

static void on_event(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Lab__Event *event = (const Rayos__Lab__Event *)item;
    const struct lab_session *session = arg;

    if (session->interrupt_arg != NULL) {
        print_json(event);
    } else {
        (void)printf("%5llu.%03llu %-9s %-6s %s\n", (unsigned long long)(event->t_us / 1000000),
                     (unsigned long long)(event->t_us / 1000 % 1000), event->kind, event->node,
                     event->text);
    }
    (void)fflush(stdout); /* a broken pipe shows at the end */
}

int lab_run_events(const struct ray_args *args, void *context)
{
    Rayos__Lab__EventsRequest request = RAYOS__LAB__EVENTS_REQUEST__INIT;
    struct lab_client client = {.dir_fd = -1};
    struct lab_session session = {0};
    struct ray_err err = {0};
    int rc = lab_option_u64(args, "from", 0, UINT64_MAX, &request.from_sequence, &err);

    (void)context;
    request.follow = ray_args_flag(args, "follow");
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    rc = rc == RAY_OK ? lab_session_open(&session, &client, &err) : rc;
    if (rc == RAY_OK) {
        const struct lab_call call = {
            .method = "lab.events",
            .input = &request.base,
            .output = &rayos__lab__event__descriptor,
            .on_item = on_event,
            .arg = &session,
        };

        rc = lab_session_call(&session, &call, NULL, &err);
        if (session.interrupted_by != 0 || (rc == RAY_ECLOSED && request.follow)) {
            rc = RAY_OK; /* that is how following ends */
        }
    }
    lab_session_close(&session);
    lab_client_close(&client);
    return rc == RAY_OK ? 0 : lab_fail(&err);
}

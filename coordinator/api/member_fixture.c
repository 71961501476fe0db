#include "coordinator/api/member_fixture.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"

enum { OPEN_DIRS_MAX = 16 };

static const char node_name[] = "fix";

/* A fixture that cannot be made is no finding. */
static void must(bool is_so, const char *what)
{
    if (!is_so) {
        (void)fprintf(stderr, "member fixture: %s\n", what);
        abort();
    }
}

const char *member_fix_path(const struct member_fix *fix, const char *name,
                            char out[static MEMBER_FIX_PATH_SIZE])
{
    int size = snprintf(out, MEMBER_FIX_PATH_SIZE, "%s/%s", fix->dir, name);

    must(size > 0 && size < MEMBER_FIX_PATH_SIZE, "a path is too long");
    return out;
}

static void on_late(void *arg)
{
    struct member_fix *fix = arg;

    fix->is_late = true;
}

void member_fix_open(struct member_fix *fix)
{
    const char *tmp = getenv("TMPDIR");
    char dir[MEMBER_FIX_PATH_SIZE];

    (void)snprintf(dir, sizeof dir, "%s/member-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    must(mkdtemp(dir) != NULL, "no folder");
    member_fix_open_at(fix, dir);
}

void member_fix_open_at(struct member_fix *fix, const char *dir)
{
    *fix = (struct member_fix){.name = node_name};
    (void)snprintf(fix->dir, sizeof fix->dir, "%s", dir);
    (void)member_fix_path(fix, "credential", fix->credential);
    must(ray_loop_init(&fix->loop, NULL) == RAY_OK, "no loop");
    must(ray_timer_init(&fix->late, &fix->loop, on_late, fix, NULL) == RAY_OK, "no timer");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void member_fix_close(struct member_fix *fix)
{
    member_fix_crash(fix);
    ray_timer_fini(&fix->late);
    ray_loop_fini(&fix->loop);
    must(nftw(fix->dir, remove_one, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS) == 0, "the folder stays");
}

/* ---- processes ---- */

static void on_quorate(void *arg, size_t voter_count)
{
    struct member_fix *fix = arg;

    fix->quorum = voter_count;
}

static void on_denied(void *arg, const char *rule, const char *detail)
{
    struct member_fix *fix = arg;

    fix->denied_count++;
    (void)snprintf(fix->denied, sizeof fix->denied, "%s:%s", rule, detail);
}

/* It is done at once; a log has three lines. */
static void on_order(void *arg, struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    /* The order is the first field of all of them. */
    const Rayos__Cluster__Order *order = ((const Rayos__Cluster__DisksRequest *)input)->order;
    bool is_logs = input->descriptor == &rayos__cluster__logs_request__descriptor;
    struct member_fix *fix = arg;
    Rayos__Init__Done done = RAYOS__INIT__DONE__INIT; /* as any other message, empty */
    Rayos__Init__LogLine line = RAYOS__INIT__LOG_LINE__INIT;

    fix->order_count++;
    (void)snprintf(fix->order, sizeof fix->order, "%s %s %s", order->principal,
                   input->descriptor->short_name, order->reason);
    line.text = (char *)(uintptr_t)"a line";
    for (int i = 0; is_logs && i < 3; i++) {
        must(ray_rpc_send(call, &line.base) == RAY_OK, "no room for a line");
    }
    (void)ray_rpc_reply(call, &done.base); /* the caller is gone, or not */
}

static void on_failed(void *arg)
{
    struct member_fix *fix = arg;

    fix->has_failed = true;
}

int member_fix_connect(struct member_fix *fix, struct ray_err *err)
{
    char path[MEMBER_FIX_PATH_SIZE];

    ray_rpc_client_destroy(fix->client);
    fix->client = NULL;
    return ray_rpc_client_create_unix(&fix->client, &fix->loop, member_fix_path(fix, "sock", path),
                                      err);
}

static int serve(struct member_fix *fix, struct ray_err *err)
{
    char path[MEMBER_FIX_PATH_SIZE];
    int rc =
        ray_rpc_server_create_unix(&fix->server, &fix->loop, member_fix_path(fix, "sock", path),
                                   S_IRUSR | S_IWUSR, coord_member_methods(), fix->member, err);

    if (rc == RAY_OK) {
        ray_rpc_server_take_large(fix->server);
        rc = member_fix_connect(fix, err);
    }
    return rc;
}

int member_fix_start(struct member_fix *fix, const char *credential, struct ray_err *err)
{
    char data_dir[MEMBER_FIX_PATH_SIZE];
    char run_dir[MEMBER_FIX_PATH_SIZE];
    struct coord_member_config config = {
        .loop = &fix->loop,
        .data_dir = member_fix_path(fix, "data", data_dir),
        .run_dir = member_fix_path(fix, "run", run_dir),
        .listen = "127.0.0.1:0",
        .name = fix->name,
        .is_fit_for_leases = true,
        .on_quorate = on_quorate,
        .on_denied = on_denied,
        .on_order = on_order,
        .on_failed = on_failed,
        .arg = fix,
    };
    int rc;

    assert(fix->member == NULL);
    if (credential != NULL) {
        must(ray_atomic_write(AT_FDCWD, fix->credential, credential, strlen(credential),
                              S_IRUSR | S_IWUSR, NULL) == RAY_OK,
             "no credential");
        config.credential = fix->credential;
    }
    must(mkdir(data_dir, S_IRWXU) == 0 || access(data_dir, W_OK) == 0, "no data folder");
    fix->has_failed = false;
    fix->has_left = false;
    fix->quorum = 0;
    rc = coord_member_create(&fix->member, &config, err);
    return rc == RAY_OK ? serve(fix, err) : rc;
}

void member_fix_crash(struct member_fix *fix)
{
    ray_rpc_client_destroy(fix->client);
    fix->client = NULL;
    ray_rpc_server_destroy(fix->server);
    fix->server = NULL;
    coord_member_destroy(fix->member);
    fix->member = NULL;
}

static void on_left(void *arg)
{
    struct member_fix *fix = arg;

    fix->has_left = true;
}

static bool has_left(void *arg)
{
    return ((const struct member_fix *)arg)->has_left;
}

void member_fix_stop(struct member_fix *fix)
{
    coord_member_leave(fix->member, on_left, fix);
    must(member_fix_run(fix, has_left, fix), "the member does not leave");
    member_fix_crash(fix);
}

/* ---- turns ---- */

bool member_fix_run(struct member_fix *fix, bool (*is_done)(void *arg), void *arg)
{
    fix->is_late = false;
    ray_timer_start(&fix->late, MEMBER_FIX_WAIT_MS, 0);
    while (!is_done(arg) && !fix->is_late) {
        ray_loop_once(&fix->loop);
    }
    ray_timer_stop(&fix->late);
    return !fix->is_late;
}

bool member_fix_has_cluster(void *arg)
{
    const struct member_fix *fix = arg;

    return fix->member->replica != NULL &&
           coord_fsm_cluster(coord_replica_fsm(fix->member->replica)) != NULL;
}

bool member_fix_has_ended(void *arg)
{
    return ((const struct member_fix_outcome *)arg)->has_ended;
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct member_fix_outcome *outcome = arg;

    (void)item;
    outcome->item_count++;
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct member_fix_outcome *outcome = arg;

    outcome->has_ended = true;
    outcome->code = result->code;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", result->text);
    if (result->body != NULL && result->body->descriptor == &rayos__registry__result__descriptor) {
        const Rayos__Registry__Result *said = (const Rayos__Registry__Result *)result->body;

        outcome->code = said->code;
        (void)snprintf(outcome->text, sizeof outcome->text, "%s", said->text);
    }
}

int member_fix_call(struct member_fix *fix, const char *method, const ProtobufCMessage *input,
                    const ProtobufCMessageDescriptor *item,
                    const ProtobufCMessageDescriptor *output, struct member_fix_outcome *out)
{
    *out = (struct member_fix_outcome){.code = RAY_OK};
    must(ray_rpc_stream_start(fix->client, method, input, item != NULL ? item : output, output,
                              MEMBER_FIX_WAIT_MS, on_item, on_end, out, NULL, NULL) == RAY_OK,
         "the call does not start");
    must(member_fix_run(fix, member_fix_has_ended, out), "the call does not end");
    return out->code;
}

/* ---- what tests begin with ---- */

void member_fix_create_cluster(struct member_fix *fix)
{
    Rayos__Cluster__CreateRequest request = RAYOS__CLUSTER__CREATE_REQUEST__INIT;
    struct member_fix_outcome outcome;
    uint8_t key[COORD_KEY_SIZE];
    char name[] = "demo";
    char admin[] = "alice";

    memset(key, 1, sizeof key);
    request.name = name;
    request.admin = admin;
    request.admin_key = ray_proto_bytes(key, sizeof key);
    must(member_fix_call(fix, "cluster.create", &request.base, NULL,
                         &rayos__cluster__created__descriptor, &outcome) == RAY_OK,
         outcome.text);
}

int member_fix_propose(struct member_fix *fix, Rayos__Registry__Command *command)
{
    Rayos__Cluster__ProposeRequest request = RAYOS__CLUSTER__PROPOSE_REQUEST__INIT;
    struct member_fix_outcome outcome;
    uint8_t bytes[512];

    must(rayos__registry__command__get_packed_size(command) <= sizeof bytes, "too long a command");
    request.command.len = rayos__registry__command__pack(command, bytes);
    request.command.data = bytes;
    return member_fix_call(fix, "registry.propose", &request.base, NULL,
                           &rayos__registry__result__descriptor, &outcome);
}

int member_fix_label(struct member_fix *fix, const char *value)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectLabel body = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    char key[] = "color";

    label.key = key;
    label.value = ray_proto_bytes(value, strlen(value));
    body.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    body.id = ray_proto_id(&fix->member->id);
    body.n_set = 1;
    body.set = labels;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.object_label = &body;
    return member_fix_propose(fix, &command);
}

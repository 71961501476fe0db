/* Any request to the API of a member that leads a cluster of its own: {method, request}. Bytes that
 * are no request of that method's type would be refused by net/rpc (net_rpc_fuzz); the others are
 * sent over a socket, and get items and one end, or are canceled after a while.
 *
 * The number behind the last method is node.join: over a sealed connection, as a joiner has it,
 * with the proof of a key of its own put in, since nobody guesses a signature. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "coordinator/api/member_fixture.h"
#include "net/bulk_fixture.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"

enum { PATIENCE_MS = 20, ARENA_SIZE_MAX = 1 << 20 };

/* Its token can be used by seeds of node.join. */
static const char credential[] =
    "rayos.create=name=demo admin=alice:"
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff timing=lan "
    "token=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

struct subject {
    const char *method;
    const ProtobufCMessageDescriptor *item; /* NULL: none */
    const ProtobufCMessageDescriptor *output;
};

/* In the order of coord_member_methods. */
static const struct subject subjects[] = {
    {"cluster.create", NULL, &rayos__cluster__created__descriptor},
    {"cluster.status", NULL, &rayos__cluster__status__descriptor},
    {"node.list", NULL, &rayos__cluster__nodes__descriptor},
    {"token.create", NULL, &rayos__cluster__token_made__descriptor},
    {"token.list", NULL, &rayos__cluster__tokens__descriptor},
    {"token.remove", NULL, &rayos__cluster__done__descriptor},
    {"registry.query", &rayos__cluster__query_part__descriptor,
     &rayos__cluster__query_end__descriptor},
    {"registry.propose", NULL, &rayos__registry__result__descriptor},
    {"registry.watch", &rayos__cluster__watch_part__descriptor, &rayos__cluster__done__descriptor},
    {"session.open", NULL, &rayos__cluster__session_opened__descriptor},
    {"session.keep", NULL, &rayos__cluster__done__descriptor},
    {"session.close", NULL, &rayos__cluster__done__descriptor},
    {"events", &rayos__cluster__event__descriptor, &rayos__cluster__done__descriptor},
    {"node.plan", NULL, &rayos__cluster__plan__descriptor},
    {"cluster.members", NULL, &rayos__cluster__joined__descriptor},
    {"cluster.recover", NULL, &rayos__cluster__recovering__descriptor},
    {"place.ask", &rayos__cluster__query_part__descriptor, &rayos__cluster__query_end__descriptor},
    {"node.power", NULL, &rayos__init__done__descriptor},
    {"node.logs", &rayos__init__log_line__descriptor, &rayos__init__log_tail_end__descriptor},
    {"node.code", NULL, &rayos__cluster__code__descriptor},
    {"node.disks", NULL, &rayos__init__disks__descriptor},
    {"node.disk_prepare", NULL, &rayos__init__disk_prepared__descriptor},
};

enum { JOIN_INDEX = 255 }; /* as the first byte: node.join, wherever the list ends */

struct fuzzed {
    struct member_fix fix;
    struct ray_timer patience;
    bool is_impatient;
    struct ray_key *joiner;
    struct ray_arena arena;
};

static void on_impatient(void *arg)
{
    struct fuzzed *fuzzed = arg;

    fuzzed->is_impatient = true;
}

static void begin(struct fuzzed *fuzzed)
{
    member_fix_open(&fuzzed->fix);
    if (member_fix_start(&fuzzed->fix, credential, NULL) != RAY_OK ||
        !member_fix_run(&fuzzed->fix, member_fix_has_cluster, &fuzzed->fix) ||
        ray_timer_init(&fuzzed->patience, &fuzzed->fix.loop, on_impatient, fuzzed, NULL) !=
            RAY_OK) {
        abort();
    }
}

static void end(struct fuzzed *fuzzed)
{
    ray_timer_fini(&fuzzed->patience);
    member_fix_close(&fuzzed->fix);
}

/* What an input may have done for good: it removed the only member, say. */
static bool is_of_use(const struct fuzzed *fuzzed)
{
    struct coord_replica_status status;

    coord_replica_status(fuzzed->fix.member->replica, &status);
    return status.role == COORD_REPLICA_LEADER && !fuzzed->fix.has_failed;
}

static struct fuzzed *world(void)
{
    static struct fuzzed *fuzzed;

    if (fuzzed == NULL) {
        fuzzed = calloc(1, sizeof *fuzzed);
        if (fuzzed == NULL || ray_key_generate(&fuzzed->joiner, NULL) != RAY_OK) {
            abort();
        }
        ray_arena_init(&fuzzed->arena, ARENA_SIZE_MAX);
        begin(fuzzed);
    } else if (!is_of_use(fuzzed)) {
        end(fuzzed);
        begin(fuzzed);
    }
    return fuzzed;
}

/* ---- one call ---- */

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct member_fix_outcome *outcome = arg;

    assert(item != NULL && !outcome->has_ended);
    outcome->item_count++;
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct member_fix_outcome *outcome = arg;

    assert(!outcome->has_ended && (result->code != RAY_OK || result->body != NULL));
    outcome->has_ended = true;
    outcome->code = result->code;
}

static void call(struct fuzzed *fuzzed, struct ray_rpc_client *client,
                 const struct subject *subject, const ProtobufCMessage *request)
{
    struct member_fix_outcome outcome = {.code = RAY_OK};
    uint64_t id = 0;

    if (ray_rpc_stream_start(client, subject->method, request,
                             subject->item != NULL ? subject->item : subject->output,
                             subject->output, 0, on_item, on_end, &outcome, &id, NULL) != RAY_OK) {
        return; /* too large */
    }
    fuzzed->is_impatient = false;
    ray_timer_start(&fuzzed->patience, PATIENCE_MS, 0);
    while (!outcome.has_ended && !fuzzed->is_impatient) {
        ray_loop_once(&fuzzed->fix.loop);
    }
    ray_timer_stop(&fuzzed->patience);
    ray_rpc_call_cancel(client, id);
    if (!member_fix_run(&fuzzed->fix, member_fix_has_ended, &outcome)) {
        abort(); /* a call without an end */
    }
}

static void join(struct fuzzed *fuzzed, ProtobufCMessage *message)
{
    static const struct subject subject = {"node.join", NULL, &rayos__cluster__joined__descriptor};
    Rayos__Cluster__JoinRequest *request = (Rayos__Cluster__JoinRequest *)message;
    struct ray_peer peer = {.hello = {.kind = RAY_PEER_JOIN}};
    struct ray_rpc_client *client = NULL;
    struct ray_seal *seals[2];
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    int fds[2];

    ray_key_proof(fuzzed->joiner, proof);
    request->key_proof = ray_proto_bytes(proof, sizeof proof);
    request->link_key = ray_proto_bytes(ray_key_static(fuzzed->joiner), RAY_KEY_SIZE);
    memcpy(peer.identity, ray_key_identity(fuzzed->joiner), RAY_KEY_SIZE);
    ray_key_node_id(peer.identity, &peer.hello.from);

    bulk_fixture_tcp_pair(fds);
    bulk_fixture_seals(seals);
    if (ray_rpc_bulk_server_take(fuzzed->fix.member->joiners, fds[0], seals[0], &peer, NULL) !=
            RAY_OK ||
        ray_rpc_client_create_bulk(&client, &fuzzed->fix.loop, fds[1], seals[1], NULL) != RAY_OK) {
        abort();
    }
    call(fuzzed, client, &subject, message);
    ray_rpc_client_destroy(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzzed *fuzzed = world();
    const struct ray_rpc_method *methods = coord_member_methods();
    size_t index = size > 0 ? bytes[0] % RAY_ARRAY_COUNT(subjects) : 0;
    bool is_join = size > 0 && bytes[0] == JOIN_INDEX;
    ProtobufCMessage *message = NULL;

    if (size == 0) {
        return 0;
    }
    assert(is_join || strcmp(methods[index].name, subjects[index].method) == 0);
    ray_arena_reset(&fuzzed->arena);
    if (ray_proto_unpack(is_join ? &rayos__cluster__join_request__descriptor : methods[index].input,
                         bytes + 1, size - 1, &fuzzed->arena, &message, NULL) != RAY_OK) {
        return 0;
    }
    if (is_join) {
        join(fuzzed, message);
    } else {
        call(fuzzed, fuzzed->fix.client, &subjects[index], message);
    }
    return 0;
}

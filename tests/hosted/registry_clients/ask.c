/* ask.c - one attempt at one member: open a session, put, or query. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proto/cluster.pb-c.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec_fixture.h"
#include "tests/hosted/registry_clients/clients.h"

enum {
    SESSION_TTL_S = 24 * 3600,
    COMMAND_SIZE_MAX = 512,
    SPEC_SIZE = 18, /* two bytes of head, 16 digits */
    ANSWER_SIZE_MAX = 1 << 16,
    NAME_SIZE = 48
};

/* Of another seed the registers are others: a history begins with registers that are not there. */
static void key_id(const struct clients_one *one, uint8_t out[static RAY_ID_SIZE])
{
    memset(out, 0x7e, RAY_ID_SIZE);
    memcpy(out, &one->all->seed, sizeof one->all->seed);
    out[RAY_ID_SIZE - 1] = (uint8_t)one->op.key;
}

/* ---- sessions ---- */

static void on_session(void *arg, const struct ray_rpc_result *result)
{
    struct clients_one *one = arg;

    if (result->code == RAY_OK) {
        clients_opened(one);
    } else {
        clients_failed(one, result->code);
    }
}

static bool open_session(struct clients_one *one, struct ray_rpc_client *conn, uint64_t timeout_ms)
{
    Rayos__Cluster__SessionRequest request = RAYOS__CLUSTER__SESSION_REQUEST__INIT;

    request.id = ray_proto_id(&one->session);
    request.ttl_s = SESSION_TTL_S;
    return ray_rpc_call_start(conn, "session.open", &request.base, NULL, 0,
                              &rayos__cluster__session_opened__descriptor, timeout_ms, NULL,
                              on_session, one, NULL, NULL) == RAY_OK;
}

/* ---- writes ---- */

/* Whether this answer of the state machine says that the register had something else. */
static bool is_other_value(const struct clients_one *one, const Rayos__Registry__Result *answer)
{
    return one->op.kind == SIM_OP_SWAP &&
           answer->code == (one->expected_revision == 0 ? RAY_EEXISTS : RAY_ECONFLICT);
}

static void on_put(void *arg, const struct ray_rpc_result *result)
{
    struct clients_one *one = arg;
    const Rayos__Registry__Result *answer = (const Rayos__Registry__Result *)result->body;

    if (result->code != RAY_OK) {
        clients_failed(one, result->code);
        return;
    }
    if (answer->code != RAY_OK && !is_other_value(one, answer)) {
        clients_die("a put was refused", answer->text);
    }
    clients_answered(one, one->op.value, answer->revision, answer->code != RAY_OK);
}

/* The value in hex, for a spec is a text here. */
static void write_spec(uint64_t value, uint8_t out[static SPEC_SIZE + 1])
{
    size_t head_size = spec_fix_head(out, SPEC_SIZE);

    (void)snprintf((char *)out + head_size, SPEC_SIZE + 1 - head_size, "%0*" PRIx64,
                   (int)(SPEC_SIZE - head_size), value);
}

/* False: no register's. */
static bool read_spec(const ProtobufCBinaryData *spec, uint64_t *out)
{
    char text[SPEC_SIZE + 1] = "";
    uint8_t head[SPEC_FIX_HEAD_SIZE_MAX];
    size_t head_size = spec_fix_head(head, SPEC_SIZE);

    if (spec->len != SPEC_SIZE || memcmp(spec->data, head, head_size) != 0) {
        return false;
    }
    memcpy(text, spec->data + head_size, SPEC_SIZE - head_size);
    *out = strtoull(text, NULL, 16);
    return true;
}

static bool put(struct clients_one *one, struct ray_rpc_client *conn, uint64_t timeout_ms)
{
    Rayos__Cluster__ProposeRequest request = RAYOS__CLUSTER__PROPOSE_REQUEST__INIT;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ObjectPut body = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    uint8_t bytes[COMMAND_SIZE_MAX];
    uint8_t spec[SPEC_SIZE + 1];
    uint8_t id[RAY_ID_SIZE];
    char name[NAME_SIZE];

    key_id(one, id);
    (void)snprintf(name, sizeof name, "register-%" PRIu64 "-%" PRIu32, one->all->seed, one->op.key);
    if (!one->is_plain) {
        header.session = ray_proto_id(&one->session);
        header.sequence = one->op.sequence;
    }
    object.kind = RAYOS__REGISTRY__KIND__KIND_NETWORK;
    object.id = ray_proto_bytes(id, sizeof id);
    object.name = name;
    write_spec(one->op.value, spec);
    object.spec = ray_proto_bytes(spec, SPEC_SIZE);
    body.object = &object;
    if (one->op.kind == SIM_OP_SWAP) {
        body.expected_revision = one->expected_revision;
        body.is_create = one->expected_revision == 0;
    }
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &body;
    request.command = ray_proto_bytes(bytes, rayos__registry__command__pack(&command, bytes));
    return ray_rpc_call_start(conn, "registry.propose", &request.base, NULL, 0,
                              &rayos__registry__result__descriptor, timeout_ms, NULL, on_put, one,
                              NULL, NULL) == RAY_OK;
}

/* ---- reads ---- */

static void on_part(void *arg, const ProtobufCMessage *item)
{
    struct clients_one *one = arg;
    const Rayos__Cluster__QueryPart *part = (const Rayos__Cluster__QueryPart *)item;

    if (ray_buf_append(&one->answer, part->bytes.data, part->bytes.len) != RAY_OK) {
        clients_die("a query", "the answer is too large");
    }
}

static void take_answer(struct clients_one *one)
{
    Rayos__Registry__Answer *answer =
        rayos__registry__answer__unpack(NULL, one->answer.size, one->answer.data);
    const Rayos__Registry__Object *object;
    uint64_t revision = 0;
    uint64_t value = 0;

    if (answer == NULL) {
        clients_die("a query", "a malformed answer");
    }
    if (answer->n_entries == 1) {
        object = answer->entries[0]->object;
        if (object == NULL || object->revision == 0 || !read_spec(&object->spec, &value)) {
            clients_die("a query", "a register that nobody made");
        }
        revision = object->revision;
    }
    rayos__registry__answer__free_unpacked(answer, NULL);
    clients_answered(one, value, revision, false);
}

static void on_shown(void *arg, const struct ray_rpc_result *result)
{
    struct clients_one *one = arg;

    if (result->code == RAY_OK) {
        take_answer(one);
    } else if (result->code == RAY_ENOTFOUND) {
        clients_answered(one, 0, 0, false);
    } else {
        clients_failed(one, result->code);
    }
}

static bool query(struct clients_one *one, struct ray_rpc_client *conn, uint64_t timeout_ms)
{
    Rayos__Cluster__QueryRequest request = RAYOS__CLUSTER__QUERY_REQUEST__INIT;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    uint8_t bytes[64];
    uint8_t id[RAY_ID_SIZE];

    ray_buf_fini(&one->answer);
    ray_buf_init(&one->answer, ANSWER_SIZE_MAX);
    key_id(one, id);
    query.kind = RAYOS__REGISTRY__KIND__KIND_NETWORK;
    query.id = ray_proto_bytes(id, sizeof id);
    request.query = ray_proto_bytes(bytes, rayos__registry__query__pack(&query, bytes));
    request.is_linearizable = true;
    return ray_rpc_stream_start(conn, "registry.query", &request.base,
                                &rayos__cluster__query_part__descriptor,
                                &rayos__cluster__query_end__descriptor, timeout_ms, on_part,
                                on_shown, one, NULL, NULL) == RAY_OK;
}

bool clients_ask(struct clients_one *one, uint64_t timeout_ms)
{
    struct ray_rpc_client *conn = clients_conn(&one->all->members[one->member]);

    if (conn == NULL) {
        return false;
    }
    one->is_opening = !one->is_plain && !one->has_session && one->op.kind != SIM_OP_READ;
    if (one->is_opening) {
        return open_session(one, conn, timeout_ms);
    }
    return one->op.kind == SIM_OP_READ ? query(one, conn, timeout_ms) : put(one, conn, timeout_ms);
}

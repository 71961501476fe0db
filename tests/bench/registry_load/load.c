/* load.c - options, connections, sessions, requests and samples, for all modes. */
#include "tests/bench/registry_load/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "net/proto_codec.h"
#include "net/spec_fixture.h"

enum { COMMAND_SIZE_MAX = LOAD_VALUE_SIZE_MAX + 512, SESSION_TTL_S = 3600, NAME_SIZE = 32 };

void load_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "registry_load: %s: %s\n", what, why);
    exit(1);
}

/* ---- beginning and end ---- */

static uint64_t number_of(const struct ray_args *args, const char *name, uint64_t max)
{
    uint64_t value = 0;

    if (ray_parse_u64(ray_args_value(args, name), 0, max, &value) != RAY_OK) {
        load_die(name, "not a number, or too large");
    }
    return value;
}

static void split_sockets(struct load *load, const char *text)
{
    char *rest = NULL;

    (void)snprintf(load->socket_text, sizeof load->socket_text, "%s", text);
    for (char *word = strtok_r(load->socket_text, ",", &rest); word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        if (load->socket_count == LOAD_SOCKETS_MAX) {
            load_die("--sockets", "too many");
        }
        load->sockets[load->socket_count++] = word;
    }
    if (load->socket_count == 0) {
        load_die("--sockets", "none");
    }
}

static void open_conns(struct load *load, size_t count)
{
    struct ray_err err = {0};

    for (size_t i = 0; i < count; i++) {
        if (ray_rpc_client_create_unix(&load->conns[i], &load->loop,
                                       load->sockets[i % load->socket_count], &err) != RAY_OK) {
            load_die(load->sockets[i % load->socket_count], err.text);
        }
        ray_rpc_client_bundle(load->conns[i]);
        load->conn_count++;
    }
}

static void make_clients(struct load *load)
{
    load->clients = calloc(load->client_count, sizeof *load->clients);
    if (load->clients == NULL) {
        load_die("clients", "no memory");
    }
    for (uint64_t i = 0; i < load->client_count; i++) {
        load->clients[i] = (struct load_client){.load = load,
                                                .conn = load->conns[i % load->conn_count],
                                                .number = i,
                                                .key = i % load->key_count};
    }
}

static void open_with(struct load *load, const struct ray_args *args, size_t conn_count)
{
    struct ray_err err = {0};

    load->length_ns = number_of(args, "seconds", 3600) * RAY_NS_PER_S;
    load->value_size = number_of(args, "size", LOAD_VALUE_SIZE_MAX);
    load->key_count = number_of(args, "count", 10000000);
    load->times = number_of(args, "times", 1000);
    load->every_ms = number_of(args, "every-ms", 60000);
    if (load->client_count == 0 || load->key_count == 0 || load->every_ms == 0) {
        load_die("--clients, --count, --every-ms", "at least 1");
    }
    if (load->value_size < 2) {
        load_die("--size", "at least 2: a value is a spec with a text");
    }
    memset(load->value, 'v', sizeof load->value);
    (void)spec_fix_head(load->value, load->value_size);
    if (ray_loop_init(&load->loop, &err) != RAY_OK) {
        load_die("loop", err.text);
    }
    open_conns(load, conn_count);
    make_clients(load);
}

void load_open(struct load *load, const struct ray_args *args)
{
    split_sockets(load, ray_args_value(args, "sockets"));
    load->client_count = number_of(args, "clients", LOAD_CLIENTS_MAX);
    open_with(load, args,
              (size_t)(load->client_count + LOAD_CLIENTS_PER_CONN - 1) / LOAD_CLIENTS_PER_CONN);
}

void load_open_each(struct load *load, const struct ray_args *args)
{
    split_sockets(load, ray_args_value(args, "sockets"));
    load->client_count = load->socket_count;
    open_with(load, args, load->socket_count);
}

void load_disconnect(struct load *load)
{
    for (size_t i = 0; i < load->conn_count; i++) {
        ray_rpc_client_destroy(load->conns[i]);
    }
    load->conn_count = 0;
}

void load_close(struct load *load)
{
    load_disconnect(load);
    free(load->clients);
    free(load->samples_us);
    ray_loop_fini(&load->loop);
}

/* ---- sessions ---- */

struct opening {
    struct load_client *client;
    uint64_t *left;
};

static void on_session(void *arg, const struct ray_rpc_result *result)
{
    struct opening *opening = arg;
    const Rayos__Cluster__SessionOpened *opened =
        (const Rayos__Cluster__SessionOpened *)result->body;

    if (result->code != RAY_OK || ray_id_from_bytes(opened->id.data, opened->id.len,
                                                    &opening->client->session, NULL) != RAY_OK) {
        load_die("session.open", result->text);
    }
    (*opening->left)--;
    if (*opening->left == 0) {
        ray_loop_stop(&opening->client->load->loop);
    }
}

void load_open_sessions(struct load *load)
{
    Rayos__Cluster__SessionRequest request = RAYOS__CLUSTER__SESSION_REQUEST__INIT;
    struct opening *openings = calloc(load->client_count, sizeof *openings);
    uint64_t left = load->client_count;
    struct ray_err err = {0};

    if (openings == NULL) {
        load_die("sessions", "no memory");
    }
    request.ttl_s = SESSION_TTL_S;
    for (uint64_t i = 0; i < load->client_count; i++) {
        openings[i] = (struct opening){.client = &load->clients[i], .left = &left};
        if (ray_rpc_call_start(load->clients[i].conn, "session.open", &request.base, NULL, 0,
                               &rayos__cluster__session_opened__descriptor, 0, NULL, on_session,
                               &openings[i], NULL, &err) != RAY_OK) {
            load_die("session.open", err.text);
        }
    }
    ray_loop_run(&load->loop);
    free(openings);
}

/* ---- requests ---- */

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct load_client *client = arg;

    client->on_answer(client, result);
}

/* 16 bytes that no other key has. */
static void key_id(uint64_t key, uint8_t out[static RAY_ID_SIZE])
{
    memset(out, 0xad, RAY_ID_SIZE - 8);
    for (int i = 0; i < 8; i++) {
        out[RAY_ID_SIZE - 8 + i] = (uint8_t)(key >> (8 * (7 - i)));
    }
}

void load_put(struct load_client *client, Rayos__Registry__Kind kind, uint64_t key,
              const uint8_t *value, size_t value_size)
{
    Rayos__Cluster__ProposeRequest request = RAYOS__CLUSTER__PROPOSE_REQUEST__INIT;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest guest = RAYOS__REGISTRY__GUEST__INIT;
    uint8_t bytes[COMMAND_SIZE_MAX];
    uint8_t id[RAY_ID_SIZE];
    char name[NAME_SIZE];
    struct ray_err err = {0};

    key_id(key, id);
    (void)snprintf(name, sizeof name, "load-%08" PRIu64, key);
    if (!ray_id_is_none(&client->session)) {
        header.session = ray_proto_id(&client->session);
        header.sequence = ++client->sequence;
    }
    object.kind = kind;
    object.id = ray_proto_bytes(id, sizeof id);
    object.name = name;
    object.spec = ray_proto_bytes(value, value_size);
    if (kind == RAYOS__REGISTRY__KIND__KIND_GUEST) {
        object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
        object.guest = &guest;
    }
    put.object = &object;
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    request.command = ray_proto_bytes(bytes, rayos__registry__command__pack(&command, bytes));
    client->begun_ns = ray_clock_monotonic_ns();
    if (ray_rpc_call_start(client->conn, "registry.propose", &request.base, NULL, 0,
                           &rayos__registry__result__descriptor, 0, NULL, on_end, client, NULL,
                           &err) != RAY_OK) {
        load_die("registry.propose", err.text);
    }
}

int load_put_code(const struct ray_rpc_result *result)
{
    return result->code != RAY_OK ? result->code
                                  : ((const Rayos__Registry__Result *)result->body)->code;
}

static void on_part(void *arg, const ProtobufCMessage *item)
{
    (void)arg;
    (void)item; /* the end tells that it was all */
}

void load_get(struct load_client *client, uint64_t key)
{
    Rayos__Cluster__QueryRequest request = RAYOS__CLUSTER__QUERY_REQUEST__INIT;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    uint8_t bytes[64];
    uint8_t id[RAY_ID_SIZE];
    struct ray_err err = {0};

    key_id(key, id);
    query.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    query.id = ray_proto_bytes(id, sizeof id);
    request.query = ray_proto_bytes(bytes, rayos__registry__query__pack(&query, bytes));
    request.is_linearizable = true;
    client->begun_ns = ray_clock_monotonic_ns();
    if (ray_rpc_stream_start(client->conn, "registry.query", &request.base,
                             &rayos__cluster__query_part__descriptor,
                             &rayos__cluster__query_end__descriptor, 0, on_part, on_end, client,
                             NULL, &err) != RAY_OK) {
        load_die("registry.query", err.text);
    }
}

/* ---- samples ---- */

void load_sample(struct load *load, uint64_t length_ns)
{
    if (load->sample_count == load->sample_room) {
        size_t room = load->sample_room == 0 ? 1 << 16 : 2 * load->sample_room;
        uint32_t *samples = realloc(load->samples_us, room * sizeof *samples);

        if (samples == NULL) {
            load_die("samples", "no memory");
        }
        load->samples_us = samples;
        load->sample_room = room;
    }
    load->samples_us[load->sample_count++] = (uint32_t)(length_ns / RAY_NS_PER_US);
}

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t other = *(const uint32_t *)b;

    return (one > other) - (one < other);
}

static double at_ms(const struct load *load, size_t percent)
{
    size_t index = load->sample_count * percent / 100;

    if (load->sample_count == 0) {
        return 0;
    }
    return (double)load->samples_us[index < load->sample_count ? index : load->sample_count - 1] /
           1000;
}

void load_report(struct load *load, uint64_t took_ns)
{
    if (load->sample_count > 0) {
        qsort(load->samples_us, load->sample_count, sizeof *load->samples_us, compare);
    }
    (void)printf("{\"count\": %zu, \"ops_per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
                 "\"max_ms\": %.3f}\n",
                 load->sample_count, (double)load->sample_count * 1e9 / (double)took_ns,
                 at_ms(load, 50), at_ms(load, 99), at_ms(load, 100));
}

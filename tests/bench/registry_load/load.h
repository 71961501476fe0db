/* tests/bench/registry_load/load.h - clients that load a cluster through the sockets of its
 * members, as any client does: session, request, answer (net/proto/cluster.proto).
 *
 * Memory: load_open and load_close.  Threads: the loop's.  Blocks: load_open, load_run.
 * Errors end the process: a load that goes wrong has no result.  Trust: what it loads is ours. */
#ifndef RAY_TESTS_BENCH_REGISTRY_LOAD_LOAD_H
#define RAY_TESTS_BENCH_REGISTRY_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/args.h"
#include "base/id.h"
#include "base/loop.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/registry.pb-c.h"
#include "net/rpc.h"

enum {
    LOAD_CLIENTS_MAX = 2000,
    LOAD_CONNS_MAX = 64,
    LOAD_CLIENTS_PER_CONN = 64,
    LOAD_SOCKETS_MAX = 8,
    LOAD_VALUE_SIZE_MAX = 8192,
};

struct load;

struct load_client {
    struct load *load;
    struct ray_rpc_client *conn;
    struct ray_id session;
    uint64_t sequence; /* of the session's last request */
    uint64_t number;   /* of the client, from 0 */
    uint64_t key;      /* of its next request */
    uint64_t begun_ns; /* its last request */
    void (*on_answer)(struct load_client *client, const struct ray_rpc_result *result);
};

struct load {
    struct ray_loop loop;
    const char *sockets[LOAD_SOCKETS_MAX];
    size_t socket_count;
    struct ray_rpc_client *conns[LOAD_CONNS_MAX];
    size_t conn_count;
    struct load_client *clients;
    uint64_t client_count;
    uint64_t length_ns;
    uint64_t value_size;
    uint64_t key_count;
    uint64_t times;
    uint64_t every_ms;
    uint32_t *samples_us;
    size_t sample_count;
    size_t sample_room;
    uint8_t value[LOAD_VALUE_SIZE_MAX];
    char socket_text[1024];
};

_Noreturn void load_die(const char *what, const char *why);

/* Options of the command line, and clients over connections of LOAD_CLIENTS_PER_CONN each. */
void load_open(struct load *load, const struct ray_args *args);
void load_close(struct load *load);
/* Its calls end. For those whose calls go on until then. */
void load_disconnect(struct load *load);

/* One connection to each socket instead, for those that tell members apart. */
void load_open_each(struct load *load, const struct ray_args *args);

/* Gives each client a session; returns when all have theirs. */
void load_open_sessions(struct load *load);

/* One request of the client: on_answer follows. Without a session it is not protected against
 * running twice. */
void load_put(struct load_client *client, Rayos__Registry__Kind kind, uint64_t key,
              const uint8_t *value, size_t value_size);
void load_get(struct load_client *client, uint64_t key);
/* RAY_OK: the state machine took it. Else the code of call or state machine. */
int load_put_code(const struct ray_rpc_result *result);

void load_sample(struct load *load, uint64_t length_ns);
/* One line of JSON, as tests/bench/etcd_load writes it. */
void load_report(struct load *load, uint64_t took_ns);

/* ---- modes ---- */

void load_loop(struct load *load, bool is_reading); /* closed loop */
void load_fill(struct load *load);                  /* each key so many times */
void load_probe(struct load *load);                 /* when puts begin and end */
void load_watch(struct load *load);                 /* how late events come */
void load_ready(const char *socket);                /* until a member shows its state */

#endif

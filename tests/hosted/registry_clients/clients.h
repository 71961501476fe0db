/* tests/hosted/registry_clients/clients.h - clients of a cluster of real processes that write down
 * what they asked, what they were told, and when (tests/hosted/history/history_file.h).
 *
 * They come over the network as one operator, so that a session is good at every member. Each has
 * a session and repeats a request at one member after another until it is answered; some have none
 * and never repeat one. The registers are specs of networks.
 * Memory: init/fini of the parts by clients_run.  Threads: the loop's.  Blocks: clients_run.
 * Errors that no fault explains end the process.  Trust: the members are ours. */
#ifndef RAY_TESTS_HOSTED_REGISTRY_CLIENTS_CLIENTS_H
#define RAY_TESTS_HOSTED_REGISTRY_CLIENTS_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/loop.h"
#include "net/bulk_shake.h"
#include "net/key.h"
#include "net/rpc.h"
#include "tests/sim/history.h"
#include "tests/sim/rng.h"

enum {
    CLIENTS_MAX = 32,
    CLIENTS_MEMBERS_MAX = 8,
    CLIENTS_KEYS_MAX = 16,
};

/* The connection to one member, made anew when it has ended. */
struct clients_member {
    struct clients *all;
    char address[64]; /* HOST:PORT */
    uint8_t link_key[RAY_KEY_SIZE];
    struct ray_bulk_shake *shake; /* it begins */
    struct ray_rpc_client *conn;  /* NULL: none */
    bool has_ended;               /* shake or connection: to be cleared away */
    uint32_t silent_count;        /* attempts in a row that ran out of time */
};

struct clients_seen {
    uint64_t value;
    uint64_t revision; /* 0: it was not there */
};

struct clients;

struct clients_one {
    struct clients *all;
    uint32_t number;
    uint32_t home; /* the member that it prefers */
    bool is_plain; /* has no session */
    bool has_session;
    bool is_busy;
    bool is_repeating; /* this request was tried before */
    bool is_opening;
    struct ray_id session;
    uint64_t sequence;
    struct sim_op op;
    uint64_t expected_revision;
    uint32_t member; /* of this attempt */
    uint64_t give_up_ns;
    struct ray_timer timer;
    struct ray_buf answer;
    struct clients_seen seen[CLIENTS_KEYS_MAX];
    uint32_t last_reads; /* of the end, already done */
};

struct clients {
    struct ray_loop loop;
    struct ray_signal sigterm;
    uint64_t seed;
    struct sim_rng rng;
    struct ray_key *key; /* the operator's */
    struct ray_id cluster;
    struct clients_member members[CLIENTS_MEMBERS_MAX];
    uint32_t member_count;
    struct clients_one one[CLIENTS_MAX];
    uint32_t count;
    uint32_t key_count;
    uint64_t think_ms;
    uint64_t op_max; /* 0: until SIGTERM */
    FILE *history;
    bool is_ending;
    uint32_t ended_count;
    uint64_t op_count;
    uint64_t ok_count;
    uint64_t unknown_count;
    uint64_t retry_count;
};

_Noreturn void clients_die(const char *what, const char *why);

/* Until SIGTERM or op_max; then each client reads every register from one member after another. */
void clients_run(struct clients *all);

/* ---- conn.c: as an operator to a member ---- */

/* NULL: not yet, or not now; begins to connect. */
struct ray_rpc_client *clients_conn(struct clients_member *member);
/* An attempt there ended. A connection on which nothing is answered any more is given up. */
void clients_conn_heard(struct clients_member *member, bool is_silent);
void clients_conn_end(struct clients_member *member);

/* ---- ask.c: one attempt of an operation at a member ---- */

/* clients_answered or clients_failed follows from the loop; false: not even begun. */
bool clients_ask(struct clients_one *one, uint64_t timeout_ms);
void clients_answered(struct clients_one *one, uint64_t value, uint64_t revision, bool has_failed);
void clients_opened(struct clients_one *one);
void clients_failed(struct clients_one *one, int code);

#endif

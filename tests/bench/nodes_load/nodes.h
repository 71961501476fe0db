/* tests/bench/nodes_load/nodes.h - many nodes of a cluster in one process, each with an identity
 * and an encrypted link of its own to the leader: they join by a token, say hello, and renew their
 * grants as agents do (net/proto/member.proto, grant.proto).
 *
 * Memory: nodes_open and nodes_close.  Threads: the loop's.  Blocks: nodes_run.
 * Errors end the process: a load that goes wrong has no result.  Trust: what it loads is ours. */
#ifndef RAY_TESTS_BENCH_NODES_LOAD_NODES_H
#define RAY_TESTS_BENCH_NODES_LOAD_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/loop.h"
#include "net/bulk_shake.h"
#include "net/key.h"
#include "net/link.h"
#include "net/rpc.h"
#include "net/token.h"

enum { NODES_MAX = 2000, NODES_ADDRESS_SIZE = 64 };

struct nodes;

struct node {
    struct nodes *nodes;
    uint64_t number; /* from 0 */
    struct ray_key *key;
    struct ray_id id;
    struct ray_id incarnation;
    struct ray_bulk_shake *shake;  /* while it joins */
    struct ray_rpc_client *client; /* the same */
    struct ray_link *link;         /* once it has joined */
    bool is_up;
    struct ray_timer timer; /* its next renewal */
    uint64_t sent_ns;       /* the renewal that has no answer yet; 0: none */
};

struct nodes {
    struct ray_loop loop;
    struct ray_token *token;
    char leader_address[NODES_ADDRESS_SIZE];
    struct ray_id leader;
    uint8_t leader_static[RAY_KEY_SIZE];
    uint8_t leader_identity[RAY_KEY_SIZE];
    struct ray_id cluster;
    uint64_t cluster_epoch;
    struct node *all;
    uint64_t count;
    uint64_t joined; /* so many have begun to, or have */
    uint64_t up;
    uint64_t renew_ms;
    uint64_t length_ns; /* of what counts */
    uint64_t begin_ns;  /* of the same; 0: not yet */
    struct ray_timer end;
    struct ray_arena arena;
    uint32_t *samples_us;
    size_t sample_count;
    size_t sample_room;
    uint64_t late; /* renewals that had no answer when the next was due */
};

_Noreturn void nodes_die(const char *what, const char *why);

/* join.c: the node asks to be let in; node_link follows, then the next one's turn. */
void node_join(struct node *node);
/* link.c: the link, hello and renewals of a node that has joined. */
void node_link(struct node *node);
/* main.c: one is in, so another may begin; all are up, so the time begins. */
void nodes_next(struct nodes *nodes);

#endif

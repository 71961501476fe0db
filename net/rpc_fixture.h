/* net/rpc_fixture.h - a server with methods that misbehave on demand, and a client, on one
 * loop over a real Unix socket. For tests only.
 *
 * Memory: setup and teardown on caller memory.  Threads: one.  Blocks: in run_until.
 * Trust: none. */
#ifndef RAY_NET_RPC_FIXTURE_H
#define RAY_NET_RPC_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "net/proto/rpc.pb-c.h"
#include "net/rpc.h"

enum { FIXTURE_HELD_COUNT_MAX = 300 };

/* A stream that sends item 0..count-1, then ends. */
struct fixture_stream {
    struct ray_rpc_call *call; /* NULL: none */
    uint64_t next;
    uint64_t count;
    size_t item_size;
    uint64_t blocked_count; /* how often it was refused an item */
};

struct fixture {
    struct ray_loop loop;
    struct ray_timer late; /* ends run_until */
    char dir[64];
    char path[96];
    struct ray_rpc_server *server;
    struct ray_rpc_client *client;
    struct fixture_stream stream;
    struct ray_rpc_call *held[FIXTURE_HELD_COUNT_MAX]; /* of test.hold */
    size_t held_count;
    size_t canceled_count; /* of test.hold and test.stream */
    bool hold_without_callback;
    uint64_t remaining_ms; /* what the last test.hold saw */
    struct ray_rpc_peer peer;
    int received_fd;   /* what test.fd got; -1: nothing */
    bool is_timed_out; /* of run_until */
};

/* What a client call heard. */
struct fixture_outcome {
    struct fixture *fixture;
    bool has_ended;
    int end_count;
    int code;
    char text[512];
    char next_step[256];
    uint64_t id; /* of the body */
    size_t body_size;
    uint64_t item_count;
    uint64_t item_sum;
};

/* 0, or -1: the set-up was refused (only under fault injection). */
int fixture_setup(struct fixture *fixture);
void fixture_teardown(struct fixture *fixture);
/* The same for cmocka, on the heap. */
int fixture_make(void **state);
int fixture_drop(void **state);

/* test.echo   Item -> the same Item          test.fail   Empty -> not_found with next step
 * test.stream Credit -> `count` Items, Empty test.hold   Empty -> nothing until released
 * test.fd     Empty -> Empty, keeps a descriptor         test.big Empty -> a reply too large
 * test.size   Item -> an Item with a sum of the body's bytes as its id
 * test.bye    Empty -> destroys the server             test.give Empty -> Empty, a pipe */
const struct ray_rpc_method *fixture_methods(void); /* `arg` is a struct fixture */
int fixture_call(struct fixture *fixture, const char *method, const ProtobufCMessage *input,
                 uint64_t timeout_ms, struct fixture_outcome *outcome, uint64_t *out_id);
/* For ray_rpc_call_start with a struct fixture_outcome. */
void fixture_on_item(void *arg, const ProtobufCMessage *message);
void fixture_on_end(void *arg, const struct ray_rpc_result *result);
void fixture_release_held(struct fixture *fixture);

/* Turns the loop until *flag is set; 10 s at most, then is_timed_out. */
void fixture_run_until(struct fixture *fixture, const bool *flag);

/* A bare socket at the server, blocking, for hostile bytes. */
int fixture_connect_raw(const struct fixture *fixture);

#endif

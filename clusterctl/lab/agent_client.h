/* clusterctl/lab/agent_client.h - the host's end of the test agent (net/proto/agent.proto).
 *
 * One client per machine, on the Unix socket behind QEMU's virtio-serial port `rayos.test`.
 * The client begins a session with a sync block, repeats it until the agent echoes its
 * nonce, and fails all open requests when the connection or the session ends; it reconnects
 * by itself while the socket is there.
 *
 * An agent that was started anew, on a machine that was reset, ends the session, too.
 *
 * Memory: create/destroy; buffers handed to callbacks are borrowed. No callback may destroy
 * the client; each may start requests.  Threads: the loop's.
 * Blocks: never.  Trust: what the machine sends is hostile: sizes are bounded and a malformed
 * frame ends the session. */
#ifndef RAY_CLUSTERCTL_LAB_AGENT_CLIENT_H
#define RAY_CLUSTERCTL_LAB_AGENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

enum {
    RAY_AGENT_REQUEST_COUNT_MAX = 64, /* open at once */
    RAY_AGENT_ARG_COUNT_MAX = 64,
    RAY_AGENT_DATA_SIZE_MAX = 256 * 1024, /* in one Data message */
    RAY_AGENT_STDIN_SIZE_MAX = 512 * 1024,
    RAY_AGENT_QUEUE_SIZE_MAX = 8 << 20, /* waiting to be written: the most that a put takes */
    RAY_AGENT_EXEC_GRACE_MS = 30000,    /* an exec's timeout is the machine's; later it is ours */
};

struct ray_agent_client;

/* How a request ended. code is RAY_OK for a command that ran, whatever its status. */
struct ray_agent_end {
    int code;
    const char *text;                                /* borrowed; "" for RAY_OK */
    bool is_signaled;                                /* of an exec */
    int status;                                      /* exit status or signal of an exec */
    bool timed_out;                                  /* an exec that was killed at its timeout */
    uint64_t boottime_ns, monotonic_ns, realtime_ns; /* of a ping */
};

/* Callbacks of one request. on_data: stream 1 stdout, 2 stderr, 0 the bytes of a get.
 * on_end runs exactly once, never from within the call that starts the request. */
struct ray_agent_handler {
    void (*on_data)(void *arg, int stream, const uint8_t *bytes, size_t size);
    void (*on_end)(void *arg, const struct ray_agent_end *end);
    void *arg;
    uint64_t limit_ms; /* by the host's clock: then it ends with RAY_ETIMEOUT, and an exec is
                        * killed. 0: none; an exec with a timeout has that and the grace. */
};

int ray_agent_client_create(struct ray_agent_client **out_client, struct ray_loop *loop,
                            const char *socket_path, struct ray_err *err);
/* Open requests end with RAY_ECANCELED. NULL is fine. */
void ray_agent_client_destroy(struct ray_agent_client *client);
/* Whether the agent has answered in this session. */
bool ray_agent_client_is_up(const struct ray_agent_client *client);
/* Called whenever that changes. */
void ray_agent_client_on_change(struct ray_agent_client *client, void (*cb)(void *arg, bool is_up),
                                void *arg);

/* Each starts a request and may give its id (for kill). RAY_EUNAVAILABLE: the agent is not
 * up; RAY_EAGAIN: too many are open; RAY_ETOOBIG. timeout_ms 0: none. */
int ray_agent_exec(struct ray_agent_client *client, const char *const *argv, size_t arg_count,
                   const void *input, size_t input_size, uint64_t timeout_ms,
                   const struct ray_agent_handler *handler, uint64_t *out_id, struct ray_err *err);
int ray_agent_kill(struct ray_agent_client *client, uint64_t id, struct ray_err *err);
/* The file is on the machine's stable storage when it ends with RAY_OK. */
int ray_agent_put(struct ray_agent_client *client, const char *path, mode_t mode, const void *bytes,
                  size_t size, const struct ray_agent_handler *handler, struct ray_err *err);
int ray_agent_get(struct ray_agent_client *client, const char *path,
                  const struct ray_agent_handler *handler, struct ray_err *err);
int ray_agent_ping(struct ray_agent_client *client, const struct ray_agent_handler *handler,
                   struct ray_err *err);

#endif

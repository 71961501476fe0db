/* tests/agent/port.h - the agent's byte stream to the host: a virtio-serial port that comes
 * and goes with the host's connection, or a socket in hosted tests.
 *
 * Memory: init/fini on caller memory.  Threads: the loop's.  Blocks: never; what the host
 * does not read is queued up to PORT_QUEUE_SIZE_MAX, then port_send fails.
 * Trust: the host is the test's own, but bytes are checked all the same (net/frame.h). */
#ifndef RAY_TESTS_AGENT_PORT_H
#define RAY_TESTS_AGENT_PORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/frame.h"
#include "net/proto/agent.pb-c.h"

enum { PORT_QUEUE_SIZE_MAX = 8 << 20, PORT_QUEUE_SIZE_HIGH = 1 << 20 };

struct port {
    struct ray_loop *loop;
    int fd;
    bool is_virtio;
    struct ray_poll poll;
    struct ray_timer timer; /* looks whether the host is back */
    struct ray_frame_reader reader;
    struct ray_buf out;
    bool is_host_there;
    /* A new session began: forget everything of the last one. */
    void (*on_session)(void *arg);
    /* One request; `payload` is borrowed. */
    void (*on_request)(void *arg, const Rayos__Agent__Request *request);
    /* The queue fell below PORT_QUEUE_SIZE_HIGH. */
    void (*on_drain)(void *arg);
    void *arg;
};

/* Takes fd over. */
int port_init(struct port *port, struct ray_loop *loop, int fd, bool is_virtio,
              struct ray_err *err);
void port_fini(struct port *port);
int port_send(struct port *port, const Rayos__Agent__Answer *answer);
bool port_is_full(const struct port *port); /* above PORT_QUEUE_SIZE_HIGH */

/* Opens the virtio-serial port called `name`; waits up to timeout_ms for it to appear. */
int port_open_virtio(const char *name, unsigned timeout_ms, int *out_fd, struct ray_err *err);

#endif

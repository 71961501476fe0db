/* tests/agent/port.h - the agent's byte stream to the host: a virtio-serial port that comes
 * and goes with the host's connection, or a socket in hosted tests.
 *
 * The host begins a session with a sync block, which is echoed (net/frame.h). When the host
 * appears the agent itself sends one with nonce 0: a host that believed to be in a session
 * learns that it speaks to a new agent.
 *
 * Memory: init/fini on caller memory.  Threads: the loop's.  Blocks: never; what the host
 * does not read is queued up to PORT_QUEUE_SIZE_MAX, then sending fails.
 * Trust: the host is the test's own, but bytes are checked all the same (net/frame.h). */
#ifndef RAY_TESTS_AGENT_PORT_H
#define RAY_TESTS_AGENT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/frame.h"
#include "net/proto/agent.pb-c.h"

/* Sources of data stop at HIGH; what they have begun, and the last output of every command that
 * may run, fits between that and MAX. */
enum { PORT_QUEUE_SIZE_MAX = 16 << 20, PORT_QUEUE_SIZE_HIGH = 1 << 20 };

struct port {
    struct ray_loop *loop;
    int fd;         /* owned; -1: not open */
    bool is_virtio; /* comes back after a hang-up; a socket ends the loop */
    struct ray_poll poll;
    struct ray_timer timer; /* looks whether the host is back */
    struct ray_frame_reader reader;
    struct ray_buf out;
    bool is_host_there;
    /* A session ended or began: forget everything of the last one. */
    void (*on_session)(void *arg);
    /* One request; borrowed. */
    void (*on_request)(void *arg, const Rayos__Agent__Request *request);
    /* The queue fell to PORT_QUEUE_SIZE_HIGH. */
    void (*on_drain)(void *arg);
    void *arg;
};

/* Takes fd over; the callbacks are set before. */
int port_init(struct port *port, struct ray_loop *loop, int fd, bool is_virtio,
              struct ray_err *err);
void port_fini(struct port *port); /* safe on zeroed with fd -1 */

/* RAY_ECLOSED: no host. RAY_ETOOBIG: the queue is full. */
int port_send(struct port *port, const Rayos__Agent__Answer *answer);
int port_send_done(struct port *port, uint64_t id);
int port_send_failure(struct port *port, uint64_t id, const struct ray_err *err);
/* Writes what is queued as far as the host takes it at once; whether nothing is left. */
bool port_flush(struct port *port);
bool port_is_full(const struct port *port); /* above PORT_QUEUE_SIZE_HIGH: send no more data */

/* The virtio-serial port called `name`, opened. class_fd: /sys/class/virtio-ports.
 * RAY_ENOTFOUND: it is not there (yet). */
int port_open_virtio(int class_fd, const char *name, int *out_fd, struct ray_err *err);

#endif

/* clusterctl/lab/switch_port.h - one port of the switch: a Unix stream socket that a QEMU
 * connects to, or a packet socket on one end of a veth pair.
 *
 * Memory: init/fini on caller memory; the reader's memory is allocated at open; queued frames
 * belong to the pool.  Threads: one owner.  Blocks: never (all descriptors are non-blocking).
 * Trust: what is read comes from machines that may be hostile. */
#ifndef RAY_LAB_SWITCH_PORT_H
#define RAY_LAB_SWITCH_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "clusterctl/lab/switch_ctl.h"
#include "clusterctl/lab/switch_frame.h"
#include "clusterctl/lab/switch_queue.h"

enum ray_switch_port_kind {
    RAY_SWITCH_PORT_STREAM, /* listens on a Unix socket; a new peer replaces the old one */
    RAY_SWITCH_PORT_PACKET, /* AF_PACKET: the host's port, never meant by "*" */
};

struct ray_switch_port_counts {
    uint64_t rx_frames;
    uint64_t rx_bytes;
    uint64_t tx_frames;
    uint64_t tx_bytes;
    uint64_t queue_drops;    /* the port's queue or the frame pool was full */
    uint64_t age_drops;      /* waited longer than RAY_SWITCH_QUEUE_AGE_MS_MAX */
    uint64_t no_peer_drops;  /* nobody is connected, the connection ended, or the link is down */
    uint64_t oversize_drops; /* longer than the limit (a stream is closed by it) or the MTU */
    uint64_t runt_drops;     /* shorter than an Ethernet header */
    uint64_t kernel_drops;   /* PACKET_STATISTICS: the switch was too slow for the host */
    uint64_t connects;
};

struct ray_switch_port {
    char name[RAY_SWITCH_NAME_SIZE];
    enum ray_switch_port_kind kind;
    char path[108]; /* of the listening socket; "" when there is none to remove */
    int listen_fd;  /* -1: none */
    int fd;         /* -1: no peer */
    bool wants_write;
    uint8_t *memory;
    struct ray_switch_reader reader;
    struct ray_switch_queue queue;
    struct ray_switch_port_counts counts;
};

/* Opens the listening socket at `path`, which replaces a stale one, or the packet socket on
 * the interface `path`. RAY_ENOTFOUND, RAY_EDENIED, RAY_EINVAL (path too long), ... */
int ray_switch_port_open(struct ray_switch_port *port, const char *name,
                         enum ray_switch_port_kind kind, const char *path, struct ray_err *err);
void ray_switch_port_fini(struct ray_switch_port *port, struct ray_switch_pool *pool);

/* Takes the newest waiting peer into *out_fd, which replaces port->fd by the caller's hand
 * (disconnect, then attach). RAY_EAGAIN: nobody waits. */
int ray_switch_port_accept(struct ray_switch_port *port, int *out_fd, struct ray_err *err);
void ray_switch_port_attach(struct ray_switch_port *port, int fd);

/* Closes the peer's descriptor; forgets a half-read frame and the queue (counted as no peer). */
void ray_switch_port_disconnect(struct ray_switch_port *port, struct ray_switch_pool *pool);

/* Reads once (stream) or a bounded number of frames (packet) and calls on_frame for each.
 * RAY_OK: come back when it is readable. RAY_ECLOSED, RAY_EMALFORMED: disconnect. */
int ray_switch_port_read(struct ray_switch_port *port,
                         void (*on_frame)(void *arg, struct ray_switch_port *port,
                                          const uint8_t *frame, size_t size),
                         void *arg, struct ray_err *err);

/* Puts a frame (NULL: the pool is exhausted) into the queue, or counts why not. */
void ray_switch_port_enqueue(struct ray_switch_port *port, struct ray_switch_pool *pool,
                             struct ray_switch_frame *frame, uint64_t now_ns);

/* Writes what goes. RAY_OK: the queue is empty. RAY_EAGAIN: come back when it is writable.
 * RAY_ECLOSED: disconnect. */
int ray_switch_port_flush(struct ray_switch_port *port, struct ray_switch_pool *pool,
                          uint64_t now_ns);

/* Adds what the kernel dropped since the last call to the counts. */
void ray_switch_port_update_counts(struct ray_switch_port *port);

#endif

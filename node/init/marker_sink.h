/* node/init/marker_sink.h - where markers and words for people go: the console, the virtio
 * port rayos.marker and the log; each marker line is one write(2).
 *
 * The port may appear late (its driver is a module) or be plugged out: lines wait, bounded,
 * and the port is looked for again.
 * Memory: two bounded queues.  Threads: the loop's.  Blocks: never.
 * Trust: details are escaped by ray_marker_format. */
#ifndef RAY_NODE_INIT_MARKER_SINK_H
#define RAY_NODE_INIT_MARKER_SINK_H

#include <stdbool.h>

#include "base/loop.h"
#include "base/marker.h"
#include "node/init/out_queue.h"
#include "node/init/persist_log.h"
#include "node/init/timeline.h"

enum {
    MARKER_SINK_CONSOLE_SIZE_MAX = 64 << 10,
    MARKER_SINK_PORT_SIZE_MAX = 64 << 10,
    MARKER_SINK_FIND_MS = 2000,
    MARKER_SINK_NAME_SIZE_MAX = 32,
};

struct marker_sink {
    const char *root;                             /* "" on a node; in front of /dev and /sys */
    char console_name[MARKER_SINK_NAME_SIZE_MAX]; /* below /dev; "console" unless changed */
    struct persist_log *log;
    struct timeline *timeline;
    struct out_queue console;
    struct out_queue port;
    struct ray_timer find_timer;
    /* Around console output, so that a prompt there can step aside and come back; may be
     * NULL. */
    void (*before_console)(void *arg);
    void (*after_console)(void *arg);
    void *arg;
};

int marker_sink_init(struct marker_sink *sink, struct ray_loop *loop, const char *root,
                     struct persist_log *log, struct timeline *timeline, struct ray_err *err);
void marker_sink_fini(struct marker_sink *sink);

/* Opens <root>/dev/<console_name>; until then lines wait. */
int marker_sink_open_console(struct marker_sink *sink, struct ray_err *err);
/* Looks for the port, unless it is open; also done by itself now and then. */
void marker_sink_find_port(struct marker_sink *sink);

/* `detail` may be NULL. Steps of the timeline do not go to the console. */
void marker_sink_emit(struct marker_sink *sink, enum ray_marker marker, const char *detail);
void marker_sink_emitf(struct marker_sink *sink, enum ray_marker marker, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A line for people, console only; `text` must be printable. */
void marker_sink_say(struct marker_sink *sink, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Last chance before the machine stops. */
void marker_sink_flush(struct marker_sink *sink);

/* The port's device below <root>/dev, found by its name in <root>/sys/class/virtio-ports;
 * RAY_ENOTFOUND. */
int marker_port_find(const char *root, const char *port_name, char *out_path, size_t out_size,
                     struct ray_err *err);

#endif

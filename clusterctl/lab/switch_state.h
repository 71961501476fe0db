/* clusterctl/lab/switch_state.h - the inside of struct ray_switch, shared by switch.c (loop),
 * switch_forward.c (frames), switch_apply.c (commands) and switch_stats.c (counters).
 *
 * Memory: see switch.h.  Threads: one owner.  Blocks: forward may write captures.
 * Trust: frames are hostile; names in commands are checked against the ports. */
#ifndef RAY_LAB_SWITCH_STATE_H
#define RAY_LAB_SWITCH_STATE_H

#include "base/buf.h"
#include "clusterctl/lab/switch.h"
#include "clusterctl/lab/switch_fault.h"
#include "clusterctl/lab/switch_mac.h"
#include "clusterctl/lab/switch_pcap.h"

struct ray_switch_link_counts {
    uint64_t frames; /* handed to the receiving port's queue */
    uint64_t bytes;
    uint64_t loss_drops;
    uint64_t cut_drops;
    uint64_t rate_drops;
    uint64_t queue_drops; /* the delay line or the frame pool was full */
    uint64_t delayed;
    uint64_t duplicated;
    uint64_t reordered;
};

/* From one port to another. */
struct ray_switch_path {
    struct ray_switch_link link;
    struct ray_switch_link_counts counts;
    struct ray_switch_line line; /* entries NULL until a fault needs it */
    uint16_t to;
};

struct ray_switch {
    struct ray_switch_pool pool;
    struct ray_switch_mac_table macs;
    struct ray_switch_port ports[RAY_SWITCH_PORT_COUNT_MAX];
    size_t port_count;
    struct ray_switch_path *paths;    /* [from * port_count + to] */
    struct ray_switch_path **delayed; /* those with a line */
    size_t delayed_count;
    struct ray_switch_pcap captures[RAY_SWITCH_PORT_COUNT_MAX + 1]; /* the last: all ports */
    uint64_t dirty; /* bit i: port i has frames to write */
    uint64_t now_ns;
    uint64_t seed;
    int epoll_fd;
    int control_fd;
    char control_path[108];
    struct ray_logger *logger;
    uint64_t (*clock_ns)(void *arg);
    void *clock_arg;
};

_Static_assert(RAY_SWITCH_PORT_COUNT_MAX <= 64, "dirty has one bit per port");

static inline struct ray_switch_path *ray_switch_path(struct ray_switch *sw, size_t from, size_t to)
{
    return &sw->paths[from * sw->port_count + to];
}

static inline struct ray_switch_pcap *ray_switch_capture_of_all(struct ray_switch *sw)
{
    return &sw->captures[RAY_SWITCH_PORT_COUNT_MAX];
}

/* switch_forward.c */
/* A frame came in at a port; the type fits ray_switch_port_read, arg is the switch. */
void ray_switch_forward(void *arg, struct ray_switch_port *port, const uint8_t *frame, size_t size);
/* Hands over what is due in the delay lines. */
void ray_switch_run_lines(struct ray_switch *sw);
/* When the next delayed frame is due; UINT64_MAX: none waits. */
uint64_t ray_switch_next_line_ns(const struct ray_switch *sw);
/* Gives the path a delay line if it has none. */
int ray_switch_path_need_line(struct ray_switch *sw, struct ray_switch_path *path,
                              struct ray_err *err);

/* switch_apply.c */
/* Does the command; the reply for the sender is in `reply` ("ok ...", JSON). */
int ray_switch_apply(struct ray_switch *sw, const struct ray_switch_command *command,
                     struct ray_buf *reply, struct ray_err *err);

/* switch_stats.c */
/* Counters as JSON; port_name "": all. */
int ray_switch_stats(struct ray_switch *sw, const char *port_name, struct ray_buf *reply,
                     struct ray_err *err);
/* RAY_ENOTFOUND with the names that there are. */
int ray_switch_find_port(const struct ray_switch *sw, const char *name, size_t *out_index,
                         struct ray_err *err);

#endif

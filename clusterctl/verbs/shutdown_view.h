/* clusterctl/verbs/shutdown_view.h - what of a node's shutdown is news since the last look, as
 * lines for people.
 *
 * Memory: none; names and texts are copied.  Threads: one.  Blocks: on the stream.
 * Trust: the status comes from PID 1; texts are escaped all the same. */
#ifndef RAY_CLUSTERCTL_VERBS_SHUTDOWN_VIEW_H
#define RAY_CLUSTERCTL_VERBS_SHUTDOWN_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "net/proto/init.pb-c.h"

enum { SHUTDOWN_VIEW_SERVICE_COUNT_MAX = 64, SHUTDOWN_VIEW_NAME_SIZE = 64 };

struct shutdown_view_service {
    char name[SHUTDOWN_VIEW_NAME_SIZE];
    bool is_running;      /* it has a process */
    bool is_announced;    /* "stopping" was said */
    uint64_t stopping_us; /* since when, by PID 1's clock; 0: not seen */
};

struct shutdown_view {
    struct shutdown_view_service services[SHUTDOWN_VIEW_SERVICE_COUNT_MAX];
    size_t count;
    bool is_over; /* the last line of the services was said */
};

/* Before the order: what runs. */
void shutdown_view_begin(struct shutdown_view *view, const Rayos__Init__Status *status);
/* After it: prints "stopping NAME ...", "stopped NAME (1.2 s)", and once all are, that. Services
 * beyond the most are not shown. */
void shutdown_view_update(struct shutdown_view *view, const Rayos__Init__Status *status,
                          FILE *stream);
/* Names of those that run yet: "rayosd, dhcp"; "nothing that we know of"; cut at out_size. */
void shutdown_view_left(const struct shutdown_view *view, char *out, size_t out_size);

#endif

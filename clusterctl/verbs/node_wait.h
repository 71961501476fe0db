/* clusterctl/verbs/node_wait.h - follows one node until something is true of it.
 *
 * On a terminal one line that changes, otherwise a line for each change.
 * Memory: none kept.  Threads: one.  Blocks: until then, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_WAIT_H
#define RAY_CLUSTERCTL_VERBS_NODE_WAIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/args.h"
#include "base/err.h"
#include "net/proto/cluster.pb-c.h"

enum { NODE_WAIT_LINE_SIZE = RAY_ERR_TEXT_SIZE };

#define NODE_NO_WAIT_OPTION {.name = "no-wait", .help = "end once the change is made"}
#define NODE_DRY_RUN_OPTION {.name = "dry-run", .help = "say what would happen, and change nothing"}

/* `node` is NULL once it is gone. True: that was it; `line` says how it stands. RAY_OK, or what
 * ends the waiting. */
typedef int node_wait_look(const void *context, const struct ray_args *args,
                           const Rayos__Cluster__NodeStatus *node, bool *out_done,
                           char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err);

struct node_wait {
    const char *id;
    const char *name;
    node_wait_look *look;
    const void *context; /* of look; may be NULL */
    bool is_by_name;     /* once that id is gone, another node of that name */
};

/* RAY_ETIMEOUT: not yet; the change goes on without us. */
int node_wait(const struct ray_args *args, const struct node_wait *wait, struct ray_err *err);

#endif

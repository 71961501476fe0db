#include "clusterctl/verbs/node_wait.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"

enum { PAUSE_MS = 200, NAME_SIZE = 256 };

struct view {
    char line[NODE_WAIT_LINE_SIZE];
    bool is_live;
    bool is_open; /* a line without its end */
};

static void show(struct view *view, const char *name, const char *line)
{
    char escaped[NODE_WAIT_LINE_SIZE * 4];
    char escaped_name[NAME_SIZE];

    if (strcmp(view->line, line) == 0) {
        return;
    }
    (void)snprintf(view->line, sizeof view->line, "%s", line);
    (void)ray_escape(escaped, sizeof escaped, (const uint8_t *)line, strlen(line));
    (void)ray_escape(escaped_name, sizeof escaped_name, name, strlen(name));
    (void)printf(view->is_live ? "\r\033[Knode %s: %s" : "node %s: %s\n", escaped_name, escaped);
    (void)fflush(stdout); /* whoever follows sees it now */
    view->is_open = view->is_live;
}

static const Rayos__Cluster__NodeStatus *find(const Rayos__Cluster__Nodes *nodes,
                                              const struct node_wait *wait)
{
    const Rayos__Cluster__NodeStatus *namesake = NULL;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        if (strcmp(nodes->nodes[i]->id, wait->id) == 0) {
            return nodes->nodes[i];
        }
        if (wait->is_by_name && strcmp(nodes->nodes[i]->name, wait->name) == 0) {
            namesake = nodes->nodes[i];
        }
    }
    return namesake;
}

static int look(const struct ray_args *args, const struct node_wait *wait, struct view *view,
                bool *out_done, struct ray_err *err)
{
    char line[NODE_WAIT_LINE_SIZE] = "";
    Rayos__Cluster__Nodes *nodes = NULL;
    int rc = node_list_fetch(args, false, &nodes, err);

    if (rc == RAY_OK) {
        rc = wait->look(wait->context, args, find(nodes, wait), out_done, line, err);
        show(view, wait->name, line);
    } else if (ray_err_is_retryable(rc)) {
        show(view, wait->name, err->text); /* an election, or a member that starts */
        rc = RAY_OK;
    }
    node_list_free(nodes);
    return rc;
}

int node_wait(const struct ray_args *args, const struct node_wait *wait, struct ray_err *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * (long)RAY_NS_PER_MS};
    struct view view = {.is_live = isatty(STDOUT_FILENO) == 1};
    uint64_t timeout_ms = 0;
    uint64_t end_ns;
    bool is_done = false;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    end_ns = ray_clock_boottime_ns() + timeout_ms * RAY_NS_PER_MS;
    while (rc == RAY_OK && !is_done) {
        rc = look(args, wait, &view, &is_done, err);
        if (rc != RAY_OK || is_done) {
            break;
        }
        if (ray_clock_boottime_ns() >= end_ns) {
            rc = ray_fail(err, RAY_ETIMEOUT, "node %s: not yet: %s", wait->name, view.line);
            (void)ray_next(err, "it goes on by itself; 'clusterctl node show %s'", wait->name);
        } else {
            (void)nanosleep(&pause, NULL); /* shorter: looks again sooner */
        }
    }
    if (view.is_open) {
        (void)printf("\n");
    }
    return rc;
}

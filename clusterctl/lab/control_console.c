/* clusterctl/lab/control_console.c - lab.console: viewers of a machine's console, each at its
 * own place in the history; lab.console_write: what they type. */
#include <stdlib.h>

#include "clusterctl/lab/control_internal.h"

enum { CHUNK_SIZE_MAX = 16 << 10 };

struct lab_viewer {
    struct lab_viewer *next;
    struct lab_node *node;
    struct ray_rpc_call *call;
    uint64_t offset;
    bool follows;
};

static void viewer_free(struct lab_viewer *viewer)
{
    struct lab_viewer **link = &viewer->node->lab->control->viewers;

    while (*link != viewer) {
        link = &(*link)->next;
    }
    *link = viewer->next;
    free(viewer);
}

static void pump(struct lab_viewer *viewer)
{
    struct lab_ring *ring = &viewer->node->history;

    while (viewer->offset < ring->end) {
        Rayos__Lab__ConsoleData item = RAYOS__LAB__CONSOLE_DATA__INIT;
        const uint8_t *bytes;

        if (viewer->offset < lab_ring_begin(ring)) {
            item.lost_bytes = lab_ring_begin(ring) - viewer->offset;
            viewer->offset = lab_ring_begin(ring);
        }
        item.data.len = lab_ring_peek(ring, viewer->offset, CHUNK_SIZE_MAX, &bytes);
        item.data.data = (uint8_t *)(uintptr_t)bytes;
        if (ray_rpc_send(viewer->call, &item.base) != RAY_OK) {
            return; /* slow: on_drain follows; gone: on_cancel follows */
        }
        viewer->offset += item.data.len;
    }
    if (!viewer->follows) {
        Rayos__Lab__ConsoleData end = RAYOS__LAB__CONSOLE_DATA__INIT;

        (void)ray_rpc_reply(viewer->call, &end.base); /* gone: nobody wants it */
        viewer_free(viewer);
    }
}

static void on_drain(void *arg)
{
    pump(arg);
}

static void on_cancel(void *arg)
{
    viewer_free(arg);
}

void lab_viewers_pump(struct lab *lab, struct lab_node *node)
{
    struct lab_viewer *next;

    for (struct lab_viewer *viewer = lab->control->viewers; viewer != NULL; viewer = next) {
        next = viewer->next;
        if (viewer->node == node) {
            pump(viewer);
        }
    }
}

void lab_method_console(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__ConsoleRequest *request = (const Rayos__Lab__ConsoleRequest *)input;
    struct lab *lab = arg;
    struct ray_err err = {0};
    struct lab_node *node = lab_node_by_name(lab, request->node, &err);
    struct lab_viewer *viewer = node == NULL ? NULL : calloc(1, sizeof *viewer);
    uint64_t kept;

    if (viewer == NULL) {
        if (node != NULL) {
            (void)ray_fail(&err, RAY_ENOMEM, "console of %s", node->who.name);
        }
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    kept = node->history.end - lab_ring_begin(&node->history);
    viewer->node = node;
    viewer->call = call;
    viewer->follows = request->follow;
    viewer->offset =
        node->history.end - (request->history_bytes_max < kept ? request->history_bytes_max : kept);
    viewer->next = lab->control->viewers;
    lab->control->viewers = viewer;
    ray_rpc_call_on_cancel(call, on_cancel, viewer);
    ray_rpc_call_on_drain(call, on_drain, viewer);
    pump(viewer);
}

void lab_method_console_write(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__ConsoleWriteRequest *request = (const Rayos__Lab__ConsoleWriteRequest *)input;
    struct ray_err err = {0};
    struct lab_node *node = lab_node_by_name(arg, request->node, &err);
    int rc = RAY_ENOTFOUND;

    if (node != NULL) {
        rc = lab_stream_write(&node->console, request->data.data, request->data.len);
    }
    if (rc == RAY_OK) {
        lab_reply_done(call);
        return;
    }
    if (node != NULL && rc == RAY_ECLOSED) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "%s is off", node->who.name);
        (void)ray_next(&err, "clusterctl lab chaos start %s", node->who.name);
    } else if (node != NULL) {
        (void)ray_fail(&err, rc, "the console of %s does not take input", node->who.name);
    }
    (void)ray_rpc_reply_err(call, &err);
}

/* clusterctl/lab/node_qmp.c - see node_qmp.h. */
#include "clusterctl/lab/node_qmp.h"

#include <string.h>

#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/node.h"
#include "clusterctl/lab/qmp.h"

/* The machine begins to boot again, by its own will, the watchdog's or ours. */
static void on_reset(struct lab_node *node, yyjson_val *data)
{
    const char *reason = yyjson_get_str(yyjson_obj_get(data, "reason"));

    lab_event(node->lab, LAB_KIND_POWER, node, "reset (%s)", reason != NULL ? reason : "unknown");
    node->ready_name[0] = '\0';
    lab_node_phase_event(node, LAB_EVENT_POWER_ON, lab_now_us(node->lab));
}

static void on_event(void *arg, const char *name, yyjson_val *data, uint64_t t_us)
{
    struct lab_node *node = arg;

    (void)t_us; /* of another clock */
    if (strcmp(name, "RESET") == 0) {
        on_reset(node, data);
    } else if (strcmp(name, "WATCHDOG") == 0) {
        lab_event(node->lab, LAB_KIND_POWER, node, "the watchdog bit");
    } else if (strcmp(name, "SHUTDOWN") == 0) {
        const char *reason = yyjson_get_str(yyjson_obj_get(data, "reason"));

        lab_event(node->lab, LAB_KIND_POWER, node, "shutdown (%s)",
                  reason != NULL ? reason : "unknown");
    } else if (strcmp(name, "STOP") == 0 && node->state == LAB_NODE_RUNNING) {
        node->state = LAB_NODE_FROZEN;
    } else if (strcmp(name, "RESUME") == 0 && node->state == LAB_NODE_FROZEN) {
        node->state = LAB_NODE_RUNNING;
    }
}

static void on_close(void *arg, const struct ray_err *err)
{
    struct lab_node *node = arg;

    /* The end of the process, with its reason, follows; all others are worth a word. */
    if (err->code != RAY_ECLOSED) {
        lab_event(node->lab, LAB_KIND_ERROR, node, "monitor of QEMU: %s", err->text);
    }
}

int lab_node_qmp_open(struct lab_node *node, int fd, struct ray_err *err)
{
    static const struct ray_qmp_handlers handlers = {.on_event = on_event, .on_close = on_close};

    return ray_qmp_create(&node->qmp, &node->lab->loop, fd, &handlers, node, err);
}

void lab_node_qmp_close(struct lab_node *node)
{
    struct ray_qmp *qmp = node->qmp;

    node->qmp = NULL;
    ray_qmp_destroy(qmp);
}

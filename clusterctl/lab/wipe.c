#include "clusterctl/lab/wipe.h"

#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/prepare.h"

int lab_wipe_begin(struct lab_node *node, struct ray_err *err)
{
    if (node->lab->config.data_disk_size_bytes == 0) {
        return ray_fail(err, RAY_ECONFLICT, "%s has no data disk", node->who.name);
    }
    if (node->wipe != LAB_WIPE_NONE) {
        return ray_fail(err, RAY_ECONFLICT, "%s is being wiped already", node->who.name);
    }
    node->wipe = LAB_WIPE_CUT;
    if (node->state != LAB_NODE_OFF) {
        lab_node_power_cut(node);
    }
    return RAY_OK;
}

static void on_disk(void *arg, bool is_made)
{
    struct lab_node *node = arg;

    if (node->wipe == LAB_WIPE_DISK) {
        node->wipe = is_made ? LAB_WIPE_MADE : LAB_WIPE_FAILED;
    } else {
        node->wipe = LAB_WIPE_NONE; /* it took too long for whoever asked */
    }
}

static int make_disk(struct lab_node *node, struct ray_err *err)
{
    int rc = lab_prepare_disk(node, on_disk, node, err);

    if (rc != RAY_OK) {
        return rc;
    }
    node->wipe = LAB_WIPE_DISK;
    return RAY_EAGAIN;
}

static int start(struct lab_node *node, struct ray_err *err)
{
    int rc;

    node->wipe = LAB_WIPE_NONE;
    node->wipe_count++;
    rc = lab_prepare_credentials(node->lab, node, err);
    return rc == RAY_OK ? lab_node_power_on(node, err) : rc;
}

int lab_wipe_step(struct lab_node *node, struct ray_err *err)
{
    switch (node->wipe) {
    case LAB_WIPE_CUT:
        return node->state == LAB_NODE_OFF ? make_disk(node, err) : RAY_EAGAIN;
    case LAB_WIPE_DISK:
        return RAY_EAGAIN;
    case LAB_WIPE_MADE:
        return start(node, err);
    case LAB_WIPE_LATE:
    case LAB_WIPE_FAILED:
    case LAB_WIPE_NONE:
        break;
    }
    return ray_fail(err, RAY_EIO, "the disk of %s was not made; " LAB_FILE_LOG " has the reason",
                    node->who.name);
}

void lab_wipe_end(struct lab_node *node)
{
    node->wipe = node->wipe == LAB_WIPE_DISK ? LAB_WIPE_LATE : LAB_WIPE_NONE;
}

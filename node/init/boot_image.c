#include "node/init/boot_image.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/proto/init.pb-c.h"
#include "node/init/init.h"
#include "node/init/system/boot_esp.h"

/* One call under way. */
struct work {
    uv_work_t uv;
    struct init *init;
    struct ray_rpc_call *call; /* NULL: the caller has left */
    /* of the thread */
    int root_fd;
    const char *root;
    enum init_boot_path path;
    int rc;
    struct ray_err err;
    char device[INIT_DATA_DEVICE_SIZE_MAX];
    int fds[INIT_BOOT_ESP_FILE_COUNT]; /* when rc is RAY_OK */
};

static void on_cancel(void *arg)
{
    ((struct work *)arg)->call = NULL;
}

static void on_thread(uv_work_t *uv)
{
    struct work *work = uv->data;

    work->rc = init_boot_esp_open(work->root_fd, work->root, work->path, work->device, work->fds,
                                  &work->err);
}

static void reply(struct work *work)
{
    Rayos__Init__BootImage message = RAYOS__INIT__BOOT_IMAGE__INIT;
    char *names[INIT_BOOT_ESP_FILE_COUNT];

    for (int i = 0; i < INIT_BOOT_ESP_FILE_COUNT; i++) {
        names[i] = (char *)(uintptr_t)init_boot_esp_name((enum init_boot_esp_file)i);
    }
    message.n_names = INIT_BOOT_ESP_FILE_COUNT;
    message.names = names;
    message.device = work->device;
    message.version = work->init->facts.image_version;
    /* The caller may have left. */
    (void)ray_rpc_reply_fds(work->call, &message.base, work->fds, INIT_BOOT_ESP_FILE_COUNT);
}

static void after_thread(uv_work_t *uv, int status)
{
    struct work *work = uv->data;

    (void)status; /* nobody cancels it */
    work->init->is_boot_image_busy = false;
    if (work->rc == RAY_OK) {
        ray_log(&work->init->logger, RAY_LOG_NOTICE, "boot-image", "opened on %s", work->device);
        if (work->call != NULL) {
            reply(work);
        }
        for (int i = 0; i < INIT_BOOT_ESP_FILE_COUNT; i++) {
            (void)close(work->fds[i]); /* read only */
        }
    } else {
        ray_log(&work->init->logger, RAY_LOG_WARN, "boot-image", "%s", work->err.text);
        if (work->call != NULL) {
            (void)ray_rpc_reply_err(work->call, &work->err); /* same */
        }
    }
    free(work);
}

static int start(struct init *init, struct ray_rpc_call *call, struct ray_err *err)
{
    struct work *work;

    if (ray_rpc_call_peer(call)->uid != 0) {
        (void)ray_fail(err, RAY_EDENIED, "only root may have the image of this node");
        (void)ray_next(err, "use the node's console, or become root");
        return RAY_EDENIED;
    }
    if (init->is_boot_image_busy) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "another such call is under way");
        (void)ray_next(err, "try again");
        return RAY_EUNAVAILABLE;
    }
    work = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *work);
    if (work == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the call");
    }
    work->init = init;
    work->call = call;
    work->root_fd = init->root_fd;
    work->root = init->root;
    work->path = init->facts.path;
    work->uv.data = work;
    if (uv_queue_work(&init->loop.uv, &work->uv, on_thread, after_thread) != 0) {
        free(work);
        return ray_fail(err, RAY_ENOMEM, "no memory for the call");
    }
    init->is_boot_image_busy = true;
    ray_rpc_call_on_cancel(call, on_cancel, work);
    return RAY_OK;
}

void init_boot_image_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct ray_err err = {0};

    (void)input; /* has no fields */
    if (start(arg, call, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
}

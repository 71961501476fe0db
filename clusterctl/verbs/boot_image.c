#include "clusterctl/verbs/boot_image.h"

#include <assert.h>
#include <unistd.h>

#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/provision_call.h"

int boot_image_open(const struct ray_args *args, struct boot_image *out, struct ray_err *err)
{
    Rayos__Init__BootImageRequest request = RAYOS__INIT__BOOT_IMAGE_REQUEST__INIT;
    struct boot_image image = {0};
    char path[NODE_CALL_PATH_SIZE_MAX];
    ProtobufCMessage *body = NULL;
    uint64_t timeout_ms = 0;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    rc = rc == RAY_OK ? node_call_path(args, "init.sock", path, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_rpc_call_unix_fds(path, "init.boot_image", &request.base,
                               &rayos__init__boot_image__descriptor, timeout_ms, &body, image.fds,
                               &image.fd_count, err);
    if (rc != RAY_OK) {
        return node_call_next(err);
    }
    image.files = (Rayos__Init__BootImage *)body;
    if (image.fd_count == 0 || image.files->n_names != image.fd_count) {
        rc = ray_fail(err, RAY_EMALFORMED, "%zu files came with %zu descriptors",
                      image.files->n_names, image.fd_count);
        boot_image_close(&image);
        return rc;
    }
    *out = image;
    return RAY_OK;
}

int boot_image_give(const struct ray_args *args, const struct boot_image *image, const char *reason,
                    Rayos__Provision__Image **out_added, struct ray_err *err)
{
    Rayos__Provision__ImageAddRequest request = RAYOS__PROVISION__IMAGE_ADD_REQUEST__INIT;
    char path[NODE_CALL_PATH_SIZE_MAX];
    ProtobufCMessage *reply = NULL;
    int rc = node_call_path(args, "provision.sock", path, err);

    assert(image->files != NULL && image->files->n_names == image->fd_count);
    if (rc != RAY_OK) {
        return rc;
    }
    request.n_names = image->files->n_names;
    request.names = image->files->names;
    request.reason = (char *)(uintptr_t)reason;
    rc = provision_call(
        args,
        &(const struct provision_call){.socket = path,
                                       .method = "provision.image_add",
                                       .request = &request.base,
                                       .fds = image->fds,
                                       .fd_count = image->fd_count,
                                       .reply = &rayos__provision__image__descriptor},
        &reply, err);
    if (rc == RAY_OK) {
        *out_added = (Rayos__Provision__Image *)reply;
    }
    return rc;
}

void boot_image_close(struct boot_image *image)
{
    for (size_t i = 0; i < image->fd_count; i++) {
        (void)close(image->fds[i]); /* read only */
    }
    if (image->files != NULL) {
        protobuf_c_message_free_unpacked(&image->files->base, NULL);
    }
    *image = (struct boot_image){0};
}

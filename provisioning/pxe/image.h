/* provisioning/pxe/image.h - the image that is served, and the proof that it is the right one.
 *
 * rayos.efi is hashed whole before its first byte is served, and again whenever it or
 * manifest.json is another file than before (device, inode, size, times). The descriptor that
 * is served is the one that was hashed. A failed check holds until something changes, so that
 * no flood of requests keeps a disk busy.
 * Memory: create/destroy; a wait is the caller's until its callback.
 * Threads: the loop's; hashing runs in libuv's pool.  Blocks: never, but for check_now.
 * Trust: the folder's content may be damaged or change under us. */
#ifndef RAY_PROVISIONING_PXE_IMAGE_H
#define RAY_PROVISIONING_PXE_IMAGE_H

#include "base/err.h"
#include "base/loop.h"
#include "provisioning/store/manifest.h"

struct provision_image;

struct provision_image_view {
    const struct provision_manifest *manifest;
    int fd; /* borrowed: duplicate it; read it at offsets */
};

struct provision_image_wait {
    struct provision_image_wait *next;
    /* `view` is NULL when no verified image can be had: `err` says why. */
    void (*cb)(void *arg, const struct provision_image_view *view, const struct ray_err *err);
    void *arg;
};

int provision_image_create(struct provision_image **out_image, struct ray_loop *loop,
                           const char *dir, struct ray_err *err);
/* Ends open waits with RAY_ECANCELED. NULL is fine. */
void provision_image_destroy(struct provision_image *image);

/* For the start: checks at once. RAY_ENOTFOUND: a file is missing; RAY_EMALFORMED: the manifest
 * is damaged; RAY_ECONFLICT: rayos.efi is not what the manifest says. */
int provision_image_check_now(struct provision_image *image, struct ray_err *err);

/* Calls wait->cb once: at once when nothing has changed since the last check, else after a
 * new one. */
void provision_image_use(struct provision_image *image, struct provision_image_wait *wait);

/* The last result, without a look at the files: RAY_OK, or the error in *err. */
int provision_image_state(const struct provision_image *image, struct ray_err *err);

#endif

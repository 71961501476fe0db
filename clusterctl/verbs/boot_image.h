/* clusterctl/verbs/boot_image.h - the image that this node was started from: PID 1 opens its files
 * on the disk, rayos-provision gets them. Nobody here reads what is in them.
 *
 * Memory: struct boot_image owns its descriptors and PID 1's answer.  Threads: one.
 * Blocks: until the answer or --timeout.  Trust: answers are checked by net/rpc; the service
 * checks the files. */
#ifndef RAY_CLUSTERCTL_VERBS_BOOT_IMAGE_H
#define RAY_CLUSTERCTL_VERBS_BOOT_IMAGE_H

#include "base/args.h"
#include "base/err.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/provision.pb-c.h"
#include "net/rpc.h"

struct boot_image {
    Rayos__Init__BootImage *files; /* NULL: none */
    int fds[RAY_RPC_FD_COUNT_MAX]; /* as many as files->n_names */
    size_t fd_count;
};

/* `args` has --socket-dir and --timeout. */
int boot_image_open(const struct ray_args *args, struct boot_image *out, struct ray_err *err);
/* *out_added is the caller's (protobuf_c_message_free_unpacked). */
int boot_image_give(const struct ray_args *args, const struct boot_image *image, const char *reason,
                    Rayos__Provision__Image **out_added, struct ray_err *err);
void boot_image_close(struct boot_image *image); /* zeroed is fine */

#endif

/* node/init/boot_image.h - the method init.boot_image: the files of the image that this node was
 * started from, as descriptors, for whoever gives them to others.
 *
 * Memory: a call has one allocation.  Threads: the loop's; the disk is looked at on a pool thread,
 * one at a time, so that one that hangs costs no more.  Blocks: never.
 * Trust: callers are root. */
#ifndef RAY_NODE_INIT_BOOT_IMAGE_H
#define RAY_NODE_INIT_BOOT_IMAGE_H

#include <protobuf-c/protobuf-c.h>

#include "net/rpc.h"

/* `arg` is struct init. */
void init_boot_image_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

#endif

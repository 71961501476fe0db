/* net/rpc_bundle.h - several rpc messages in one packet: Envelope.bundle of rpc.proto, by hand.
 *
 * Who asks for it (Request.takes_bundles) gets the answers of one turn in one packet, and may send
 * its requests likewise once an End has said that the server takes them.
 * Private to net/rpc*.c and its tests.
 * Memory: borrows.  Threads: any.  Blocks: never.  Trust: what is taken apart is hostile. */
#ifndef RAY_NET_RPC_BUNDLE_H
#define RAY_NET_RPC_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAY_RPC_BUNDLE_HEAD_SIZE_MAX = 4 };

/* What goes before a message of `size` bytes, at least 1; returns how many bytes that is. */
size_t ray_rpc_bundle_head(uint8_t out[static RAY_RPC_BUNDLE_HEAD_SIZE_MAX], size_t size);

/* An empty packet is none. */
bool ray_rpc_bundle_is(const uint8_t *bytes, size_t size);

/* The message at *at (0 at first), which moves behind it. RAY_EMALFORMED: there is none that is
 * whole. A message is not looked into. */
int ray_rpc_bundle_next(const uint8_t *bytes, size_t size, size_t *at, const uint8_t **out_message,
                        size_t *out_size);

#endif

/* net/bulk_object.h - one object of known size over a channel, in chunks with a BLAKE2b-256 each;
 * it can go on where an earlier attempt stopped.
 *
 *   receiver                                       sender
 *     WANT {version, first chunk, window,     ->
 *           root or none}
 *                                             <-  HEAD {object size, chunk size, root}
 *                                             <-  LIST {hashes of chunks}, in parts
 *                                             <-  CHUNK {index, bytes} from the first wanted on,
 *                                                 never more than `window` beyond the last GIVE
 *     GIVE {chunks taken in all}              ->
 *     finish                                  ->
 *
 * The root is the hash of {object size, chunk size, hashes of all chunks}: who knows it needs to
 * trust neither sender nor disk; who resumes asks for the same root, so that two objects are
 * never mixed (RAY_ECONFLICT). The receiver checks each chunk before the sink sees it, the sender
 * checks before it sends (RAY_EIO: its disk is rotten). Pure: messages in, messages out.
 *
 * Memory: create/destroy; the list (32 bytes a chunk) and one chunk.
 * Threads: one owner.  Blocks: in the source and the sink only.
 * Trust: the peer's messages are hostile. */
#ifndef RAY_NET_BULK_OBJECT_H
#define RAY_NET_BULK_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    RAY_BULK_HASH_SIZE = 32,
    RAY_BULK_CHUNK_SIZE_MIN = 4 << 10,
    RAY_BULK_CHUNK_SIZE_MAX = 512 << 10,
    RAY_BULK_CHUNK_COUNT_MAX = 1 << 20,
    RAY_BULK_WINDOW_MAX = 64, /* chunks */
};

/* How the object is described; sizes of all chunks but the last are equal. */
struct ray_bulk_object {
    uint64_t size_bytes;
    uint32_t chunk_size;
    uint8_t root[RAY_BULK_HASH_SIZE];
};

/* A list of chunk hashes, made once where the object is written. */
void ray_bulk_chunk_hash(const void *bytes, size_t size, uint8_t out[static RAY_BULK_HASH_SIZE]);
/* RAY_EINVAL: sizes beyond the limits. `hashes`: RAY_BULK_HASH_SIZE bytes for each chunk. */
int ray_bulk_root(uint64_t size_bytes, uint32_t chunk_size, const uint8_t *hashes,
                  uint8_t out[static RAY_BULK_HASH_SIZE], struct ray_err *err);
/* How many chunks; 0 for an empty object. RAY_EINVAL: sizes beyond the limits. */
int ray_bulk_chunk_count(uint64_t size_bytes, uint32_t chunk_size, uint32_t *out_count,
                         struct ray_err *err);

/* Where messages go: ray_bulk_send of a channel, or a test. RAY_EAGAIN: later. */
typedef int ray_bulk_send_fn(void *arg, const void *bytes, size_t size);

/* ---- the sending side ---- */

struct ray_bulk_source {
    struct ray_bulk_object object;
    const uint8_t *hashes; /* of all chunks; borrowed, outlives the sender */
    /* Reads a chunk's `size` bytes; a code < 0 ends the transfer. */
    int (*read)(void *arg, uint32_t index, void *out, size_t size, struct ray_err *err);
    void *arg;
};

struct ray_bulk_sender;

int ray_bulk_sender_create(struct ray_bulk_sender **out_sender,
                           const struct ray_bulk_source *source, ray_bulk_send_fn *send,
                           void *send_arg, struct ray_err *err);
void ray_bulk_sender_destroy(struct ray_bulk_sender *sender);
/* A message of the peer. A code < 0: close the channel. */
int ray_bulk_sender_receive(struct ray_bulk_sender *sender, const uint8_t *bytes, size_t size,
                            struct ray_err *err);
/* Sends what may be sent, until the window or the channel is full or a turn's share is done; call
 * it when the channel is writable and each turn while ray_bulk_sender_is_ready. */
int ray_bulk_sender_pump(struct ray_bulk_sender *sender, struct ray_err *err);
bool ray_bulk_sender_is_ready(const struct ray_bulk_sender *sender); /* pump would send */
bool ray_bulk_sender_is_done(const struct ray_bulk_sender *sender);  /* the peer has it all */

/* ---- the receiving side ---- */

struct ray_bulk_sink {
    /* Once, before the first chunk; with a code < 0 the object is refused (too large, no room).
     * `hashes` of all chunks are borrowed until the receiver's end: a sink that wants to resume
     * stores root and list. May be NULL. */
    int (*begin)(void *arg, const struct ray_bulk_object *object, const uint8_t *hashes,
                 struct ray_err *err);
    /* A checked chunk, in order. A code < 0 ends the transfer. */
    int (*write)(void *arg, uint32_t index, const void *bytes, size_t size, struct ray_err *err);
    void *arg;
};

struct ray_bulk_wish {
    uint32_t first_chunk; /* 0, or how many an earlier attempt has written */
    uint32_t window;      /* chunks under way at most, 1 to RAY_BULK_WINDOW_MAX */
    bool has_root;        /* needed when first_chunk is not 0 */
    uint8_t root[RAY_BULK_HASH_SIZE];
    uint64_t size_max; /* larger objects are refused */
};

struct ray_bulk_receiver;

/* Sends WANT at once. */
int ray_bulk_receiver_create(struct ray_bulk_receiver **out_receiver,
                             const struct ray_bulk_wish *wish, const struct ray_bulk_sink *sink,
                             ray_bulk_send_fn *send, void *send_arg, struct ray_err *err);
void ray_bulk_receiver_destroy(struct ray_bulk_receiver *receiver);
int ray_bulk_receiver_receive(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                              struct ray_err *err);
/* Sends a GIVE that the channel refused before; call it when the channel is writable. */
int ray_bulk_receiver_pump(struct ray_bulk_receiver *receiver, struct ray_err *err);
uint32_t ray_bulk_receiver_taken(const struct ray_bulk_receiver *receiver); /* chunks written */
bool ray_bulk_receiver_is_done(const struct ray_bulk_receiver *receiver);

#endif

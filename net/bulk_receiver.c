/* bulk_receiver.c - believes the list once it hashes to the root, and each chunk once it hashes to
 * its place in the list. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "net/bulk_object_impl.h"

enum step { WAIT_HEAD, WAIT_LIST, WAIT_CHUNK, DONE, FAILED };

struct ray_bulk_receiver {
    struct ray_bulk_wish wish;
    struct ray_bulk_sink sink;
    ray_bulk_send_fn *send;
    void *send_arg;
    enum step step;
    struct ray_bulk_object object;
    uint32_t chunk_count;
    uint32_t hash_count; /* received */
    uint32_t taken;
    uint32_t told; /* the last GIVE that the channel took */
    bool has_told;
    uint8_t *hashes;
};

int ray_bulk_receiver_create(struct ray_bulk_receiver **out_receiver,
                             const struct ray_bulk_wish *wish, const struct ray_bulk_sink *sink,
                             ray_bulk_send_fn *send, void *send_arg, struct ray_err *err)
{
    uint8_t want[RAY_BULK_WANT_SIZE] = {RAY_BULK_WANT, RAY_BULK_OBJECT_VERSION,
                                        wish->has_root ? 1 : 0};
    struct ray_bulk_receiver *receiver;
    int rc;

    assert(wish->window >= 1 && wish->window <= RAY_BULK_WINDOW_MAX);
    assert(wish->first_chunk == 0 || wish->has_root);
    receiver = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *receiver);
    if (receiver == NULL) {
        return ray_fail(err, RAY_ENOMEM, "receiving an object");
    }
    receiver->wish = *wish;
    receiver->sink = *sink;
    receiver->send = send;
    receiver->send_arg = send_arg;
    receiver->taken = wish->first_chunk;
    ray_store32le(want + 4, wish->first_chunk);
    ray_store32le(want + 8, wish->window);
    if (wish->has_root) {
        memcpy(want + 12, wish->root, RAY_BULK_HASH_SIZE);
    }
    rc = send(send_arg, want, sizeof want);
    if (rc != RAY_OK) {
        ray_bulk_receiver_destroy(receiver);
        return ray_fail(err, rc, "bulk: asking for an object");
    }
    *out_receiver = receiver;
    return RAY_OK;
}

void ray_bulk_receiver_destroy(struct ray_bulk_receiver *receiver)
{
    if (receiver != NULL) {
        free(receiver->hashes);
        free(receiver);
    }
}

/* Tells how much was taken: twice in a window, and at the end. */
int ray_bulk_receiver_pump(struct ray_bulk_receiver *receiver, struct ray_err *err)
{
    uint32_t untold = receiver->taken - receiver->told;
    uint8_t give[RAY_BULK_PART_HEAD_SIZE];
    int rc;

    if (receiver->step == DONE ? receiver->has_told
                               : untold == 0 || untold < (receiver->wish.window + 1) / 2) {
        return RAY_OK;
    }
    if (receiver->step != DONE && receiver->step != WAIT_CHUNK) {
        return RAY_OK;
    }
    ray_bulk_put_part(give, RAY_BULK_GIVE, receiver->taken);
    rc = receiver->send(receiver->send_arg, give, sizeof give);
    if (rc == RAY_EAGAIN) {
        return RAY_OK;
    }
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "bulk: telling what was taken");
    }
    receiver->told = receiver->taken;
    receiver->has_told = receiver->step == DONE;
    return RAY_OK;
}

/* ---- in ---- */

/* The list is whole: is it the one, does the sink want it, is there anything left to get? */
static int begin_chunks(struct ray_bulk_receiver *receiver, struct ray_err *err)
{
    const struct ray_bulk_object *object = &receiver->object;
    uint8_t root[RAY_BULK_HASH_SIZE];
    int rc = ray_bulk_root(object->size_bytes, object->chunk_size, receiver->hashes, root, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (memcmp(root, object->root, sizeof root) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: the list does not belong to the object");
    }
    if (receiver->sink.begin != NULL) {
        rc = receiver->sink.begin(receiver->sink.arg, object, receiver->hashes, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    receiver->told = receiver->taken;
    receiver->step = receiver->taken == receiver->chunk_count ? DONE : WAIT_CHUNK;
    return ray_bulk_receiver_pump(receiver, err);
}

static int take_head(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                     struct ray_err *err)
{
    struct ray_bulk_object *object = &receiver->object;

    if (size != RAY_BULK_HEAD_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a description of %zu bytes", size);
    }
    object->chunk_size = ray_load32le(bytes + 4);
    object->size_bytes = ray_load64le(bytes + 8);
    memcpy(object->root, bytes + 16, RAY_BULK_HASH_SIZE);
    if (ray_bulk_chunk_count(object->size_bytes, object->chunk_size, &receiver->chunk_count,
                             NULL) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: sizes beyond the limits");
    }
    if (receiver->wish.has_root &&
        memcmp(object->root, receiver->wish.root, RAY_BULK_HASH_SIZE) != 0) {
        return ray_fail(err, RAY_ECONFLICT, "the sender has another object than was asked for");
    }
    if (object->size_bytes > receiver->wish.size_max) {
        return ray_fail(err, RAY_ETOOBIG, "an object of %llu bytes, at most %llu",
                        (unsigned long long)object->size_bytes,
                        (unsigned long long)receiver->wish.size_max);
    }
    if (receiver->taken > receiver->chunk_count) {
        return ray_fail(err, RAY_ECONFLICT, "more chunks were there than the object has");
    }
    receiver->hashes = ray_fault(RAY_FAULT_ALLOC) != 0
                           ? NULL
                           : malloc((size_t)receiver->chunk_count * RAY_BULK_HASH_SIZE + 1);
    if (receiver->hashes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the list of %u chunks", receiver->chunk_count);
    }
    receiver->step = WAIT_LIST;
    return receiver->chunk_count == 0 ? begin_chunks(receiver, err) : RAY_OK;
}

static int take_list(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                     struct ray_err *err)
{
    size_t hashes_size = size - RAY_BULK_PART_HEAD_SIZE;
    size_t count = hashes_size / RAY_BULK_HASH_SIZE;

    if (ray_load32le(bytes + 4) != receiver->hash_count || count == 0 ||
        hashes_size % RAY_BULK_HASH_SIZE != 0 ||
        count > receiver->chunk_count - receiver->hash_count) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a part of a list that does not fit");
    }
    memcpy(receiver->hashes + (size_t)receiver->hash_count * RAY_BULK_HASH_SIZE,
           bytes + RAY_BULK_PART_HEAD_SIZE, hashes_size);
    receiver->hash_count += (uint32_t)count;
    return receiver->hash_count == receiver->chunk_count ? begin_chunks(receiver, err) : RAY_OK;
}

static int take_chunk(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                      struct ray_err *err)
{
    uint32_t index = receiver->taken;
    size_t chunk_size = ray_bulk_chunk_size(&receiver->object, receiver->chunk_count, index);
    const uint8_t *chunk = bytes + RAY_BULK_PART_HEAD_SIZE;
    uint8_t hash[RAY_BULK_HASH_SIZE];
    int rc;

    if (ray_load32le(bytes + 4) != index || size - RAY_BULK_PART_HEAD_SIZE != chunk_size) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a chunk that does not fit");
    }
    ray_bulk_chunk_hash(chunk, chunk_size, hash);
    if (memcmp(hash, receiver->hashes + (size_t)index * RAY_BULK_HASH_SIZE, sizeof hash) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "chunk %u is not that of the object", index);
    }
    rc = receiver->sink.write(receiver->sink.arg, index, chunk, chunk_size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    receiver->taken++;
    if (receiver->taken == receiver->chunk_count) {
        receiver->step = DONE;
    }
    return ray_bulk_receiver_pump(receiver, err);
}

static int take(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                struct ray_err *err)
{
    static const enum ray_bulk_type expected[] = {
        [WAIT_HEAD] = RAY_BULK_HEAD, [WAIT_LIST] = RAY_BULK_LIST, [WAIT_CHUNK] = RAY_BULK_CHUNK};

    if (receiver->step >= DONE || size < RAY_BULK_PART_HEAD_SIZE ||
        bytes[0] != expected[receiver->step] || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a message that is not expected");
    }
    switch (receiver->step) {
    case WAIT_HEAD:
        return take_head(receiver, bytes, size, err);
    case WAIT_LIST:
        return take_list(receiver, bytes, size, err);
    default:
        return take_chunk(receiver, bytes, size, err);
    }
}

int ray_bulk_receiver_receive(struct ray_bulk_receiver *receiver, const uint8_t *bytes, size_t size,
                              struct ray_err *err)
{
    int rc = take(receiver, bytes, size, err);

    if (rc != RAY_OK) {
        receiver->step = FAILED;
    }
    return rc;
}

uint32_t ray_bulk_receiver_taken(const struct ray_bulk_receiver *receiver)
{
    return receiver->taken;
}

bool ray_bulk_receiver_is_done(const struct ray_bulk_receiver *receiver)
{
    return receiver->step == DONE && receiver->has_told;
}

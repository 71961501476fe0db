/* bulk_sender.c - sends HEAD, the list, then chunks as far as the receiver's window goes. A
 * message that the channel refuses stays prepared, so that no chunk is read twice. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "net/bulk_object_impl.h"

enum { MESSAGES_PER_PUMP = 8 };

struct ray_bulk_sender {
    struct ray_bulk_source source;
    ray_bulk_send_fn *send;
    void *send_arg;
    uint32_t chunk_count;
    uint32_t window;
    uint32_t next_hash;
    uint32_t next_chunk;
    uint32_t given; /* chunks that the receiver has taken in all */
    bool has_want;
    bool is_other; /* the receiver wants another object: HEAD tells it, nothing follows */
    bool has_sent_head;
    bool has_last_give;
    size_t prepared_size; /* of `message`, not yet taken by the channel; 0: none */
    uint8_t message[];
};

int ray_bulk_sender_create(struct ray_bulk_sender **out_sender,
                           const struct ray_bulk_source *source, ray_bulk_send_fn *send,
                           void *send_arg, struct ray_err *err)
{
    const struct ray_bulk_object *object = &source->object;
    uint8_t root[RAY_BULK_HASH_SIZE];
    size_t part_size = (size_t)RAY_BULK_LIST_COUNT_MAX * RAY_BULK_HASH_SIZE;
    struct ray_bulk_sender *sender;
    uint32_t count = 0;
    int rc;

    rc = ray_bulk_chunk_count(object->size_bytes, object->chunk_size, &count, err);
    if (rc == RAY_OK) {
        rc = ray_bulk_root(object->size_bytes, object->chunk_size, source->hashes, root, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (memcmp(root, object->root, sizeof root) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "the list of hashes is not that of the object");
    }
    part_size = part_size < object->chunk_size ? object->chunk_size : part_size;
    sender = ray_fault(RAY_FAULT_ALLOC) != 0
                 ? NULL
                 : malloc(sizeof *sender + RAY_BULK_PART_HEAD_SIZE + part_size);
    if (sender == NULL) {
        return ray_fail(err, RAY_ENOMEM, "sending an object");
    }
    *sender = (struct ray_bulk_sender){
        .source = *source, .send = send, .send_arg = send_arg, .chunk_count = count};
    *out_sender = sender;
    return RAY_OK;
}

void ray_bulk_sender_destroy(struct ray_bulk_sender *sender)
{
    free(sender);
}

/* ---- in ---- */

static int take_want(struct ray_bulk_sender *sender, const uint8_t *bytes, size_t size,
                     struct ray_err *err)
{
    if (sender->has_want || size != RAY_BULK_WANT_SIZE || bytes[2] > 1 || bytes[3] != 0) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a wish that is none");
    }
    if (bytes[1] != RAY_BULK_OBJECT_VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "bulk: version %u", bytes[1]);
    }
    sender->next_chunk = sender->given = ray_load32le(bytes + 4);
    sender->window = ray_load32le(bytes + 8);
    if (sender->window < 1 || sender->window > RAY_BULK_WINDOW_MAX ||
        (sender->next_chunk > 0 && bytes[2] == 0)) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: a wish that is none");
    }
    sender->has_want = true;
    sender->is_other =
        sender->next_chunk > sender->chunk_count ||
        (bytes[2] == 1 && memcmp(bytes + 12, sender->source.object.root, RAY_BULK_HASH_SIZE) != 0);
    return RAY_OK;
}

static int take_give(struct ray_bulk_sender *sender, const uint8_t *bytes, size_t size,
                     struct ray_err *err)
{
    uint32_t taken = size == RAY_BULK_PART_HEAD_SIZE ? ray_load32le(bytes + 4) : 0;
    bool is_all_listed = sender->has_sent_head && sender->next_hash == sender->chunk_count;

    if (size != RAY_BULK_PART_HEAD_SIZE || !is_all_listed || sender->is_other ||
        sender->has_last_give || taken < sender->given || taken > sender->next_chunk) {
        return ray_fail(err, RAY_EMALFORMED, "bulk: more was taken than was sent");
    }
    sender->given = taken;
    sender->has_last_give = taken == sender->chunk_count;
    return RAY_OK;
}

int ray_bulk_sender_receive(struct ray_bulk_sender *sender, const uint8_t *bytes, size_t size,
                            struct ray_err *err)
{
    if (size > 0 && bytes[0] == RAY_BULK_WANT) {
        return take_want(sender, bytes, size, err);
    }
    if (size > 0 && bytes[0] == RAY_BULK_GIVE) {
        return take_give(sender, bytes, size, err);
    }
    return ray_fail(err, RAY_EMALFORMED, "bulk: a message that is none");
}

/* ---- out ---- */

static void prepare_head(struct ray_bulk_sender *sender)
{
    const struct ray_bulk_object *object = &sender->source.object;

    ray_bulk_put_part(sender->message, RAY_BULK_HEAD, object->chunk_size);
    ray_store64le(sender->message + 8, object->size_bytes);
    memcpy(sender->message + 16, object->root, RAY_BULK_HASH_SIZE);
    sender->prepared_size = RAY_BULK_HEAD_SIZE;
    sender->has_sent_head = true;
}

static void prepare_list(struct ray_bulk_sender *sender)
{
    uint32_t left = sender->chunk_count - sender->next_hash;
    uint32_t count = left < RAY_BULK_LIST_COUNT_MAX ? left : RAY_BULK_LIST_COUNT_MAX;
    size_t size = (size_t)count * RAY_BULK_HASH_SIZE;

    ray_bulk_put_part(sender->message, RAY_BULK_LIST, sender->next_hash);
    memcpy(sender->message + RAY_BULK_PART_HEAD_SIZE,
           sender->source.hashes + (size_t)sender->next_hash * RAY_BULK_HASH_SIZE, size);
    sender->prepared_size = RAY_BULK_PART_HEAD_SIZE + size;
    sender->next_hash += count;
}

static int prepare_chunk(struct ray_bulk_sender *sender, struct ray_err *err)
{
    uint32_t index = sender->next_chunk;
    size_t size = ray_bulk_chunk_size(&sender->source.object, sender->chunk_count, index);
    uint8_t *bytes = sender->message + RAY_BULK_PART_HEAD_SIZE;
    uint8_t hash[RAY_BULK_HASH_SIZE];
    int rc;

    rc = sender->source.read(sender->source.arg, index, bytes, size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    ray_bulk_chunk_hash(bytes, size, hash);
    if (memcmp(hash, sender->source.hashes + (size_t)index * RAY_BULK_HASH_SIZE, sizeof hash) !=
        0) {
        return ray_fail(err, RAY_EIO, "chunk %u is not what was written once", index);
    }
    ray_bulk_put_part(sender->message, RAY_BULK_CHUNK, index);
    sender->prepared_size = RAY_BULK_PART_HEAD_SIZE + size;
    sender->next_chunk++;
    return RAY_OK;
}

bool ray_bulk_sender_is_ready(const struct ray_bulk_sender *sender)
{
    if (!sender->has_want) {
        return false;
    }
    if (sender->prepared_size > 0 || !sender->has_sent_head) {
        return true;
    }
    if (sender->is_other) {
        return false;
    }
    return sender->next_hash < sender->chunk_count ||
           (sender->next_chunk < sender->chunk_count &&
            sender->next_chunk - sender->given < sender->window);
}

bool ray_bulk_sender_is_done(const struct ray_bulk_sender *sender)
{
    return sender->has_last_give && sender->prepared_size == 0;
}

static int prepare(struct ray_bulk_sender *sender, struct ray_err *err)
{
    if (!sender->has_sent_head) {
        prepare_head(sender);
        return RAY_OK;
    }
    if (sender->next_hash < sender->chunk_count) {
        prepare_list(sender);
        return RAY_OK;
    }
    return prepare_chunk(sender, err);
}

int ray_bulk_sender_pump(struct ray_bulk_sender *sender, struct ray_err *err)
{
    for (unsigned i = 0; i < MESSAGES_PER_PUMP && ray_bulk_sender_is_ready(sender); i++) {
        int rc = sender->prepared_size > 0 ? RAY_OK : prepare(sender, err);

        if (rc != RAY_OK) {
            return rc;
        }
        rc = sender->send(sender->send_arg, sender->message, sender->prepared_size);
        if (rc == RAY_EAGAIN) {
            return RAY_OK;
        }
        if (rc != RAY_OK) {
            return ray_fail(err, rc, "bulk: sending");
        }
        sender->prepared_size = 0;
    }
    return RAY_OK;
}

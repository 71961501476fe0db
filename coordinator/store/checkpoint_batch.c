#include "coordinator/store/checkpoint_batch.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/le.h"
#include "coordinator/store/crc32c.h"

static const uint8_t magic[8] = {'R', 'A', 'Y', 'C', 'H', 'K', 'P', '\n'};

enum {
    OP_HEAD_SIZE = 12, /* kind, size of key, size of value */
    VERSION = 2,
    RECORD_HEAD_SIZE = 12, /* of what is hashed of a record: sizes, checksum of the value */
    CRC_AT = COORD_CHECKPOINT_HEAD_SIZE - 4,
    STATE_HASH_AT = 56,
};

static_assert(STATE_HASH_AT + COORD_CHECKPOINT_STATE_HASH_SIZE <= CRC_AT, "one after another");

void coord_checkpoint_batch_init(struct coord_checkpoint_batch *batch)
{
    *batch = (struct coord_checkpoint_batch){0};
    ray_buf_init(&batch->ops, COORD_CHECKPOINT_BATCH_SIZE_MAX);
}

void coord_checkpoint_batch_fini(struct coord_checkpoint_batch *batch)
{
    if (batch != NULL) {
        ray_buf_fini(&batch->ops);
        batch->count = 0;
    }
}

void coord_checkpoint_batch_reset(struct coord_checkpoint_batch *batch)
{
    ray_buf_clear(&batch->ops);
    batch->count = 0;
}

static int add(struct coord_checkpoint_batch *batch, const struct coord_checkpoint_op *op)
{
    uint8_t head[OP_HEAD_SIZE];
    int rc;

    if (op->key_size > COORD_CHECKPOINT_KEY_SIZE_MAX ||
        op->value_size > COORD_CHECKPOINT_VALUE_SIZE_MAX) {
        return RAY_ETOOBIG;
    }
    rc = ray_buf_reserve(&batch->ops, OP_HEAD_SIZE + op->key_size + op->value_size);
    if (rc != RAY_OK) {
        return rc;
    }
    ray_store32le(head, (uint32_t)op->kind);
    ray_store32le(head + 4, (uint32_t)op->key_size);
    ray_store32le(head + 8, (uint32_t)op->value_size);
    rc = ray_buf_append(&batch->ops, head, sizeof head);
    if (rc == RAY_OK && op->key_size > 0) {
        rc = ray_buf_append(&batch->ops, op->key, op->key_size);
    }
    if (rc == RAY_OK && op->value_size > 0) {
        rc = ray_buf_append(&batch->ops, op->value, op->value_size);
    }
    assert(rc == RAY_OK); /* it was reserved */
    batch->count++;
    return RAY_OK;
}

int coord_checkpoint_put(struct coord_checkpoint_batch *batch, const void *key, size_t key_size,
                         const void *value, size_t value_size)
{
    assert(key_size > 0);
    return add(batch, &(struct coord_checkpoint_op){.kind = COORD_CHECKPOINT_PUT,
                                                    .key = key,
                                                    .key_size = key_size,
                                                    .value = value,
                                                    .value_size = value_size});
}

int coord_checkpoint_delete(struct coord_checkpoint_batch *batch, const void *key, size_t key_size)
{
    assert(key_size > 0);
    return add(batch, &(struct coord_checkpoint_op){
                          .kind = COORD_CHECKPOINT_DELETE, .key = key, .key_size = key_size});
}

/* What was put before is nobody's any more. */
int coord_checkpoint_clear(struct coord_checkpoint_batch *batch)
{
    coord_checkpoint_batch_reset(batch);
    return add(batch, &(struct coord_checkpoint_op){.kind = COORD_CHECKPOINT_CLEAR});
}

bool coord_checkpoint_batch_next(const struct coord_checkpoint_batch *batch, size_t *at,
                                 struct coord_checkpoint_op *out)
{
    const uint8_t *bytes = batch->ops.data + *at;

    if (*at == batch->ops.size) {
        return false;
    }
    assert(batch->ops.size - *at >= OP_HEAD_SIZE);
    *out = (struct coord_checkpoint_op){
        .kind = (enum coord_checkpoint_op_kind)ray_load32le(bytes),
        .key = bytes + OP_HEAD_SIZE,
        .key_size = ray_load32le(bytes + 4),
        .value_size = ray_load32le(bytes + 8),
    };
    out->value = out->key + out->key_size;
    *at += OP_HEAD_SIZE + out->key_size + out->value_size;
    assert(*at <= batch->ops.size);
    return true;
}

/* A checksum of the value, and a hash of what it belongs to: rot of a record is found by the one,
 * a record that is old, missing or too much by the other. Nobody chooses records who could forge
 * either. */
static void record_hash(const void *key, size_t key_size, const void *value, size_t value_size,
                        uint64_t out[static 2])
{
    static const uint8_t hash_key[crypto_shorthash_siphashx24_KEYBYTES] = "rayos checkpoint";
    uint8_t bytes[COORD_CHECKPOINT_KEY_SIZE_MAX + RECORD_HEAD_SIZE];
    uint8_t hash[crypto_shorthash_siphashx24_BYTES];

    assert(key_size <= COORD_CHECKPOINT_KEY_SIZE_MAX);
    ray_store32le(bytes, (uint32_t)key_size);
    ray_store32le(bytes + 4, (uint32_t)value_size);
    ray_store32le(bytes + 8, coord_crc32c(0, value, value_size));
    memcpy(bytes + RECORD_HEAD_SIZE, key, key_size);
    /* cannot fail */
    (void)crypto_shorthash_siphashx24(hash, bytes, RECORD_HEAD_SIZE + key_size, hash_key);
    out[0] = ray_load64le(hash);
    out[1] = ray_load64le(hash + 8);
}

void coord_checkpoint_sum_add(struct coord_checkpoint_sum *sum, const void *key, size_t key_size,
                              const void *value, size_t value_size)
{
    uint64_t hash[2];

    record_hash(key, key_size, value, value_size, hash);
    sum->low += hash[0];
    sum->high += hash[1] + (sum->low < hash[0] ? 1 : 0);
    sum->count++;
}

void coord_checkpoint_sum_subtract(struct coord_checkpoint_sum *sum, const void *key,
                                   size_t key_size, const void *value, size_t value_size)
{
    uint64_t hash[2];

    record_hash(key, key_size, value, value_size, hash);
    sum->high -= hash[1] + (sum->low < hash[0] ? 1 : 0);
    sum->low -= hash[0];
    sum->count--;
}

bool coord_checkpoint_sum_equal(const struct coord_checkpoint_sum *a,
                                const struct coord_checkpoint_sum *b)
{
    return a->low == b->low && a->high == b->high && a->count == b->count;
}

void coord_checkpoint_head_encode(const struct coord_checkpoint_head *head,
                                  const struct coord_checkpoint_sum *sum, uint8_t *out)
{
    memset(out, 0, COORD_CHECKPOINT_HEAD_SIZE);
    memcpy(out, magic, sizeof magic);
    ray_store32le(out + 8, VERSION);
    ray_store64le(out + 16, head->applied_index);
    ray_store64le(out + 24, head->applied_term);
    ray_store64le(out + 32, sum->low);
    ray_store64le(out + 40, sum->high);
    ray_store64le(out + 48, sum->count);
    memcpy(out + STATE_HASH_AT, head->state_hash, COORD_CHECKPOINT_STATE_HASH_SIZE);
    ray_store32le(out + CRC_AT, coord_crc32c(0, out, CRC_AT));
}

int coord_checkpoint_head_decode(const void *bytes, size_t size, struct coord_checkpoint_head *out,
                                 struct coord_checkpoint_sum *out_sum, struct ray_err *err)
{
    const uint8_t *in = bytes;

    if (size != COORD_CHECKPOINT_HEAD_SIZE || memcmp(in, magic, sizeof magic) != 0 ||
        ray_load32le(in + CRC_AT) != coord_crc32c(0, in, CRC_AT)) {
        return ray_fail(err, RAY_EMALFORMED, "the checkpoint's head is damaged");
    }
    if (ray_load32le(in + 8) != VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "a checkpoint of format %u, this program knows %d",
                        ray_load32le(in + 8), VERSION);
    }
    *out = (struct coord_checkpoint_head){
        .applied_index = ray_load64le(in + 16),
        .applied_term = ray_load64le(in + 24),
        .record_count = ray_load64le(in + 48),
    };
    memcpy(out->state_hash, in + STATE_HASH_AT, COORD_CHECKPOINT_STATE_HASH_SIZE);
    *out_sum = (struct coord_checkpoint_sum){.low = ray_load64le(in + 32),
                                             .high = ray_load64le(in + 40),
                                             .count = ray_load64le(in + 48)};
    return RAY_OK;
}

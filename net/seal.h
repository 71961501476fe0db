/* net/seal.h - the two directions of an authenticated connection, after its handshake.
 *
 * A record is {u32 little-endian: size of what follows in 24 bits, flags in 8}, ciphertext, tag.
 * The head is authenticated, too. Nonces count the records of a direction and are not sent: a
 * record that is lost, repeated, moved, changed or of another connection ends the connection.
 * Keys change every 2^20 records or hour, by a flag of the record before the change; the receiver
 * takes no more than 2^20 records under one key.
 *
 * Memory: create/destroy; keys live in sodium_malloc and are wiped; records in the caller's.
 * Threads: one owner.  Blocks: never.  Trust: records are hostile: after one failure the seal is
 * dead and answers RAY_ECLOSED. */
#ifndef RAY_NET_SEAL_H
#define RAY_NET_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum {
    RAY_SEAL_KEY_SIZE = 32,
    RAY_SEAL_HEAD_SIZE = 4,
    RAY_SEAL_TAG_SIZE = 16,
    RAY_SEAL_OVERHEAD_SIZE = RAY_SEAL_HEAD_SIZE + RAY_SEAL_TAG_SIZE,
    RAY_SEAL_PLAIN_SIZE_MAX = 2 << 20, /* of one record */
    RAY_SEAL_RECORD_SIZE_MAX = RAY_SEAL_PLAIN_SIZE_MAX + RAY_SEAL_OVERHEAD_SIZE,
    RAY_SEAL_REKEY_COUNT = 1 << 20,
    RAY_SEAL_EXPORT_SIZE = 112,
};

#define RAY_SEAL_REKEY_NS (3600 * RAY_NS_PER_S)

struct ray_seal;

/* `now_ns`: any clock that never goes back, always the same (CLOCK_BOOTTIME); keys are copied. */
int ray_seal_create(struct ray_seal **out_seal, const uint8_t send_key[static RAY_SEAL_KEY_SIZE],
                    const uint8_t recv_key[static RAY_SEAL_KEY_SIZE], uint64_t now_ns,
                    struct ray_err *err);
void ray_seal_destroy(struct ray_seal *seal); /* NULL is fine */

/* Seals in place: the plain text lies at record + RAY_SEAL_HEAD_SIZE, the whole takes
 * plain_size + RAY_SEAL_OVERHEAD_SIZE bytes. Records must reach the peer in this order.
 * RAY_ETOOBIG, RAY_ECLOSED. */
int ray_seal_encrypt(struct ray_seal *seal, uint64_t now_ns, uint8_t *record, size_t plain_size);

/* How long the record is that begins with these bytes (head included). RAY_EAGAIN: fewer than
 * RAY_SEAL_HEAD_SIZE; RAY_EMALFORMED: no record begins so. Not authenticated yet. */
int ray_seal_record_size(const uint8_t *bytes, size_t size, size_t *out_record_size);
/* Opens one whole record in place: *out_plain points into it. RAY_EDENIED: not the next record
 * of the peer; RAY_EMALFORMED, RAY_ECLOSED. */
int ray_seal_decrypt(struct ray_seal *seal, uint8_t *record, size_t record_size,
                     const uint8_t **out_plain, size_t *out_plain_size);

/* Hands both directions to another process of this machine: what is written is secret and has to
 * be wiped after use; the seal is dead from then on, so that no nonce is ever used twice. */
int ray_seal_export(struct ray_seal *seal, uint8_t out[static RAY_SEAL_EXPORT_SIZE]);
int ray_seal_import(struct ray_seal **out_seal, const uint8_t bytes[static RAY_SEAL_EXPORT_SIZE],
                    struct ray_err *err);

bool ray_seal_is_dead(const struct ray_seal *seal);

#endif

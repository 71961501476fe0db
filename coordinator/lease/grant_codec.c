#include "coordinator/lease/grant_codec.h"

#include <assert.h>
#include <string.h>

#include "net/proto/grant.pb-c.h"
#include "net/proto_codec.h"

static ProtobufCBinaryData hash_field(const struct coord_lease_hash *hash)
{
    static const struct coord_lease_hash none;

    if (coord_lease_hash_equal(hash, &none)) {
        return (ProtobufCBinaryData){0};
    }
    return ray_proto_bytes(hash->bytes, sizeof hash->bytes);
}

static int take_hash(const ProtobufCBinaryData *field, struct coord_lease_hash *out,
                     struct ray_err *err)
{
    static const struct coord_lease_hash none;

    *out = none;
    if (field->len == 0) {
        return RAY_OK;
    }
    if (field->len != sizeof out->bytes) {
        return ray_fail(err, RAY_EMALFORMED, "a hash of %zu bytes, it has %d", field->len,
                        COORD_LEASE_HASH_SIZE);
    }
    memcpy(out->bytes, field->data, sizeof out->bytes);
    if (coord_lease_hash_equal(out, &none)) {
        return ray_fail(err, RAY_EMALFORMED, "a hash of zeros means none");
    }
    return RAY_OK;
}

int coord_lease_renew_encode(const struct coord_lease_renew *renew, struct ray_arena *arena,
                             const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Grant__Renew message = RAYOS__GRANT__RENEW__INIT;

    assert(renew != NULL);
    message.node = ray_proto_id(&renew->node);
    message.incarnation = ray_proto_id(&renew->incarnation);
    message.cluster_epoch = renew->cluster_epoch;
    message.t_send_ns = renew->t_send_ns;
    message.hash = hash_field(&renew->hash);
    return ray_proto_pack(&message.base, COORD_LEASE_RENEW_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}

int coord_lease_renew_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                             struct coord_lease_renew *out, struct ray_err *err)
{
    ProtobufCMessage *unpacked = NULL;
    const Rayos__Grant__Renew *message;
    struct coord_lease_renew renew;
    int rc;

    assert(out != NULL);
    if (size > COORD_LEASE_RENEW_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a renewal of %zu bytes, at most %d", size,
                        COORD_LEASE_RENEW_SIZE_MAX);
    }
    rc = ray_proto_unpack(&rayos__grant__renew__descriptor, bytes, size, arena, &unpacked, err);
    if (rc != RAY_OK) {
        return rc;
    }
    message = (const Rayos__Grant__Renew *)unpacked;
    renew = (struct coord_lease_renew){.cluster_epoch = message->cluster_epoch,
                                       .t_send_ns = message->t_send_ns};
    rc = ray_id_from_bytes(message->node.data, message->node.len, &renew.node, err);
    if (rc == RAY_OK) {
        rc = ray_id_from_bytes(message->incarnation.data, message->incarnation.len,
                               &renew.incarnation, err);
    }
    if (rc == RAY_OK) {
        rc = take_hash(&message->hash, &renew.hash, err);
    }
    if (rc == RAY_OK) {
        *out = renew;
    }
    return rc;
}

struct packed_pair {
    Rayos__Grant__Pair pair;
    Rayos__Grant__Epoch epoch;
    Rayos__Grant__Epoch from;
};

static void fill_pair(struct packed_pair *packed, const struct coord_lease_pair *pair)
{
    rayos__grant__pair__init(&packed->pair);
    rayos__grant__epoch__init(&packed->epoch);
    rayos__grant__epoch__init(&packed->from);
    packed->epoch.cluster = pair->epoch.cluster;
    packed->epoch.index = pair->epoch.index;
    packed->from.cluster = pair->from.cluster;
    packed->from.index = pair->from.index;
    packed->pair.id = ray_proto_id(&pair->id);
    packed->pair.epoch = &packed->epoch;
    packed->pair.from = &packed->from;
    packed->pair.origin = (uint32_t)pair->origin;
    packed->pair.kind = (uint32_t)pair->kind;
}

int coord_lease_answer_encode(const struct coord_lease_answer *answer, struct ray_arena *arena,
                              const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Grant__Answer message = RAYOS__GRANT__ANSWER__INIT;
    struct packed_pair *packed = NULL;

    assert(answer != NULL && answer->pair_count <= COORD_LEASE_PAIRS_MAX);
    message.node = ray_proto_id(&answer->node);
    message.incarnation = ray_proto_id(&answer->incarnation);
    message.status = (uint32_t)answer->status;
    message.cluster_epoch = answer->cluster_epoch;
    message.t_send_ns = answer->t_send_ns;
    message.grant_ns = answer->grant_ns;
    message.revision = answer->revision;
    message.hash = hash_field(&answer->hash);
    message.is_unchanged = answer->is_unchanged;
    if (answer->pair_count > 0) {
        packed = ray_arena_alloc(arena, answer->pair_count * sizeof *packed);
        message.pairs = ray_arena_alloc(arena, answer->pair_count * sizeof(Rayos__Grant__Pair *));
        if (packed == NULL || message.pairs == NULL) {
            return ray_fail(err, RAY_ENOMEM, "an answer of %zu pairs", answer->pair_count);
        }
        message.n_pairs = answer->pair_count;
    }
    for (size_t i = 0; i < answer->pair_count; i++) {
        fill_pair(&packed[i], &answer->pairs[i]);
        message.pairs[i] = &packed[i].pair;
    }
    return ray_proto_pack(&message.base, COORD_LEASE_ANSWER_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}

static int take_pair(const Rayos__Grant__Pair *field, struct coord_lease_pair *out,
                     struct ray_err *err)
{
    int rc = ray_id_from_bytes(field->id.data, field->id.len, &out->id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (field->epoch == NULL || field->origin == RAY_EPOCH_NONE ||
        field->origin >= RAY_EPOCH_ORIGIN_COUNT || field->origin == RAY_EPOCH_STOPPED) {
        return ray_fail(err, RAY_EMALFORMED, "a pair without an epoch that can run");
    }
    if (field->kind != COORD_LEASE_GUEST && field->kind != COORD_LEASE_PRESENTATION) {
        return ray_fail(err, RAY_EMALFORMED, "a pair of kind %u", field->kind);
    }
    out->epoch = (struct ray_epoch){field->epoch->cluster, field->epoch->index};
    out->from = (struct ray_epoch){0, 0};
    if (field->from != NULL) {
        out->from = (struct ray_epoch){field->from->cluster, field->from->index};
    }
    if (ray_epoch_compare(out->from, out->epoch) >= 0) {
        return ray_fail(err, RAY_EMALFORMED, "an epoch that is not newer than what it ended");
    }
    out->origin = (enum ray_epoch_origin)field->origin;
    out->kind = (enum coord_lease_kind)field->kind;
    return RAY_OK;
}

static int take_pairs(const Rayos__Grant__Answer *message, struct ray_arena *arena,
                      struct coord_lease_answer *answer, struct ray_err *err)
{
    struct coord_lease_pair *pairs;
    struct coord_lease_hash hash;

    if (message->n_pairs > COORD_LEASE_PAIRS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "a list of %zu pairs, at most %d", message->n_pairs,
                        COORD_LEASE_PAIRS_MAX);
    }
    pairs = ray_arena_alloc(arena, (message->n_pairs + 1) * sizeof *pairs);
    if (pairs == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "an answer of %zu pairs", message->n_pairs);
    }
    for (size_t i = 0; i < message->n_pairs; i++) {
        int rc = take_pair(message->pairs[i], &pairs[i], err);

        if (rc != RAY_OK) {
            return rc;
        }
        if (i > 0 && ray_id_compare(&pairs[i - 1].id, &pairs[i].id) >= 0) {
            return ray_fail(err, RAY_EMALFORMED, "a list that is not in order");
        }
    }
    answer->pairs = pairs;
    answer->pair_count = message->n_pairs;
    hash = coord_lease_hash_of(pairs, answer->pair_count);
    if (!coord_lease_hash_equal(&hash, &answer->hash)) {
        return ray_fail(err, RAY_EMALFORMED, "a list with another list's hash");
    }
    return RAY_OK;
}

static int take_grant(const Rayos__Grant__Answer *message, struct ray_arena *arena,
                      struct coord_lease_answer *answer, struct ray_err *err)
{
    if (message->grant_ns == 0 || message->grant_ns > COORD_LEASE_TIME_MAX_NS) {
        return ray_fail(err, RAY_EMALFORMED, "a grant of %llu ns",
                        (unsigned long long)message->grant_ns);
    }
    answer->grant_ns = message->grant_ns;
    answer->is_unchanged = message->is_unchanged != 0;
    if (!answer->is_unchanged) {
        return take_pairs(message, arena, answer, err);
    }
    if (message->n_pairs != 0 || message->hash.len == 0) {
        return ray_fail(err, RAY_EMALFORMED, "'unchanged' with a list, or without its hash");
    }
    return RAY_OK;
}

static int take_answer(const Rayos__Grant__Answer *message, struct ray_arena *arena,
                       struct coord_lease_answer *answer, struct ray_err *err)
{
    int rc = ray_id_from_bytes(message->node.data, message->node.len, &answer->node, err);

    if (rc == RAY_OK) {
        rc = ray_id_from_bytes(message->incarnation.data, message->incarnation.len,
                               &answer->incarnation, err);
    }
    if (rc == RAY_OK) {
        rc = take_hash(&message->hash, &answer->hash, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    answer->cluster_epoch = message->cluster_epoch;
    answer->t_send_ns = message->t_send_ns;
    answer->revision = message->revision;
    switch (message->status) {
    case COORD_LEASE_GRANTED:
        answer->status = COORD_LEASE_GRANTED;
        return take_grant(message, arena, answer, err);
    case COORD_LEASE_DUPLICATE:
    case COORD_LEASE_REMOVED:
        answer->status = (enum coord_lease_status)message->status;
        return RAY_OK;
    default:
        return ray_fail(err, RAY_EMALFORMED, "an answer of status %u", message->status);
    }
}

int coord_lease_answer_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                              struct coord_lease_answer *out, struct ray_err *err)
{
    struct coord_lease_answer answer = {0};
    ProtobufCMessage *unpacked = NULL;
    int rc;

    assert(out != NULL);
    if (size > COORD_LEASE_ANSWER_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "an answer of %zu bytes, at most %d", size,
                        COORD_LEASE_ANSWER_SIZE_MAX);
    }
    rc = ray_proto_unpack(&rayos__grant__answer__descriptor, bytes, size, arena, &unpacked, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = take_answer((const Rayos__Grant__Answer *)unpacked, arena, &answer, err);
    if (rc == RAY_OK) {
        *out = answer;
    }
    return rc;
}

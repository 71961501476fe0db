/* spec.c - values within their limits, kind by kind. Sizes are bounded before protobuf-c makes
 * memory of them, so that no spec is refused for what a build's structs take. */
#include "net/spec.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/id.h"
#include "net/proto_codec.h"
#include "net/spec_walk.h"

#define EINVAL_OF(err, ...) ((void)ray_fail((err), RAY_EINVAL, __VA_ARGS__), RAY_EINVAL)

const ProtobufCMessageDescriptor *ray_spec_type(enum ray_spec_kind kind)
{
    switch (kind) {
    case RAY_SPEC_GUEST:
        return &rayos__spec__guest_spec__descriptor;
    case RAY_SPEC_IMAGE:
        return &rayos__spec__image_spec__descriptor;
    case RAY_SPEC_NETWORK:
        return &rayos__spec__network_spec__descriptor;
    case RAY_SPEC_VOLUME:
        break;
    }
    assert(kind == RAY_SPEC_VOLUME);
    return &rayos__spec__volume_spec__descriptor;
}

size_t ray_spec_size_max(enum ray_spec_kind kind)
{
    return kind == RAY_SPEC_VOLUME ? RAY_SPEC_VOLUME_SIZE_MAX : RAY_SPEC_SIZE_MAX;
}

uint16_t ray_spec_cpu_level(const char *cpu_model)
{
    static const char stem[] = "x86-64-v";
    size_t size = sizeof stem - 1;

    if (strncmp(cpu_model, stem, size) != 0 || cpu_model[size] < '1' || cpu_model[size] > '4' ||
        cpu_model[size + 1] != '\0') {
        return 0;
    }
    return (uint16_t)(cpu_model[size] - '0');
}

/* ---- values ---- */

/* Printable ASCII; without spaces when it is a name. */
static int check_word(const char *text, const char *what, size_t size_max, bool may_have_spaces,
                      struct ray_err *err)
{
    size_t size = strlen(text);

    if (size > size_max) {
        return EINVAL_OF(err, "%s: %zu bytes, at most %zu", what, size, size_max);
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < (may_have_spaces ? ' ' : '!') || text[i] > '~') {
            return EINVAL_OF(err, "%s: only printable ASCII%s", what,
                             may_have_spaces ? "" : " without spaces");
        }
    }
    return RAY_OK;
}

static int check_name(const char *text, const char *what, struct ray_err *err)
{
    return check_word(text, what, RAY_SPEC_NAME_SIZE_MAX, false, err);
}

static int check_at_most(uint64_t value, const char *what, uint64_t max, struct ray_err *err)
{
    return value <= max ? RAY_OK
                        : EINVAL_OF(err, "%s: %llu, at most %llu", what, (unsigned long long)value,
                                    (unsigned long long)max);
}

/* Amounts are counted in MiB where guests are placed. */
static int check_amount(uint64_t bytes, const char *what, uint64_t max, struct ray_err *err)
{
    if (bytes % RAY_SPEC_MIB != 0) {
        return EINVAL_OF(err, "%s: %llu bytes are not whole MiB", what, (unsigned long long)bytes);
    }
    return check_at_most(bytes, what, max, err);
}

static int check_size(const ProtobufCBinaryData *bytes, const char *what, size_t size,
                      struct ray_err *err)
{
    return bytes->len == 0 || bytes->len == size
               ? RAY_OK
               : EINVAL_OF(err, "%s: %zu bytes, not %zu", what, bytes->len, size);
}

static int check_architecture(const char *text, struct ray_err *err)
{
    if (text[0] == '\0' || strcmp(text, "x86_64") == 0 || strcmp(text, "aarch64") == 0) {
        return RAY_OK;
    }
    return EINVAL_OF(err, "architecture: '%.20s'; there are x86_64 and aarch64", text);
}

static int check_label(const char *key, const ProtobufCBinaryData *value, const char *what,
                       struct ray_err *err)
{
    int rc = check_word(key, what, RAY_SPEC_LABEL_KEY_SIZE_MAX, false, err);

    if (rc == RAY_OK && value->len > RAY_SPEC_LABEL_VALUE_SIZE_MAX) {
        rc = EINVAL_OF(err, "%s: a value of %zu bytes, at most %d", what, value->len,
                       RAY_SPEC_LABEL_VALUE_SIZE_MAX);
    }
    return rc;
}

static int check_kernel_arguments(const char *text, struct ray_err *err)
{
    return check_word(text, "kernel_arguments", RAY_SPEC_KERNEL_ARGUMENTS_SIZE_MAX, true, err);
}

/* ---- guests ---- */

static int check_networks(const Rayos__Spec__GuestSpec *spec, struct ray_err *err)
{
    int rc = check_at_most(spec->n_networks, "networks", RAY_SPEC_NETWORKS_MAX, err);

    for (size_t i = 0; rc == RAY_OK && i < spec->n_networks; i++) {
        const Rayos__Spec__GuestNetwork *card = spec->networks[i];

        rc = card->network[0] == '\0' ? EINVAL_OF(err, "networks: a card without network")
                                      : check_name(card->network, "networks", err);
        if (rc == RAY_OK) {
            rc = check_size(&card->mac, "mac", RAY_SPEC_MAC_SIZE, err);
        }
        /* IEEE 802: the first bit of the first byte is that of groups. */
        if (rc == RAY_OK && card->mac.len > 0 && (card->mac.data[0] & 1) != 0) {
            rc = EINVAL_OF(err, "mac: an address of a group");
        }
    }
    return rc;
}

static int check_relation(const Rayos__Spec__Relation *relation, struct ray_err *err)
{
    if ((relation->guest[0] == '\0') == (relation->label[0] == '\0')) {
        return EINVAL_OF(err, "relations: one names a guest or a label");
    }
    if (relation->guest[0] != '\0') {
        return relation->value.len == 0 ? check_name(relation->guest, "relations", err)
                                        : EINVAL_OF(err, "relations: a value without label");
    }
    return check_label(relation->label, &relation->value, "relations", err);
}

static int check_where(const Rayos__Spec__GuestSpec *spec, struct ray_err *err)
{
    int rc = check_word(spec->domain, "domain", RAY_SPEC_DOMAIN_SIZE_MAX, false, err);

    if (rc == RAY_OK) {
        rc = check_at_most(spec->n_relations, "relations", RAY_SPEC_RELATIONS_MAX, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < spec->n_relations; i++) {
        rc = check_relation(spec->relations[i], err);
    }
    if (rc == RAY_OK) {
        rc = check_at_most(spec->n_node_labels, "node_labels", RAY_SPEC_NODE_LABELS_MAX, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < spec->n_node_labels; i++) {
        const Rayos__Spec__NodeLabel *label = spec->node_labels[i];

        rc = label->key[0] == '\0' ? EINVAL_OF(err, "node_labels: one without key")
                                   : check_label(label->key, &label->value, "node_labels", err);
    }
    if (rc == RAY_OK) {
        rc = check_at_most(spec->priority, "priority", RAY_SPEC_PRIORITY_MAX, err);
    }
    return rc;
}

static int check_machine(const Rayos__Spec__GuestSpec *spec, struct ray_err *err)
{
    int rc = check_at_most(spec->vcpus, "vcpus", RAY_SPEC_VCPUS_MAX, err);

    if (rc == RAY_OK) {
        rc = check_amount(spec->memory_bytes, "memory_bytes", RAY_SPEC_MEMORY_MAX, err);
    }
    if (rc == RAY_OK && spec->memory_bytes > 0 && spec->memory_bytes < RAY_SPEC_MEMORY_MIN) {
        rc = EINVAL_OF(err, "memory_bytes: %llu, at least %llu",
                       (unsigned long long)spec->memory_bytes,
                       (unsigned long long)RAY_SPEC_MEMORY_MIN);
    }
    if (rc == RAY_OK) {
        rc = check_amount(spec->disk_bytes, "disk_bytes", RAY_SPEC_DISK_MAX, err);
    }
    if (rc == RAY_OK) {
        rc = check_architecture(spec->architecture, err);
    }
    if (rc == RAY_OK && spec->cpu_model[0] != '\0' && ray_spec_cpu_level(spec->cpu_model) == 0) {
        rc =
            EINVAL_OF(err, "cpu_model: '%.20s'; there are x86-64-v1 to x86-64-v4", spec->cpu_model);
    }
    if (rc == RAY_OK && spec->cpu_model[0] != '\0' && strcmp(spec->architecture, "aarch64") == 0) {
        rc = EINVAL_OF(err, "cpu_model: %s is none of aarch64", spec->cpu_model);
    }
    return rc;
}

static int check_guest(const Rayos__Spec__GuestSpec *spec, struct ray_err *err)
{
    int rc = check_name(spec->image, "image", err);

    if (rc == RAY_OK) {
        rc = check_machine(spec, err);
    }
    if (rc == RAY_OK) {
        rc = check_networks(spec, err);
    }
    if (rc == RAY_OK && spec->display != NULL) {
        rc = check_at_most(spec->display->width, "width", RAY_SPEC_DISPLAY_SIZE_MAX, err);
    }
    if (rc == RAY_OK && spec->display != NULL) {
        rc = check_at_most(spec->display->height, "height", RAY_SPEC_DISPLAY_SIZE_MAX, err);
    }
    if (rc == RAY_OK) {
        rc = check_at_most((uint64_t)spec->on_boot, "on_boot", RAYOS__SPEC__ON_BOOT__ON_BOOT_HIDDEN,
                           err);
    }
    if (rc == RAY_OK) {
        rc = check_at_most((uint64_t)spec->restart, "restart", RAYOS__SPEC__RESTART__RESTART_NEVER,
                           err);
    }
    if (rc == RAY_OK) {
        rc = check_where(spec, err);
    }
    return rc == RAY_OK ? check_kernel_arguments(spec->kernel_arguments, err) : rc;
}

/* ---- the others ---- */

static int check_image(const Rayos__Spec__ImageSpec *spec, struct ray_err *err)
{
    int rc = check_size(&spec->digest, "digest", RAY_SPEC_DIGEST_SIZE, err);

    if (rc == RAY_OK) {
        rc = check_at_most(spec->size_bytes, "size_bytes", RAY_SPEC_DISK_MAX, err);
    }
    if (rc == RAY_OK) {
        rc = check_architecture(spec->architecture, err);
    }
    if (rc == RAY_OK) {
        rc = check_size(&spec->kernel_digest, "kernel_digest", RAY_SPEC_DIGEST_SIZE, err);
    }
    if (rc == RAY_OK) {
        rc = check_size(&spec->initrd_digest, "initrd_digest", RAY_SPEC_DIGEST_SIZE, err);
    }
    if (rc == RAY_OK && spec->initrd_digest.len > 0 && spec->kernel_digest.len == 0) {
        rc = EINVAL_OF(err, "initrd_digest: an initrd without kernel");
    }
    return rc == RAY_OK ? check_kernel_arguments(spec->kernel_arguments, err) : rc;
}

static int check_network(const Rayos__Spec__NetworkSpec *spec, struct ray_err *err)
{
    int rc = check_at_most(spec->vlan, "vlan", RAY_SPEC_VLAN_MAX, err);

    if (rc == RAY_OK) {
        rc = check_at_most(spec->mtu, "mtu", RAY_SPEC_MTU_MAX, err);
    }
    if (rc == RAY_OK && spec->mtu > 0 && spec->mtu < RAY_SPEC_MTU_MIN) {
        rc = EINVAL_OF(err, "mtu: %u, at least %d", spec->mtu, RAY_SPEC_MTU_MIN);
    }
    return rc;
}

static int check_volume(const Rayos__Spec__VolumeSpec *spec, struct ray_err *err)
{
    int rc = check_amount(spec->size_bytes, "size_bytes", RAY_SPEC_DISK_MAX, err);

    if (rc == RAY_OK) {
        rc = check_word(spec->serial, "serial", RAY_SPEC_SERIAL_SIZE_MAX, false, err);
    }
    if (rc == RAY_OK && spec->block_size != 0 && spec->block_size != 512 &&
        spec->block_size != 4096) {
        rc = EINVAL_OF(err, "block_size: %u, not 512 or 4096", spec->block_size);
    }
    return rc == RAY_OK ? check_size(&spec->node, "node", RAY_ID_SIZE, err) : rc;
}

static int check_values(enum ray_spec_kind kind, const ProtobufCMessage *message,
                        struct ray_err *err)
{
    switch (kind) {
    case RAY_SPEC_GUEST:
        return check_guest((const Rayos__Spec__GuestSpec *)message, err);
    case RAY_SPEC_IMAGE:
        return check_image((const Rayos__Spec__ImageSpec *)message, err);
    case RAY_SPEC_NETWORK:
        return check_network((const Rayos__Spec__NetworkSpec *)message, err);
    case RAY_SPEC_VOLUME:
        break;
    }
    return check_volume((const Rayos__Spec__VolumeSpec *)message, err);
}

int ray_spec_check(enum ray_spec_kind kind, uint32_t level, const uint8_t *bytes, size_t size,
                   struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err)
{
    const ProtobufCMessageDescriptor *type = ray_spec_type(kind);
    ProtobufCMessage *message;
    int rc;

    if (size > ray_spec_size_max(kind)) {
        return ray_fail(err, RAY_ETOOBIG, "a spec of %zu bytes, at most %zu", size,
                        ray_spec_size_max(kind));
    }
    rc = ray_spec_walk(type, level, bytes, size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_proto_unpack(type, bytes, size, arena, &message, err);
    if (rc != RAY_OK) {
        /* The walk took it, so it can only be memory. */
        return ray_fail(err, RAY_ENOMEM, "a spec of %zu bytes", size);
    }
    rc = check_values(kind, message, err);
    if (rc == RAY_OK) {
        *out_message = message;
    }
    return rc;
}

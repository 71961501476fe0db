/* net/spec.h - the one checker of specs (net/proto/spec.proto).
 *
 * Pure, and the same in every build: what is in a spec is taken by the feature level, not by what
 * this build knows, so that replicas of two versions refuse the same with the same words. A field
 * or a value that comes later is named in level_of with the level that brings it.
 *
 * Memory: the message lies in the caller's arena.  Threads: any.  Blocks: never.
 * Trust: the bytes are hostile.  Source: docs/reference/registry.md, the limits. */
#ifndef RAY_NET_SPEC_H
#define RAY_NET_SPEC_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/proto/spec.pb-c.h"

enum ray_spec_kind { RAY_SPEC_GUEST, RAY_SPEC_IMAGE, RAY_SPEC_NETWORK, RAY_SPEC_VOLUME };

enum {
    RAY_SPEC_LEVEL = 1,            /* the highest that this build knows fields of */
    RAY_SPEC_ARENA_SIZE = 1 << 20, /* is enough for every spec that is taken */
    RAY_SPEC_SIZE_MAX = 64 << 10,
    RAY_SPEC_VOLUME_SIZE_MAX = 4 << 10,
    RAY_SPEC_FIELDS_MAX = 1024, /* in all, with those of messages in it */
    RAY_SPEC_NAME_SIZE_MAX = 63,
    RAY_SPEC_DOMAIN_SIZE_MAX = 31,
    RAY_SPEC_VCPUS_MAX = 256,
    RAY_SPEC_NETWORKS_MAX = 8,
    RAY_SPEC_RELATIONS_MAX = 32,
    RAY_SPEC_NODE_LABELS_MAX = 16,
    RAY_SPEC_LABEL_KEY_SIZE_MAX = 128,
    RAY_SPEC_LABEL_VALUE_SIZE_MAX = 4096,
    RAY_SPEC_PRIORITY_MAX = 1000,
    RAY_SPEC_DISPLAY_SIZE_MAX = 16384,
    RAY_SPEC_KERNEL_ARGUMENTS_SIZE_MAX = 2048,
    RAY_SPEC_SERIAL_SIZE_MAX = 20, /* as virtio-blk's */
    RAY_SPEC_DIGEST_SIZE = 32,
    RAY_SPEC_MAC_SIZE = 6,
    RAY_SPEC_VLAN_MAX = 4094,
    RAY_SPEC_MTU_MIN = 1280,
    RAY_SPEC_MTU_MAX = 9216,
};

#define RAY_SPEC_MIB (UINT64_C(1) << 20)
#define RAY_SPEC_MEMORY_MIN (16 * RAY_SPEC_MIB)
#define RAY_SPEC_MEMORY_MAX (UINT64_C(16) << 40)
#define RAY_SPEC_DISK_MAX (UINT64_C(1) << 50)
/* What 0 means. */
#define RAY_SPEC_MEMORY_DEFAULT (512 * RAY_SPEC_MIB)
#define RAY_SPEC_ARCHITECTURE_DEFAULT "x86_64"

const ProtobufCMessageDescriptor *ray_spec_type(enum ray_spec_kind kind);
size_t ray_spec_size_max(enum ray_spec_kind kind);

/* RAY_EUNSUPPORTED: a field that `level` does not have. RAY_EINVAL: no such message, or a value
 * outside of its limits; the text names the field. RAY_ETOOBIG. RAY_ENOMEM: the arena, of which at
 * most RAY_SPEC_ARENA_SIZE is used. No bytes are a spec in which all has its default. */
int ray_spec_check(enum ray_spec_kind kind, uint32_t level, const uint8_t *bytes, size_t size,
                   struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err);

/* Of "x86-64-v1" to "-v4": 1 to 4; 0: no such model, or none named. */
uint16_t ray_spec_cpu_level(const char *cpu_model);

#endif

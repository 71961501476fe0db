/* spec_fuzz.c - any bytes as a spec of each kind. What is taken packs to a spec that is taken and
 * says the same; at a level without fields only the empty one is; memory is bounded. */
#include <stdlib.h>
#include <string.h>

#include "net/proto_codec.h"
#include "net/spec.h"

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void check_again(enum ray_spec_kind kind, const ProtobufCMessage *message,
                        struct ray_arena *arena)
{
    ProtobufCMessage *again = NULL;
    const uint8_t *bytes = NULL;
    const uint8_t *bytes_again = NULL;
    size_t size = 0;
    size_t size_again = 0;

    must(ray_proto_pack(message, RAY_SPEC_SIZE_MAX * 2, arena, &bytes, &size, NULL) == RAY_OK);
    if (size > ray_spec_size_max(kind)) {
        return; /* padding was taken for less than what it stands for */
    }
    must(ray_spec_check(kind, RAY_SPEC_LEVEL, bytes, size, arena, &again, NULL) == RAY_OK);
    must(ray_proto_pack(again, size, arena, &bytes_again, &size_again, NULL) == RAY_OK);
    must(size == size_again && memcmp(bytes, bytes_again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum ray_spec_kind kind;
    ProtobufCMessage *message = NULL;
    struct ray_arena arena;
    int rc;

    if (size == 0) {
        return 0;
    }
    kind = (enum ray_spec_kind)(data[0] % (RAY_SPEC_VOLUME + 1));
    ray_arena_init(&arena, RAY_SPEC_ARENA_SIZE * 4);
    rc = ray_spec_check(kind, RAY_SPEC_LEVEL, data + 1, size - 1, &arena, &message, NULL);
    must(rc == RAY_OK || rc == RAY_EINVAL || rc == RAY_EUNSUPPORTED || rc == RAY_ETOOBIG);
    must(arena.used_size <= RAY_SPEC_ARENA_SIZE);
    if (rc == RAY_OK) {
        check_again(kind, message, &arena);
        rc = ray_spec_check(kind, 0, data + 1, size - 1, &arena, &message, NULL);
        must(rc == (size == 1 ? RAY_OK : RAY_EUNSUPPORTED));
    }
    ray_arena_fini(&arena);
    return 0;
}

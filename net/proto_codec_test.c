/* proto_codec_test.c - what is wrong with the bytes, what is too much for the arena, and what only
 * this machine has no memory for: three answers. */
#include "base/fault.h"
#include "base/test.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum { ARENA_SIZE = 64 << 10, IDS = 200 };

static const ProtobufCMessageDescriptor *const type = &rayos__registry__confirm_off__descriptor;

struct packed {
    uint8_t bytes[IDS * 2];
    size_t size;
};

/* Many fields in few bytes. */
static struct packed pack(void)
{
    Rayos__Registry__ConfirmOff off = RAYOS__REGISTRY__CONFIRM_OFF__INIT;
    ProtobufCBinaryData ids[IDS] = {{0}};
    struct packed packed;

    off.nodes = ids;
    off.n_nodes = IDS;
    assert_int_equal(rayos__registry__confirm_off__get_packed_size(&off), sizeof packed.bytes);
    packed.size = rayos__registry__confirm_off__pack(&off, packed.bytes);
    return packed;
}

static int unpack(const struct packed *packed, size_t arena_size)
{
    ProtobufCMessage *message = NULL;
    struct ray_arena arena;
    int rc;

    ray_arena_init(&arena, arena_size);
    rc = ray_proto_unpack(type, packed->bytes, packed->size, &arena, &message, NULL);
    if (rc == RAY_OK) {
        assert_int_equal(((const Rayos__Registry__ConfirmOff *)message)->n_nodes, IDS);
    }
    ray_arena_fini(&arena);
    return rc;
}

static void test_three_refusals(void **state)
{
    struct packed packed = pack();

    (void)state;
    assert_int_equal(unpack(&packed, ARENA_SIZE), RAY_OK);
    assert_int_equal(unpack(&packed, IDS * sizeof(ProtobufCBinaryData)), RAY_ETOOBIG);
    packed.bytes[packed.size - 1] = 1; /* of nothing */
    assert_int_equal(unpack(&packed, ARENA_SIZE), RAY_EMALFORMED);
}

/* Else replicas would differ in what they say to the same bytes. */
static void test_no_memory_is_no_refusal(void **state)
{
    struct packed packed = pack();
    int rc = RAY_ENOMEM;

    (void)state;
    for (unsigned i = 1; rc != RAY_OK; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "alloc:%u", i);
        if (!ray_fault_set(text)) {
            skip();
        }
        rc = unpack(&packed, ARENA_SIZE);
        (void)ray_fault_set(NULL);
        assert_true(rc == RAY_OK || rc == RAY_ENOMEM);
        assert_true(i > 1 || rc == RAY_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_refusals),
        cmocka_unit_test(test_no_memory_is_no_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every kind there and back, every truncation, every bit flipped, every limit at and
 * beyond its edge. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/proto/rpc.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc.h"
#include "net/rpc_envelope.h"

static const uint8_t body[] = {1, 2, 3, 0, 255};

static const struct ray_rpc_message samples[] = {
    {.kind = RAY_RPC_REQUEST,
     .id = 1,
     .method = "node.facts",
     .timeout_ms = 5000,
     .credit = 32,
     .body = body,
     .body_size = sizeof body},
    {.kind = RAY_RPC_REQUEST, .id = UINT64_MAX, .method = "x"},
    {.kind = RAY_RPC_ITEM, .id = 7, .body = body, .body_size = sizeof body},
    {.kind = RAY_RPC_END, .id = 7, .code = RAY_OK, .body = body, .body_size = sizeof body},
    {.kind = RAY_RPC_END, .id = 7, .code = RAY_ENOTFOUND, .text = "no", .next_step = "look"},
    {.kind = RAY_RPC_END, .id = 0, .code = RAY_EUNAVAILABLE, .text = "full"},
    {.kind = RAY_RPC_CANCEL, .id = 9},
    {.kind = RAY_RPC_CREDIT, .id = 9, .credit = RAY_RPC_CREDIT_MAX},
    {.kind = RAY_RPC_LARGE,
     .id = 3,
     .method = "registry.propose",
     .timeout_ms = 5000,
     .credit = 1,
     .takes_bundles = true,
     .large_size = UINT64_MAX},
    {.kind = RAY_RPC_PART, .id = 3, .body = body, .body_size = sizeof body},
};

struct fixture {
    struct ray_arena arena;
    struct ray_err err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    ray_arena_init(&fixture->arena, RAY_RPC_ARENA_SIZE_MAX);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    ray_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

/* Decodes a copy of exactly that size, so that ASan sees one byte too far. */
static int decode_exact(struct fixture *fixture, const uint8_t *bytes, size_t size,
                        struct ray_rpc_message *out)
{
    uint8_t *exact = ray_test_copy(bytes, size);
    int rc;

    rc = ray_rpc_envelope_decode(exact, size, &fixture->arena, out, &fixture->err);
    free(exact);
    return rc;
}

static void encode(struct fixture *fixture, const struct ray_rpc_message *message,
                   const uint8_t **out_bytes, size_t *out_size)
{
    assert_int_equal(
        ray_rpc_envelope_encode(message, &fixture->arena, out_bytes, out_size, &fixture->err),
        RAY_OK);
}

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static void test_there_and_back(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(samples); i++) {
        const struct ray_rpc_message *want = &samples[i];
        struct ray_rpc_message got;
        const uint8_t *bytes;
        size_t size;

        encode(fixture, want, &bytes, &size);
        assert_int_equal(decode_exact(fixture, bytes, size, &got), RAY_OK);
        assert_int_equal(got.kind, want->kind);
        assert_int_equal(got.id, want->id);
        assert_int_equal(got.timeout_ms, want->timeout_ms);
        assert_int_equal(got.credit, want->credit);
        assert_int_equal(got.large_size, want->large_size);
        assert_int_equal(got.code, want->code);
        assert_string_equal(text_of(got.method), text_of(want->method));
        assert_string_equal(text_of(got.text), text_of(want->text));
        assert_string_equal(text_of(got.next_step), text_of(want->next_step));
        assert_int_equal(got.body_size, want->body_size);
        if (want->body_size > 0) {
            assert_memory_equal(got.body, want->body, want->body_size);
        }
    }
}

/* A truncated message is refused, or is another valid one, but never read past its end;
 * the output stays untouched when it is refused. */
static void test_truncations(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(samples); i++) {
        const uint8_t *bytes;
        size_t size;

        encode(fixture, &samples[i], &bytes, &size);
        for (size_t n = 0; n < size; n++) {
            struct ray_rpc_message got = {.id = 4711};
            int rc = decode_exact(fixture, bytes, n, &got);

            assert_int_equal(rc, RAY_EMALFORMED);
            assert_int_equal(got.id, 4711);
        }
    }
}

static void test_bit_flips(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(samples); i++) {
        const uint8_t *bytes;
        uint8_t copy[256];
        size_t size;

        encode(fixture, &samples[i], &bytes, &size);
        assert_true(size <= sizeof copy);
        memcpy(copy, bytes, size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            struct ray_rpc_message got = {0};
            int rc;

            copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            rc = decode_exact(fixture, copy, size, &got);
            assert_true(rc == RAY_OK || rc == RAY_EMALFORMED);
            if (rc == RAY_OK) {
                assert_true(got.body_size <= RAY_RPC_BODY_SIZE_MAX);
                assert_true(got.credit <= RAY_RPC_CREDIT_MAX);
            }
            copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            ray_arena_reset(&fixture->arena);
            encode(fixture, &samples[i], &bytes, &size);
        }
    }
}

/* What our encoder would never make. */
static void refuse(struct fixture *fixture, const Rayos__Rpc__Envelope *envelope)
{
    struct ray_rpc_message got;
    const uint8_t *bytes;
    size_t size;

    assert_int_equal(ray_proto_pack(&envelope->base, 1 << 20, &fixture->arena, &bytes, &size, NULL),
                     RAY_OK);
    assert_int_equal(decode_exact(fixture, bytes, size, &got), RAY_EMALFORMED);
    assert_string_not_equal(fixture->err.text, "");
}

static void refuse_request(struct fixture *fixture, uint64_t id, const char *method,
                           uint64_t deadline_ms, uint32_t credit)
{
    Rayos__Rpc__Envelope envelope = RAYOS__RPC__ENVELOPE__INIT;
    Rayos__Rpc__Request request = RAYOS__RPC__REQUEST__INIT;

    request.id = id;
    request.method = (char *)method;
    request.deadline_ms = deadline_ms;
    request.credit = credit;
    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_REQUEST;
    envelope.request = &request;
    refuse(fixture, &envelope);
}

static void test_hostile_fields(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Rpc__Envelope envelope = RAYOS__RPC__ENVELOPE__INIT;
    Rayos__Rpc__End end = RAYOS__RPC__END__INIT;
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;
    Rayos__Rpc__Cancel cancel = RAYOS__RPC__CANCEL__INIT;
    char long_name[RAY_RPC_METHOD_SIZE_MAX + 2];

    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    refuse(fixture, &envelope); /* no kind at all */
    refuse_request(fixture, 0, "a", 0, 0);
    refuse_request(fixture, 1, "", 0, 0);
    refuse_request(fixture, 1, "A", 0, 0);
    refuse_request(fixture, 1, "a b", 0, 0);
    refuse_request(fixture, 1, long_name, 0, 0);
    refuse_request(fixture, 1, "a", RAY_RPC_TIMEOUT_MS_MAX + 1, 0);
    refuse_request(fixture, 1, "a", 0, RAY_RPC_CREDIT_MAX + 1);

    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_END;
    envelope.end = &end; /* id 0 and no error */
    refuse(fixture, &envelope);
    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_CANCEL;
    envelope.cancel = &cancel; /* id 0 */
    refuse(fixture, &envelope);
    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_CREDIT;
    envelope.credit = &credit; /* id 0 */
    credit.count = 1;
    refuse(fixture, &envelope);
    credit.id = 1;
    credit.count = 0;
    refuse(fixture, &envelope);
    credit.count = RAY_RPC_CREDIT_MAX + 1;
    refuse(fixture, &envelope);
}

static void test_large_fields(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Rpc__Envelope envelope = RAYOS__RPC__ENVELOPE__INIT;
    Rayos__Rpc__Request request = RAYOS__RPC__REQUEST__INIT;
    Rayos__Rpc__Large large = RAYOS__RPC__LARGE__INIT;
    Rayos__Rpc__Part part = RAYOS__RPC__PART__INIT;
    uint8_t byte = 1;

    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_LARGE;
    envelope.large = &large;
    large.size = 1;
    refuse(fixture, &envelope); /* no head */
    large.request = &request;
    request.id = 1;
    refuse(fixture, &envelope); /* no method */
    request.method = (char *)(uintptr_t)"x";
    large.size = 0;
    refuse(fixture, &envelope);
    large.size = 1;
    request.body = (ProtobufCBinaryData){.len = 1, .data = &byte};
    refuse(fixture, &envelope); /* a body in the head */

    envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_PART;
    envelope.part = &part;
    part.id = 1;
    refuse(fixture, &envelope); /* no bytes: it would never be whole */
    part.id = 0;
    part.body = request.body;
    refuse(fixture, &envelope);
}

static void test_body_limit(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *large = calloc(1, RAY_RPC_BODY_SIZE_MAX + 1);
    struct ray_rpc_message message = {.kind = RAY_RPC_REQUEST,
                                      .id = UINT64_MAX,
                                      .timeout_ms = RAY_RPC_TIMEOUT_MS_MAX,
                                      .credit = RAY_RPC_CREDIT_MAX,
                                      .body = large,
                                      .body_size = RAY_RPC_BODY_SIZE_MAX};
    char name[RAY_RPC_METHOD_SIZE_MAX + 1];
    const uint8_t *bytes;
    size_t size;
    struct ray_rpc_message got;

    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    message.method = name;
    encode(fixture, &message, &bytes, &size); /* the largest of all fits */
    assert_true(size <= RAY_RPC_MESSAGE_SIZE_MAX);
    assert_int_equal(decode_exact(fixture, bytes, size, &got), RAY_OK);
    assert_int_equal(got.body_size, RAY_RPC_BODY_SIZE_MAX);

    message.body_size++;
    assert_int_equal(
        ray_rpc_envelope_encode(&message, &fixture->arena, &bytes, &size, &fixture->err),
        RAY_ETOOBIG);
    assert_int_equal(ray_rpc_envelope_decode(large, RAY_RPC_MESSAGE_SIZE_MAX + 1, &fixture->arena,
                                             &got, &fixture->err),
                     RAY_EMALFORMED);
    free(large);
}

/* A peer's message may say over 30,000 times "and another kind": the arena bounds it. */
static void test_memory_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct ray_arena small;
    const uint8_t *bytes;
    struct ray_rpc_message got;
    size_t size;

    encode(fixture, &samples[0], &bytes, &size);
    ray_arena_init(&small, 16);
    assert_int_equal(ray_rpc_envelope_decode(bytes, size, &small, &got, &fixture->err),
                     RAY_ETOOBIG);
    ray_arena_fini(&small);
}

static void test_no_memory(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned n = 1; n < 1000; n++) {
        struct ray_arena arena;
        struct ray_rpc_message got;
        const uint8_t *bytes = NULL;
        size_t size = 0;
        int rc;

        ray_arena_init(&arena, RAY_RPC_ARENA_SIZE_MAX);
        ray_test_fault_arm("alloc", n);
        rc = ray_rpc_envelope_encode(&samples[0], &arena, &bytes, &size, &fixture->err);
        if (rc == RAY_OK) {
            rc = ray_rpc_envelope_decode(bytes, size, &arena, &got, &fixture->err);
        }
        ray_arena_fini(&arena);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            return;
        }
        assert_int_not_equal(rc, RAY_OK);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bit_flips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_body_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* seal_test.c - records of both directions, and every way in which they may not arrive. */
#include "base/le.h"
#include "base/test.h"
#include "net/seal.h"

enum { RECORD_MAX = 256 };

static const uint8_t key_a[RAY_SEAL_KEY_SIZE] = {1, 2, 3};
static const uint8_t key_b[RAY_SEAL_KEY_SIZE] = {4, 5, 6};

struct pair {
    struct ray_seal *a;
    struct ray_seal *b;
};

static struct pair make_pair(void)
{
    struct pair pair = {0};

    assert_int_equal(ray_seal_create(&pair.a, key_a, key_b, 0, NULL), RAY_OK);
    assert_int_equal(ray_seal_create(&pair.b, key_b, key_a, 0, NULL), RAY_OK);
    return pair;
}

static void destroy_pair(struct pair *pair)
{
    ray_seal_destroy(pair->a);
    ray_seal_destroy(pair->b);
}

/* Returns the record's size. */
static size_t seal_text(struct ray_seal *seal, uint64_t now_ns, const char *text, uint8_t *record)
{
    size_t size = strlen(text);
    size_t record_size = 0;

    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a record's body has no end mark */
    memcpy(record + RAY_SEAL_HEAD_SIZE, text, size);
    assert_int_equal(ray_seal_encrypt(seal, now_ns, record, size), RAY_OK);
    assert_int_equal(ray_seal_record_size(record, RAY_SEAL_HEAD_SIZE, &record_size), RAY_OK);
    assert_int_equal(record_size, size + RAY_SEAL_OVERHEAD_SIZE);
    return record_size;
}

static int open_text(struct ray_seal *seal, const uint8_t *record, size_t size, const char *text)
{
    uint8_t *exact = ray_test_copy(record, size);
    const uint8_t *plain = NULL;
    size_t plain_size = 0;
    int rc = ray_seal_decrypt(seal, exact, size, &plain, &plain_size);

    if (rc == RAY_OK) {
        assert_int_equal(plain_size, strlen(text));
        assert_memory_equal(plain, text, plain_size);
    }
    free(exact);
    return rc;
}

static void test_both_directions(void **state)
{
    struct pair pair = make_pair();
    uint8_t record[RECORD_MAX];

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t size = seal_text(pair.a, 0, "to b", record);

        assert_int_equal(open_text(pair.b, record, size, "to b"), RAY_OK);
        size = seal_text(pair.b, 0, "", record);
        assert_int_equal(open_text(pair.a, record, size, ""), RAY_OK);
    }
    destroy_pair(&pair);
}

static void test_every_bit_flipped(void **state)
{
    size_t size = 1;

    (void)state;
    for (size_t i = 0; i < size * 8; i++) {
        struct pair pair = make_pair();
        uint8_t record[RECORD_MAX];
        int rc;

        size = seal_text(pair.a, 0, "text", record);
        record[i / 8] ^= (uint8_t)(1U << (i % 8));
        rc = open_text(pair.b, record, size, "text");
        assert_true(rc == RAY_EDENIED || rc == RAY_EMALFORMED);
        assert_true(ray_seal_is_dead(pair.b));
        record[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_equal(open_text(pair.b, record, size, "text"), RAY_ECLOSED);
        assert_int_equal(ray_seal_encrypt(pair.b, 0, record, 0), RAY_ECLOSED);
        destroy_pair(&pair);
    }
}

static void test_every_length(void **state)
{
    size_t size = 1;

    (void)state;
    for (size_t cut = 0; cut <= size + 1; cut++) {
        struct pair pair = make_pair();
        uint8_t record[RECORD_MAX] = {0};

        size = seal_text(pair.a, 0, "text", record);
        assert_int_equal(open_text(pair.b, record, cut, "text"),
                         cut == size ? RAY_OK : RAY_EMALFORMED);
        destroy_pair(&pair);
    }
}

static void test_replay_loss_order_reflection(void **state)
{
    struct pair pair = make_pair();
    uint8_t first[RECORD_MAX];
    uint8_t second[RECORD_MAX];
    size_t size;

    (void)state;
    size = seal_text(pair.a, 0, "same", first);
    assert_int_equal(open_text(pair.b, first, size, "same"), RAY_OK);
    assert_int_equal(open_text(pair.b, first, size, "same"), RAY_EDENIED);
    destroy_pair(&pair);

    pair = make_pair();
    (void)seal_text(pair.a, 0, "one", first);
    size = seal_text(pair.a, 0, "two", second);
    assert_int_equal(open_text(pair.b, second, size, "two"), RAY_EDENIED);
    destroy_pair(&pair);

    pair = make_pair();
    size = seal_text(pair.a, 0, "back", first);
    assert_int_equal(open_text(pair.a, first, size, "back"), RAY_EDENIED);
    destroy_pair(&pair);
}

static void test_heads(void **state)
{
    static const struct {
        uint8_t head[4];
        int rc;
    } cases[] = {
        {{16, 0, 0, 0}, RAY_OK},
        {{16, 0, 0, 1}, RAY_OK},
        {{15, 0, 0, 0}, RAY_EMALFORMED},
        {{16, 0, 0, 2}, RAY_EMALFORMED},
        {{16, 0, 0, 0x80}, RAY_EMALFORMED},
        {{16, 0, 32, 0}, RAY_OK}, /* RAY_SEAL_PLAIN_SIZE_MAX */
        {{17, 0, 32, 0}, RAY_EMALFORMED},
        {{255, 255, 255, 0}, RAY_EMALFORMED},
    };
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ray_seal_record_size(cases[i].head, 4, &size), cases[i].rc);
    }
    for (size_t n = 0; n < RAY_SEAL_HEAD_SIZE; n++) {
        uint8_t *exact = ray_test_copy(cases[0].head, n);

        assert_int_equal(ray_seal_record_size(exact, n, &size), RAY_EAGAIN);
        free(exact);
    }
}

static void test_largest(void **state)
{
    static uint8_t record[RAY_SEAL_RECORD_SIZE_MAX];
    struct pair pair = make_pair();
    const uint8_t *plain = NULL;
    size_t plain_size = 0;

    (void)state;
    assert_int_equal(ray_seal_encrypt(pair.a, 0, record, RAY_SEAL_PLAIN_SIZE_MAX + 1), RAY_ETOOBIG);
    record[RAY_SEAL_HEAD_SIZE + RAY_SEAL_PLAIN_SIZE_MAX - 1] = 7;
    assert_int_equal(ray_seal_encrypt(pair.a, 0, record, RAY_SEAL_PLAIN_SIZE_MAX), RAY_OK);
    assert_int_equal(ray_seal_decrypt(pair.b, record, sizeof record, &plain, &plain_size), RAY_OK);
    assert_int_equal(plain_size, RAY_SEAL_PLAIN_SIZE_MAX);
    assert_int_equal(plain[plain_size - 1], 7);
    destroy_pair(&pair);
}

/* Whether the record says that the key changes behind it. */
static bool is_last_of_key(const uint8_t *record)
{
    return (record[3] & 1) != 0;
}

static void test_keys_change_with_time(void **state)
{
    struct pair pair = make_pair();
    uint8_t record[RECORD_MAX];
    size_t size = seal_text(pair.a, RAY_SEAL_REKEY_NS - 1, "young", record);

    (void)state;
    assert_false(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "young"), RAY_OK);
    size = seal_text(pair.a, RAY_SEAL_REKEY_NS, "old", record);
    assert_true(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "old"), RAY_OK);
    size = seal_text(pair.a, RAY_SEAL_REKEY_NS, "new", record);
    assert_false(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "new"), RAY_OK);
    /* The other direction keeps its key. */
    size = seal_text(pair.b, 1, "other", record);
    assert_int_equal(open_text(pair.a, record, size, "other"), RAY_OK);
    destroy_pair(&pair);
}

/* Moves both counts close to the limit by way of the exported form. */
static struct ray_seal *near_limit(struct ray_seal *seal, size_t offset, uint64_t count)
{
    uint8_t bytes[RAY_SEAL_EXPORT_SIZE];
    struct ray_seal *moved = NULL;

    assert_int_equal(ray_seal_export(seal, bytes), RAY_OK);
    ray_store64le(bytes + offset, count);
    assert_int_equal(ray_seal_import(&moved, bytes, NULL), RAY_OK);
    ray_seal_destroy(seal);
    return moved;
}

enum { SEND_COUNT_AT = 16 + 40, RECV_COUNT_AT = 16 + 48 + 40 };

static void test_keys_change_with_count(void **state)
{
    struct pair pair = make_pair();
    uint8_t record[RECORD_MAX];
    size_t size;

    (void)state;
    pair.a = near_limit(pair.a, SEND_COUNT_AT, RAY_SEAL_REKEY_COUNT - 2);
    pair.b = near_limit(pair.b, RECV_COUNT_AT, RAY_SEAL_REKEY_COUNT - 2);
    size = seal_text(pair.a, 0, "last but one", record);
    assert_false(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "last but one"), RAY_OK);
    size = seal_text(pair.a, 0, "last", record);
    assert_true(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "last"), RAY_OK);
    size = seal_text(pair.a, 0, "first", record);
    assert_false(is_last_of_key(record));
    assert_int_equal(open_text(pair.b, record, size, "first"), RAY_OK);
    destroy_pair(&pair);
}

/* A sender that never changes keys is cut off. */
static void test_key_used_too_long(void **state)
{
    struct pair pair = make_pair();
    uint8_t record[RECORD_MAX];
    size_t size;

    (void)state;
    pair.b = near_limit(pair.b, RECV_COUNT_AT, RAY_SEAL_REKEY_COUNT);
    size = seal_text(pair.a, 0, "again", record);
    assert_int_equal(open_text(pair.b, record, size, "again"), RAY_EMALFORMED);
    assert_true(ray_seal_is_dead(pair.b));
    destroy_pair(&pair);
}

static void test_handing_over(void **state)
{
    struct pair pair = make_pair();
    struct ray_seal *moved = NULL;
    uint8_t bytes[RAY_SEAL_EXPORT_SIZE];
    uint8_t record[RECORD_MAX];
    size_t size;

    (void)state;
    size = seal_text(pair.a, 0, "before", record);
    assert_int_equal(open_text(pair.b, record, size, "before"), RAY_OK);
    assert_int_equal(ray_seal_export(pair.b, bytes), RAY_OK);
    /* Two processes must never seal with the same nonces. */
    assert_true(ray_seal_is_dead(pair.b));
    assert_int_equal(ray_seal_encrypt(pair.b, 0, record, 0), RAY_ECLOSED);
    assert_int_equal(ray_seal_export(pair.b, bytes), RAY_ECLOSED);

    assert_int_equal(ray_seal_import(&moved, bytes, NULL), RAY_OK);
    size = seal_text(pair.a, 0, "after", record);
    assert_int_equal(open_text(moved, record, size, "after"), RAY_OK);
    size = seal_text(moved, 0, "answer", record);
    assert_int_equal(open_text(pair.a, record, size, "answer"), RAY_OK);
    ray_seal_destroy(moved);

    bytes[0] = 2;
    assert_int_equal(ray_seal_import(&moved, bytes, NULL), RAY_EUNSUPPORTED);
    bytes[0] = 1;
    bytes[SEND_COUNT_AT + 2] = 0x10; /* RAY_SEAL_REKEY_COUNT */
    assert_int_equal(ray_seal_import(&moved, bytes, NULL), RAY_EMALFORMED);
    destroy_pair(&pair);
}

static void test_no_memory(void **state)
{
    uint8_t bytes[RAY_SEAL_EXPORT_SIZE] = {1};
    struct ray_seal *seal = NULL;
    int rc;

    (void)state;
    ray_test_fault_arm("alloc", 1);
    rc = ray_seal_create(&seal, key_a, key_b, 0, NULL);
    assert_int_equal(rc, ray_test_fault_disarm() ? RAY_ENOMEM : RAY_OK);
    if (rc == RAY_OK) {
        ray_seal_destroy(seal);
    }
    ray_test_fault_arm("alloc", 1);
    rc = ray_seal_import(&seal, bytes, NULL);
    assert_int_equal(rc, ray_test_fault_disarm() ? RAY_ENOMEM : RAY_OK);
    if (rc == RAY_OK) {
        ray_seal_destroy(seal);
    }
    ray_seal_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_replay_loss_order_reflection),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_keys_change_with_time),
        cmocka_unit_test(test_keys_change_with_count),
        cmocka_unit_test(test_key_used_too_long),
        cmocka_unit_test(test_handing_over),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Where kernel and initramfs lie in a UKI, and what is no UKI. */
#include "base/size.h"
#include "base/test.h"
#include "provisioning/store/uki.h"
#include "provisioning/store/uki_fixture.h"

static int parse(const uint8_t *uki, size_t size, const char *section, struct provision_span *out)
{
    return provision_uki_parse(uki, size, UKI_FIXTURE_SIZE, section, out, NULL);
}

static void test_good(void **state)
{
    uint8_t uki[UKI_FIXTURE_SIZE];
    struct provision_span span;

    (void)state;
    uki_fixture_make(uki, "kernel", "initramfs");
    assert_int_equal(parse(uki, sizeof uki, ".linux", &span), RAY_OK);
    assert_int_equal(span.offset, UKI_FIXTURE_KERNEL);
    assert_int_equal(span.size_bytes, UKI_FIXTURE_RAW_SIZE);
    assert_int_equal(parse(uki, sizeof uki, ".initrd", &span), RAY_OK);
    assert_int_equal(span.offset, UKI_FIXTURE_INITRD);
    assert_int_equal(span.size_bytes, strlen("initramfs"));
    /* The rest of what it would be in memory is not in the file. */
    uki_fixture_store(&uki[UKI_FIXTURE_TABLE + 80 + 8], 4000, 4);
    assert_int_equal(parse(uki, sizeof uki, ".initrd", &span), RAY_OK);
    assert_int_equal(span.size_bytes, UKI_FIXTURE_RAW_SIZE);
    /* A name may fill its field. */
    memcpy(&uki[UKI_FIXTURE_TABLE], ".sections", 8);
    assert_int_equal(parse(uki, sizeof uki, ".section", &span), RAY_OK);
    assert_int_equal(parse(uki, sizeof uki, ".sections", &span), RAY_ENOTFOUND);
}

/* Every beginning of it is refused, or has the same answer. */
static void test_short(void **state)
{
    uint8_t uki[UKI_FIXTURE_SIZE];
    const size_t table_end = UKI_FIXTURE_TABLE + 3 * 40;

    (void)state;
    uki_fixture_make(uki, "kernel", "initramfs");
    for (size_t size = 0; size < table_end; size++) {
        struct provision_span span = {.offset = 7};

        assert_int_equal(parse(uki, size, ".linux", &span), RAY_EMALFORMED);
        assert_int_equal(span.offset, 7);
    }
    assert_int_equal(parse(uki, table_end, ".linux", &(struct provision_span){0}), RAY_OK);
}

static void test_bad(void **state)
{
    static const struct {
        size_t at;
        size_t size;
        uint32_t value;
        int rc;
    } cases[] = {
        {0, 1, 0, RAY_EMALFORMED},
        {0x3C, 4, UINT32_MAX, RAY_EMALFORMED},
        {0x3C, 4, UKI_FIXTURE_SIZE - 23, RAY_EMALFORMED},
        {0x3C, 4, 0, RAY_EMALFORMED},
        {UKI_FIXTURE_HEADER + 6, 2, 97, RAY_EMALFORMED},
        {UKI_FIXTURE_HEADER + 6, 2, 0, RAY_ENOTFOUND},
        {UKI_FIXTURE_HEADER + 20, 2, 0xFFFF, RAY_EMALFORMED},
        {UKI_FIXTURE_TABLE + 40, 1, 0, RAY_ENOTFOUND},
        {UKI_FIXTURE_TABLE + 40 + 16, 4, UINT32_MAX, RAY_EMALFORMED},
        {UKI_FIXTURE_TABLE + 40 + 16, 4, UKI_FIXTURE_SIZE - UKI_FIXTURE_KERNEL + 1, RAY_EMALFORMED},
        {UKI_FIXTURE_TABLE + 40 + 20, 4, UINT32_MAX, RAY_EMALFORMED},
        {UKI_FIXTURE_TABLE + 40 + 20, 4, UKI_FIXTURE_SIZE + 1, RAY_EMALFORMED},
    };
    uint8_t uki[UKI_FIXTURE_SIZE];

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct provision_span span = {.offset = 7};

        uki_fixture_make(uki, "kernel", "initramfs");
        uki_fixture_store(&uki[cases[i].at], cases[i].value, cases[i].size);
        if (parse(uki, sizeof uki, ".linux", &span) != cases[i].rc) {
            fail_msg("case %zu", i);
        }
        assert_int_equal(span.offset, 7);
    }
}

/* Which one a loader takes is not ours to guess. */
static void test_twice(void **state)
{
    uint8_t uki[UKI_FIXTURE_SIZE];

    (void)state;
    uki_fixture_make(uki, "kernel", "initramfs");
    memcpy(&uki[UKI_FIXTURE_TABLE], &uki[UKI_FIXTURE_TABLE + 40], 40);
    assert_int_equal(parse(uki, sizeof uki, ".linux", &(struct provision_span){0}), RAY_EMALFORMED);
    assert_int_equal(parse(uki, sizeof uki, ".initrd", &(struct provision_span){0}), RAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_twice),
    };
    return cmocka_run_group_tests_name("provisioning/store/uki", tests, NULL, NULL);
}

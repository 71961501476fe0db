#include <string.h>

#include "base/id.h"
#include "base/size.h"
#include "base/test.h"

static void test_text_and_back(void **state)
{
    struct ray_id id;
    struct ray_id same;
    char text[RAY_ID_TEXT_SIZE];

    (void)state;
    assert_int_equal(ray_id_parse("00112233445566778899aAbBcCdDeEfF", &id, NULL), RAY_OK);
    assert_int_equal(id.bytes[1], 0x11);
    assert_string_equal(ray_id_format(&id, text), "00112233445566778899aabbccddeeff");
    assert_int_equal(ray_id_from_bytes(id.bytes, sizeof(id.bytes), &same, NULL), RAY_OK);
    assert_true(ray_id_equal(&id, &same));
    same.bytes[15] = 0;
    assert_true(ray_id_compare(&same, &id) < 0 && ray_id_compare(&id, &same) > 0);
}

static void test_what_is_none(void **state)
{
    struct ray_id id = {{0}};

    (void)state;
    assert_true(ray_id_is_none(&id));
    id.bytes[15] = 1;
    assert_false(ray_id_is_none(&id));
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "0011",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeefff",
        "00112233445566778899aabbccddeeg0",
        "00112233445566778899aabbccddee0 ",
        "00000000000000000000000000000000",
    };
    struct ray_id id = {{7}};
    struct ray_id old = id;
    struct ray_err err;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        assert_int_equal(ray_id_parse(texts[i], &id, &err), RAY_EINVAL);
    }
    assert_int_equal(ray_id_from_bytes(old.bytes, 15, &id, &err), RAY_EMALFORMED);
    assert_int_equal(ray_id_from_bytes("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, &id, &err),
                     RAY_EMALFORMED);
    assert_true(ray_id_equal(&id, &old));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_back),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

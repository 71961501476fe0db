#include "base/test.h"
#include "coordinator/store/crc32c.h"

/* RFC 3720 B.4. */
static void known_answers(void **state)
{
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(coord_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(coord_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(coord_crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    assert_int_equal(coord_crc32c(0, "123456789", 9), 0xe3069283);
}

static void parts_and_both_ways_agree(void **state)
{
    uint8_t bytes[300];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 131 + 7);
    }
    for (size_t size = 0; size < sizeof bytes; size++) {
        uint32_t whole = coord_crc32c(0, bytes, size);

        assert_int_equal(whole, coord_crc32c_portable(0, bytes, size));
        assert_int_equal(whole, coord_crc32c(coord_crc32c(0, bytes, size / 3), bytes + size / 3,
                                             size - size / 3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(parts_and_both_ways_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

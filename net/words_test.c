/* words_test.c - the list's promises, and both directions. */
#include <string.h>

#include "base/test.h"
#include "net/words.h"

/* Whether a and b differ by one letter changed, added or dropped. */
static int is_one_edit(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    size_t at = 0;

    if (a_size > b_size) {
        return is_one_edit(b, a);
    }
    if (b_size - a_size > 1) {
        return 0;
    }
    while (at < a_size && a[at] == b[at]) {
        at++;
    }
    return strcmp(a + at + (a_size == b_size ? 1 : 0), b + at + 1) == 0;
}

static void test_list(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        const char *word = ray_word((uint8_t)i);

        assert_in_range(strlen(word), 3, RAY_WORD_SIZE_MAX - 1);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz"), strlen(word));
        for (int j = i + 1; j < 256; j++) {
            const char *later = ray_word((uint8_t)j);

            assert_true(strcmp(word, later) < 0);
            assert_int_not_equal(strncmp(word, later, 3), 0);
            assert_false(is_one_edit(word, later));
        }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        uint8_t bytes[RAY_WORDS_COUNT];
        uint8_t back[RAY_WORDS_COUNT];
        char text[RAY_WORDS_TEXT_SIZE];

        for (int j = 0; j < RAY_WORDS_COUNT; j++) {
            bytes[j] = (uint8_t)(i + 37 * j);
        }
        assert_ptr_equal(ray_words_format(bytes, text), text);
        assert_int_equal(ray_words_parse(text, back, RAY_WORDS_COUNT, NULL), RAY_OK);
        assert_memory_equal(bytes, back, sizeof bytes);
    }
}

static void test_typed(void **state)
{
    uint8_t out[2] = {7, 7};
    struct ray_err err = {0};
    char text[64];

    (void)state;
    assert_int_equal(ray_words_parse("  ZEBRA   acid\n", out, 2, &err), RAY_OK);
    assert_string_equal(ray_word(out[0]), "zebra");
    assert_int_equal(out[1], 0);

    memset(out, 7, sizeof out);
    assert_int_equal(ray_words_parse("zebra", out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("zebra acid acid", out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("zebra aci", out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("zebra acidx", out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("", out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("x", out, 65, &err), RAY_ETOOBIG);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(ray_words_parse(text, out, 2, &err), RAY_EINVAL);
    assert_int_equal(ray_words_parse("zebra \x1b[2J", out, 2, &err), RAY_EINVAL);
    assert_null(strchr(err.text, '\x1b'));
    assert_int_equal(out[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <signal.h>
#include <string.h>

#include "base/test.h"
#include "node/core/core_line.h"

static bool parse(const char *text, struct core_line *out)
{
    return core_line_parse(text, strlen(text), out);
}

static void test_what_is_written_is_read(void **state)
{
    static const char *const names[] = {"rayosd",
                                        "my prog",
                                        "",
                                        ".hidden",
                                        "a:b\n",
                                        "\xff\xfe",
                                        "a-very-long-name-that-goes-on-and-on-and-on"};
    char text[CORE_LINE_SIZE_MAX];
    struct core_line line;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size =
            core_line_format(text, names[i], SIGSEGV, CORE_KEEP_INFO, 301, 7, "folder=x\nreason=-");

        assert_int_equal(strlen(text), size);
        assert_memory_equal(text, "<11>", 4);
        assert_ptr_equal(strchr(text, '\n'), text + size - 1);
        assert_true(core_line_parse(text + 4, size - 5, &line));
        assert_string_equal(line.signal, "SIGSEGV");
        assert_true(line.what[0] != '\0' && strpbrk(line.what, " :\n/") == NULL);
    }
    (void)core_line_format(text, "rayosd", 64, CORE_KEEP_NOTHING, UINT64_MAX, UINT64_MAX, NULL);
    assert_non_null(strstr(text, "what=rayosd signal=SIG64 kept=nothing "));
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "rayos-core: crash",
        "rayos-core: crash what=",
        "rayos-core: crash what= signal=SIGSEGV",
        "rayos-core: crash what=a",
        "rayos-core: crash what=a b signal=SIGSEGV",
        "rayos-core: crash what=a:b signal=SIGSEGV",
        "rayos-core: crash what=a signal=",
        "rayos-core: crash what=a signal=SIG:SEGV",
        "rayos-core: crash what=a signal=SIGTOOLONGFORTHIS",
        "rayos-core: crash what=abcdefghijklmnopqrstuvwxyz0123456 signal=SIGSEGV",
        " rayos-core: crash what=a signal=SIGSEGV",
    };
    struct core_line line = {.what = "kept"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(parse(bad[i], &line));
        assert_string_equal(line.what, "kept");
    }
    assert_true(
        parse("rayos-core: crash what=abcdefghijklmnopqrstuvwxyz012345 signal=SIGSEGV", &line));
    assert_true(parse("rayos-core: crash what=a signal=SIGSEGV anything", &line));
}

static void test_words(void **state)
{
    char word[8];

    (void)state;
    core_word(word, sizeof word, "a/../b");
    assert_string_equal(word, "a_.._b");
    core_word(word, sizeof word, "..");
    assert_string_equal(word, "_.");
    core_word(word, sizeof word, "");
    assert_string_equal(word, "_");
    core_word(word, sizeof word, "12345678");
    assert_string_equal(word, "1234567");
    core_word(word, 2, "xyz");
    assert_string_equal(word, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Console bytes to lines: escapes, limits, and every way to cut the input in two. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/lab/lines.h"

struct collected {
    char text[8192]; /* lines joined by '|' */
    size_t size;
    size_t count;
};

static void collect(void *arg, const char *line, size_t size)
{
    struct collected *all = arg;

    assert_int_equal(strlen(line), size);
    assert_true(all->size + size + 2 < sizeof all->text);
    memcpy(all->text + all->size, line, size);
    all->size += size;
    all->text[all->size++] = '|';
    all->text[all->size] = '\0';
    all->count++;
}

static void check(const char *input, size_t size, const char *expected)
{
    for (size_t cut = 0; cut <= size; cut++) {
        struct collected all = {0};
        struct lab_lines lines;

        lab_lines_init(&lines, collect, &all);
        lab_lines_feed(&lines, input, cut);
        lab_lines_feed(&lines, input + cut, size - cut);
        lab_lines_end(&lines);
        assert_string_equal(all.text, expected);
    }
}

static void test_lines(void **state)
{
    static const struct {
        const char *input;
        const char *expected;
    } cases[] = {
        {"", ""},
        {"one\r\ntwo\nthree", "one|two|three|"},
        {"\n\n", "||"},
        {"\x1b[2J\x1b[01;01Hhello\x1b[=3h\n", "hello|"},
        {"a\x1b]0;title\x07"
         "b\n",
         "ab|"},
        {"a\x1b]0;title\x1b\\b\n", "ab|"},
        {"a\x1b(Bb\n", "ab|"},
        {"tab\there\x01\x7f\n", "tab\there|"},
        {"cut \x1b[12\nnext\n", "cut |next|"},
        {"\xe2\x9c\x93 ok\n", "\xe2\x9c\x93 ok|"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        check(cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
    check("a\0b\n", 4, "ab|");
}

static void test_long_line_comes_in_pieces(void **state)
{
    char input[2 * LAB_LINE_SIZE_MAX + 2];

    (void)state;
    memset(input, 'x', sizeof input);
    for (size_t size = LAB_LINE_SIZE_MAX - 1; size <= LAB_LINE_SIZE_MAX + 1; size++) {
        struct collected all = {0};
        struct lab_lines lines;

        lab_lines_init(&lines, collect, &all);
        lab_lines_feed(&lines, input, size);
        lab_lines_feed(&lines, "\n", 1);
        assert_int_equal(all.count, size > LAB_LINE_SIZE_MAX ? 2 : 1);
        assert_int_equal(all.size - all.count, size);
    }
}

/* A sequence that never ends must not swallow what follows. */
static void test_endless_escape(void **state)
{
    struct collected all = {0};
    struct lab_lines lines;

    (void)state;
    lab_lines_init(&lines, collect, &all);
    lab_lines_feed(&lines, "\x1b[", 2);
    for (int i = 0; i < 100; i++) {
        lab_lines_feed(&lines, "1", 1);
    }
    lab_lines_feed(&lines, "seen\n", 5);
    assert_non_null(strstr(all.text, "seen|"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line_comes_in_pieces),
        cmocka_unit_test(test_endless_escape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

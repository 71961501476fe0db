#include <string.h>

#include "base/test.h"
#include "node/init/line_editor.h"

struct typed {
    struct line_editor editor;
    char shown[4096];
    enum line_editor_result last;
};

static void type(struct typed *typed, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char echo[LINE_EDITOR_ECHO_SIZE_MAX];
        size_t echo_size;
        typed->last = line_editor_feed(&typed->editor, bytes[i], echo, &echo_size);
        assert_int_equal(strlen(echo), echo_size);
        (void)snprintf(typed->shown + strlen(typed->shown),
                       sizeof typed->shown - strlen(typed->shown), "%s", echo);
    }
}

static void type_text(struct typed *typed, const char *text)
{
    type(typed, text, strlen(text));
}

static void test_line(void **state)
{
    struct typed typed = {0};

    (void)state;
    type_text(&typed, "status\r");
    assert_int_equal(typed.last, LINE_EDITOR_ENTERED);
    assert_string_equal(typed.editor.line, "status");
    assert_string_equal(typed.shown, "status\r\n");
    type_text(&typed, "\n"); /* the LF of CR LF: not a second Enter */
    assert_int_equal(typed.last, LINE_EDITOR_MORE);
    type_text(&typed, "log 5\n");
    assert_int_equal(typed.last, LINE_EDITOR_ENTERED);
    assert_string_equal(typed.editor.line, "log 5");
}

static void test_editing(void **state)
{
    struct typed typed = {0};

    (void)state;
    type_text(&typed, "\x7fstatx\x7f\x08tus\r");
    assert_string_equal(typed.editor.line, "status");
    type_text(&typed, "wrong\x15good\r");
    assert_string_equal(typed.editor.line, "good");
    type_text(&typed, "half\x03");
    assert_int_equal(typed.last, LINE_EDITOR_ABANDONED);
    type_text(&typed, "\r");
    assert_string_equal(typed.editor.line, "");
}

static void test_skips_what_is_no_text(void **state)
{
    struct typed typed = {0};

    (void)state;
    type_text(&typed, "a\x1b[Ab\x1b[1;5Cc\x1bOHd\x1bxe\x01\x02\t\xc3\xa4\xff\r");
    assert_string_equal(typed.editor.line, "abcde");
    type_text(&typed, "\x1b[1\rz\r"); /* a torn sequence does not swallow Enter */
    assert_string_equal(typed.editor.line, "z");
    type(&typed, "q\0w\r", 4);
    assert_string_equal(typed.editor.line, "qw");
}

static void test_full_line(void **state)
{
    struct typed typed = {0};

    (void)state;
    for (int i = 0; i < LINE_EDITOR_SIZE_MAX + 50; i++) {
        type_text(&typed, "x");
    }
    type_text(&typed, "\x15");
    assert_int_equal(typed.editor.size, 0);
    for (int i = 0; i < LINE_EDITOR_SIZE_MAX + 50; i++) {
        type_text(&typed, "x");
    }
    type_text(&typed, "\r");
    assert_int_equal(strlen(typed.editor.line), LINE_EDITOR_SIZE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_editing),
        cmocka_unit_test(test_skips_what_is_no_text),
        cmocka_unit_test(test_full_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

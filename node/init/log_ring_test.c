#include <string.h>

#include "base/test.h"
#include "node/init/log_ring.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct log_ring));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void push(struct log_ring *ring, const char *line)
{
    log_ring_push(ring, line, strlen(line));
}

static void test_tail_in_order(void **state)
{
    struct log_ring *ring = *state;
    char line[LOG_RING_LINE_SIZE_MAX + 1];
    struct log_ring_cursor cursor = log_ring_tail(ring, 10);

    assert_int_equal(log_ring_next(ring, &cursor, line), 0);
    push(ring, "one");
    push(ring, "two");
    push(ring, "");
    push(ring, "three");
    cursor = log_ring_tail(ring, 2);
    assert_int_equal(log_ring_next(ring, &cursor, line), 3);
    assert_string_equal(line, "two");
    assert_int_equal(log_ring_next(ring, &cursor, line), 5);
    assert_string_equal(line, "three");
    assert_int_equal(log_ring_next(ring, &cursor, line), 0);
    assert_string_equal(line, "");
    cursor = log_ring_tail(ring, 0);
    assert_int_equal(log_ring_next(ring, &cursor, line), 0);
}

/* Every length, so that each kind of wrapping happens, many times round. */
static void test_wraps_anywhere(void **state)
{
    struct log_ring *ring = *state;
    char text[512];
    char line[LOG_RING_LINE_SIZE_MAX + 1];
    size_t pushed = 0;

    memset(text, 'x', sizeof text);
    for (int round = 0; round < 20; round++) {
        for (size_t size = 1; size <= sizeof text; size++) {
            struct log_ring_cursor cursor;
            text[0] = (char)('a' + size % 26);
            log_ring_push(ring, text, size);
            pushed++;
            cursor = log_ring_tail(ring, 1);
            assert_int_equal(log_ring_next(ring, &cursor, line), size);
            assert_memory_equal(line, text, size);
            text[0] = 'x';
        }
    }
    assert_true(ring->line_count < pushed);
    assert_true(ring->used_size <= LOG_RING_SIZE);
}

static void test_cuts_long_lines(void **state)
{
    struct log_ring *ring = *state;
    static char text[LOG_RING_LINE_SIZE_MAX + 10];
    char line[LOG_RING_LINE_SIZE_MAX + 1];
    struct log_ring_cursor cursor;

    memset(text, 'y', sizeof text);
    log_ring_push(ring, text, sizeof text);
    log_ring_push(ring, text, LOG_RING_LINE_SIZE_MAX);
    cursor = log_ring_tail(ring, 5);
    assert_int_equal(log_ring_next(ring, &cursor, line), LOG_RING_LINE_SIZE_MAX);
    assert_int_equal(log_ring_next(ring, &cursor, line), LOG_RING_LINE_SIZE_MAX);
    assert_int_equal(log_ring_next(ring, &cursor, line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tail_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wraps_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cuts_long_lines, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

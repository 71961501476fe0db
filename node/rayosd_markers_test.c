/* rayosd_markers_test.c - a reader that does not read keeps nobody waiting. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "node/rayosd_markers.h"

enum { LINE_SIZE = 64 };

static size_t make_line(char line[static LINE_SIZE + 1], unsigned number)
{
    return (size_t)snprintf(line, LINE_SIZE + 1, "line %05u %52s\n", number % 100000U, "");
}

static void test_nobody_reads(void **state)
{
    struct rayosd_markers markers;
    char line[LINE_SIZE + 1];
    char read_back[LINE_SIZE];
    unsigned told = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    rayosd_markers_init(&markers, ends[1]);
    while (markers.lost_count == 0) { /* the pipe, then the room here; a wait would never end */
        assert_int_equal(make_line(line, told++), LINE_SIZE);
        rayosd_markers_tell(&markers, line, LINE_SIZE);
    }
    assert_int_equal(markers.size, RAYOSD_MARKERS_SIZE_MAX);
    assert_int_equal(rayosd_markers_take_lost(&markers), 1);
    assert_int_equal(rayosd_markers_take_lost(&markers), 0);
    /* All but the lost one come, in order and whole. */
    for (unsigned i = 0; i + 1 < told; i++) {
        rayosd_markers_flush(&markers);
        assert_int_equal(read(ends[0], read_back, LINE_SIZE), LINE_SIZE);
        (void)make_line(line, i);
        assert_memory_equal(read_back, line, LINE_SIZE);
    }
    assert_int_equal(markers.size, 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

static void test_the_reader_is_gone(void **state)
{
    struct rayosd_markers markers;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    rayosd_markers_init(&markers, ends[1]);
    assert_int_equal(close(ends[0]), 0);
    rayosd_markers_tell(&markers, "one\n", 4); /* no signal either: it is not written */
    assert_int_equal(markers.size, 0);
    assert_int_equal(rayosd_markers_take_lost(&markers), 1);
    assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_the_reader_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

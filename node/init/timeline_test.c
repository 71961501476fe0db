#include <string.h>

#include "base/test.h"
#include "node/init/timeline.h"

static void test_stages(void **state)
{
    static struct timeline timeline;
    size_t first = timeline_begin(&timeline, "mounts", 10);
    size_t second = timeline_begin(&timeline, "modules", 20);

    (void)state;
    assert_int_equal(timeline.stages[first].end_us, 0);
    assert_int_equal(timeline.stages[first].result, TIMELINE_RUNNING);
    timeline_end(&timeline, second, TIMELINE_LATE, "not done in time", 30);
    timeline_end(&timeline, first, TIMELINE_OK, NULL, 40);
    assert_int_equal(timeline.stages[first].end_us, 40);
    assert_string_equal(timeline.stages[first].error, "");
    assert_string_equal(timeline.stages[second].error, "not done in time");
    assert_string_equal(timeline_result_name(timeline.stages[second].result), "late");
}

static void test_full_tables(void **state)
{
    static struct timeline timeline;
    size_t index = 0;

    (void)state;
    for (int i = 0; i <= TIMELINE_STAGE_COUNT_MAX; i++) {
        index = timeline_begin(&timeline, "x", 1);
    }
    assert_int_equal(index, TIMELINE_STAGE_COUNT_MAX);
    timeline_end(&timeline, index, TIMELINE_OK, "", 2); /* no-operation */
    assert_int_equal(timeline.stage_count, TIMELINE_STAGE_COUNT_MAX);
    for (int i = 0; i <= TIMELINE_MARK_COUNT_MAX; i++) {
        timeline_mark(&timeline, "RAYOS_BOOT_MARKER:kernel", (uint64_t)i);
    }
    assert_int_equal(timeline.mark_count, TIMELINE_MARK_COUNT_MAX);
    assert_int_equal(timeline.lost_count, 2);
    assert_int_equal(timeline.marks[0].at_us, 0);
}

static void test_long_texts_are_cut(void **state)
{
    static struct timeline timeline;
    char text[1000];

    (void)state;
    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    timeline_end(&timeline, timeline_begin(&timeline, "x", 1), TIMELINE_FAILED, text, 2);
    assert_int_equal(strlen(timeline.stages[0].error), TIMELINE_ERROR_SIZE_MAX - 1);
    timeline_mark(&timeline, text, 3);
    assert_int_equal(strlen(timeline.marks[0].line), TIMELINE_MARK_SIZE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_full_tables),
        cmocka_unit_test(test_long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <string.h>

#include "base/marker.h"
#include "base/test.h"

static bool parses(const char *line, size_t size)
{
    enum ray_marker marker;
    const char *detail;
    size_t detail_size;

    return ray_marker_parse(line, size, &marker, &detail, &detail_size);
}

static void test_round_trip(void **state)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];

    (void)state;
    for (int i = 0; i < RAY_MARKER_COUNT; i++) {
        const struct ray_marker_info *info = ray_marker_info((enum ray_marker)i);
        size_t size =
            ray_marker_format(line, (enum ray_marker)i, info->has_detail ? "node1:ready" : NULL);
        enum ray_marker marker = RAY_MARKER_COUNT;
        const char *detail = NULL;
        size_t detail_size = 99;

        assert_int_equal(strlen(line), size);
        assert_int_equal(line[size - 1], '\n');
        for (size_t with_newline = 0; with_newline < 2; with_newline++) {
            assert_true(
                ray_marker_parse(line, size - 1 + with_newline, &marker, &detail, &detail_size));
            assert_int_equal(marker, i);
            assert_int_equal(detail_size, info->has_detail ? 11 : 0);
            assert_memory_equal(detail, "node1:ready", detail_size);
        }
        assert_true(strlen(info->explanation) > 10);
    }
}

static void test_texts(void **state)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];

    (void)state;
    (void)ray_marker_format(line, RAY_MARKER_BOOT_KERNEL, NULL);
    assert_string_equal(line, "RAYOS_BOOT_MARKER:kernel\n");
    (void)ray_marker_format(line, RAY_MARKER_NODE_READY, "node1");
    assert_string_equal(line, "RAYOS_NODE_READY:node1\n");
    (void)ray_marker_format(line, RAY_MARKER_NODE_READY, "");
    assert_string_equal(line, "RAYOS_NODE_READY:-\n");
    (void)ray_marker_format(line, RAY_MARKER_NODE_READY, "a\nRAYOS_LOG:full");
    assert_string_equal(line, "RAYOS_NODE_READY:a\\x0aRAYOS_LOG:full\n");
}

static void test_details_are_cut_to_fit(void **state)
{
    char detail[400];
    char line[RAY_MARKER_LINE_SIZE_MAX];

    (void)state;
    for (size_t size = 1; size < sizeof detail; size++) {
        size_t length;

        memset(detail, size % 2 == 0 ? 'd' : '\x01', size);
        detail[size] = '\0';
        length = ray_marker_format(line, RAY_MARKER_SERVICE, detail);
        assert_true(length < RAY_MARKER_LINE_SIZE_MAX);
        assert_int_equal(strlen(line), length);
        assert_true(parses(line, length));
    }
}

static void test_strangers(void **state)
{
    static const char *const strangers[] = {
        "",
        "\n",
        "RAYOS_",
        "RAYOS_NODE_READY",
        "RAYOS_NODE_READY:",
        "RAYOS_NODE_READY:\n",
        "RAYOS_NODE_READYx:y",
        "RAYOS_BOOT_MARKER:kernel:x",
        "RAYOS_BOOT_MARKER:kernelx",
        "RAYOS_BOOT_MARKER",
        "RAYOS_UNKNOWN:x",
        " RAYOS_NODE_READY:x",
        "RAYOS_NODE_READY:x\r\n",
        "RAYOS_NODE_READY:x\n\n",
        "RAYOS_NODE_READY:\x1b[2J",
        "RAYOS_NODE_READY:\xff",
        "rayos_node_ready:x",
    };
    char line[RAY_MARKER_LINE_SIZE_MAX + 10];
    int prefix_size;

    (void)state;
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_false(parses(strangers[i], strlen(strangers[i])));
    }
    assert_false(parses("RAYOS_NODE_READY:x\0y", 20));
    /* The longest that format makes, and one more. */
    prefix_size = snprintf(line, sizeof line, "RAYOS_NODE_READY:");
    memset(line + prefix_size, 'x', sizeof line - (size_t)prefix_size);
    assert_true(parses(line, RAY_MARKER_LINE_SIZE_MAX - 2));
    assert_false(parses(line, RAY_MARKER_LINE_SIZE_MAX - 1));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_details_are_cut_to_fit),
        cmocka_unit_test(test_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* view_test.c - lines and table of a boot, as people see them. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/err.h"
#include "clusterctl/lab/view.h"

struct sample {
    Rayos__Lab__PhaseTime firmware, init;
    Rayos__Lab__PhaseTime *phases[2];
    Rayos__Lab__Node ready, booting, waiting;
    Rayos__Lab__Node *nodes[3];
    Rayos__Lab__Status status;
};

static void sample_init(struct sample *sample)
{
    rayos__lab__phase_time__init(&sample->firmware);
    rayos__lab__phase_time__init(&sample->init);
    sample->firmware.phase = "firmware";
    sample->firmware.length_us = 1250000;
    sample->init.phase = "init";
    sample->init.length_us = 100000000;
    sample->phases[0] = &sample->firmware;
    sample->phases[1] = &sample->init;

    rayos__lab__node__init(&sample->ready);
    sample->ready.name = "node1";
    sample->ready.phase = "ready";
    sample->ready.boot_count = 1;
    sample->ready.phases = sample->phases;
    sample->ready.n_phases = 2;
    sample->ready.total_us = 101250000;
    sample->ready.last_line = "RAYOS_NODE_READY:node1";

    rayos__lab__node__init(&sample->booting);
    sample->booting.name = "node2";
    sample->booting.phase = "kernel";
    sample->booting.boot_count = 1;
    sample->booting.phase_since_us = 40000000;
    sample->booting.last_line = "a very long line of the console that does not fit at all";

    rayos__lab__node__init(&sample->waiting);
    sample->waiting.name = "node3";
    sample->waiting.phase = "off";

    sample->nodes[0] = &sample->ready;
    sample->nodes[1] = &sample->booting;
    sample->nodes[2] = &sample->waiting;
    rayos__lab__status__init(&sample->status);
    sample->status.nodes = sample->nodes;
    sample->status.n_nodes = 3;
    sample->status.now_us = 43210000;
}

static void test_lines(void **state)
{
    struct sample sample;
    struct ray_buf text;

    (void)state;
    sample_init(&sample);
    ray_buf_init(&text, 4096);
    assert_int_equal(lab_view_lines(&sample.status, 50, &text), RAY_OK);
    assert_string_equal(ray_buf_text(&text),
                        "node1   ready      101.2 s  RAYOS_NODE_READY:node1\x1b[K\n"
                        "node2   kernel       3.2 s  a very long line of th\x1b[K\n"
                        "node3   waits    \x1b[K\n");
    ray_buf_fini(&text);
}

static void test_no_line_is_wider_than_the_terminal(void **state)
{
    struct sample sample;

    (void)state;
    sample_init(&sample);
    for (size_t width = 0; width < 120; width++) {
        struct ray_buf text;
        const char *line;

        ray_buf_init(&text, 4096);
        assert_int_equal(lab_view_lines(&sample.status, width, &text), RAY_OK);
        line = ray_buf_text(&text);
        for (int i = 0; i < 3; i++) {
            const char *end = strstr(line, "\x1b[K\n");

            assert_non_null(end);
            assert_true((size_t)(end - line) <= width);
            line = end + strlen("\x1b[K\n");
        }
        ray_buf_fini(&text);
    }
}

static void test_table(void **state)
{
    struct sample sample;
    struct ray_buf text;

    (void)state;
    sample_init(&sample);
    ray_buf_init(&text, 4096);
    assert_int_equal(lab_view_table(&sample.status, &text), RAY_OK);
    assert_string_equal(ray_buf_text(&text),
                        "NODE     FIRMWARE      DHCP  DOWNLOAD    KERNEL      INIT     READY\n"
                        "node1         1.2         -         -         -     100.0     101.2\n"
                        "node2           -         -         -         -         -         -\n"
                        "node3           -         -         -         -         -         -\n");
    ray_buf_fini(&text);
}

static void test_rewind_and_limits(void **state)
{
    struct sample sample;
    struct ray_buf text;

    (void)state;
    sample_init(&sample);
    ray_buf_init(&text, 8);
    assert_int_equal(lab_view_rewind(0, &text), RAY_OK);
    assert_string_equal(ray_buf_text(&text), "");
    assert_int_equal(lab_view_rewind(3, &text), RAY_OK);
    assert_string_equal(ray_buf_text(&text), "\x1b[3A\r");
    assert_int_equal(lab_view_lines(&sample.status, 80, &text), RAY_ETOOBIG);
    assert_int_equal(lab_view_table(&sample.status, &text), RAY_ETOOBIG);
    ray_buf_fini(&text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_line_is_wider_than_the_terminal),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_rewind_and_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

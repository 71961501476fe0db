/* The supervisor's memories: byte ring, event list, marker table, bounded log file. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "clusterctl/lab/events.h"
#include "clusterctl/lab/logfile.h"
#include "clusterctl/lab/markers.h"
#include "clusterctl/lab/ring.h"

/* ---- ring ---- */

/* Every append size at every fill level of a small ring, beside a plain array. */
static void test_ring_beside_model(void **state)
{
    enum { CAPACITY = 7, TOTAL_MAX = 40 };

    (void)state;
    for (size_t step = 1; step <= 2 * CAPACITY + 1; step++) {
        struct lab_ring ring;
        uint8_t model[TOTAL_MAX + 2 * CAPACITY];
        size_t total = 0;

        assert_int_equal(lab_ring_init(&ring, CAPACITY, NULL), RAY_OK);
        while (total < TOTAL_MAX) {
            for (size_t i = 0; i < step; i++) {
                model[total + i] = (uint8_t)(total + i);
            }
            lab_ring_append(&ring, model + total, step);
            total += step;
            assert_int_equal(ring.end, total);
            for (uint64_t at = lab_ring_begin(&ring); at < ring.end;) {
                const uint8_t *bytes;
                size_t size = lab_ring_peek(&ring, at, 3, &bytes);

                assert_in_range(size, 1, 3);
                assert_memory_equal(bytes, model + at, size);
                at += size;
            }
        }
        assert_int_equal(ring.end - lab_ring_begin(&ring), CAPACITY);
        lab_ring_fini(&ring);
    }
}

static void test_ring_no_memory(void **state)
{
    struct lab_ring ring;

    (void)state;
    assert_true(ray_fault_set("alloc:1"));
    assert_int_equal(lab_ring_init(&ring, 16, NULL), RAY_ENOMEM);
    assert_true(ray_fault_set(NULL));
    lab_ring_fini(&ring);
}

/* ---- events ---- */

__attribute__((format(printf, 2, 3))) static const struct lab_event *
add_event(struct lab_events *events, const char *fmt, ...)
{
    const struct lab_event *event;
    va_list ap;

    va_start(ap, fmt);
    event = lab_events_add(events, 5, LAB_KIND_CHAOS, 2, fmt, ap);
    va_end(ap);
    return event;
}

static void test_events_keep_the_newest(void **state)
{
    struct lab_events events;

    (void)state;
    assert_int_equal(lab_events_init(&events, NULL), RAY_OK);
    assert_null(lab_events_get(&events, 1));
    assert_int_equal(lab_events_oldest(&events), events.next_sequence);
    for (int i = 1; i <= LAB_EVENT_COUNT_MAX + 10; i++) {
        assert_int_equal(add_event(&events, "event %d", i)->sequence, i);
    }
    assert_int_equal(lab_events_oldest(&events), 11);
    assert_null(lab_events_get(&events, 10));
    assert_string_equal(lab_events_get(&events, 11)->text, "event 11");
    assert_null(lab_events_get(&events, events.next_sequence));
    lab_events_fini(&events);
}

static void test_event_text_is_escaped_and_cut(void **state)
{
    struct lab_events events;

    (void)state;
    assert_int_equal(lab_events_init(&events, NULL), RAY_OK);
    assert_string_equal(add_event(&events, "a\nb")->text, "a\\x0ab");
    assert_true(strlen(add_event(&events, "%0*d", 1000, 1)->text) < LAB_EVENT_TEXT_SIZE);
    lab_events_fini(&events);
}

/* ---- markers ---- */

static void add_marker(struct lab_markers *markers, uint32_t boot, const char *line, bool is_one)
{
    const struct lab_marker *item = lab_markers_add(markers, 1, boot, line, strlen(line));

    assert_int_equal(item != NULL, is_one);
}

static void test_markers_counted(void **state)
{
    struct lab_markers markers;
    const struct lab_marker *last = NULL;

    (void)state;
    lab_markers_init(&markers);
    add_marker(&markers, 1, "RAYOS_NODE_READY:node1\n", true);
    add_marker(&markers, 1, "RAYOS_SERVICE:time:failed:exit status 3\n", true);
    add_marker(&markers, 2, "RAYOS_SERVICE:time:ready", true);
    add_marker(&markers, 2, "RAYOS_NODE_READY:node1", true);
    add_marker(&markers, 2, "RAYOS_UNHEARD_OF:x", false);
    add_marker(&markers, 2, "", false);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_NODE_READY", 0, 9, NULL), 2);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_NODE_READY", 1, 9, NULL), 1);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_NODE_READY:node1", 2, 9, NULL), 1);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_NODE_READY:node", 0, 9, NULL), 0);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_NODE", 0, 9, NULL), 0);
    assert_int_equal(lab_markers_count(&markers, "RAYOS_SERVICE:time", 0, 1, &last), 1);
    assert_string_equal(last->line, "RAYOS_SERVICE:time:failed:exit status 3");
    assert_int_equal(lab_markers_count(&markers, "RAYOS_SERVICE:time", 0, 2, &last), 2);
    assert_string_equal(last->line, "RAYOS_SERVICE:time:ready");
    lab_markers_fini(&markers);
}

static void test_markers_bounded(void **state)
{
    struct lab_markers markers;

    (void)state;
    lab_markers_init(&markers);
    for (int i = 0; i <= LAB_MARKER_COUNT_MAX; i++) {
        add_marker(&markers, 1, "RAYOS_LOG:rotated", true);
    }
    assert_int_equal(markers.seen_count, LAB_MARKER_COUNT_MAX + 1);
    assert_int_equal(markers.count, LAB_MARKER_COUNT_MAX / 2 + 1);
    lab_markers_fini(&markers);
}

static void test_markers_no_memory(void **state)
{
    struct lab_markers markers;

    (void)state;
    lab_markers_init(&markers);
    assert_true(ray_fault_set("alloc:1"));
    add_marker(&markers, 1, "RAYOS_LOG:rotated", false);
    assert_true(ray_fault_set(NULL));
    add_marker(&markers, 1, "RAYOS_LOG:rotated", true);
    assert_int_equal(markers.seen_count, 2);
    lab_markers_fini(&markers);
}

/* ---- log file ---- */

struct folder {
    char path[64];
    int fd;
};

static struct folder folder_make(void)
{
    struct folder folder = {.path = "/tmp/lab-store-XXXXXX"};

    assert_non_null(mkdtemp(folder.path));
    folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder.fd >= 0);
    return folder;
}

static void folder_remove(struct folder *folder)
{
    assert(folder->fd >= 0);
    (void)unlinkat(folder->fd, "x.log", 0);
    (void)unlinkat(folder->fd, "x.log.1", 0);
    (void)close(folder->fd);
    assert_int_equal(rmdir(folder->path), 0);
}

static void expect_file(const struct folder *folder, const char *name, const char *expected)
{
    uint8_t *data = NULL;
    size_t size = 0;

    assert_int_equal(ray_file_read(folder->fd, name, 4096, &data, &size, NULL), RAY_OK);
    assert_string_equal((const char *)data, expected);
    free(data);
}

static void test_logfile_stamps_and_rotates(void **state)
{
    struct folder folder = folder_make();
    struct lab_logfile log;

    (void)state;
    assert_int_equal(lab_logfile_open(&log, folder.fd, "x.log", 48, NULL), RAY_OK);
    lab_logfile_stamped(&log, 12345678, "one\ttwo\n\x01", 9);
    expect_file(&folder, "x.log", "   12.345678 one two\\x0a\\x01\n");
    lab_logfile_stamped(&log, 1, "grows over the limit", 20);
    expect_file(&folder, "x.log.1", "   12.345678 one two\\x0a\\x01\n");
    expect_file(&folder, "x.log", "    0.000001 grows over the limit\n");
    lab_logfile_close(&log);
    assert_int_equal(lab_logfile_open(&log, folder.fd, "x.log", 48, NULL), RAY_OK);
    lab_logfile_line(&log, "{}", 2); /* appended, not begun anew */
    expect_file(&folder, "x.log", "    0.000001 grows over the limit\n{}\n");
    assert_int_equal(log.lost_count, 0);
    lab_logfile_close(&log);
    folder_remove(&folder);
}

static void test_logfile_full_disk(void **state)
{
    struct folder folder = folder_make();
    struct lab_logfile log;

    (void)state;
    assert_int_equal(lab_logfile_open(&log, folder.fd, "x.log", 1000, NULL), RAY_OK);
    assert_true(ray_fault_set("write:1"));
    lab_logfile_line(&log, "lost", 4);
    assert_true(ray_fault_set(NULL));
    lab_logfile_line(&log, "kept", 4);
    assert_int_equal(log.lost_count, 1);
    expect_file(&folder, "x.log", "kept\n");
    lab_logfile_close(&log);

    assert_true(ray_fault_set("open:1"));
    assert_true(lab_logfile_open(&log, folder.fd, "x.log", 1000, NULL) < 0);
    assert_true(ray_fault_set(NULL));
    lab_logfile_line(&log, "opened late", 11);
    expect_file(&folder, "x.log", "kept\nopened late\n");
    lab_logfile_close(&log);
    folder_remove(&folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_beside_model),
        cmocka_unit_test(test_ring_no_memory),
        cmocka_unit_test(test_events_keep_the_newest),
        cmocka_unit_test(test_event_text_is_escaped_and_cut),
        cmocka_unit_test(test_markers_counted),
        cmocka_unit_test(test_markers_bounded),
        cmocka_unit_test(test_markers_no_memory),
        cmocka_unit_test(test_logfile_stamps_and_rotates),
        cmocka_unit_test(test_logfile_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

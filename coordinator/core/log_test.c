/* coordinator/core/log_test.c - the cache against a plain array. */
#include "base/test.h"
#include "coordinator/core/log.h"

enum { ENTRIES = 5000 };

static uint8_t pattern[4096];

static struct coord_entry make(uint64_t index, uint64_t term, uint32_t size)
{
    return (struct coord_entry){.term = term,
                                .index = index,
                                .type = COORD_ENTRY_COMMAND,
                                .size = size,
                                .data = size == 0 ? NULL : pattern + index % 64};
}

static void expect(const struct coord_log *log, uint64_t index, uint64_t term, uint32_t size)
{
    struct coord_entry entry;

    assert_true(coord_log_get(log, index, &entry));
    assert_int_equal(entry.index, index);
    assert_int_equal(entry.term, term);
    assert_int_equal(entry.size, size);
    if (size > 0) {
        assert_memory_equal(entry.data, pattern + index % 64, size);
    }
}

static void test_against_an_array(void **state)
{
    static uint64_t terms[ENTRIES];
    static uint32_t sizes[ENTRIES];
    struct coord_entry entry;
    struct coord_log log;
    uint64_t next = 1;
    uint32_t random = 5;

    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)(i * 31);
    }
    coord_log_init(&log, 100000);
    for (uint64_t term = 1; next < ENTRIES - 100; term++) {
        struct coord_entry batch[40];
        size_t count;

        random = random * 1664525u + 1013904223u;
        count = 1 + (random >> 8) % 40;
        if ((random >> 16) % 8 == 0 && next > 10) {
            next -= (random >> 20) % 9;
            coord_log_truncate(&log, next);
        }
        for (size_t i = 0; i < count; i++) {
            terms[next + i] = term;
            sizes[next + i] = (random >> 10) % 700 * (uint32_t)(i % 3);
            batch[i] = make(next + i, term, sizes[next + i]);
        }
        assert_int_equal(coord_log_append(&log, batch, count), RAY_OK);
        next += count;
        coord_log_evict(&log, next > 30 ? next - 30 : 0);
        assert_int_equal(log.next_index, next);
        assert_false(coord_log_get(&log, next, &entry));
        assert_false(coord_log_get(&log, log.first_index - 1, &entry));
        for (uint64_t i = log.first_index; i < next; i++) {
            expect(&log, i, terms[i], sizes[i]);
        }
        assert_true(log.first_index + 29 <= next || log.held_size <= log.size_max);
    }
    assert_true(log.first_index > 1000);
    coord_log_fini(&log);
    coord_log_fini(&log);
}

static void test_size_above(void **state)
{
    struct coord_log log;
    size_t one;

    (void)state;
    coord_log_init(&log, 1000);
    for (uint64_t i = 1; i <= 10; i++) {
        struct coord_entry entry = make(i, 1, 100);

        assert_int_equal(coord_log_append(&log, &entry, 1), RAY_OK);
    }
    one = log.held_size / 10;
    assert_int_equal(coord_log_size_above(&log, 0), 10 * one);
    assert_int_equal(coord_log_size_above(&log, 7), 3 * one);
    assert_int_equal(coord_log_size_above(&log, 10), 0);
    assert_int_equal(coord_log_size_above(&log, 99), 0);
    coord_log_evict(&log, 3);
    assert_int_equal(log.first_index, 4);
    assert_int_equal(coord_log_size_above(&log, 1), 7 * one);
    coord_log_clear(&log, 50);
    assert_int_equal(coord_log_size_above(&log, 1), 0);
    coord_log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_an_array),
        cmocka_unit_test(test_size_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "node/core/core_rate.h"

#define MINUTE (UINT64_C(60) * RAY_NS_PER_S)

/* How often of `count` tries at one time each was kept. */
struct tally {
    int memory;
    int info;
    int nothing;
};

static struct tally crash(struct core_rate *rate, uint64_t key, uint64_t now_ns, int count)
{
    struct tally tally = {0};

    for (int i = 0; i < count; i++) {
        uint64_t uncounted;

        switch (core_rate_take(rate, key, now_ns, CORE_KEEP_MEMORY, &uncounted)) {
        case CORE_KEEP_MEMORY:
            tally.memory++;
            break;
        case CORE_KEEP_INFO:
            tally.info++;
            break;
        case CORE_KEEP_NOTHING:
            tally.nothing++;
            break;
        }
    }
    return tally;
}

static void test_a_loop_of_one_program(void **state)
{
    struct core_rate rate;
    struct tally tally;
    uint64_t uncounted = 99;

    (void)state;
    core_rate_init(&rate);
    tally = crash(&rate, 7, 1000, 100);
    assert_int_equal(tally.memory, 2);
    assert_int_equal(tally.info, 6);
    assert_int_equal(tally.nothing, 92);
    /* Ten minutes later one more of both, and it says how many there were. */
    assert_int_equal(core_rate_take(&rate, 7, 1000 + 10 * MINUTE, CORE_KEEP_MEMORY, &uncounted),
                     CORE_KEEP_MEMORY);
    assert_int_equal(uncounted, 92);
    assert_int_equal(core_rate_take(&rate, 7, 1000 + 10 * MINUTE, CORE_KEEP_MEMORY, &uncounted),
                     CORE_KEEP_NOTHING);
    assert_int_equal(uncounted, 0);
    /* A day does not fill it beyond its burst. */
    tally = crash(&rate, 7, 1000 + 1440 * MINUTE, 100);
    assert_int_equal(tally.memory, 2);
    assert_int_equal(tally.info, 6);
}

static void test_many_programs_share(void **state)
{
    struct core_rate rate;
    struct tally all = {0};

    (void)state;
    core_rate_init(&rate);
    for (uint64_t key = 1; key <= 1000; key++) {
        struct tally tally = crash(&rate, key, 1000 + key, 1);

        all.memory += tally.memory;
        all.info += tally.info;
    }
    assert_int_equal(all.memory, 6);
    assert_int_equal(all.info, 18);
}

static void test_info_takes_no_memory_token(void **state)
{
    struct core_rate rate;
    uint64_t uncounted;

    (void)state;
    core_rate_init(&rate);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(core_rate_take(&rate, 7, 1, CORE_KEEP_INFO, &uncounted), CORE_KEEP_INFO);
    }
    assert_int_equal(core_rate_take(&rate, 7, 1, CORE_KEEP_MEMORY, &uncounted), CORE_KEEP_MEMORY);
    assert_int_equal(core_rate_take(&rate, 7, 1, CORE_KEEP_NOTHING, &uncounted), CORE_KEEP_NOTHING);
}

static void test_a_clock_that_goes_back_gives_nothing(void **state)
{
    struct core_rate rate;
    struct tally tally;

    (void)state;
    core_rate_init(&rate);
    (void)crash(&rate, 7, 100 * MINUTE, 100);
    tally = crash(&rate, 7, MINUTE, 10);
    assert_int_equal(tally.memory + tally.info, 0);
}

static void test_the_file(void **state)
{
    int fd = memfd_create("rate", MFD_CLOEXEC);
    enum core_keep keep = CORE_KEEP_NOTHING;
    uint64_t uncounted = 0;
    const uint8_t wrong = 0xff;

    (void)state;
    assert_true(fd >= 0);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(core_rate_ask(fd, 7, 1000, CORE_KEEP_MEMORY, &keep, &uncounted, NULL),
                         RAY_OK);
        assert_int_equal(keep, i < 2   ? CORE_KEEP_MEMORY
                               : i < 8 ? CORE_KEEP_INFO
                                       : CORE_KEEP_NOTHING);
    }
    /* Each damaged byte, and a file cut short, are an empty one. */
    for (size_t at = 0; at < sizeof(struct core_rate); at += 97) {
        assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
        assert_int_equal(core_rate_ask(fd, 7, 1000, CORE_KEEP_MEMORY, &keep, &uncounted, NULL),
                         RAY_OK);
        assert_int_equal(keep, CORE_KEEP_MEMORY);
    }
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(core_rate_ask(fd, 7, 1000, CORE_KEEP_MEMORY, &keep, &uncounted, NULL), RAY_OK);
    assert_int_equal(keep, CORE_KEEP_MEMORY);
    (void)close(fd);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"open", "write"};
    int fd = memfd_create("rate", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    for (size_t p = 0; p < 2; p++) {
        for (unsigned n = 1;; n++) {
            enum core_keep keep = CORE_KEEP_NOTHING;
            uint64_t uncounted = 5;
            int rc;

            ray_test_fault_arm(points[p], n);
            rc = core_rate_ask(fd, 7, 1000, CORE_KEEP_INFO, &keep, &uncounted, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc < 0);
            assert_int_equal(keep, CORE_KEEP_NOTHING);
            assert_int_equal(uncounted, 5);
        }
    }
    (void)close(fd);
}

static void test_keys(void **state)
{
    (void)state;
    assert_int_not_equal(core_rate_key(""), 0);
    assert_int_not_equal(core_rate_key("/usr/bin/a"), core_rate_key("/usr/bin/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loop_of_one_program),
        cmocka_unit_test(test_many_programs_share),
        cmocka_unit_test(test_info_takes_no_memory_token),
        cmocka_unit_test(test_a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(test_the_file),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Phases of a boot: the order of events, retries, resets, and what cannot be told. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/size.h"
#include "clusterctl/lab/phases.h"

static uint64_t length_of(const struct lab_phases *phases, enum lab_phase phase)
{
    uint64_t length_us = UINT64_MAX;

    return lab_phases_length(phases, phase, &length_us) ? length_us : UINT64_MAX;
}

static void boot_by_pxe(struct lab_phases *phases)
{
    static const struct {
        uint64_t at_us;
        enum lab_phase_event event;
        enum lab_phase phase;
    } steps[] = {
        {100, LAB_EVENT_POWER_ON, LAB_PHASE_FIRMWARE},
        {1100, LAB_EVENT_DHCP_DISCOVER, LAB_PHASE_DHCP},
        {1200, LAB_EVENT_DHCP_DISCOVER, LAB_PHASE_DHCP},
        {5100, LAB_EVENT_BOOT_FILE, LAB_PHASE_DOWNLOAD},
        {5500, LAB_EVENT_HTTP_START, LAB_PHASE_DOWNLOAD},
        {7100, LAB_EVENT_HTTP_DONE, LAB_PHASE_KERNEL},
        {8000, LAB_EVENT_KERNEL_TEXT, LAB_PHASE_KERNEL},
        {11100, LAB_EVENT_INIT, LAB_PHASE_INIT},
        {11500, LAB_EVENT_DHCP_DISCOVER, LAB_PHASE_INIT},
        {13600, LAB_EVENT_READY, LAB_PHASE_READY},
        {13700, LAB_EVENT_READY, LAB_PHASE_READY},
    };

    lab_phases_init(phases);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(steps); i++) {
        enum lab_phase before = phases->phase;

        assert_int_equal(lab_phases_event(phases, steps[i].event, steps[i].at_us),
                         steps[i].phase != before);
        assert_int_equal(phases->phase, steps[i].phase);
    }
}

static void test_pxe(void **state)
{
    struct lab_phases phases;
    uint64_t total_us = 0;

    (void)state;
    boot_by_pxe(&phases);
    assert_int_equal(length_of(&phases, LAB_PHASE_FIRMWARE), 1000);
    assert_int_equal(length_of(&phases, LAB_PHASE_DHCP), 4000);
    assert_int_equal(length_of(&phases, LAB_PHASE_DOWNLOAD), 2000);
    assert_int_equal(length_of(&phases, LAB_PHASE_KERNEL), 4000);
    assert_int_equal(length_of(&phases, LAB_PHASE_INIT), 2500);
    assert_true(lab_phases_total(&phases, &total_us));
    assert_int_equal(total_us, 13500);
    /* What the node tells later does not replace what was seen. */
    lab_phases_kernel_took(&phases, 1);
    assert_int_equal(length_of(&phases, LAB_PHASE_KERNEL), 4000);
}

static void test_direct_quiet(void **state)
{
    struct lab_phases phases;

    (void)state;
    lab_phases_init(&phases);
    (void)lab_phases_event(&phases, LAB_EVENT_POWER_ON, 0);
    lab_phases_kernel_took(&phases, 5); /* too early: ignored */
    assert_true(lab_phases_event(&phases, LAB_EVENT_INIT, 6000));
    assert_int_equal(length_of(&phases, LAB_PHASE_FIRMWARE), 6000);
    lab_phases_kernel_took(&phases, 4500);
    assert_int_equal(length_of(&phases, LAB_PHASE_FIRMWARE), 1500);
    assert_int_equal(length_of(&phases, LAB_PHASE_KERNEL), 4500);
    assert_int_equal(length_of(&phases, LAB_PHASE_DHCP), UINT64_MAX);
}

static void test_kernel_longer_than_boot(void **state)
{
    struct lab_phases phases;

    (void)state;
    lab_phases_init(&phases);
    (void)lab_phases_event(&phases, LAB_EVENT_POWER_ON, 1000);
    (void)lab_phases_event(&phases, LAB_EVENT_INIT, 2000);
    lab_phases_kernel_took(&phases, UINT64_MAX);
    assert_int_equal(length_of(&phases, LAB_PHASE_FIRMWARE), 0);
    assert_int_equal(length_of(&phases, LAB_PHASE_KERNEL), 1000);
}

static void test_download_again(void **state)
{
    struct lab_phases phases;

    (void)state;
    lab_phases_init(&phases);
    (void)lab_phases_event(&phases, LAB_EVENT_POWER_ON, 0);
    (void)lab_phases_event(&phases, LAB_EVENT_HTTP_START, 10);
    (void)lab_phases_event(&phases, LAB_EVENT_HTTP_DONE, 20);
    assert_true(lab_phases_event(&phases, LAB_EVENT_HTTP_START, 30));
    assert_int_equal(phases.phase, LAB_PHASE_DOWNLOAD);
    (void)lab_phases_event(&phases, LAB_EVENT_HTTP_DONE, 50);
    (void)lab_phases_event(&phases, LAB_EVENT_INIT, 60);
    assert_int_equal(length_of(&phases, LAB_PHASE_DOWNLOAD), 40);
    assert_int_equal(length_of(&phases, LAB_PHASE_KERNEL), 10);
    /* Once PID 1 runs, a download is none of the boot's. */
    assert_false(lab_phases_event(&phases, LAB_EVENT_HTTP_START, 70));
}

static void test_reset_begins_anew(void **state)
{
    struct lab_phases phases;
    uint64_t unused_us;

    (void)state;
    boot_by_pxe(&phases);
    assert_true(lab_phases_event(&phases, LAB_EVENT_POWER_ON, 20000));
    assert_int_equal(phases.boot_count, 2);
    assert_int_equal(phases.phase, LAB_PHASE_FIRMWARE);
    assert_false(lab_phases_total(&phases, &unused_us));
    assert_int_equal(length_of(&phases, LAB_PHASE_DHCP), UINT64_MAX);
    assert_true(lab_phases_event(&phases, LAB_EVENT_POWER_OFF, 20100));
    assert_int_equal(phases.phase, LAB_PHASE_OFF);
    for (int event = LAB_EVENT_POWER_OFF; event <= LAB_EVENT_READY; event++) {
        assert_false(lab_phases_event(&phases, (enum lab_phase_event)event, 20200));
    }
}

static void test_time_never_runs_backwards(void **state)
{
    struct lab_phases phases;

    (void)state;
    lab_phases_init(&phases);
    (void)lab_phases_event(&phases, LAB_EVENT_POWER_ON, 1000);
    (void)lab_phases_event(&phases, LAB_EVENT_DHCP_DISCOVER, 3000);
    (void)lab_phases_event(&phases, LAB_EVENT_INIT, 2000);
    assert_int_equal(length_of(&phases, LAB_PHASE_DHCP), 0);
}

/* Any sequence of four events leaves phases in order and lengths that add up. */
static void test_every_short_sequence(void **state)
{
    enum { EVENT_COUNT = LAB_EVENT_READY + 1, LENGTH = 4 };

    (void)state;
    for (int code = 0; code < EVENT_COUNT * EVENT_COUNT * EVENT_COUNT * EVENT_COUNT; code++) {
        struct lab_phases phases;
        uint64_t sum_us = 0;
        uint64_t total_us = 0;
        int rest = code;

        lab_phases_init(&phases);
        for (int i = 0; i < LENGTH; i++) {
            (void)lab_phases_event(&phases, (enum lab_phase_event)(rest % EVENT_COUNT),
                                   UINT64_C(10) * (uint64_t)i);
            rest /= EVENT_COUNT;
        }
        for (int phase = LAB_PHASE_FIRMWARE; phase < LAB_PHASE_READY; phase++) {
            uint64_t length_us = length_of(&phases, (enum lab_phase)phase);

            sum_us += length_us == UINT64_MAX ? 0 : length_us;
        }
        if (lab_phases_total(&phases, &total_us)) {
            assert_int_equal(sum_us, total_us);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(lab_phase_name(LAB_PHASE_OFF), "off");
    assert_string_equal(lab_phase_name(LAB_PHASE_READY), "ready");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pxe),
        cmocka_unit_test(test_direct_quiet),
        cmocka_unit_test(test_kernel_longer_than_boot),
        cmocka_unit_test(test_download_again),
        cmocka_unit_test(test_reset_begins_anew),
        cmocka_unit_test(test_time_never_runs_backwards),
        cmocka_unit_test(test_every_short_sequence),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

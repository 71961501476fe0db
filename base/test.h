/* base/test.h - what every test includes: cmocka with the headers it wants before it, and the
 * loop of fault injection.
 *
 * Memory: none.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_BASE_TEST_H
#define RAY_BASE_TEST_H

/* cmocka.h does not include what it uses; the order counts. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"

/* clang's analyzer does not know that a failed check leaves the test. */
#ifdef __clang_analyzer__
#undef assert_true
#define assert_true(c) ((c) ? (void)0 : abort())
#undef assert_non_null
#define assert_non_null(p) ((p) != NULL ? (void)0 : abort())
#undef assert_int_equal
#define assert_int_equal(a, b) ((a) == (b) ? (void)0 : abort())
#endif

/* A test of all faults of one point goes:
 *
 *     for (unsigned n = 1;; n++) {
 *         ray_test_fault_arm("alloc", n);
 *         rc = act(...);
 *         if (!ray_test_fault_disarm()) {
 *             break;  // the act has fewer than n passes: it must have succeeded
 *         }
 *         // the nth pass has failed: rc says so, nothing leaks, the state is as before
 *     }
 *
 * Without RAY_FAULTS the loop ends in its first round. */
static inline void ray_test_fault_arm(const char *point, unsigned n)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s:%u", point, n);
    (void)ray_fault_set(text);
}

static inline bool ray_test_fault_disarm(void)
{
    bool has_fired = ray_fault_has_fired();

    (void)ray_fault_set(NULL);
    return has_fired;
}

#endif

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

#include "base/fault.h"

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

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
#include <string.h>

#include "base/fault.h"

/* Analyzers do not know that a failed check leaves the test. tools/soak defines RAY_ANALYZER for
 * those that have no macro of their own. */
#if defined __clang_analyzer__ || defined RAY_ANALYZER
#undef assert_true
#define assert_true(c) ((c) ? (void)0 : abort())
#undef assert_non_null
#define assert_non_null(p) ((p) != NULL ? (void)0 : abort())
#undef assert_int_equal
#define assert_int_equal(a, b) ((uintmax_t)(a) == (uintmax_t)(b) ? (void)0 : abort())
#endif

/* What gcc's analyzer cannot follow: a test's descriptors live in children, in fixtures behind
 * void * and at numbers of their own (tests that care count them); and bytes put together
 * piece by piece are lost where it does not know the offset (ASan sees a byte too far). */
#if defined RAY_ANALYZER && !defined __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-fd-leak"
#pragma GCC diagnostic ignored "-Wanalyzer-fd-use-without-check"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
#endif

/* A copy of exactly that size, for the caller to free, so that ASan sees one byte too far. */
static inline uint8_t *ray_test_copy(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

#if defined RAY_ANALYZER && !defined __clang__
#pragma GCC diagnostic pop
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

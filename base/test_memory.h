/* base/test_memory.h - whether a secret is left anywhere in the memory of a test's process: heap,
 * freed memory and stacks included.
 *
 * Memory: none.  Threads: the test's.  Blocks: for as long as it reads.  Trust: tests only. */
#ifndef RAY_BASE_TEST_MEMORY_H
#define RAY_BASE_TEST_MEMORY_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    RAY_TEST_MASK = 0x5a,
    /* Larger areas are the sanitizers' own. */
    RAY_TEST_AREA_SIZE_MAX = 1 << 26,
};

/* It reads what sanitizers know to be freed or nobody's. */
__attribute__((no_sanitize("address", "undefined"))) static inline size_t
ray_test_count_between(const uint8_t *begin, const uint8_t *end, const uint8_t *masked, size_t size)
{
    const uint8_t first = masked[0] ^ RAY_TEST_MASK;
    size_t count = 0;

    for (const uint8_t *at = begin; at + size <= end; at++) {
        size_t equal = 0;

        while (*at == first && equal < size && at[equal] == (masked[equal] ^ RAY_TEST_MASK)) {
            equal++;
        }
        count += equal == size;
    }
    return count;
}

/* How often the secret is there. `masked` is the secret with each byte ^ RAY_TEST_MASK, so that it
 * is not found itself. */
static inline size_t ray_test_count_in_memory(const uint8_t *masked, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t count = 0;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t begin;
        uintptr_t end;
        char flags[5] = "";

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, flags) == 3 &&
            strncmp(flags, "rw", 2) == 0 && end - begin <= RAY_TEST_AREA_SIZE_MAX) {
            /* NOLINTBEGIN(performance-no-int-to-ptr): the kernel says that they are mapped */
            count +=
                ray_test_count_between((const uint8_t *)begin, (const uint8_t *)end, masked, size);
            /* NOLINTEND(performance-no-int-to-ptr) */
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return count;
}

#endif

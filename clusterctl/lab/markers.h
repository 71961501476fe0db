/* clusterctl/lab/markers.h - the markers that one machine has printed, and the question that
 * tests ask: has this one come so many times?
 *
 * Memory: a table that grows to its limit; then the oldest half goes, and counts that would
 * need it are too small.  Threads: one owner.  Blocks: never.
 * Trust: lines come from the machine; only those of the marker table are kept. */
#ifndef RAY_CLUSTERCTL_LAB_MARKERS_H
#define RAY_CLUSTERCTL_LAB_MARKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/marker.h"

enum { LAB_MARKER_COUNT_MAX = 8192 };

struct lab_marker {
    uint64_t t_us;
    uint32_t boot; /* in which boot of the machine, from 1 */
    enum ray_marker marker;
    char line[RAY_MARKER_LINE_SIZE_MAX];
};

struct lab_markers {
    struct lab_marker *items;
    size_t count;
    size_t capacity;
    uint64_t seen_count; /* with those that were dropped */
};

void lab_markers_init(struct lab_markers *markers);
void lab_markers_fini(struct lab_markers *markers);

/* A line of the marker port. The new entry (borrowed until the next call), or NULL: it is no
 * marker, or there was no memory. */
const struct lab_marker *lab_markers_add(struct lab_markers *markers, uint64_t t_us, uint32_t boot,
                                         const char *line, size_t size);

/* Whether `line` is `wanted` itself or goes on with ":detail" behind it. */
bool lab_marker_matches(const char *line, const char *wanted);

/* How many match; boot 0: of any boot. *out_last (may be NULL) is the count_max-th match, or
 * the newest when there are fewer; untouched when there is none. */
size_t lab_markers_count(const struct lab_markers *markers, const char *wanted, uint32_t boot,
                         size_t count_max, const struct lab_marker **out_last);

#endif

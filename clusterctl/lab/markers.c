/* clusterctl/lab/markers.c - see markers.h. */
#include "clusterctl/lab/markers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum { FIRST_CAPACITY = 64 };

void lab_markers_init(struct lab_markers *markers)
{
    *markers = (struct lab_markers){0};
}

void lab_markers_fini(struct lab_markers *markers)
{
    free(markers->items);
    lab_markers_init(markers);
}

/* Makes room for one more. */
static bool reserve(struct lab_markers *markers)
{
    size_t capacity = markers->capacity == 0 ? FIRST_CAPACITY : 2 * markers->capacity;
    struct lab_marker *items;

    if (markers->count < markers->capacity) {
        return true;
    }
    if (markers->count == LAB_MARKER_COUNT_MAX) {
        markers->count /= 2;
        memmove(markers->items, markers->items + markers->count,
                markers->count * sizeof *markers->items);
        return true;
    }
    items = ray_fault(RAY_FAULT_ALLOC) ? NULL : realloc(markers->items, capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    markers->items = items;
    markers->capacity = capacity;
    return true;
}

const struct lab_marker *lab_markers_add(struct lab_markers *markers, uint64_t t_us, uint32_t boot,
                                         const char *line, size_t size)
{
    enum ray_marker marker;
    const char *detail;
    size_t detail_size;
    struct lab_marker *item;

    if (size >= RAY_MARKER_LINE_SIZE_MAX ||
        !ray_marker_parse(line, size, &marker, &detail, &detail_size)) {
        return NULL;
    }
    markers->seen_count++;
    if (!reserve(markers)) {
        return NULL;
    }
    item = &markers->items[markers->count++];
    assert(markers->count <= markers->capacity);
    item->t_us = t_us;
    item->boot = boot;
    item->marker = marker;
    if (line[size - 1] == '\n') { /* a marker has at least its prefix */
        size--;
    }
    memcpy(item->line, line, size);
    item->line[size] = '\0';
    return item;
}

bool lab_marker_matches(const char *line, const char *wanted)
{
    size_t size = strlen(wanted);

    return strncmp(line, wanted, size) == 0 && (line[size] == '\0' || line[size] == ':');
}

size_t lab_markers_count(const struct lab_markers *markers, const char *wanted, uint32_t boot,
                         size_t count_max, const struct lab_marker **out_last)
{
    size_t count = 0;

    for (size_t i = 0; i < markers->count && count < count_max; i++) {
        const struct lab_marker *item = &markers->items[i];

        if ((boot == 0 || item->boot == boot) && lab_marker_matches(item->line, wanted)) {
            count++;
            if (out_last != NULL) {
                *out_last = item;
            }
        }
    }
    return count;
}

/* node/rayosd_markers.h - markers on stdout, where there is no PID 1 that takes them (by hand, in
 * tests). Whoever reads too slowly loses some, and is told how many; the loop never waits.
 *
 * Memory: the caller's struct.  Threads: the loop's.
 * Blocks: never, as long as nobody else writes to the same pipe: what is written at once is what
 * poll promises room for.  Trust: lines are our own. */
#ifndef RAY_NODE_RAYOSD_MARKERS_H
#define RAY_NODE_RAYOSD_MARKERS_H

#include <stddef.h>
#include <stdint.h>

enum { RAYOSD_MARKERS_SIZE_MAX = 4096 }; /* that wait */

struct rayosd_markers {
    int fd;
    size_t size;
    uint64_t lost_count; /* since take_lost */
    char lines[RAYOSD_MARKERS_SIZE_MAX];
};

void rayosd_markers_init(struct rayosd_markers *markers, int fd); /* borrowed */
/* A whole line with its newline: written now, or kept, or lost. */
void rayosd_markers_tell(struct rayosd_markers *markers, const char *line, size_t size);
/* What waits, as far as it goes; now and then. */
void rayosd_markers_flush(struct rayosd_markers *markers);
uint64_t rayosd_markers_take_lost(struct rayosd_markers *markers);

#endif

/* node/init/timeline.h - what happened when during boot: stages with begin and end, and the
 * markers that were printed. CLOCK_BOOTTIME in microseconds, so zero is the kernel's start.
 *
 * Memory: fixed tables; stage names are borrowed (they are literals of the stage table).
 * Threads: the loop's.  Blocks: never.  Trust: texts are ours or escaped markers. */
#ifndef RAY_NODE_INIT_TIMELINE_H
#define RAY_NODE_INIT_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TIMELINE_STAGE_COUNT_MAX = 48,
    TIMELINE_MARK_COUNT_MAX = 64,
    TIMELINE_MARK_SIZE_MAX = 128,
    TIMELINE_ERROR_SIZE_MAX = 200,
};

enum timeline_result {
    TIMELINE_RUNNING,
    TIMELINE_OK,
    TIMELINE_FAILED,
    TIMELINE_LATE,    /* passed its deadline; boot went on without it */
    TIMELINE_SKIPPED, /* does not apply here */
};

struct timeline_stage {
    const char *name;
    uint64_t begin_us;
    uint64_t end_us; /* 0: running */
    enum timeline_result result;
    char error[TIMELINE_ERROR_SIZE_MAX];
};

struct timeline_mark {
    uint64_t at_us;
    char line[TIMELINE_MARK_SIZE_MAX];
};

struct timeline {
    struct timeline_stage stages[TIMELINE_STAGE_COUNT_MAX];
    size_t stage_count;
    struct timeline_mark marks[TIMELINE_MARK_COUNT_MAX]; /* the first ones: boot is what counts */
    size_t mark_count;
    size_t lost_count; /* stages and marks beyond the tables */
};

/* Index of the new stage, or TIMELINE_STAGE_COUNT_MAX when the table is full; then end is a
 * no-operation for it. */
size_t timeline_begin(struct timeline *timeline, const char *name, uint64_t now_us);
void timeline_end(struct timeline *timeline, size_t index, enum timeline_result result,
                  const char *error, uint64_t now_us);
void timeline_mark(struct timeline *timeline, const char *line, uint64_t now_us);

const char *timeline_result_name(enum timeline_result result); /* "ok" */

#endif

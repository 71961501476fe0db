#include "node/init/timeline.h"

#include <assert.h>
#include <stdio.h>

size_t timeline_begin(struct timeline *timeline, const char *name, uint64_t now_us)
{
    size_t index = timeline->stage_count;

    assert(name != NULL);
    if (index >= TIMELINE_STAGE_COUNT_MAX) {
        timeline->lost_count++;
        return TIMELINE_STAGE_COUNT_MAX;
    }
    timeline->stages[index] = (struct timeline_stage){.name = name, .begin_us = now_us};
    timeline->stage_count++;
    return index;
}

void timeline_end(struct timeline *timeline, size_t index, enum timeline_result result,
                  const char *error, uint64_t now_us)
{
    struct timeline_stage *stage;

    if (index >= timeline->stage_count) {
        return;
    }
    stage = &timeline->stages[index];
    stage->end_us = now_us;
    stage->result = result;
    (void)snprintf(stage->error, sizeof stage->error, "%s", error != NULL ? error : "");
}

void timeline_mark(struct timeline *timeline, const char *line, uint64_t now_us)
{
    struct timeline_mark *mark;

    if (timeline->mark_count >= TIMELINE_MARK_COUNT_MAX) {
        timeline->lost_count++;
        return;
    }
    mark = &timeline->marks[timeline->mark_count++];
    mark->at_us = now_us;
    (void)snprintf(mark->line, sizeof mark->line, "%s", line);
}

const char *timeline_result_name(enum timeline_result result)
{
    switch (result) {
    case TIMELINE_RUNNING:
        return "running";
    case TIMELINE_OK:
        return "ok";
    case TIMELINE_FAILED:
        return "failed";
    case TIMELINE_LATE:
        return "late";
    case TIMELINE_SKIPPED:
        return "skipped";
    }
    return "?";
}

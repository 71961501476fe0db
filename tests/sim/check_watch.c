#include "tests/sim/check_watch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/mem.h"

void sim_watch_log_init(struct sim_watch_log *log, struct sim_verdict *verdict)
{
    *log = (struct sim_watch_log){.verdict = verdict};
}

void sim_watch_log_fini(struct sim_watch_log *log)
{
    free(log->events);
    log->events = NULL;
}

static bool is_before(const struct sim_watch_event *a, uint64_t revision, uint32_t sub)
{
    return a->revision != revision ? a->revision < revision : a->sub < sub;
}

/* Of the first event at or behind {revision, sub}. */
static size_t position_of(const struct sim_watch_log *log, uint64_t revision, uint32_t sub)
{
    size_t low = 0;
    size_t high = log->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (is_before(&log->events[middle], revision, sub)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void sim_watch_emitted(struct sim_watch_log *log, const struct sim_watch_event *event)
{
    size_t at = position_of(log, event->revision, event->sub);

    if (at == log->count) {
        log->events = sim_grow(log->events, log->count, &log->capacity, sizeof *log->events);
        log->events[log->count++] = *event;
        return;
    }
    const struct sim_watch_event *known = &log->events[at];

    if (known->revision != event->revision || known->sub != event->sub ||
        known->hash != event->hash) {
        sim_verdict_fail(log->verdict, SIM_CHECK_STATE,
                         "another event %" PRIu64 ".%" PRIu32 " than replicas emitted before",
                         event->revision, event->sub);
    }
}

void sim_watcher_begin(struct sim_watcher *watcher, uint64_t revision)
{
    watcher->position = position_of(watcher->log, revision + 1, 0);
    watcher->revision = revision;
    watcher->is_in_revision = false;
}

/* Moves to the next event that this watcher wants; false: none is known yet. */
static bool skip_unwanted(struct sim_watcher *watcher)
{
    const struct sim_watch_log *log = watcher->log;

    while (watcher->position < log->count &&
           !watcher->is_wanted(watcher->filter, &log->events[watcher->position])) {
        watcher->position++;
    }
    return watcher->position < log->count;
}

uint64_t sim_watcher_next(struct sim_watcher *watcher)
{
    return skip_unwanted(watcher) ? watcher->log->events[watcher->position].revision : UINT64_MAX;
}

void sim_watcher_event(struct sim_watcher *watcher, const struct sim_watch_event *event)
{
    const struct sim_watch_log *log = watcher->log;

    if (!skip_unwanted(watcher)) {
        sim_verdict_fail(log->verdict, SIM_CHECK_WATCH,
                         "watcher %" PRIu32 " gets %" PRIu64 ".%" PRIu32 ", which is not to come",
                         watcher->number, event->revision, event->sub);
        return;
    }
    const struct sim_watch_event *next = &log->events[watcher->position];

    if (next->revision != event->revision || next->sub != event->sub || next->hash != event->hash) {
        sim_verdict_fail(
            log->verdict, SIM_CHECK_WATCH,
            "watcher %" PRIu32 " gets %" PRIu64 ".%" PRIu32 ", next is %" PRIu64 ".%" PRIu32 "%s",
            watcher->number, event->revision, event->sub, next->revision, next->sub,
            next->revision == event->revision && next->sub == event->sub ? " with other content"
                                                                         : "");
        return;
    }
    watcher->position++;
    watcher->is_in_revision = true;
    watcher->revision = event->revision - 1;
}

void sim_watcher_batch_end(struct sim_watcher *watcher)
{
    const struct sim_watch_log *log = watcher->log;

    if (!watcher->is_in_revision) {
        return;
    }
    uint64_t revision = watcher->revision + 1;

    if (skip_unwanted(watcher) && log->events[watcher->position].revision == revision) {
        sim_verdict_fail(log->verdict, SIM_CHECK_WATCH,
                         "watcher %" PRIu32 ": a batch ends within revision %" PRIu64,
                         watcher->number, revision);
    }
    watcher->revision = revision;
    watcher->is_in_revision = false;
}

void sim_watcher_bookmark(struct sim_watcher *watcher, uint64_t revision)
{
    const struct sim_watch_log *log = watcher->log;

    if (revision < watcher->revision) {
        sim_verdict_fail(log->verdict, SIM_CHECK_WATCH,
                         "watcher %" PRIu32 ": a bookmark goes back to %" PRIu64, watcher->number,
                         revision);
        return;
    }
    if (skip_unwanted(watcher) && log->events[watcher->position].revision <= revision) {
        sim_verdict_fail(log->verdict, SIM_CHECK_WATCH,
                         "watcher %" PRIu32 ": a bookmark %" PRIu64 " runs ahead of %" PRIu64
                         ".%" PRIu32,
                         watcher->number, revision, log->events[watcher->position].revision,
                         log->events[watcher->position].sub);
    }
    watcher->revision = revision;
}

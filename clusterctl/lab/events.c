/* clusterctl/lab/events.c - see events.h. */
#include "clusterctl/lab/events.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static const char *const kind_names[LAB_KIND_COUNT] = {
    [LAB_KIND_LAB] = "lab",       [LAB_KIND_POWER] = "power",         [LAB_KIND_PHASE] = "phase",
    [LAB_KIND_MARKER] = "marker", [LAB_KIND_PROVISION] = "provision", [LAB_KIND_CHAOS] = "chaos",
    [LAB_KIND_EXIT] = "exit",     [LAB_KIND_ERROR] = "error",
};

const char *lab_event_kind_name(enum lab_event_kind kind)
{
    assert((unsigned int)kind < LAB_KIND_COUNT);
    return kind_names[kind];
}

int lab_events_init(struct lab_events *events, struct ray_err *err)
{
    *events = (struct lab_events){.next_sequence = 1};
    events->items =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(LAB_EVENT_COUNT_MAX, sizeof *events->items);
    if (events->items == NULL) {
        return ray_fail(err, RAY_ENOMEM, "event list");
    }
    return RAY_OK;
}

void lab_events_fini(struct lab_events *events)
{
    free(events->items);
    *events = (struct lab_events){.next_sequence = 1};
}

const struct lab_event *lab_events_add(struct lab_events *events, uint64_t t_us,
                                       enum lab_event_kind kind, int node, const char *fmt,
                                       va_list ap)
{
    struct lab_event *event = &events->items[events->next_sequence % LAB_EVENT_COUNT_MAX];
    char text[LAB_EVENT_TEXT_SIZE];
    int size = vsnprintf(text, sizeof text, fmt, ap);

    event->sequence = events->next_sequence++;
    event->t_us = t_us;
    event->kind = kind;
    event->node = node;
    if (size < 0) {
        size = 0;
    } else if ((size_t)size >= sizeof text) {
        size = sizeof text - 1;
    }
    (void)ray_escape(event->text, sizeof event->text, text, (size_t)size);
    return event;
}

uint64_t lab_events_oldest(const struct lab_events *events)
{
    return events->next_sequence > LAB_EVENT_COUNT_MAX ? events->next_sequence - LAB_EVENT_COUNT_MAX
                                                       : 1;
}

const struct lab_event *lab_events_get(const struct lab_events *events, uint64_t sequence)
{
    if (sequence < lab_events_oldest(events) || sequence >= events->next_sequence) {
        return NULL;
    }
    return &events->items[sequence % LAB_EVENT_COUNT_MAX];
}

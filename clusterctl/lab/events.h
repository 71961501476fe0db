/* clusterctl/lab/events.h - what happened in a lab, numbered, the newest few thousand.
 *
 * Readers keep the number of the next event that they want; one that was too slow sees how
 * many it missed.
 * Memory: one block allocated by init.  Threads: one owner.  Blocks: never.
 * Trust: texts may quote machines: they are escaped and cut. */
#ifndef RAY_CLUSTERCTL_LAB_EVENTS_H
#define RAY_CLUSTERCTL_LAB_EVENTS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LAB_EVENT_TEXT_SIZE = 288, LAB_EVENT_COUNT_MAX = 4096, LAB_EVENT_NO_NODE = -1 };

enum lab_event_kind {
    LAB_KIND_LAB,       /* the lab itself: services up, all ready, going down */
    LAB_KIND_POWER,     /* a machine was switched on, reset or off */
    LAB_KIND_PHASE,     /* a machine's boot entered a phase */
    LAB_KIND_MARKER,    /* a machine printed a marker */
    LAB_KIND_PROVISION, /* DHCP, TFTP, HTTP */
    LAB_KIND_CHAOS,     /* a fault is in force, or gone */
    LAB_KIND_EXIT,      /* a process of the lab ended by itself */
    LAB_KIND_ERROR,     /* something does not work */
    LAB_KIND_COUNT
};

struct lab_event {
    uint64_t sequence; /* from 1, without gaps */
    uint64_t t_us;
    enum lab_event_kind kind;
    int node; /* index, or LAB_EVENT_NO_NODE */
    char text[LAB_EVENT_TEXT_SIZE];
};

struct lab_events {
    struct lab_event *items; /* LAB_EVENT_COUNT_MAX of them; sequence s is at s % that */
    uint64_t next_sequence;
};

int lab_events_init(struct lab_events *events, struct ray_err *err);
void lab_events_fini(struct lab_events *events);
/* Returns the new event, valid until LAB_EVENT_COUNT_MAX more have come. */
const struct lab_event *lab_events_add(struct lab_events *events, uint64_t t_us,
                                       enum lab_event_kind kind, int node, const char *fmt,
                                       va_list ap) __attribute__((format(printf, 5, 0)));
/* Number of the oldest event that is kept; next_sequence when there is none. */
uint64_t lab_events_oldest(const struct lab_events *events);
/* The event `sequence`, or NULL when it is too old or has not happened. */
const struct lab_event *lab_events_get(const struct lab_events *events, uint64_t sequence);

const char *lab_event_kind_name(enum lab_event_kind kind);

#endif

/* clusterctl/lab/control_events.c - lab.events: a reader's place in the list of events. */
#include <stdlib.h>

#include "clusterctl/lab/control_internal.h"

struct lab_watcher {
    struct lab_watcher *next;
    struct lab *lab;
    struct ray_rpc_call *call;
    uint64_t sequence; /* of the next event to send */
    bool follows;
};

static void watcher_free(struct lab_watcher *watcher)
{
    struct lab_watcher **link = &watcher->lab->control->watchers;

    while (*link != watcher) {
        link = &(*link)->next;
    }
    *link = watcher->next;
    free(watcher);
}

static int send_event(const struct lab_watcher *watcher, const struct lab_event *event)
{
    Rayos__Lab__Event item = RAYOS__LAB__EVENT__INIT;
    const struct lab *lab = watcher->lab;

    item.sequence = event->sequence;
    item.t_us = event->t_us;
    item.kind = (char *)(uintptr_t)lab_event_kind_name(event->kind);
    item.text = (char *)(uintptr_t)event->text;
    if (event->node != LAB_EVENT_NO_NODE) {
        item.node = (char *)(uintptr_t)lab->nodes[event->node].who.name;
    }
    return ray_rpc_send(watcher->call, &item.base);
}

/* Sends as much as the caller takes; false: the watcher has ended. */
static bool pump(struct lab_watcher *watcher)
{
    const struct lab_events *events = &watcher->lab->events;

    if (watcher->sequence < lab_events_oldest(events)) {
        watcher->sequence = lab_events_oldest(events);
    }
    while (watcher->sequence < events->next_sequence) {
        if (send_event(watcher, lab_events_get(events, watcher->sequence)) != RAY_OK) {
            return true; /* slow: on_drain follows; gone: on_cancel follows */
        }
        watcher->sequence++;
    }
    if (!watcher->follows) {
        Rayos__Lab__Event end = RAYOS__LAB__EVENT__INIT;

        end.sequence = watcher->sequence;
        (void)ray_rpc_reply(watcher->call, &end.base); /* gone: nobody wants it */
        watcher_free(watcher);
        return false;
    }
    return true;
}

static void on_drain(void *arg)
{
    (void)pump(arg);
}

static void on_cancel(void *arg)
{
    watcher_free(arg);
}

void lab_watchers_pump(struct lab *lab)
{
    struct lab_watcher *next;

    for (struct lab_watcher *watcher = lab->control->watchers; watcher != NULL; watcher = next) {
        next = watcher->next;
        (void)pump(watcher);
    }
}

void lab_method_events(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__EventsRequest *request = (const Rayos__Lab__EventsRequest *)input;
    struct lab *lab = arg;
    struct lab_watcher *watcher = calloc(1, sizeof *watcher);

    if (watcher == NULL) {
        struct ray_err err = {0};

        (void)ray_fail(&err, RAY_ENOMEM, "events");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    watcher->lab = lab;
    watcher->call = call;
    watcher->sequence = request->from_sequence;
    watcher->follows = request->follow;
    watcher->next = lab->control->watchers;
    lab->control->watchers = watcher;
    ray_rpc_call_on_cancel(call, on_cancel, watcher);
    ray_rpc_call_on_drain(call, on_drain, watcher);
    (void)pump(watcher);
}

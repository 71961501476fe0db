/* events.c - the registry's events in order of their numbers, from any number on.
 *
 * The registry keeps the last ones as objects whose id ends in the number; a stream is a place in
 * that order, moved on whenever an event was applied or the caller has taken some. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"

struct member_events {
    struct member_ask ask;
    LIST_ENTRY(member_events) entry;
    uint64_t after; /* sequence */
    bool is_following;
    bool is_first; /* nothing was sent yet */
    bool is_full;
    bool is_listed;
};

static struct ray_id event_id(uint64_t sequence)
{
    struct ray_id id = {{0}};

    for (size_t i = 0; i < sizeof sequence; i++) {
        id.bytes[RAY_ID_SIZE - 1 - i] = (uint8_t)(sequence >> (8 * i));
    }
    return id;
}

static const char *kind_name(enum coord_kind kind)
{
    static const char *const names[COORD_KIND_COUNT] = {
        "",      "",       "node",  "principal", "token",        "policy",    "network",
        "image", "volume", "guest", "migration", "presentation", "operation", "event",
    };

    return kind < COORD_KIND_COUNT ? names[kind] : "";
}

static int send_one(struct member_events *events, const struct coord_object *object)
{
    const struct coord_happening *happening = &object->happening;
    Rayos__Cluster__Event event = RAYOS__CLUSTER__EVENT__INIT;
    char about[RAY_ID_TEXT_SIZE + COORD_WORD_SIZE] = "";
    char id[RAY_ID_TEXT_SIZE];

    if (kind_name(happening->object_kind)[0] != '\0') {
        (void)snprintf(about, sizeof about, "%s %s", kind_name(happening->object_kind),
                       ray_id_format(&happening->object_id, id));
    }
    event.sequence = happening->sequence;
    event.time_us = happening->time_us;
    event.what = (char *)(uintptr_t)happening->what;
    event.text = (char *)(uintptr_t)happening->text;
    event.principal = (char *)(uintptr_t)happening->principal;
    event.revision = object->revision;
    event.object = about;
    event.has_gap =
        happening->sequence > events->after + 1 && (!events->is_first || events->after > 0);
    return ray_rpc_send(events->ask.call, &event.base);
}

static void end_stream(struct member_events *events)
{
    Rayos__Cluster__Done done = RAYOS__CLUSTER__DONE__INIT;

    member_ask_reply(&events->ask, &done.base);
}

static void fail_stream(struct member_events *events, int code)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, code, "events could not be sent: %s", ray_err_text(code));
    (void)ray_next(&err, "ask again, after the last number that came");
    member_ask_fail(&events->ask, &err);
}

/* As much as the caller takes. The stream may have ended afterwards. */
static void move_on(struct member_events *events)
{
    struct coord_fsm *fsm = coord_replica_fsm(events->ask.member->replica);
    struct ray_id id = event_id(events->after);
    const struct coord_object *object = coord_fsm_next(fsm, COORD_EVENT, &id);

    events->is_full = false;
    while (object != NULL) {
        int rc = send_one(events, object);

        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            events->is_full = true; /* on_drain or on_cancel follows */
            return;
        }
        if (rc != RAY_OK) {
            fail_stream(events, rc);
            return;
        }
        events->is_first = false;
        events->after = object->happening.sequence;
        id = object->id;
        object = coord_fsm_next(fsm, COORD_EVENT, &id);
    }
    if (!events->is_following) {
        end_stream(events);
    }
}

static void on_drain(void *arg)
{
    move_on(arg);
}

void member_events_end(struct coord_member *m, const struct ray_err *why)
{
    struct member_events *events = LIST_FIRST(&m->events);

    while (events != NULL) {
        struct member_events *next = LIST_NEXT(events, entry);

        member_ask_fail(&events->ask, why);
        events = next;
    }
}

void member_events_turn(struct coord_member *m)
{
    struct member_events *events = LIST_FIRST(&m->events);

    if (!m->has_event_news) {
        return;
    }
    m->has_event_news = false;
    while (events != NULL) {
        struct member_events *next = LIST_NEXT(events, entry);

        if (!events->is_full) {
            move_on(events);
        }
        events = next;
    }
}

static void on_release(struct member_ask *ask)
{
    struct member_events *events = (struct member_events *)ask;

    if (events->is_listed) {
        LIST_REMOVE(events, entry);
    }
}

void member_events_method(struct coord_member *m, const struct member_caller *caller,
                          struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__EventsRequest *request = (const Rayos__Cluster__EventsRequest *)input;
    struct member_events *events = member_ask_new(m, caller, call, sizeof *events);
    struct ray_err err = {0};

    if (events == NULL) {
        return;
    }
    events->ask.on_release = on_release;
    if ((request->is_following ? member_require_stream(m, &err)
                               : member_require_replica(m, &err)) != RAY_OK) {
        member_ask_fail(&events->ask, &err);
        return;
    }
    events->after = request->after_sequence;
    events->is_following = request->is_following;
    events->is_first = true;
    events->is_listed = true;
    LIST_INSERT_HEAD(&m->events, events, entry);
    ray_rpc_call_on_drain(call, on_drain, events);
    move_on(events);
}

size_t member_event_stream_count(const struct coord_member *m)
{
    const struct member_events *events;
    size_t count = 0;

    LIST_FOREACH(events, &m->events, entry)
    {
        count++;
    }
    return count;
}

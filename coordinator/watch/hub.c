/* hub.c - per watcher one number says all: the revision up to which everything was sent. What
 * comes after it is looked up in the ring at each tick, so nothing has to be kept right when the
 * ring drops events or the state machine is replaced.
 *
 * A batch is put together as bytes: the events are packed already. */
#include "coordinator/watch/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/varint.h"
#include "coordinator/mutant.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum {
    REQUEST_ARENA_SIZE = 64 << 10,
    /* One revision more than a batch should have. */
    BATCH_BUF_SIZE = COORD_WATCH_BATCH_SIZE_MAX + (768 << 10),
    CAPACITY_MIN = 16,
};

struct watcher {
    uint64_t number;
    uint64_t revision;  /* all up to it was sent, or does not pass the filter */
    uint64_t announced; /* the last bookmark */
    uint64_t sent_ms;
    int64_t credit; /* below 0 when the last revision had more events than were left */
    uint32_t kinds; /* bits */
    struct ray_id node;
    bool has_pulse; /* bookmarks come to it also when nothing has happened */
    bool needs_resync;
    bool is_over;
};

struct coord_watch_hub {
    struct coord_watch_ring *ring;
    coord_watch_send *send;
    void *arg;
    struct watcher *watchers; /* sorted by number */
    size_t count;
    size_t capacity;
    struct ray_buf batch;
    uint64_t tick_ms;
    uint64_t seen_revision;    /* of the ring, at the last tick */
    uint64_t next_bookmark_ms; /* UINT64_MAX: no watcher waits for one */
    bool has_backlog;          /* somebody could be sent more at once */
    bool has_ticked;
};

int coord_watch_hub_create(struct coord_watch_hub **out_hub, struct coord_watch_ring *ring,
                           coord_watch_send *send, void *arg, struct ray_err *err)
{
    struct coord_watch_hub *hub = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *hub);

    assert(ring != NULL && send != NULL);
    if (hub == NULL) {
        return ray_fail(err, RAY_ENOMEM, "watches");
    }
    hub->ring = ring;
    hub->send = send;
    hub->arg = arg;
    hub->seen_revision = ring->revision;
    hub->next_bookmark_ms = UINT64_MAX;
    ray_buf_init(&hub->batch, BATCH_BUF_SIZE);
    *out_hub = hub;
    return RAY_OK;
}

void coord_watch_hub_destroy(struct coord_watch_hub *hub)
{
    if (hub == NULL) {
        return;
    }
    ray_buf_fini(&hub->batch);
    free(hub->watchers);
    free(hub);
}

size_t coord_watch_hub_count(const struct coord_watch_hub *hub)
{
    return hub->count;
}

/* Index of the first watcher whose number is not below. */
static size_t find(const struct coord_watch_hub *hub, uint64_t number)
{
    size_t low = 0;
    size_t high = hub->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (hub->watchers[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct watcher *find_watcher(const struct coord_watch_hub *hub, uint64_t number)
{
    size_t index = find(hub, number);

    return index < hub->count && hub->watchers[index].number == number ? &hub->watchers[index]
                                                                       : NULL;
}

static int check_request(const Rayos__Registry__WatchRequest *request, struct watcher *out,
                         struct ray_err *err)
{
    const Rayos__Registry__WatchFilter *filter = request->filter;

    out->kinds = UINT32_MAX;
    if (request->credit > COORD_WATCH_CREDIT_MAX) {
        return ray_fail(err, RAY_EINVAL, "a credit of %u events, at most %d", request->credit,
                        COORD_WATCH_CREDIT_MAX);
    }
    out->credit = request->credit;
    if (filter == NULL) {
        return RAY_OK;
    }
    if (filter->n_kinds > 0) {
        out->kinds = 0;
    }
    for (size_t i = 0; i < filter->n_kinds; i++) {
        if (filter->kinds[i] <= (int)COORD_NONE || filter->kinds[i] >= (int)COORD_KIND_COUNT) {
            return ray_fail(err, RAY_EINVAL, "no such kind: %d", (int)filter->kinds[i]);
        }
        out->kinds |= UINT32_C(1) << filter->kinds[i];
    }
    if (filter->node.len > 0 &&
        ray_id_from_bytes(filter->node.data, filter->node.len, &out->node, NULL) != RAY_OK) {
        return ray_fail(err, RAY_EINVAL, "a filter's node is not the 16 bytes of an id");
    }
    return RAY_OK;
}

static int read_request(const uint8_t *bytes, size_t size, struct watcher *out, bool *out_from_now,
                        struct ray_err *err)
{
    struct ray_arena arena;
    ProtobufCMessage *message;
    int rc;

    ray_arena_init(&arena, REQUEST_ARENA_SIZE);
    rc = ray_proto_unpack(&rayos__registry__watch_request__descriptor, bytes, size, &arena,
                          &message, err);
    if (rc == RAY_OK) {
        const Rayos__Registry__WatchRequest *request =
            (const Rayos__Registry__WatchRequest *)message;

        out->revision = request->after_revision;
        out->has_pulse = request->with_pulse;
        *out_from_now = request->from_now;
        rc = check_request(request, out, err);
    }
    ray_arena_fini(&arena);
    return rc;
}

static bool grow(struct coord_watch_hub *hub)
{
    size_t capacity = hub->capacity > 0 ? hub->capacity * 2 : CAPACITY_MIN;
    struct watcher *watchers = NULL;

    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        watchers = realloc(hub->watchers, capacity * sizeof *watchers);
    }
    if (watchers == NULL) {
        return false;
    }
    hub->watchers = watchers;
    hub->capacity = capacity;
    return true;
}

int coord_watch_hub_add(struct coord_watch_hub *hub, uint64_t watcher, uint64_t now_ms,
                        const uint8_t *bytes, size_t size, struct ray_err *err)
{
    struct watcher new = {.number = watcher, .sent_ms = now_ms};
    size_t index = find(hub, watcher);
    bool is_from_now;
    int rc = read_request(bytes, size, &new, &is_from_now, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (find_watcher(hub, watcher) != NULL) {
        return ray_fail(err, RAY_EEXISTS, "this watch is there already");
    }
    if (hub->count >= COORD_WATCH_WATCHERS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%d watches, no more are possible",
                        COORD_WATCH_WATCHERS_MAX);
    }
    if (hub->count == hub->capacity && !grow(hub)) {
        return ray_fail(err, RAY_ENOMEM, "a watch");
    }
    if (is_from_now) {
        new.revision = hub->ring->revision;
    }
    if (RAY_MUTANT(WATCH_REPEATS) && new.revision > 0) {
        new.revision--;
    }
    new.announced = new.revision;
    memmove(&hub->watchers[index + 1], &hub->watchers[index],
            (hub->count - index) * sizeof *hub->watchers);
    hub->watchers[index] = new;
    hub->count++;
    hub->has_backlog = true;
    return RAY_OK;
}

void coord_watch_hub_remove(struct coord_watch_hub *hub, uint64_t watcher)
{
    struct watcher *found = find_watcher(hub, watcher);

    if (found != NULL) {
        size_t index = (size_t)(found - hub->watchers);

        memmove(found, found + 1, (hub->count - index - 1) * sizeof *found);
        hub->count--;
    }
}

int coord_watch_hub_credit(struct coord_watch_hub *hub, uint64_t watcher, const uint8_t *bytes,
                           size_t size, struct ray_err *err)
{
    struct watcher *found = find_watcher(hub, watcher);
    struct ray_arena arena;
    ProtobufCMessage *message;
    uint32_t credit = 0;
    int rc;

    if (found == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no such watch");
    }
    ray_arena_init(&arena, REQUEST_ARENA_SIZE);
    rc = ray_proto_unpack(&rayos__registry__watch_credit__descriptor, bytes, size, &arena, &message,
                          err);
    if (rc == RAY_OK) {
        credit = ((const Rayos__Registry__WatchCredit *)message)->credit;
    }
    ray_arena_fini(&arena);
    if (rc != RAY_OK) {
        return rc;
    }
    if (credit > COORD_WATCH_CREDIT_MAX || found->credit + credit > COORD_WATCH_CREDIT_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a credit of more than %d events",
                        COORD_WATCH_CREDIT_MAX);
    }
    found->credit += credit;
    hub->has_backlog = true;
    return RAY_OK;
}

static bool passes(const struct watcher *watcher, const struct coord_fsm_event *event)
{
    if ((watcher->kinds & UINT32_C(1) << event->kind) == 0) {
        return false;
    }
    if (ray_id_is_none(&watcher->node) || event->is_for_all) {
        return true;
    }
    for (uint32_t i = 0; i < event->node_count; i++) {
        if (ray_id_equal(&event->nodes[i], &watcher->node)) {
            return true;
        }
    }
    return false;
}

static int put_varint(struct ray_buf *out, uint64_t value)
{
    uint8_t bytes[RAY_VARINT_SIZE_MAX];

    return ray_buf_append(out, bytes, (size_t)(ray_varint_put(bytes, value) - bytes));
}

/* Field 1 of a WatchBatch. */
static int put_event(struct ray_buf *out, const struct coord_fsm_event *event)
{
    const uint8_t tag = 1 << 3 | 2;
    int rc = ray_buf_append(out, &tag, 1);

    if (rc == RAY_OK) {
        rc = put_varint(out, event->packed_size);
    }
    return rc == RAY_OK ? ray_buf_append(out, event->packed, event->packed_size) : rc;
}

/* Fields 2 and 3. */
static int put_end(struct ray_buf *out, uint64_t revision, bool is_resync)
{
    const uint8_t revision_tag = 2 << 3;
    const uint8_t resync[] = {3 << 3, 1};
    int rc = ray_buf_append(out, &revision_tag, 1);

    if (rc == RAY_OK) {
        rc = put_varint(out, revision);
    }
    return rc == RAY_OK && is_resync ? ray_buf_append(out, resync, sizeof resync) : rc;
}

struct batch {
    uint64_t revision; /* reached */
    uint64_t number;   /* of the next event */
    int64_t count;
};

/* All of one revision that passes. */
static int add_revision(struct coord_watch_hub *hub, const struct watcher *watcher,
                        struct batch *batch)
{
    const struct coord_fsm_event *event = coord_watch_ring_at(hub->ring, batch->number);
    uint64_t revision = event->revision;
    int rc = RAY_OK;

    for (; event != NULL && event->revision == revision && rc == RAY_OK;
         event = coord_watch_ring_at(hub->ring, ++batch->number)) {
        if (passes(watcher, event)) {
            rc = put_event(&hub->batch, event);
            batch->count++;
        }
    }
    batch->revision = revision;
    return rc;
}

/* As much as one batch takes; batch->revision is the bookmark. */
static int collect(struct coord_watch_hub *hub, const struct watcher *watcher, struct batch *batch)
{
    uint64_t end = coord_watch_ring_end(hub->ring);
    int rc = RAY_OK;

    *batch = (struct batch){.revision = watcher->revision,
                            .number = coord_watch_ring_find_after(hub->ring, watcher->revision)};
    ray_buf_clear(&hub->batch);
    while (batch->number < end && batch->count < watcher->credit &&
           batch->count < COORD_WATCH_BATCH_COUNT_MAX &&
           hub->batch.size < COORD_WATCH_BATCH_SIZE_MAX && rc == RAY_OK) {
        rc = add_revision(hub, watcher, batch);
    }
    if (batch->number == end || RAY_MUTANT(WATCH_BOOKMARK_AHEAD)) {
        batch->revision = hub->ring->revision;
    }
    return rc;
}

/* Sends what is in the buffer; on success the watcher is at `revision`. */
static void deliver(struct coord_watch_hub *hub, struct watcher *watcher, uint64_t now_ms,
                    const struct batch *batch)
{
    int rc = hub->send(hub->arg, watcher->number, hub->batch.data, hub->batch.size);

    if (rc == RAY_EAGAIN && !RAY_MUTANT(WATCH_FULL_IS_SENT)) {
        hub->has_backlog = true;
        return;
    }
    if (rc != RAY_OK && rc != RAY_EAGAIN) {
        watcher->is_over = true;
        return;
    }
    watcher->revision = batch->revision;
    watcher->announced = batch->revision;
    watcher->credit -= batch->count;
    watcher->sent_ms = now_ms;
    watcher->needs_resync = false;
    if (batch->number < coord_watch_ring_end(hub->ring) && watcher->credit > 0) {
        hub->has_backlog = true;
    }
}

static void resync(struct coord_watch_hub *hub, struct watcher *watcher, uint64_t now_ms)
{
    const struct batch batch = {.revision = hub->ring->revision,
                                .number = coord_watch_ring_end(hub->ring)};

    watcher->needs_resync = true;
    ray_buf_clear(&hub->batch);
    if (put_end(&hub->batch, batch.revision, true) != RAY_OK) {
        hub->has_backlog = true; /* no memory: later */
        return;
    }
    deliver(hub, watcher, now_ms, &batch);
}

/* It has all that there is, and has been told so. */
static bool is_up_to_date(const struct coord_watch_hub *hub, const struct watcher *watcher)
{
    return !watcher->needs_resync && watcher->revision >= hub->ring->revision &&
           watcher->announced >= hub->ring->revision;
}

/* Who was at a replica that is ahead of this one is told nothing until it has caught up. */
static bool is_pulse_due(const struct coord_watch_hub *hub, const struct watcher *watcher,
                         uint64_t now_ms)
{
    return watcher->has_pulse && watcher->revision == hub->ring->revision &&
           now_ms - watcher->sent_ms >= COORD_WATCH_BOOKMARK_MS;
}

static void serve(struct coord_watch_hub *hub, struct watcher *watcher, uint64_t now_ms)
{
    struct batch batch;
    int rc;

    if (watcher->credit <= 0 ||
        (is_up_to_date(hub, watcher) && !is_pulse_due(hub, watcher, now_ms))) {
        return;
    }
    if (RAY_MUTANT(WATCH_GAP) && watcher->revision < hub->ring->dropped_revision) {
        watcher->revision = hub->ring->dropped_revision;
    }
    if (watcher->needs_resync || !coord_watch_ring_has_after(hub->ring, watcher->revision)) {
        resync(hub, watcher, now_ms);
        return;
    }
    rc = collect(hub, watcher, &batch);
    if (rc == RAY_OK && batch.count == 0) {
        watcher->revision = batch.revision;
        if (now_ms - watcher->sent_ms < COORD_WATCH_BOOKMARK_MS) {
            return;
        }
    }
    if (rc == RAY_OK) {
        rc = put_end(&hub->batch, batch.revision, false);
    }
    if (rc == RAY_ETOOBIG) {
        resync(hub, watcher, now_ms);
    } else if (rc != RAY_OK) {
        hub->has_backlog = true; /* no memory: later */
    } else {
        deliver(hub, watcher, now_ms, &batch);
    }
}

static void note_bookmark(struct coord_watch_hub *hub, const struct watcher *watcher)
{
    uint64_t due_ms = watcher->sent_ms + COORD_WATCH_BOOKMARK_MS;

    bool is_wanted = watcher->announced < watcher->revision ||
                     (watcher->has_pulse && watcher->revision == hub->ring->revision);

    if (watcher->credit > 0 && is_wanted && due_ms < hub->next_bookmark_ms) {
        hub->next_bookmark_ms = due_ms;
    }
}

void coord_watch_hub_tick(struct coord_watch_hub *hub, uint64_t now_ms)
{
    size_t kept = 0;

    if (hub->has_ticked && now_ms - hub->tick_ms < COORD_WATCH_TICK_MS) {
        return;
    }
    hub->has_ticked = true;
    hub->tick_ms = now_ms;
    hub->has_backlog = false;
    hub->seen_revision = hub->ring->revision;
    hub->next_bookmark_ms = UINT64_MAX;
    for (size_t i = 0; i < hub->count; i++) {
        struct watcher *watcher = &hub->watchers[i];

        serve(hub, watcher, now_ms);
        note_bookmark(hub, watcher);
        if (!watcher->is_over) {
            hub->watchers[kept++] = *watcher;
        }
    }
    hub->count = kept;
}

uint64_t coord_watch_hub_next_ms(const struct coord_watch_hub *hub, uint64_t now_ms)
{
    if (hub->count == 0) {
        return UINT64_MAX;
    }
    if (hub->has_backlog || hub->ring->revision != hub->seen_revision) {
        return hub->has_ticked ? hub->tick_ms + COORD_WATCH_TICK_MS : now_ms;
    }
    return hub->next_bookmark_ms;
}

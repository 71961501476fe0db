/* watch.c - watchers of one kind of object, and how late they hear of a put: from the moment
 * that the put was begun, which its value says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/spec_fixture.h"
#include "tests/bench/registry_load/load.h"

enum {
    BATCH_SIZE_MAX = 1 << 20,
    GRACE_MS = 10000,
    TIME_SIZE = 16, /* in hex, for a value is a text */
    TIME_END = SPEC_FIX_HEAD_SIZE_MAX + TIME_SIZE,
};

struct watcher {
    struct watching *watching;
    uint8_t *bytes; /* of a batch that comes in parts */
    size_t size;
    uint64_t seen;
};

struct watching {
    struct load *load;
    struct watcher *watchers;
    struct ray_timer timer;
    struct ray_timer grace;
    uint64_t event_count;
    uint64_t sent;
    uint64_t answered;
    uint64_t left; /* events that watchers still wait for */
    uint64_t unready;
    uint64_t begun_ns;
};

static void take_event(struct watcher *watcher, const Rayos__Registry__WatchEvent *event)
{
    struct watching *watching = watcher->watching;
    char time[TIME_SIZE + 1] = "";
    uint64_t sent_ns;

    if (event->object == NULL || event->object->spec.len < TIME_END) {
        load_die("watch", "an event that nobody made");
    }
    memcpy(time, event->object->spec.data + SPEC_FIX_HEAD_SIZE_MAX, TIME_SIZE);
    sent_ns = strtoull(time, NULL, 16);
    load_sample(watching->load, ray_clock_monotonic_ns() - sent_ns);
    watcher->seen++;
    watching->left--;
    if (watching->left == 0) {
        ray_loop_stop(&watching->load->loop);
    }
}

static void on_part(void *arg, const ProtobufCMessage *item)
{
    struct watcher *watcher = arg;
    const Rayos__Cluster__WatchPart *part = (const Rayos__Cluster__WatchPart *)item;
    Rayos__Registry__WatchBatch *batch;
    uint8_t *bytes;

    if (watcher->size + part->bytes.len > BATCH_SIZE_MAX) {
        load_die("watch", "too large a batch");
    }
    bytes = realloc(watcher->bytes, watcher->size + part->bytes.len + 1);
    if (bytes == NULL) {
        load_die("watch", "no memory");
    }
    watcher->bytes = bytes;
    memcpy(watcher->bytes + watcher->size, part->bytes.data, part->bytes.len);
    watcher->size += part->bytes.len;
    if (!part->is_last) {
        return;
    }
    batch = rayos__registry__watch_batch__unpack(NULL, watcher->size, watcher->bytes);
    if (batch == NULL || batch->is_resync) {
        load_die("watch", "a malformed batch, or one that was late");
    }
    for (size_t i = 0; i < batch->n_events; i++) {
        take_event(watcher, batch->events[i]);
    }
    rayos__registry__watch_batch__free_unpacked(batch, NULL);
    watcher->size = 0;
}

static void on_watch_end(void *arg, const struct ray_rpc_result *result)
{
    const struct watcher *watcher = arg;

    if (watcher->watching->left > 0) {
        load_die("registry.watch", result->text);
    }
}

static void begin_watch(struct watcher *watcher, struct ray_rpc_client *conn)
{
    Rayos__Cluster__WatchRequest request = RAYOS__CLUSTER__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchRequest inner = RAYOS__REGISTRY__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchFilter filter = RAYOS__REGISTRY__WATCH_FILTER__INIT;
    Rayos__Registry__Kind kind = RAYOS__REGISTRY__KIND__KIND_NETWORK;
    uint8_t bytes[64];
    struct ray_err err = {0};

    filter.kinds = &kind;
    filter.n_kinds = 1;
    inner.filter = &filter;
    inner.from_now = true;
    request.request.len = rayos__registry__watch_request__pack(&inner, bytes);
    request.request.data = bytes;
    if (ray_rpc_stream_start(conn, "registry.watch", &request.base,
                             &rayos__cluster__watch_part__descriptor,
                             &rayos__cluster__done__descriptor, 0, on_part, on_watch_end, watcher,
                             NULL, &err) != RAY_OK) {
        load_die("registry.watch", err.text);
    }
}

/* ---- the writer ---- */

static void on_put(struct load_client *client, const struct ray_rpc_result *result)
{
    struct watching *watching = client->load->loop.uv.data;

    if (load_put_code(result) != RAY_OK) {
        load_die("watch: put", result->text);
    }
    watching->answered++;
}

static void on_grace(void *arg)
{
    (void)arg;
    load_die("watch", "events are missing");
}

static void on_timer(void *arg)
{
    struct watching *watching = arg;
    struct load *load = watching->load;
    uint64_t now_ns = ray_clock_monotonic_ns();
    char time[TIME_SIZE + 1];

    if (watching->sent == watching->event_count) {
        ray_timer_stop(&watching->timer);
        ray_timer_start(&watching->grace, GRACE_MS, 0);
        return;
    }
    if (watching->answered < watching->sent) {
        return; /* one at a time: a put that is late delays no other */
    }
    watching->sent++;
    (void)snprintf(time, sizeof time, "%016" PRIx64, now_ns);
    memcpy(load->value + SPEC_FIX_HEAD_SIZE_MAX, time, TIME_SIZE);
    load_put(&load->clients[0], RAYOS__REGISTRY__KIND__KIND_NETWORK, 0, load->value,
             load->value_size);
}

/* A member takes the calls of a connection in turn: it has taken our watches, too. */
static void on_status(void *arg, const struct ray_rpc_result *result)
{
    struct watching *watching = arg;

    if (result->code != RAY_OK) {
        load_die("cluster.status", result->text);
    }
    watching->unready--;
    if (watching->unready == 0) {
        watching->begun_ns = ray_clock_monotonic_ns();
        ray_timer_start(&watching->timer, watching->load->every_ms, watching->load->every_ms);
    }
}

static void begin_watches(struct watching *watching)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    struct load *load = watching->load;
    struct ray_err err = {0};

    for (uint64_t i = 0; i < load->client_count; i++) {
        watching->watchers[i].watching = watching;
        begin_watch(&watching->watchers[i], load->clients[i].conn);
    }
    watching->unready = load->conn_count;
    for (size_t i = 0; i < load->conn_count; i++) {
        if (ray_rpc_call_start(load->conns[i], "cluster.status", &request.base, NULL, 0,
                               &rayos__cluster__status__descriptor, 0, NULL, on_status, watching,
                               NULL, &err) != RAY_OK) {
            load_die("cluster.status", err.text);
        }
    }
}

void load_watch(struct load *load)
{
    struct watching watching = {.load = load};
    struct ray_err err = {0};

    watching.watchers = calloc(load->client_count, sizeof *watching.watchers);
    watching.event_count = load->length_ns / (load->every_ms * RAY_NS_PER_MS);
    watching.left = watching.event_count * load->client_count;
    if (watching.watchers == NULL || watching.left == 0 || load->value_size < TIME_END ||
        ray_timer_init(&watching.timer, &load->loop, on_timer, &watching, &err) != RAY_OK ||
        ray_timer_init(&watching.grace, &load->loop, on_grace, &watching, &err) != RAY_OK) {
        load_die("watch", "cannot begin");
    }
    load->loop.uv.data = &watching;
    load->clients[0].on_answer = on_put;
    begin_watches(&watching);
    ray_loop_run(&load->loop);
    load_report(load, ray_clock_monotonic_ns() - watching.begun_ns);
    load_disconnect(load);
    ray_timer_fini(&watching.timer);
    ray_timer_fini(&watching.grace);
    for (uint64_t i = 0; i < load->client_count; i++) {
        free(watching.watchers[i].bytes);
    }
    free(watching.watchers);
}

/* Watchers: each follows the events of one replica for a while, resumes at another, is now and
 * then too slow for any ring, and is judged by check_watch.
 *
 * A watch is a stream: what arrives comes in order, and ends all at once. Batches of a watch that
 * was given up are not looked at any more. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"
#include "tests/sim/cluster.h"
#include "tests/sim/mem.h"

enum {
    HOP_NS = 200000,
    SILENCE_NS = 1300 * 1000000, /* a bookmark comes each second */
    LAG_MEAN_NS = 1500 * 1000000,
    LAG_ONE_IN = 25,   /* batches */
    LEAVE_ONE_IN = 40, /* batches */
    FULL_ONE_IN = 10,  /* batches that the link has no room for */
    CREDIT_MAX = 60,
    NUMBER_BITS = 8,
};

/* On its way to a machine, or to a watcher. */
struct letter {
    struct sim_run *run;
    uint32_t watcher;
    uint32_t machine;
    uint64_t number; /* of the watch */
    enum { LETTER_WATCH, LETTER_CREDIT, LETTER_LEAVE, LETTER_BATCH } kind;
    size_t size;
    uint8_t bytes[];
};

static void attach(struct sim_watch_client *client);

static uint64_t number_of(const struct sim_watch_client *client)
{
    return client->watch_count << NUMBER_BITS | client->number;
}

static struct letter *letter_new(struct sim_watch_client *client, size_t size)
{
    struct letter *letter = sim_alloc(1, sizeof *letter + size);

    letter->run = client->run;
    letter->watcher = client->number;
    letter->machine = client->target;
    letter->number = number_of(client);
    letter->size = size;
    return letter;
}

/* ---- to a machine ---- */

static void deliver(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    const struct sim_node_ops *ops = letter->run->ops;
    struct sim_node *node = letter->run->machines[letter->machine].node;

    (void)tag;
    if (is_alive && letter->kind == LETTER_WATCH) {
        ops->watch(node, letter->number, letter->bytes, letter->size);
    } else if (is_alive && letter->kind == LETTER_CREDIT) {
        ops->watch_credit(node, letter->number, letter->bytes, letter->size);
    } else if (is_alive) {
        ops->watch_end(node, letter->number);
    }
    free(letter);
}

static void send(struct letter *letter)
{
    struct sim_run *run = letter->run;

    sim_proc_post(run->machines[letter->machine].proc,
                  run->world->now_ns + HOP_NS + sim_rng_below(&run->watch_rng, HOP_NS), deliver,
                  letter, 0);
}

static void give_credit(struct sim_watch_client *client, uint32_t credit)
{
    Rayos__Registry__WatchCredit message = RAYOS__REGISTRY__WATCH_CREDIT__INIT;
    struct letter *letter;

    sim_trace(client->run->world, "w%" PRIu32 " takes %" PRIu32 " more", client->number, credit);
    message.credit = credit;
    letter = letter_new(client, rayos__registry__watch_credit__get_packed_size(&message));
    letter->kind = LETTER_CREDIT;
    (void)rayos__registry__watch_credit__pack(&message, letter->bytes);
    send(letter);
}

static void catch_up(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_watch_client *client = arg;

    if (is_alive && tag == client->watch_count) {
        give_credit(client, client->owed_credit);
        client->owed_credit = 0;
        client->is_lagging = false;
    }
}

/* What it took it may be sent again, at once or after a long while. */
static void owe_credit(struct sim_watch_client *client, uint32_t count)
{
    struct sim_run *run = client->run;

    client->owed_credit += count;
    /* One event per tick and no more would take for ever to catch up. */
    if (run->is_healed && !client->is_generous) {
        client->is_generous = true;
        client->owed_credit += CREDIT_MAX;
    }
    if (client->is_lagging) {
        return;
    }
    if (!run->is_healed && sim_rng_one_in(&run->watch_rng, LAG_ONE_IN)) {
        uint64_t until_ns = run->world->now_ns + sim_rng_wait(&run->watch_rng, LAG_MEAN_NS);

        client->is_lagging = true;
        sim_world_post(run->world, until_ns < run->heal_ns ? until_ns : run->heal_ns, catch_up,
                       client, client->watch_count);
        return;
    }
    if (client->owed_credit > 0) {
        give_credit(client, client->owed_credit);
        client->owed_credit = 0;
    }
}

/* ---- to a watcher ---- */

static void leave(struct sim_watch_client *client)
{
    struct letter *letter = letter_new(client, 0);

    letter->kind = LETTER_LEAVE;
    send(letter);
    client->target = (client->target + 1) % client->run->cluster.node_count;
    attach(client);
}

static void look(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_watch_client *client = arg;
    struct sim_run *run = client->run;

    if (!is_alive || tag != client->watch_count) {
        return;
    }
    if (!client->is_lagging && run->world->now_ns - client->heard_ns >= SILENCE_NS) {
        leave(client);
        return;
    }
    sim_world_post(run->world, run->world->now_ns + SILENCE_NS / 4, look, client, tag);
}

static void take_event(struct sim_watch_client *client, const Rayos__Registry__WatchEvent *message)
{
    size_t size = rayos__registry__watch_event__get_packed_size(message);
    uint8_t *bytes = sim_alloc(1, size);
    struct sim_watch_event event = {.revision = message->revision, .sub = message->sub_index};

    (void)rayos__registry__watch_event__pack(message, bytes);
    event.hash = sim_hash(0, bytes, size);
    free(bytes);
    sim_watcher_event(&client->watcher, &event);
}

static void take_batch(struct sim_watch_client *client, const Rayos__Registry__WatchBatch *batch)
{
    for (size_t i = 0; i < batch->n_events && !client->run->verdict.is_bad; i++) {
        take_event(client, batch->events[i]);
    }
    sim_watcher_batch_end(&client->watcher);
    if (batch->is_resync && batch->revision < client->watcher.revision) {
        sim_verdict_fail(&client->run->verdict, SIM_CHECK_WATCH,
                         "watcher %" PRIu32 " is to begin anew at %" PRIu64 ", it has %" PRIu64,
                         client->number, batch->revision, client->watcher.revision);
    } else if (batch->is_resync) {
        sim_watcher_begin(&client->watcher, batch->revision);
        client->run->result->resync_count++;
    } else if (!client->run->verdict.is_bad) {
        sim_watcher_bookmark(&client->watcher, batch->revision);
    }
    client->run->result->watched_count += batch->n_events;
}

static void arrive(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_run *run = letter->run;
    struct sim_watch_client *client = &run->watchers[letter->watcher];
    Rayos__Registry__WatchBatch *batch;

    (void)tag;
    if (is_alive && letter->number == number_of(client)) {
        batch = rayos__registry__watch_batch__unpack(NULL, letter->size, letter->bytes);
        assert(batch != NULL);
        client->heard_ns = run->world->now_ns;
        sim_trace(run->world, "w%" PRIu32 " gets %zu events up to %" PRIu64 "%s", client->number,
                  batch->n_events, batch->revision, batch->is_resync ? ", begins anew" : "");
        take_batch(client, batch);
        if (!run->is_healed && sim_rng_one_in(&run->watch_rng, LEAVE_ONE_IN)) {
            leave(client);
        } else {
            owe_credit(client, (uint32_t)batch->n_events);
        }
        rayos__registry__watch_batch__free_unpacked(batch, NULL);
    }
    free(letter);
}

int sim_watch_sent(struct sim_machine *machine, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct sim_run *run = machine->run;
    struct sim_watch_client *client = &run->watchers[number & ((1U << NUMBER_BITS) - 1)];
    struct letter *letter;

    if (number != number_of(client)) {
        return RAY_ECANCELED; /* that stream is closed */
    }
    if (sim_rng_one_in(&run->watch_rng, FULL_ONE_IN)) {
        return RAY_EAGAIN;
    }
    letter = letter_new(client, size);
    letter->kind = LETTER_BATCH;
    memcpy(letter->bytes, bytes, size);
    client->arrive_ns =
        run->world->now_ns > client->arrive_ns ? run->world->now_ns : client->arrive_ns;
    client->arrive_ns += HOP_NS + sim_rng_below(&run->watch_rng, HOP_NS);
    sim_world_post(run->world, client->arrive_ns, arrive, letter, 0);
    return RAY_OK;
}

/* ---- a watch ---- */

/* As the hub says: of a kind that was asked for, and about all nodes or the one asked for. */
static bool is_wanted(const void *filter, const struct sim_watch_event *event)
{
    const struct sim_watch_client *client = filter;

    return (client->kinds >> (event->subject & 255) & 1) != 0 &&
           (client->node == SIM_WATCH_ANY_NODE || (event->subject & SIM_WATCH_FOR_ALL) != 0 ||
            (event->subject >> (8 + client->node) & 1) != 0);
}

static void attach(struct sim_watch_client *client)
{
    Rayos__Registry__WatchRequest request = RAYOS__REGISTRY__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchFilter filter = RAYOS__REGISTRY__WATCH_FILTER__INIT;
    Rayos__Registry__Kind kinds[32];
    struct sim_run *run = client->run;
    struct letter *letter;

    client->watch_count++;
    client->heard_ns = run->world->now_ns;
    client->owed_credit = 0;
    client->is_lagging = false;
    client->is_generous = false;
    for (int kind = 0; kind < 32 && client->kinds != UINT32_MAX; kind++) {
        if ((client->kinds >> kind & 1) != 0) {
            kinds[filter.n_kinds++] = (Rayos__Registry__Kind)kind;
        }
    }
    filter.kinds = kinds;
    if (client->node != SIM_WATCH_ANY_NODE) {
        filter.node = ray_proto_id(&run->cluster.nodes[client->node]);
    }
    request.filter = &filter;
    request.after_revision = client->watcher.revision;
    request.credit = (uint32_t)sim_rng_between(&run->watch_rng, 1, CREDIT_MAX);
    sim_watcher_begin(&client->watcher, client->watcher.revision);
    letter = letter_new(client, rayos__registry__watch_request__get_packed_size(&request));
    letter->kind = LETTER_WATCH;
    (void)rayos__registry__watch_request__pack(&request, letter->bytes);
    sim_trace(run->world, "w%" PRIu32 " watches n%" PRIu32 " behind %" PRIu64, client->number,
              client->target, request.after_revision);
    send(letter);
    sim_world_post(run->world, run->world->now_ns + SILENCE_NS / 4, look, client,
                   client->watch_count);
}

void sim_watchers_begin(struct sim_run *run)
{
    static const uint32_t kinds[] = {
        UINT32_MAX, UINT32_MAX, 1U << RAYOS__REGISTRY__KIND__KIND_IMAGE,
        1U << RAYOS__REGISTRY__KIND__KIND_NODE | 1U << RAYOS__REGISTRY__KIND__KIND_CLUSTER};
    struct sim_rng *rng = &run->watch_rng;

    if (run->ops->watch == NULL) {
        return;
    }
    run->watcher_count = (uint32_t)sim_rng_below(rng, SIM_WATCHERS_MAX + 1);
    for (uint32_t i = 0; i < run->watcher_count; i++) {
        struct sim_watch_client *client = &run->watchers[i];

        *client = (struct sim_watch_client){.run = run, .number = i, .node = SIM_WATCH_ANY_NODE};
        client->kinds = kinds[sim_rng_below(rng, sizeof kinds / sizeof kinds[0])];
        client->target = (uint32_t)sim_rng_below(rng, run->cluster.node_count);
        if (sim_rng_one_in(rng, 4)) {
            client->node = (uint32_t)sim_rng_below(rng, run->cluster.node_count);
        }
        client->watcher = (struct sim_watcher){
            .log = &run->watch_log, .number = i, .is_wanted = is_wanted, .filter = client};
        attach(client);
    }
}

void sim_watchers_judge(struct sim_run *run)
{
    for (uint32_t i = 0; i < run->watcher_count; i++) {
        struct sim_watcher *watcher = &run->watchers[i].watcher;
        uint64_t revision = sim_watcher_next(watcher);

        if (revision <= run->watch_index) {
            sim_verdict_fail(&run->verdict, SIM_CHECK_PROGRESS,
                             "watcher %" PRIu32 " still waits for %" PRIu64 " of %" PRIu64, i,
                             revision, run->watch_index);
        }
    }
}

/* Viewers: nodes outside of the log, as coordinator/api/follow.c is one. Each lists at a member
 * what concerns its node, page by page while the log goes on, watches from there, and begins anew
 * at another member when that one is silent, or says that too much was missed.
 *
 * What a viewer serves is judged: it is nothing that is not committed, never older than what it
 * served before, and at its revision exactly what a member shows of that node. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"
#include "tests/sim/cluster.h"
#include "tests/sim/mem.h"

enum {
    HOP_NS = 200000,
    SILENCE_NS = 1300 * 1000000, /* a bookmark comes each second */
    RETRY_NS = 20 * 1000000,
    PAGE_COUNT = 3, /* objects: a list takes several pages, and more happens between them */
    PAGES_SIZE_MAX = 4 << 20,
    CURSOR_SIZE_MAX = 1024,
    WHOLE_COUNT = 1000,
    COMPARE_ONE_IN = 4, /* batches */
    CREDIT = 1000,
    NUMBER_BITS = 8,
    QUERY_SIZE_MAX = 256,
};

#define VIEWER_SEED UINT64_C(0x766965776572)

struct letter {
    struct sim_run *run;
    uint32_t viewer;
    uint32_t machine;
    uint64_t number; /* of the talk */
    size_t size;
    uint8_t bytes[];
};

static void begin_talk(struct sim_viewer *viewer);

static uint64_t number_of(const struct sim_viewer *viewer)
{
    return viewer->talk_count << NUMBER_BITS | (SIM_VIEWERS_FIRST + viewer->number);
}

static struct letter *letter_new(const struct sim_viewer *viewer, size_t size)
{
    struct letter *letter = sim_alloc(1, sizeof *letter + size);

    letter->run = viewer->run;
    letter->viewer = viewer->number;
    letter->machine = viewer->target;
    letter->number = number_of(viewer);
    letter->size = size;
    return letter;
}

static uint64_t hop_ns(struct sim_run *run)
{
    return HOP_NS + sim_rng_below(&run->viewer_rng, HOP_NS);
}

/* ---- what it serves ---- */

static const struct coord_cluster *cluster_of(struct coord_fsm *view)
{
    const struct coord_object *cluster = coord_fsm_cluster(view);

    return cluster == NULL ? NULL : &cluster->cluster;
}

static size_t pack_query(const struct sim_viewer *viewer, const struct ray_buf *cursor,
                         uint32_t count_max, uint8_t out[static QUERY_SIZE_MAX])
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;

    query.node = ray_proto_id(&viewer->run->cluster.nodes[viewer->node]);
    query.count_max = count_max;
    if (cursor != NULL) {
        query.cursor = ray_proto_bytes(cursor->data, cursor->size);
    }
    assert(rayos__registry__query__get_packed_size(&query) <= QUERY_SIZE_MAX);
    return rayos__registry__query__pack(&query, out);
}

static uint64_t revision_of(const uint8_t *answer, size_t size)
{
    Rayos__Registry__Answer *message = rayos__registry__answer__unpack(NULL, size, answer);
    uint64_t revision = message == NULL ? 0 : message->revision;

    rayos__registry__answer__free_unpacked(message, NULL);
    return revision;
}

/* Pages of one list are of different revisions: until it has got to the last of them, some of what
 * it shows is newer than it says. */
static bool is_whole(const struct sim_viewer *viewer)
{
    return !viewer->is_partial && coord_fsm_index(viewer->shown) >= viewer->page_revision;
}

/* With every member that is just as far. */
static void compare(struct sim_viewer *viewer)
{
    struct sim_run *run = viewer->run;
    uint8_t query[QUERY_SIZE_MAX];
    size_t size = pack_query(viewer, NULL, WHOLE_COUNT, query);
    struct ray_buf part;
    int rc;

    ray_buf_init(&part, PAGES_SIZE_MAX);
    rc = coord_fsm_query(viewer->shown, query, size, &part, NULL);
    for (uint32_t i = 0; rc == RAY_OK && i < run->cluster.node_count; i++) {
        struct ray_buf whole;

        ray_buf_init(&whole, PAGES_SIZE_MAX);
        if (run->machines[i].node != NULL && sim_proc_is_live(run->machines[i].proc) &&
            run->ops->query(run->machines[i].node, query, size, &whole) == RAY_OK &&
            revision_of(whole.data, whole.size) == coord_fsm_index(viewer->shown)) {
            run->result->compared_count++;
            if (whole.size != part.size || memcmp(whole.data, part.data, part.size) != 0) {
                sim_verdict_fail(&run->verdict, SIM_CHECK_VIEW,
                                 "viewer %" PRIu32 " of n%" PRIu32 " shows another part at %" PRIu64
                                 " than n%" PRIu32,
                                 viewer->number, viewer->node, coord_fsm_index(viewer->shown), i);
            }
        }
        ray_buf_fini(&whole);
    }
    ray_buf_fini(&part);
}

static void judge_shown(struct sim_viewer *viewer)
{
    struct sim_run *run = viewer->run;
    uint64_t index = coord_fsm_index(viewer->shown);

    if (index > run->log.committed_max) {
        sim_verdict_fail(&run->verdict, SIM_CHECK_VIEW,
                         "viewer %" PRIu32 " shows %" PRIu64
                         ", and nobody has applied more than %" PRIu64,
                         viewer->number, index, run->log.committed_max);
    }
    if (index < viewer->served_index) {
        sim_verdict_fail(&run->verdict, SIM_CHECK_VIEW,
                         "viewer %" PRIu32 " shows %" PRIu64 " after %" PRIu64, viewer->number,
                         index, viewer->served_index);
    }
    viewer->served_index = index;
    if (is_whole(viewer) && sim_rng_one_in(&run->viewer_rng, COMPARE_ONE_IN)) {
        compare(viewer);
    }
}

/* As coord_replica_show takes a view: of a later cluster epoch, or not older. */
static bool may_show(const struct sim_viewer *viewer, bool *out_is_later_epoch)
{
    const struct coord_cluster *next = cluster_of(viewer->listing);
    const struct coord_cluster *now = viewer->shown == NULL ? NULL : cluster_of(viewer->shown);

    *out_is_later_epoch = next != NULL && (now == NULL || next->cluster_epoch > now->cluster_epoch);
    return *out_is_later_epoch ||
           (next != NULL && next->cluster_epoch == now->cluster_epoch &&
            coord_fsm_index(viewer->listing) >= coord_fsm_index(viewer->shown));
}

/* ---- to a member ---- */

static void send(struct letter *letter, sim_event_fn *deliver)
{
    struct sim_run *run = letter->run;

    sim_proc_post(run->machines[letter->machine].proc, run->world->now_ns + hop_ns(run), deliver,
                  letter, 0);
}

static void again(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_viewer *viewer = arg;

    if (is_alive && tag == viewer->talk_count) {
        viewer->target = (viewer->target + 1) % viewer->run->cluster.node_count;
        begin_talk(viewer);
    }
}

/* A little later, at the next one. */
static void give_up(struct sim_viewer *viewer)
{
    sim_trace(viewer->run->world, "v%" PRIu32 " gives n%" PRIu32 " up", viewer->number,
              viewer->target);
    viewer->talk_count++; /* what still comes of this talk is not looked at */
    sim_world_post(viewer->run->world, viewer->run->world->now_ns + RETRY_NS, again, viewer,
                   viewer->talk_count);
}

static void deliver_watch(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;

    (void)tag;
    if (is_alive) {
        letter->run->ops->watch(letter->run->machines[letter->machine].node, letter->number,
                                letter->bytes, letter->size);
    }
    free(letter);
}

static void watch(struct sim_viewer *viewer)
{
    Rayos__Registry__WatchRequest request = RAYOS__REGISTRY__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchFilter filter = RAYOS__REGISTRY__WATCH_FILTER__INIT;
    struct letter *letter;

    filter.node = ray_proto_id(&viewer->run->cluster.nodes[viewer->node]);
    request.filter = &filter;
    request.after_revision = coord_fsm_index(viewer->shown);
    request.credit = CREDIT;
    letter = letter_new(viewer, rayos__registry__watch_request__get_packed_size(&request));
    (void)rayos__registry__watch_request__pack(&request, letter->bytes);
    send(letter, deliver_watch);
}

static void deliver_credit(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;

    (void)tag;
    if (is_alive) {
        letter->run->ops->watch_credit(letter->run->machines[letter->machine].node, letter->number,
                                       letter->bytes, letter->size);
    }
    free(letter);
}

static void give_credit(struct sim_viewer *viewer, size_t count)
{
    Rayos__Registry__WatchCredit message = RAYOS__REGISTRY__WATCH_CREDIT__INIT;
    struct letter *letter;

    if (count == 0) {
        return;
    }
    message.credit = (uint32_t)count;
    letter = letter_new(viewer, rayos__registry__watch_credit__get_packed_size(&message));
    (void)rayos__registry__watch_credit__pack(&message, letter->bytes);
    send(letter, deliver_credit);
}

/* ---- a list ---- */

static void ask_page(struct sim_viewer *viewer);

static void show(struct sim_viewer *viewer)
{
    bool is_later_epoch;

    if (!may_show(viewer, &is_later_epoch)) {
        give_up(viewer);
        return;
    }
    coord_fsm_destroy(viewer->shown);
    viewer->shown = viewer->listing;
    viewer->listing = NULL;
    viewer->is_partial = false;
    if (is_later_epoch) { /* a recovery may have given up what was shown */
        viewer->served_index = 0;
    }
    sim_trace(viewer->run->world, "v%" PRIu32 " shows n%" PRIu32 "'s part at %" PRIu64,
              viewer->number, viewer->node, coord_fsm_index(viewer->shown));
    judge_shown(viewer);
    watch(viewer);
}

static void take_page(struct sim_viewer *viewer, const uint8_t *bytes, size_t size)
{
    struct ray_err err = {.text = ""};

    viewer->page_revision = revision_of(bytes, size);
    ray_buf_clear(&viewer->cursor);
    if (coord_fsm_view_page(viewer->listing, bytes, size, &viewer->cursor, &err) != RAY_OK) {
        sim_verdict_fail(&viewer->run->verdict, SIM_CHECK_VIEW,
                         "viewer %" PRIu32 " cannot take a page of n%" PRIu32 ": %s",
                         viewer->number, viewer->target, err.text);
    } else if (viewer->cursor.size > 0) {
        ask_page(viewer);
    } else {
        show(viewer);
    }
}

static void arrive_page(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_viewer *viewer = &letter->run->viewers[letter->viewer];

    (void)tag;
    if (is_alive && letter->number == number_of(viewer)) {
        viewer->heard_ns = letter->run->world->now_ns;
        if (letter->size == 0) {
            give_up(viewer);
        } else {
            take_page(viewer, letter->bytes, letter->size);
        }
    }
    free(letter);
}

/* Nothing: the member has no registry of its own to show. */
static void deliver_query(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_run *run = letter->run;
    struct letter *reply;
    struct ray_buf answer;

    (void)tag;
    if (is_alive) {
        ray_buf_init(&answer, PAGES_SIZE_MAX);
        if (run->ops->query(run->machines[letter->machine].node, letter->bytes, letter->size,
                            &answer) != RAY_OK) {
            ray_buf_clear(&answer);
        }
        reply = sim_alloc(1, sizeof *reply + answer.size);
        *reply = *letter;
        reply->size = answer.size;
        if (answer.size > 0) {
            memcpy(reply->bytes, answer.data, answer.size);
        }
        ray_buf_fini(&answer);
        sim_world_post(run->world, run->world->now_ns + hop_ns(run), arrive_page, reply, 0);
    }
    free(letter);
}

static void ask_page(struct sim_viewer *viewer)
{
    struct letter *letter = letter_new(viewer, QUERY_SIZE_MAX);

    letter->size = pack_query(viewer, &viewer->cursor, PAGE_COUNT, letter->bytes);
    send(letter, deliver_query);
}

static void look(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_viewer *viewer = arg;
    struct sim_run *run = viewer->run;

    if (!is_alive || tag != viewer->talk_count) {
        return;
    }
    if (run->world->now_ns - viewer->heard_ns >= SILENCE_NS) {
        give_up(viewer);
        return;
    }
    sim_world_post(run->world, run->world->now_ns + SILENCE_NS / 4, look, viewer, tag);
}

static void begin_talk(struct sim_viewer *viewer)
{
    struct sim_run *run = viewer->run;

    viewer->talk_count++;
    viewer->heard_ns = run->world->now_ns;
    coord_fsm_destroy(viewer->listing);
    viewer->listing = NULL;
    if (coord_fsm_view_create(&viewer->listing, &run->cluster.nodes[viewer->node], NULL) !=
        RAY_OK) {
        sim_verdict_fail(&run->verdict, SIM_CHECK_CRASH, "no memory for a view");
        return;
    }
    coord_fsm_set_level(viewer->listing, SIM_LEVEL_MAX);
    ray_buf_clear(&viewer->cursor);
    ask_page(viewer);
    sim_world_post(run->world, run->world->now_ns + SILENCE_NS / 4, look, viewer,
                   viewer->talk_count);
}

/* ---- news ---- */

static void take_batch(struct sim_viewer *viewer, const uint8_t *bytes, size_t size)
{
    struct ray_err err = {.text = ""};
    int rc = coord_fsm_view_batch(viewer->shown, bytes, size, &err);

    if (rc == RAY_EAGAIN) { /* a guest has come, and what hangs on it comes with the next list */
        viewer->is_partial = true;
        judge_shown(viewer);
        give_up(viewer);
    } else if (rc != RAY_OK) {
        sim_verdict_fail(&viewer->run->verdict, SIM_CHECK_VIEW,
                         "viewer %" PRIu32 " cannot take a batch of n%" PRIu32 ": %s",
                         viewer->number, viewer->target, err.text);
    } else {
        judge_shown(viewer);
    }
}

static void arrive_batch(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_run *run = letter->run;
    struct sim_viewer *viewer = &run->viewers[letter->viewer];
    Rayos__Registry__WatchBatch *batch;
    size_t count;

    (void)tag;
    if (is_alive && letter->number == number_of(viewer)) {
        batch = rayos__registry__watch_batch__unpack(NULL, letter->size, letter->bytes);
        assert(batch != NULL);
        count = batch->n_events;
        rayos__registry__watch_batch__free_unpacked(batch, NULL);
        viewer->heard_ns = run->world->now_ns;
        take_batch(viewer, letter->bytes, letter->size);
        if (letter->number == number_of(viewer)) {
            give_credit(viewer, count);
        }
    }
    free(letter);
}

int sim_viewer_sent(struct sim_machine *machine, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct sim_run *run = machine->run;
    uint32_t which = (uint32_t)(number & ((1U << NUMBER_BITS) - 1)) - SIM_VIEWERS_FIRST;
    struct sim_viewer *viewer = &run->viewers[which];
    struct letter *letter;

    if (number != number_of(viewer)) {
        return RAY_ECANCELED; /* that stream is closed */
    }
    letter = letter_new(viewer, size);
    memcpy(letter->bytes, bytes, size);
    if (run->world->now_ns > viewer->arrive_ns) {
        viewer->arrive_ns = run->world->now_ns;
    }
    viewer->arrive_ns += hop_ns(run);
    sim_world_post(run->world, viewer->arrive_ns, arrive_batch, letter, 0);
    return RAY_OK;
}

/* ---- life ---- */

void sim_viewers_begin(struct sim_run *run, uint64_t seed)
{
    sim_rng_init(&run->viewer_rng, seed ^ VIEWER_SEED);
    if (run->ops->query == NULL || !sim_rng_one_in(&run->viewer_rng, 2)) {
        return;
    }
    run->viewer_count = SIM_VIEWERS_MAX;
    for (uint32_t i = 0; i < run->viewer_count; i++) {
        struct sim_viewer *viewer = &run->viewers[i];

        *viewer = (struct sim_viewer){.run = run, .number = i};
        ray_buf_init(&viewer->cursor, CURSOR_SIZE_MAX);
        viewer->node = (uint32_t)sim_rng_below(&run->viewer_rng, run->cluster.node_count);
        viewer->target = (uint32_t)sim_rng_below(&run->viewer_rng, run->cluster.node_count);
        begin_talk(viewer);
    }
}

void sim_viewers_end(struct sim_run *run)
{
    for (uint32_t i = 0; i < run->viewer_count; i++) {
        coord_fsm_destroy(run->viewers[i].shown);
        coord_fsm_destroy(run->viewers[i].listing);
        ray_buf_fini(&run->viewers[i].cursor);
    }
}

void sim_viewers_judge(struct sim_run *run)
{
    for (uint32_t i = 0; i < run->viewer_count && !run->verdict.is_bad; i++) {
        struct sim_viewer *viewer = &run->viewers[i];

        if (viewer->served_index < run->watch_index) {
            sim_verdict_fail(&run->verdict, SIM_CHECK_PROGRESS,
                             "viewer %" PRIu32 " still shows %" PRIu64 ", of %" PRIu64, i,
                             viewer->served_index, run->watch_index);
        } else if (is_whole(viewer)) {
            compare(viewer);
        }
    }
}

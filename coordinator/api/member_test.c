/* One member as it runs: its cluster is made although the process ends on the way; what a clean
 * stop leaves is vouched for; slow callers of streams get all, or an error. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "coordinator/api/member_fixture.h"
#include "coordinator/api/roster.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char credential[] =
    "rayos.create=name=demo admin=alice:" KEY " timing=lan token=" KEY "\n";

static int open_fix(void **state)
{
    struct member_fix *fix = calloc(1, sizeof *fix);

    assert_non_null(fix);
    member_fix_open(fix);
    *state = fix;
    return 0;
}

static int close_fix(void **state)
{
    member_fix_close(*state);
    free(*state);
    return 0;
}

static void start(struct member_fix *fix, const char *text)
{
    struct ray_err err = {0};
    int rc = member_fix_start(fix, text, &err);

    if (rc != RAY_OK) {
        fail_msg("%s", err.text);
    }
}

static enum coord_replica_role role_of(const struct member_fix *fix)
{
    struct coord_replica_status status;

    coord_replica_status(fix->member->replica, &status);
    return status.role;
}

/* ---- rayos.create ---- */

/* A process that ends after so many turns of its loop, whatever it is doing then. Whether there was
 * a cluster already. */
static bool first_life(const struct member_fix *fix, unsigned turns)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct member_fix life;

        member_fix_open_at(&life, fix->dir);
        if (member_fix_start(&life, credential, NULL) != RAY_OK) {
            abort();
        }
        for (unsigned i = 0; i < turns; i++) {
            ray_loop_once(&life.loop);
        }
        _exit(member_fix_has_cluster(&life) ? 1 : 0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 1;
}

/* What lies in memory is gone, the incarnation with it. */
static void forget_boot(const struct member_fix *fix)
{
    char path[MEMBER_FIX_PATH_SIZE];

    assert_int_equal(unlink(member_fix_path(fix, "run/incarnation", path)), 0);
}

/* A command of the boot before may be in the log; one of this boot says its count, or it would not
 * believe to be that node later. */
static void must_know_its_boot(const struct member_fix *fix)
{
    const struct coord_object *self =
        coord_fsm_find(coord_replica_fsm(fix->member->replica), COORD_NODE, &fix->member->id);
    struct coord_replica_status status;

    assert_non_null(self);
    coord_replica_status(fix->member->replica, &status);
    if (ray_id_equal(&self->node.incarnation, &status.incarnation)) {
        assert_int_equal(self->node.boot_counter, status.boot_counter);
    }
}

/* The next process makes the cluster, whole; also when it is of a later boot. */
static bool ends_after(struct member_fix *fix, unsigned turns, bool is_rebooted)
{
    bool was_there = first_life(fix, turns);
    struct coord_fsm *fsm;

    if (is_rebooted) {
        forget_boot(fix);
    }
    start(fix, credential);
    assert_true(member_fix_run(fix, member_fix_has_cluster, fix));
    fsm = coord_replica_fsm(fix->member->replica);
    assert_string_equal(coord_fsm_cluster(fsm)->name, "demo");
    assert_int_equal(coord_fsm_count(fsm, COORD_TOKEN), 1);
    assert_int_equal(coord_fsm_count(fsm, COORD_PRINCIPAL), 1);
    assert_int_equal(coord_fsm_count(fsm, COORD_NODE), 1);
    if (is_rebooted) {
        must_know_its_boot(fix);
    }
    return was_there;
}

static void make_cluster_with_ends(bool is_rebooted)
{
    enum { TURNS_MAX = 200 };
    bool was_there = false;
    unsigned turns = 0;

    for (; !was_there && turns < TURNS_MAX; turns++) {
        struct member_fix fix;

        member_fix_open(&fix);
        was_there = ends_after(&fix, turns, is_rebooted);
        member_fix_close(&fix);
    }
    assert_true(was_there); /* every instant before was tried */
    assert_true(turns > 3);
}

static void a_cluster_is_made_whenever_the_process_ends(void **state)
{
    (void)state;
    make_cluster_with_ends(false);
}

static void a_cluster_is_made_whenever_the_machine_ends(void **state)
{
    (void)state;
    make_cluster_with_ends(true);
}

static void a_credential_has_no_say_in_a_cluster(void **state)
{
    struct member_fix *fix = *state;

    start(fix, credential);
    assert_true(member_fix_run(fix, member_fix_has_cluster, fix));
    member_fix_stop(fix);
    start(fix, "rayos.create=name=other admin=bob:" KEY " timing=slow\n");
    assert_true(member_fix_run(fix, member_fix_has_cluster, fix));
    assert_string_equal(coord_fsm_cluster(coord_replica_fsm(fix->member->replica))->name, "demo");
    member_fix_crash(fix);
    start(fix, "not a credential\n"); /* nor can a broken one keep a member from starting */
    assert_true(member_fix_run(fix, member_fix_has_cluster, fix));
}

/* ---- a clean stop ---- */

/* The last byte of the log that is not zero: its place in the file of the first segment. */
static off_t end_of_log(const struct member_fix *fix, char path[static MEMBER_FIX_PATH_SIZE])
{
    static uint8_t bytes[1 << 20];
    ssize_t size;
    int fd;

    (void)member_fix_path(fix, "data/raft/wal-0000000000000001", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size = read(fd, bytes, sizeof bytes);
    assert_true(size > 0);
    while (size > 0 && bytes[size - 1] == 0) {
        size--;
    }
    (void)close(fd);
    return size - 1;
}

static void flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

/* Otherwise it would say how far the log was durable. */
static void forget_checkpoint(const struct member_fix *fix)
{
    char path[MEMBER_FIX_PATH_SIZE];

    assert_int_equal(unlink(member_fix_path(fix, "data/checkpoint/checkpoint.mdb", path)), 0);
}

static enum coord_replica_role role_after_rot(struct member_fix *fix, bool is_clean)
{
    char path[MEMBER_FIX_PATH_SIZE];
    off_t at;

    start(fix, NULL);
    member_fix_create_cluster(fix);
    assert_int_equal(member_fix_label(fix, "blue"), RAY_OK);
    at = end_of_log(fix, path);
    if (is_clean) {
        member_fix_stop(fix);
    } else {
        member_fix_crash(fix);
    }
    flip(path, at);
    forget_checkpoint(fix);
    start(fix, NULL);
    return role_of(fix);
}

static void rot_behind_a_clean_stop_is_found(void **state)
{
    assert_int_equal(role_after_rot(*state, true), COORD_REPLICA_QUARANTINED);
}

static void without_one_it_is_a_torn_tail(void **state)
{
    assert_int_not_equal(role_after_rot(*state, false), COORD_REPLICA_QUARANTINED);
}

/* ---- a membership that cannot be read ---- */

/* Nobody takes it for an empty disk: what is there stays. */
static void without_term_and_vote_nothing_is_begun(void **state)
{
    struct member_fix *fix = *state;
    char meta[MEMBER_FIX_PATH_SIZE];
    char log[MEMBER_FIX_PATH_SIZE];

    start(fix, credential);
    assert_true(member_fix_run(fix, member_fix_has_cluster, fix));
    (void)end_of_log(fix, log);
    member_fix_stop(fix);
    (void)member_fix_path(fix, "data/raft/meta", meta);
    flip(meta, 100);
    flip(meta, 4096 + 100);
    for (int i = 0; i < 2; i++) {
        struct ray_err err = {0};

        assert_int_equal(member_fix_start(fix, credential, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.next_step, "move "));
        assert_non_null(strstr(err.next_step, fix->dir));
        assert_int_equal(access(log, F_OK), 0);
    }
}

/* ---- the roster ---- */

static bool has_roster(void *arg)
{
    return ((const struct member_fix *)arg)->member->roster.count > 0;
}

/* The registry is the better one, and here. */
static void a_damaged_roster_is_made_anew(void **state)
{
    struct member_fix *fix = *state;
    static const char garbage[] = "no roster";
    struct coord_facts *facts;

    start(fix, credential);
    assert_true(member_fix_run(fix, has_roster, fix));
    facts = fix->member->facts;
    assert_int_equal(facts->ops->put(facts, MEMBER_FACT_ROSTER, garbage, sizeof garbage, NULL),
                     RAY_OK);
    member_fix_crash(fix);
    start(fix, NULL);
    assert_true(member_fix_run(fix, has_roster, fix));
    assert_non_null(member_roster_find(&fix->member->roster, &fix->member->id));
}

static bool is_roster_of_registry(void *arg)
{
    const struct member_fix *fix = arg;
    struct coord_fsm *fsm = coord_replica_fsm(fix->member->replica);

    return !member_roster_is_ahead(&fix->member->roster, fsm) && fix->member->roster.count == 1;
}

/* What was joined later is not forgotten while an older registry is replayed; but a revision that
 * the cluster has not reached was never one. */
static void an_old_registry_does_not_change_the_roster(void **state)
{
    struct member_fix *fix = *state;
    struct member_roster *ahead = calloc(1, sizeof *ahead);
    uint8_t keys[2][RAY_KEY_SIZE];

    assert_non_null(ahead);
    start(fix, credential);
    assert_true(member_fix_run(fix, has_roster, fix));
    *ahead = fix->member->roster;
    ahead->revision += 1000;
    ahead->lines[ahead->count] = ahead->lines[0];
    memset(ahead->lines[ahead->count].id.bytes, 0xff, RAY_ID_SIZE);
    memset(ahead->lines[ahead->count].link_key, 7, RAY_KEY_SIZE);
    ahead->count++;
    assert_int_equal(member_roster_keep(fix->member, ahead, NULL), RAY_OK);
    member_fix_crash(fix); /* a turn more, and it compares it with the log */

    start(fix, NULL);
    for (int i = 0; i < 3; i++) {
        member_roster_turn(fix->member);
    }
    assert_true(member_roster_is_same(&fix->member->roster, ahead));
    assert_int_equal(member_roster_known(fix->member, &ahead->lines[1].id, keys[0], keys[1]),
                     RAY_OK);
    assert_int_equal(keys[0][0], 7);
    assert_true(member_fix_run(fix, is_roster_of_registry, fix));
    assert_int_equal(member_roster_known(fix->member, &ahead->lines[1].id, keys[0], keys[1]),
                     RAY_ENOTFOUND);
    free(ahead);
}

/* ---- streams ---- */

enum { REVISIONS = 950, EVENTS_EACH = 100, HELD_ITEMS = 20 };

struct watching {
    struct member_fix *fix;
    struct ray_buf batch;
    uint64_t call_id;
    uint64_t revision; /* of the last event */
    size_t event_count;
    size_t item_count;
    bool has_ended;
};

static void on_watch_part(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Cluster__WatchPart *part = (const Rayos__Cluster__WatchPart *)item;
    struct watching *watching = arg;
    Rayos__Registry__WatchBatch *batch;

    watching->item_count++;
    assert_int_equal(ray_buf_append(&watching->batch, part->bytes.data, part->bytes.len), RAY_OK);
    if (!part->is_last) {
        return;
    }
    batch = rayos__registry__watch_batch__unpack(NULL, watching->batch.size, watching->batch.data);
    assert_non_null(batch);
    assert_false(batch->is_resync);
    for (size_t i = 0; i < batch->n_events; i++) {
        assert_true(batch->events[i]->revision >= watching->revision);
        watching->revision = batch->events[i]->revision;
        watching->event_count++;
    }
    rayos__registry__watch_batch__free_unpacked(batch, NULL);
    ray_buf_clear(&watching->batch);
}

static void on_watch_end(void *arg, const struct ray_rpc_result *result)
{
    struct watching *watching = arg;

    (void)result;
    watching->has_ended = true;
}

static void fill_ring(struct coord_watch_ring *ring)
{
    for (uint64_t revision = 1; revision <= REVISIONS; revision++) {
        Rayos__Registry__WatchEvent message = RAYOS__REGISTRY__WATCH_EVENT__INIT;
        struct coord_fsm_event events[EVENTS_EACH];
        uint8_t packed[EVENTS_EACH][32];

        for (uint32_t i = 0; i < EVENTS_EACH; i++) {
            message.revision = revision;
            message.sub_index = i;
            assert_true(rayos__registry__watch_event__get_packed_size(&message) <= 32);
            events[i] = (struct coord_fsm_event){
                .revision = revision,
                .sub_index = i,
                .kind = COORD_GUEST,
                .packed = packed[i],
                .packed_size = rayos__registry__watch_event__pack(&message, packed[i])};
        }
        assert_int_equal(coord_watch_ring_append(ring, revision, events, EVENTS_EACH, NULL),
                         RAY_OK);
    }
}

static void start_watch(struct watching *watching)
{
    Rayos__Cluster__WatchRequest request = RAYOS__CLUSTER__WATCH_REQUEST__INIT;

    ray_buf_init(&watching->batch, 4 << 20);
    assert_int_equal(ray_rpc_stream_start(watching->fix->client, "registry.watch", &request.base,
                                          &rayos__cluster__watch_part__descriptor,
                                          &rayos__cluster__done__descriptor, 0, on_watch_part,
                                          on_watch_end, watching, &watching->call_id, NULL),
                     RAY_OK);
}

static bool has_some(void *arg)
{
    return ((const struct watching *)arg)->item_count >= HELD_ITEMS;
}

static bool has_all(void *arg)
{
    const struct watching *watching = arg;

    return watching->event_count >= (size_t)REVISIONS * EVENTS_EACH || watching->has_ended;
}

/* Each batch ends at the revision that passes its limit, so each costs more than that. */
static void a_slow_watcher_gets_all(void **state)
{
    struct member_fix *fix = *state;
    struct watching watching = {.fix = fix};
    struct coord_watch_ring ring;

    start(fix, NULL);
    member_fix_create_cluster(fix);
    member_watch_fini(fix->member);
    coord_watch_ring_init(&ring, COORD_WATCH_RING_COUNT_MAX, COORD_WATCH_RING_SIZE_MAX, 0);
    assert_int_equal(member_watch_init(fix->member, &ring, NULL), RAY_OK);
    fill_ring(&ring);

    start_watch(&watching);
    ray_rpc_call_hold(fix->client, watching.call_id, true);
    assert_true(member_fix_run(fix, has_some, &watching));
    ray_rpc_call_hold(fix->client, watching.call_id, false);
    assert_true(member_fix_run(fix, has_all, &watching));
    assert_int_equal(watching.event_count, REVISIONS * EVENTS_EACH);

    member_fix_crash(fix);
    ray_buf_fini(&watching.batch);
    coord_watch_ring_fini(&ring);
}

enum { EVENTS_ADDED = 3 };

static void add_events(struct member_fix *fix)
{
    for (int i = 0; i < EVENTS_ADDED; i++) {
        Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
        Rayos__Registry__EventAdd body = RAYOS__REGISTRY__EVENT_ADD__INIT;
        char what[] = "tried";
        char text[] = {(char)('0' + i), '\0'}; /* the same again would be one */

        body.what = what;
        body.text = text;
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
        command.event_add = &body;
        assert_int_equal(member_fix_propose(fix, &command), RAY_OK);
    }
}

static void on_event(void *arg, const ProtobufCMessage *item)
{
    struct member_fix_outcome *outcome = arg;

    (void)item;
    outcome->item_count++;
}

static void on_events_end(void *arg, const struct ray_rpc_result *result)
{
    struct member_fix_outcome *outcome = arg;

    outcome->has_ended = true;
    outcome->code = result->code;
}

/* All events, or an error; never silence. */
static size_t ask_for_events(struct member_fix *fix)
{
    Rayos__Cluster__EventsRequest request = RAYOS__CLUSTER__EVENTS_REQUEST__INIT;
    struct member_fix_outcome outcome = {.code = RAY_OK};

    if (ray_rpc_stream_start(fix->client, "events", &request.base,
                             &rayos__cluster__event__descriptor, &rayos__cluster__done__descriptor,
                             MEMBER_FIX_WAIT_MS, on_event, on_events_end, &outcome, NULL,
                             NULL) != RAY_OK) {
        return 0;
    }
    assert_true(member_fix_run(fix, member_fix_has_ended, &outcome));
    assert_int_not_equal(outcome.code, RAY_ETIMEOUT);
    return outcome.code == RAY_OK ? outcome.item_count : 0;
}

static void events_come_or_end_without_memory(void **state)
{
    enum { FAULTS_MAX = 40 };
    struct member_fix *fix = *state;
    size_t count;

    start(fix, NULL);
    member_fix_create_cluster(fix);
    add_events(fix);
    count = ask_for_events(fix);
    assert_true(count >= EVENTS_ADDED);
    for (unsigned i = 1; i <= FAULTS_MAX; i++) {
        char text[32];
        size_t got;

        (void)snprintf(text, sizeof text, "alloc:%u", i);
        if (!ray_fault_set(text)) {
            skip();
        }
        got = ask_for_events(fix);
        (void)ray_fault_set("");
        assert_true(got == 0 || got == count);
        assert_int_equal(member_fix_connect(fix, NULL), RAY_OK); /* it may have been lost */
    }
    assert_int_equal(ask_for_events(fix), count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_made_whenever_the_process_ends),
        cmocka_unit_test(a_cluster_is_made_whenever_the_machine_ends),
        cmocka_unit_test_setup_teardown(a_credential_has_no_say_in_a_cluster, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(rot_behind_a_clean_stop_is_found, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(without_one_it_is_a_torn_tail, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(without_term_and_vote_nothing_is_begun, open_fix,
                                        close_fix),
        cmocka_unit_test_setup_teardown(a_damaged_roster_is_made_anew, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(an_old_registry_does_not_change_the_roster, open_fix,
                                        close_fix),
        cmocka_unit_test_setup_teardown(a_slow_watcher_gets_all, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(events_come_or_end_without_memory, open_fix, close_fix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* replica_test.c - one replica: how requests end, who it believes to be, memory that ends. What
 * several do together is tests/sim's. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"
#include "net/proto_codec.h"

struct heard {
    struct replica_fix *fix;
    int count;
    int status;
    int again; /* proposals to make from within the callback */
};

static void on_read(void *arg, int status, uint64_t revision)
{
    struct heard *heard = arg;

    (void)revision;
    heard->count++;
    heard->status = status;
}

static void on_done(void *arg, int status, const struct coord_fsm_result *result)
{
    struct heard *heard = arg;
    uint8_t command[512];
    size_t size = replica_fix_command(command);

    (void)result;
    heard->count++;
    heard->status = status;
    if (heard->again > 0) {
        heard->again--;
        assert_int_equal(coord_replica_propose(heard->fix->replica, command, size, UINT64_MAX,
                                               on_done, heard, NULL, NULL),
                         RAY_OK);
    }
}

static int propose(struct replica_fix *fix, struct heard *heard, uint64_t ms, uint64_t *ticket)
{
    uint8_t command[512];
    size_t size = replica_fix_command(command);

    heard->fix = fix;
    return coord_replica_propose(fix->replica, command, size, fix->now_ns + ms * RAY_NS_PER_MS,
                                 on_done, heard, ticket, NULL);
}

static void test_alone_it_leads(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};
    struct heard read = {.count = 0};

    (void)state;
    replica_fix_start(&fix, true);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    assert_int_equal(propose(&fix, &heard, 1000, NULL), RAY_OK);
    assert_int_equal(coord_replica_read(fix.replica, UINT64_MAX, on_read, &read, NULL, NULL),
                     RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.status, RAY_OK);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.status, RAY_OK);
    replica_fix_close(&fix);
}

/* What another member has answered is here when it is applied here, not before. */
static void test_it_waits_for_an_entry(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};
    struct heard waiting = {.count = 0};
    struct heard cancelled = {.count = 0};
    struct heard late = {.count = 0};
    struct heard done = {.count = 0};
    uint64_t index;
    uint64_t ticket;

    (void)state;
    replica_fix_start(&fix, true);
    index = coord_fsm_index(coord_replica_fsm(fix.replica));
    assert_int_equal(
        coord_replica_wait(fix.replica, index + 1, UINT64_MAX, on_read, &waiting, NULL, NULL),
        RAY_OK);
    assert_int_equal(
        coord_replica_wait(fix.replica, index + 1, UINT64_MAX, on_read, &cancelled, &ticket, NULL),
        RAY_OK);
    coord_replica_cancel(fix.replica, ticket);
    assert_int_equal(coord_replica_wait(fix.replica, index + 2, fix.now_ns + RAY_NS_PER_S, on_read,
                                        &late, NULL, NULL),
                     RAY_OK);
    assert_int_equal(coord_replica_wait(fix.replica, index, UINT64_MAX, on_read, &done, NULL, NULL),
                     RAY_OK);
    assert_int_equal(propose(&fix, &heard, 1000, NULL), RAY_OK);
    coord_replica_turn(fix.replica); /* its disk has not answered */
    assert_int_equal(heard.count, 0);
    assert_int_equal(waiting.count, 0);
    assert_int_equal(done.count, 1);
    assert_int_equal(done.status, RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.count, 1);
    assert_int_equal(waiting.count, 1);
    assert_int_equal(waiting.status, RAY_OK);
    assert_int_equal(late.count, 0);
    replica_fix_run(&fix, 1100);
    assert_int_equal(late.count, 1);
    assert_int_equal(late.status, RAY_ENOQUORUM);
    assert_int_equal(cancelled.count, 0);
    replica_fix_close(&fix);
}

static void test_requests_in_a_callback_do_not_wait(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.again = 5};

    (void)state;
    replica_fix_start(&fix, true);
    assert_int_equal(propose(&fix, &heard, 1000, NULL), RAY_OK);
    replica_fix_run(&fix, 0); /* the clock stands still */
    assert_int_equal(heard.count, 6);
    replica_fix_close(&fix);
}

static void test_without_a_leader(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};
    struct heard cancelled = {.count = 0};
    struct heard read = {.count = 0};
    uint64_t ticket;

    (void)state;
    replica_fix_start(&fix, false);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    assert_true(fix.timer_ns > fix.now_ns); /* it does not spin */
    assert_int_equal(propose(&fix, &heard, 500, NULL), RAY_OK);
    assert_int_equal(propose(&fix, &cancelled, 500, &ticket), RAY_OK);
    coord_replica_cancel(fix.replica, ticket);
    assert_int_equal(
        coord_replica_read(fix.replica, fix.now_ns + RAY_NS_PER_S, on_read, &read, NULL, NULL),
        RAY_OK);
    replica_fix_run(&fix, 400);
    assert_int_equal(heard.count, 0);
    replica_fix_run(&fix, 700);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.status, RAY_ENOQUORUM); /* it did not run */
    assert_int_equal(cancelled.count, 0);
    assert_int_equal(read.status, RAY_ENOQUORUM);
    replica_fix_close(&fix);
}

static void on_late(void *arg, int status, const struct coord_fsm_result *result)
{
    struct heard *heard = arg;

    (void)result;
    assert_int_equal(status, RAY_ENOQUORUM);
    heard->count++;
    if (heard->again > 0) {
        uint8_t command[512];
        size_t size = replica_fix_command(command);

        heard->again--;
        assert_int_equal(coord_replica_propose(heard->fix->replica, command, size,
                                               heard->fix->now_ns + 300 * RAY_NS_PER_MS, on_late,
                                               heard, NULL, NULL),
                         RAY_OK);
    }
}

/* All slots are in use, so that the one begun in the callback takes a slot that was looked at. */
static void test_a_deadline_of_a_callback_counts(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.fix = &fix, .again = 1};
    uint8_t command[512];
    size_t size = replica_fix_command(command);

    (void)state;
    replica_fix_start(&fix, false);
    do {
        assert_int_equal(coord_replica_propose(fix.replica, command, size,
                                               fix.now_ns + 500 * RAY_NS_PER_MS, on_late, &heard,
                                               NULL, NULL),
                         RAY_OK);
    } while (fix.replica->proposals.free.count > 0);
    int count = (int)fix.replica->proposals.slot_count;

    replica_fix_run(&fix, 600);
    assert_int_equal(heard.count, count);
    replica_fix_run(&fix, 500);
    assert_int_equal(heard.count, count + 1);
    replica_fix_close(&fix);
}

static void test_destroy_ends_requests(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};

    (void)state;
    replica_fix_start(&fix, false);
    assert_int_equal(propose(&fix, &heard, 500, NULL), RAY_OK);
    replica_fix_stop(&fix);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.status, RAY_ECANCELED);
    replica_fix_close(&fix);
}

/* Of this very boot: of others it does not count. */
static void say_by(struct replica_fix *fix, unsigned peer, Rayos__Member__Standing *standing)
{
    const struct coord_meta *meta = &fix->replica->meta.now;
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Standing *items[] = {standing};

    standing->about_server_id = meta->server_id;
    standing->about_incarnation = ray_proto_id(&meta->incarnation);
    packet.n_standings = 1;
    packet.standings = items;
    replica_fix_packet(fix, peer, &packet);
    replica_fix_run(fix, 0);
}

static void say(struct replica_fix *fix, Rayos__Member__Standing *standing)
{
    say_by(fix, 1, standing);
}

static void test_refilled_under_a_new_number(void **state)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};
    struct coord_replica_status status;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;

    (void)state;
    replica_fix_start(&fix, false);
    assert_int_equal(propose(&fix, &heard, 60000, NULL), RAY_OK);
    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 3, 1);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    replica_fix_hello(&fix, 1, 3, 2); /* the cluster was recovered */
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_int_equal(heard.count, 1); /* nobody waits for it */
    assert_int_equal(propose(&fix, &heard, 500, NULL), RAY_EUNAVAILABLE);
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* not forgotten */

    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 3, 2);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_RENUMBERED;
    standing.server_id = 9;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* of another boot */
    standing.is_yours = true;
    standing.server_id = 7;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* no new one */
    standing.server_id = 9;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_FAILED);
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.server_id, 9);
    assert_int_equal(status.last_index, 0);
    replica_fix_close(&fix);
}

/* A configuration of three voters: of nodes 1 and 2, and of this one. */
static void take_configuration(struct replica_fix *fix)
{
    struct coord_config config = {.servers = {{.id = 3, .role = COORD_VOTER},
                                              {.id = 4, .role = COORD_VOTER},
                                              {.id = 7, .role = COORD_VOTER}},
                                  .count = 3};
    uint8_t change[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = {.term = 1,
                                .index = 1,
                                .type = COORD_ENTRY_CHANGE,
                                .size = (uint32_t)coord_config_encode(&config, change),
                                .data = change};
    struct coord_message append = {.type = COORD_APPEND, .term = 2};

    append.append.entries = &entry;
    append.append.count = 1;
    replica_fix_frame(fix, 1, 3, &append);
    replica_fix_run(fix, 0);
}

/* Node 1 leads, and names itself, node 2, and this one or not. */
static void hear_members(struct replica_fix *fix, bool is_named)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    struct ray_id nodes[] = {replica_fix_id(1), replica_fix_id(2), fix->replica->meta.now.node_id};
    ProtobufCBinaryData members[3];

    for (size_t i = 0; i < 3; i++) {
        members[i] = ray_proto_id(&nodes[i]);
    }
    hello.server_id = 3;
    hello.cluster_epoch = 1;
    hello.has_space = true;
    hello.term = 1 << 20;
    hello.leader = members[0];
    hello.members = members;
    hello.n_members = is_named ? 3 : 2;
    replica_fix_greet(fix, 1, &hello);
    replica_fix_run(fix, 0);
}

/* The entry that takes a server away never comes to it: its leader says so, and falls silent. */
static void test_left_out(void **state)
{
    struct replica_fix fix;

    (void)state;
    replica_fix_start(&fix, false);
    for (unsigned peer = 1; peer <= 2; peer++) {
        replica_fix_up(&fix, peer);
        replica_fix_hello(&fix, peer, peer + 2, 1);
    }
    take_configuration(&fix);
    hear_members(&fix, false); /* of a leader that does not know yet whose number 7 is */
    for (unsigned i = 0; i < 5; i++) {
        replica_fix_run(&fix, 100);
        take_configuration(&fix); /* as good as a heartbeat */
    }
    assert_int_equal(fix.role, COORD_REPLICA_FOLLOWER);
    hear_members(&fix, false);
    hear_members(&fix, true);
    replica_fix_run(&fix, 5000);
    assert_int_not_equal(fix.role, COORD_REPLICA_WAITING);
    hear_members(&fix, false);
    replica_fix_run(&fix, 1000);
    assert_int_not_equal(fix.role, COORD_REPLICA_WAITING);
    replica_fix_run(&fix, 3000);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    take_configuration(&fix); /* it has a place again */
    assert_int_equal(fix.role, COORD_REPLICA_FOLLOWER);
    replica_fix_close(&fix);
}

static void test_removed_for_good(void **state)
{
    struct replica_fix fix;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;

    (void)state;
    replica_fix_start(&fix, false);
    for (unsigned peer = 1; peer <= 2; peer++) {
        replica_fix_up(&fix, peer);
        replica_fix_hello(&fix, peer, peer + 2, 1);
    }
    take_configuration(&fix);
    assert_int_equal(coord_core_configuration(fix.replica->core)->count, 3);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED;
    say_by(&fix, 1, &standing);
    say_by(&fix, 1, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* one of two others */
    say_by(&fix, 2, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_REMOVED);
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 5000);
    assert_int_equal(fix.role, COORD_REPLICA_REMOVED);
    assert_non_null(strstr(fix.trouble, "removed"));
    replica_fix_close(&fix);
}

/* Forwarded to node 1, which leads; its answer, and what the asker hears. */
static void hear_answer(int code, int result_code, int expected)
{
    struct replica_fix fix;
    struct heard heard = {.count = 0};
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Proposed item = RAYOS__MEMBER__PROPOSED__INIT;
    Rayos__Member__Proposed *items[] = {&item};
    Rayos__Registry__Result result = RAYOS__REGISTRY__RESULT__INIT;
    uint8_t bytes[64];
    uint64_t ticket;

    replica_fix_start(&fix, false);
    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 3, 1);
    take_configuration(&fix);
    assert_int_equal(propose(&fix, &heard, 1000, &ticket), RAY_OK);
    coord_replica_turn(fix.replica);
    result.code = result_code;
    item.number = ticket;
    item.code = code;
    item.result.len = rayos__registry__result__pack(&result, bytes);
    item.result.data = bytes;
    packet.n_proposed = 1;
    packet.proposed = items;
    replica_fix_packet(&fix, 1, &packet);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.status, expected);
    replica_fix_close(&fix);
}

static void test_codes_of_peers(void **state)
{
    (void)state;
    hear_answer(RAY_OK, RAY_OK, RAY_OK);
    hear_answer(RAY_OK, RAY_EEXISTS, RAY_OK);
    hear_answer(RAY_ENOSPC, RAY_OK, RAY_ENOSPC);
    hear_answer(7, RAY_OK, RAY_EUNAVAILABLE); /* as if it had said nothing */
    hear_answer(INT32_MIN, RAY_OK, RAY_EUNAVAILABLE);
    hear_answer(RAY_ECANCELED, RAY_OK, RAY_EUNAVAILABLE);
    hear_answer(RAY_OK, 7, RAY_EUNAVAILABLE);
}

static void test_a_later_boot_of_the_same_node(void **state)
{
    struct replica_fix fix;
    struct coord_replica_status status;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;
    struct ray_id other = replica_fix_id(77);

    (void)state;
    replica_fix_start(&fix, false);
    coord_replica_status(fix.replica, &status);
    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 3, 1);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_DUPLICATE;
    standing.incarnation = ray_proto_id(&other);
    standing.boot_counter = status.boot_counter - 1;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING); /* that was before */
    standing.boot_counter = status.boot_counter;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_non_null(strstr(fix.trouble, "duplicate identity"));
    replica_fix_close(&fix);
}

/* It counts further than the boot that is known of it, and has not seen that one. */
static void test_a_disk_that_was_set_back(void **state)
{
    struct replica_fix fix;
    struct coord_replica_status status;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;
    struct ray_id other = replica_fix_id(77);
    struct ray_id own;

    (void)state;
    replica_fix_start(&fix, false);
    for (unsigned i = 0; i < 3; i++) {
        replica_fix_stop(&fix);
        assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    }
    replica_fix_run(&fix, 0);
    coord_replica_status(fix.replica, &status);
    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 3, 1);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_DUPLICATE;
    assert_int_equal(status.boot_counter, 4);
    own = fix.replica->meta.now.boots[2].incarnation;
    standing.incarnation = ray_proto_id(&own);
    standing.boot_counter = 3;
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING); /* its own */
    standing.incarnation = ray_proto_id(&other);
    say(&fix, &standing);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    replica_fix_close(&fix);
}

static void test_memory_ends(void **state)
{
    struct replica_fix fix;

    (void)state;
    replica_fix_open(&fix, true);
    for (int i = 1; i < 10000; i++) {
        char text[32];
        int rc;

        (void)snprintf(text, sizeof text, "alloc:%d", i);
        (void)ray_fault_set(text);
        rc = replica_fix_create(&fix, NULL);
        bool has_fired = ray_fault_has_fired();

        (void)ray_fault_set(NULL);
        if (rc == RAY_OK) {
            replica_fix_run(&fix, 0);
        } else {
            assert_int_equal(rc, RAY_ENOMEM);
        }
        replica_fix_stop(&fix);
        if (!has_fired) {
            break;
        }
    }
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_it_leads),
        cmocka_unit_test(test_it_waits_for_an_entry),
        cmocka_unit_test(test_requests_in_a_callback_do_not_wait),
        cmocka_unit_test(test_without_a_leader),
        cmocka_unit_test(test_a_deadline_of_a_callback_counts),
        cmocka_unit_test(test_destroy_ends_requests),
        cmocka_unit_test(test_refilled_under_a_new_number),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_removed_for_good),
        cmocka_unit_test(test_codes_of_peers),
        cmocka_unit_test(test_a_later_boot_of_the_same_node),
        cmocka_unit_test(test_a_disk_that_was_set_back),
        cmocka_unit_test(test_memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

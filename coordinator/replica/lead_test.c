/* lead_test.c - what a leader does slowly, and what it must not be slow with. The followers are
 * made of frames. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "coordinator/lease/grant_codec.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"
#include "net/proto_codec.h"

/* ---- followers: node n is number n + 1 ---- */

/* It has stored all that the leader has. */
static void has_all(struct replica_fix *fix, unsigned node)
{
    struct coord_replica_status status;
    struct coord_message message = {.type = COORD_APPEND_RESULT};

    coord_replica_status(fix->replica, &status);
    message.term = status.term;
    message.append_result.last_index = status.last_index;
    replica_fix_frame(fix, node, node + 1, &message);
    replica_fix_run(fix, 0);
}

/* A cluster of three, of which this one leads. */
static void lead(struct replica_fix *fix)
{
    replica_fix_start(fix, true);
    replica_fix_found(fix);
    for (unsigned node = 1; node <= 2; node++) {
        replica_fix_join(fix, node, false);
        replica_fix_up(fix, node);
        replica_fix_hello(fix, node, node + 1, 1);
    }
}

static size_t voters(struct replica_fix *fix)
{
    struct coord_replica_status status;

    coord_replica_status(fix->replica, &status);
    return coord_config_voter_count(&status.config);
}

/* Half a second at a time, as heartbeats are answered. */
static void pass_half_a_second(struct replica_fix *fix)
{
    for (int i = 0; i < 10; i++) {
        replica_fix_run(fix, 50);
        has_all(fix, 1);
        has_all(fix, 2);
    }
}

static void test_no_pause_with_two_voters(void **state)
{
    struct replica_fix fix;
    uint64_t before_ns = 0;

    (void)state;
    lead(&fix);
    /* The second voter comes when a second has passed somewhere in here. */
    for (int i = 0; i < 400 && voters(&fix) == 1; i++) {
        before_ns = fix.now_ns;
        replica_fix_run(&fix, 10);
        if (voters(&fix) == 1) {
            has_all(&fix, 1);
            has_all(&fix, 2);
        }
    }
    assert_int_equal(voters(&fix), 2);
    has_all(&fix, 1); /* committed */
    has_all(&fix, 2); /* stored by whom the next change promotes: that comes at once */
    assert_int_equal(voters(&fix), 3);
    assert_true(fix.now_ns - before_ns <= 20 * RAY_NS_PER_MS);
    has_all(&fix, 1);
    has_all(&fix, 2);
    pass_half_a_second(&fix);
    assert_int_equal(voters(&fix), 3);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    replica_fix_close(&fix);
}

/* ---- renewals ---- */

struct answered {
    int count;
    int code;
};

static int code_of(const Rayos__Member__Renewed *renewed)
{
    struct coord_lease_answer answer;
    struct ray_arena arena;
    int rc;

    if (renewed->code != RAY_OK) {
        return renewed->code;
    }
    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    rc =
        coord_lease_answer_decode(renewed->answer.data, renewed->answer.len, &arena, &answer, NULL);
    ray_arena_fini(&arena);
    assert_int_equal(rc, RAY_OK);
    assert_int_equal(answer.status, COORD_LEASE_GRANTED);
    return RAY_OK;
}

static void on_packet(void *arg, const struct ray_id *peer, const Rayos__Member__Packet *packet)
{
    struct answered *answered = arg;

    (void)peer;
    for (size_t i = 0; i < packet->n_renewed; i++) {
        answered->count++;
        answered->code = code_of(packet->renewed[i]);
    }
}

/* What the leader says to a renewal that `peer` brings for `node`. */
static int renew(struct replica_fix *fix, unsigned peer, unsigned node, bool is_relayed)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Renew item = RAYOS__MEMBER__RENEW__INIT;
    Rayos__Member__Renew *items[] = {&item};
    struct coord_lease_renew renewal = {.node = replica_fix_id(node),
                                        .incarnation = replica_fix_boot(node),
                                        .cluster_epoch = 1,
                                        .t_send_ns = 1};
    struct answered answered = {.count = 0};
    struct ray_arena arena;
    const uint8_t *bytes;
    size_t size;

    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(coord_lease_renew_encode(&renewal, &arena, &bytes, &size, NULL), RAY_OK);
    item.number = 1;
    item.renew = ray_proto_bytes(bytes, size);
    item.is_relayed = is_relayed;
    packet.n_renewals = 1;
    packet.renewals = items;
    fix->on_packet = on_packet;
    fix->on_packet_arg = &answered;
    replica_fix_packet(fix, peer, &packet);
    replica_fix_run(fix, 0);
    fix->on_packet = NULL;
    ray_arena_fini(&arena);
    assert_int_equal(answered.count, 1);
    return answered.code;
}

static void test_who_may_renew_for_whom(void **state)
{
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    assert_int_equal(renew(&fix, 1, 1, false), RAY_OK);
    assert_int_equal(renew(&fix, 1, 2, false), RAY_EDENIED); /* not its own */
    assert_int_equal(renew(&fix, 1, 2, true), RAY_EDENIED);  /* by nobody's leave */
    replica_fix_run(&fix, 1500);
    assert_non_null(coord_config_find(coord_core_configuration(fix.replica->core), 2));
    replica_fix_hello(&fix, 1, 2, 1);
    assert_int_equal(renew(&fix, 1, 2, true), RAY_OK); /* as a standby it passes on */
    replica_fix_close(&fix);
}

/* A command of node 1 with a renewal. */
static void propose_carrying(struct replica_fix *fix, struct answered *answered)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Propose item = RAYOS__MEMBER__PROPOSE__INIT;
    Rayos__Member__Propose *items[] = {&item};
    struct coord_lease_renew renewal = {.node = replica_fix_id(1),
                                        .incarnation = replica_fix_boot(1),
                                        .cluster_epoch = 1,
                                        .t_send_ns = 7};
    uint8_t command[512];
    struct ray_arena arena;
    const uint8_t *bytes;
    size_t size;

    ray_arena_init(&arena, COORD_LEASE_ARENA_SIZE_MAX);
    assert_int_equal(coord_lease_renew_encode(&renewal, &arena, &bytes, &size, NULL), RAY_OK);
    item.number = 1;
    item.command = ray_proto_bytes(command, replica_fix_command(command));
    item.renew = ray_proto_bytes(bytes, size);
    item.renew_number = 2;
    packet.n_proposals = 1;
    packet.proposals = items;
    *answered = (struct answered){.count = 0};
    fix->on_packet = on_packet;
    fix->on_packet_arg = answered;
    replica_fix_packet(fix, 1, &packet);
    replica_fix_run(fix, 0);
    ray_arena_fini(&arena);
}

/* It waits for the entry, and for nothing else: no probe is begun for it. */
static void test_a_renewal_goes_with_its_command(void **state)
{
    struct replica_fix fix;
    struct answered answered;
    uint64_t probe;

    (void)state;
    lead(&fix);
    for (int i = 0; i < 400 && voters(&fix) < 3; i++) {
        replica_fix_run(&fix, 10);
        has_all(&fix, 1);
        has_all(&fix, 2);
    }
    pass_half_a_second(&fix);
    assert_int_equal(voters(&fix), 3);
    probe = fix.replica->probes.begun_number;
    propose_carrying(&fix, &answered);
    assert_int_equal(answered.count, 0); /* appended, not committed */
    has_all(&fix, 1);
    assert_int_equal(answered.count, 1);
    assert_int_equal(answered.code, RAY_OK);
    assert_int_equal(fix.replica->probes.begun_number, probe);
    replica_fix_close(&fix);
}

static void test_whom_a_later_epoch_is_believed(void **state)
{
    struct replica_fix fix;
    struct ray_id observer = replica_fix_id(1);
    struct ray_id stranger = replica_fix_id(9);
    struct coord_replica_status status;

    (void)state;
    replica_fix_start(&fix, true);
    replica_fix_found(&fix);
    replica_fix_join(&fix, 1, false);
    coord_replica_later_epoch(fix.replica, &observer, 5); /* it has no log yet */
    coord_replica_later_epoch(fix.replica, &stranger, 5);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);

    replica_fix_up(&fix, 1);
    replica_fix_hello(&fix, 1, 2, 1);
    replica_fix_run(&fix, 1500); /* added, and its role written down */
    replica_fix_run(&fix, 1500);
    coord_replica_later_epoch(fix.replica, &observer, 1); /* that is now */
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_LEADER);
    coord_replica_later_epoch(fix.replica, &observer, 5);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.cluster_epoch, 5);
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED); /* on the disk, too */
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_pause_with_two_voters),
                                       cmocka_unit_test(test_who_may_renew_for_whom),
                                       cmocka_unit_test(test_a_renewal_goes_with_its_command),
                                       cmocka_unit_test(test_whom_a_later_epoch_is_believed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

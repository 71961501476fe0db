/* peers_test.c - links: what waits for one that is full, and whose is given up. */
#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/house_fixture.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

/* ---- answers for a link that is full ---- */

enum { LARGE_ANSWER = 300 << 10 };

static void answer(struct house *house, unsigned node)
{
    static uint8_t large[LARGE_ANSWER];
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Proposed item = RAYOS__MEMBER__PROPOSED__INIT;
    Rayos__Member__Proposed *items[] = {&item};
    struct ray_id id = replica_fix_id(node);

    item.number = 1;
    item.result = ray_proto_bytes(large, sizeof large);
    packet.n_proposed = 1;
    packet.proposed = items;
    replica_packet_answer(house->fix.replica, replica_peer_find(house->fix.replica, &id), &packet);
}

static void test_answers_wait_for_a_full_link(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    house.is_full = true;
    for (int i = 0; i < 12; i++) { /* 3.6 of 4 MiB */
        answer(&house, HOUSE_OBSERVER);
        coord_replica_turn(house.fix.replica);
    }
    assert_int_equal(house.answer_count, 0);
    house.is_full = false;
    coord_replica_turn(house.fix.replica);
    assert_int_equal(house.answer_count, 12);
    assert_true(house.size_max <= RAY_LINK_MESSAGE_SIZE_MAX);
    assert_int_equal(house.removed_count, 0);
    house_move_out(&house);
}

static void test_a_link_that_takes_nothing_ends(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(HOUSE_OBSERVER);

    (void)state;
    house_move_in(&house);
    house.is_full = true;
    for (int i = 0; i < 14; i++) {
        answer(&house, HOUSE_OBSERVER);
    }
    coord_replica_turn(house.fix.replica);
    assert_int_equal(house.removed_count, 1);
    assert_int_equal(replica_peer_find(house.fix.replica, &id)->epoch, 0);
    house.is_full = false;
    house_greet(&house, HOUSE_OBSERVER); /* a new epoch, in which nothing is owed */
    assert_int_equal(house.answer_count, 0);
    assert_int_equal(house.removed_count, 1);
    house_move_out(&house);
}

/* ---- who has left ---- */

static void test_who_has_left_is_not_dialled(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(HOUSE_COLLEAGUE);
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeDrain drain = RAYOS__REGISTRY__NODE_DRAIN__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    const struct replica_peer *peer;

    (void)state;
    house_move_in(&house);
    peer = replica_peer_find(house.fix.replica, &id);
    assert_string_equal(peer->address, "a:1");
    replica_fix_down(&house.fix, HOUSE_COLLEAGUE);
    replica_fix_run(&house.fix, 0);
    assert_string_equal(peer->address, "a:1"); /* it only is away */
    house_greet(&house, HOUSE_COLLEAGUE);
    drain.node = ray_proto_id(&id);
    drain.is_drained = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &drain;
    replica_fix_propose(&house.fix, &command);
    replica_fix_run(&house.fix, 3000); /* out of the configuration */
    body.node = ray_proto_id(&id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    replica_fix_propose(&house.fix, &command);
    replica_fix_run(&house.fix, 3000);
    assert_int_equal(house.removed_count, 0); /* it still has to be told */
    replica_fix_down(&house.fix, HOUSE_COLLEAGUE);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.removed_count, 1);
    assert_string_equal(peer->address, "");
    house_move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_wait_for_a_full_link),
        cmocka_unit_test(test_a_link_that_takes_nothing_ends),
        cmocka_unit_test(test_who_has_left_is_not_dialled),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

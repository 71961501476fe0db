/* trust_test.c - whose word counts: about epochs, about this node, in consensus, and who gets a
 * snapshot. */
#include "base/test.h"
#include "coordinator/core/message.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/house_fixture.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

/* ---- epochs ---- */

static void test_a_later_epoch(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    replica_fix_up(&house.fix, HOUSE_STRANGER);
    replica_fix_hello(&house.fix, HOUSE_STRANGER, 0, 2);
    replica_fix_hello(&house.fix, HOUSE_OBSERVER, house_number(&house, HOUSE_OBSERVER), 2);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    replica_fix_hello(&house.fix, HOUSE_COLLEAGUE, house_number(&house, HOUSE_COLLEAGUE),
                      UINT64_MAX);
    replica_fix_hello(&house.fix, HOUSE_COLLEAGUE, house_number(&house, HOUSE_COLLEAGUE), 66);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER); /* no recovery raises it so far */
    replica_fix_hello(&house.fix, HOUSE_COLLEAGUE, house_number(&house, HOUSE_COLLEAGUE), 65);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_QUARANTINED);
    house_move_out(&house);
}

/* ---- standings ---- */

static void say(struct house *house, unsigned node, Rayos__Member__Standing *standing)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Standing *items[] = {standing};

    packet.n_standings = 1;
    packet.standings = items;
    replica_fix_packet(&house->fix, node, &packet);
    replica_fix_run(&house->fix, 0);
}

static Rayos__Member__Standing about(const struct house *house, Rayos__Member__StandingKind kind)
{
    const struct coord_meta *meta = &house->fix.replica->meta.now;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;

    standing.kind = kind;
    standing.about_server_id = meta->server_id;
    standing.about_incarnation = ray_proto_id(&meta->incarnation);
    return standing;
}

/* Each kind, from somebody whose word does not count: nothing happens. */
static void say_all(struct house *house, unsigned node)
{
    struct ray_id other = replica_fix_id(77);
    Rayos__Member__Standing standing = about(house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);

    say(house, node, &standing);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_RENUMBERED;
    standing.server_id = 99;
    standing.is_yours = true;
    say(house, node, &standing);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_DUPLICATE;
    standing.boot_counter = 1000;
    standing.incarnation = ray_proto_id(&other);
    say(house, node, &standing);
    assert_int_equal(house->fix.role, COORD_REPLICA_LEADER);
}

static void test_standings_of_others(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    replica_fix_up(&house.fix, HOUSE_STRANGER);
    say_all(&house, HOUSE_STRANGER); /* before any hello */
    replica_fix_hello(&house.fix, HOUSE_STRANGER, 0, 1);
    say_all(&house, HOUSE_STRANGER);
    say_all(&house, HOUSE_OBSERVER);
    replica_fix_up(&house.fix, HOUSE_COLLEAGUE); /* a new epoch: no hello yet */
    say_all(&house, HOUSE_COLLEAGUE);
    house_move_out(&house);
}

static void test_standings_of_earlier_boots(void **state)
{
    struct house house;
    struct ray_id earlier = replica_fix_id(78);
    Rayos__Member__Standing standing;

    (void)state;
    house_move_in(&house);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    standing.about_incarnation = ray_proto_id(&earlier);
    say(&house, HOUSE_COLLEAGUE, &standing);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    standing.about_server_id++;
    say(&house, HOUSE_COLLEAGUE, &standing);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    say(&house, HOUSE_COLLEAGUE, &standing);
    assert_int_equal(house.fix.role, COORD_REPLICA_QUARANTINED); /* no voter said it */
    assert_non_null(strstr(house.fix.trouble, "removed this node"));
    house_move_out(&house);
}

/* ---- who came after those that are known ---- */

enum { SECOND = 5, THIRD = 6 };

/* A hello that names one member, of a number that is given here or later. */
static void hello_naming(struct house *house, unsigned node, uint64_t number, unsigned named)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    struct ray_id id = replica_fix_id(named);
    ProtobufCBinaryData members[] = {ray_proto_id(&id)};

    hello.server_id = number;
    hello.cluster_epoch = 1;
    hello.members = members;
    hello.n_members = 1;
    replica_fix_greet(&house->fix, node, &hello);
    replica_fix_run(&house->fix, 0);
}

static bool has_voice(struct house *house, unsigned node)
{
    struct ray_id id = replica_fix_id(node);

    return replica_peer_find(house->fix.replica, &id)->has_voice;
}

/* The colleague that named the second has left before the third came; nobody named the stranger. */
static void test_members_by_way_of_others(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    replica_fix_up(&house.fix, THIRD);
    hello_naming(&house, THIRD, 101, THIRD);
    replica_fix_up(&house.fix, SECOND);
    hello_naming(&house, SECOND, 100, THIRD);
    replica_fix_up(&house.fix, HOUSE_STRANGER);
    hello_naming(&house, HOUSE_STRANGER, 102, HOUSE_STRANGER);
    assert_false(has_voice(&house, SECOND) || has_voice(&house, THIRD));
    hello_naming(&house, HOUSE_COLLEAGUE, house_number(&house, HOUSE_COLLEAGUE), SECOND);
    assert_true(has_voice(&house, SECOND) && has_voice(&house, THIRD));
    assert_false(has_voice(&house, HOUSE_STRANGER));
    replica_fix_up(&house.fix, SECOND); /* its word ends with its link */
    assert_false(has_voice(&house, SECOND) || has_voice(&house, THIRD));
    house_move_out(&house);
}

static bool is_dialled(struct house *house, unsigned node)
{
    struct ray_id id = replica_fix_id(node);

    return replica_peer_find(house->fix.replica, &id)->address[0] != '\0';
}

/* By the registry here it is an observer, which comes by itself. A colleague knows better: its word
 * of who came after it may be what is missing here, and it may think the same of this node. */
static void test_who_is_named_is_dialled(void **state)
{
    struct house house;
    uint64_t number;

    (void)state;
    house_move_in(&house);
    number = house_number(&house, HOUSE_COLLEAGUE);
    assert_false(is_dialled(&house, HOUSE_OBSERVER));
    replica_fix_up(&house.fix, HOUSE_STRANGER);
    hello_naming(&house, HOUSE_STRANGER, 102, HOUSE_OBSERVER); /* nobody's word */
    assert_false(is_dialled(&house, HOUSE_OBSERVER));
    hello_naming(&house, HOUSE_COLLEAGUE, number, HOUSE_OBSERVER);
    assert_true(is_dialled(&house, HOUSE_OBSERVER));
    hello_naming(&house, HOUSE_COLLEAGUE, number, HOUSE_COLLEAGUE);
    replica_fix_down(&house.fix, HOUSE_OBSERVER);
    replica_fix_run(&house.fix, 0);
    assert_false(is_dialled(&house, HOUSE_OBSERVER));
    house_move_out(&house);
}

/* ---- boots ---- */

static enum replica_standing colleague_standing(struct house *house)
{
    struct ray_id id = replica_fix_id(HOUSE_COLLEAGUE);

    return replica_peer_find(house->fix.replica, &id)->standing;
}

/* A start that counts no further than the one that was admitted: a copy of the disk. It says
 * nothing of earlier boots, so that its count alone tells. */
static void test_a_boot_that_is_not_the_latest(void **state)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    struct ray_id other = replica_fix_id(700);
    struct house house;

    (void)state;
    house_move_in(&house);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_GOOD);
    hello.server_id = house_number(&house, HOUSE_COLLEAGUE);
    hello.incarnation = ray_proto_id(&other);
    hello.cluster_epoch = 1;
    hello.boot_counter = 1;
    packet.hello = &hello;
    replica_fix_up(&house.fix, HOUSE_COLLEAGUE);
    replica_fix_packet(&house.fix, HOUSE_COLLEAGUE, &packet);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_DUPLICATE);
    hello.boot_counter = 2;
    replica_fix_up(&house.fix, HOUSE_COLLEAGUE);
    replica_fix_packet(&house.fix, HOUSE_COLLEAGUE, &packet);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_GOOD);
    house_move_out(&house);
}

/* ---- disks that were set back ---- */

/* The third start of a disk that has seen `before` at its first. */
static void hello_of_disk(struct house *house, struct ray_id before, uint64_t server_id,
                          bool is_quarantined)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    Rayos__Member__Boot boots[2] = {RAYOS__MEMBER__BOOT__INIT, RAYOS__MEMBER__BOOT__INIT};
    Rayos__Member__Boot *items[] = {&boots[0], &boots[1]};
    struct ray_id now = replica_fix_id(600);

    boots[0].incarnation = ray_proto_id(&before);
    boots[0].since = 1;
    boots[1].incarnation = ray_proto_id(&now);
    boots[1].since = 3;
    hello.server_id = server_id;
    hello.incarnation = ray_proto_id(&now);
    hello.boot_counter = 3;
    hello.cluster_epoch = 1;
    hello.is_quarantined = is_quarantined;
    hello.boots = items;
    hello.n_boots = 2;
    packet.hello = &hello;
    replica_fix_up(&house->fix, HOUSE_COLLEAGUE); /* its process has started anew */
    replica_fix_packet(&house->fix, HOUSE_COLLEAGUE, &packet);
    replica_fix_run(&house->fix, 0);
}

/* Its count is above that of the boot that the registry has, but that boot it has never seen. */
static void test_boots_of_another_disk(void **state)
{
    struct house house;
    uint64_t number;

    (void)state;
    house_move_in(&house);
    number = house_number(&house, HOUSE_COLLEAGUE);
    hello_of_disk(&house, replica_fix_id(601), number, false);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_DUPLICATE);
    hello_of_disk(&house, replica_fix_id(601), number, true); /* it knows: to be refilled */
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_GOOD);
    /* It was refilled, of which this member has not heard yet. */
    number = coord_fsm_cluster(house.fix.replica->fsm)->cluster.last_raft_id + 1;
    hello_of_disk(&house, replica_fix_id(601), number, false);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_GOOD);
    house_move_out(&house);

    house_move_in(&house);
    hello_of_disk(&house, replica_fix_boot(HOUSE_COLLEAGUE), house_number(&house, HOUSE_COLLEAGUE),
                  false);
    assert_int_equal(colleague_standing(&house), REPLICA_STANDING_GOOD);
    house_move_out(&house);
}

/* ---- where there is no link ---- */

static struct coord_replica_removal removal_of(const struct house *house)
{
    struct coord_replica_status status;

    coord_replica_status(house->fix.replica, &status);
    return (struct coord_replica_removal){.last_number = 3, .cluster_epoch = status.cluster_epoch};
}

/* By who is no member, of a number that was not given yet, or from before a recovery. */
static void test_removals_that_do_not_count(void **state)
{
    struct house house;
    struct ray_id colleague = replica_fix_id(HOUSE_COLLEAGUE);
    struct ray_id observer = replica_fix_id(HOUSE_OBSERVER);
    struct ray_id stranger = replica_fix_id(HOUSE_STRANGER);
    struct coord_replica_removal removal;

    (void)state;
    house_move_in(&house);
    removal = removal_of(&house);
    coord_replica_told_removed(house.fix.replica, &observer, &removal);
    coord_replica_told_removed(house.fix.replica, &stranger, &removal);
    removal.last_number = 0;
    coord_replica_told_removed(house.fix.replica, &colleague, &removal);
    removal = removal_of(&house);
    removal.cluster_epoch--;
    coord_replica_told_removed(house.fix.replica, &colleague, &removal);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    removal = removal_of(&house);
    coord_replica_told_removed(house.fix.replica, &colleague, &removal);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_QUARANTINED);
    house_move_out(&house);
}

static void remove_node(struct house *house, unsigned number)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    struct ray_id id = replica_fix_id(number);

    body.node = ray_proto_id(&id);
    body.is_forced = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    replica_fix_propose(&house->fix, &command);
}

static void test_says_who_is_removed(void **state)
{
    struct house house;
    struct ray_id observer = replica_fix_id(HOUSE_OBSERVER);
    struct coord_replica_removal removal = {0};

    (void)state;
    house_move_in(&house);
    assert_int_equal(coord_replica_removed(house.fix.replica, &observer, &removal), RAY_ENOTFOUND);
    assert_int_equal(removal.last_number, 0);
    remove_node(&house, HOUSE_OBSERVER);
    assert_int_equal(coord_replica_removed(house.fix.replica, &observer, &removal), RAY_OK);
    assert_true(removal.last_number >= house_number(&house, HOUSE_COLLEAGUE));
    assert_int_equal(removal.cluster_epoch, removal_of(&house).cluster_epoch);
    house_move_out(&house);
}

/* ---- frames ---- */

static void frame_in(struct house *house, unsigned node, struct coord_message *message)
{
    replica_fix_frame(&house->fix, node, house_number(house, node), message);
    replica_fix_run(&house->fix, 0);
}

static void test_frames_of_others(void **state)
{
    struct house house;
    struct coord_message append = {.type = COORD_APPEND};
    struct coord_message vote = {.type = COORD_VOTE};
    uint64_t term;

    (void)state;
    house_move_in(&house);
    term = house_term(&house);
    append.term = term + 100;
    vote.term = term + 100;
    vote.vote.last_index = 1000;
    vote.vote.last_term = term + 99;
    vote.vote.is_transfer = true;
    frame_in(&house, HOUSE_OBSERVER, &vote);
    frame_in(&house, HOUSE_OBSERVER, &append);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    assert_int_equal(house_term(&house), term);
    frame_in(&house, HOUSE_COLLEAGUE, &append);
    assert_int_not_equal(house_term(&house), term);
    house_move_out(&house);
}

/* Whoever says a number that nobody has any more, and has one of its own, has two. */
static void test_the_number_of_another(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(HOUSE_OBSERVER);

    (void)state;
    house_move_in(&house);
    replica_fix_up(&house.fix, HOUSE_OBSERVER);
    replica_fix_hello(&house.fix, HOUSE_OBSERVER, house_number(&house, HOUSE_COLLEAGUE), 1);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(replica_peer_find(house.fix.replica, &id)->standing, REPLICA_STANDING_FOREIGN);
    house_move_out(&house);
}

/* ---- snapshots ---- */

static void ask_for_snapshot(struct house *house, unsigned node)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__SnapshotAsk item = RAYOS__MEMBER__SNAPSHOT_ASK__INIT;
    Rayos__Member__SnapshotAsk *items[] = {&item};

    item.index = house->fix.replica->snapshot_index;
    item.term = house_term(house);
    item.chunk = REPLICA_MANIFEST_CHUNK;
    packet.n_snapshot_asks = 1;
    packet.snapshot_asks = items;
    replica_fix_packet(&house->fix, node, &packet);
    replica_fix_run(&house->fix, 0);
}

static void test_snapshots_are_for_members(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__VotersSet voters = RAYOS__REGISTRY__VOTERS_SET__INIT;

    (void)state;
    house_move_in(&house);
    voters.wanted_voters = 3;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
    command.voters_set = &voters;
    for (int i = 0; i < 60; i++) {
        replica_fix_propose(&house.fix, &command);
    }
    assert_true(house.fix.replica->snapshot_index > 0);
    ask_for_snapshot(&house, HOUSE_OBSERVER);
    assert_int_equal(house.part_size, 0);
    ask_for_snapshot(&house, HOUSE_COLLEAGUE);
    assert_true(house.part_size > 0);
    house_move_out(&house);
}

/* ---- the leader by hearsay ---- */

static void say_leader(struct house *house, unsigned node, uint64_t term, unsigned leader)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    struct ray_id id = replica_fix_id(leader);

    hello.server_id = 20 + node;
    hello.cluster_epoch = 1;
    hello.term = term;
    hello.leader = ray_proto_id(&id);
    replica_fix_greet(&house->fix, node, &hello);
    replica_fix_run(&house->fix, 0);
}

static void test_no_term_lasts_longer_than_its_word(void **state)
{
    struct house house = {.answer_count = 0};
    struct coord_replica_status status;
    struct ray_id first = replica_fix_id(1);
    struct ray_id second = replica_fix_id(2);

    (void)state;
    replica_fix_open(&house.fix, false); /* outside of any configuration */
    assert_int_equal(replica_fix_create(&house.fix, NULL), RAY_OK);
    replica_fix_up(&house.fix, 1);
    replica_fix_up(&house.fix, 2);
    say_leader(&house, 1, UINT64_MAX, 1);
    say_leader(&house, 2, 5, 2);
    coord_replica_status(house.fix.replica, &status);
    assert_true(ray_id_equal(&status.leader, &first));
    replica_fix_down(&house.fix, 1);
    replica_fix_run(&house.fix, 0);
    coord_replica_status(house.fix.replica, &status);
    assert_true(ray_id_equal(&status.leader, &second));
    house_move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_later_epoch),
        cmocka_unit_test(test_standings_of_others),
        cmocka_unit_test(test_standings_of_earlier_boots),
        cmocka_unit_test(test_members_by_way_of_others),
        cmocka_unit_test(test_who_is_named_is_dialled),
        cmocka_unit_test(test_a_boot_that_is_not_the_latest),
        cmocka_unit_test(test_boots_of_another_disk),
        cmocka_unit_test(test_removals_that_do_not_count),
        cmocka_unit_test(test_says_who_is_removed),
        cmocka_unit_test(test_frames_of_others),
        cmocka_unit_test(test_the_number_of_another),
        cmocka_unit_test(test_snapshots_are_for_members),
        cmocka_unit_test(test_no_term_lasts_longer_than_its_word),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* trust_test.c - whose word counts: a founder that leads alone, a colleague (node 1, a standby) and
 * an observer (node 2, for this boot only), each with a link. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/message.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"

enum { COLLEAGUE = 1, OBSERVER = 2, STRANGER = 3 };

struct house {
    struct replica_fix fix; /* first: found by the link's address */
    struct ray_link_ops ops;
    int answer_code; /* of the last Proposed that was sent */
    int answer_count;
    int removed_count; /* links */
    bool is_full;      /* they take nothing */
    size_t part_size;  /* of snapshots, that were sent */
    size_t size_max;   /* of a message that was sent */
};

static ProtobufCBinaryData bytes_of(void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = bytes};
}

/* ---- what is sent ---- */

static void note_answers(struct house *house, const uint8_t *bytes, size_t size)
{
    Rayos__Member__Packet *packet = rayos__member__packet__unpack(NULL, size, bytes);

    assert_non_null(packet);
    for (size_t i = 0; i < packet->n_proposed; i++) {
        house->answer_code = packet->proposed[i]->code;
        if (house->answer_code == RAY_OK &&
            packet->proposed[i]->result.len < REPLICA_FIX_COMMAND_SIZE_MAX) {
            Rayos__Registry__Result *result = rayos__registry__result__unpack(
                NULL, packet->proposed[i]->result.len, packet->proposed[i]->result.data);

            house->answer_code = result->code;
            rayos__registry__result__free_unpacked(result, NULL);
        }
        house->answer_count++;
    }
    for (size_t i = 0; i < packet->n_snapshot_parts; i++) {
        house->part_size += packet->snapshot_parts[i]->data.len;
    }
    rayos__member__packet__free_unpacked(packet, NULL);
}

static int note_send(struct ray_link *link, const struct ray_id *peer,
                     enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct house *house = (struct house *)link;

    (void)peer;
    if (house->is_full) {
        return RAY_EAGAIN;
    }
    house->size_max = size > house->size_max ? size : house->size_max;
    if (channel == RAY_LINK_MEMBER) {
        note_answers(house, bytes, size);
    }
    return RAY_OK;
}

static void note_remove(struct ray_link *link, const struct ray_id *peer)
{
    (void)peer;
    ((struct house *)link)->removed_count++;
}

/* ---- the house ---- */

static uint64_t number_of(struct house *house, unsigned node)
{
    struct ray_id id = replica_fix_id(node);
    const struct coord_object *object = coord_fsm_find(house->fix.replica->fsm, COORD_NODE, &id);

    assert_non_null(object);
    return object->node.raft_id;
}

static void greet(struct house *house, unsigned node)
{
    replica_fix_up(&house->fix, node);
    replica_fix_hello(&house->fix, node, number_of(house, node), 1);
    replica_fix_run(&house->fix, 0);
}

static void move_in(struct house *house)
{
    struct coord_replica_status status;

    *house = (struct house){.answer_count = 0};
    replica_fix_open(&house->fix, true);
    house->ops = *house->fix.link.ops;
    house->ops.send = note_send;
    house->ops.remove_peer = note_remove;
    house->fix.link.ops = &house->ops;
    assert_int_equal(replica_fix_create(&house->fix, NULL), RAY_OK);
    replica_fix_run(&house->fix, 0);
    replica_fix_found(&house->fix);
    replica_fix_join(&house->fix, COLLEAGUE, false);
    replica_fix_join(&house->fix, OBSERVER, true);
    greet(house, COLLEAGUE);
    greet(house, OBSERVER);
    replica_fix_run(&house->fix, 3000); /* members are looked at once a second */
    greet(house, COLLEAGUE);
    greet(house, OBSERVER);
    coord_replica_status(house->fix.replica, &status);
    assert_non_null(coord_config_find(&status.config, number_of(house, COLLEAGUE)));
    assert_null(coord_config_find(&status.config, number_of(house, OBSERVER)));
    assert_int_equal(house->fix.role, COORD_REPLICA_LEADER);
}

static void move_out(struct house *house)
{
    replica_fix_close(&house->fix);
}

/* ---- epochs ---- */

static void test_a_later_epoch(void **state)
{
    struct house house;

    (void)state;
    move_in(&house);
    replica_fix_up(&house.fix, STRANGER);
    replica_fix_hello(&house.fix, STRANGER, 0, 2);
    replica_fix_hello(&house.fix, OBSERVER, number_of(&house, OBSERVER), 2);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    replica_fix_hello(&house.fix, COLLEAGUE, number_of(&house, COLLEAGUE), UINT64_MAX);
    replica_fix_hello(&house.fix, COLLEAGUE, number_of(&house, COLLEAGUE), 66);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER); /* no recovery raises it so far */
    replica_fix_hello(&house.fix, COLLEAGUE, number_of(&house, COLLEAGUE), 65);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.fix.role, COORD_REPLICA_QUARANTINED);
    move_out(&house);
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
    standing.about_incarnation = replica_id_field(&meta->incarnation);
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
    standing.incarnation = replica_id_field(&other);
    say(house, node, &standing);
    assert_int_equal(house->fix.role, COORD_REPLICA_LEADER);
}

static void test_standings_of_others(void **state)
{
    struct house house;

    (void)state;
    move_in(&house);
    replica_fix_up(&house.fix, STRANGER);
    say_all(&house, STRANGER); /* before any hello */
    replica_fix_hello(&house.fix, STRANGER, 0, 1);
    say_all(&house, STRANGER);
    say_all(&house, OBSERVER);
    replica_fix_up(&house.fix, COLLEAGUE); /* a new epoch: no hello yet */
    say_all(&house, COLLEAGUE);
    move_out(&house);
}

static void test_standings_of_earlier_boots(void **state)
{
    struct house house;
    struct ray_id earlier = replica_fix_id(78);
    Rayos__Member__Standing standing;

    (void)state;
    move_in(&house);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    standing.about_incarnation = replica_id_field(&earlier);
    say(&house, COLLEAGUE, &standing);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    standing.about_server_id++;
    say(&house, COLLEAGUE, &standing);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    standing = about(&house, RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED);
    say(&house, COLLEAGUE, &standing);
    assert_int_equal(house.fix.role, COORD_REPLICA_QUARANTINED); /* no voter said it */
    assert_non_null(strstr(house.fix.trouble, "removed this node"));
    move_out(&house);
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
    struct ray_id colleague = replica_fix_id(COLLEAGUE);
    struct ray_id observer = replica_fix_id(OBSERVER);
    struct ray_id stranger = replica_fix_id(STRANGER);
    struct coord_replica_removal removal;

    (void)state;
    move_in(&house);
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
    move_out(&house);
}

static void remove_node(struct house *house, unsigned number)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    struct ray_id id = replica_fix_id(number);

    body.node = replica_id_field(&id);
    body.is_forced = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    replica_fix_propose(&house->fix, &command);
}

static void test_says_who_is_removed(void **state)
{
    struct house house;
    struct ray_id observer = replica_fix_id(OBSERVER);
    struct coord_replica_removal removal = {0};

    (void)state;
    move_in(&house);
    assert_int_equal(coord_replica_removed(house.fix.replica, &observer, &removal), RAY_ENOTFOUND);
    assert_int_equal(removal.last_number, 0);
    remove_node(&house, OBSERVER);
    assert_int_equal(coord_replica_removed(house.fix.replica, &observer, &removal), RAY_OK);
    assert_true(removal.last_number >= number_of(&house, COLLEAGUE));
    assert_int_equal(removal.cluster_epoch, removal_of(&house).cluster_epoch);
    move_out(&house);
}

/* ---- frames ---- */

static void frame_in(struct house *house, unsigned node, struct coord_message *message)
{
    replica_fix_frame(&house->fix, node, number_of(house, node), message);
    replica_fix_run(&house->fix, 0);
}

static uint64_t term_of(const struct house *house)
{
    struct coord_replica_status status;

    coord_replica_status(house->fix.replica, &status);
    return status.term;
}

static void test_frames_of_others(void **state)
{
    struct house house;
    struct coord_message append = {.type = COORD_APPEND};
    struct coord_message vote = {.type = COORD_VOTE};
    uint64_t term;

    (void)state;
    move_in(&house);
    term = term_of(&house);
    append.term = term + 100;
    vote.term = term + 100;
    vote.vote.last_index = 1000;
    vote.vote.last_term = term + 99;
    vote.vote.is_transfer = true;
    frame_in(&house, OBSERVER, &vote);
    frame_in(&house, OBSERVER, &append);
    assert_int_equal(house.fix.role, COORD_REPLICA_LEADER);
    assert_int_equal(term_of(&house), term);
    frame_in(&house, COLLEAGUE, &append);
    assert_int_not_equal(term_of(&house), term);
    move_out(&house);
}

/* Whoever says a number that nobody has any more, and has one of its own, has two. */
static void test_the_number_of_another(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(OBSERVER);

    (void)state;
    move_in(&house);
    replica_fix_up(&house.fix, OBSERVER);
    replica_fix_hello(&house.fix, OBSERVER, number_of(&house, COLLEAGUE), 1);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(replica_peer_find(house.fix.replica, &id)->standing, REPLICA_STANDING_FOREIGN);
    move_out(&house);
}

/* ---- proposals ---- */

/* What the leader says to it: a code, whoever says it. */
static int ask(struct house *house, unsigned node, Rayos__Registry__Command *command,
               const char *principal, const struct ray_id *incarnation)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Propose item = RAYOS__MEMBER__PROPOSE__INIT;
    Rayos__Member__Propose *items[] = {&item};
    uint8_t bytes[REPLICA_FIX_COMMAND_SIZE_MAX];
    int before = house->answer_count;

    item.number = 1;
    item.command.data = bytes;
    item.command.len = replica_fix_pack(command, principal, incarnation, bytes);
    packet.n_proposals = 1;
    packet.proposals = items;
    replica_fix_packet(&house->fix, node, &packet);
    replica_fix_run(&house->fix, 0);
    assert_int_equal(house->answer_count, before + 1);
    return house->answer_code;
}

/* Words of office, from a colleague too; the bodies would do harm. */
static void test_words_of_office(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Tick tick = RAYOS__REGISTRY__TICK__INIT;
    Rayos__Registry__Hash hash = RAYOS__REGISTRY__HASH__INIT;
    Rayos__Registry__TimingSettled settled = RAYOS__REGISTRY__TIMING_SETTLED__INIT;
    Rayos__Registry__NodeRole role = RAYOS__REGISTRY__NODE_ROLE__INIT;
    Rayos__Registry__NodeRenumber renumber = RAYOS__REGISTRY__NODE_RENUMBER__INIT;
    Rayos__Registry__ClusterRecover recover = RAYOS__REGISTRY__CLUSTER_RECOVER__INIT;
    Rayos__Registry__FeatureRaise raise = RAYOS__REGISTRY__FEATURE_RAISE__INIT;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;

    (void)state;
    move_in(&house);
    for (int i = 0; i < 8; i++) {
        switch (i) {
        case 0:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
            command.tick = &tick;
            break;
        case 1:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_HASH;
            command.hash = &hash;
            break;
        case 2:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TIMING_SETTLED;
            command.timing_settled = &settled;
            break;
        case 3:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ROLE;
            command.node_role = &role;
            break;
        case 4:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_RENUMBER;
            command.node_renumber = &renumber;
            break;
        case 5:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_RECOVER;
            command.cluster_recover = &recover;
            break;
        case 6:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_FEATURE_RAISE;
            command.feature_raise = &raise;
            break;
        default:
            command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
            command.cluster_create = &create;
            break;
        }
        assert_int_equal(ask(&house, COLLEAGUE, &command, "rayos", NULL), RAY_EDENIED);
        assert_int_equal(ask(&house, OBSERVER, &command, "rayos", NULL), RAY_EDENIED);
    }
    move_out(&house);
}

static void test_words_for_principals(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__VotersSet voters = RAYOS__REGISTRY__VOTERS_SET__INIT;
    struct ray_id of_colleague = replica_fix_boot(COLLEAGUE);
    struct ray_id of_observer = replica_fix_boot(OBSERVER);

    (void)state;
    move_in(&house);
    voters.wanted_voters = 3;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
    command.voters_set = &voters;
    assert_int_equal(ask(&house, OBSERVER, &command, "admin", &of_observer), RAY_EDENIED);
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", NULL), RAY_EDENIED);
    assert_int_equal(ask(&house, COLLEAGUE, &command, "admin", &of_observer), RAY_EDENIED);
    assert_int_equal(ask(&house, COLLEAGUE, &command, "admin", &of_colleague), RAY_OK);
    move_out(&house);
}

static void test_words_about_nodes(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeReport report = RAYOS__REGISTRY__NODE_REPORT__INIT;
    Rayos__Registry__NodeAdmit admit = RAYOS__REGISTRY__NODE_ADMIT__INIT;
    struct ray_id self = replica_fix_id(OBSERVER);
    struct ray_id other = replica_fix_id(COLLEAGUE);
    struct ray_id boot = replica_fix_boot(OBSERVER);
    struct ray_id others_boot = replica_fix_boot(COLLEAGUE);

    (void)state;
    move_in(&house);
    admit.node = replica_id_field(&self);
    admit.incarnation = replica_id_field(&boot);
    admit.boot_counter = 1;
    admit.cluster_epoch = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", &boot), RAY_OK);
    report.address = (char *)"a:2";
    report.health = (char *)"ok";
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.node_report = &report;
    report.node = replica_id_field(&self);
    assert_int_equal(ask(&house, OBSERVER, &command, "admin", &boot), RAY_EDENIED);
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", &others_boot), RAY_EDENIED);
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", &boot), RAY_OK);
    report.node = replica_id_field(&other);
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", &boot), RAY_EDENIED);
    admit.node = replica_id_field(&other);
    admit.boot_counter = 1000;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    assert_int_equal(ask(&house, OBSERVER, &command, "rayos", &boot), RAY_EDENIED);
    move_out(&house);
}

/* ---- snapshots ---- */

static void ask_for_snapshot(struct house *house, unsigned node)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__SnapshotAsk item = RAYOS__MEMBER__SNAPSHOT_ASK__INIT;
    Rayos__Member__SnapshotAsk *items[] = {&item};

    item.index = house->fix.replica->snapshot_index;
    item.term = term_of(house);
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
    move_in(&house);
    voters.wanted_voters = 3;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
    command.voters_set = &voters;
    for (int i = 0; i < 60; i++) {
        replica_fix_propose(&house.fix, &command);
    }
    assert_true(house.fix.replica->snapshot_index > 0);
    ask_for_snapshot(&house, OBSERVER);
    assert_int_equal(house.part_size, 0);
    ask_for_snapshot(&house, COLLEAGUE);
    assert_true(house.part_size > 0);
    move_out(&house);
}

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
    item.result = bytes_of(large, sizeof large);
    packet.n_proposed = 1;
    packet.proposed = items;
    replica_packet_answer(house->fix.replica, replica_peer_find(house->fix.replica, &id), &packet);
}

static void test_answers_wait_for_a_full_link(void **state)
{
    struct house house;

    (void)state;
    move_in(&house);
    house.is_full = true;
    for (int i = 0; i < 12; i++) { /* 3.6 of 4 MiB */
        answer(&house, OBSERVER);
        coord_replica_turn(house.fix.replica);
    }
    assert_int_equal(house.answer_count, 0);
    house.is_full = false;
    coord_replica_turn(house.fix.replica);
    assert_int_equal(house.answer_count, 12);
    assert_true(house.size_max <= RAY_LINK_MESSAGE_SIZE_MAX);
    assert_int_equal(house.removed_count, 0);
    move_out(&house);
}

static void test_a_link_that_takes_nothing_ends(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(OBSERVER);

    (void)state;
    move_in(&house);
    house.is_full = true;
    for (int i = 0; i < 14; i++) {
        answer(&house, OBSERVER);
    }
    coord_replica_turn(house.fix.replica);
    assert_int_equal(house.removed_count, 1);
    assert_int_equal(replica_peer_find(house.fix.replica, &id)->epoch, 0);
    house.is_full = false;
    greet(&house, OBSERVER); /* a new epoch, in which nothing is owed */
    assert_int_equal(house.answer_count, 0);
    assert_int_equal(house.removed_count, 1);
    move_out(&house);
}

/* ---- who has left ---- */

static void test_who_has_left_is_not_dialled(void **state)
{
    struct house house;
    struct ray_id id = replica_fix_id(COLLEAGUE);
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeDrain drain = RAYOS__REGISTRY__NODE_DRAIN__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    const struct replica_peer *peer;

    (void)state;
    move_in(&house);
    peer = replica_peer_find(house.fix.replica, &id);
    assert_string_equal(peer->address, "a:1");
    house.fix.link.user.on_down(house.fix.link.user.arg, &id, peer->epoch);
    replica_fix_run(&house.fix, 0);
    assert_string_equal(peer->address, "a:1"); /* it only is away */
    greet(&house, COLLEAGUE);
    drain.node = replica_id_field(&id);
    drain.is_drained = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &drain;
    replica_fix_propose(&house.fix, &command);
    replica_fix_run(&house.fix, 3000); /* out of the configuration */
    body.node = replica_id_field(&id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    replica_fix_propose(&house.fix, &command);
    replica_fix_run(&house.fix, 3000);
    assert_int_equal(house.removed_count, 0); /* it still has to be told */
    house.fix.link.user.on_down(house.fix.link.user.arg, &id, peer->epoch);
    replica_fix_run(&house.fix, 0);
    assert_int_equal(house.removed_count, 1);
    assert_string_equal(peer->address, "");
    move_out(&house);
}

/* ---- the leader by hearsay ---- */

static void say_leader(struct house *house, unsigned node, uint64_t term, unsigned leader)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    struct ray_id id = replica_fix_id(leader);

    hello.server_id = 20 + node;
    hello.cluster_epoch = 1;
    hello.term = term;
    hello.leader = replica_id_field(&id);
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
    house.fix.link.user.on_down(house.fix.link.user.arg, &first, house.fix.epochs[1]);
    replica_fix_run(&house.fix, 0);
    coord_replica_status(house.fix.replica, &status);
    assert_true(ray_id_equal(&status.leader, &second));
    move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_later_epoch),
        cmocka_unit_test(test_standings_of_others),
        cmocka_unit_test(test_standings_of_earlier_boots),
        cmocka_unit_test(test_removals_that_do_not_count),
        cmocka_unit_test(test_says_who_is_removed),
        cmocka_unit_test(test_frames_of_others),
        cmocka_unit_test(test_the_number_of_another),
        cmocka_unit_test(test_words_of_office),
        cmocka_unit_test(test_words_for_principals),
        cmocka_unit_test(test_words_about_nodes),
        cmocka_unit_test(test_snapshots_are_for_members),
        cmocka_unit_test(test_answers_wait_for_a_full_link),
        cmocka_unit_test(test_a_link_that_takes_nothing_ends),
        cmocka_unit_test(test_who_has_left_is_not_dialled),
        cmocka_unit_test(test_no_term_lasts_longer_than_its_word),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

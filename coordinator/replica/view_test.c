/* view_test.c - a node outside of the configuration: what it does by its view of the registry. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/lease/grant_codec.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"
#include "net/proto_codec.h"

enum { SELF = 0, MEMBER = 1, OTHER = 2, PAGE_SIZE_MAX = 4096, BEFORE = 900 };

/* What the node has sent. */
struct heard {
    int admissions;
    int renewals;
    int reads;
    uint64_t read_number;
    bool is_relayed;
    struct ray_id to;
};

static void look_at_proposal(struct heard *heard, const Rayos__Member__Propose *propose)
{
    Rayos__Registry__Command *command =
        rayos__registry__command__unpack(NULL, propose->command.len, propose->command.data);

    assert_non_null(command);
    if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT) {
        heard->admissions++;
    }
    rayos__registry__command__free_unpacked(command, NULL);
}

static void on_packet(void *arg, const struct ray_id *peer, const Rayos__Member__Packet *packet)
{
    struct heard *heard = arg;

    for (size_t i = 0; i < packet->n_proposals; i++) {
        look_at_proposal(heard, packet->proposals[i]);
    }
    for (size_t i = 0; i < packet->n_renewals; i++) {
        heard->renewals++;
        heard->is_relayed = packet->renewals[i]->is_relayed;
        heard->to = *peer;
    }
    for (size_t i = 0; i < packet->n_reads; i++) {
        heard->reads++;
        heard->read_number = packet->reads[i]->number;
    }
}

/* ---- what a member tells ---- */

struct parts {
    struct replica_fix_node described;
    Rayos__Registry__Entry entry;
};

static void describe(struct parts *parts, unsigned number, const struct ray_id *incarnation,
                     uint64_t revision)
{
    Rayos__Registry__Node *node = &parts->described.node;

    replica_fix_describe(&parts->described, number);
    rayos__registry__entry__init(&parts->entry);
    parts->described.object.revision = revision;
    node->state = RAYOS__REGISTRY__NODE_STATE__NODE_MEMBER;
    node->role =
        number == SELF ? RAYOS__REGISTRY__ROLE__ROLE_OBSERVER : RAYOS__REGISTRY__ROLE__ROLE_VOTER;
    node->raft_id = number == SELF ? 7 : number + 2;
    node->incarnation = ray_proto_id(incarnation);
    node->boot_counter = number == SELF && incarnation->bytes[0] == 'n' ? 0 : 1;
    parts->entry.object = &parts->described.object;
}

/* Cluster, this node with that incarnation, and one member. */
static struct coord_fsm *make_view(struct ray_id incarnation, uint64_t revision)
{
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Object cluster = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Cluster body = RAYOS__REGISTRY__CLUSTER__INIT;
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    Rayos__Registry__Entry entry = RAYOS__REGISTRY__ENTRY__INIT;
    struct ray_id cluster_id = replica_fix_id(1000);
    struct ray_id self_id = replica_fix_id(SELF);
    struct ray_id theirs = replica_fix_boot(MEMBER);
    struct parts self;
    struct parts member;
    Rayos__Registry__Entry *entries[] = {&entry, &self.entry, &member.entry};
    uint8_t bytes[PAGE_SIZE_MAX];
    struct ray_buf cursor;
    struct coord_fsm *view = NULL;

    replica_fix_timing(&timing);
    body.cluster_epoch = 1;
    body.feature_level = 1;
    body.timing = &timing;
    body.last_raft_id = 7;
    body.wanted_voters = 3;
    cluster.kind = RAYOS__REGISTRY__KIND__KIND_CLUSTER;
    cluster.id = ray_proto_id(&cluster_id);
    cluster.name = (char *)"test";
    cluster.revision = 1;
    cluster.body_case = RAYOS__REGISTRY__OBJECT__BODY_CLUSTER;
    cluster.cluster = &body;
    entry.object = &cluster;
    describe(&self, SELF, &incarnation, revision);
    describe(&member, MEMBER, &theirs, 1);
    answer.revision = revision;
    answer.entries = entries;
    answer.n_entries = 3;
    assert_true(rayos__registry__answer__get_packed_size(&answer) <= sizeof bytes);
    ray_buf_init(&cursor, 64);
    assert_int_equal(coord_fsm_view_create(&view, &self_id, NULL), RAY_OK);
    assert_int_equal(coord_fsm_view_page(view, bytes, rayos__registry__answer__pack(&answer, bytes),
                                         &cursor, NULL),
                     RAY_OK);
    ray_buf_fini(&cursor);
    return view;
}

/* A member at the other end of a link, which says who leads. */
static void hear_member(struct replica_fix *fix, unsigned peer, const struct ray_id *leader)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    hello.server_id = peer + 2;
    hello.cluster_epoch = 1;
    hello.term = 5;
    if (leader != NULL) {
        hello.leader = ray_proto_id(leader);
    }
    replica_fix_greet(fix, peer, &hello);
    replica_fix_run(fix, 0);
}

static void start(struct replica_fix *fix, struct heard *heard)
{
    *heard = (struct heard){.admissions = 0};
    replica_fix_open(fix, false);
    fix->on_packet = on_packet;
    fix->on_packet_arg = heard;
    assert_int_equal(replica_fix_create(fix, NULL), RAY_OK);
    replica_fix_run(fix, 0);
    replica_fix_up(fix, MEMBER);
}

static struct ray_id own_incarnation(struct replica_fix *fix)
{
    return fix->replica->meta.now.incarnation;
}

/* ---- tests ---- */

static void test_what_is_shown_never_goes_back(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct coord_replica_status status;
    const uint8_t bookmark[] = {2 << 3, 30};
    const uint8_t nonsense[] = {0xff};
    uint64_t dropped;

    (void)state;
    start(&fix, &heard);
    assert_null(coord_fsm_cluster(coord_replica_fsm(fix.replica)));
    assert_int_equal(coord_replica_show_batch(fix.replica, bookmark, 2, 0, NULL), RAY_ENOTFOUND);
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 20), 0, NULL),
                     RAY_OK);
    assert_non_null(coord_fsm_cluster(coord_replica_fsm(fix.replica)));
    coord_replica_status(fix.replica, &status);
    assert_true(status.is_partial);
    assert_int_equal(status.applied_index, 20);
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 19), 0, NULL),
                     RAY_EAGAIN);
    assert_int_equal(
        coord_replica_show_batch(fix.replica, bookmark, sizeof bookmark, fix.now_ns, NULL), RAY_OK);
    hear_member(&fix, MEMBER, &(struct ray_id){{0}});
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.applied_index, 30);
    assert_int_equal(status.heard_ns, fix.now_ns);
    replica_fix_run(&fix, 1000); /* a hello makes it no younger */
    hear_member(&fix, MEMBER, NULL);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(fix.now_ns - status.heard_ns, 1000 * RAY_NS_PER_MS);
    dropped = coord_replica_dropped_count(fix.replica);
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 30), 0, NULL),
                     RAY_OK);
    assert_int_equal(coord_replica_dropped_count(fix.replica), dropped + 1); /* the one before */
    assert_int_equal(coord_replica_show_batch(fix.replica, nonsense, 1, fix.now_ns, NULL),
                     RAY_EMALFORMED);
    assert_false(coord_replica_has_view(fix.replica));
    assert_null(coord_fsm_cluster(coord_replica_fsm(fix.replica)));
    replica_fix_close(&fix);
}

static void test_it_asks_to_be_admitted(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct ray_id leader = replica_fix_id(MEMBER);

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, &leader);
    replica_fix_run(&fix, 3000);
    assert_int_equal(heard.admissions, 0); /* it knows nothing of itself */
    assert_int_equal(
        coord_replica_show(fix.replica, make_view(replica_fix_id(BEFORE), 20), 0, NULL), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.admissions, 1); /* at once */
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 21), 0, NULL),
                     RAY_OK);
    heard.admissions = 0;
    replica_fix_run(&fix, 5000);
    assert_int_equal(heard.admissions, 0);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    replica_fix_close(&fix);
}

static void on_renewed(void *arg, int status, const struct coord_lease_answer *answer)
{
    (void)answer;
    *(int *)arg = status;
}

static int renew(struct replica_fix *fix, int *status)
{
    struct coord_lease_renew renewal = {.node = replica_fix_id(SELF),
                                        .incarnation = own_incarnation(fix),
                                        .cluster_epoch = 1,
                                        .t_send_ns = fix->now_ns};
    int rc = coord_replica_renew(fix->replica, &renewal, fix->now_ns + RAY_NS_PER_S, on_renewed,
                                 status, NULL, NULL);

    replica_fix_run(fix, 0);
    return rc;
}

static void test_renewals_go_to_the_leader_or_by_a_member(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct ray_id member = replica_fix_id(MEMBER);
    struct ray_id leader = replica_fix_id(OTHER);
    int status = RAY_OK;

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, &leader); /* to which there is no link */
    assert_int_equal(
        coord_replica_show(fix.replica, make_view(replica_fix_id(BEFORE), 20), 0, NULL), RAY_OK);
    assert_int_equal(renew(&fix, &status), RAY_EAGAIN); /* not admitted */
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 21), 0, NULL),
                     RAY_OK);
    assert_int_equal(renew(&fix, &status), RAY_OK);
    assert_int_equal(heard.renewals, 1);
    assert_true(ray_id_equal(&heard.to, &member));
    assert_false(heard.is_relayed); /* by whoever passes it on */

    replica_fix_up(&fix, OTHER);
    hear_member(&fix, OTHER, &leader);
    assert_int_equal(renew(&fix, &status), RAY_OK);
    assert_int_equal(heard.renewals, 2);
    assert_true(ray_id_equal(&heard.to, &leader));
    replica_fix_run(&fix, 2000); /* nobody answers */
    assert_int_equal(status, RAY_ENOQUORUM);
    replica_fix_close(&fix);
}

static void on_read(void *arg, int status, uint64_t revision)
{
    assert_int_equal(status, RAY_OK);
    *(uint64_t *)arg = revision;
}

static void test_a_read_waits_for_the_view(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct ray_id leader = replica_fix_id(MEMBER);
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__ReadGiven given = RAYOS__MEMBER__READ_GIVEN__INIT;
    Rayos__Member__ReadGiven *items[] = {&given};
    const uint8_t early[] = {2 << 3, 24};
    const uint8_t late[] = {2 << 3, 26};
    uint64_t shown = 0;

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, &leader);
    assert_int_equal(coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 20), 0, NULL),
                     RAY_OK);
    assert_int_equal(coord_replica_read(fix.replica, UINT64_MAX, on_read, &shown, NULL, NULL),
                     RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.reads, 1);
    given.number = heard.read_number;
    given.index = 25;
    packet.n_reads_given = 1;
    packet.reads_given = items;
    replica_fix_packet(&fix, MEMBER, &packet);
    (void)coord_replica_show_batch(fix.replica, early, sizeof early, fix.now_ns, NULL);
    replica_fix_run(&fix, 0);
    assert_int_equal(shown, 0);
    (void)coord_replica_show_batch(fix.replica, late, sizeof late, fix.now_ns, NULL);
    replica_fix_run(&fix, 0);
    assert_int_equal(shown, 26);
    replica_fix_close(&fix);
}

/* ---- a revision that nobody has reached ---- */

static void answer_read(struct replica_fix *fix, const struct heard *heard, uint64_t index)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__ReadGiven given = RAYOS__MEMBER__READ_GIVEN__INIT;
    Rayos__Member__ReadGiven *items[] = {&given};

    given.number = heard->read_number;
    given.index = index;
    packet.n_reads_given = 1;
    packet.reads_given = items;
    replica_fix_packet(fix, MEMBER, &packet);
    replica_fix_run(fix, 0);
}

static int show_at(struct replica_fix *fix, uint64_t revision)
{
    return coord_replica_show(fix->replica, make_view(own_incarnation(fix), revision), fix->now_ns,
                              NULL);
}

static void bookmark(struct replica_fix *fix, uint64_t revision)
{
    Rayos__Registry__WatchBatch batch = RAYOS__REGISTRY__WATCH_BATCH__INIT;
    uint8_t bytes[32];
    size_t size;

    batch.revision = revision;
    size = rayos__registry__watch_batch__pack(&batch, bytes);
    assert_int_equal(coord_replica_show_batch(fix->replica, bytes, size, fix->now_ns, NULL),
                     RAY_OK);
}

/* What one member has said does not keep out all others: the leader knows better. */
static void test_a_revision_nobody_reached(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct ray_id leader = replica_fix_id(MEMBER);

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, &leader);
    assert_int_equal(show_at(&fix, 20), RAY_OK);
    bookmark(&fix, UINT64_MAX);
    assert_int_equal(show_at(&fix, 22), RAY_EAGAIN);
    assert_int_equal(show_at(&fix, 23), RAY_EAGAIN);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.reads, 1); /* one question for all */
    answer_read(&fix, &heard, 23);
    assert_false(coord_replica_has_view(fix.replica));
    assert_int_equal(show_at(&fix, 22), RAY_OK);
    assert_int_equal(coord_fsm_index(coord_replica_fsm(fix.replica)), 22);
    replica_fix_close(&fix);
}

/* A member that is behind is not taken for the truth, nor is an answer from before. */
static void test_who_is_behind_refutes_nothing(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct ray_id leader = replica_fix_id(MEMBER);

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, &leader);
    assert_int_equal(show_at(&fix, 20), RAY_OK);
    assert_int_equal(show_at(&fix, 19), RAY_EAGAIN);
    replica_fix_run(&fix, 0);
    bookmark(&fix, 30);
    answer_read(&fix, &heard, 25); /* it was asked when 20 was shown */
    assert_int_equal(coord_fsm_index(coord_replica_fsm(fix.replica)), 30);
    replica_fix_run(&fix, 6000);
    assert_int_equal(show_at(&fix, 29), RAY_EAGAIN);
    replica_fix_run(&fix, 0);
    assert_int_equal(heard.reads, 2);
    answer_read(&fix, &heard, 30);
    assert_int_equal(coord_fsm_index(coord_replica_fsm(fix.replica)), 30);
    replica_fix_close(&fix);
}

/* Links are made under the cluster epoch, and prove it: no view raises it. */
static void test_no_view_raises_the_epoch(void **state)
{
    struct replica_fix fix;
    struct heard heard;

    (void)state;
    start(&fix, &heard);
    fix.replica->meta.now.cluster_epoch = 0; /* the view's is one more */
    assert_int_equal(show_at(&fix, 20), RAY_ECONFLICT);
    assert_false(coord_replica_has_view(fix.replica));
    replica_fix_close(&fix);
}

/* The member that is followed says that this node's own record is gone. */
static void take_self_away(struct replica_fix *fix, uint64_t revision)
{
    Rayos__Registry__WatchBatch batch = RAYOS__REGISTRY__WATCH_BATCH__INIT;
    Rayos__Registry__WatchEvent event = RAYOS__REGISTRY__WATCH_EVENT__INIT;
    Rayos__Registry__WatchEvent *events[] = {&event};
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id self = replica_fix_id(SELF);
    uint8_t bytes[PAGE_SIZE_MAX];
    size_t size;

    object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object.id = ray_proto_id(&self);
    event.object = &object;
    event.is_deleted = true;
    event.revision = revision;
    batch.events = events;
    batch.n_events = 1;
    batch.revision = revision;
    size = rayos__registry__watch_batch__pack(&batch, bytes);
    assert_int_equal(coord_replica_show_batch(fix->replica, bytes, size, fix->now_ns, NULL),
                     RAY_OK);
}

/* What one member says does not end a node for good (decision 0015). */
static void test_one_member_cannot_remove(void **state)
{
    struct replica_fix fix;
    struct heard heard;

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, NULL);
    assert_int_equal(
        coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 20), fix.now_ns, NULL),
        RAY_OK);
    replica_fix_run(&fix, 0);
    take_self_away(&fix, 21);
    replica_fix_run(&fix, 3000);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_int_equal(fix.replica->meta.now.flags & COORD_META_REMOVED, 0);
    assert_non_null(strstr(fix.trouble, "removed"));
    replica_fix_close(&fix);
}

/* Nor when it shows itself as the only voter, and says so by its link. */
static void test_one_member_is_not_most(void **state)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Standing standing = RAYOS__MEMBER__STANDING__INIT;
    Rayos__Member__Standing *items[] = {&standing};
    struct replica_fix fix;
    struct heard heard;

    (void)state;
    start(&fix, &heard);
    hear_member(&fix, MEMBER, NULL);
    assert_int_equal(
        coord_replica_show(fix.replica, make_view(own_incarnation(&fix), 20), fix.now_ns, NULL),
        RAY_OK);
    standing.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED;
    standing.about_server_id = fix.replica->meta.now.server_id;
    standing.about_incarnation = ray_proto_id(&fix.replica->meta.now.incarnation);
    packet.n_standings = 1;
    packet.standings = items;
    for (unsigned i = 0; i < 3; i++) { /* the view goes with the quarantine */
        replica_fix_packet(&fix, MEMBER, &packet);
        replica_fix_run(&fix, 1000);
    }
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_int_equal(fix.replica->meta.now.flags & COORD_META_REMOVED, 0);
    replica_fix_close(&fix);
}

static bool knows_all(void *arg, const struct ray_id *node)
{
    (void)arg;
    (void)node;
    return true;
}

/* At its return it is told at the doors of those that it knows, which may be what one of them has
 * made it believe: it serves nobody and says why, but not for good. */
static void test_removed_while_off(void **state)
{
    struct replica_fix fix;
    struct heard heard;
    struct coord_replica_removal removal;
    struct ray_id member = replica_fix_id(MEMBER);
    struct ray_id other = replica_fix_id(MEMBER + 1);

    (void)state;
    start(&fix, &heard);
    fix.replica->user.knows_member = knows_all;
    removal = (struct coord_replica_removal){.last_number = fix.replica->meta.now.server_id - 1,
                                             .cluster_epoch = fix.replica->meta.now.cluster_epoch};
    assert_false(coord_replica_told_removed(fix.replica, &member, &removal)); /* before it joined */
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_WAITING);
    removal.last_number++;
    assert_true(coord_replica_told_removed(fix.replica, &member, &removal));
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_true(coord_replica_told_removed(fix.replica, &other, &removal));
    replica_fix_run(&fix, 0);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    assert_non_null(strstr(fix.trouble, "removed this node"));
    replica_fix_stop(&fix);
    assert_int_equal(replica_fix_create(&fix, NULL), RAY_OK);
    replica_fix_run(&fix, 5000);
    assert_int_equal(fix.role, COORD_REPLICA_QUARANTINED);
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shown_never_goes_back),
        cmocka_unit_test(test_it_asks_to_be_admitted),
        cmocka_unit_test(test_renewals_go_to_the_leader_or_by_a_member),
        cmocka_unit_test(test_a_read_waits_for_the_view),
        cmocka_unit_test(test_a_revision_nobody_reached),
        cmocka_unit_test(test_who_is_behind_refutes_nothing),
        cmocka_unit_test(test_no_view_raises_the_epoch),
        cmocka_unit_test(test_one_member_cannot_remove),
        cmocka_unit_test(test_one_member_is_not_most),
        cmocka_unit_test(test_removed_while_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

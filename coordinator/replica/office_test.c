/* office_test.c - what a leader writes down of what it sees: who is in quarantine, and of much only
 * so much at a time. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"
#include "net/proto_codec.h"

enum { NODES = 3, DUTY_MS = 1000 };

static void lead(struct replica_fix *fix)
{
    replica_fix_start(fix, true);
    replica_fix_found(fix);
}

static const struct coord_node *node_of(struct replica_fix *fix, unsigned number)
{
    struct ray_id id = replica_fix_id(number);

    return &coord_fsm_find(coord_replica_fsm(fix->replica), COORD_NODE, &id)->node;
}

static size_t count_events(struct replica_fix *fix, const char *what)
{
    struct coord_fsm *fsm = coord_replica_fsm(fix->replica);
    const struct coord_object *event = coord_fsm_next(fsm, COORD_EVENT, NULL);
    size_t count = 0;

    while (event != NULL) {
        struct ray_id id = event->id;

        count += strcmp(event->happening.what, what) == 0;
        event = coord_fsm_next(fsm, COORD_EVENT, &id);
    }
    return count;
}

/* ---- quarantine ---- */

static void say(struct replica_fix *fix, unsigned node, uint64_t server_id, const char *trouble)
{
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    hello.server_id = server_id;
    hello.cluster_epoch = 1;
    hello.is_quarantined = trouble != NULL;
    hello.trouble = (char *)(uintptr_t)(trouble != NULL ? trouble : "");
    replica_fix_greet(fix, node, &hello);
}

static void test_quarantine_is_written_down(void **state)
{
    struct replica_fix fix;
    uint64_t number;

    (void)state;
    lead(&fix);
    for (unsigned node = 1; node < NODES; node++) {
        replica_fix_join(&fix, node, false);
        replica_fix_up(&fix, node);
    }
    number = node_of(&fix, 1)->raft_id;
    say(&fix, 1, number, "entry 7 of the log is damaged\n");
    say(&fix, 2, node_of(&fix, 2)->raft_id, NULL);
    replica_fix_run(&fix, DUTY_MS);
    replica_fix_run(&fix, DUTY_MS);
    assert_true(node_of(&fix, 1)->is_quarantined);
    assert_string_equal(node_of(&fix, 1)->health, "failed");
    assert_string_equal(node_of(&fix, 1)->message, "entry 7 of the log is damaged\\x0a");
    assert_int_equal(count_events(&fix, "node-quarantined"), 1);
    assert_false(node_of(&fix, 0)->is_quarantined);
    assert_false(node_of(&fix, 2)->is_quarantined);

    /* It still says so, now for another reason; then it has the number that it was given. */
    say(&fix, 1, number, "quarantined before");
    replica_fix_run(&fix, DUTY_MS);
    assert_int_equal(count_events(&fix, "node-quarantined"), 1);
    assert_true(node_of(&fix, 1)->raft_id > number);
    say(&fix, 1, node_of(&fix, 1)->raft_id, NULL);
    replica_fix_run(&fix, DUTY_MS);
    assert_true(node_of(&fix, 1)->is_quarantined); /* it may say the contrary again */
    say(&fix, 1, node_of(&fix, 1)->raft_id, "again");
    say(&fix, 1, node_of(&fix, 1)->raft_id, NULL);
    replica_fix_run(&fix, REPLICA_RETURN_MS - DUTY_MS);
    assert_true(node_of(&fix, 1)->is_quarantined);
    say(&fix, 1, node_of(&fix, 1)->raft_id, NULL); /* as each second, or its link is dead */
    replica_fix_run(&fix, DUTY_MS);
    replica_fix_run(&fix, DUTY_MS);
    assert_int_equal(count_events(&fix, "node-quarantined"), 1);
    assert_false(node_of(&fix, 1)->is_quarantined);
    assert_string_equal(node_of(&fix, 1)->health, ""); /* it says itself how it is */
    assert_string_equal(node_of(&fix, 1)->message, "");
    assert_int_equal(count_events(&fix, "node-returned"), 1);
    replica_fix_close(&fix);
}

static void test_only_of_who_is_that_node(void **state)
{
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    for (unsigned node = 1; node < NODES; node++) {
        replica_fix_join(&fix, node, false);
        replica_fix_up(&fix, node);
    }
    say(&fix, 1, node_of(&fix, 2)->raft_id, "with another's number");
    replica_fix_run(&fix, DUTY_MS);
    replica_fix_run(&fix, DUTY_MS);
    assert_int_equal(count_events(&fix, "node-quarantined"), 0);
    assert_false(node_of(&fix, 1)->is_quarantined || node_of(&fix, 2)->is_quarantined);
    replica_fix_close(&fix);
}

/* ---- much of it ---- */

/* Taken in the next turn, with all others: each turn is a batch, and the disk has few files. */
static void suggest(struct replica_fix *fix, Rayos__Registry__Command *command)
{
    uint8_t bytes[REPLICA_FIX_COMMAND_SIZE_MAX];
    struct coord_replica_status status;
    size_t size;

    coord_replica_status(fix->replica, &status);
    size = replica_fix_pack(command, "test", &status.incarnation, bytes);
    assert_int_equal(
        coord_replica_propose(fix->replica, bytes, size, UINT64_MAX, NULL, NULL, NULL, NULL),
        RAY_OK);
}

static void make_voter(struct replica_fix *fix, unsigned number)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRole role = RAYOS__REGISTRY__NODE_ROLE__INIT;
    struct ray_id id = replica_fix_id(number);

    role.node = ray_proto_id(&id);
    role.raft_id = node_of(fix, number)->raft_id;
    role.role = RAYOS__REGISTRY__ROLE__ROLE_VOTER;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ROLE;
    command.node_role = &role;
    suggest(fix, &command);
}

static void test_so_many_roles_at_a_time(void **state)
{
    enum { COUNT = 240 };
    struct replica_fix fix;
    size_t before;

    static_assert((int)COUNT > (int)REPLICA_OFFICE_MAX && (int)COUNT < 2 * (int)REPLICA_OFFICE_MAX,
                  "in two turns");
    (void)state;
    lead(&fix);
    for (unsigned node = 1; node <= COUNT; node++) {
        replica_fix_let_in(&fix, node, true, suggest);
    }
    replica_fix_run(&fix, 0);
    for (unsigned node = 1; node <= COUNT; node++) {
        make_voter(&fix, node);
    }
    replica_fix_run(&fix, 0);
    before = coord_fsm_voter_count(coord_replica_fsm(fix.replica));
    assert_int_equal(before, COUNT + 1);
    replica_fix_run(&fix, DUTY_MS);
    assert_int_equal(coord_fsm_voter_count(coord_replica_fsm(fix.replica)),
                     before - REPLICA_OFFICE_MAX);
    replica_fix_run(&fix, DUTY_MS);
    assert_int_equal(coord_fsm_voter_count(coord_replica_fsm(fix.replica)), 1);
    replica_fix_close(&fix);
}

/* What is shown of a node is what votes, whatever the registry still says. */
static void test_the_configuration_says_who_votes(void **state)
{
    struct replica_fix fix;
    struct ray_id id = replica_fix_id(1);
    const struct coord_object *node;

    (void)state;
    lead(&fix);
    replica_fix_join(&fix, 1, true);
    make_voter(&fix, 1);
    replica_fix_run(&fix, 0);
    node = coord_fsm_find(coord_replica_fsm(fix.replica), COORD_NODE, &id);
    assert_int_equal(node->node.role, COORD_NODE_VOTER);
    assert_int_equal(coord_replica_role_of(fix.replica, node), COORD_NODE_STANDBY);
    replica_fix_run(&fix, DUTY_MS);
    node = coord_fsm_find(coord_replica_fsm(fix.replica), COORD_NODE, &id);
    assert_int_equal(coord_replica_role_of(fix.replica, node), COORD_NODE_OBSERVER);
    id = replica_fix_id(0);
    node = coord_fsm_find(coord_replica_fsm(fix.replica), COORD_NODE, &id);
    assert_int_equal(coord_replica_role_of(fix.replica, node), COORD_NODE_VOTER);
    replica_fix_close(&fix);
}

/* ---- runs that nobody wants ---- */

static void put_guest(struct replica_fix *fix, unsigned number, bool is_wanted)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest guest = RAYOS__REGISTRY__GUEST__INIT;
    struct ray_id id = replica_fix_id(number);

    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &guest;
    guest.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                             : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    put.object = &object;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    suggest(fix, &command);
}

static void run_at(struct replica_fix *fix, unsigned number, unsigned node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Outcome outcome = RAYOS__REGISTRY__OUTCOME__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    Rayos__Registry__Home home = RAYOS__REGISTRY__HOME__INIT;
    struct ray_id id = replica_fix_id(number);
    struct ray_id node_id = replica_fix_id(node);
    struct ray_id boot = replica_fix_boot(node);

    outcome.entry = RAYOS__REGISTRY__ORIGIN__ORIGIN_RESTART;
    outcome.guest = ray_proto_id(&id);
    outcome.expected_epoch = &epoch;
    outcome.to = &home;
    home.node = ray_proto_id(&node_id);
    home.incarnation = ray_proto_id(&boot);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OUTCOME;
    command.outcome = &outcome;
    suggest(fix, &command);
}

static size_t count_runs(struct replica_fix *fix)
{
    struct coord_fsm *fsm = coord_replica_fsm(fix->replica);
    const struct coord_object *guest = coord_fsm_next(fsm, COORD_GUEST, NULL);
    size_t count = 0;

    while (guest != NULL) {
        struct ray_id id = guest->id;

        count += guest->guest.has_run;
        guest = coord_fsm_next(fsm, COORD_GUEST, &id);
    }
    return count;
}

/* Their home has been silent for W; each turn ends as many as it may, until none is left. */
static void test_so_many_runs_at_a_time(void **state)
{
    enum { FIRST = 3000, COUNT = 2 * REPLICA_OFFICE_MAX + 10, TURNS_MAX = 20 };
    struct replica_fix fix;
    size_t before = COUNT;
    size_t most = 0;
    int turns = 0;

    (void)state;
    lead(&fix);
    replica_fix_join(&fix, 1, true);
    for (unsigned i = 0; i < COUNT; i++) {
        put_guest(&fix, FIRST + i, true);
        run_at(&fix, FIRST + i, 1);
        put_guest(&fix, FIRST + i, false);
    }
    replica_fix_run(&fix, 0);
    assert_int_equal(count_runs(&fix), COUNT);
    for (; before > 0 && turns < TURNS_MAX; turns++) {
        size_t now;

        replica_fix_run(&fix, DUTY_MS);
        now = count_runs(&fix);
        most = before - now > most ? before - now : most;
        before = now;
    }
    assert_int_equal(before, 0);
    assert_int_equal(most, REPLICA_OFFICE_MAX);
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quarantine_is_written_down),
        cmocka_unit_test(test_only_of_who_is_that_node),
        cmocka_unit_test(test_so_many_roles_at_a_time),
        cmocka_unit_test(test_the_configuration_says_who_votes),
        cmocka_unit_test(test_so_many_runs_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

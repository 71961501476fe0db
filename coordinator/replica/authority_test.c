/* authority_test.c - who may propose what over a link to the leader. */
#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/house_fixture.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

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
    item.command = ray_proto_bytes(bytes, replica_fix_pack(command, principal, incarnation, bytes));
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
    house_move_in(&house);
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
        assert_int_equal(ask(&house, HOUSE_COLLEAGUE, &command, "rayos", NULL), RAY_EDENIED);
        assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", NULL), RAY_EDENIED);
    }
    house_move_out(&house);
}

static void test_words_for_principals(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__VotersSet voters = RAYOS__REGISTRY__VOTERS_SET__INIT;
    struct ray_id of_colleague = replica_fix_boot(HOUSE_COLLEAGUE);
    struct ray_id of_observer = replica_fix_boot(HOUSE_OBSERVER);

    (void)state;
    house_move_in(&house);
    voters.wanted_voters = 3;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
    command.voters_set = &voters;
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "admin", &of_observer), RAY_EDENIED);
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", NULL), RAY_EDENIED);
    assert_int_equal(ask(&house, HOUSE_COLLEAGUE, &command, "admin", &of_observer), RAY_EDENIED);
    assert_int_equal(ask(&house, HOUSE_COLLEAGUE, &command, "admin", &of_colleague), RAY_OK);
    house_move_out(&house);
}

static void test_words_about_nodes(void **state)
{
    struct house house;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeReport report = RAYOS__REGISTRY__NODE_REPORT__INIT;
    Rayos__Registry__NodeAdmit admit = RAYOS__REGISTRY__NODE_ADMIT__INIT;
    struct ray_id self = replica_fix_id(HOUSE_OBSERVER);
    struct ray_id other = replica_fix_id(HOUSE_COLLEAGUE);
    struct ray_id boot = replica_fix_boot(HOUSE_OBSERVER);
    struct ray_id others_boot = replica_fix_boot(HOUSE_COLLEAGUE);

    (void)state;
    house_move_in(&house);
    admit.node = ray_proto_id(&self);
    admit.incarnation = ray_proto_id(&boot);
    admit.boot_counter = 1;
    admit.cluster_epoch = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", &boot), RAY_OK);
    report.address = (char *)"a:2";
    report.health = (char *)"ok";
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.node_report = &report;
    report.node = ray_proto_id(&self);
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "admin", &boot), RAY_EDENIED);
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", &others_boot), RAY_EDENIED);
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", &boot), RAY_OK);
    report.node = ray_proto_id(&other);
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", &boot), RAY_EDENIED);
    admit.node = ray_proto_id(&other);
    admit.boot_counter = 1000;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    assert_int_equal(ask(&house, HOUSE_OBSERVER, &command, "rayos", &boot), RAY_EDENIED);
    house_move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_office),
        cmocka_unit_test(test_words_for_principals),
        cmocka_unit_test(test_words_about_nodes),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* node_test.c - tokens, joining, incarnations, roles, timing. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

static const struct coord_node *node(const struct fix *fix, unsigned id)
{
    const struct coord_object *object = fix_find(fix, COORD_NODE, id);

    assert_non_null(object);
    return &object->node;
}

/* Used exactly as often as it says, whatever is repeated. */
static void test_token_is_used_n_times(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fix_add_node(&fix, 40 + i), RAY_OK);
        assert_int_equal(node(&fix, 40 + i)->raft_id, 2 + i);
        assert_int_equal(node(&fix, 40 + i)->state, COORD_NODE_MEMBER);
        assert_int_equal(node(&fix, 40 + i)->role, COORD_NODE_OBSERVER);
        /* The answer was lost: the same again. */
        assert_int_equal(fix_add_node(&fix, 40 + i), RAY_OK);
        assert_int_equal(node(&fix, 40 + i)->raft_id, 2 + i);
    }
    assert_null(fix_find(&fix, COORD_TOKEN, FIX_TOKEN));
    assert_int_equal(fix_add_node(&fix, 50), RAY_EDENIED);
    assert_int_equal(fix_add_node(&fix, 44), RAY_OK); /* still known */
    assert_int_equal(fix_cluster(&fix)->last_raft_id, 6);
    fix_close(&fix);
}

static int report(struct fix *fix, unsigned id_number, unsigned incarnation)
{
    struct fix_command command;
    Rayos__Registry__NodeReport request = RAYOS__REGISTRY__NODE_REPORT__INIT;
    struct ray_id id = fix_id(id_number);
    struct ray_id boot = fix_id(incarnation);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.message.node_report = &request;
    command.header.incarnation = ray_proto_optional_id(&boot);
    request.node = ray_proto_optional_id(&id);
    request.address = (char *)"10.0.0.1:4000";
    request.health = (char *)"ok";
    return fix_apply(fix, &command);
}

static int remove_node(struct fix *fix, unsigned id)
{
    struct fix_command command;
    Rayos__Registry__NodeRemove request = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    struct ray_id node_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.message.node_remove = &request;
    request.node = ray_proto_optional_id(&node_id);
    return fix_apply(fix, &command);
}

static void test_joining_again_gets_a_new_raft_id(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 2);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, FIX_TOKEN, 900, 1), RAY_ECONFLICT);
    assert_string_equal(fix_happening(&fix)->what, "duplicate-identity");
    assert_int_equal(fix_find(&fix, COORD_TOKEN, FIX_TOKEN)->token.uses_left, 4);
    /* It was not heard of: what it has lost is its answer, and the token is not used again. */
    assert_int_equal(fix_join(&fix, FIX_NODE_B, FIX_TOKEN, 900, 2), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 3);
    assert_int_equal(fix_find(&fix, COORD_TOKEN, FIX_TOKEN)->token.uses_left, 4);
    assert_int_equal(report(&fix, FIX_NODE_B, 900), RAY_OK);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, FIX_TOKEN, 901, 3), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 4);
    assert_int_equal(fix_find(&fix, COORD_TOKEN, FIX_TOKEN)->token.uses_left, 3);
    fix_close(&fix);
}

/* The last use of a token is no less than the others: it is kept with the node, until that is heard
 * of; for that node alone, and shown to nobody. */
static void test_a_used_up_token_is_the_way_back(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_token_put(&fix, 31, 1, 0, false), RAY_OK);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 31, 900, 1), RAY_OK);
    assert_null(fix_find(&fix, COORD_TOKEN, 31));
    assert_true(node(&fix, FIX_NODE_B)->has_join_token);
    assert_int_equal(fix_join(&fix, FIX_NODE_C, 31, 910, 1), RAY_EDENIED);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 31, 901, 2), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 3);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 31, 902, 2), RAY_ECONFLICT);
    assert_int_equal(report(&fix, FIX_NODE_B, 900), RAY_ECONFLICT);
    assert_true(node(&fix, FIX_NODE_B)->has_join_token);
    assert_int_equal(report(&fix, FIX_NODE_B, 901), RAY_OK);
    assert_false(node(&fix, FIX_NODE_B)->has_join_token);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 31, 903, 3), RAY_EDENIED);
    fix_close(&fix);
}

static int approve(struct fix *fix, unsigned id_number, unsigned replaced)
{
    struct fix_command command;
    Rayos__Registry__NodeApprove request = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id id = fix_id(id_number);
    struct ray_id other = fix_id(replaced);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.message.node_approve = &request;
    request.node = ray_proto_optional_id(&id);
    request.replaces = ray_proto_optional_id(&other);
    return fix_apply(fix, &command);
}

static const char *name_of(const struct fix *fix, unsigned id)
{
    const struct coord_object *object = fix_find(fix, COORD_NODE, id);

    assert_non_null(object);
    return object->name;
}

/* A machine that was installed anew, with its old name: one approval, and it is in the old one's
 * place. */
static void test_a_name_comes_back(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    /* Not by a token alone: nobody knows whether the old one still runs. */
    assert_int_equal(fix_join_as(&fix, name_of(&fix, FIX_NODE_B), 40, FIX_TOKEN, 910, 1), RAY_OK);
    assert_int_equal(node(&fix, 40)->state, COORD_NODE_PENDING);
    assert_int_equal(node(&fix, 40)->raft_id, 0);
    assert_string_equal(node(&fix, 40)->wanted_name, name_of(&fix, FIX_NODE_B));
    assert_string_not_equal(name_of(&fix, 40), name_of(&fix, FIX_NODE_B));
    assert_int_equal(approve(&fix, 40, 0), RAY_ECONFLICT);
    assert_int_equal(approve(&fix, 40, FIX_NODE_A), RAY_ECONFLICT);
    assert_int_equal(approve(&fix, 40, FIX_NODE_B), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, FIX_NODE_B));
    assert_string_equal(node(&fix, 40)->wanted_name, "");
    assert_int_equal(node(&fix, 40)->state, COORD_NODE_MEMBER);
    assert_int_equal(node(&fix, 40)->raft_id, 3);
    /* The name became free while it waited. */
    assert_int_equal(fix_join_as(&fix, name_of(&fix, 40), 41, 0, 911, 1), RAY_OK);
    assert_int_equal(remove_node(&fix, 40), RAY_OK);
    assert_int_equal(approve(&fix, 41, 40), RAY_ECONFLICT);
    assert_int_equal(approve(&fix, 41, 0), RAY_OK);
    assert_int_equal(approve(&fix, 41, 0), RAY_ECONFLICT);
    /* Nobody is replaced by a node that has its own name. */
    assert_int_equal(fix_join(&fix, 42, 0, 912, 1), RAY_OK);
    assert_int_equal(approve(&fix, 42, 41), RAY_ECONFLICT);
    fix_close(&fix);
}

/* Who is replaced may still have guests somewhere: it stays, under another name, until they have
 * moved. */
static void test_the_replaced_node_leaves_a_tombstone(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_put_guest(&fix, 60, true), RAY_OK);
    assert_int_equal(fix_restart(&fix, 60, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_join_as(&fix, name_of(&fix, FIX_NODE_B), 40, FIX_TOKEN, 910, 1), RAY_OK);
    assert_int_equal(approve(&fix, 40, FIX_NODE_B), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_REMOVED);
    assert_null(strstr(name_of(&fix, 40), "."));
    assert_non_null(strstr(name_of(&fix, FIX_NODE_B), "."));
    fix_close(&fix);
}

/* Approved in advance: the token names who is to go, and who is to come. */
static void test_a_token_names_whose_place_it_is(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_token_put_for(&fix, 31, "node-x", FIX_NODE_B), RAY_ECONFLICT);
    assert_int_equal(fix_token_put_for(&fix, 31, "", FIX_NODE_B), RAY_ECONFLICT);
    assert_int_equal(fix_token_put_for(&fix, 31, name_of(&fix, FIX_NODE_B), FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "node-x", 40, 31, 910, 1), RAY_EDENIED);
    assert_int_equal(fix_find(&fix, COORD_TOKEN, 31)->token.uses_left, 1);
    assert_int_equal(fix_join_as(&fix, name_of(&fix, FIX_NODE_B), 40, 31, 910, 1), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, FIX_NODE_B));
    assert_null(fix_find(&fix, COORD_TOKEN, 31));
    assert_null(strchr(name_of(&fix, 40), '.'));
    assert_string_equal(node(&fix, 40)->wanted_name, "");
    assert_int_equal(node(&fix, 40)->state, COORD_NODE_MEMBER);
    assert_int_equal(node(&fix, 40)->raft_id, 3);
    fix_close(&fix);
}

/* It was made for the place of one that has gone since: who has the name now was not asked about.
 */
static void test_a_token_replaces_nobody_else(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_token_put_for(&fix, 31, name_of(&fix, FIX_NODE_B), FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_join_as(&fix, name_of(&fix, FIX_NODE_B), 40, FIX_TOKEN, 910, 1), RAY_OK);
    assert_int_equal(approve(&fix, 40, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_join_as(&fix, name_of(&fix, 40), 41, 31, 911, 1), RAY_OK);
    assert_int_equal(node(&fix, 40)->state, COORD_NODE_MEMBER);
    assert_int_equal(node(&fix, 41)->state, COORD_NODE_PENDING);
    assert_string_equal(node(&fix, 41)->wanted_name, name_of(&fix, 40));
    /* It waits, and gets a token of its own. */
    assert_int_equal(fix_token_put_for(&fix, 32, name_of(&fix, 40), 40), RAY_OK);
    assert_int_equal(fix_join_as(&fix, name_of(&fix, 40), 41, 32, 912, 2), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, 40));
    assert_int_equal(node(&fix, 41)->state, COORD_NODE_MEMBER);
    assert_null(strchr(name_of(&fix, 41), '.'));
    fix_close(&fix);
}

static int join_as_diskless(struct fix *fix, const char *name, unsigned id, unsigned token,
                            uint64_t boot_counter)
{
    const struct fix_joiner joiner = {.name = name,
                                      .node = id,
                                      .token = token,
                                      .incarnation = 900 + id,
                                      .boot_counter = boot_counter,
                                      .is_ephemeral = true};

    return fix_join_like(fix, &joiner);
}

static int join_diskless(struct fix *fix, unsigned id, unsigned token)
{
    return join_as_diskless(fix, "ram", id, token, 1);
}

static size_t count_nodes(const struct fix *fix)
{
    return coord_fsm_count(fix->fsm, COORD_NODE);
}

/* A machine without a disk has another key at each boot: its boots do not pile up. */
static void test_a_boot_in_memory_replaces_the_one_before(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned boot = 0; boot < 3; boot++) {
        assert_int_equal(join_diskless(&fix, 40 + boot, FIX_TOKEN), RAY_OK);
        assert_int_equal(count_nodes(&fix), 2);
        assert_string_equal(name_of(&fix, 40 + boot), "ram");
        assert_true(node(&fix, 40 + boot)->is_ephemeral);
        assert_int_equal(node(&fix, 40 + boot)->role, COORD_NODE_OBSERVER);
        assert_int_equal(node(&fix, 40 + boot)->state, COORD_NODE_MEMBER);
    }
    /* A node that has a disk takes nobody's place by its name, nor is its own taken. */
    assert_int_equal(fix_join_as(&fix, "ram", 50, FIX_TOKEN, 950, 1), RAY_OK);
    assert_int_equal(node(&fix, 50)->state, COORD_NODE_PENDING);
    assert_int_equal(remove_node(&fix, 42), RAY_OK);
    assert_int_equal(approve(&fix, 50, 0), RAY_OK);
    assert_int_equal(join_diskless(&fix, 51, FIX_TOKEN), RAY_OK);
    assert_int_equal(node(&fix, 51)->state, COORD_NODE_PENDING);
    assert_true(node(&fix, 51)->is_ephemeral);
    assert_int_equal(node(&fix, 50)->state, COORD_NODE_MEMBER);
    fix_close(&fix);
}

/* It has a disk, and guests on it, and is an observer because its token or who approved it said so:
 * no machine without a disk takes its place by its name. */
static void test_an_observer_with_a_disk_is_not_replaced(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_token_put_ephemeral(&fix, 31), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "ram", 50, 31, 950, 1), RAY_OK);
    assert_true(node(&fix, 50)->is_ephemeral);
    assert_false(node(&fix, 50)->is_in_memory);
    assert_int_equal(join_diskless(&fix, 51, FIX_TOKEN), RAY_OK);
    assert_int_equal(node(&fix, 50)->state, COORD_NODE_MEMBER);
    assert_string_equal(name_of(&fix, 50), "ram");
    assert_int_equal(node(&fix, 51)->state, COORD_NODE_PENDING);
    assert_true(node(&fix, 51)->is_in_memory);
    /* Nor while it waits under that name. */
    assert_int_equal(fix_token_put(&fix, 32, 9, 0, true), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "box", 52, 32, 952, 1), RAY_OK);
    assert_int_equal(join_as_diskless(&fix, "box", 53, FIX_TOKEN, 1), RAY_OK);
    assert_int_equal(node(&fix, 52)->state, COORD_NODE_PENDING);
    assert_string_equal(name_of(&fix, 52), "box");
    fix_close(&fix);
}

/* What it called itself first is what it is let in as, and what members have to look at. */
static void test_whose_place_is_by_the_first_name(void **state)
{
    struct fix fix;
    struct ray_id joiner = fix_id(60);
    const struct coord_object *outlived;
    uint8_t hash[COORD_KEY_SIZE];

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(join_diskless(&fix, 40, FIX_TOKEN), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "ram", 60, FIX_TOKEN, 960, 1), RAY_OK);
    assert_int_equal(node(&fix, 60)->state, COORD_NODE_PENDING);
    memcpy(hash, fix_find(&fix, COORD_TOKEN, FIX_TOKEN)->token.hash, sizeof hash);
    outlived = coord_fsm_outlived(fix.fsm, &joiner, "zzz", true, hash);
    assert_non_null(outlived);
    assert_string_equal(outlived->name, "ram");
    fix_close(&fix);
}

/* Whoever was not named when members looked stays. */
static void test_nobody_else_is_replaced(void **state)
{
    struct fix fix;
    struct fix_joiner joiner = {.name = "ram",
                                .node = 41,
                                .token = FIX_TOKEN,
                                .incarnation = 941,
                                .boot_counter = 1,
                                .is_ephemeral = true,
                                .names_nobody = true};

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(join_diskless(&fix, 40, FIX_TOKEN), RAY_OK);
    assert_int_equal(fix_join_like(&fix, &joiner), RAY_ECONFLICT);
    assert_int_equal(node(&fix, 40)->state, COORD_NODE_MEMBER);
    assert_null(fix_find(&fix, COORD_NODE, 41));
    joiner.names_nobody = false;
    assert_int_equal(fix_join_like(&fix, &joiner), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, 40));
    fix_close(&fix);
}

/* The same of boots that wait for approval, under their own name and under another one. */
static void test_boots_in_memory_that_wait(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_token_put(&fix, 31, 9, 0, true), RAY_OK);
    assert_int_equal(join_diskless(&fix, 40, 31), RAY_OK);
    assert_int_equal(join_diskless(&fix, 41, 31), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, 40));
    assert_string_equal(name_of(&fix, 41), "ram");
    assert_int_equal(node(&fix, 41)->state, COORD_NODE_PENDING);
    assert_int_equal(approve(&fix, 41, 0), RAY_OK);
    assert_int_equal(join_diskless(&fix, 42, 31), RAY_OK);
    assert_int_equal(join_diskless(&fix, 43, 31), RAY_OK);
    assert_int_equal(count_nodes(&fix), 3);
    assert_null(fix_find(&fix, COORD_NODE, 42));
    assert_string_equal(node(&fix, 43)->wanted_name, "ram");
    assert_int_equal(node(&fix, 41)->state, COORD_NODE_MEMBER);
    assert_int_equal(approve(&fix, 43, 41), RAY_OK);
    assert_true(node(&fix, 43)->is_ephemeral);
    assert_int_equal(count_nodes(&fix), 2);
    fix_close(&fix);
}

static void test_approval(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__NodeApprove approve = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id id = fix_id(FIX_NODE_B);

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 0, 900, 1), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_PENDING);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 0);
    assert_int_equal(fix_admit(&fix, FIX_NODE_B, 900, 1, 1), RAY_EDENIED);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.message.node_approve = &approve;
    approve.node = ray_proto_optional_id(&id);
    approve.is_ephemeral = true;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(fix_apply(&fix, &command), RAY_ECONFLICT);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_MEMBER);
    assert_true(node(&fix, FIX_NODE_B)->is_ephemeral);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 2);
    /* The number is of the boot that is told it first. */
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 0, 900, 1), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->boot_counter, 1);
    assert_int_equal(fix_admit(&fix, FIX_NODE_B, 900, 1, 1), RAY_OK);
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 0, 910, 1), RAY_ECONFLICT);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_MEMBER);
    /* It lost its disk: approved once more, it gets another. */
    assert_int_equal(fix_join(&fix, FIX_NODE_B, 0, 910, 2), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_PENDING);
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 3);
    assert_true(node(&fix, FIX_NODE_B)->numbered_revision >=
                node(&fix, FIX_NODE_B)->admitted_revision);
    /* A token that only opens the door. */
    assert_int_equal(fix_token_put(&fix, 31, 1, 0, true), RAY_OK);
    assert_int_equal(fix_join(&fix, FIX_NODE_C, 31, 901, 1), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_C)->state, COORD_NODE_PENDING);
    fix_close(&fix);
}

static int renumber(struct fix *fix, unsigned id_number, uint64_t raft_id, unsigned incarnation)
{
    struct fix_command command;
    Rayos__Registry__NodeRenumber body = RAYOS__REGISTRY__NODE_RENUMBER__INIT;
    struct ray_id id = fix_id(id_number);
    struct ray_id boot = fix_id(incarnation);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_RENUMBER;
    command.message.node_renumber = &body;
    body.node = ray_proto_optional_id(&id);
    body.expected_raft_id = raft_id;
    body.incarnation = ray_proto_optional_id(&boot);
    return fix_apply(fix, &command);
}

static int tick_of(struct fix *fix, unsigned incarnation)
{
    struct fix_command command;
    Rayos__Registry__Tick body = RAYOS__REGISTRY__TICK__INIT;
    struct ray_id boot = fix_id(incarnation);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
    command.message.tick = &body;
    command.header.incarnation = ray_proto_optional_id(&boot);
    return fix_apply(fix, &command);
}

static void test_an_observer_has_no_office(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->role, COORD_NODE_OBSERVER);
    assert_int_equal(tick_of(&fix, fix_incarnation(FIX_NODE_B)), RAY_EDENIED);
    assert_int_equal(tick_of(&fix, fix_incarnation(FIX_NODE_A)), RAY_OK);
    assert_int_equal(tick_of(&fix, 999), RAY_OK); /* not admitted yet */
    fix_close(&fix);
}

static void test_new_number(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 901, 2, 1), RAY_OK);
    assert_true(node(&fix, FIX_NODE_A)->numbered_revision <
                node(&fix, FIX_NODE_A)->admitted_revision);
    assert_int_equal(renumber(&fix, FIX_NODE_A, 1, 900), RAY_ECONFLICT); /* another boot */
    assert_int_equal(renumber(&fix, FIX_NODE_A, 2, 901), RAY_ECONFLICT); /* another number */
    assert_int_equal(renumber(&fix, FIX_NODE_A, 1, 901), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_A)->raft_id, 2);
    assert_int_equal(node(&fix, FIX_NODE_A)->role, COORD_NODE_OBSERVER);
    assert_true(node(&fix, FIX_NODE_A)->numbered_revision >
                node(&fix, FIX_NODE_A)->admitted_revision);
    assert_int_equal(renumber(&fix, FIX_NODE_A, 1, 901), RAY_ECONFLICT);
    fix_close(&fix);
}

static void test_pending_limit(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < COORD_FSM_NODES_PENDING_MAX; i++) {
        assert_int_equal(fix_join(&fix, 1000 + i, 0, 5000 + i, 1), RAY_OK);
    }
    assert_int_equal(fix_join(&fix, 2000, 0, 7000, 1), RAY_ETOOBIG);
    assert_int_equal(fix_join(&fix, 1000, 0, 5000, 1), RAY_OK); /* asks again */
    fix_close(&fix);
}

/* Of two machines with one disk, each boot replaces the other; the older never comes back. */
static void test_clones(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 901, 2, 1), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_A)->boot_counter, 2);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 902, 2, 1), RAY_ECONFLICT);
    assert_string_equal(fix_happening(&fix)->what, "duplicate-identity");
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), 1);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 902, 2, 1), RAY_ECONFLICT);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), 1); /* said once */
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, fix_incarnation(FIX_NODE_A), 1, 1), RAY_ECONFLICT);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 902, 3, 1), RAY_OK);
    assert_int_equal(fix_admit(&fix, FIX_NODE_A, 901, 2, 1), RAY_ECONFLICT);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), 3);
    fix_close(&fix);
}

static int set_role(struct fix *fix, unsigned id, uint64_t raft_id, Rayos__Registry__Role role)
{
    struct fix_command command;
    Rayos__Registry__NodeRole request = RAYOS__REGISTRY__NODE_ROLE__INIT;
    struct ray_id node_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ROLE;
    command.message.node_role = &request;
    request.node = ray_proto_optional_id(&node_id);
    request.raft_id = raft_id;
    request.role = role;
    return fix_apply(fix, &command);
}

static int quarantine(struct fix *fix, unsigned id, bool is_quarantined, const char *why)
{
    struct fix_command command;
    Rayos__Registry__NodeQuarantine request = RAYOS__REGISTRY__NODE_QUARANTINE__INIT;
    struct ray_id node_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_QUARANTINE;
    command.message.node_quarantine = &request;
    request.node = ray_proto_optional_id(&node_id);
    request.is_quarantined = is_quarantined;
    request.message = (char *)(uintptr_t)why;
    return fix_apply(fix, &command);
}

static int drain(struct fix *fix, unsigned id, bool is_drained)
{
    struct fix_command command;
    Rayos__Registry__NodeDrain request = RAYOS__REGISTRY__NODE_DRAIN__INIT;
    struct ray_id node_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.message.node_drain = &request;
    request.node = ray_proto_optional_id(&node_id);
    request.is_drained = is_drained;
    return fix_apply(fix, &command);
}

static void test_quarantine(void **state)
{
    char large[COORD_MESSAGE_SIZE + 1] = "";
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(quarantine(&fix, FIX_NODE_B, true, "why"), RAY_ENOTFOUND);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    memset(large, 'a', sizeof large - 1);
    assert_int_equal(quarantine(&fix, FIX_NODE_B, true, large), RAY_EINVAL);
    assert_false(node(&fix, FIX_NODE_B)->is_quarantined);
    assert_int_equal(quarantine(&fix, FIX_NODE_B, true, "its log is damaged"), RAY_OK);
    assert_true(node(&fix, FIX_NODE_B)->is_quarantined);
    assert_string_equal(node(&fix, FIX_NODE_B)->health, "failed");
    assert_string_equal(node(&fix, FIX_NODE_B)->message, "its log is damaged");
    assert_string_equal(fix_happening(&fix)->what, "node-quarantined");
    assert_string_equal(fix_happening(&fix)->text, "its log is damaged");
    /* The first reason stays. */
    assert_int_equal(quarantine(&fix, FIX_NODE_B, true, "another"), RAY_OK);
    assert_string_equal(node(&fix, FIX_NODE_B)->message, "its log is damaged");
    assert_int_equal(drain(&fix, FIX_NODE_B, true), RAY_OK);
    assert_true(node(&fix, FIX_NODE_B)->is_quarantined);
    assert_int_equal(quarantine(&fix, FIX_NODE_B, false, ""), RAY_OK);
    assert_false(node(&fix, FIX_NODE_B)->is_quarantined);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_DRAINED);
    assert_string_equal(node(&fix, FIX_NODE_B)->health, "");
    assert_string_equal(fix_happening(&fix)->what, "node-returned");
    assert_int_equal(quarantine(&fix, FIX_NODE_B, true, ""), RAY_OK);
    fix_close(&fix);
}

static void test_roles(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(set_role(&fix, FIX_NODE_B, 9, RAYOS__REGISTRY__ROLE__ROLE_VOTER),
                     RAY_ECONFLICT);
    assert_int_equal(set_role(&fix, FIX_NODE_B, 2, (Rayos__Registry__Role)5), RAY_EINVAL);
    assert_int_equal(set_role(&fix, FIX_NODE_B, 2, RAYOS__REGISTRY__ROLE__ROLE_STANDBY), RAY_OK);
    assert_true(fix_event(&fix, COORD_NODE, FIX_NODE_B)->is_for_all);
    assert_int_equal(coord_fsm_find_raft_id(fix.fsm, 2)->node.role, COORD_NODE_STANDBY);
    assert_null(coord_fsm_find_raft_id(fix.fsm, 0));
    assert_int_equal(drain(&fix, FIX_NODE_B, true), RAY_OK);
    assert_int_equal(remove_node(&fix, FIX_NODE_B), RAY_ECONFLICT);
    assert_true(strstr(fix.outcome.result.next_step, "drain") != NULL);
    assert_int_equal(set_role(&fix, FIX_NODE_B, 2, RAYOS__REGISTRY__ROLE__ROLE_OBSERVER), RAY_OK);
    assert_int_equal(drain(&fix, FIX_NODE_B, false), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->state, COORD_NODE_MEMBER);
    assert_int_equal(remove_node(&fix, FIX_NODE_B), RAY_OK);
    assert_null(fix_find(&fix, COORD_NODE, FIX_NODE_B));
    assert_int_equal(remove_node(&fix, FIX_NODE_B), RAY_ENOTFOUND);
    /* Its number is not given out again. */
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(node(&fix, FIX_NODE_B)->raft_id, 3);
    fix_close(&fix);
}

static int settle(struct fix *fix, uint64_t revision)
{
    struct fix_command command;
    Rayos__Registry__TimingSettled settled = RAYOS__REGISTRY__TIMING_SETTLED__INIT;

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_TIMING_SETTLED;
    command.message.timing_settled = &settled;
    settled.timing_revision = revision;
    return fix_apply(fix, &command);
}

/* W uses the maxima until a leader has logged that nobody can live by the old values. */
static void test_timing(void **state)
{
    struct fix fix;
    uint64_t lowered;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_timing(&fix, 1), RAY_EINVAL);
    assert_int_equal(fix_timing(&fix, 1500), RAY_OK);
    lowered = fix.index;
    assert_int_equal(fix_cluster(&fix)->timing.grant_ms, 1500);
    assert_int_equal(fix_cluster(&fix)->grant_ms_max, 3000);
    assert_int_equal(fix_cluster(&fix)->margin_ms_max, 500);
    assert_false(fix_cluster(&fix)->is_settled);
    assert_int_equal(fix_timing(&fix, 900), RAY_ECONFLICT);
    assert_int_equal(settle(&fix, lowered - 1), RAY_ECONFLICT);
    assert_int_equal(settle(&fix, lowered), RAY_OK);
    assert_int_equal(fix_cluster(&fix)->grant_ms_max, 1500);
    assert_int_equal(fix_cluster(&fix)->margin_ms_max, 250);
    assert_int_equal(settle(&fix, lowered), RAY_OK);
    /* Raising counts at once. */
    assert_int_equal(fix_timing(&fix, 6000), RAY_OK);
    assert_int_equal(fix_cluster(&fix)->grant_ms_max, 6000);
    fix_close(&fix);
}

static void test_voters(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__VotersSet set = RAYOS__REGISTRY__VOTERS_SET__INIT;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_cluster(&fix)->wanted_voters, 3);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
    command.message.voters_set = &set;
    for (uint32_t voters = 0; voters < 8; voters++) {
        set.wanted_voters = voters;
        assert_int_equal(fix_apply(&fix, &command),
                         voters == 1 || voters == 3 || voters == 5 ? RAY_OK : RAY_EINVAL);
    }
    assert_int_equal(fix_cluster(&fix)->wanted_voters, 5);
    fix_close(&fix);
}

/* Only the last ones are kept, and what makes room is no news. */
static void test_happenings_are_limited(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;
    char text[32];

    (void)state;
    fix_open_cluster(&fix);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.message.event_add = &add;
    add.what = (char *)"test";
    add.text = text;
    for (unsigned i = 1; i <= COORD_EVENTS_KEPT_MAX + 3; i++) {
        (void)snprintf(text, sizeof text, "number %u", i);
        assert_int_equal(fix_apply(&fix, &command), RAY_OK);
        assert_int_equal(fix.outcome.event_count, 1);
    }
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), COORD_EVENTS_KEPT_MAX);
    assert_int_equal(fix_happening(&fix)->sequence, COORD_EVENTS_KEPT_MAX + 3);
    assert_null(fix_find(&fix, COORD_EVENT, 3));
    assert_non_null(fix_find(&fix, COORD_EVENT, 4));
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_is_used_n_times),
        cmocka_unit_test(test_joining_again_gets_a_new_raft_id),
        cmocka_unit_test(test_a_used_up_token_is_the_way_back),
        cmocka_unit_test(test_a_token_names_whose_place_it_is),
        cmocka_unit_test(test_a_token_replaces_nobody_else),
        cmocka_unit_test(test_a_boot_in_memory_replaces_the_one_before),
        cmocka_unit_test(test_an_observer_with_a_disk_is_not_replaced),
        cmocka_unit_test(test_whose_place_is_by_the_first_name),
        cmocka_unit_test(test_nobody_else_is_replaced),
        cmocka_unit_test(test_boots_in_memory_that_wait),
        cmocka_unit_test(test_a_name_comes_back),
        cmocka_unit_test(test_the_replaced_node_leaves_a_tombstone),
        cmocka_unit_test(test_approval),
        cmocka_unit_test(test_an_observer_has_no_office),
        cmocka_unit_test(test_new_number),
        cmocka_unit_test(test_pending_limit),
        cmocka_unit_test(test_clones),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_quarantine),
        cmocka_unit_test(test_timing),
        cmocka_unit_test(test_voters),
        cmocka_unit_test(test_happenings_are_limited),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

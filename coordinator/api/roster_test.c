/* The roster: from the registry and back through bytes, what a disk may have made of it, and when
 * it counts more than the registry. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/api/roster_list.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "net/proto_codec.h"

struct case_state {
    struct fix fix;
    struct ray_id self;
    struct member_roster roster;
    struct ray_buf bytes;
};

static void set_role(struct fix *fix, unsigned node, Rayos__Registry__Role role)
{
    const struct coord_object *object = fix_find(fix, COORD_NODE, node);
    Rayos__Registry__NodeRole body = RAYOS__REGISTRY__NODE_ROLE__INIT;
    struct ray_id id = fix_id(node);
    struct fix_command command;

    fix_command(&command);
    body.node = ray_proto_optional_id(&id);
    body.role = role;
    body.raft_id = object->node.raft_id;
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ROLE;
    command.message.node_role = &body;
    assert_int_equal(fix_apply(fix, &command), RAY_OK);
}

static int open_case(void **state)
{
    struct case_state *c = calloc(1, sizeof *c);

    assert_non_null(c);
    fix_open_cluster(&c->fix);
    assert_int_equal(fix_add_node(&c->fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_add_node(&c->fix, FIX_NODE_C), RAY_OK);
    set_role(&c->fix, FIX_NODE_B, RAYOS__REGISTRY__ROLE__ROLE_VOTER);
    c->self = fix_id(FIX_NODE_A);
    ray_buf_init(&c->bytes, 64 << 10);
    *state = c;
    return 0;
}

static int close_case(void **state)
{
    struct case_state *c = *state;

    ray_buf_fini(&c->bytes);
    fix_close(&c->fix);
    free(c);
    return 0;
}

static void list(struct case_state *c)
{
    assert_true(member_roster_list(c->fix.fsm, &c->self, &c->roster));
}

static int parse(const uint8_t *bytes, size_t size, struct member_roster *out)
{
    uint8_t *exact = ray_test_copy(bytes, size);
    struct ray_err err = {0};
    int rc = member_roster_parse(exact, size, out, &err);

    assert_true(rc == RAY_OK || err.text[0] != '\0');
    free(exact);
    return rc;
}

static void lists_who_replicates(void **state)
{
    struct case_state *c = *state;
    struct ray_id b = fix_id(FIX_NODE_B);
    struct ray_id observer = fix_id(FIX_NODE_C);
    const struct member_roster_line *line;

    list(c);
    assert_int_equal(c->roster.count, 2);
    line = member_roster_find(&c->roster, &b);
    assert_non_null(line);
    assert_string_equal(line->address, fix_find(&c->fix, COORD_NODE, FIX_NODE_B)->node.address);
    assert_non_null(member_roster_find(&c->roster, &c->self));
    assert_null(member_roster_find(&c->roster, &observer));
    assert_int_equal(c->roster.revision, coord_fsm_index(c->fix.fsm));

    c->self = observer; /* who asks is in its own */
    list(c);
    assert_non_null(member_roster_find(&c->roster, &observer));
}

static void is_the_same_through_bytes(void **state)
{
    struct case_state *c = *state;
    struct member_roster *again = calloc(1, sizeof *again);

    assert_non_null(again);
    list(c);
    assert_int_equal(member_roster_pack(&c->roster, &c->bytes), RAY_OK);
    assert_int_equal(parse(c->bytes.data, c->bytes.size, again), RAY_OK);
    assert_true(member_roster_is_same(&c->roster, again));
    assert_int_equal(again->revision, c->roster.revision);
    again->revision++;
    assert_true(member_roster_is_same(&c->roster, again)); /* what counts is who is in it */
    again->lines[1].address[0] ^= 1;
    assert_false(member_roster_is_same(&c->roster, again));
    free(again);
}

static void takes_nothing_that_is_damaged(void **state)
{
    struct case_state *c = *state;
    struct member_roster *out = calloc(1, sizeof *out);
    struct member_roster *zero = calloc(1, sizeof *zero);

    assert_true(out != NULL && zero != NULL);
    list(c);
    assert_int_equal(member_roster_pack(&c->roster, &c->bytes), RAY_OK);
    for (size_t size = 0; size < c->bytes.size; size++) {
        struct member_roster *cut = calloc(1, sizeof *cut);

        assert_non_null(cut);
        if (parse(c->bytes.data, size, cut) != RAY_OK) {
            assert_memory_equal(cut, zero, sizeof *cut);
        }
        free(cut);
    }
    for (size_t i = 0; i < c->bytes.size; i++) {
        c->bytes.data[i] ^= 0xff;
        if (parse(c->bytes.data, c->bytes.size, out) == RAY_OK) {
            assert_true(out->count >= 1 && out->count <= MEMBER_ROSTER_MAX);
            assert_true(out->cluster_epoch != 0);
        }
        c->bytes.data[i] ^= 0xff;
    }
    free(out);
    free(zero);
}

/* A message with that many members, all alike but for their ids. */
static int take(const struct case_state *c, size_t count, bool is_one_twice)
{
    static Rayos__Cluster__Member members[MEMBER_ROSTER_MAX + 1];
    static Rayos__Cluster__Member *pointers[MEMBER_ROSTER_MAX + 1];
    struct ray_id ids[MEMBER_ROSTER_MAX + 1];
    struct member_roster_message *message = calloc(1, sizeof *message);
    struct member_roster *out = calloc(1, sizeof *out);
    struct ray_err err = {0};
    int rc;

    assert_true(message != NULL && out != NULL);
    member_roster_describe(&c->roster, message);
    for (size_t i = 0; i < count; i++) {
        ids[i] = fix_id((unsigned)(count - i));
        members[i] = message->members[0];
        members[i].id = ray_proto_optional_id(&ids[i]);
        pointers[i] = &members[i];
    }
    if (is_one_twice) {
        ids[count - 1] = ids[0];
    }
    message->joined.members = pointers;
    message->joined.n_members = count;
    rc = member_roster_take(&message->joined, out, &err);
    assert_true(rc == RAY_OK ? out->count == count : out->count == 0);
    for (size_t i = 1; i < out->count; i++) {
        assert_true(ray_id_compare(&out->lines[i - 1].id, &out->lines[i].id) < 0);
    }
    free(message);
    free(out);
    return rc;
}

static void has_a_limit_and_nobody_twice(void **state)
{
    struct case_state *c = *state;

    list(c);
    assert_int_equal(take(c, 0, false), RAY_EMALFORMED);
    assert_int_equal(take(c, 1, false), RAY_OK);
    assert_int_equal(take(c, MEMBER_ROSTER_MAX, false), RAY_OK);
    assert_int_equal(take(c, MEMBER_ROSTER_MAX + 1, false), RAY_EMALFORMED);
    assert_int_equal(take(c, 3, true), RAY_EMALFORMED);
    c->roster.cluster_epoch = 0;
    assert_int_equal(take(c, 1, false), RAY_EMALFORMED);
}

static void is_ahead_of_what_is_replayed(void **state)
{
    struct case_state *c = *state;
    struct member_roster none = {.count = 0};
    struct coord_fsm *empty = NULL;
    const unsigned survivors[] = {FIX_NODE_A};

    assert_int_equal(coord_fsm_create(&empty, NULL), RAY_OK);
    list(c);
    assert_true(member_roster_is_ahead(&c->roster, empty)); /* the checkpoint is gone */
    assert_false(member_roster_is_ahead(&none, empty));
    assert_false(member_roster_is_ahead(&c->roster, c->fix.fsm));
    c->roster.revision++;
    assert_true(member_roster_is_ahead(&c->roster, c->fix.fsm)); /* one entry is missing */

    /* What a lost majority had more does not count after the recovery, but that one does. */
    assert_int_equal(fix_recover(&c->fix, 1, survivors, 1), RAY_OK);
    c->roster.revision += 1000;
    assert_false(member_roster_is_ahead(&c->roster, c->fix.fsm));
    c->roster.cluster_epoch = 3;
    c->roster.revision = 1;
    assert_true(member_roster_is_ahead(&c->roster, c->fix.fsm));
    coord_fsm_destroy(empty);
}

static void who_decides_and_what_is_kept(void **state)
{
    struct case_state *c = *state;
    struct member_roster kept = {.count = 0};
    struct coord_fsm *empty = NULL;

    assert_int_equal(coord_fsm_create(&empty, NULL), RAY_OK);
    assert_true(member_roster_decides(&kept, NULL));
    assert_true(member_roster_decides(&kept, empty)); /* it knows nobody */
    assert_false(member_roster_renew(&kept, empty, &c->self, &c->roster));
    assert_false(member_roster_decides(&kept, c->fix.fsm));
    assert_true(member_roster_renew(&kept, c->fix.fsm, &c->self, &c->roster));
    kept = c->roster;
    assert_true(member_roster_decides(&kept, empty));
    assert_false(member_roster_renew(&kept, c->fix.fsm, &c->self, &c->roster)); /* the same */

    kept.count--; /* another one: it is replaced, but not by an older registry */
    assert_true(member_roster_renew(&kept, c->fix.fsm, &c->self, &c->roster));
    kept.revision++;
    assert_true(member_roster_decides(&kept, c->fix.fsm));
    assert_false(member_roster_renew(&kept, c->fix.fsm, &c->self, &c->roster));
    coord_fsm_destroy(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_who_replicates, open_case, close_case),
        cmocka_unit_test_setup_teardown(is_the_same_through_bytes, open_case, close_case),
        cmocka_unit_test_setup_teardown(takes_nothing_that_is_damaged, open_case, close_case),
        cmocka_unit_test_setup_teardown(has_a_limit_and_nobody_twice, open_case, close_case),
        cmocka_unit_test_setup_teardown(is_ahead_of_what_is_replayed, open_case, close_case),
        cmocka_unit_test_setup_teardown(who_decides_and_what_is_kept, open_case, close_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

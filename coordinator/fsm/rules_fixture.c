#include "coordinator/fsm/rules_fixture.h"

#include "base/test.h"
#include "net/proto_codec.h"
#include "net/spec.h"

const struct policy_fix_rule rules_admins = {
    .name = "admins", .effect = ALLOW, .who = "role:admin"};

struct rules rules_pack(const struct policy_fix_rule *list, size_t count)
{
    struct rules rules;

    rules.bytes = policy_fix_pack(list, count, &rules.size);
    return rules;
}

int rules_set(struct fix *fix, const struct policy_fix_rule *list, size_t count)
{
    struct rules rules = rules_pack(list, count);
    int rc = fix_policy_set(fix, rules.bytes, rules.size, 0, 0);

    free(rules.bytes);
    return rc;
}

/* A cluster with the rules that new ones have, a guest, an operator, two viewers and an admin. */
void rules_open(struct fix *fix)
{
    struct ray_buf rules;

    ray_buf_init(&rules, COORD_POLICY_SIZE_MAX);
    assert_int_equal(coord_policy_default(&rules, NULL), RAY_OK);
    fix_open_cluster_with(fix, rules.data, rules.size);
    ray_buf_fini(&rules);
    assert_int_equal(fix_put_guest(fix, GUEST, false), RAY_OK);
    assert_int_equal(
        fix_principal(fix, ANN, "ann", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN), RAY_OK);
    assert_int_equal(
        fix_principal(fix, BOB, "bob", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_OK);
    assert_int_equal(
        fix_principal(fix, EVE, "eve", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER), RAY_OK);
    assert_int_equal(
        fix_principal(fix, ZOE, "zoe", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_NONE), RAY_OK);
}

Rayos__Registry__Reply *rules_reply(const struct fix *fix)
{
    const struct coord_fsm_result *result = &fix->outcome.result;
    Rayos__Registry__Reply *reply =
        rayos__registry__reply__unpack(NULL, result->body_size, result->body);

    assert_non_null(reply);
    return reply;
}

/* Logged time goes on by that, in steps that count. */
void rules_pass(struct fix *fix, uint64_t us)
{
    static const uint64_t step_us = COORD_FSM_TICK_MAX_US;
    uint64_t now_us = 1000 * fix->index * step_us;

    assert_int_equal(fix_tick(fix, now_us), RAY_OK); /* it only begins to count */
    for (uint64_t done_us = 0; done_us < us; done_us += step_us) {
        now_us += us - done_us < step_us ? us - done_us : step_us;
        assert_int_equal(fix_tick(fix, now_us), RAY_OK);
    }
}

/* Everything comes out of a dump again, and goes on alike. */
void rules_survive_a_dump(struct fix *fix)
{
    struct ray_buf bytes;
    uint8_t before[COORD_HASH_SIZE];
    uint8_t after[COORD_HASH_SIZE];

    fix_dump(fix->fsm, &bytes);
    coord_fsm_hash(fix->fsm, before);
    coord_fsm_destroy(fix->fsm);
    fix->fsm = fix_load(bytes.data, bytes.size, 1000);
    assert_non_null(fix->fsm);
    coord_fsm_hash(fix->fsm, after);
    assert_memory_equal(before, after, sizeof before);
    ray_buf_fini(&bytes);
}

int rules_put_guest(struct fix *fix, const char *principal, const char *name, bool is_wanted,
                    unsigned guest, uint32_t vcpus)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct ray_id id = fix_id(guest);
    uint8_t bytes[32];

    spec.vcpus = vcpus;
    assert_true(rayos__spec__guest_spec__get_packed_size(&spec) <= sizeof bytes);
    object.spec = ray_proto_bytes(bytes, rayos__spec__guest_spec__pack(&spec, bytes));
    fix_command(&command);
    fix_as(&command, principal, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&id);
    object.name = (char *)(uintptr_t)name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    body.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    return fix_apply(fix, &command);
}

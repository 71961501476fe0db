/* spec_test.c - what is put as the spec of guests, images, networks and volumes is one. */
#include <string.h>

#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "net/proto_codec.h"

enum { GUEST = 200, IMAGE = 600, SESSION = 500, TTL_US = 20000000 };

static const uint8_t small[] = {3 << 3, 2, 4 << 3, 0x80, 0x80, 0x80, 0x40}; /* 2 vCPUs, 128 MiB */
static const uint8_t many[] = {3 << 3, 0x81, 0x02};                         /* 257 vCPUs */
static const uint8_t strange[] = {0xe0, 0x03, 1};                           /* field 60 */

static void hold(const struct fix *fix, enum coord_kind kind, unsigned id, const void *spec,
                 size_t size)
{
    const struct coord_object *object = fix_find(fix, kind, id);

    assert_non_null(object);
    assert_int_equal(object->spec.size, size);
    if (size > 0) {
        assert_memory_equal(object->spec.data, spec, size);
    }
}

static void test_guest(void **state)
{
    const Rayos__Registry__Kind kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_spec(&fix, kind, GUEST, "g", many, sizeof many), RAY_EINVAL);
    assert_string_equal(fix.outcome.result.text, "vcpus: 257, at most 256");
    assert_int_equal(fix.outcome.event_count, 0);
    assert_null(fix_find(&fix, COORD_GUEST, GUEST));
    assert_int_equal(fix_put_spec(&fix, kind, GUEST, "g", small, sizeof small), RAY_OK);
    hold(&fix, COORD_GUEST, GUEST, small, sizeof small);
    assert_int_equal(fix_put_spec(&fix, kind, GUEST, "g", strange, sizeof strange),
                     RAY_EUNSUPPORTED);
    assert_string_equal(fix.outcome.result.text,
                        "GuestSpec has field 60, which feature level 1 does not have");
    assert_true(fix.outcome.result.next_step[0] != '\0');
    assert_int_equal(fix_put_spec(&fix, kind, GUEST, "g", small, sizeof small - 1), RAY_EINVAL);
    hold(&fix, COORD_GUEST, GUEST, small, sizeof small);
    assert_int_equal(fix_put_spec(&fix, kind, GUEST, "g", NULL, 0), RAY_OK);
    hold(&fix, COORD_GUEST, GUEST, NULL, 0);
    fix_close(&fix);
}

static void test_each_kind_has_its_own(void **state)
{
    static const struct {
        Rayos__Registry__Kind kind;
        uint8_t good[2]; /* field 2: a number, where the others have a string */
        int code;
    } cases[] = {
        {RAYOS__REGISTRY__KIND__KIND_GUEST, {2 << 3, 0}, RAY_EINVAL},
        {RAYOS__REGISTRY__KIND__KIND_IMAGE, {2 << 3, 0}, RAY_EINVAL},
        {RAYOS__REGISTRY__KIND__KIND_NETWORK, {2 << 3, 0}, RAY_OK},
        {RAYOS__REGISTRY__KIND__KIND_VOLUME, {2 << 3, 0}, RAY_OK},
        {RAYOS__REGISTRY__KIND__KIND_OPERATION, {0xff, 0xff}, RAY_OK}, /* not looked at */
    };
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            fix_put_spec(&fix, cases[i].kind, IMAGE + i, "", cases[i].good, sizeof cases[i].good),
            cases[i].code);
        assert_int_equal(fix_put_spec(&fix, cases[i].kind, IMAGE + i, "", strange, sizeof strange),
                         cases[i].kind == RAYOS__REGISTRY__KIND__KIND_OPERATION ? RAY_OK
                                                                                : RAY_EUNSUPPORTED);
    }
    fix_close(&fix);
}

/* The words are part of the state then; the twin of the fixture has the same hash. */
static void test_a_refusal_is_kept_for_retries(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id id = fix_id(GUEST);

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_session_open(&fix, SESSION, TTL_US), RAY_OK);
    for (int i = 0; i < 2; i++) {
        fix_command(&command);
        command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
        command.message.object_put = &put;
        object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
        object.id = ray_proto_id(&id);
        object.spec = ray_proto_bytes(strange, sizeof strange);
        put.object = &object;
        assert_int_equal(fix_apply_in(&fix, &command, SESSION, 1), RAY_EUNSUPPORTED);
        assert_int_equal(fix.outcome.result.is_retry, i == 1);
        assert_string_equal(fix.outcome.result.text,
                            "GuestSpec has field 60, which feature level 1 does not have");
    }
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guest),
        cmocka_unit_test(test_each_kind_has_its_own),
        cmocka_unit_test(test_a_refusal_is_kept_for_retries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* limit_test.c - a full registry: what makes it larger is refused, what is in it can be changed and
 * deleted, and then there is room again. */
#include <stdio.h>

#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"

enum { FIRST = 1000, SPEC_SIZE = 100 };

/* Of two state machines one would need twice the memory, and finds no more. */
static void open_alone(struct fix *fix)
{
    fix_open_cluster(fix);
    fix->has_no_twin = true;
}

static int put(struct fix *fix, unsigned number, size_t spec_size)
{
    char name[32];

    (void)snprintf(name, sizeof name, "image-%u", number);
    return fix_put_plain(fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, number, name, spec_size);
}

/* Until one is refused; the number of that one. */
static unsigned fill(struct fix *fix, size_t spec_size)
{
    unsigned number = FIRST;
    int rc;

    for (rc = put(fix, number, spec_size); rc == RAY_OK; rc = put(fix, number, spec_size)) {
        number++;
        assert_true(number - FIRST <= COORD_FSM_OBJECTS_MAX);
    }
    assert_int_equal(rc, RAY_ETOOBIG);
    return number;
}

static void test_objects(void **state)
{
    struct fix fix;
    unsigned next;

    (void)state;
    open_alone(&fix);
    next = fill(&fix, SPEC_SIZE);
    assert_true(next - FIRST > COORD_FSM_OBJECTS_MAX - 10); /* the fixture has a few */
    assert_int_equal(put(&fix, FIRST, SPEC_SIZE + 1), RAY_OK);
    assert_int_equal(put(&fix, next, SPEC_SIZE), RAY_ETOOBIG);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, FIRST + 1), RAY_OK);
    assert_int_equal(put(&fix, next, SPEC_SIZE), RAY_OK);
    assert_int_equal(put(&fix, next + 1, SPEC_SIZE), RAY_ETOOBIG);
    fix_close(&fix);
}

static void test_bytes(void **state)
{
    const size_t size = COORD_FSM_SPEC_SIZE_MAX;
    struct fix fix;
    unsigned next;

    (void)state;
    open_alone(&fix);
    next = fill(&fix, size);
    assert_true(next - FIRST > (COORD_FSM_STATE_SIZE_MAX / size) * 9 / 10);
    assert_int_equal(put(&fix, FIRST, size), RAY_OK); /* of the same size */
    while (put(&fix, next, SPEC_SIZE) == RAY_OK) {    /* the last room */
        next++;
    }
    assert_int_equal(put(&fix, next - 1, SPEC_SIZE), RAY_OK);
    assert_int_equal(put(&fix, next - 1, SPEC_SIZE + 1), RAY_ETOOBIG);
    assert_int_equal(put(&fix, FIRST, SPEC_SIZE), RAY_OK); /* smaller */
    assert_int_equal(put(&fix, next, SPEC_SIZE), RAY_OK);
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

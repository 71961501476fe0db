#include "base/test.h"
#include "coordinator/mutant.h"

static void test_list(void **state)
{
    struct ray_err err;
    enum ray_mutant found;

    (void)state;
    for (int i = RAY_MUTANT_NONE + 1; i < RAY_MUTANT_COUNT; i++) {
        const struct ray_mutant_info *info = ray_mutant_info((enum ray_mutant)i);

        assert_true(strlen(info->text) > 0 && strlen(info->checker) > 0);
        assert_int_equal(ray_mutant_find(info->name, &found, &err), RAY_OK);
        assert_int_equal(found, i);
    }
    assert_int_equal(ray_mutant_find("NO_SUCH", &found, &err), RAY_EINVAL);
}

static void test_select(void **state)
{
    struct ray_err err;

    (void)state;
    assert_false(RAY_MUTANT(STORE_TAIL_AS_ROT));
#ifdef RAY_MUTANTS
    assert_int_equal(ray_mutant_select(RAY_MUTANT_STORE_TAIL_AS_ROT, &err), RAY_OK);
    assert_true(RAY_MUTANT(STORE_TAIL_AS_ROT));
    assert_false(RAY_MUTANT(STORE_ROT_AS_TAIL));
#else
    assert_int_equal(ray_mutant_select(RAY_MUTANT_STORE_TAIL_AS_ROT, &err), RAY_EUNSUPPORTED);
    assert_false(RAY_MUTANT(STORE_TAIL_AS_ROT));
#endif
    assert_int_equal(ray_mutant_select(RAY_MUTANT_NONE, &err), RAY_OK);
    assert_false(RAY_MUTANT(STORE_TAIL_AS_ROT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_select),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

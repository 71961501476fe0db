/* Every image that is kept has a reason, at both sides of each limit. */
#include "base/test.h"
#include "provisioning/store/gc.h"

enum { IMAGE_COUNT = 6 };

static const struct provision_gc_rule rule = {.keep_count = 2, .keep_us = 100};

static size_t plan(const struct provision_gc_use *uses, size_t use_count, const char *expected)
{
    static const char *const ids[IMAGE_COUNT] = {"a", "b", "c", "d", "e", "f"};
    struct provision_gc_image images[IMAGE_COUNT];
    bool removed[IMAGE_COUNT];
    size_t count;

    for (size_t i = 0; i < IMAGE_COUNT; i++) {
        images[i] = (struct provision_gc_image){.id = ids[i], .is_damaged = i == 0 || i == 4};
    }
    count = provision_gc_plan(images, IMAGE_COUNT, &rule, uses, use_count, 1000, removed);
    for (size_t i = 0; i < IMAGE_COUNT; i++) {
        assert_int_equal(removed[i], expected[i] == 'x');
    }
    return count;
}

static void test_newest_stay(void **state)
{
    (void)state;
    /* a and e are damaged: they go, and do not count. */
    assert_int_equal(plan(NULL, 0, "x  xxx"), 4);
}

static void test_used_stay(void **state)
{
    const struct provision_gc_use uses[] = {
        {.id = "d", .is_assigned = true},
        {.id = "e", .last_served_us = 900},   /* exactly the limit */
        {.id = "f", .last_served_us = 899},   /* one beyond */
        {.id = "f", .last_served_us = 0},     /* never */
        {.id = "other", .is_assigned = true}, /* not in the store */
    };
    const struct provision_gc_use future[] = {
        {.id = "f", .last_served_us = UINT64_MAX},
        {.id = "a", .is_assigned = true},
    };

    (void)state;
    assert_int_equal(plan(uses, 5, "x    x"), 2);
    assert_int_equal(plan(future, 2, "   xx "), 2);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(provision_gc_plan(NULL, 0, &provision_gc_rule_default, NULL, 0, 0, NULL), 0);
    assert_int_equal(provision_gc_rule_default.keep_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_stay),
        cmocka_unit_test(test_used_stay),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests_name("provisioning/store/gc", tests, NULL, NULL);
}

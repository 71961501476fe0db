/* grant_page_test.c - a slot is read between any two steps of a write, and a reader is overtaken
 * by a whole write between any two of its loads. */
#include "base/grant_page.h"
#include "base/test.h"

static const struct ray_id id_a = {{1, 2, 3}};
static const struct ray_id id_b = {{1, 2, 4, 9, 9, 9, 9, 9, 9, 9, 1}};
static const struct ray_epoch epoch_1 = {1, 10};
static const struct ray_epoch epoch_2 = {1, 11};

static struct ray_grant_page *make_page(void)
{
    struct ray_grant_page *page = aligned_alloc(64, RAY_GRANT_PAGE_SIZE);

    assert_non_null(page);
    ray_grant_page_init(page);
    return page;
}

static void test_life_of_a_slot(void **state)
{
    struct ray_grant_page *page = make_page();
    struct ray_epoch epoch;
    struct ray_id id;

    (void)state;
    assert_int_equal(ray_grant_page_check(page, NULL), RAY_OK);
    assert_false(ray_grant_page_pair(page, 7, &id, &epoch));
    ray_grant_page_set(page, 7, &id_a, epoch_1, 100);
    assert_true(ray_grant_page_pair(page, 7, &id, &epoch));
    assert_true(ray_id_equal(&id, &id_a) && ray_epoch_equal(epoch, epoch_1));
    assert_int_equal(ray_grant_page_deadline(page, 7, &id_a, epoch_1), 100);
    assert_int_equal(ray_grant_page_deadline(page, 7, &id_a, epoch_2), 0);
    assert_int_equal(ray_grant_page_deadline(page, 7, &id_b, epoch_1), 0);
    assert_int_equal(ray_grant_page_deadline(page, 8, &id_a, epoch_1), 0);
    assert_int_equal(ray_grant_page_deadline(page, RAY_GRANT_SLOTS_MAX, &id_a, epoch_1), 0);
    ray_grant_page_set(page, 7, &id_a, epoch_1, 200);
    assert_int_equal(ray_grant_page_deadline(page, 7, &id_a, epoch_1), 200);
    ray_grant_page_kill(page, 7);
    assert_int_equal(ray_grant_page_deadline(page, 7, &id_a, epoch_1), 0);
    assert_true(ray_grant_page_pair(page, 7, &id, &epoch));
    ray_grant_page_clear(page, 7);
    assert_false(ray_grant_page_pair(page, 7, &id, &epoch));
    free(page);
}

static void test_none_is_never_alive(void **state)
{
    static const struct ray_id none;
    struct ray_grant_page *page = make_page();

    (void)state;
    assert_int_equal(ray_grant_page_deadline(page, 0, &none, (struct ray_epoch){0, 0}), 0);
    free(page);
}

static void test_other_layout(void **state)
{
    struct ray_grant_page *page = make_page();

    (void)state;
    page->version++;
    assert_int_equal(ray_grant_page_check(page, NULL), RAY_EUNSUPPORTED);
    page->version--;
    page->slot_count--;
    assert_int_equal(ray_grant_page_check(page, NULL), RAY_EUNSUPPORTED);
    free(page);
}

/* From {a, 1} until 100 to {b, 2} until 999, with a look at every step. The old pair may be seen
 * with its own deadline or dead, never with the new one; a mixture of both is never alive. */
static bool order_is_safe(const enum ray_grant_step order[RAY_GRANT_STEP_COUNT])
{
    struct ray_grant_page *page = make_page();
    bool is_safe = true;

    ray_grant_page_set(page, 0, &id_a, epoch_1, 100);
    for (int i = 0; i < RAY_GRANT_STEP_COUNT; i++) {
        uint64_t old_ns;
        uint64_t new_ns;

        ray_grant_page_step(page, 0, order[i], &id_b, epoch_2, 999);
        old_ns = ray_grant_page_deadline(page, 0, &id_a, epoch_1);
        new_ns = ray_grant_page_deadline(page, 0, &id_b, epoch_2);
        is_safe = is_safe && (old_ns == 0 || old_ns == 100) && (new_ns == 0 || new_ns == 999) &&
                  ray_grant_page_deadline(page, 0, &id_a, epoch_2) == 0 &&
                  ray_grant_page_deadline(page, 0, &id_b, epoch_1) == 0;
    }
    free(page);
    return is_safe;
}

static void test_half_written(void **state)
{
    enum ray_grant_step right[RAY_GRANT_STEP_COUNT];
    enum ray_grant_step wrong[RAY_GRANT_STEP_COUNT];

    (void)state;
    for (int i = 0; i < RAY_GRANT_STEP_COUNT; i++) {
        right[i] = (enum ray_grant_step)i;
        wrong[i] = (enum ray_grant_step)i;
    }
    assert_true(order_is_safe(right));
    /* The deadline before the pair; and the pair without killing the deadline first. */
    wrong[1] = RAY_GRANT_STEP_DEADLINE;
    wrong[5] = RAY_GRANT_STEP_ID_LOW;
    assert_false(order_is_safe(wrong));
    wrong[0] = RAY_GRANT_STEP_ID_LOW;
    wrong[1] = RAY_GRANT_STEP_ID_HIGH;
    wrong[2] = RAY_GRANT_STEP_CLUSTER;
    wrong[3] = RAY_GRANT_STEP_INDEX;
    wrong[4] = RAY_GRANT_STEP_KILL;
    wrong[5] = RAY_GRANT_STEP_DEADLINE;
    assert_false(order_is_safe(wrong));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_slot),
        cmocka_unit_test(test_none_is_never_alive),
        cmocka_unit_test(test_other_layout),
        cmocka_unit_test(test_half_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

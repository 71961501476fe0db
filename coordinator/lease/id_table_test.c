#include "base/test.h"
#include "coordinator/lease/id_table.h"

static struct ray_id id_of(uint32_t n)
{
    struct ray_id id = {{1}};

    memcpy(id.bytes + 4, &n, sizeof n);
    return id;
}

static void test_full_and_empty_again(void **state)
{
    enum { CAPACITY = 37 };
    struct coord_id_table table;
    struct ray_id id;

    (void)state;
    assert_int_equal(coord_id_table_init(&table, CAPACITY, NULL), RAY_OK);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t n = 0; n < CAPACITY; n++) {
            id = id_of(1000 * round + n);
            assert_int_equal(coord_id_table_find(&table, &id), COORD_ID_TABLE_NONE);
            assert_true(coord_id_table_insert(&table, &id) < CAPACITY);
        }
        id = id_of(999);
        assert_int_equal(coord_id_table_insert(&table, &id), COORD_ID_TABLE_NONE);
        /* Every other one first, so that chains are cut in their middle. */
        for (uint32_t n = 0; n < 2 * CAPACITY; n += 2) {
            uint32_t place;

            id = id_of(1000 * round + n % CAPACITY);
            place = coord_id_table_find(&table, &id);
            assert_true(place < CAPACITY && ray_id_equal(&table.ids[place], &id));
            coord_id_table_remove(&table, place);
            assert_int_equal(coord_id_table_find(&table, &id), COORD_ID_TABLE_NONE);
        }
        assert_int_equal(table.count, 0);
    }
    coord_id_table_fini(&table);
    coord_id_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_and_empty_again)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* coordinator/core/config_test.c - configurations, held against libraft's own codec. */
#include <raft.h>

#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/core_impl.h"

static struct coord_config make(size_t count)
{
    struct coord_config config = {.count = count};

    for (size_t i = 0; i < count; i++) {
        config.servers[i] = (struct coord_server){.id = (i + 1) * 0x0fffffffffffff01,
                                                  .role = i % 2 == 0 ? COORD_VOTER : COORD_STANDBY};
    }
    return config;
}

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t count = 1; count <= COORD_SERVERS_MAX; count++) {
        uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
        struct coord_config config = make(count);
        size_t size = coord_config_encode(&config, bytes);
        struct coord_config back;

        assert_int_equal(coord_config_decode(bytes, size, &back, NULL), RAY_OK);
        assert_true(coord_config_equal(&config, &back));
        for (size_t i = 0; i < size; i++) {
            uint8_t *exact = ray_test_copy(bytes, i);

            assert_int_equal(coord_config_decode(exact, i, &back, NULL), RAY_EMALFORMED);
            free(exact);
            for (int bit = 0; bit < 8; bit++) {
                bytes[i] ^= (uint8_t)(1 << bit);
                if (coord_config_decode(bytes, size, &back, NULL) == RAY_OK) {
                    /* Another role or number, in its only form. */
                    assert_false(coord_config_equal(&config, &back));
                }
                bytes[i] ^= (uint8_t)(1 << bit);
            }
        }
    }
}

static void test_libraft_reads_and_writes_the_same(void **state)
{
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_config config = make(5);
    struct raft_configuration theirs;
    struct raft_buffer buffer = {.base = bytes, .len = coord_config_encode(&config, bytes)};
    struct raft_buffer again;

    (void)state;
    assert_int_equal(raft_configuration_decode(&buffer, &theirs), 0);
    assert_int_equal(theirs.n, 5);
    assert_true(theirs.servers[4].id == config.servers[4].id);
    assert_int_equal(raft_configuration_encode(&theirs, &again), 0);
    assert_int_equal(again.len, buffer.len);
    assert_memory_equal(again.base, bytes, again.len);
    raft_free(again.base);
    raft_configuration_close(&theirs);
}

static void test_check(void **state)
{
    struct coord_config config = make(3);

    (void)state;
    assert_int_equal(coord_config_check(&config, NULL), RAY_OK);
    config.servers[1].id = config.servers[0].id;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
    config = make(2);
    config.servers[0].role = COORD_STANDBY;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
    config = make(2);
    config.servers[0].id = 0;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
    config = make(2);
    config.servers[1].role = (enum coord_role)2;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
    config.count = COORD_SERVERS_MAX + 1;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
    config.count = 0;
    assert_int_equal(coord_config_check(&config, NULL), RAY_EINVAL);
}

/* Guard G2. */
static void test_one_server_at_a_time(void **state)
{
    struct coord_config config = make(4);
    struct coord_config next = config;

    (void)state;
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_EINVAL);
    next.servers[1].role = COORD_VOTER;
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_OK);
    next.servers[3].role = COORD_VOTER;
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_EINVAL);
    next = config;
    assert_int_equal(coord_config_remove(&next, config.servers[2].id, NULL), RAY_OK);
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_OK);
    /* One for another, at equal size: what libraft would mix up. */
    assert_int_equal(coord_config_add(&next, 7, COORD_VOTER, NULL), RAY_OK);
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_EINVAL);
    next = config;
    assert_int_equal(coord_config_add(&next, 7, COORD_STANDBY, NULL), RAY_OK);
    assert_int_equal(next.servers[0].id, 7);
    assert_int_equal(coord_config_check_next(&config, &next, NULL), RAY_OK);
    assert_int_equal(coord_config_add(&next, 7, COORD_STANDBY, NULL), RAY_EEXISTS);
    assert_int_equal(coord_config_remove(&next, 8, NULL), RAY_ENOTFOUND);
    assert_int_equal(coord_config_set_role(&next, 8, COORD_VOTER, NULL), RAY_ENOTFOUND);
    next = make(COORD_SERVERS_MAX);
    assert_int_equal(coord_config_add(&next, 7, COORD_STANDBY, NULL), RAY_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_libraft_reads_and_writes_the_same),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_one_server_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

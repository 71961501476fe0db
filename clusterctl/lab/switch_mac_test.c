/* switch_mac_test.c - learning, moving, eviction, forgetting. */
#include "base/test.h"
#include "clusterctl/lab/switch_mac.h"

enum { CAPACITY = RAY_SWITCH_MAC_SET_COUNT * RAY_SWITCH_MAC_WAY_COUNT };

static void make_mac(uint8_t mac[static 6], uint32_t number)
{
    mac[0] = 0x52;
    mac[1] = 0x54;
    mac[2] = (uint8_t)(number >> 24);
    mac[3] = (uint8_t)(number >> 16);
    mac[4] = (uint8_t)(number >> 8);
    mac[5] = (uint8_t)number;
}

static void test_learn_and_move(void **state)
{
    struct ray_switch_mac_table table;
    uint8_t mac[6];
    uint16_t port = 99;
    (void)state;

    ray_switch_mac_init(&table);
    make_mac(mac, 1);
    assert_false(ray_switch_mac_find(&table, mac, &port));
    assert_int_equal(port, 99); /* untouched */
    ray_switch_mac_learn(&table, mac, 3, 10);
    assert_true(ray_switch_mac_find(&table, mac, &port));
    assert_int_equal(port, 3);
    ray_switch_mac_learn(&table, mac, 4, 11);
    assert_true(ray_switch_mac_find(&table, mac, &port));
    assert_int_equal(port, 4);
    assert_int_equal(ray_switch_mac_count(&table), 1);
}

static void test_group_addresses(void **state)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t multicast[6] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t zero[6] = {0};
    struct ray_switch_mac_table table;
    uint16_t port;
    (void)state;

    ray_switch_mac_init(&table);
    ray_switch_mac_learn(&table, broadcast, 1, 1);
    ray_switch_mac_learn(&table, multicast, 1, 1);
    ray_switch_mac_learn(&table, zero, 1, 1);
    assert_int_equal(ray_switch_mac_count(&table), 0);
    assert_false(ray_switch_mac_find(&table, broadcast, &port));
    assert_false(ray_switch_mac_find(&table, multicast, &port));
    assert_false(ray_switch_mac_find(&table, zero, &port));
    assert_true(ray_switch_mac_is_group(broadcast));
    assert_true(ray_switch_mac_is_group(multicast));
}

/* A machine that invents addresses evicts the silent, never the one that speaks. */
static void test_eviction(void **state)
{
    struct ray_switch_mac_table table;
    uint8_t busy[6];
    uint8_t mac[6];
    uint16_t port;
    (void)state;

    ray_switch_mac_init(&table);
    make_mac(busy, 0);
    for (uint32_t i = 1; i <= 4 * CAPACITY; i++) {
        make_mac(mac, i);
        ray_switch_mac_learn(&table, busy, 7, 2 * (uint64_t)i);
        ray_switch_mac_learn(&table, mac, 8, 2 * (uint64_t)i + 1);
        assert_true(ray_switch_mac_find(&table, busy, &port));
        assert_int_equal(port, 7);
        assert_true(ray_switch_mac_find(&table, mac, &port));
        assert_int_equal(port, 8);
    }
    assert_true(ray_switch_mac_count(&table) <= CAPACITY);
    assert_true(ray_switch_mac_count(&table) > CAPACITY * 9 / 10); /* sets fill evenly */
}

static void test_forget_port(void **state)
{
    struct ray_switch_mac_table table;
    uint8_t mac[6];
    uint16_t port;
    (void)state;

    ray_switch_mac_init(&table);
    for (uint32_t i = 0; i < 100; i++) {
        make_mac(mac, i);
        ray_switch_mac_learn(&table, mac, (uint16_t)(i % 2), 1);
    }
    ray_switch_mac_forget_port(&table, 0);
    for (uint32_t i = 0; i < 100; i++) {
        make_mac(mac, i);
        assert_int_equal(ray_switch_mac_find(&table, mac, &port), i % 2 == 1);
    }
    assert_int_equal(ray_switch_mac_count(&table), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learn_and_move),
        cmocka_unit_test(test_group_addresses),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_forget_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

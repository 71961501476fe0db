#include <string.h>

#include "base/test.h"
#include "node/facts/network.h"
#include "node/facts/tree_fixture.h"

static void test_cards(void **state)
{
    static const struct facts_address addresses[] = {
        {"ray0", "10.77.0.21/24"}, {"lo", "127.0.0.1/8"}, {"ray0", "fe80::1/64"}};
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    const Rayos__Node__NetworkCard *card;

    tree_put(tree, "sys/class/net/lo/type", "772\n");
    tree_put(tree, "sys/class/net/enp0s2/type", "1\n");
    tree_put(tree, "sys/class/net/enp0s2/address", "52:54:00:77:00:15\n");
    tree_put(tree, "sys/class/net/enp0s2/carrier", "1\n");
    tree_put(tree, "sys/class/net/enp0s2/speed", "-1\n");
    tree_put(tree, "sys/class/net/enp0s2/mtu", "1500\n");
    tree_link(tree, "sys/class/net/enp0s2/device/driver", "../../../bus/virtio/drivers/virtio_net");
    tree_link(tree, "sys/class/net/enp0s2/master", "../ray0");
    tree_put(tree, "sys/class/net/ray0/type", "1\n");
    tree_put(tree, "sys/class/net/ray0/speed", "10000\n");
    tree_dir(tree, "sys/class/net/ray0/bridge");
    tree_put(tree, "run/rayos/network.json",
             "{\"cards\":[{\"name\":\"other\"},7,{\"name\":\"enp0s2\",\"kernel_name\":\"eth0\","
             "\"alternative_name\":\"enx525400770015\",\"permanent_mac\":\"52:54:00:77:00:15\"}]}");
    facts_network_read(&tree->source, addresses, 3, &facts);
    assert_int_equal(facts.n_network_cards, 2);
    card = facts.network_cards[0];
    assert_string_equal(card->name, "enp0s2");
    assert_string_equal(card->driver, "virtio_net");
    assert_string_equal(card->mac, "52:54:00:77:00:15");
    assert_true(card->has_carrier);
    assert_int_equal(card->speed_mbps, 0);
    assert_int_equal(card->mtu, 1500);
    assert_string_equal(card->controller, "ray0");
    assert_int_equal(card->n_addresses, 0);
    assert_string_equal(card->kernel_name, "eth0");
    assert_string_equal(card->alternative_name, "enx525400770015");
    assert_string_equal(card->permanent_mac, "52:54:00:77:00:15");
    card = facts.network_cards[1];
    assert_string_equal(card->driver, "bridge");
    assert_string_equal(card->kernel_name, "");
    assert_string_equal(card->permanent_mac, "");
    assert_false(card->has_carrier);
    assert_int_equal(card->speed_mbps, 10000);
    assert_int_equal(card->n_addresses, 2);
    assert_string_equal(card->addresses[0], "10.77.0.21/24");
    assert_string_equal(card->addresses[1], "fe80::1/64");
}

/* What is not as PID 1 writes it says nothing. */
static void test_odd_names(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"cards\":7}",
        "{\"cards\":[[],{}]}",
        "{\"cards\":[{\"name\":\"enp0s2\",\"kernel_name\":7,\"permanent_mac\":null}]}",
    };
    struct tree *tree = *state;

    tree_put(tree, "sys/class/net/enp0s2/type", "1\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;

        tree_put(tree, "run/rayos/network.json", texts[i]);
        facts_network_read(&tree->source, NULL, 0, &facts);
        assert_int_equal(facts.n_network_cards, 1);
        assert_string_equal(facts.network_cards[0]->kernel_name, "");
        assert_string_equal(facts.network_cards[0]->permanent_mac, "");
        assert_string_equal(facts.network_cards[0]->alternative_name, "");
    }
}

static void test_limits(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    char name[64];

    for (int i = 0; i < FACTS_CARD_COUNT_MAX + 3; i++) {
        (void)snprintf(name, sizeof name, "sys/class/net/e%d/type", i);
        tree_put(tree, name, "1");
    }
    tree_put(tree, "sys/class/net/e0/mtu", "4294967295");
    tree_put(tree, "sys/class/net/e0/speed", "4294967296");
    facts_network_read(&tree->source, NULL, 0, &facts);
    assert_int_equal(facts.n_network_cards, FACTS_CARD_COUNT_MAX);
    assert_int_equal(facts.network_cards[0]->mtu, 0);
    assert_int_equal(facts.network_cards[0]->speed_mbps, 0);
}

/* This machine's own: loopback is always there. */
static void test_addresses(void **state)
{
    struct tree *tree = *state;
    struct facts_address *addresses = NULL;
    size_t count = facts_addresses_read(&tree->source, &addresses);

    for (size_t i = 0; i < count; i++) {
        assert_non_null(strchr(addresses[i].text, '/'));
        assert_string_not_equal(addresses[i].interface, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cards, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_odd_names, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_limits, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_addresses, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

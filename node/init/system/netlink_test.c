/* netlink_test.c - reading a link message to its last byte, MAC texts, and a bridge in a
 * network namespace of its own. */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "node/init/system/fake_root.h"
#include "node/init/system/netlink.h"

struct message {
    _Alignas(struct nlmsghdr) uint8_t bytes[512];
    size_t size;
};

static void begin(struct message *message)
{
    struct ifinfomsg info = {.ifi_type = ARPHRD_ETHER, .ifi_index = 7, .ifi_flags = IFF_UP};
    struct nlmsghdr header = {.nlmsg_type = RTM_NEWLINK};

    *message = (struct message){.size = NLMSG_SPACE(sizeof info)};
    memcpy(message->bytes, &header, sizeof header);
    memcpy(message->bytes + NLMSG_HDRLEN, &info, sizeof info);
}

static void add(struct message *message, uint16_t type, const void *data, size_t size)
{
    struct rtattr header = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};

    assert_true(message->size + RTA_SPACE(size) <= sizeof message->bytes);
    memcpy(message->bytes + message->size, &header, sizeof header);
    memcpy(message->bytes + message->size + RTA_LENGTH(0), data, size);
    message->size += RTA_SPACE(size);
}

static void make_message(struct message *message)
{
    struct {
        struct rtattr header;
        char kind[8];
    } info = {.header = {.rta_len = RTA_LENGTH(7), .rta_type = IFLA_INFO_KIND}, .kind = "bridge"};
    const uint32_t master = 3;
    const uint8_t carrier = 1;

    begin(message);
    add(message, IFLA_IFNAME, "ray0", 5);
    add(message, IFLA_ADDRESS, "\x52\x54\x00\x77\x00\x15", 6);
    add(message, IFLA_MASTER, &master, sizeof master);
    add(message, IFLA_LINK, &master, sizeof master);
    add(message, IFLA_CARRIER, &carrier, sizeof carrier);
    add(message, IFLA_LINKINFO | NLA_F_NESTED, &info, sizeof info);
    add(message, IFLA_PERM_ADDRESS, "\x52\x54\x00\x77\x00\x16", 6);
}

static void test_parse(void **state)
{
    struct message message;
    struct init_link link;

    (void)state;
    make_message(&message);
    assert_int_equal(init_netlink_parse_link(message.bytes, message.size, &link, NULL), RAY_OK);
    assert_int_equal(link.index, 7);
    assert_int_equal(link.master_index, 3);
    assert_int_equal(link.hardware_type, ARPHRD_ETHER);
    assert_true(link.is_up && link.has_carrier && link.has_mac && link.has_kind);
    assert_true(link.has_permanent_mac && link.has_lower);
    assert_string_equal(link.name, "ray0");
    assert_string_equal(link.kind, "bridge");
    assert_int_equal(link.mac[5], 0x15);
    assert_int_equal(link.permanent_mac[5], 0x16);
}

static void test_truncated(void **state)
{
    struct message message;

    (void)state;
    make_message(&message);
    for (size_t size = 0; size < message.size; size++) {
        struct init_link link;
        uint8_t *exact = ray_test_copy(message.bytes, size);

        (void)init_netlink_parse_link(exact, size, &link, NULL);
        free(exact);
    }
    /* An attribute that claims more than there is. */
    message.bytes[NLMSG_SPACE(sizeof(struct ifinfomsg))] = 0xff;
    message.bytes[NLMSG_SPACE(sizeof(struct ifinfomsg)) + 1] = 0xff;
    assert_int_equal(
        init_netlink_parse_link(message.bytes, message.size, &(struct init_link){0}, NULL),
        RAY_EMALFORMED);
}

static void test_odd_attributes(void **state)
{
    struct message message;
    struct init_link link;

    (void)state;
    begin(&message);
    add(&message, IFLA_IFNAME, "a-name-of-sixteen-or-more", 26); /* too long: left out */
    add(&message, IFLA_ADDRESS, "\x01\x02\x03\x04", 4);          /* a tunnel's */
    add(&message, IFLA_MASTER, "\x01", 1);
    assert_int_equal(init_netlink_parse_link(message.bytes, message.size, &link, NULL), RAY_OK);
    assert_string_equal(link.name, "");
    assert_false(link.has_mac || link.has_permanent_mac || link.has_lower);
    assert_int_equal(link.master_index, 0);
}

static void test_mac(void **state)
{
    static const char *const bad[] = {"",
                                      "52:54:00:77:00",
                                      "52:54:00:77:00:1g",
                                      "52.54.00.77.00.15",
                                      "02-52-54-00-77-00-15",
                                      "01-52-54-00-77-00-15-",
                                      "525400770015"};
    uint8_t mac[INIT_MAC_SIZE] = {0};
    char text[18];

    (void)state;
    assert_int_equal(init_mac_parse("52:54:00:77:00:15", mac), RAY_OK);
    assert_string_equal(init_mac_format(mac, text), "52:54:00:77:00:15");
    memset(mac, 0, sizeof mac);
    assert_int_equal(init_mac_parse("01-52-54-00-AB-cd-15", mac), RAY_OK);
    assert_string_equal(init_mac_format(mac, text), "52:54:00:ab:cd:15");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(init_mac_parse(bad[i], mac), RAY_EINVAL);
    }
    assert_int_equal(mac[0], 0x52);
}

static int bridge_body(void *arg)
{
    static const uint8_t mac[INIT_MAC_SIZE] = {0x52, 0x54, 0, 0x77, 0, 0x15};
    static const uint8_t other[INIT_MAC_SIZE] = {0x52, 0x54, 0, 0x77, 0, 0x16};
    static struct init_link links[INIT_LINK_COUNT_MAX];
    struct init_netlink netlink;
    struct init_link port;
    struct init_link ray0;
    struct ray_err err = {0};
    size_t count = 0;
    int monitor_fd = -1;

    (void)arg;
    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_links(&netlink, links, 1, &count, &err) == RAY_ECLOSED);
    FAKE_CHECK(init_netlink_open(&netlink, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_open_monitor(&monitor_fd, &err) == RAY_OK);
    FAKE_CHECK(!init_netlink_drain_monitor(monitor_fd));
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "ray0", &ray0, &err) == RAY_ENOTFOUND);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "ray0", mac, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "ray0", mac, &err) == RAY_EEXISTS);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "", mac, &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "sixteen-letters-", mac, &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_drain_monitor(monitor_fd));
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "ray0", &ray0, &err) == RAY_OK);
    FAKE_CHECK(memcmp(ray0.mac, mac, sizeof mac) == 0 && !ray0.is_up);
    FAKE_CHECK(strcmp(ray0.kind, "bridge") == 0);
    FAKE_CHECK(init_netlink_set_up(&netlink, ray0.index, true, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_set_mac(&netlink, ray0.index, other, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "ray0", &ray0, &err) == RAY_OK);
    FAKE_CHECK(memcmp(ray0.mac, other, sizeof mac) == 0 && ray0.is_up);
    /* A bridge cannot be another one's port: refused, and the next request still works. */
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "port0", NULL, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "port0", &port, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_set_master(&netlink, port.index, ray0.index, &err) != RAY_OK);
    FAKE_CHECK(init_netlink_set_up(&netlink, 9999, true, &err) == RAY_ENOTFOUND);
    FAKE_CHECK(init_netlink_links(&netlink, links, INIT_LINK_COUNT_MAX, &count, &err) == RAY_OK);
    FAKE_CHECK(count >= 3);
    FAKE_CHECK(init_netlink_links(&netlink, links, 1, &count, &err) == RAY_ETOOBIG);
    FAKE_CHECK(init_netlink_links(&netlink, links, INIT_LINK_COUNT_MAX, &count, &err) == RAY_OK);
    (void)close(monitor_fd);
    init_netlink_fini(&netlink);
    init_netlink_fini(&netlink);
    return 0;
}

static int name_body(void *arg)
{
    static const uint8_t mac[INIT_MAC_SIZE] = {0x52, 0x54, 0, 0x77, 0, 0x15};
    struct init_netlink netlink;
    struct init_link link;
    struct init_link found;
    struct ray_err err = {0};

    (void)arg;
    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "old0", mac, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "other0", NULL, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "old0", &link, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_rename(&netlink, link.index, "", &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_rename(&netlink, link.index, "sixteen-letters-", &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_rename(&netlink, link.index, "a/b", &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_rename(&netlink, link.index, "other0", &err) == RAY_EEXISTS);
    FAKE_CHECK(init_netlink_rename(&netlink, 9999, "new0", &err) == RAY_ENOTFOUND);
    FAKE_CHECK(init_netlink_rename(&netlink, link.index, "fifteen-letters", &err) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "old0", &found, &err) == RAY_ENOTFOUND);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "fifteen-letters", &found, &err) == RAY_OK);
    FAKE_CHECK(found.index == link.index && memcmp(found.mac, mac, sizeof mac) == 0);
    /* Alternative names are names, too: found by them, and taken. */
    FAKE_CHECK(init_netlink_add_name(&netlink, link.index, "", &err) == RAY_EINVAL);
    FAKE_CHECK(init_netlink_add_name(&netlink, link.index, "enx525400770015", &err) == RAY_OK);
    FAKE_CHECK(init_netlink_add_name(&netlink, link.index, "other0", &err) == RAY_EEXISTS);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "enx525400770015", &found, &err) == RAY_OK);
    FAKE_CHECK(found.index == link.index && strcmp(found.name, "fifteen-letters") == 0);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "enx525400770015", NULL, &err) == RAY_EEXISTS);
    init_netlink_fini(&netlink);
    return 0;
}

static void test_names(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNET, name_body, NULL);
}

static void test_bridge(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNET, bridge_body, NULL);
}

static int try_once(const char *point, unsigned n, bool *out_is_over)
{
    struct init_netlink netlink;
    struct ray_err err = {0};
    struct init_link lo;
    int rc;

    init_netlink_init(&netlink);
    ray_test_fault_arm(point, n);
    rc = init_netlink_open(&netlink, &err);
    if (rc == RAY_OK) {
        rc = init_netlink_link_by_name(&netlink, "lo", &lo, &err);
    }
    init_netlink_fini(&netlink);
    *out_is_over = !ray_test_fault_disarm();
    FAKE_CHECK(*out_is_over ? rc == RAY_OK : rc != RAY_OK && err.text[0] != '\0');
    return 0;
}

static int fault_body(void *arg)
{
    static const char *const points[] = {"socket", "send", "read"};

    (void)arg;
    for (size_t i = 0; i < 3; i++) {
        bool is_over = false;

        for (unsigned n = 1; !is_over; n++) {
            if (try_once(points[i], n, &is_over) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

static void test_faults(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNET, fault_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),          cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_odd_attributes), cmocka_unit_test(test_mac),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_bridge),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

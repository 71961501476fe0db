/* net_setup_test.c - the choice of a card as a table, and the whole of it on the loop in a
 * network namespace: a card that comes late, goes, comes again, and a lease. */
#include <linux/if_arp.h>

#include "node/init/system/fake_link.h"
#include "node/init/system/net_setup.h"

static struct init_link card(uint32_t index, uint8_t last, bool has_carrier)
{
    return (struct init_link){.index = index,
                              .hardware_type = ARPHRD_ETHER,
                              .has_mac = true,
                              .has_carrier = has_carrier,
                              .mac = {0x52, 0x54, 0, 0, 0, last},
                              .permanent_mac = {0x52, 0x54, 0, 0, 0, last}};
}

static void test_choose(void **state)
{
    struct init_net_options options = {.boot_card_wait_ms = 1000, .carrier_wait_ms = 500};
    struct init_link links[4] = {{.index = 1, .hardware_type = ARPHRD_LOOPBACK, .name = "lo"},
                                 card(2, 2, false),
                                 card(3, 3, true),
                                 card(4, 4, true)};

    (void)state;
    assert_int_equal(init_net_choose(links, 0, &options, 99999), -1);
    assert_int_equal(init_net_choose(links, 1, &options, 99999), -1); /* never loopback */
    assert_int_equal(init_net_choose(links, 4, &options, 0), 2);      /* first with carrier */
    assert_int_equal(init_net_choose(links, 2, &options, 499), -1);
    assert_int_equal(init_net_choose(links, 2, &options, 500), 1); /* first of all */
    /* What software made is no card. */
    links[2].has_kind = true;
    assert_int_equal(init_net_choose(links, 4, &options, 0), 3);
    options.takes_software_links = true;
    assert_int_equal(init_net_choose(links, 4, &options, 0), 2);
    (void)snprintf(links[2].kind, sizeof links[2].kind, "bridge");
    assert_int_equal(init_net_choose(links, 4, &options, 0), 3);
    /* The boot card, whatever its carrier; else wait for it, else any. */
    options.has_boot_mac = true;
    memcpy(options.boot_mac, links[1].mac, INIT_MAC_SIZE);
    assert_int_equal(init_net_choose(links, 4, &options, 0), 1);
    links[1].mac[0] = 0x02; /* changed by software: the permanent one still tells */
    assert_int_equal(init_net_choose(links, 4, &options, 0), 1);
    options.boot_mac[5] = 9;
    assert_int_equal(init_net_choose(links, 4, &options, 999), -1);
    assert_int_equal(init_net_choose(links, 4, &options, 1000), 3);
    assert_int_equal(init_net_choose(links, 2, &options, 1499), -1);
    assert_int_equal(init_net_choose(links, 2, &options, 1500), 1);
}

struct seen {
    struct ray_loop loop;
    struct ray_timer guard;
    size_t bridge_count;
    size_t lease_count;
    size_t new_ntp_count;
    char card[INIT_LINK_NAME_SIZE];
    uint8_t mac[INIT_MAC_SIZE];
    struct init_lease lease;
    bool is_late;
};

static void on_bridge(void *arg, const char *name, const uint8_t mac[INIT_MAC_SIZE])
{
    struct seen *seen = arg;

    seen->bridge_count++;
    (void)snprintf(seen->card, sizeof seen->card, "%s", name);
    memcpy(seen->mac, mac, INIT_MAC_SIZE);
    ray_loop_stop(&seen->loop);
}

static void on_lease(void *arg, const struct init_lease *lease, bool has_new_ntp)
{
    struct seen *seen = arg;

    seen->lease_count++;
    seen->new_ntp_count += has_new_ntp ? 1 : 0;
    seen->lease = *lease;
    ray_loop_stop(&seen->loop);
}

static void on_guard(void *arg)
{
    struct seen *seen = arg;

    seen->is_late = true;
    ray_loop_stop(&seen->loop);
}

static int check_bridge(const struct seen *seen)
{
    struct init_netlink netlink;
    struct init_link bridge;
    struct init_link port;

    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, NULL) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, INIT_NET_BRIDGE, &bridge, NULL) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, seen->card, &port, NULL) == RAY_OK);
    init_netlink_fini(&netlink);
    FAKE_CHECK(bridge.is_up && port.is_up && port.master_index == bridge.index);
    FAKE_CHECK(memcmp(bridge.mac, seen->mac, INIT_MAC_SIZE) == 0);
    return 0;
}

static int check_lease(struct seen *seen, int root_fd)
{
    struct init_lease lease = {.is_bound = true,
                               .reason = "BOUND",
                               .address = "10.77.0.21",
                               .prefix = 24,
                               .ntp = {"10.77.0.1"},
                               .ntp_count = 1};

    const struct init_lease lost = {.reason = "NOCARRIER"};

    /* What was never there is not lost. */
    FAKE_CHECK(init_lease_write(root_fd, &lost, NULL) == RAY_OK);
    ray_loop_once(&seen->loop);
    FAKE_CHECK(seen->lease_count == 0);
    FAKE_CHECK(init_lease_write(root_fd, &lease, NULL) == RAY_OK);
    ray_loop_run(&seen->loop);
    FAKE_CHECK(seen->lease_count == 1 && seen->new_ntp_count == 1);
    FAKE_CHECK(strcmp(seen->lease.address, "10.77.0.21") == 0);
    FAKE_CHECK(faccessat(root_fd, INIT_LEASE_NTP_FILE, F_OK, 0) == 0);
    FAKE_CHECK(faccessat(root_fd, "etc/resolv.conf", F_OK, 0) == 0);
    lease.mtu = 1400; /* the same servers */
    FAKE_CHECK(init_lease_write(root_fd, &lease, NULL) == RAY_OK);
    ray_loop_run(&seen->loop);
    FAKE_CHECK(seen->lease_count == 2 && seen->new_ntp_count == 1);
    lease = (struct init_lease){.reason = "EXPIRE"};
    FAKE_CHECK(init_lease_write(root_fd, &lease, NULL) == RAY_OK);
    ray_loop_run(&seen->loop);
    FAKE_CHECK(seen->lease_count == 3 && !seen->lease.is_bound && !seen->is_late);
    return 0;
}

static int loop_body(void *arg)
{
    const struct fake_root *root = arg;
    const struct init_net_options options = {
        .root_fd = root->fd, .carrier_wait_ms = 1, .takes_software_links = true};
    struct seen seen = {0};
    const struct init_net_callbacks callbacks = {on_bridge, on_lease, &seen};
    struct init_net *net = NULL;
    struct ray_err err = {0};

    FAKE_CHECK(ray_loop_init(&seen.loop, &err) == RAY_OK);
    FAKE_CHECK(ray_timer_init(&seen.guard, &seen.loop, on_guard, &seen, &err) == RAY_OK);
    ray_timer_start(&seen.guard, 30000, 0);
    FAKE_CHECK(ray_make_dirs(root->fd, "etc", 0755, NULL) == RAY_OK);
    FAKE_CHECK(init_net_create(&seen.loop, &options, &callbacks, NULL, &net, &err) == RAY_OK);
    ray_loop_once(&seen.loop); /* no card yet */
    FAKE_CHECK(seen.bridge_count == 0);
    if (fake_make_veth("card0", "peer0") != 0) {
        return 1;
    }
    ray_loop_run(&seen.loop);
    FAKE_CHECK(seen.bridge_count == 1 && !seen.is_late);
    if (check_bridge(&seen) != 0 || check_lease(&seen, root->fd) != 0) {
        return 1;
    }
    /* The card goes away, another one comes: the bridge takes its address. */
    if (fake_delete_link(seen.card) != 0 || fake_make_veth("card1", "peer1") != 0) {
        return 1;
    }
    ray_loop_run(&seen.loop);
    FAKE_CHECK(seen.bridge_count == 2 && !seen.is_late);
    if (check_bridge(&seen) != 0) {
        return 1;
    }
    init_net_rescan(net);
    FAKE_CHECK(seen.bridge_count == 2);
    init_net_destroy(net);
    init_net_destroy(NULL);
    ray_timer_fini(&seen.guard);
    ray_loop_fini(&seen.loop);
    return 0;
}

static void test_on_loop(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, loop_body, *state);
}

/* The boot card is named before it goes into the bridge, and known by its MAC all the same; a
 * card that comes later is named, too. */
static int named_body(void *arg)
{
    const struct fake_root *root = arg;
    struct init_net_options options = {
        .root_fd = root->fd, .has_boot_mac = true, .takes_software_links = true};
    struct seen seen = {0};
    const struct init_net_callbacks callbacks = {on_bridge, on_lease, &seen};
    struct init_netlink netlink;
    struct init_net *net = NULL;
    struct init_link link;

    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, NULL) == RAY_OK);
    FAKE_CHECK(ray_loop_init(&seen.loop, NULL) == RAY_OK);
    FAKE_CHECK(ray_timer_init(&seen.guard, &seen.loop, on_guard, &seen, NULL) == RAY_OK);
    ray_timer_start(&seen.guard, 30000, 0);
    FAKE_CHECK(fake_make_veth("card0", "peer0") == 0);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "card0", &link, NULL) == RAY_OK);
    memcpy(options.boot_mac, link.mac, sizeof options.boot_mac);
    fake_device(root, "pci0000:00/0000:00:02.0", "pci");
    fake_card(root, "pci0000:00/0000:00:02.0", "card0", link.index, "");
    FAKE_CHECK(init_net_create(&seen.loop, &options, &callbacks, NULL, &net, NULL) == RAY_OK);
    ray_loop_run(&seen.loop);
    FAKE_CHECK(seen.bridge_count == 1 && !seen.is_late && strcmp(seen.card, "enp0s2") == 0);
    FAKE_CHECK(check_bridge(&seen) == 0);
    FAKE_CHECK(fake_make_veth("card1", "peer1") == 0);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "card1", &link, NULL) == RAY_OK);
    fake_device(root, "pci0000:00/0000:00:03.0", "pci");
    fake_card(root, "pci0000:00/0000:00:03.0", "card1", link.index, "");
    init_net_rescan(net);
    FAKE_CHECK(seen.bridge_count == 1);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, "enp0s3", &link, NULL) == RAY_OK);
    FAKE_CHECK(!link.is_up && link.master_index == 0);
    init_net_destroy(net);
    init_netlink_fini(&netlink);
    ray_timer_fini(&seen.guard);
    ray_loop_fini(&seen.loop);
    return 0;
}

static void test_names(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, named_body, *state);
}

static int try_once(const struct fake_root *root, const char *point, unsigned n, bool *out_is_over)
{
    const struct init_net_options options = {.root_fd = root->fd};
    struct seen seen = {0};
    const struct init_net_callbacks callbacks = {on_bridge, on_lease, &seen};
    struct init_net *net = NULL;
    struct ray_err err = {0};
    int rc;

    FAKE_CHECK(ray_loop_init(&seen.loop, NULL) == RAY_OK);
    ray_test_fault_arm(point, n);
    rc = init_net_create(&seen.loop, &options, &callbacks, NULL, &net, &err);
    init_net_destroy(net);
    ray_loop_fini(&seen.loop);
    *out_is_over = !ray_test_fault_disarm();
    FAKE_CHECK(*out_is_over ? rc == RAY_OK : rc == RAY_OK || err.text[0] != '\0');
    return 0;
}

static int fault_body(void *arg)
{
    static const char *const points[] = {"alloc", "socket", "open", "send", "read"};

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        bool is_over = false;

        for (unsigned n = 1; !is_over; n++) {
            if (try_once(arg, points[i], n, &is_over) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

static void test_faults(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, fault_body, *state);
}

static void test_folders(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    struct stat st;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(init_net_prepare_folders(root->fd, &err), RAY_OK);
    }
    assert_int_equal(fstatat(root->fd, "var/lib/empty", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
}

static void test_command_lines(void **state)
{
    const char *last = "";

    (void)state;
    for (size_t i = 0; init_net_dhcp_argv[i] != NULL; i++) {
        last = init_net_dhcp_argv[i];
    }
    assert_string_equal(last, INIT_NET_BRIDGE);
    assert_non_null(init_net_dhcp_argv[0]);
    assert_int_equal(init_net_dhcp_argv[0][0], '/');
    assert_int_equal(init_net_time_argv[0][0], '/');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test_setup_teardown(test_on_loop, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_names, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_folders, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_command_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

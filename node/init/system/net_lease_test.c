/* net_lease_test.c - what dhcpcd hands over, honest and hostile, and both files made of it. */
#include "node/init/system/fake_root.h"
#include "node/init/system/net_lease.h"

static void test_bound(void **state)
{
    char *envp[] = {"PATH=/bin",
                    "reason=BOUND",
                    "interface=ray0",
                    "new_ip_address=10.77.0.21",
                    "new_subnet_cidr=24",
                    "new_routers=10.77.0.1 10.77.0.2",
                    "new_domain_name_servers=10.77.0.1 9.9.9.9",
                    "new_domain_name=lab.example",
                    "new_ntp_servers=10.77.0.1",
                    "new_interface_mtu=9000",
                    "new_dhcp_server_identifier=10.77.0.1",
                    "new_rayos_boot=http://10.77.0.1:8080",
                    NULL};
    struct fake_root *root = *state;
    enum init_lease_change change;
    struct init_lease lease;
    struct init_lease again;
    struct ray_err err = {0};
    char text[4096];

    assert_int_equal(init_lease_read(root->fd, &again, &err), RAY_ENOTFOUND);
    assert_int_equal(init_lease_from_env(envp, &change, &lease, &err), RAY_OK);
    assert_int_equal(change, INIT_LEASE_BOUND);
    assert_string_equal(lease.address, "10.77.0.21");
    assert_string_equal(lease.gateway, "10.77.0.1");
    assert_int_equal(lease.dns_count, 2);
    assert_int_equal(lease.mtu, 9000);
    assert_string_equal(lease.boot_server, "http://10.77.0.1:8080");
    assert_int_equal(init_lease_write(root->fd, &lease, &err), RAY_OK);
    assert_int_equal(init_lease_read(root->fd, &again, &err), RAY_OK);
    assert_memory_equal(&lease, &again, sizeof lease);
    assert_true(init_lease_has_same_ntp(&lease, &again));
    again.ntp_count = 0;
    assert_false(init_lease_has_same_ntp(&lease, &again));
    assert_int_equal(ray_make_dirs(root->fd, "etc", 0755, NULL), RAY_OK);
    assert_int_equal(init_lease_write_resolv(root->fd, &lease, &err), RAY_OK);
    assert_non_null(strstr(fake_get(root, "etc/resolv.conf", text),
                           "\nsearch lab.example\nnameserver 10.77.0.1\nnameserver 9.9.9.9\n"));
    assert_int_equal(init_lease_write_ntp_sources(root->fd, &lease, &err), RAY_OK);
    assert_string_equal(fake_get(root, INIT_LEASE_NTP_FILE, text), "server 10.77.0.1 iburst\n");
    assert_int_equal(init_lease_write_ntp_sources(root->fd, &again, &err), RAY_OK);
    assert_string_equal(fake_get(root, INIT_LEASE_NTP_FILE, text), "");
}

static void check_reason(const char *reason, enum init_lease_change expected)
{
    char variable[64];
    char *envp[] = {variable, "new_ip_address=10.0.0.9", "new_subnet_cidr=8", NULL};
    enum init_lease_change change;
    struct init_lease lease;

    (void)snprintf(variable, sizeof variable, "reason=%s", reason);
    assert_int_equal(init_lease_from_env(envp, &change, &lease, NULL), RAY_OK);
    assert_int_equal(change, expected);
    assert_int_equal(lease.is_bound, expected == INIT_LEASE_BOUND);
}

static void test_reasons(void **state)
{
    (void)state;
    check_reason("RENEW", INIT_LEASE_BOUND);
    check_reason("REBOOT", INIT_LEASE_BOUND);
    check_reason("EXPIRE", INIT_LEASE_LOST);
    check_reason("NOCARRIER", INIT_LEASE_LOST);
    check_reason("PREINIT", INIT_LEASE_NOTHING);
    check_reason("STOPPED", INIT_LEASE_NOTHING);
    check_reason("", INIT_LEASE_NOTHING);
    check_reason("A-REASON-OF-ANOTHER-CENTURY-AND-LONG", INIT_LEASE_NOTHING);
}

static void check_env(const char *variable, int expected_rc)
{
    char copy[400];
    char *good[] = {"reason=BOUND", "new_ip_address=10.0.0.9", "new_subnet_cidr=8", NULL};
    char *envp[] = {"reason=BOUND", copy, NULL, NULL, NULL};
    enum init_lease_change change;
    struct init_lease lease;
    size_t count = 2;

    (void)snprintf(copy, sizeof copy, "%s", variable);
    for (size_t i = 1; good[i] != NULL; i++) {
        size_t name_size = strcspn(good[i], "=") + 1;

        if (strncmp(good[i], variable, name_size) != 0) {
            envp[count++] = good[i];
        }
    }
    assert_int_equal(init_lease_from_env(envp, &change, &lease, NULL), expected_rc);
    if (expected_rc == RAY_OK) {
        assert_string_equal(lease.gateway, "");
        assert_string_equal(lease.domain, "");
        assert_int_equal(lease.dns_count, 0);
        assert_int_equal(lease.ntp_count, 0);
        assert_int_equal(lease.mtu, 0);
        assert_string_equal(lease.boot_server, "");
    }
}

static void test_hostile(void **state)
{
    char domain[300] = "new_domain_name=";
    char *nothing[] = {NULL};
    enum init_lease_change change;
    struct init_lease lease;

    (void)state;
    assert_int_equal(init_lease_from_env(nothing, &change, &lease, NULL), RAY_EMALFORMED);
    /* Without an address there is no lease. */
    check_env("new_ip_address=", RAY_EMALFORMED);
    check_env("new_ip_address=10.0.0", RAY_EMALFORMED);
    check_env("new_ip_address=0.0.0.0", RAY_EMALFORMED);
    check_env("new_ip_address=127.0.0.1", RAY_EMALFORMED);
    check_env("new_ip_address=224.0.0.1", RAY_EMALFORMED);
    check_env("new_ip_address=255.255.255.255", RAY_EMALFORMED);
    check_env("new_ip_address=10.0.0.1 10.0.0.2", RAY_EMALFORMED);
    check_env("new_ip_address=$(reboot)", RAY_EMALFORMED);
    check_env("new_subnet_cidr=0", RAY_EMALFORMED);
    check_env("new_subnet_cidr=33", RAY_EMALFORMED);
    check_env("new_subnet_cidr=x", RAY_EMALFORMED);
    /* What is only useful is left out. */
    check_env("new_routers=nonsense 300.1.1.1", RAY_OK);
    check_env("new_domain_name_servers=::1 127.0.0.1", RAY_OK);
    check_env("new_ntp_servers=pool.example", RAY_OK);
    check_env("new_interface_mtu=575", RAY_OK);
    check_env("new_interface_mtu=65536", RAY_OK);
    check_env("new_domain_name=a b", RAY_OK);
    check_env("new_domain_name=a\nnameserver 6.6.6.6", RAY_OK);
    check_env("new_domain_name=-a", RAY_OK);
    check_env("new_domain_name=a..b", RAY_OK);
    check_env("new_domain_name=.", RAY_OK);
    check_env("new_domain_name=", RAY_OK);
    check_env("new_rayos_boot=", RAY_OK);
    check_env("new_rayos_boot=http://server:80", RAY_OK);
    check_env("new_rayos_boot=http://10.0.0.1:80/", RAY_OK);
    check_env("new_rayos_boot=http://10.0.0.1:80\nX: y", RAY_OK);
    check_env("new_rayos_boot=http://127.0.0.1:22", RAY_OK); /* ourselves */
    check_env("new_rayos_boot=http://[::1]:22", RAY_OK);
    check_env("new_rayos_boot=$(reboot)", RAY_OK);
    memset(domain + 16, 'a', 64); /* a label of 64 */
    check_env(domain, RAY_OK);
    for (size_t i = 0; i < 254; i++) { /* a name of 254 */
        domain[16 + i] = i % 2 == 0 ? 'a' : '.';
    }
    check_env(domain, RAY_OK);
}

static void test_many_servers(void **state)
{
    char *envp[] = {"reason=BOUND", "new_ip_address=10.0.0.9", "new_subnet_cidr=8",
                    "new_domain_name_servers=1.1.1.1 x 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5", NULL};
    enum init_lease_change change;
    struct init_lease lease;

    (void)state;
    assert_int_equal(init_lease_from_env(envp, &change, &lease, NULL), RAY_OK);
    assert_int_equal(lease.dns_count, INIT_LEASE_SERVER_COUNT_MAX);
    assert_string_equal(lease.dns[3], "1.1.1.4");
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"bound\":true}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":0,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[\"\"],\"ntp\":[],\"domain\":\"\",\"mtu\":0}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"a b\",\"mtu\":0}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0,"
        "\"boot_server\":\"http://127.0.0.1:80\"}",
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0,"
        "\"boot_server\":7}",
    };
    struct init_lease lease;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(init_lease_parse(bad[i], strlen(bad[i]), &lease, NULL), RAY_EMALFORMED);
    }
}

/* A file without the key, as PID 1 of another version may leave it. */
static void test_without_boot_server(void **state)
{
    static const char text[] =
        "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"
        "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0}";
    struct init_lease lease;

    (void)state;
    assert_int_equal(init_lease_parse(text, strlen(text), &lease, NULL), RAY_OK);
    assert_string_equal(lease.boot_server, "");
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "write", "fsync", "rename"};
    const struct init_lease lease = {.is_bound = true, .address = "10.0.0.1", .prefix = 8};
    struct fake_root *root = *state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_err err = {0};
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = init_lease_write(root->fd, &lease, &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc != RAY_OK && err.text[0] != '\0');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bound, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_many_servers),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_without_boot_server),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/address.h"

static void test_macs(void **state)
{
    static const char *const good[] = {"52:54:00:77:00:15", "52-54-00-77-00-15",
                                       "FF:ff:Ff:00:0a:A0"};
    static const char *const bad[] = {
        "",
        "52:54:00:77:00",
        "52:54:00:77:00:",
        "52:54:00:77:00:1",
        "52:54:00:77:00:15:",
        "52:54:00:77:00:150",
        "52:54-00:77:00:15",
        "525400770015",
        "5g:54:00:77:00:15",
        " 52:54:00:77:00:15",
        "52::54:00:77:00:15",
    };
    struct provision_mac mac;
    char text[PROVISION_MAC_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        assert_int_equal(provision_mac_parse(good[i], &mac), RAY_OK);
    }
    assert_string_equal(provision_mac_format(&mac, text), "ff:ff:ff:00:0a:a0");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        char *exact = strdup(bad[i]);
        assert_int_equal(provision_mac_parse(exact, &mac), RAY_EINVAL);
        free(exact);
    }
    assert_string_equal(provision_mac_format(&mac, text), "ff:ff:ff:00:0a:a0");
}

static void test_ips(void **state)
{
    static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ", "::1"};
    char text[PROVISION_IP_TEXT_SIZE];
    uint32_t ip = 7;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        assert_int_equal(provision_ip_parse(bad[i], &ip), RAY_EINVAL);
    }
    assert_int_equal(ip, 7);
    assert_int_equal(provision_ip_parse("10.77.0.255", &ip), RAY_OK);
    assert_int_equal(ip, 0x0a4d00ff);
    assert_string_equal(provision_ip_format(ip, text), "10.77.0.255");
    assert_string_equal(provision_ip_format(UINT32_MAX, text), "255.255.255.255");
    assert_int_equal(provision_netmask(0), 0);
    assert_int_equal(provision_netmask(24), 0xffffff00);
    assert_int_equal(provision_netmask(32), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_macs),
        cmocka_unit_test(test_ips),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/address", tests, NULL, NULL);
}

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/config.h"

#define GOOD                                                                                       \
    "# a lab\n"                                                                                    \
    "mode = dhcp\n"                                                                                \
    "interface = lab0\n"                                                                           \
    "\n"                                                                                           \
    "  address=10.77.0.1/24  \r\n"                                                                 \
    "range = 10.77.0.100,10.77.0.250\n"                                                            \
    "import = build/image\n"                                                                       \
    "state-dir = /var/lib/provision\n"

static struct provision_config *make(void)
{
    struct provision_config *config = malloc(sizeof(*config));

    assert_non_null(config);
    provision_config_init(config);
    return config;
}

static void test_file(void **state)
{
    struct provision_config *config = make();

    (void)state;
    assert_int_equal(
        provision_config_parse(config, GOOD "host = 52:54:00:77:00:15,10.77.0.21,node1", NULL),
        RAY_OK);
    assert_int_equal(provision_config_check(config, NULL), RAY_OK);
    assert_string_equal(config->interface, "lab0");
    assert_int_equal(config->address, 0x0a4d0001);
    assert_int_equal(config->prefix_size, 24);
    assert_int_equal(config->range_first, 0x0a4d0064);
    assert_int_equal(config->range_last, 0x0a4d00fa);
    assert_int_equal(config->mode, PROVISION_MODE_DHCP);
    assert_string_equal(config->import_dir, "build/image");
    assert_true(config->takes_hello);
    assert_int_equal(config->prefix6_size, 0);
    assert_int_equal(config->host_count, 1);
    assert_string_equal(config->hosts[0].name, "node1");
    assert_int_equal(config->http_port, 8080);
    assert_int_equal(config->transfer_count_max, 32);
    assert_string_equal(config->dnsmasq_path, "/usr/sbin/dnsmasq");
    free(config);
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"interface lab0", "line 1: expected 'key = value'"},
        {"\n\nfoo = 1", "line 3: unknown key 'foo'"},
        {"# x\nhttp-port = 0", "line 2: http-port '0'"},
        {"http-port = 65536", "1 to 65535"},
        {"http-port = 80x", "http-port '80x'"},
        {"http-port =", "http-port ''"},
        {"= 5", "unknown key ''"},
        {"transfers = 1025", "transfers"},
        {"address = 10.77.0.1", "network bits"},
        {"address = 10.77.0.1/31", "network bits"},
        {"address = 10.77.0/24", "network bits"},
        {"range = 10.77.0.9,10.77.0.8", "FIRST,LAST"},
        {"range = 10.77.0.9", "FIRST,LAST"},
        {"host = 52:54:00:77:00:15,10.77.0.21", "MAC,IP,NAME"},
        {"host = 52:54:00:77:00:15,10.77.0.21,Node", "a-z 0-9 -"},
        {"host = 52:54:00:77:00:15,10.77.0.21,-x", "a-z 0-9 -"},
        {"host = 52:54:00:77:00:15,10.77.0.21,n\\n", "a-z 0-9 -"},
        {"interface = a b", "interface"},
        {"interface = lab0123456789abcdef", "interface"},
        {"interface = lab*", "interface"},
        {"import =", "a path"},
        {"image-dir = /a#b", "without #"},
        {"mode = relay", "mode 'relay' is not dhcp, proxy or http"},
        {"mode =", "dhcp, proxy or http"},
        {"hello = yes", "on or off"},
        {"user = Root", "the name of a user"},
        {"user = -x", "the name of a user"},
        {"user =", "the name of a user"},
        {"address6 = fd00::1", "48 to 112 network bits"},
        {"address6 = fd00::1/113", "48 to 112 network bits"},
        {"address6 = fd00::1/47", "48 to 112 network bits"},
        {"address6 = fd00::g/64", "48 to 112 network bits"},
        {"address6 = 10.77.0.1/64", "48 to 112 network bits"},
        {"state-dir = /a\x01"
         "b",
         "control bytes"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct provision_config *config = make();
        struct ray_err err = {0};
        if (provision_config_parse(config, cases[i].text, &err) != RAY_EUSAGE ||
            strstr(err.text, cases[i].message) == NULL) {
            fail_msg("'%s': %s", cases[i].text, err.text);
        }
        free(config);
    }
}

static void test_check(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"interface = lab0", "mode is missing"},
        {"mode = dhcp\ninterface = lab0", "address is missing"},
        {"mode = dhcp", "interface is missing"},
        {"mode = dhcp\ninterface = lab0\naddress = 10.77.0.1/24", "range is missing"},
        {"mode = proxy\ninterface = lab0\naddress = 10.77.0.1/24", "state-dir is missing"},
        {GOOD "mode = proxy", "mode proxy gives no addresses"},
        {GOOD "mode = http", "mode http gives no addresses"},
        {"mode = http\ninterface = lab0\naddress = 10.77.0.1/24\nstate-dir = /s\n"
         "host = 52:54:00:77:00:15,10.77.0.21,a",
         "mode http gives no addresses"},
        {GOOD "address = 10.77.0.0/24", "network's or broadcast"},
        {GOOD "address = 10.78.0.1/24", "not within the network"},
        {GOOD "range = 10.77.0.0,10.77.0.9", "not within the network"},
        {GOOD "range = 10.77.0.1,10.77.0.9", "own address"},
        {GOOD "host = 52:54:00:77:00:15,10.77.1.21,a", "not free"},
        {GOOD "host = 52:54:00:77:00:15,10.77.0.1,a", "not free"},
        {GOOD "host = 52:54:00:77:00:15,10.77.0.255,a", "not free"},
        {GOOD "host=52:54:00:77:00:15,10.77.0.21,a\nhost=52:54:00:77:00:15,10.77.0.22,b", "share"},
        {GOOD "host=52:54:00:77:00:15,10.77.0.21,a\nhost=52:54:00:77:00:16,10.77.0.21,b", "share"},
        {GOOD "host=52:54:00:77:00:15,10.77.0.21,a\nhost=52:54:00:77:00:16,10.77.0.22,a", "share"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct provision_config *config = make();
        struct ray_err err = {0};
        assert_int_equal(provision_config_parse(config, cases[i].text, &err), RAY_OK);
        if (provision_config_check(config, &err) != RAY_EUSAGE ||
            strstr(err.text, cases[i].message) == NULL) {
            fail_msg("'%s': %s", cases[i].text, err.text);
        }
        free(config);
    }
}

/* What is enough for each mode, and the older name of a key. */
static void test_modes(void **state)
{
    static const char *const texts[] = {
        GOOD "address6 = fd00:77::1/64\nuser = rayos-provision\nhello = off",
        "mode = proxy\ninterface = lab0\naddress = 10.77.0.1/24\nstate-dir = /s",
        "mode = http\ninterface = lab0\naddress = 10.77.0.1/24\nstate-dir = /s\nimage-dir = /i",
    };
    static const char *const words[] = {"dhcp", "proxy", "http"};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        struct provision_config *config = make();

        assert_int_equal(provision_config_parse(config, texts[i], NULL), RAY_OK);
        assert_int_equal(provision_config_check(config, NULL), RAY_OK);
        assert_string_equal(provision_mode_word(config->mode), words[i]);
        assert_int_equal(provision_mode_has_dnsmasq(config->mode), i < 2);
        if (i == 0) {
            assert_false(config->takes_hello);
            assert_string_equal(config->user, "rayos-provision");
            assert_int_equal(config->prefix6_size, 64);
            assert_int_equal(config->address6.bytes[15], 1);
        }
        if (i == 2) {
            assert_string_equal(config->import_dir, "/i");
        }
        free(config);
    }
    assert_string_equal(provision_mode_word(PROVISION_MODE_NONE), "none");
    assert_false(provision_mode_has_dnsmasq(PROVISION_MODE_NONE));
}

static void test_limits(void **state)
{
    struct provision_config *config = make();
    char text[3000];
    struct ray_err err = {0};

    (void)state;
    for (unsigned i = 0; i < PROVISION_HOST_COUNT_MAX; i++) {
        (void)snprintf(text, sizeof(text), "52:54:00:77:%02x:%02x,10.77.%u.%u,n%u", i >> 8,
                       i & 0xff, i >> 8, i & 0xff, i);
        assert_int_equal(provision_config_set(config, "host", text, NULL), RAY_OK);
    }
    assert_int_equal(provision_config_set(config, "host", "52:54:00:78:00:00,10.77.2.1,x", &err),
                     RAY_EUSAGE);
    assert_non_null(strstr(err.text, "more than 256"));
    memset(text, 'a', sizeof(text));
    text[PROVISION_PATH_SIZE - 1] = '\0';
    assert_int_equal(provision_config_set(config, "image-dir", text, NULL), RAY_OK);
    text[PROVISION_PATH_SIZE - 1] = 'a';
    text[PROVISION_PATH_SIZE] = '\0';
    assert_int_equal(provision_config_set(config, "image-dir", text, NULL), RAY_EUSAGE);
    text[PROVISION_PATH_SIZE] = 'a';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(provision_config_parse(config, text, &err), RAY_EUSAGE);
    assert_non_null(strstr(err.text, "line 1: longer than"));
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),   cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_check),  cmocka_unit_test(test_modes),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/config", tests, NULL, NULL);
}

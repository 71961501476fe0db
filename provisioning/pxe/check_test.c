#include <string.h>

#include "base/test.h"
#include "provisioning/pxe/check.h"

static const struct provision_check *find(const struct provision_checks *checks, const char *name)
{
    for (size_t i = 0; i < checks->count; i++) {
        if (strcmp(checks->items[i].name, name) == 0) {
            return &checks->items[i];
        }
    }
    fail_msg("no check '%s'", name);
    return NULL;
}

static void expect(const struct provision_checks *checks, const char *name,
                   enum provision_check_state state, const char *text)
{
    const struct provision_check *check = find(checks, name);

    assert_string_equal(provision_check_state_word(check->state),
                        provision_check_state_word(state));
    assert_non_null(strstr(check->text, text));
    assert_int_equal(check->next[0] != '\0',
                     state == PROVISION_CHECK_FAILED || state == PROVISION_CHECK_WARNING);
}

static struct provision_config config_of(enum provision_mode mode)
{
    return (struct provision_config){
        .mode = mode, .interface = "lab0", .address = 0x0a4d0001, .http_port = 8080};
}

static struct provision_probe_server server_of(uint32_t address, const char *uefi, const char *bios)
{
    struct provision_probe_server server = {
        .server = address, .gives_addresses = true, .has_answered = {true, true}};

    for (size_t i = 0; i < PROVISION_PROBE_ARCH_COUNT; i++) {
        const char *file = i == PROVISION_PROBE_UEFI ? uefi : bios;

        server.offers[i].server = address;
        memcpy(server.offers[i].boot_file, file, strlen(file) + 1);
    }
    return server;
}

static void test_servers(void **state)
{
    const struct provision_probe_server plain[] = {server_of(0x0a4d0002, "", ""),
                                                   server_of(0x0a4d0009, "", "")};
    static const struct {
        enum provision_mode mode;
        unsigned count;
        enum provision_check_state state;
        const char *text;
    } cases[] = {
        {PROVISION_MODE_DHCP, 0, PROVISION_CHECK_OK, "no other"},
        {PROVISION_MODE_DHCP, 1, PROVISION_CHECK_FAILED, "10.77.0.2;"},
        {PROVISION_MODE_DHCP, 2, PROVISION_CHECK_FAILED, "10.77.0.2, 10.77.0.9"},
        {PROVISION_MODE_PROXY, 0, PROVISION_CHECK_FAILED, "no DHCP server"},
        {PROVISION_MODE_PROXY, 1, PROVISION_CHECK_OK, "10.77.0.2 gives"},
        {PROVISION_MODE_PROXY, 2, PROVISION_CHECK_WARNING, "2 DHCP servers"},
        {PROVISION_MODE_HTTP, 0, PROVISION_CHECK_FAILED, "mode http"},
        {PROVISION_MODE_HTTP, 1, PROVISION_CHECK_OK, "10.77.0.2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct provision_config config = config_of(cases[i].mode);
        struct provision_checks checks = {0};

        provision_check_servers(&checks, &config, plain, cases[i].count);
        expect(&checks, "dhcp-server", cases[i].state, cases[i].text);
        expect(&checks, "boot-file", PROVISION_CHECK_OK, "no other");
    }
}

static void test_competing_boot_files(void **state)
{
    static const struct {
        enum provision_mode mode;
        enum provision_check_state state;
        const char *uefi;
        const char *bios;
        const char *text;
    } cases[] = {
        {PROVISION_MODE_PROXY, PROVISION_CHECK_FAILED, "grub.efi", "pxelinux.0", "'grub.efi'"},
        {PROVISION_MODE_PROXY, PROVISION_CHECK_FAILED, "", "pxelinux.0", "'pxelinux.0'"},
        {PROVISION_MODE_PROXY, PROVISION_CHECK_FAILED, "pxelinux.0", "pxelinux.0", "the same"},
        {PROVISION_MODE_DHCP, PROVISION_CHECK_FAILED, "grub.efi", "", "compete"},
        {PROVISION_MODE_HTTP, PROVISION_CHECK_OK, "http://10.77.0.1:8080/boot/uki", "", "no other"},
        {PROVISION_MODE_HTTP, PROVISION_CHECK_WARNING, "http://10.77.0.11/x", "", "10.77.0.11"},
        {PROVISION_MODE_HTTP, PROVISION_CHECK_WARNING, "grub.efi", "", "grub.efi"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct provision_config config = config_of(cases[i].mode);
        const struct provision_probe_server server =
            server_of(0x0a4d0002, cases[i].uefi, cases[i].bios);
        struct provision_checks checks = {0};

        provision_check_servers(&checks, &config, &server, 1);
        expect(&checks, "boot-file", cases[i].state, cases[i].text);
    }
}

static void test_next_server_alone_competes(void **state)
{
    const struct provision_config config = config_of(PROVISION_MODE_PROXY);
    struct provision_probe_server server = server_of(0x0a4d0002, "", "");
    struct provision_checks checks = {0};

    (void)state;
    server.offers[PROVISION_PROBE_UEFI].next_server = 0x0a4d0002; /* itself: some always say so */
    provision_check_servers(&checks, &config, &server, 1);
    expect(&checks, "boot-file", PROVISION_CHECK_OK, "no other");
    checks.count = 0;
    server.offers[PROVISION_PROBE_UEFI].next_server = 0x0a4d0003;
    provision_check_servers(&checks, &config, &server, 1);
    expect(&checks, "boot-file", PROVISION_CHECK_FAILED, "10.77.0.3");
}

/* The worst: eight servers fill the text and cut nothing in half beyond it. */
static void test_many_servers(void **state)
{
    const struct provision_config config = config_of(PROVISION_MODE_DHCP);
    struct provision_probe_server servers[PROVISION_PROBE_SERVER_COUNT_MAX];
    struct provision_checks checks = {0};

    (void)state;
    for (size_t i = 0; i < PROVISION_PROBE_SERVER_COUNT_MAX; i++) {
        servers[i] = server_of(0xffffff00 + (uint32_t)i + 200, "", "");
    }
    provision_check_servers(&checks, &config, servers, PROVISION_PROBE_SERVER_COUNT_MAX);
    expect(&checks, "dhcp-server", PROVISION_CHECK_FAILED, "255.255.255.207");
}

#define HEAD "  sl  local_address rem_address   st tx_queue\n"
#define LINE(address, port) "   12: " address ":" port " 00000000:0000 07 00000000:00000000\n"

static void test_ports(void **state)
{
    static const struct {
        const char *text;
        bool is_serving;
        enum provision_check_state dhcp;
        enum provision_check_state tftp;
    } cases[] = {
        {HEAD LINE("00000000", "0043") LINE("01004D0A", "0045"), true, PROVISION_CHECK_OK,
         PROVISION_CHECK_OK},
        {HEAD LINE("00000000", "0043") LINE("00000000", "0043") LINE("02004D0A", "0045"), true,
         PROVISION_CHECK_WARNING, PROVISION_CHECK_FAILED},
        {HEAD LINE("00000000", "0043"), false, PROVISION_CHECK_FAILED, PROVISION_CHECK_FAILED},
        {"", true, PROVISION_CHECK_FAILED, PROVISION_CHECK_FAILED},
    };
    struct provision_config config = config_of(PROVISION_MODE_DHCP);
    struct provision_checks checks = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        checks.count = 0;
        provision_check_ports(&checks, &config, cases[i].text, cases[i].is_serving);
        expect(&checks, "port-67", cases[i].dhcp, "UDP port 67");
        expect(&checks, "port-69", cases[i].tftp, "UDP port 69");
        assert_int_equal(checks.count, 2);
    }
    checks.count = 0;
    config.mode = PROVISION_MODE_PROXY;
    provision_check_ports(&checks, &config, HEAD LINE("00000000", "0FAB"), true);
    expect(&checks, "port-4011", PROVISION_CHECK_OK, "4011");
    checks.count = 0;
    config.mode = PROVISION_MODE_HTTP;
    provision_check_ports(&checks, &config, "", false);
    expect(&checks, "port-67", PROVISION_CHECK_SKIPPED, "http");
}

static struct provision_store_image image_of(enum provision_store_state state, uint64_t built_s)
{
    struct provision_store_image image = {.id = "0123456789abcdef",
                                          .manifest = {.version = "1.2.3", .built_s = built_s},
                                          .state = state,
                                          .why = "initrd is missing"};

    image.manifest.files[PROVISION_FILE_UKI].size_bytes = 40 << 20;
    return image;
}

static void test_images(void **state)
{
    const struct provision_store_image images[] = {image_of(PROVISION_STORE_DAMAGED, 0),
                                                   image_of(PROVISION_STORE_UNVERIFIED, 0)};
    struct provision_checks checks = {0};

    (void)state;
    provision_check_images(&checks, images, 0);
    expect(&checks, "image", PROVISION_CHECK_FAILED, "no image");
    checks.count = 0;
    provision_check_images(&checks, images, 1);
    expect(&checks, "image", PROVISION_CHECK_FAILED, "initrd is missing");
    checks.count = 0;
    provision_check_images(&checks, images, 2);
    expect(&checks, "image", PROVISION_CHECK_WARNING, "0123456789ab is damaged");
    checks.count = 0;
    provision_check_images(&checks, images + 1, 1);
    expect(&checks, "image", PROVISION_CHECK_OK, "1 image, the newest is 1.2.3");
}

static void test_clock(void **state)
{
    const struct provision_store_image image = image_of(PROVISION_STORE_VERIFIED, 1700000000);
    const struct provision_store_image silent = image_of(PROVISION_STORE_VERIFIED, 0);
    struct provision_checks checks = {0};

    (void)state;
    provision_check_clock(&checks, &image, 1, UINT64_C(1699999999999999));
    expect(&checks, "clock", PROVISION_CHECK_FAILED, "before the build");
    checks.count = 0;
    provision_check_clock(&checks, &image, 1, UINT64_C(1700000000000000));
    expect(&checks, "clock", PROVISION_CHECK_OK, "after");
    checks.count = 0;
    provision_check_clock(&checks, &silent, 1, 0);
    expect(&checks, "clock", PROVISION_CHECK_SKIPPED, "no image");
}

static void test_disk(void **state)
{
    const struct provision_store_image image = image_of(PROVISION_STORE_VERIFIED, 0);
    struct provision_checks checks = {0};

    (void)state;
    provision_check_disk(&checks, UINT64_C(66) << 20, &image, 1); /* 40 + a quarter + 16 */
    expect(&checks, "disk", PROVISION_CHECK_OK, "66 MiB");
    checks.count = 0;
    provision_check_disk(&checks, (UINT64_C(66) << 20) - 1, &image, 1);
    expect(&checks, "disk", PROVISION_CHECK_WARNING, "one more image");
    checks.count = 0;
    provision_check_disk(&checks, (UINT64_C(16) << 20) - 1, NULL, 0);
    expect(&checks, "disk", PROVISION_CHECK_FAILED, "remember");
}

#define HOUR_US (UINT64_C(3600) * 1000000)
#define MINUTE_US (UINT64_C(60) * 1000000)

static void test_stuck_machines(void **state)
{
    static const struct provision_mac mac = {{0x52, 0x54, 0, 0x77, 0, 0x15}};
    const struct provision_time then = {.real_us = 100 * HOUR_US, .mono_us = 1};
    char folder[] = "/tmp/check_test.XXXXXX";
    struct provision_table_config config = {.dir = mkdtemp(folder)};
    struct provision_table *table = NULL;
    struct provision_checks checks = {0};

    (void)state;
    assert_non_null(config.dir);
    assert_int_equal(provision_table_create(&table, NULL, &config, NULL), RAY_OK);
    provision_check_machines(&checks, table, then.real_us);
    expect(&checks, "machines", PROVISION_CHECK_OK, "no machine");
    assert_int_equal(provision_table_note(table, &mac, PROVISION_RECORD_EVENT_OFFER, "", &then), 0);
    checks.count = 0;
    provision_check_machines(&checks, table, then.real_us + MINUTE_US);
    expect(&checks, "machines", PROVISION_CHECK_OK, "no machine");
    checks.count = 0;
    provision_check_machines(&checks, table, then.real_us + MINUTE_US + 1);
    expect(&checks, "machines", PROVISION_CHECK_WARNING, "52:54:00:77:00:15) got an offer");
    checks.count = 0;
    provision_check_machines(&checks, table, then.real_us + HOUR_US);
    expect(&checks, "machines", PROVISION_CHECK_OK, "no machine");
    assert_int_equal(provision_table_note(table, &mac, PROVISION_RECORD_EVENT_TFTP, "", &then), 0);
    checks.count = 0;
    provision_check_machines(&checks, table, then.real_us + HOUR_US / 2);
    expect(&checks, "machines", PROVISION_CHECK_WARNING, "never asked for the script");
    provision_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_competing_boot_files),
        cmocka_unit_test(test_next_server_alone_competes),
        cmocka_unit_test(test_many_servers),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_stuck_machines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

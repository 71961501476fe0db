#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "provisioning/pxe/tracker.h"

static struct provision_tracker *make(void)
{
    struct provision_config *config = calloc(1, sizeof(*config));
    struct provision_tracker *tracker = malloc(sizeof(*tracker));

    assert_non_null(config);
    assert_non_null(tracker);
    config->host_count = 1;
    config->hosts[0] = (struct provision_host){
        .mac = {{0x52, 0x54, 0, 0x77, 0, 0x15}}, .ip = 0x0a4d0015, .name = "node1"};
    provision_tracker_init(tracker, config);
    free(config);
    return tracker;
}

static bool take(struct provision_tracker *tracker, const char *text, struct provision_event *event)
{
    const struct provision_arch *arch;
    struct provision_dnsmasq_line line;
    char whole[256];

    (void)snprintf(whole, sizeof(whole), "Nov 21 02:44:11 dnsmasq-%s", text);
    provision_dnsmasq_line_parse(whole, strlen(whole), &line);
    return provision_tracker_take(tracker, &line, event, &arch);
}

static void test_boot(void **state)
{
    struct provision_tracker *tracker = make();
    struct provision_event event;

    (void)state;
    assert_false(
        take(tracker, "dhcp[1]: 7 vendor class: PXEClient:Arch:00007:UNDI:003016", &event));
    assert_true(take(tracker, "dhcp[1]: 7 DHCPDISCOVER(l) 52:54:00:99:00:01 ", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_DHCP_DISCOVER);
    assert_string_equal(event.mac, "52:54:00:99:00:01");
    assert_true(take(tracker, "dhcp[1]: 7 DHCPOFFER(l) 10.77.0.100 52:54:00:99:00:01 ", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_DHCP_OFFER);
    assert_string_equal(event.ip, "10.77.0.100");
    assert_string_equal(provision_tracker_mac(tracker, "10.77.0.100"), "");
    assert_false(take(tracker, "dhcp[1]: 7 DHCPREQUEST(l) 10.77.0.100 52:54:00:99:00:01 ", &event));
    assert_true(take(tracker, "dhcp[1]: 7 DHCPACK(l) 10.77.0.100 52:54:00:99:00:01 ", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_DHCP_ACK);
    assert_string_equal(provision_tracker_mac(tracker, "10.77.0.100"), "52:54:00:99:00:01");
    assert_true(take(tracker, "tftp[1]: sent /s/tftp/snponly.efi to 10.77.0.100", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_TFTP);
    assert_string_equal(event.mac, "52:54:00:99:00:01");
    assert_string_equal(event.detail, "snponly.efi");
    assert_true(take(tracker, "tftp[1]: sent /s/tftp/snponly.efi to 10.77.0.21", &event));
    assert_string_equal(event.mac, "52:54:00:77:00:15"); /* known from the configuration */
    assert_true(take(tracker, "tftp[1]: file /s/x not found for 10.77.0.100", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_REFUSED);
    assert_true(take(tracker, "tftp[1]: failed sending /s/x to 10.77.0.100", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_ERROR);
    assert_true(take(tracker, "dhcp[1]: 7 DHCPNAK(l) 10.0.0.1 52:54:00:99:00:01 wrong", &event));
    assert_string_equal(event.detail, "DHCP: wrong");
    assert_string_equal(provision_tracker_mac(tracker, ""), "");
    free(tracker);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *vendor_class;
        const char *part;
    } cases[] = {
        {"PXEClient:Arch:00006:UNDI:003016", "32-bit x86"},
        {"PXEClient:Arch:00011:UNDI:003016",
         "UEFI PXE on aarch64 (architecture 11): no image for aarch64 exists yet"},
        {"HTTPClient:Arch:00019:UNDI:003001", "no image for aarch64 exists yet"},
        {"HTTPClient:Arch:00007:UNDI:003001", "this kind of HTTP boot"},
        {"PXEClient:Arch:00099:UNDI:003016", "this architecture has no image"},
        {"PXEClient", "unknown architecture"},
    };
    struct provision_tracker *tracker = make();
    struct provision_event event;
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), "dhcp[1]: %zu vendor class: %s", i + 1,
                       cases[i].vendor_class);
        assert_false(take(tracker, text, &event));
        (void)snprintf(text, sizeof(text), "dhcp[1]: %zu DHCPDISCOVER(l) 52:54:00:77:00:15 ignored",
                       i + 1);
        assert_true(take(tracker, text, &event));
        assert_int_equal(event.kind, PROVISION_EVENT_REFUSED);
        assert_non_null(strstr(event.detail, cases[i].part));
        (void)snprintf(text, sizeof(text), "dhcp[1]: %zu PXE(l) 52:54:00:77:00:15 proxy-ignored",
                       i + 1);
        assert_true(take(tracker, text, &event));
        assert_int_equal(event.kind, PROVISION_EVENT_REFUSED);
        assert_non_null(strstr(event.detail, cases[i].part));
    }
    /* The oldest transactions are forgotten, and then the reason is a general one. */
    for (unsigned i = 0; i < PROVISION_TRANSACTION_COUNT; i++) {
        (void)snprintf(text, sizeof(text), "dhcp[1]: %u vendor class: x", 1000 + i);
        assert_false(take(tracker, text, &event));
    }
    assert_true(take(tracker, "dhcp[1]: 1 DHCPDISCOVER(l) 52:54:00:77:00:15 ignored", &event));
    assert_non_null(strstr(event.detail, "unknown architecture"));
    free(tracker);
}

/* The architecture goes with the event; proxyDHCP has offers without address. */
static void test_proxy(void **state)
{
    struct provision_tracker *tracker = make();
    const struct provision_arch *arch;
    struct provision_dnsmasq_line line = {.kind = PROVISION_DNSMASQ_CLASS, .transaction = 9};
    struct provision_event event;

    (void)state;
    (void)snprintf(line.text, sizeof(line.text), "PXEClient:Arch:00000:UNDI:002001");
    assert_false(provision_tracker_take(tracker, &line, &event, &arch));
    line = (struct provision_dnsmasq_line){
        .kind = PROVISION_DNSMASQ_PROXY, .transaction = 9, .mac = "52:54:00:99:00:01"};
    (void)snprintf(line.text, sizeof(line.text), "proxy");
    assert_true(provision_tracker_take(tracker, &line, &event, &arch));
    assert_int_equal(event.kind, PROVISION_EVENT_DHCP_OFFER);
    assert_string_equal(event.mac, "52:54:00:99:00:01");
    assert_string_equal(event.detail, "proxy");
    assert_ptr_equal(arch, provision_arch_find(0, false));
    assert_true(take(tracker, "dhcp[1]: 9 PXE(l) 10.0.0.9 52:54:00:99:00:01 snponly.efi", &event));
    assert_int_equal(event.kind, PROVISION_EVENT_DHCP_OFFER);
    assert_string_equal(provision_tracker_mac(tracker, "10.0.0.9"), "52:54:00:99:00:01");
    line.transaction = 10;
    assert_true(provision_tracker_take(tracker, &line, &event, &arch));
    assert_null(arch);
    free(tracker);
}

static void test_flood(void **state)
{
    struct provision_tracker *tracker = make();
    struct provision_event event;
    char text[128];

    (void)state;
    for (unsigned i = 0; i < PROVISION_LEASE_COUNT + 10; i++) {
        (void)snprintf(text, sizeof(text),
                       "dhcp[1]: 7 DHCPACK(l) 10.78.%u.%u 52:54:01:00:%02x:%02x ", i >> 8, i & 0xff,
                       i >> 8 & 0xff, i & 0xff);
        assert_true(take(tracker, text, &event));
    }
    assert_string_equal(provision_tracker_mac(tracker, "10.78.0.0"), "");
    assert_string_equal(provision_tracker_mac(tracker, "10.78.2.9"), "52:54:01:00:02:09");
    free(tracker);
}

static void test_event_format(void **state)
{
    struct provision_event event = {.kind = PROVISION_EVENT_HTTP_DONE,
                                    .t_us = 12,
                                    .mac = "52:54:00:77:00:15",
                                    .ip = "10.77.0.21",
                                    .detail = "a\"b\\c\n\xc3",
                                    .has_size = true,
                                    .size_bytes = UINT64_MAX};
    char line[PROVISION_EVENT_LINE_SIZE];
    size_t size;

    (void)state;
    size = provision_event_format(&event, line);
    assert_int_equal(size, strlen(line));
    assert_string_equal(line, "{\"t_us\":12,\"event\":\"http-done\",\"mac\":\"52:54:00:77:00:15\","
                              "\"ip\":\"10.77.0.21\",\"detail\":\"a\\\"b\\\\c\\u000a\\ufffd\","
                              "\"bytes\":18446744073709551615}\n");
    event.t_us = UINT64_MAX; /* the longest there is */
    memset(event.detail, 1, sizeof(event.detail) - 1);
    memset(event.mac, 1, sizeof(event.mac) - 1);
    memset(event.ip, 1, sizeof(event.ip) - 1);
    size = provision_event_format(&event, line);
    assert_int_equal(size, strlen(line));
    assert_int_equal(line[strlen(line) - 1], '\n');
    event = (struct provision_event){.kind = PROVISION_EVENT_ERROR};
    (void)provision_event_format(&event, line);
    assert_string_equal(line, "{\"t_us\":0,\"event\":\"error\",\"detail\":\"\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boot),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_proxy),        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_event_format),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/tracker", tests, NULL, NULL);
}

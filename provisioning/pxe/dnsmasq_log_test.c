#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/dnsmasq_log.h"

#define DHCP "Nov 21 02:44:11 dnsmasq-dhcp[1310]: "
#define TFTP "Nov 21 02:44:12 dnsmasq-tftp[1310]: "

static void parse(const char *text, struct provision_dnsmasq_line *out)
{
    size_t size = strlen(text);
    char *exact = malloc(size > 0 ? size : 1);

    assert_non_null(exact);
    for (size_t i = 0; i < size; i++) {
        exact[i] = text[i];
    }
    provision_dnsmasq_line_parse(exact, size, out);
    free(exact);
}

static void test_lines(void **state)
{
    static const struct {
        const char *text;
        struct provision_dnsmasq_line line;
    } cases[] = {
        {"Nov 21 02:44:10 dnsmasq[1310]: started, version 2.91 DNS disabled",
         {.kind = PROVISION_DNSMASQ_STARTED}},
        {DHCP "4660 vendor class: PXEClient:Arch:00007:UNDI:003016",
         {PROVISION_DNSMASQ_CLASS, 4660, "", "", "PXEClient:Arch:00007:UNDI:003016"}},
        {DHCP "4660 DHCPDISCOVER(lab0) 52:54:00:77:00:15 ",
         {PROVISION_DNSMASQ_DISCOVER, 4660, "52:54:00:77:00:15", "", ""}},
        {DHCP "4660 DHCPDISCOVER(lab0) 10.77.0.21 52:54:00:77:00:15 ",
         {PROVISION_DNSMASQ_DISCOVER, 4660, "52:54:00:77:00:15", "10.77.0.21", ""}},
        {DHCP "4660 DHCPDISCOVER(lab0) 52:54:00:77:00:15 ignored",
         {PROVISION_DNSMASQ_DISCOVER, 4660, "52:54:00:77:00:15", "", "ignored"}},
        {DHCP "4294967295 DHCPOFFER(lab0) 10.77.0.21 52:54:00:77:00:15 ",
         {PROVISION_DNSMASQ_OFFER, UINT32_MAX, "52:54:00:77:00:15", "10.77.0.21", ""}},
        {DHCP "4660 DHCPREQUEST(lab0) 10.77.0.21 52:54:00:77:00:15 ",
         {PROVISION_DNSMASQ_REQUEST, 4660, "52:54:00:77:00:15", "10.77.0.21", ""}},
        {DHCP "4660 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1",
         {PROVISION_DNSMASQ_ACK, 4660, "52:54:00:77:00:15", "10.77.0.21", "node1"}},
        {DHCP "4660 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 \x1b[2J",
         {PROVISION_DNSMASQ_ACK, 4660, "52:54:00:77:00:15", "10.77.0.21", "\\x1b[2J"}},
        {DHCP "4660 DHCPNAK(lab0) 10.0.0.9 52:54:00:77:00:15 wrong address",
         {PROVISION_DNSMASQ_NAK, 4660, "52:54:00:77:00:15", "10.0.0.9", "wrong address"}},
        {DHCP "4660 PXE(lab0) 52:54:00:77:00:15 proxy",
         {PROVISION_DNSMASQ_PROXY, 4660, "52:54:00:77:00:15", "", "proxy"}},
        {DHCP "4660 PXE(lab0) 52:54:00:77:00:15 proxy-ignored",
         {PROVISION_DNSMASQ_PROXY, 4660, "52:54:00:77:00:15", "", "proxy-ignored"}},
        {DHCP "4660 PXE(lab0) 10.0.0.37 52:54:00:77:00:15 snponly.efi",
         {PROVISION_DNSMASQ_PROXY, 4660, "52:54:00:77:00:15", "10.0.0.37", "snponly.efi"}},
        {TFTP "sent /state/tftp/autoexec.ipxe to 10.77.0.21",
         {PROVISION_DNSMASQ_TFTP_SENT, 0, "", "10.77.0.21", "autoexec.ipxe"}},
        {TFTP "sent /state to /x to 10.77.0.21",
         {PROVISION_DNSMASQ_TFTP_SENT, 0, "", "10.77.0.21", "x"}},
        {TFTP "file /state/tftp/none not found for 10.77.0.21",
         {PROVISION_DNSMASQ_TFTP_MISSING, 0, "", "10.77.0.21", "none"}},
        {TFTP "failed sending /state/tftp/snponly.efi to 10.77.0.21",
         {PROVISION_DNSMASQ_TFTP_FAILED, 0, "", "10.77.0.21", "snponly.efi"}},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct provision_dnsmasq_line line;
        parse(cases[i].text, &line);
        if (line.kind != cases[i].line.kind || line.transaction != cases[i].line.transaction) {
            fail_msg("%s: kind %d transaction %u", cases[i].text, line.kind, line.transaction);
        }
        assert_string_equal(line.mac, cases[i].line.mac);
        assert_string_equal(line.ip, cases[i].line.ip);
        assert_string_equal(line.text, cases[i].line.text);
    }
}

static void test_others(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        "started, version 2.91",
        "Nov 21 02:44:10",
        "Nov 21 02:44:10 dnsmasq[1310]: exiting on receipt of SIGTERM",
        "Nov 21 02:44:10 dnsmasq-dhcp[1310]: started, version 2.91",
        DHCP "DHCP, IP range 10.77.0.20 -- 10.77.0.250, lease time 12h",
        DHCP "x4660 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1",
        DHCP "46600000000 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1",
        DHCP "4294967296 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1",
        DHCP "4660 DHCPACK(lab0) 52:54:00:77:00:15",
        DHCP "4660 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00",
        DHCP "4660 DHCPACK(lab0) 10.77.0.999 52:54:00:77:00:15",
        DHCP "4660 DHCPACK(lab0)",
        DHCP "4660 PXE(lab0) proxy",
        DHCP "4660 DHCPDISCOVER(lab0) 10.77.0.21",
        DHCP "4660 tags: known, efi-x64, lab0",
        DHCP "4660 client provides name: DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15",
        TFTP "sent /state/tftp/autoexec.ipxe to nobody",
        TFTP "sent /state/tftp/autoexec.ipxe",
        TFTP "sent  to ",
        TFTP "error 8 User aborted the transfer received from 10.77.0.21",
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct provision_dnsmasq_line line;
        parse(cases[i], &line);
        if (line.kind != PROVISION_DNSMASQ_OTHER || line.transaction != 0 || line.ip[0] != '\0' ||
            line.mac[0] != '\0') {
            fail_msg("'%s' became %d", cases[i], line.kind);
        }
    }
}

static void test_arch(void **state)
{
    (void)state;
    assert_int_equal(provision_class_arch("PXEClient:Arch:00007:UNDI:003016"), 7);
    assert_int_equal(provision_class_arch("PXEClient:Arch:00000:UNDI:002001"), 0);
    assert_int_equal(provision_class_arch("HTTPClient:Arch:00016:UNDI:003001"), 16);
    assert_int_equal(provision_class_arch("PXEClient:Arch:65535"), 65535);
    assert_int_equal(provision_class_arch("PXEClient:Arch:65536:x"), -1);
    assert_int_equal(provision_class_arch("PXEClient:Arch::UNDI"), -1);
    assert_int_equal(provision_class_arch("PXEClient:Arch:7x:UNDI"), -1);
    assert_int_equal(provision_class_arch("PXEClient"), -1);
    assert_int_equal(provision_class_arch("dhcpcd-10.1.0:Linux"), -1);
    assert_int_equal(provision_class_arch(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_arch),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/dnsmasq_log", tests, NULL, NULL);
}

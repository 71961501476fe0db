/* DHCP on our network, or proxyDHCP on another's, and TFTP; no DNS, no router, no ping before an
 * offer (it blocks dnsmasq for seconds, and all machines of this network are ours). One machine
 * has one address: firmware, iPXE and the node send different client ids, so only the MAC
 * counts.
 *
 * dnsmasq's rules that this rests on:
 * - proxyDHCP answers nobody unless there is a pxe-service;
 * - a UEFI client with exactly one pxe-service is sent to port 4011 and told its file there,
 *   which every UEFI understands; BIOS clients and iPXE get the file of dhcp-boot with "no menu";
 * - proxyDHCP sends option 60 back as the vendor of dhcp-pxe-vendor that matched, so that a
 *   firmware which boots by HTTP knows the offer for one;
 * - DHCP sends option 60 only when forced. */
#include "provisioning/pxe/dnsmasq_config.h"

#include <assert.h>
#include <string.h>

static const char common_part[] =
    "port=0\n"
    "bind-interfaces\n"
    "except-interface=lo\n"
    "no-resolv\n"
    "no-hosts\n"
    "log-dhcp\n"
    "log-facility=-\n"
    "enable-tftp\n"
    "tftp-secure\n"
    /* Who netboots tells its architecture (RFC 4578); arch.c has the same table in words. */
    "dhcp-match=set:netboot,option:client-arch\n"
    "dhcp-match=set:bios,option:client-arch,0\n"
    "dhcp-match=set:efi-x64,option:client-arch,7\n"
    "dhcp-match=set:efi-x64,option:client-arch,9\n"
    "dhcp-match=set:http-x64,option:client-arch,16\n"
    "dhcp-vendorclass=set:http,HTTPClient\n"
    "dhcp-userclass=set:ipxe,iPXE\n"
    "tag-if=set:served,tag:bios,tag:!http\n"
    "tag-if=set:served,tag:efi-x64,tag:!http\n"
    "tag-if=set:served,tag:http-x64,tag:http\n"
    "tag-if=set:refused,tag:netboot,tag:!served\n"
    "dhcp-ignore=tag:refused\n";

static const char dhcp_part[] = "no-ping\n"
                                "dhcp-authoritative\n"
                                "dhcp-ignore-clid\n"
                                "dhcp-option=3\n"
                                "dhcp-option=6\n"
                                "dhcp-option-force=tag:http-x64,60,HTTPClient\n";

static const char proxy_part[] = "dhcp-pxe-vendor=PXEClient,HTTPClient\n"
                                 "pxe-service=tag:!ipxe,7,\"RayOS\"," PROVISION_BOOT_FILE "\n"
                                 "pxe-service=tag:!ipxe,9,\"RayOS\"," PROVISION_BOOT_FILE "\n";

static int put(struct ray_buf *out, const char *text)
{
    return ray_buf_append(out, text, strlen(text));
}

static int put_head(struct ray_buf *out, const struct provision_config *config,
                    const char *state_dir)
{
    char ip[PROVISION_IP_TEXT_SIZE];

    /* Our address stands behind each file, because proxyDHCP names no server otherwise. */
    (void)provision_ip_format(config->address, ip);
    return ray_buf_appendf(out,
                           "# made by rayos-provision at each start\n"
                           "interface=%s\n"
                           "tftp-root=%s/" PROVISION_TFTP_DIR "\n"
                           "dhcp-leasefile=%s/" PROVISION_LEASES_FILE "\n"
                           "dhcp-boot=tag:bios,tag:!ipxe," PROVISION_BIOS_BOOT_FILE ",,%s\n"
                           "dhcp-boot=tag:efi-x64,tag:!ipxe," PROVISION_BOOT_FILE ",,%s\n"
                           "dhcp-boot=tag:ipxe," PROVISION_AUTOEXEC_FILE ",,%s\n"
                           "dhcp-boot=tag:http-x64,http://%s:%u" PROVISION_UKI_PATH ",,%s\n",
                           config->interface, state_dir, state_dir, ip, ip, ip, ip,
                           config->http_port, ip);
}

static int put_dhcp(struct ray_buf *out, const struct provision_config *config)
{
    char first[PROVISION_IP_TEXT_SIZE];
    char last[PROVISION_IP_TEXT_SIZE];
    char mask[PROVISION_IP_TEXT_SIZE];
    char ip[PROVISION_IP_TEXT_SIZE];
    int rc = ray_buf_appendf(out,
                             "dhcp-range=%s,%s,%s,12h\n"
                             "dhcp-option=%d,\"http://%s:%u\"\n",
                             provision_ip_format(config->range_first, first),
                             provision_ip_format(config->range_last, last),
                             provision_ip_format(provision_netmask(config->prefix_size), mask),
                             PROVISION_OPTION_SERVER, provision_ip_format(config->address, ip),
                             config->http_port);

    if (rc == RAY_OK) {
        rc = put(out, dhcp_part);
    }
    for (size_t i = 0; rc == RAY_OK && i < config->host_count; i++) {
        const struct provision_host *host = &config->hosts[i];
        char mac[PROVISION_MAC_TEXT_SIZE];

        rc = ray_buf_appendf(out, "dhcp-host=%s,%s,%s\n", provision_mac_format(&host->mac, mac),
                             provision_ip_format(host->ip, ip), host->name);
    }
    return rc;
}

static int put_proxy(struct ray_buf *out, const struct provision_config *config)
{
    uint32_t mask = provision_netmask(config->prefix_size);
    char network[PROVISION_IP_TEXT_SIZE];
    char mask_text[PROVISION_IP_TEXT_SIZE];
    int rc = ray_buf_appendf(out, "dhcp-range=%s,proxy,%s\n",
                             provision_ip_format(config->address & mask, network),
                             provision_ip_format(mask, mask_text));

    return rc == RAY_OK ? put(out, proxy_part) : rc;
}

/* An address of our IPv6 network with these last 16 bits. */
static const char *address6_with(const struct provision_config *config, uint16_t last,
                                 char out[static PROVISION_PEER_TEXT_SIZE])
{
    struct provision_ip6 ip = config->address6;

    for (unsigned bit = config->prefix6_size; bit < 128; bit++) {
        ip.bytes[bit / 8] = (uint8_t)(ip.bytes[bit / 8] & ~(0x80U >> bit % 8));
    }
    ip.bytes[14] = (uint8_t)(last >> 8);
    ip.bytes[15] = (uint8_t)last;
    return provision_ip6_format(&ip, out);
}

/* DHCPv6 beside DHCP: addresses, and where to boot from as a URL (RFC 5970). The router
 * advertisements say that we are no router. A firmware that boots by HTTP wants its vendor
 * class back: an enterprise number of four bytes, which it does not look at, then a text with
 * its size. dnsmasq writes only texts with their sizes, so that the number is one, too. */
static int put_dhcp6(struct ray_buf *out, const struct provision_config *config)
{
    char first[PROVISION_PEER_TEXT_SIZE];
    char last[PROVISION_PEER_TEXT_SIZE];
    char ip[PROVISION_PEER_TEXT_SIZE];

    assert(config->prefix6_size <= 112);
    (void)provision_ip6_format(&config->address6, ip);
    return ray_buf_appendf(
        out,
        "dhcp-range=%s,%s,%u,12h\n"
        "enable-ra\n"
        "ra-param=%s,60,0\n"
        "dhcp-option=option6:dns-server\n"
        "dhcp-match=set:efi6-x64,option6:61,7\n"
        "dhcp-match=set:http6-x64,option6:61,16\n"
        "dhcp-option=tag:efi6-x64,option6:bootfile-url,\"tftp://[%s]/" PROVISION_BOOT_FILE "\"\n"
        "dhcp-option=tag:http6-x64,option6:bootfile-url,\"http://[%s]:%u" PROVISION_UKI_PATH "\"\n"
        "dhcp-option-force=tag:http6-x64,option6:16,\"RA\",\"HTTPClient\"\n",
        address6_with(config, 0x1000, first), address6_with(config, 0x1fff, last),
        config->prefix6_size, config->interface, ip, ip, config->http_port);
}

int provision_dnsmasq_config(struct ray_buf *out, const struct provision_config *config,
                             const char *state_dir, struct ray_err *err)
{
    int rc = put_head(out, config, state_dir);

    assert(provision_mode_has_dnsmasq(config->mode));
    if (rc == RAY_OK) {
        rc = put(out, common_part);
    }
    if (rc == RAY_OK) {
        rc = config->mode == PROVISION_MODE_DHCP ? put_dhcp(out, config) : put_proxy(out, config);
    }
    if (rc == RAY_OK && config->mode == PROVISION_MODE_DHCP && config->prefix6_size != 0) {
        rc = put_dhcp6(out, config);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "no room for dnsmasq's configuration");
}

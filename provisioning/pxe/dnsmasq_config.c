/* DHCP on our network and TFTP; no DNS, no router, no ping before an offer (it blocks dnsmasq
 * for seconds, and all machines of this network are ours). One machine has one address:
 * firmware, iPXE and the node send different client ids, so only the MAC counts. */
#include "provisioning/pxe/dnsmasq_config.h"

static const char fixed_part[] =
    "port=0\n"
    "bind-interfaces\n"
    "except-interface=lo\n"
    "no-resolv\n"
    "no-hosts\n"
    "no-ping\n"
    "log-dhcp\n"
    "log-facility=-\n"
    "dhcp-authoritative\n"
    "dhcp-ignore-clid\n"
    "dhcp-option=3\n"
    "dhcp-option=6\n"
    /* Who netboots tells its architecture (RFC 4578); only UEFI x64 has a boot file here. */
    "dhcp-match=set:netboot,option:client-arch\n"
    "dhcp-match=set:efi-x64,option:client-arch,7\n"
    "dhcp-match=set:efi-x64,option:client-arch,9\n"
    "tag-if=set:refused,tag:netboot,tag:!efi-x64\n"
    "dhcp-ignore=tag:refused\n"
    "dhcp-userclass=set:ipxe,iPXE\n"
    "dhcp-boot=tag:efi-x64,tag:!ipxe," PROVISION_BOOT_FILE "\n"
    "dhcp-boot=tag:efi-x64,tag:ipxe," PROVISION_AUTOEXEC_FILE "\n"
    "enable-tftp\n"
    "tftp-secure\n";

int provision_dnsmasq_config(struct ray_buf *out, const struct provision_config *config,
                             const char *state_dir, struct ray_err *err)
{
    char first[PROVISION_IP_TEXT_SIZE];
    char last[PROVISION_IP_TEXT_SIZE];
    char mask[PROVISION_IP_TEXT_SIZE];
    int rc = ray_buf_appendf(out,
                             "# made by rayos-provision at each start\n"
                             "interface=%s\n"
                             "tftp-root=%s/" PROVISION_TFTP_DIR "\n"
                             "dhcp-leasefile=%s/" PROVISION_LEASES_FILE "\n"
                             "dhcp-range=%s,%s,%s,12h\n",
                             config->interface, state_dir, state_dir,
                             provision_ip_format(config->range_first, first),
                             provision_ip_format(config->range_last, last),
                             provision_ip_format(provision_netmask(config->prefix_size), mask));

    if (rc == RAY_OK) {
        rc = ray_buf_append(out, fixed_part, sizeof(fixed_part) - 1);
    }
    for (size_t i = 0; rc == RAY_OK && i < config->host_count; i++) {
        const struct provision_host *host = &config->hosts[i];
        char mac[PROVISION_MAC_TEXT_SIZE];
        char ip[PROVISION_IP_TEXT_SIZE];

        rc = ray_buf_appendf(out, "dhcp-host=%s,%s,%s\n", provision_mac_format(&host->mac, mac),
                             provision_ip_format(host->ip, ip), host->name);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "no room for dnsmasq's configuration");
}

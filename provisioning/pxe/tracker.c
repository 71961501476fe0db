#include "provisioning/pxe/tracker.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

static const struct {
    int arch;
    const char *name;
} arch_names[] = {
    {0, "BIOS PXE"},
    {6, "UEFI PXE on 32-bit x86"},
    {10, "UEFI PXE on 32-bit Arm"},
    {11, "UEFI PXE on Arm"},
    {15, "UEFI HTTP boot on 32-bit x86"},
    {16, "UEFI HTTP boot"},
    {18, "UEFI HTTP boot on 32-bit Arm"},
    {19, "UEFI HTTP boot on Arm"},
    {25, "UEFI PXE on 32-bit RISC-V"},
    {27, "UEFI PXE on RISC-V"},
    {39, "UEFI PXE on LoongArch"},
};

const char *provision_arch_refusal(int arch, bool is_http)
{
    if ((arch == 7 || arch == 9) && !is_http) {
        return NULL;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(arch_names); i++) {
        if (arch_names[i].arch == arch) {
            return arch_names[i].name;
        }
    }
    return is_http ? "HTTP boot" : "this architecture";
}

static void remember_lease(struct provision_tracker *tracker, const char *mac, const char *ip)
{
    size_t slot = PROVISION_LEASE_COUNT;

    for (size_t i = 0; i < PROVISION_LEASE_COUNT; i++) {
        if (strcmp(tracker->leases[i].ip, ip) == 0) {
            slot = i;
            break;
        }
    }
    if (slot == PROVISION_LEASE_COUNT) {
        slot = tracker->lease_next;
        tracker->lease_next = (slot + 1) % PROVISION_LEASE_COUNT;
    }
    (void)snprintf(tracker->leases[slot].mac, sizeof(tracker->leases[slot].mac), "%s", mac);
    (void)snprintf(tracker->leases[slot].ip, sizeof(tracker->leases[slot].ip), "%s", ip);
}

void provision_tracker_init(struct provision_tracker *tracker,
                            const struct provision_config *config)
{
    *tracker = (struct provision_tracker){0};
    for (size_t i = 0; i < config->host_count; i++) {
        char mac[PROVISION_MAC_TEXT_SIZE];
        char ip[PROVISION_IP_TEXT_SIZE];

        remember_lease(tracker, provision_mac_format(&config->hosts[i].mac, mac),
                       provision_ip_format(config->hosts[i].ip, ip));
    }
}

const char *provision_tracker_mac(const struct provision_tracker *tracker, const char *ip)
{
    for (size_t i = 0; i < PROVISION_LEASE_COUNT && ip[0] != '\0'; i++) {
        if (strcmp(tracker->leases[i].ip, ip) == 0) {
            return tracker->leases[i].mac;
        }
    }
    return "";
}

static void remember_class(struct provision_tracker *tracker,
                           const struct provision_dnsmasq_line *line)
{
    size_t slot = tracker->transaction_next;

    tracker->transactions[slot].transaction = line->transaction;
    tracker->transactions[slot].arch = provision_class_arch(line->text);
    tracker->transactions[slot].is_http = strncmp(line->text, "HTTPClient", 10) == 0;
    tracker->transaction_next = (slot + 1) % PROVISION_TRANSACTION_COUNT;
}

/* The newest entry of the transaction. */
static bool find_class(const struct provision_tracker *tracker, uint32_t transaction, int *out_arch,
                       bool *out_is_http)
{
    for (size_t i = 1; i <= PROVISION_TRANSACTION_COUNT && transaction != 0; i++) {
        size_t slot = (tracker->transaction_next + PROVISION_TRANSACTION_COUNT - i) %
                      PROVISION_TRANSACTION_COUNT;
        if (tracker->transactions[slot].transaction == transaction) {
            *out_arch = tracker->transactions[slot].arch;
            *out_is_http = tracker->transactions[slot].is_http;
            return true;
        }
    }
    return false;
}

/* dnsmasq ignores who netboots on an architecture without boot file (dnsmasq_config.c). */
static void explain_ignored(const struct provision_tracker *tracker,
                            const struct provision_dnsmasq_line *line, struct provision_event *out)
{
    const char *why = NULL;
    bool is_http = false;
    int arch = -1;

    if (find_class(tracker, line->transaction, &arch, &is_http) && arch >= 0) {
        why = provision_arch_refusal(arch, is_http);
    }
    if (why != NULL) {
        (void)snprintf(out->detail, sizeof(out->detail),
                       "%s (architecture %d) has no image here: only UEFI PXE on x64 is served",
                       why, arch);
    } else {
        (void)snprintf(out->detail, sizeof(out->detail),
                       "netboot of an unknown architecture: only UEFI PXE on x64 is served");
    }
    out->kind = PROVISION_EVENT_REFUSED;
}

static void set_detail(struct provision_event *out, const char *text)
{
    (void)snprintf(out->detail, sizeof(out->detail), "%s", text);
}

bool provision_tracker_take(struct provision_tracker *tracker,
                            const struct provision_dnsmasq_line *line, struct provision_event *out)
{
    const char *mac = line->mac;
    bool is_ignored = strcmp(line->text, "ignored") == 0;

    *out = (struct provision_event){0};
    if (line->kind == PROVISION_DNSMASQ_TFTP_SENT || line->kind == PROVISION_DNSMASQ_TFTP_MISSING ||
        line->kind == PROVISION_DNSMASQ_TFTP_FAILED) {
        mac = provision_tracker_mac(tracker, line->ip);
    }
    (void)snprintf(out->mac, sizeof(out->mac), "%s", mac);
    (void)snprintf(out->ip, sizeof(out->ip), "%s", line->ip);
    set_detail(out, line->text);
    switch (line->kind) {
    case PROVISION_DNSMASQ_CLASS:
        remember_class(tracker, line);
        return false;
    case PROVISION_DNSMASQ_DISCOVER:
        out->kind = PROVISION_EVENT_DHCP_DISCOVER;
        if (is_ignored) {
            explain_ignored(tracker, line, out);
        }
        return true;
    case PROVISION_DNSMASQ_OFFER:
        out->kind = PROVISION_EVENT_DHCP_OFFER;
        return true;
    case PROVISION_DNSMASQ_ACK:
        remember_lease(tracker, line->mac, line->ip);
        out->kind = PROVISION_EVENT_DHCP_ACK;
        return true;
    case PROVISION_DNSMASQ_NAK:
        out->kind = PROVISION_EVENT_REFUSED;
        (void)snprintf(out->detail, sizeof(out->detail), "DHCP: %s", line->text);
        return true;
    case PROVISION_DNSMASQ_TFTP_SENT:
        out->kind = PROVISION_EVENT_TFTP;
        return true;
    case PROVISION_DNSMASQ_TFTP_MISSING:
        out->kind = PROVISION_EVENT_REFUSED;
        (void)snprintf(out->detail, sizeof(out->detail), "TFTP: no file '%s'", line->text);
        return true;
    case PROVISION_DNSMASQ_TFTP_FAILED:
        out->kind = PROVISION_EVENT_ERROR;
        (void)snprintf(out->detail, sizeof(out->detail), "TFTP of '%s' broke off", line->text);
        return true;
    case PROVISION_DNSMASQ_REQUEST:
    case PROVISION_DNSMASQ_STARTED:
    case PROVISION_DNSMASQ_OTHER:
        break;
    }
    return false;
}

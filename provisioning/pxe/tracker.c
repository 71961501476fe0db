#include "provisioning/pxe/tracker.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

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
    int number = provision_class_arch(line->text);
    bool is_http = strncmp(line->text, "HTTPClient", 10) == 0;

    tracker->transactions[slot].transaction = line->transaction;
    tracker->transactions[slot].arch = number >= 0 ? provision_arch_find(number, is_http) : NULL;
    tracker->transaction_next = (slot + 1) % PROVISION_TRANSACTION_COUNT;
}

/* What the newest entry of the transaction says. */
static const struct provision_arch *find_arch(const struct provision_tracker *tracker,
                                              uint32_t transaction)
{
    for (size_t i = 1; i <= PROVISION_TRANSACTION_COUNT && transaction != 0; i++) {
        size_t slot = (tracker->transaction_next + PROVISION_TRANSACTION_COUNT - i) %
                      PROVISION_TRANSACTION_COUNT;
        if (tracker->transactions[slot].transaction == transaction) {
            return tracker->transactions[slot].arch;
        }
    }
    return NULL;
}

/* dnsmasq ignores who netboots on an architecture without boot file (dnsmasq_config.c). */
static void explain_ignored(const struct provision_arch *arch, struct provision_event *out)
{
    if (arch != NULL && arch->path == PROVISION_BOOT_NONE) {
        (void)provision_arch_refusal(arch, out->detail, sizeof(out->detail));
    } else {
        (void)snprintf(out->detail, sizeof(out->detail),
                       "netboot of an unknown architecture: only x86-64 has an image");
    }
    out->kind = PROVISION_EVENT_REFUSED;
}

static void set_detail(struct provision_event *out, const char *text)
{
    (void)snprintf(out->detail, sizeof(out->detail), "%s", text);
}

/* dnsmasq is alone on its network (dhcp-authoritative); a machine that follows the offer of
 * another server proves that it is not. */
static void take_nak(const char *why, struct provision_event *out)
{
    bool is_other_server = strcmp(why, "wrong server-ID") == 0;

    out->kind = is_other_server ? PROVISION_EVENT_ERROR : PROVISION_EVENT_REFUSED;
    (void)snprintf(out->detail, sizeof(out->detail), "DHCP: %s%s", why,
                   is_other_server ? ": another DHCP server answers on this network; stop it, or "
                                     "use the mode proxy"
                                   : "");
}

/* A proxyDHCP line: an offer, a refusal, or the file that was named afterwards. */
static bool take_proxy(const struct provision_arch *arch, const struct provision_dnsmasq_line *line,
                       struct provision_event *out)
{
    if (strcmp(line->text, "proxy-ignored") == 0) {
        explain_ignored(arch, out);
    } else {
        out->kind = PROVISION_EVENT_DHCP_OFFER;
    }
    return true;
}

static bool take_tftp(enum provision_dnsmasq_kind kind, const char *name,
                      struct provision_event *out)
{
    switch (kind) {
    case PROVISION_DNSMASQ_TFTP_SENT:
        out->kind = PROVISION_EVENT_TFTP;
        return true;
    case PROVISION_DNSMASQ_TFTP_MISSING:
        out->kind = PROVISION_EVENT_REFUSED;
        (void)snprintf(out->detail, sizeof(out->detail), "TFTP: no file '%s'", name);
        return true;
    case PROVISION_DNSMASQ_TFTP_FAILED:
        out->kind = PROVISION_EVENT_ERROR;
        (void)snprintf(out->detail, sizeof(out->detail), "TFTP of '%s' broke off", name);
        return true;
    default:
        return false;
    }
}

static bool is_tftp(enum provision_dnsmasq_kind kind)
{
    return kind == PROVISION_DNSMASQ_TFTP_SENT || kind == PROVISION_DNSMASQ_TFTP_MISSING ||
           kind == PROVISION_DNSMASQ_TFTP_FAILED;
}

bool provision_tracker_take(struct provision_tracker *tracker,
                            const struct provision_dnsmasq_line *line, struct provision_event *out,
                            const struct provision_arch **out_arch)
{
    const struct provision_arch *arch = find_arch(tracker, line->transaction);

    *out = (struct provision_event){0};
    *out_arch = arch;
    (void)snprintf(out->mac, sizeof(out->mac), "%s",
                   is_tftp(line->kind) ? provision_tracker_mac(tracker, line->ip) : line->mac);
    (void)snprintf(out->ip, sizeof(out->ip), "%s", line->ip);
    set_detail(out, line->text);
    switch (line->kind) {
    case PROVISION_DNSMASQ_CLASS:
        remember_class(tracker, line);
        return false;
    case PROVISION_DNSMASQ_DISCOVER:
        out->kind = PROVISION_EVENT_DHCP_DISCOVER;
        if (strcmp(line->text, "ignored") == 0) {
            explain_ignored(arch, out);
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
        take_nak(line->text, out);
        return true;
    case PROVISION_DNSMASQ_PROXY:
        if (line->ip[0] != '\0') {
            remember_lease(tracker, line->mac, line->ip);
        }
        return take_proxy(arch, line, out);
    default:
        return take_tftp(line->kind, line->text, out);
    }
}

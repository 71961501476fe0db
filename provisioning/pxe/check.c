#include "provisioning/pxe/check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { DHCP_PORT = 67, TFTP_PORT = 69, PROXY_PORT = 4011 };

#define ONE_IMAGE_BYTES (UINT64_C(192) << 20) /* kernel, initrd and both in one file, with room */
#define ANYTHING_BYTES (UINT64_C(16) << 20)   /* for the machine table */
#define STUCK_AFTER_US (UINT64_C(60) * 1000000)
#define STUCK_WITHIN_US (UINT64_C(3600) * 1000000)

const char *provision_check_state_word(enum provision_check_state state)
{
    static const char *const words[] = {
#define WORD(id, word) [PROVISION_CHECK_##id] = (word),
        PROVISION_CHECK_STATE_MAP(WORD)
#undef WORD
    };

    return words[state];
}

struct provision_check *provision_check_add(struct provision_checks *checks, const char *name,
                                            enum provision_check_state state, const char *fmt, ...)
{
    struct provision_check *check = &checks->items[checks->count];
    va_list ap;

    assert(checks->count < PROVISION_CHECK_COUNT_MAX);
    checks->count++;
    *check = (struct provision_check){.name = name, .state = state};
    va_start(ap, fmt);
    (void)vsnprintf(check->text, sizeof(check->text), fmt, ap); /* cut to fit */
    va_end(ap);
    return check;
}

void provision_check_next(struct provision_check *check, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(check->next, sizeof(check->next), fmt, ap); /* cut to fit */
    va_end(ap);
}

/* ---- other servers ---- */

/* "10.77.0.2, 10.77.0.9": those that give addresses, or those that do not. */
static size_t list_servers(const struct provision_probe_server *servers, size_t count,
                           bool gives_addresses, char out[static PROVISION_CHECK_TEXT_SIZE / 2])
{
    size_t found = 0;
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char ip[PROVISION_IP_TEXT_SIZE];

        if (servers[i].gives_addresses == gives_addresses) {
            length +=
                (size_t)snprintf(out + length, PROVISION_CHECK_TEXT_SIZE / 2 - length, "%s%s",
                                 found > 0 ? ", " : "", provision_ip_format(servers[i].server, ip));
            found++;
        }
    }
    assert(length < PROVISION_CHECK_TEXT_SIZE / 2); /* at most 8 addresses */
    return found;
}

static void check_own_mode(struct provision_checks *checks, const struct provision_config *config,
                           const char *givers, size_t giver_count)
{
    struct provision_check *check;

    if (giver_count == 0) {
        (void)provision_check_add(checks, "dhcp-server", PROVISION_CHECK_OK,
                                  "no other DHCP server answers on %s", config->interface);
        return;
    }
    check = provision_check_add(checks, "dhcp-server", PROVISION_CHECK_FAILED,
                                "another DHCP server gives addresses on %s: %s; a machine takes "
                                "whichever answers first",
                                config->interface, givers);
    provision_check_next(check, "switch DHCP off there, or serve in mode proxy beside it");
}

static void check_foreign_mode(struct provision_checks *checks,
                               const struct provision_config *config, const char *givers,
                               size_t giver_count)
{
    struct provision_check *check;

    if (giver_count == 1) {
        (void)provision_check_add(checks, "dhcp-server", PROVISION_CHECK_OK,
                                  "%s gives the addresses, as mode %s wants it", givers,
                                  provision_mode_word(config->mode));
    } else if (giver_count == 0) {
        check = provision_check_add(checks, "dhcp-server", PROVISION_CHECK_FAILED,
                                    "no DHCP server gives addresses on %s, and mode %s does not "
                                    "either",
                                    config->interface, provision_mode_word(config->mode));
        provision_check_next(check, "start the network's DHCP server, or serve in mode dhcp");
    } else {
        check = provision_check_add(checks, "dhcp-server", PROVISION_CHECK_WARNING,
                                    "%zu DHCP servers give addresses on %s: %s", giver_count,
                                    config->interface, givers);
        provision_check_next(check, "unless they share one pool, leave one of them");
    }
}

static bool has_boot_data(const struct provision_dhcp_offer *offer)
{
    return offer->boot_file[0] != '\0' ||
           (offer->next_server != 0 && offer->next_server != offer->server);
}

/* In mode http the other server is meant to send machines here. */
static bool points_to_us(const struct provision_dhcp_offer *offer,
                         const struct provision_config *config)
{
    char ip[PROVISION_IP_TEXT_SIZE];
    const char *at = strstr(offer->boot_file, provision_ip_format(config->address, ip));

    return at != NULL && strspn(at + strlen(ip), "0123456789") == 0;
}

/* One file for all: a BIOS cannot run what UEFI runs. URLs are told apart by who serves them. */
static bool ignores_arch(const struct provision_probe_server *server)
{
    const char *uefi = server->offers[PROVISION_PROBE_UEFI].boot_file;

    return server->has_answered[PROVISION_PROBE_UEFI] &&
           server->has_answered[PROVISION_PROBE_BIOS] && uefi[0] != '\0' &&
           strcmp(uefi, server->offers[PROVISION_PROBE_BIOS].boot_file) == 0;
}

static void say_competing(struct provision_checks *checks, const struct provision_config *config,
                          const struct provision_probe_server *server,
                          const struct provision_dhcp_offer *offer)
{
    char ip[PROVISION_IP_TEXT_SIZE];
    char next[PROVISION_IP_TEXT_SIZE];
    struct provision_check *check = provision_check_add(
        checks, "boot-file",
        config->mode == PROVISION_MODE_HTTP ? PROVISION_CHECK_WARNING : PROVISION_CHECK_FAILED,
        "the offer of %s names boot file '%s' and next server %s, which compete with ours%s",
        provision_ip_format(server->server, ip), offer->boot_file,
        offer->next_server != 0 ? provision_ip_format(offer->next_server, next) : "none",
        ignores_arch(server) ? "; it is the same for BIOS and UEFI, which cannot be right" : "");

    if (config->mode == PROVISION_MODE_HTTP) {
        provision_check_next(check,
                             "let it name http://%s:%u/ for iPXE and UEFI HTTP boot, by "
                             "architecture (option 93); see docs/reference/provision.md",
                             provision_ip_format(config->address, next), config->http_port);
    } else {
        provision_check_next(check,
                             "remove boot file and next server (options 66, 67, 'filename', "
                             "'next-server', 'dhcp-boot') from the server %s",
                             ip);
    }
}

static void check_boot_files(struct provision_checks *checks, const struct provision_config *config,
                             const struct provision_probe_server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t arch = 0; arch < PROVISION_PROBE_ARCH_COUNT; arch++) {
            const struct provision_dhcp_offer *offer = &servers[i].offers[arch];
            bool is_expected = config->mode == PROVISION_MODE_HTTP && points_to_us(offer, config);

            if (servers[i].has_answered[arch] && has_boot_data(offer) && !is_expected) {
                say_competing(checks, config, &servers[i], offer); /* one is enough to act on */
                return;
            }
        }
    }
    (void)provision_check_add(checks, "boot-file", PROVISION_CHECK_OK,
                              "no other server says what to boot");
}

void provision_check_servers(struct provision_checks *checks, const struct provision_config *config,
                             const struct provision_probe_server *servers, size_t count)
{
    char givers[PROVISION_CHECK_TEXT_SIZE / 2];
    size_t giver_count = list_servers(servers, count, true, givers);

    if (config->mode == PROVISION_MODE_DHCP) {
        check_own_mode(checks, config, givers, giver_count);
    } else {
        check_foreign_mode(checks, config, givers, giver_count);
    }
    check_boot_files(checks, config, servers, count);
}

/* ---- ports ---- */

/* Sockets bound to the port on our address or on any. Addresses are in network byte order. */
static size_t count_sockets(const char *text, uint32_t address, unsigned port)
{
    size_t count = 0;

    while (text != NULL && *text != '\0') {
        unsigned found_address = 0;
        unsigned found_port = 0;

        if (sscanf(text, " %*u: %8X:%4X", &found_address, &found_port) == 2 && found_port == port &&
            (found_address == 0 || found_address == address)) {
            count++;
        }
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return count;
}

static uint32_t swap(uint32_t value)
{
    return value << 24 | (value & 0xff00) << 8 | (value >> 8 & 0xff00) | value >> 24;
}

static void check_port(struct provision_checks *checks, const char *name, const char *text,
                       uint32_t address, unsigned port, bool is_dnsmasq_serving)
{
    size_t count = count_sockets(text, address, port);
    struct provision_check *check;

    if (!is_dnsmasq_serving && count > 0) {
        check = provision_check_add(checks, name, PROVISION_CHECK_FAILED,
                                    "another program has UDP port %u, so dnsmasq cannot", port);
    } else if (count == 0) {
        check = provision_check_add(checks, name, PROVISION_CHECK_FAILED,
                                    "nobody listens at UDP port %u", port);
    } else if (count > 1) {
        check = provision_check_add(checks, name, PROVISION_CHECK_WARNING,
                                    "%zu sockets have UDP port %u: another program listens there, "
                                    "maybe on another interface",
                                    count, port);
    } else {
        (void)provision_check_add(checks, name, PROVISION_CHECK_OK, "dnsmasq has UDP port %u",
                                  port);
        return;
    }
    provision_check_next(check, "run 'ss -lunp sport = :%u' to see by whom; stop it", port);
    if (count == 0) {
        provision_check_next(check, "see the check 'dnsmasq'");
    }
}

void provision_check_ports(struct provision_checks *checks, const struct provision_config *config,
                           const char *proc_net_udp, bool is_dnsmasq_serving)
{
    const uint32_t address = swap(config->address);

    if (!provision_mode_has_dnsmasq(config->mode)) {
        (void)provision_check_add(checks, "port-67", PROVISION_CHECK_SKIPPED,
                                  "mode http has neither DHCP nor TFTP");
        return;
    }
    check_port(checks, "port-67", proc_net_udp, address, DHCP_PORT, is_dnsmasq_serving);
    check_port(checks, "port-69", proc_net_udp, address, TFTP_PORT, is_dnsmasq_serving);
    if (config->mode == PROVISION_MODE_PROXY) {
        check_port(checks, "port-4011", proc_net_udp, address, PROXY_PORT, is_dnsmasq_serving);
    }
}

/* ---- images, clock, disk ---- */

static const struct provision_store_image *newest(const struct provision_store_image *images,
                                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (images[i].state != PROVISION_STORE_DAMAGED) {
            return &images[i];
        }
    }
    return NULL;
}

void provision_check_images(struct provision_checks *checks,
                            const struct provision_store_image *images, size_t count)
{
    const struct provision_store_image *best = newest(images, count);
    const struct provision_store_image *damaged = NULL;
    struct provision_check *check;

    for (size_t i = 0; i < count; i++) {
        damaged = images[i].state == PROVISION_STORE_DAMAGED ? &images[i] : damaged;
    }
    if (count == 0) {
        check = provision_check_add(checks, "image", PROVISION_CHECK_FAILED, "there is no image");
        provision_check_next(check, "run 'clusterctl image-release add FOLDER'");
    } else if (damaged != NULL) {
        check = provision_check_add(checks, "image",
                                    best == NULL ? PROVISION_CHECK_FAILED : PROVISION_CHECK_WARNING,
                                    "image %.12s is damaged: %s", damaged->id, damaged->why);
        provision_check_next(check, "add it again, or run 'clusterctl image-release remove %.12s'",
                             damaged->id);
    } else {
        (void)provision_check_add(checks, "image", PROVISION_CHECK_OK,
                                  "%zu image%s, the newest is %s", count, count == 1 ? "" : "s",
                                  best->manifest.version);
    }
}

void provision_check_clock(struct provision_checks *checks,
                           const struct provision_store_image *images, size_t count,
                           uint64_t now_us)
{
    const struct provision_store_image *best = newest(images, count);
    uint64_t built_s = best != NULL ? best->manifest.built_s : 0;
    struct provision_check *check;

    if (built_s == 0) {
        (void)provision_check_add(checks, "clock", PROVISION_CHECK_SKIPPED,
                                  "no image says when it was built");
    } else if (now_us / 1000000 < built_s) {
        check = provision_check_add(checks, "clock", PROVISION_CHECK_FAILED,
                                    "the clock is before the build of image %s, by %llu days",
                                    best->manifest.version,
                                    (unsigned long long)((built_s - now_us / 1000000) / 86400));
        provision_check_next(check, "set the clock, or let a time service do it");
    } else {
        (void)provision_check_add(checks, "clock", PROVISION_CHECK_OK,
                                  "the clock is after the build of the newest image");
    }
}

void provision_check_disk(struct provision_checks *checks, uint64_t free_bytes,
                          const struct provision_store_image *images, size_t count)
{
    const struct provision_store_image *best = newest(images, count);
    uint64_t wanted = ONE_IMAGE_BYTES;
    struct provision_check *check;

    if (best != NULL) {
        wanted = 0;
        for (size_t i = 0; i < PROVISION_FILE_COUNT; i++) {
            wanted += best->manifest.files[i].size_bytes;
        }
        wanted += wanted / 4;
    }
    if (free_bytes >= wanted + ANYTHING_BYTES) {
        (void)provision_check_add(checks, "disk", PROVISION_CHECK_OK, "%llu MiB free",
                                  (unsigned long long)(free_bytes >> 20));
        return;
    }
    check = provision_check_add(
        checks, "disk",
        free_bytes < ANYTHING_BYTES ? PROVISION_CHECK_FAILED : PROVISION_CHECK_WARNING,
        "%llu MiB free in the state folder, %s", (unsigned long long)(free_bytes >> 20),
        free_bytes < ANYTHING_BYTES ? "too few to remember machines"
                                    : "too few for one more image");
    provision_check_next(check, "run 'clusterctl image-release gc', or make room on that disk");
}

/* ---- machines that are stuck ---- */

/* The last step that a machine took on its way from power-on to the script. */
static bool is_stuck_after(const struct provision_record *record,
                           enum provision_record_event_kind kind, uint64_t now_us)
{
    const struct provision_record_event *last;

    if (record->event_count == 0) {
        return false;
    }
    last = &record->events[record->event_count - 1];
    return last->kind == kind && last->at_us + STUCK_AFTER_US < now_us &&
           last->at_us + STUCK_WITHIN_US > now_us;
}

void provision_check_machines(struct provision_checks *checks, const struct provision_table *table,
                              uint64_t now_us)
{
    static const struct {
        enum provision_record_event_kind kind;
        const char *text;
        const char *next;
    } steps[] = {
        {PROVISION_RECORD_EVENT_OFFER, "got an offer and never asked for the boot file",
         "look for a firewall before UDP port 69 and those above 1023, and for another server that "
         "answers first"},
        {PROVISION_RECORD_EVENT_TFTP, "got the boot file and never asked for the script",
         "look for a firewall before the HTTP port"},
    };

    for (size_t step = 0; step < RAY_ARRAY_COUNT(steps); step++) {
        const struct provision_record *first = NULL;
        char mac[PROVISION_MAC_TEXT_SIZE];
        struct provision_check *check;
        size_t count = 0;

        for (size_t i = 0; i < provision_table_count(table); i++) {
            const struct provision_record *record = provision_table_at(table, i);

            if (is_stuck_after(record, steps[step].kind, now_us)) {
                first = first == NULL ? record : first;
                count++;
            }
        }
        if (first != NULL) {
            check = provision_check_add(checks, "machines", PROVISION_CHECK_WARNING,
                                        "%zu machine%s in the last hour (%s) %s", count,
                                        count == 1 ? "" : "s",
                                        provision_mac_format(&first->mac, mac), steps[step].text);
            provision_check_next(check, "%s", steps[step].next);
            return;
        }
    }
    (void)provision_check_add(checks, "machines", PROVISION_CHECK_OK,
                              "no machine is stuck between its offer and its script");
}

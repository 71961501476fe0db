/* network.c - /sys/class/net for the cards, what PID 1 left of their names, getifaddrs for
 * addresses: those are given in by the caller, so that the rest reads a fake tree as well as a
 * real one. */
#include "node/facts/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_arp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <yyjson.h>

enum { NAMES_SIZE_MAX = 64 << 10 };

static unsigned prefix_of(const uint8_t *bytes, size_t size)
{
    unsigned bits = 0;

    for (size_t i = 0; i < size; i++) {
        bits += (unsigned)__builtin_popcount(bytes[i]);
    }
    return bits;
}

/* The bytes of an address of `family`; the rest of a socket address is of no use here. */
static size_t address_bytes(const struct sockaddr *address, int family,
                            uint8_t out[static sizeof(struct in6_addr)])
{
    const size_t offset = family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
                                            : offsetof(struct sockaddr_in6, sin6_addr);
    const size_t size = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);

    memcpy(out, (const uint8_t *)address + offset, size);
    return size;
}

/* false when it is no address of `family`. */
static bool format_address(const struct ifaddrs *entry, int family, struct facts_address *out)
{
    uint8_t address[sizeof(struct in6_addr)], mask[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    size_t size;

    if (entry->ifa_addr == NULL || entry->ifa_netmask == NULL ||
        entry->ifa_addr->sa_family != family) {
        return false;
    }
    (void)address_bytes(entry->ifa_addr, family, address); /* as many as the mask's */
    size = address_bytes(entry->ifa_netmask, family, mask);
    if (inet_ntop(family, address, text, sizeof text) == NULL) {
        return false;
    }
    (void)snprintf(out->text, sizeof out->text, "%s/%u", text, prefix_of(mask, size));
    (void)snprintf(out->interface, sizeof out->interface, "%s", entry->ifa_name);
    return true;
}

size_t facts_addresses_read(struct facts_source *source, struct facts_address **out)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct facts_address *addresses =
        facts_alloc(source, FACTS_ADDRESS_COUNT_MAX * sizeof *addresses);
    struct ifaddrs *all = NULL;
    size_t count = 0;

    if (addresses == NULL || getifaddrs(&all) != 0) {
        return 0;
    }
    for (size_t f = 0; f < 2; f++) {
        for (const struct ifaddrs *entry = all; entry != NULL && count < FACTS_ADDRESS_COUNT_MAX;
             entry = entry->ifa_next) {
            if (format_address(entry, families[f], &addresses[count])) {
                count++;
            }
        }
    }
    freeifaddrs(all);
    *out = addresses;
    return count;
}

static void read_addresses(struct facts_source *source, const struct facts_address *addresses,
                           size_t address_count, const char *name, Rayos__Node__NetworkCard *card)
{
    size_t count = 0;

    for (size_t i = 0; i < address_count; i++) {
        count += strcmp(addresses[i].interface, name) == 0 ? 1 : 0;
    }
    card->addresses = count > 0 ? facts_alloc(source, count * sizeof *card->addresses) : NULL;
    if (card->addresses == NULL) {
        return;
    }
    for (size_t i = 0; i < address_count; i++) {
        if (strcmp(addresses[i].interface, name) == 0) {
            card->addresses[card->n_addresses++] =
                facts_copy(source, addresses[i].text, strlen(addresses[i].text));
        }
    }
}

/* What PID 1 called the card before, and its permanent MAC: `names` is its list of cards. */
static void read_names(struct facts_source *source, yyjson_val *names, const char *name,
                       Rayos__Node__NetworkCard *card)
{
    yyjson_arr_iter iter;
    yyjson_val *entry = NULL;
    const char *text;

    (void)yyjson_arr_iter_init(names, &iter); /* what is no list has no entries */
    while ((entry = yyjson_arr_iter_next(&iter)) != NULL) {
        text = yyjson_get_str(yyjson_obj_get(entry, "name"));
        if (text != NULL && strcmp(text, name) == 0) {
            break;
        }
    }
    card->kernel_name = facts_json_text(source, entry, "kernel_name");
    card->alternative_name = facts_json_text(source, entry, "alternative_name");
    card->permanent_mac = facts_json_text(source, entry, "permanent_mac");
}

static void read_card(struct facts_source *source, const char *name, Rayos__Node__NetworkCard *card)
{
    uint64_t speed = facts_number(source, "sys/class/net/%s/speed", name); /* "-1": unknown */
    uint64_t mtu = facts_number(source, "sys/class/net/%s/mtu", name);

    card->name = facts_copy(source, name, strlen(name));
    card->driver = facts_link_name(source, "sys/class/net/%s/device/driver", name);
    if (card->driver[0] == '\0' && facts_exists(source, "sys/class/net/%s/bridge", name)) {
        card->driver = (char *)"bridge";
    }
    card->mac = facts_text(source, "sys/class/net/%s/address", name);
    card->has_carrier = facts_number(source, "sys/class/net/%s/carrier", name) == 1;
    card->speed_mbps = speed < UINT32_MAX ? (uint32_t)speed : 0;
    card->mtu = mtu < UINT32_MAX ? (uint32_t)mtu : 0;
    card->controller = facts_link_name(source, "sys/class/net/%s/master", name);
}

void facts_network_read(struct facts_source *source, const struct facts_address *addresses,
                        size_t address_count, Rayos__Node__Facts *out)
{
    char **names = NULL;
    size_t count = facts_list(source, &names, "sys/class/net");
    yyjson_doc *doc;

    out->network_cards = facts_alloc(source, FACTS_CARD_COUNT_MAX * sizeof *out->network_cards);
    if (out->network_cards == NULL) {
        return;
    }
    doc = facts_json(source, "run/rayos/network.json", NAMES_SIZE_MAX);
    for (size_t i = 0; i < count && out->n_network_cards < FACTS_CARD_COUNT_MAX; i++) {
        Rayos__Node__NetworkCard *card;

        if (facts_number(source, "sys/class/net/%s/type", names[i]) != ARPHRD_ETHER) {
            continue;
        }
        card = facts_alloc(source, sizeof *card);
        if (card == NULL) {
            break;
        }
        rayos__node__network_card__init(card);
        read_card(source, names[i], card);
        read_names(source, yyjson_obj_get(yyjson_doc_get_root(doc), "cards"), names[i], card);
        read_addresses(source, addresses, address_count, names[i], card);
        out->network_cards[out->n_network_cards++] = card;
    }
    yyjson_doc_free(doc);
}

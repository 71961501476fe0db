/* Reading one link out of a message, and MAC addresses as text. */
#include <assert.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "node/init/system/netlink.h"

/* One attribute at `*at`, which moves on; false at the end or when it is malformed (then
 * *is_bad). Copies the header, because the message may be anywhere in memory. */
static bool next_attribute(const uint8_t **at, size_t *left_size, uint16_t *out_type,
                           const uint8_t **out_data, size_t *out_size, bool *is_bad)
{
    struct rtattr header;
    size_t step;

    if (*left_size < sizeof header) {
        return false;
    }
    memcpy(&header, *at, sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > *left_size) {
        *is_bad = true;
        return false;
    }
    *out_type = (uint16_t)(header.rta_type & (unsigned)NLA_TYPE_MASK);
    *out_data = *at + RTA_LENGTH(0);
    *out_size = header.rta_len < RTA_LENGTH(0) ? 0 : header.rta_len - RTA_LENGTH(0);
    step = RTA_ALIGN(header.rta_len);
    step = step < *left_size ? step : *left_size;
    *at += step;
    *left_size -= step;
    return true;
}

static void copy_text(const uint8_t *data, size_t size, char *out, size_t out_size)
{
    size_t text_size = strnlen((const char *)data, size);

    if (text_size < out_size) {
        memcpy(out, data, text_size);
        out[text_size] = '\0';
    }
}

static void take_link_info(const uint8_t *data, size_t size, struct init_link *link)
{
    const uint8_t *value;
    size_t value_size;
    uint16_t type;
    bool is_bad = false;

    while (next_attribute(&data, &size, &type, &value, &value_size, &is_bad)) {
        if (type == IFLA_INFO_KIND) {
            link->has_kind = true;
            copy_text(value, value_size, link->kind, sizeof link->kind);
        }
    }
}

static void take_attribute(uint16_t type, const uint8_t *data, size_t size, struct init_link *link)
{
    switch (type) {
    case IFLA_IFNAME:
        copy_text(data, size, link->name, sizeof link->name);
        break;
    case IFLA_ADDRESS:
        if (size == INIT_MAC_SIZE) {
            link->has_mac = true;
            memcpy(link->mac, data, size);
        }
        break;
    case IFLA_PERM_ADDRESS:
        if (size == INIT_MAC_SIZE) {
            link->has_permanent_mac = true;
            memcpy(link->permanent_mac, data, size);
        }
        break;
    case IFLA_MASTER:
        if (size == sizeof link->master_index) {
            memcpy(&link->master_index, data, size);
        }
        break;
    case IFLA_LINK:
        link->has_lower = true;
        break;
    case IFLA_CARRIER:
        link->has_carrier = size == 1 && data[0] != 0;
        break;
    case IFLA_LINKINFO:
        take_link_info(data, size, link);
        break;
    default:
        break;
    }
}

int init_netlink_parse_link(const uint8_t *message, size_t size, struct init_link *out,
                            struct ray_err *err)
{
    struct init_link link = {0};
    struct nlmsghdr header;
    struct ifinfomsg info;
    const uint8_t *value;
    size_t value_size;
    uint16_t type;
    bool is_bad = false;

    if (size < NLMSG_LENGTH(sizeof info)) {
        return ray_fail(err, RAY_EMALFORMED, "link message of %zu bytes", size);
    }
    memcpy(&header, message, sizeof header);
    memcpy(&info, message + NLMSG_LENGTH(0), sizeof info);
    if (header.nlmsg_type != RTM_NEWLINK || info.ifi_index <= 0) {
        return ray_fail(err, RAY_EMALFORMED, "message of type %u is no link", header.nlmsg_type);
    }
    link.index = (uint32_t)info.ifi_index;
    link.hardware_type = info.ifi_type;
    link.is_up = (info.ifi_flags & IFF_UP) != 0;
    message += NLMSG_SPACE(sizeof info);
    size = size < NLMSG_SPACE(sizeof info) ? 0 : size - NLMSG_SPACE(sizeof info);
    while (next_attribute(&message, &size, &type, &value, &value_size, &is_bad)) {
        take_attribute(type, value, value_size, &link);
    }
    if (is_bad) {
        return ray_fail(err, RAY_EMALFORMED, "link %u: attribute beyond its message", link.index);
    }
    if (!link.has_permanent_mac) {
        memcpy(link.permanent_mac, link.mac, sizeof link.permanent_mac);
    }
    *out = link;
    return RAY_OK;
}

char *init_mac_format(const uint8_t mac[static INIT_MAC_SIZE], char out[static 18])
{
    (void)snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                   mac[5]);
    return out;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int init_mac_parse(const char *text, uint8_t out[static INIT_MAC_SIZE])
{
    uint8_t mac[INIT_MAC_SIZE];
    size_t size = strlen(text);

    /* BOOTIF has the hardware type in front: 01 is Ethernet. */
    if (size == 20 && text[0] == '0' && text[1] == '1' && text[2] == '-') {
        text += 3;
        size -= 3;
    }
    if (size != 17) {
        return RAY_EINVAL;
    }
    for (size_t i = 0; i < INIT_MAC_SIZE; i++) {
        int high = hex_digit(text[3 * i]);
        int low = hex_digit(text[3 * i + 1]);

        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-')) {
            return RAY_EINVAL;
        }
        mac[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, mac, sizeof mac);
    return RAY_OK;
}

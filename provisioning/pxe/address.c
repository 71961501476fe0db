#include "provisioning/pxe/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

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

int provision_mac_parse(const char *text, struct provision_mac *out)
{
    struct provision_mac mac;
    char separator = '\0';

    for (size_t i = 0; i < sizeof(mac.bytes); i++) {
        int high = hex_digit(text[0]);
        int low = high >= 0 ? hex_digit(text[1]) : -1;

        if (low < 0) {
            return RAY_EINVAL;
        }
        mac.bytes[i] = (uint8_t)(high * 16 + low);
        text += 2;
        if (i + 1 == sizeof(mac.bytes)) {
            break;
        }
        if ((*text != ':' && *text != '-') || (separator != '\0' && *text != separator)) {
            return RAY_EINVAL;
        }
        separator = *text++;
    }
    if (*text != '\0') {
        return RAY_EINVAL;
    }
    *out = mac;
    return RAY_OK;
}

const char *provision_mac_format(const struct provision_mac *mac,
                                 char out[static PROVISION_MAC_TEXT_SIZE])
{
    const uint8_t *b = mac->bytes;

    (void)snprintf(out, PROVISION_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2],
                   b[3], b[4], b[5]);
    return out;
}

int provision_ip_parse(const char *text, uint32_t *out)
{
    struct in_addr address;

    if (inet_pton(AF_INET, text, &address) != 1) {
        return RAY_EINVAL;
    }
    *out = ntohl(address.s_addr);
    return RAY_OK;
}

const char *provision_ip_format(uint32_t ip, char out[static PROVISION_IP_TEXT_SIZE])
{
    (void)snprintf(out, PROVISION_IP_TEXT_SIZE, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 0xff,
                   ip >> 8 & 0xff, ip & 0xff);
    return out;
}

uint32_t provision_netmask(unsigned prefix_size)
{
    assert(prefix_size <= 32);
    return prefix_size == 0 ? 0 : UINT32_MAX << (32 - prefix_size);
}

int provision_ip6_parse(const char *text, struct provision_ip6 *out)
{
    static_assert(sizeof(out->bytes) == sizeof(struct in6_addr), "the same bytes");
    struct provision_ip6 ip;

    if (inet_pton(AF_INET6, text, ip.bytes) != 1) {
        return RAY_EINVAL;
    }
    *out = ip;
    return RAY_OK;
}

const char *provision_ip6_format(const struct provision_ip6 *ip,
                                 char out[static PROVISION_PEER_TEXT_SIZE])
{
    const char *text = inet_ntop(AF_INET6, ip->bytes, out, PROVISION_PEER_TEXT_SIZE);

    assert(text != NULL); /* there is room for every address */
    return text;
}

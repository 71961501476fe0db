#include "provisioning/pxe/config_value.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { VALUE_SHOWN_SIZE = 120 };

static int bad_value(struct ray_err *err, const char *key, const char *value, const char *wanted)
{
    char shown[VALUE_SHOWN_SIZE];

    (void)ray_escape(shown, sizeof(shown), value, strlen(value));
    return ray_fail(err, RAY_EUSAGE, "%s '%s' is not %s", key, shown, wanted);
}

/* A path ends up in dnsmasq's configuration, one line each, where '#' begins a comment and
 * commas and quotes have meanings. */
static int set_path(char out[static PROVISION_PATH_SIZE], const char *key, const char *value,
                    struct ray_err *err)
{
    size_t size = strlen(value);

    if (size == 0 || size >= PROVISION_PATH_SIZE) {
        return bad_value(err, key, value, "a path of 1 to 1023 bytes");
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte < ' ' || byte == 0x7f || strchr("#,\"\\", byte) != NULL) {
            return bad_value(err, key, value, "a path without # , \" \\ and control bytes");
        }
    }
    memcpy(out, value, size + 1);
    return RAY_OK;
}

int provision_value_interface(struct provision_config *config, const char *key, const char *value,
                              struct ray_err *err)
{
    size_t size = strlen(value);

    if (size == 0 || size >= sizeof(config->interface) || strpbrk(value, " /\t\n,#\"\\*") != NULL) {
        return bad_value(err, key, value, "the name of an interface");
    }
    memcpy(config->interface, value, size + 1);
    return RAY_OK;
}

/* Copies up to the separator; false when there is none or the part does not fit. */
static bool cut(const char **at, char separator, char *out, size_t out_size)
{
    const char *end = strchr(*at, separator);

    if (end == NULL || (size_t)(end - *at) >= out_size) {
        return false;
    }
    memcpy(out, *at, (size_t)(end - *at));
    out[end - *at] = '\0';
    *at = end + 1;
    return true;
}

int provision_value_address(struct provision_config *config, const char *key, const char *value,
                            struct ray_err *err)
{
    char ip_text[PROVISION_IP_TEXT_SIZE];
    const char *at = value;
    uint64_t prefix_size;
    uint32_t ip;

    if (!cut(&at, '/', ip_text, sizeof(ip_text)) || provision_ip_parse(ip_text, &ip) != RAY_OK ||
        ray_parse_u64(at, 8, 30, &prefix_size) != RAY_OK) {
        return bad_value(err, key, value, "an address with 8 to 30 network bits (10.77.0.1/24)");
    }
    config->address = ip;
    config->prefix_size = (unsigned)prefix_size;
    return RAY_OK;
}

int provision_value_address6(struct provision_config *config, const char *key, const char *value,
                             struct ray_err *err)
{
    char ip_text[PROVISION_PEER_TEXT_SIZE];
    struct provision_ip6 ip;
    const char *at = value;
    uint64_t prefix_size;

    if (!cut(&at, '/', ip_text, sizeof(ip_text)) || provision_ip6_parse(ip_text, &ip) != RAY_OK ||
        ray_parse_u64(at, 48, 112, &prefix_size) != RAY_OK) {
        return bad_value(err, key, value, "an address with 48 to 112 network bits (fd00:77::1/64)");
    }
    config->address6 = ip;
    config->prefix6_size = (unsigned)prefix_size;
    return RAY_OK;
}

int provision_value_range(struct provision_config *config, const char *key, const char *value,
                          struct ray_err *err)
{
    char first_text[PROVISION_IP_TEXT_SIZE];
    const char *at = value;
    uint32_t first;
    uint32_t last;

    if (!cut(&at, ',', first_text, sizeof(first_text)) ||
        provision_ip_parse(first_text, &first) != RAY_OK ||
        provision_ip_parse(at, &last) != RAY_OK || first > last) {
        return bad_value(err, key, value, "a range FIRST,LAST of addresses");
    }
    config->range_first = first;
    config->range_last = last;
    return RAY_OK;
}

static bool is_host_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size < PROVISION_HOST_NAME_SIZE && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

int provision_value_host(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    struct provision_host host = {0};
    char mac_text[PROVISION_MAC_TEXT_SIZE];
    char ip_text[PROVISION_IP_TEXT_SIZE];
    const char *at = value;

    if (!cut(&at, ',', mac_text, sizeof(mac_text)) || !cut(&at, ',', ip_text, sizeof(ip_text)) ||
        provision_mac_parse(mac_text, &host.mac) != RAY_OK ||
        provision_ip_parse(ip_text, &host.ip) != RAY_OK || !is_host_name(at)) {
        return bad_value(err, key, value, "MAC,IP,NAME with a name of 1 to 32 of a-z 0-9 -");
    }
    (void)snprintf(host.name, sizeof(host.name), "%s", at); /* fits, as was checked */
    if (config->host_count == PROVISION_HOST_COUNT_MAX) {
        return ray_fail(err, RAY_EUSAGE, "more than %d hosts", PROVISION_HOST_COUNT_MAX);
    }
    config->hosts[config->host_count++] = host;
    return RAY_OK;
}

static int set_number(uint64_t max, const char *key, const char *value, uint64_t *out,
                      struct ray_err *err)
{
    char wanted[48];

    if (ray_parse_u64(value, 1, max, out) == RAY_OK) {
        return RAY_OK;
    }
    (void)snprintf(wanted, sizeof(wanted), "a number from 1 to %u", (unsigned)max);
    return bad_value(err, key, value, wanted);
}

int provision_value_http_port(struct provision_config *config, const char *key, const char *value,
                              struct ray_err *err)
{
    uint64_t number = 0;
    int rc = set_number(UINT16_MAX, key, value, &number, err);

    if (rc == RAY_OK) {
        config->http_port = (uint16_t)number;
    }
    return rc;
}

int provision_value_transfers(struct provision_config *config, const char *key, const char *value,
                              struct ray_err *err)
{
    uint64_t number = 0;
    int rc = set_number(PROVISION_TRANSFER_COUNT_MAX, key, value, &number, err);

    if (rc == RAY_OK) {
        config->transfer_count_max = (size_t)number;
    }
    return rc;
}

int provision_value_state_dir(struct provision_config *config, const char *key, const char *value,
                              struct ray_err *err)
{
    return set_path(config->state_dir, key, value, err);
}

int provision_value_dnsmasq(struct provision_config *config, const char *key, const char *value,
                            struct ray_err *err)
{
    return set_path(config->dnsmasq_path, key, value, err);
}

int provision_value_ipxe(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    return set_path(config->ipxe_path, key, value, err);
}

int provision_value_import(struct provision_config *config, const char *key, const char *value,
                           struct ray_err *err)
{
    return set_path(config->import_dir, key, value, err);
}

int provision_value_ipxe_bios(struct provision_config *config, const char *key, const char *value,
                              struct ray_err *err)
{
    return set_path(config->ipxe_bios_path, key, value, err);
}

int provision_value_control(struct provision_config *config, const char *key, const char *value,
                            struct ray_err *err)
{
    return value[0] == '/' ? set_path(config->control_path, key, value, err)
                           : bad_value(err, key, value, "an absolute path");
}

int provision_value_mode(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    static const enum provision_mode modes[] = {PROVISION_MODE_DHCP, PROVISION_MODE_PROXY,
                                                PROVISION_MODE_HTTP};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(modes); i++) {
        if (strcmp(value, provision_mode_word(modes[i])) == 0) {
            config->mode = modes[i];
            return RAY_OK;
        }
    }
    return bad_value(err, key, value, "dhcp, proxy or http");
}

int provision_value_hello(struct provision_config *config, const char *key, const char *value,
                          struct ray_err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        return bad_value(err, key, value, "on or off");
    }
    config->takes_hello = value[1] == 'n';
    return RAY_OK;
}

int provision_value_user(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    size_t size = strlen(value);

    if (size == 0 || size >= sizeof(config->user) || value[0] == '-' ||
        strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size) {
        return bad_value(err, key, value, "the name of a user");
    }
    memcpy(config->user, value, size + 1);
    return RAY_OK;
}

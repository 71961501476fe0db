#include "provisioning/pxe/config.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { LINE_SIZE_MAX = 2048, VALUE_SHOWN_SIZE = 120 };

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

static int set_interface(struct provision_config *config, const char *key, const char *value,
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

static int set_address(struct provision_config *config, const char *key, const char *value,
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

static int set_range(struct provision_config *config, const char *key, const char *value,
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

static int set_host(struct provision_config *config, const char *key, const char *value,
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

static int set_http_port(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    uint64_t number = 0;
    int rc = set_number(UINT16_MAX, key, value, &number, err);

    if (rc == RAY_OK) {
        config->http_port = (uint16_t)number;
    }
    return rc;
}

static int set_transfers(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    uint64_t number = 0;
    int rc = set_number(PROVISION_TRANSFER_COUNT_MAX, key, value, &number, err);

    if (rc == RAY_OK) {
        config->transfer_count_max = (size_t)number;
    }
    return rc;
}

static int set_image_dir(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    return set_path(config->image_dir, key, value, err);
}

static int set_state_dir(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    return set_path(config->state_dir, key, value, err);
}

static int set_dnsmasq(struct provision_config *config, const char *key, const char *value,
                       struct ray_err *err)
{
    return set_path(config->dnsmasq_path, key, value, err);
}

static int set_ipxe(struct provision_config *config, const char *key, const char *value,
                    struct ray_err *err)
{
    return set_path(config->ipxe_path, key, value, err);
}

static const struct {
    const char *key;
    int (*set)(struct provision_config *config, const char *key, const char *value,
               struct ray_err *err);
    const char *default_value;
} keys[] = {
#define KEY(field, key, value_name, default_value, help) {key, set_##field, default_value},
    PROVISION_CONFIG_KEYS(KEY)
#undef KEY
};

void provision_config_init(struct provision_config *config)
{
    *config = (struct provision_config){0};
    for (size_t i = 0; i < RAY_ARRAY_COUNT(keys); i++) {
        if (keys[i].default_value != NULL) {
            int rc = keys[i].set(config, keys[i].key, keys[i].default_value, NULL);
            assert(rc == RAY_OK);
        }
    }
}

int provision_config_set(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    char shown[VALUE_SHOWN_SIZE];

    for (size_t i = 0; i < RAY_ARRAY_COUNT(keys); i++) {
        if (strcmp(keys[i].key, key) == 0) {
            return keys[i].set(config, key, value, err);
        }
    }
    (void)ray_escape(shown, sizeof(shown), key, strlen(key));
    return ray_fail(err, RAY_EUSAGE, "unknown key '%s'", shown);
}

/* Cuts white space from both ends. */
static char *trim(char *text)
{
    size_t size;

    text += strspn(text, " \t\r");
    size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL) {
        size--;
    }
    text[size] = '\0';
    return text;
}

static int parse_line(struct provision_config *config, char *line, struct ray_err *err)
{
    char *text = trim(line);
    char *equals = strchr(text, '=');

    if (*text == '\0' || *text == '#') {
        return RAY_OK;
    }
    if (equals == NULL) {
        return ray_fail(err, RAY_EUSAGE, "expected 'key = value'");
    }
    *equals = '\0';
    return provision_config_set(config, trim(text), trim(equals + 1), err);
}

int provision_config_parse(struct provision_config *config, const char *text, struct ray_err *err)
{
    for (size_t number = 1; *text != '\0'; number++) {
        size_t size = strcspn(text, "\n");
        char line[LINE_SIZE_MAX];
        int rc;

        if (size >= sizeof(line)) {
            rc = ray_fail(err, RAY_EUSAGE, "longer than %d bytes", LINE_SIZE_MAX - 1);
        } else {
            memcpy(line, text, size);
            line[size] = '\0';
            rc = parse_line(config, line, err);
        }
        if (rc != RAY_OK) {
            return ray_wrap(err, rc, "line %zu", number);
        }
        text += size + (text[size] == '\n');
    }
    return RAY_OK;
}

static bool is_in_network(const struct provision_config *config, uint32_t ip)
{
    uint32_t mask = provision_netmask(config->prefix_size);
    uint32_t host = ip & ~mask;

    return (ip & mask) == (config->address & mask) && host != 0 && host != ~mask;
}

static int check_hosts(const struct provision_config *config, struct ray_err *err)
{
    for (size_t i = 0; i < config->host_count; i++) {
        const struct provision_host *host = &config->hosts[i];
        char ip[PROVISION_IP_TEXT_SIZE];

        if (!is_in_network(config, host->ip) || host->ip == config->address) {
            return ray_fail(err, RAY_EUSAGE, "host %s: %s is not free in our network", host->name,
                            provision_ip_format(host->ip, ip));
        }
        for (size_t k = 0; k < i; k++) {
            const struct provision_host *other = &config->hosts[k];
            if (other->ip == host->ip || strcmp(other->name, host->name) == 0 ||
                memcmp(&other->mac, &host->mac, sizeof(host->mac)) == 0) {
                return ray_fail(err, RAY_EUSAGE, "hosts %s and %s share MAC, address or name",
                                other->name, host->name);
            }
        }
    }
    return RAY_OK;
}

int provision_config_check(const struct provision_config *config, struct ray_err *err)
{
    const struct {
        const char *key;
        bool is_missing;
    } needed[] = {
        {"interface", config->interface[0] == '\0'}, {"address", config->prefix_size == 0},
        {"range", config->range_last == 0},          {"image-dir", config->image_dir[0] == '\0'},
        {"state-dir", config->state_dir[0] == '\0'},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(needed); i++) {
        if (needed[i].is_missing) {
            (void)ray_fail(err, RAY_EUSAGE, "%s is missing", needed[i].key);
            return ray_next(err, "give --%s, or a line '%s = ...' in the file of --config",
                            needed[i].key, needed[i].key);
        }
    }
    if (!is_in_network(config, config->address)) {
        return ray_fail(err, RAY_EUSAGE, "our address is the network's or broadcast address");
    }
    if (!is_in_network(config, config->range_first) || !is_in_network(config, config->range_last)) {
        return ray_fail(err, RAY_EUSAGE, "the range is not within the network of our address");
    }
    if (config->address >= config->range_first && config->address <= config->range_last) {
        return ray_fail(err, RAY_EUSAGE, "our own address is within the range");
    }
    return check_hosts(config, err);
}

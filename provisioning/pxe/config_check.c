#include <stdbool.h>
#include <string.h>

#include "base/size.h"
#include "provisioning/pxe/config.h"

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

static int check_presence(const struct provision_config *config, struct ray_err *err)
{
    const struct {
        const char *key;
        bool is_missing;
    } needed[] = {
        {"mode", config->mode == PROVISION_MODE_NONE},
        {"interface", config->interface[0] == '\0'},
        {"address", config->prefix_size == 0},
        {"range", config->mode == PROVISION_MODE_DHCP && config->range_last == 0},
        {"state-dir", config->state_dir[0] == '\0'},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(needed); i++) {
        if (needed[i].is_missing) {
            (void)ray_fail(err, RAY_EUSAGE, "%s is missing", needed[i].key);
            return ray_next(err, "give --%s, or a line '%s = ...' in the file of --config",
                            needed[i].key, needed[i].key);
        }
    }
    return RAY_OK;
}

/* What gives addresses has no place where another server does that. */
static int check_no_addresses(const struct provision_config *config, struct ray_err *err)
{
    if (config->range_last != 0 || config->host_count > 0) {
        (void)ray_fail(err, RAY_EUSAGE,
                       "mode %s gives no addresses, so 'range' and 'host' do not "
                       "go with it",
                       provision_mode_word(config->mode));
        return ray_next(err, "remove them, or set them up in the DHCP server of that network");
    }
    return RAY_OK;
}

static int check_range(const struct provision_config *config, struct ray_err *err)
{
    if (!is_in_network(config, config->range_first) || !is_in_network(config, config->range_last)) {
        return ray_fail(err, RAY_EUSAGE, "the range is not within the network of our address");
    }
    if (config->address >= config->range_first && config->address <= config->range_last) {
        return ray_fail(err, RAY_EUSAGE, "our own address is within the range");
    }
    return RAY_OK;
}

int provision_config_check(const struct provision_config *config, struct ray_err *err)
{
    int rc = check_presence(config, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!is_in_network(config, config->address)) {
        return ray_fail(err, RAY_EUSAGE, "our address is the network's or broadcast address");
    }
    if (config->mode != PROVISION_MODE_DHCP) {
        return check_no_addresses(config, err);
    }
    rc = check_range(config, err);
    return rc == RAY_OK ? check_hosts(config, err) : rc;
}

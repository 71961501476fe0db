#include "provisioning/pxe/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"

enum { DHCP_PORT = 67, TFTP_PORT = 69, PROXY_PORT = 4011 };

static uint32_t ip_of(const struct sockaddr *address)
{
    struct sockaddr_in in;

    memcpy(&in, address, sizeof(in));
    return ntohl(in.sin_addr.s_addr);
}

static bool has_address(const struct ifaddrs *list, const struct provision_config *config)
{
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        if (strcmp(at->ifa_name, config->interface) == 0 && at->ifa_addr != NULL &&
            at->ifa_netmask != NULL && at->ifa_addr->sa_family == AF_INET &&
            ip_of(at->ifa_addr) == config->address &&
            ip_of(at->ifa_netmask) == provision_netmask(config->prefix_size)) {
            return true;
        }
    }
    return false;
}

static bool has_address6(const struct ifaddrs *list, const struct provision_config *config)
{
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct sockaddr_in6 in6;

        if (strcmp(at->ifa_name, config->interface) == 0 && at->ifa_addr != NULL &&
            at->ifa_addr->sa_family == AF_INET6) {
            memcpy(&in6, at->ifa_addr, sizeof(in6));
            if (memcmp(&in6.sin6_addr, config->address6.bytes, sizeof(in6.sin6_addr)) == 0) {
                return true;
            }
        }
    }
    return false;
}

static int fail_address(struct ray_err *err, const char *name, const char *ip, unsigned prefix_size)
{
    (void)ray_fail(err, RAY_ENOTFOUND, "interface '%s' does not have the address %s/%u", name, ip,
                   prefix_size);
    return ray_next(err, "run 'ip address add %s/%u dev %s', or give the address it has", ip,
                    prefix_size, name);
}

int provision_probe_interface(const struct provision_config *config, struct ray_err *err)
{
    const char *name = config->interface;
    char ip[PROVISION_PEER_TEXT_SIZE];
    struct ifaddrs *list = NULL;
    unsigned flags = 0;
    bool has_v4;
    bool has_v6;
    int errnum;

    if (if_nametoindex(name) == 0) {
        (void)ray_fail(err, RAY_ENOTFOUND, "no network interface '%s'", name);
        return ray_next(err, "run 'ip link' to see the interfaces of this machine");
    }
    errnum = ray_fault(RAY_FAULT_SOCKET);
    if (errnum == 0 && getifaddrs(&list) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "list the addresses of %s", name);
    }
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        flags |= strcmp(at->ifa_name, name) == 0 ? at->ifa_flags : 0;
    }
    has_v4 = has_address(list, config);
    has_v6 = config->prefix6_size == 0 || has_address6(list, config);
    freeifaddrs(list);
    if (!has_v4) {
        return fail_address(err, name, provision_ip_format(config->address, ip),
                            config->prefix_size);
    }
    if (!has_v6) {
        return fail_address(err, name, provision_ip6_format(&config->address6, ip),
                            config->prefix6_size);
    }
    if ((flags & IFF_UP) == 0) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "interface '%s' is down", name);
        return ray_next(err, "run 'ip link set %s up'", name);
    }
    return RAY_OK;
}

static int fail_port(struct ray_err *err, int errnum, uint16_t port, const char *what,
                     const char *interface)
{
    switch (errnum) {
    case EADDRINUSE:
        (void)ray_fail(err, RAY_EEXISTS, "UDP port %u (%s) is in use on %s", port, what, interface);
        return ray_next(err, "run 'ss -lunp sport = :%u' to see by whom and stop it", port);
    case EACCES:
    case EPERM:
        (void)ray_fail(err, RAY_EDENIED, "no permission for UDP port %u (%s)", port, what);
        return ray_next(err, "run as root, or with CAP_NET_BIND_SERVICE, CAP_NET_RAW and "
                             "CAP_NET_ADMIN");
    default:
        return ray_fail_errno(err, errnum, "UDP port %u (%s) on %s", port, what, interface);
    }
}

/* Binds without any sharing option, and closes again. */
static int probe_port(const struct provision_config *config, uint32_t ip, uint16_t port,
                      const char *what, struct ray_err *err)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    int fd = -1;

    if (errnum == 0) {
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, config->interface,
                       (socklen_t)strlen(config->interface)) != 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
            errnum = errno;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return errnum == 0 ? RAY_OK : fail_port(err, errnum, port, what, config->interface);
}

int provision_probe_ports(const struct provision_config *config, struct ray_err *err)
{
    int rc;

    if (!provision_mode_has_dnsmasq(config->mode)) {
        return RAY_OK;
    }
    rc = probe_port(config, INADDR_ANY, DHCP_PORT, "DHCP", err);
    if (rc == RAY_OK && config->mode == PROVISION_MODE_PROXY) {
        rc = probe_port(config, INADDR_ANY, PROXY_PORT, "proxyDHCP", err);
    }
    return rc == RAY_OK ? probe_port(config, config->address, TFTP_PORT, "TFTP", err) : rc;
}

static int probe_boot_file(const char *path, const char *option, struct ray_err *err)
{
    if (access(path, R_OK) != 0) {
        (void)ray_fail_errno(err, errno, "boot file %s", path);
        return ray_next(err, "install the package ipxe, or give --%s PATH", option);
    }
    return RAY_OK;
}

int provision_probe_files(const struct provision_config *config, struct ray_err *err)
{
    int rc;

    if (!provision_mode_has_dnsmasq(config->mode)) {
        return RAY_OK;
    }
    if (access(config->dnsmasq_path, X_OK) != 0) {
        (void)ray_fail_errno(err, errno, "dnsmasq at %s", config->dnsmasq_path);
        return ray_next(err, "install the package dnsmasq-base, or give --dnsmasq PATH");
    }
    rc = probe_boot_file(config->ipxe_path, "ipxe", err);
    return rc == RAY_OK ? probe_boot_file(config->ipxe_bios_path, "ipxe-bios", err) : rc;
}

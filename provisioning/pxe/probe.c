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

enum { DHCP_PORT = 67, TFTP_PORT = 69 };

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

int provision_probe_interface(const struct provision_config *config, struct ray_err *err)
{
    const char *name = config->interface;
    char ip[PROVISION_IP_TEXT_SIZE];
    struct ifaddrs *list = NULL;
    unsigned flags = 0;
    bool has_it;
    int errnum;

    (void)provision_ip_format(config->address, ip);
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
    has_it = has_address(list, config);
    freeifaddrs(list);
    if (!has_it) {
        (void)ray_fail(err, RAY_ENOTFOUND, "interface '%s' does not have the address %s/%u", name,
                       ip, config->prefix_size);
        return ray_next(err, "run 'ip address add %s/%u dev %s', or give the address it has", ip,
                        config->prefix_size, name);
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
    int rc = probe_port(config, INADDR_ANY, DHCP_PORT, "DHCP", err);

    return rc == RAY_OK ? probe_port(config, config->address, TFTP_PORT, "TFTP", err) : rc;
}

int provision_probe_files(const struct provision_config *config, struct ray_err *err)
{
    if (access(config->dnsmasq_path, X_OK) != 0) {
        (void)ray_fail_errno(err, errno, "dnsmasq at %s", config->dnsmasq_path);
        return ray_next(err, "install the package dnsmasq-base, or give --dnsmasq PATH");
    }
    if (access(config->ipxe_path, R_OK) != 0) {
        (void)ray_fail_errno(err, errno, "boot file %s", config->ipxe_path);
        return ray_next(err, "install the package ipxe, or give --ipxe PATH");
    }
    return RAY_OK;
}

/* netns_link.c - a request is built in a fixed buffer, sent, and its acknowledgement read.
 * Nested attributes are closed by writing their length afterwards. */
#include "clusterctl/lab/netns_link.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

enum { REQUEST_SIZE = 512, REPLY_SIZE = 4096 };

struct request {
    _Alignas(struct nlmsghdr) uint8_t bytes[REQUEST_SIZE];
    size_t size;
};

/* Returns where the appended bytes begin. All requests are far smaller than the buffer. */
static size_t append(struct request *request, const void *bytes, size_t size)
{
    size_t begin = request->size;

    assert(size <= REQUEST_SIZE - begin);
    if (size > 0) {
        memcpy(request->bytes + begin, bytes, size);
    }
    request->size = NLMSG_ALIGN(begin + size);
    return begin;
}

static void begin_request(struct request *request, uint16_t type, uint16_t flags)
{
    const struct nlmsghdr header = {.nlmsg_type = type,
                                    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
                                    .nlmsg_seq = 1};

    *request = (struct request){.size = 0};
    (void)append(request, &header, sizeof header); /* it is the first: at 0 */
}

static size_t append_attribute(struct request *request, uint16_t type, const void *bytes,
                               size_t size)
{
    const struct rtattr header = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
    size_t begin = append(request, &header, sizeof header);

    (void)append(request, bytes, size); /* directly behind: the header is aligned */
    return begin;
}

static void end_nested(struct request *request, size_t begin)
{
    uint16_t size = (uint16_t)(request->size - begin);

    memcpy(request->bytes + begin + offsetof(struct rtattr, rta_len), &size, sizeof size);
}

static void append_name(struct request *request, const char *name)
{
    (void)append_attribute(request, IFLA_IFNAME, name, strlen(name) + 1);
}

static int open_route(void)
{
    int errnum = ray_fault(RAY_FAULT_SOCKET);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

/* 0, or the positive errno that the kernel answered. */
static int read_answer(int fd)
{
    _Alignas(struct nlmsghdr) uint8_t reply[REPLY_SIZE];
    struct nlmsghdr header;
    struct nlmsgerr answer;
    ssize_t size;

    do {
        size = recv(fd, reply, sizeof reply, 0);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return errno;
    }
    if ((size_t)size < NLMSG_HDRLEN + sizeof answer.error) {
        return EBADMSG;
    }
    memcpy(&header, reply, sizeof header);
    memcpy(&answer.error, reply + NLMSG_HDRLEN, sizeof answer.error);
    return header.nlmsg_type == NLMSG_ERROR ? -answer.error : EBADMSG;
}

/* 0 or a positive errno. */
static int transact(struct request *request)
{
    uint32_t size = (uint32_t)request->size;
    int errnum = 0;
    int fd;

    memcpy(request->bytes + offsetof(struct nlmsghdr, nlmsg_len), &size, sizeof size);
    fd = open_route();
    if (fd < 0) {
        return errno;
    }
    errnum = ray_fault(RAY_FAULT_SEND);
    if (errnum == 0 && send(fd, request->bytes, request->size, 0) < 0) {
        errnum = errno;
    }
    if (errnum == 0) {
        errnum = read_answer(fd);
    }
    (void)close(fd); /* the answer is here */
    return errnum;
}

static int check_name(const char *name, struct ray_err *err)
{
    size_t size = strlen(name);

    if (size == 0 || size >= IFNAMSIZ || strchr(name, '/') != NULL) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not an interface name (1 to %d bytes)", name,
                        IFNAMSIZ - 1);
    }
    return RAY_OK;
}

static int index_of(const char *name, int *out_index, struct ray_err *err)
{
    unsigned index = if_nametoindex(name);

    if (index == 0) {
        return ray_fail_errno(err, errno, "interface '%s'", name);
    }
    *out_index = (int)index;
    return RAY_OK;
}

int ray_netns_add_veth(const char *name, const char *peer, struct ray_err *err)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct request request;
    size_t link_info;
    size_t data;
    size_t peer_info;
    int errnum;
    int rc = check_name(name, err);

    if (rc == RAY_OK) {
        rc = check_name(peer, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    begin_request(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    (void)append(&request, &info, sizeof info);
    append_name(&request, name);
    link_info = append_attribute(&request, IFLA_LINKINFO, NULL, 0);
    (void)append_attribute(&request, IFLA_INFO_KIND, "veth", 4);
    data = append_attribute(&request, IFLA_INFO_DATA, NULL, 0);
    peer_info = append_attribute(&request, VETH_INFO_PEER, NULL, 0);
    (void)append(&request, &info, sizeof info);
    append_name(&request, peer);
    end_nested(&request, peer_info);
    end_nested(&request, data);
    end_nested(&request, link_info);
    errnum = transact(&request);
    if (errnum == EOPNOTSUPP) {
        (void)ray_fail(err, RAY_EUNSUPPORTED, "veth pair '%s': this kernel has no veth driver",
                       name);
        return ray_next(err, "load it: modprobe veth");
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "veth pair '%s', '%s'", name, peer);
}

int ray_netns_set_up(const char *name, uint32_t mtu, struct ray_err *err)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request request;
    int errnum;
    int rc = index_of(name, &info.ifi_index, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin_request(&request, RTM_NEWLINK, 0);
    (void)append(&request, &info, sizeof info);
    if (mtu != 0) {
        (void)append_attribute(&request, IFLA_MTU, &mtu, sizeof mtu);
    }
    errnum = transact(&request);
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "interface '%s' up", name);
}

int ray_netns_no_ipv6_address(const char *name, struct ray_err *err)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
    struct request request;
    size_t families;
    size_t family;
    int errnum;
    int rc = index_of(name, &info.ifi_index, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin_request(&request, RTM_NEWLINK, 0);
    (void)append(&request, &info, sizeof info);
    families = append_attribute(&request, IFLA_AF_SPEC, NULL, 0);
    family = append_attribute(&request, AF_INET6, NULL, 0);
    (void)append_attribute(&request, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    end_nested(&request, family);
    end_nested(&request, families);
    errnum = transact(&request);
    if (errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP) {
        return RAY_OK; /* no IPv6, no address */
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "interface '%s' without IPv6", name);
}

int ray_netns_add_address(const char *name, uint32_t address, uint8_t prefix_size,
                          struct ray_err *err)
{
    struct ifaddrmsg info = {.ifa_family = AF_INET, .ifa_prefixlen = prefix_size};
    uint32_t wire = htonl(address);
    uint32_t host_bits = prefix_size == 0 ? UINT32_MAX : ~(UINT32_MAX << (32 - prefix_size));
    uint32_t broadcast = htonl(address | host_bits);
    struct request request;
    int index = 0;
    int errnum;
    int rc = index_of(name, &index, err);

    assert(prefix_size <= 32);
    if (rc != RAY_OK) {
        return rc;
    }
    info.ifa_index = (uint32_t)index;
    begin_request(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    (void)append(&request, &info, sizeof info);
    (void)append_attribute(&request, IFA_LOCAL, &wire, sizeof wire);
    (void)append_attribute(&request, IFA_ADDRESS, &wire, sizeof wire);
    if (prefix_size < 31) {
        (void)append_attribute(&request, IFA_BROADCAST, &broadcast, sizeof broadcast);
    }
    errnum = transact(&request);
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "address of '%s'", name);
}

int ray_netns_disable_tx_offload(const char *name, struct ray_err *err)
{
    /* GSO is done in software after the checksum decision; off too, so that no frame is
     * longer than the MTU says. Segmentation depends on checksums and goes by itself. */
    static const uint32_t commands[] = {ETHTOOL_STXCSUM, ETHTOOL_SGSO};
    struct ifreq request = {0};
    int rc = check_name(name, err);
    int fd;

    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name); /* fits: checked */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "socket");
    }
    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(commands); i++) {
        struct ethtool_value value = {.cmd = commands[i], .data = 0};

        request.ifr_data = (char *)&value;
        if (ioctl(fd, SIOCETHTOOL, &request) < 0) {
            rc = ray_fail_errno(err, errno, "checksum offload of '%s'", name);
        }
    }
    (void)close(fd);
    return rc;
}

int ray_netns_parse_address(const char *text, uint32_t *out_address, uint8_t *out_prefix_size,
                            struct ray_err *err)
{
    const char *slash = strchr(text, '/');
    char address_text[INET_ADDRSTRLEN];
    struct in_addr address;
    uint64_t prefix_size;

    if (slash != NULL && (size_t)(slash - text) < sizeof address_text) {
        memcpy(address_text, text, (size_t)(slash - text));
        address_text[slash - text] = '\0';
        if (inet_pton(AF_INET, address_text, &address) == 1 &&
            ray_parse_u64(slash + 1, 1, 32, &prefix_size) == RAY_OK) {
            *out_address = ntohl(address.s_addr);
            *out_prefix_size = (uint8_t)prefix_size;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EINVAL, "'%s' is not an address with prefix (10.77.0.1/24)", text);
}

/* node/init/system/fake_link.h - for tests: network cards. Real virtual links, made in a network
 * namespace of the test's own, and what sysfs would say of them if they were hardware.
 *
 * Memory: none kept.  Threads: the test's.  Blocks: the kernel, the disk.  Trust: tests only. */
#ifndef RAY_NODE_INIT_SYSTEM_FAKE_LINK_H
#define RAY_NODE_INIT_SYSTEM_FAKE_LINK_H

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include "node/init/system/fake_root.h"
#include "node/init/system/netlink.h"

struct fake_veth_request {
    struct nlmsghdr header;
    struct ifinfomsg info;
    uint8_t attributes[256];
    size_t size; /* of the attributes */
};

static inline size_t fake_veth_put(struct fake_veth_request *request, uint16_t type,
                                   const void *data, size_t size)
{
    struct rtattr header = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
    size_t offset = request->size;

    memcpy(request->attributes + offset, &header, sizeof header);
    memcpy(request->attributes + offset + RTA_LENGTH(0), data, size);
    request->size += RTA_SPACE(size);
    return offset;
}

/* A pair of virtual cards, by hand: the product never makes one. */
static inline int fake_make_veth(const char *name, const char *peer)
{
    struct fake_veth_request request = {
        .header = {.nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
    const struct ifinfomsg zero = {0};
    uint8_t answer[512];
    size_t nests[3];
    int32_t code = -1;
    int fd;

    (void)fake_veth_put(&request, IFLA_IFNAME, name, strlen(name) + 1);
    nests[0] = fake_veth_put(&request, IFLA_LINKINFO, "", 0);
    (void)fake_veth_put(&request, IFLA_INFO_KIND, "veth", 5);
    nests[1] = fake_veth_put(&request, IFLA_INFO_DATA, "", 0);
    nests[2] = fake_veth_put(&request, VETH_INFO_PEER, &zero, sizeof zero);
    (void)fake_veth_put(&request, IFLA_IFNAME, peer, strlen(peer) + 1);
    for (int i = 0; i < 3; i++) {
        uint16_t nest_size = (uint16_t)(request.size - nests[i]);

        memcpy(request.attributes + nests[i], &nest_size, sizeof nest_size);
    }
    request.header.nlmsg_len =
        (uint32_t)(offsetof(struct fake_veth_request, attributes) + request.size);
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    FAKE_CHECK(fd >= 0);
    FAKE_CHECK(send(fd, &request, request.header.nlmsg_len, 0) > 0);
    FAKE_CHECK(recv(fd, answer, sizeof answer, 0) >= (ssize_t)NLMSG_LENGTH(sizeof code));
    memcpy(&code, answer + NLMSG_HDRLEN, sizeof code);
    (void)close(fd);
    FAKE_CHECK(code == 0);
    return 0;
}

static inline int fake_delete_link(const char *name)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } request = {.header = {.nlmsg_len = sizeof request,
                            .nlmsg_type = RTM_DELLINK,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    struct init_netlink netlink;
    struct init_link link;
    uint8_t answer[512];
    int fd;

    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, NULL) == RAY_OK);
    FAKE_CHECK(init_netlink_link_by_name(&netlink, name, &link, NULL) == RAY_OK);
    init_netlink_fini(&netlink);
    request.info.ifi_index = (int)link.index;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    FAKE_CHECK(fd >= 0);
    FAKE_CHECK(send(fd, &request, sizeof request, 0) > 0);
    FAKE_CHECK(recv(fd, answer, sizeof answer, 0) > 0);
    (void)close(fd);
    return 0;
}

static inline void fake_symlink(const struct fake_root *root, const char *target, const char *path)
{
    char folder[256];

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(ray_make_dirs(root->fd, folder, 0755, NULL), RAY_OK);
    assert_int_equal(symlinkat(target, root->fd, path), 0);
}

/* A device at `path` below sys/devices, of a bus. */
static inline void fake_device(const struct fake_root *root, const char *path, const char *bus)
{
    char link[256];
    char target[256];

    (void)snprintf(link, sizeof link, "sys/devices/%s/subsystem", path);
    (void)snprintf(target, sizeof target, "../../bus/%s", bus);
    fake_symlink(root, target, link);
}

/* The card `name` of the device at `path` below sys/devices; "" for `path`: of no device. */
static inline void fake_card(const struct fake_root *root, const char *path, const char *name,
                             uint32_t index, const char *type)
{
    char link[280];
    char target[256];
    char text[256];

    (void)snprintf(target, sizeof target, "../../devices/%s/net/%s",
                   path[0] == '\0' ? "virtual" : path, name);
    (void)snprintf(link, sizeof link, "sys/class/net/%s", name);
    fake_symlink(root, target, link);
    (void)snprintf(link, sizeof link, "sys/%s/uevent", target + strlen("../../"));
    (void)snprintf(text, sizeof text, "%s%s%sINTERFACE=%s\nIFINDEX=%u\n",
                   type[0] != '\0' ? "DEVTYPE=" : "", type, type[0] != '\0' ? "\n" : "", name,
                   index);
    fake_put(root, link, text);
    if (path[0] != '\0') {
        (void)snprintf(link, sizeof link, "sys/%s/device", target + strlen("../../"));
        (void)snprintf(text, sizeof text, "../../../%s", strrchr(path, '/') + 1);
        fake_symlink(root, text, link);
    }
}

#endif

/* A request is one message; the answer is an acknowledgement (or a dump up to NLMSG_DONE)
 * with the same sequence number. Attributes are appended with lengths checked against the
 * buffer, and read back with lengths checked against the message. */
#include "node/init/system/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

enum { REQUEST_SIZE_MAX = 512, REPLY_SIZE_MAX = 32 * 1024, TIMEOUT_S = 2, REPLY_COUNT_MAX = 4096 };

struct request {
    union {
        struct nlmsghdr header;
        uint8_t bytes[REQUEST_SIZE_MAX];
    } u;
};

void init_netlink_init(struct init_netlink *netlink)
{
    *netlink = (struct init_netlink){.fd = -1};
}

static int open_socket(unsigned groups, int flags, int *out_fd, struct ray_err *err)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    int fd = -1;

    if (errnum == 0) {
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum == 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        errnum = errno;
        (void)close(fd);
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "netlink socket");
    }
    *out_fd = fd;
    return RAY_OK;
}

int init_netlink_open(struct init_netlink *netlink, struct ray_err *err)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int rc;

    assert(netlink->fd < 0);
    rc = open_socket(0, 0, &netlink->fd, err);
    if (rc == RAY_OK &&
        setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
        rc = ray_fail_errno(err, errno, "netlink deadline");
        init_netlink_fini(netlink);
    }
    return rc;
}

void init_netlink_fini(struct init_netlink *netlink)
{
    if (netlink->fd >= 0) {
        (void)close(netlink->fd);
    }
    init_netlink_init(netlink);
}

static void begin(struct request *request, uint16_t type, uint16_t flags, uint32_t index)
{
    struct ifinfomsg *info;

    *request = (struct request){0};
    request->u.header.nlmsg_len = NLMSG_LENGTH(sizeof *info);
    request->u.header.nlmsg_type = type;
    request->u.header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    info = NLMSG_DATA(&request->u.header);
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = (int)index;
}

/* Our own requests are of known size: the buffer is always large enough. Returns where the
 * attribute begins, for close_nest. */
static size_t put(struct request *request, uint16_t type, const void *data, size_t size)
{
    struct rtattr header = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
    size_t offset = NLMSG_ALIGN(request->u.header.nlmsg_len);

    assert(offset + RTA_SPACE(size) <= sizeof request->u.bytes);
    memcpy(request->u.bytes + offset, &header, sizeof header);
    if (size > 0) {
        memcpy(request->u.bytes + offset + RTA_LENGTH(0), data, size);
    }
    request->u.header.nlmsg_len = (uint32_t)(offset + RTA_SPACE(size));
    return offset;
}

/* Ends a nest: everything put since belongs into it. */
static void close_nest(struct request *request, size_t nest_offset)
{
    struct rtattr header;

    memcpy(&header, request->u.bytes + nest_offset, sizeof header);
    header.rta_len = (uint16_t)(request->u.header.nlmsg_len - nest_offset);
    memcpy(request->u.bytes + nest_offset, &header, sizeof header);
}

static int send_request(struct init_netlink *netlink, struct request *request, struct ray_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int errnum = ray_fault(RAY_FAULT_SEND);

    if (netlink->fd < 0) {
        return ray_fail(err, RAY_ECLOSED, "netlink is not open");
    }
    request->u.header.nlmsg_seq = ++netlink->sequence;
    if (errnum == 0 && sendto(netlink->fd, request->u.bytes, request->u.header.nlmsg_len, 0,
                              (const struct sockaddr *)&kernel, sizeof kernel) < 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "netlink request");
}

/* One datagram from the kernel. */
static int receive(struct init_netlink *netlink, uint8_t *buffer, size_t *out_size,
                   struct ray_err *err)
{
    for (int tries = 0; tries < REPLY_COUNT_MAX; tries++) {
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof from;
        int errnum = ray_fault(RAY_FAULT_READ);
        ssize_t got = -1;

        if (errnum == 0 && netlink->fd >= 0) {
            got = recvfrom(netlink->fd, buffer, REPLY_SIZE_MAX, 0, (struct sockaddr *)&from,
                           &from_size);
            errnum = got < 0 ? errno : 0;
        }
        if (errnum == EINTR) {
            continue;
        }
        if (errnum == EAGAIN) {
            return ray_fail(err, RAY_ETIMEOUT, "no answer from the kernel in %d s", TIMEOUT_S);
        }
        if (errnum != 0) {
            return ray_fail_errno(err, errnum, "netlink answer");
        }
        if (from.nl_pid == 0) {
            *out_size = (size_t)got;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EIO, "netlink answers from strangers only");
}

/* What a message of an answer means for the request. */
enum answer { ANSWER_MORE, ANSWER_DONE };

struct link_sink {
    struct init_link *links;
    size_t count_max;
    size_t count;
};

/* `message` is as long as its header says. */
static int take_message(const struct init_netlink *netlink, const uint8_t *message,
                        struct link_sink *sink, enum answer *out, struct ray_err *err)
{
    struct nlmsghdr header;
    int32_t code = 0;

    memcpy(&header, message, sizeof header);
    *out = ANSWER_MORE;
    if (header.nlmsg_seq != netlink->sequence) {
        return RAY_OK; /* a late answer to a request that was given up */
    }
    if (header.nlmsg_type == NLMSG_ERROR) {
        if (header.nlmsg_len < NLMSG_LENGTH(sizeof code)) {
            return ray_fail(err, RAY_EMALFORMED, "netlink error of %u bytes", header.nlmsg_len);
        }
        memcpy(&code, message + NLMSG_HDRLEN, sizeof code);
        *out = ANSWER_DONE;
        return code == 0 ? RAY_OK : ray_fail_errno(err, -code, "refused by the kernel");
    }
    if (header.nlmsg_type == NLMSG_DONE) {
        *out = ANSWER_DONE;
        return RAY_OK;
    }
    if (header.nlmsg_type == RTM_NEWLINK && sink != NULL) {
        if (sink->count == sink->count_max) {
            return ray_fail(err, RAY_ETOOBIG, "more than %zu links", sink->count_max);
        }
        if (init_netlink_parse_link(message, header.nlmsg_len, &sink->links[sink->count], err) !=
            RAY_OK) {
            return RAY_EMALFORMED;
        }
        sink->count++;
    }
    return RAY_OK;
}

/* All messages of one datagram. */
static int take_datagram(const struct init_netlink *netlink, const uint8_t *buffer, size_t size,
                         struct link_sink *sink, enum answer *out, struct ray_err *err)
{
    size_t offset = 0;

    *out = ANSWER_MORE;
    while (size - offset >= sizeof(struct nlmsghdr)) {
        uint32_t message_size;
        int rc;

        memcpy(&message_size, buffer + offset, sizeof message_size); /* the header's first field */
        if (message_size < sizeof(struct nlmsghdr) || message_size > size - offset) {
            return ray_fail(err, RAY_EMALFORMED, "netlink message of %u bytes", message_size);
        }
        rc = take_message(netlink, buffer + offset, sink, out, err);
        if (rc != RAY_OK || *out == ANSWER_DONE) {
            return rc;
        }
        if (NLMSG_ALIGN((size_t)message_size) >= size - offset) {
            break;
        }
        offset += NLMSG_ALIGN((size_t)message_size);
    }
    return RAY_OK;
}

static int exchange(struct init_netlink *netlink, struct request *request, struct link_sink *sink,
                    struct ray_err *err)
{
    uint8_t buffer[REPLY_SIZE_MAX];
    int rc = send_request(netlink, request, err);

    for (int turns = 0; rc == RAY_OK && turns < REPLY_COUNT_MAX; turns++) {
        enum answer answer = ANSWER_MORE;
        size_t size = 0;

        rc = receive(netlink, buffer, &size, err);
        if (rc == RAY_OK) {
            rc = take_datagram(netlink, buffer, size, sink, &answer, err);
        }
        if (rc == RAY_OK && answer == ANSWER_DONE) {
            return RAY_OK;
        }
    }
    return rc != RAY_OK ? rc : ray_fail(err, RAY_EIO, "netlink answer without an end");
}

static int check_name(const char *name, struct ray_err *err)
{
    if (name[0] == '\0' || strlen(name) >= INIT_LINK_NAME_SIZE) {
        return ray_fail(err, RAY_EINVAL, "link name '%s'", name);
    }
    return RAY_OK;
}

int init_netlink_links(struct init_netlink *netlink, struct init_link *out_links,
                       size_t link_count_max, size_t *out_count, struct ray_err *err)
{
    struct link_sink sink = {.links = out_links, .count_max = link_count_max};
    struct request request;
    int rc;

    begin(&request, RTM_GETLINK, NLM_F_DUMP, 0);
    rc = exchange(netlink, &request, &sink, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "list of links");
    }
    *out_count = sink.count;
    return RAY_OK;
}

int init_netlink_link_by_name(struct init_netlink *netlink, const char *name, struct init_link *out,
                              struct ray_err *err)
{
    struct init_link link;
    struct link_sink sink = {.links = &link, .count_max = 1};
    struct request request;
    int rc = check_name(name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin(&request, RTM_GETLINK, NLM_F_ACK, 0);
    (void)put(&request, IFLA_IFNAME, name, strlen(name) + 1);
    rc = exchange(netlink, &request, &sink, err);
    if (rc != RAY_OK || sink.count == 0) {
        /* ENODEV from the kernel. */
        return rc == RAY_OK || rc == RAY_ENOTFOUND || rc == RAY_EUNSUPPORTED
                   ? ray_fail(err, RAY_ENOTFOUND, "no link %s", name)
                   : ray_wrap(err, rc, "link %s", name);
    }
    *out = link;
    return RAY_OK;
}

int init_netlink_set_up(struct init_netlink *netlink, uint32_t index, bool is_up,
                        struct ray_err *err)
{
    struct request request;
    struct ifinfomsg *info;
    int rc;

    begin(&request, RTM_NEWLINK, NLM_F_ACK, index);
    info = NLMSG_DATA(&request.u.header);
    info->ifi_flags = is_up ? IFF_UP : 0;
    info->ifi_change = IFF_UP;
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "link %u %s", index, is_up ? "up" : "down");
}

int init_netlink_rename(struct init_netlink *netlink, uint32_t index, const char *name,
                        struct ray_err *err)
{
    struct request request;
    int rc = check_name(name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin(&request, RTM_NEWLINK, NLM_F_ACK, index);
    (void)put(&request, IFLA_IFNAME, name, strlen(name) + 1);
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "name %s for link %u", name, index);
}

int init_netlink_add_name(struct init_netlink *netlink, uint32_t index, const char *name,
                          struct ray_err *err)
{
    struct request request;
    size_t list;
    int rc = check_name(name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin(&request, RTM_NEWLINKPROP, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, index);
    list = put(&request, IFLA_PROP_LIST | NLA_F_NESTED, NULL, 0);
    (void)put(&request, IFLA_ALT_IFNAME, name, strlen(name) + 1);
    close_nest(&request, list);
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK
                        : ray_wrap(err, rc, "alternative name %s for link %u", name, index);
}

int init_netlink_make_bridge(struct init_netlink *netlink, const char *name,
                             const uint8_t mac[INIT_MAC_SIZE], struct ray_err *err)
{
    const uint32_t off = 0;
    struct request request;
    size_t info;
    size_t data;
    int rc = check_name(name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin(&request, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0);
    (void)put(&request, IFLA_IFNAME, name, strlen(name) + 1);
    if (mac != NULL) {
        (void)put(&request, IFLA_ADDRESS, mac, INIT_MAC_SIZE);
    }
    info = put(&request, IFLA_LINKINFO, NULL, 0);
    (void)put(&request, IFLA_INFO_KIND, "bridge", 7);
    data = put(&request, IFLA_INFO_DATA, NULL, 0);
    (void)put(&request, IFLA_BR_STP_STATE, &off, sizeof off);
    (void)put(&request, IFLA_BR_FORWARD_DELAY, &off, sizeof off);
    close_nest(&request, data);
    close_nest(&request, info);
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "bridge %s", name);
}

int init_netlink_set_mac(struct init_netlink *netlink, uint32_t index,
                         const uint8_t mac[static INIT_MAC_SIZE], struct ray_err *err)
{
    struct request request;
    int rc;

    begin(&request, RTM_NEWLINK, NLM_F_ACK, index);
    (void)put(&request, IFLA_ADDRESS, mac, INIT_MAC_SIZE);
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "address of link %u", index);
}

int init_netlink_set_master(struct init_netlink *netlink, uint32_t index, uint32_t master_index,
                            struct ray_err *err)
{
    struct request request;
    int rc;

    begin(&request, RTM_NEWLINK, NLM_F_ACK, index);
    (void)put(&request, IFLA_MASTER, &master_index, sizeof master_index);
    rc = exchange(netlink, &request, NULL, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "link %u into bridge %u", index, master_index);
}

int init_netlink_open_monitor(int *out_fd, struct ray_err *err)
{
    return open_socket(RTMGRP_LINK, SOCK_NONBLOCK, out_fd, err);
}

bool init_netlink_drain_monitor(int fd)
{
    uint8_t buffer[4096]; /* only that something came matters: the rest may be cut off */
    bool has_any = false;

    for (int i = 0; i < REPLY_COUNT_MAX; i++) {
        ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno != ENOBUFS) {
            break;
        }
        has_any = true;
    }
    return has_any;
}

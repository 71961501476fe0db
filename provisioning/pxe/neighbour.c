/* One RTM_GETNEIGH for one address, and the one message that answers it. */
#include "provisioning/pxe/neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"

/* A neighbour that was asked for and did not answer has an entry without address. */
enum { NO_ADDRESS = NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP | NUD_NONE };

struct request {
    struct nlmsghdr head;
    struct ndmsg body;
    struct nlattr attribute;
    uint8_t address[16];
};

static bool fill(struct request *request, unsigned index, const char *peer)
{
    size_t size = 0;

    *request = (struct request){.head = {.nlmsg_type = RTM_GETNEIGH, .nlmsg_flags = NLM_F_REQUEST}};
    if (inet_pton(AF_INET, peer, request->address) == 1) {
        request->body.ndm_family = AF_INET;
        size = 4;
    } else if (inet_pton(AF_INET6, peer, request->address) == 1) {
        request->body.ndm_family = AF_INET6;
        size = 16;
    } else {
        return false;
    }
    request->body.ndm_ifindex = (int)index;
    request->attribute.nla_type = NDA_DST;
    request->attribute.nla_len = (uint16_t)(sizeof(request->attribute) + size);
    request->head.nlmsg_len = (uint32_t)(offsetof(struct request, address) + size);
    return true;
}

static int read_answer(const uint8_t *bytes, size_t size, struct provision_mac *out,
                       struct ray_err *err)
{
    struct nlmsghdr head;
    struct ndmsg body;
    size_t at = sizeof(head) + sizeof(body);

    if (size < at) {
        return ray_fail(err, RAY_ENOTFOUND, "not in the neighbour table");
    }
    memcpy(&head, bytes, sizeof(head));
    memcpy(&body, bytes + sizeof(head), sizeof(body));
    if (head.nlmsg_type != RTM_NEWNEIGH || (body.ndm_state & ~NO_ADDRESS) == 0) {
        return ray_fail(err, RAY_ENOTFOUND, "not in the neighbour table");
    }
    while (at + sizeof(struct nlattr) <= size) {
        struct nlattr attribute;

        memcpy(&attribute, bytes + at, sizeof(attribute));
        if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > size - at) {
            break;
        }
        if (attribute.nla_type == NDA_LLADDR &&
            attribute.nla_len == sizeof(attribute) + sizeof(out->bytes)) {
            memcpy(out->bytes, bytes + at + sizeof(attribute), sizeof(out->bytes));
            return RAY_OK;
        }
        at += ((size_t)attribute.nla_len + NLA_ALIGNTO - 1) / NLA_ALIGNTO * NLA_ALIGNTO;
    }
    return ray_fail(err, RAY_ENOTFOUND, "no card in the neighbour table");
}

/* The size of the answer, or -1 with errno. */
static ssize_t ask_kernel(const struct request *request, uint8_t *answer, size_t answer_size)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    ssize_t size = -1;
    int fd = errnum == 0 ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) : -1;

    if (fd < 0) {
        return -1;
    }
    if (sendto(fd, request, request->head.nlmsg_len, 0, (const struct sockaddr *)&kernel,
               sizeof(kernel)) >= 0) {
        size = recv(fd, answer, answer_size, MSG_DONTWAIT);
    }
    errnum = errno;
    (void)close(fd);
    errno = errnum;
    return size;
}

int provision_neighbour_find(const char *interface, const char *peer, struct provision_mac *out,
                             struct ray_err *err)
{
    unsigned index = if_nametoindex(interface);
    struct request request;
    uint8_t answer[1024];
    ssize_t size;

    if (index == 0 || !fill(&request, index, peer)) {
        return ray_fail(err, RAY_ENOTFOUND, "no interface %s, or no address", interface);
    }
    size = ask_kernel(&request, answer, sizeof(answer));
    return size < 0 ? ray_fail_errno(err, errno, "neighbour table")
                    : read_answer(answer, (size_t)size, out, err);
}

#include "provisioning/pxe/dhcp_probe.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

enum { PACKETS_PER_TURN_MAX = 64 };

struct provision_dhcp_probe {
    struct provision_dhcp_probe_config config;
    struct ray_poll poll;
    struct ray_timer timer;
    int fd;
    int interface_index;
    struct provision_mac mac;
    uint32_t transaction; /* as UEFI; the next number as BIOS */
    unsigned try_count;
    struct provision_probe_server servers[PROVISION_PROBE_SERVER_COUNT_MAX];
    size_t server_count;
};

static const uint16_t arch_numbers[PROVISION_PROBE_ARCH_COUNT] = {
    [PROVISION_PROBE_UEFI] = 7, [PROVISION_PROBE_BIOS] = 0};

static int fail_socket(struct ray_err *err, int errnum, const char *interface)
{
    if (errnum == EPERM || errnum == EACCES) {
        (void)ray_fail(err, RAY_EDENIED, "no permission to look at the packets of %s", interface);
        return ray_next(err, "run rayos-provision as root, or with CAP_NET_RAW");
    }
    return ray_fail_errno(err, errnum, "packet socket on %s", interface);
}

/* Only UDP to port 68, and no later fragments: all others stay in the kernel. */
static int set_filter(int fd)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 6),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 68, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, PROVISION_OFFER_SIZE_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = {.len = RAY_ARRAY_COUNT(code), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int find_interface(struct provision_dhcp_probe *probe)
{
    struct ifreq request = {0};

    memcpy(request.ifr_name, probe->config.interface,
           strnlen(probe->config.interface, sizeof(request.ifr_name) - 1));
    if (ioctl(probe->fd, SIOCGIFINDEX, &request) != 0) {
        return errno;
    }
    probe->interface_index = request.ifr_ifindex;
    if (ioctl(probe->fd, SIOCGIFHWADDR, &request) != 0) {
        return errno;
    }
    memcpy(probe->mac.bytes, request.ifr_hwaddr.sa_data, sizeof(probe->mac.bytes));
    return 0;
}

static int open_socket(struct provision_dhcp_probe *probe)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    int errnum = ray_fault(RAY_FAULT_SOCKET);

    if (errnum != 0) {
        return errnum;
    }
    /* Protocol 0 until the filter is there: no packet comes past it. */
    probe->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe->fd < 0) {
        return errno;
    }
    errnum = find_interface(probe);
    if (errnum != 0) {
        return errnum;
    }
    address.sll_ifindex = probe->interface_index;
    if (set_filter(probe->fd) != 0 ||
        bind(probe->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return errno;
    }
    return 0;
}

/* ---- offers ---- */

static struct provision_probe_server *server_of(struct provision_dhcp_probe *probe, uint32_t server)
{
    for (size_t i = 0; i < probe->server_count; i++) {
        if (probe->servers[i].server == server) {
            return &probe->servers[i];
        }
    }
    if (probe->server_count == PROVISION_PROBE_SERVER_COUNT_MAX) {
        return NULL; /* so many are trouble enough */
    }
    probe->servers[probe->server_count] = (struct provision_probe_server){.server = server};
    return &probe->servers[probe->server_count++];
}

static void take(struct provision_dhcp_probe *probe, const uint8_t *packet, size_t size)
{
    struct provision_probe_server *server;
    struct provision_dhcp_offer offer;
    uint32_t arch;

    if (provision_dhcp_offer_parse(packet, size, &offer, NULL) != RAY_OK ||
        memcmp(&offer.mac, &probe->mac, sizeof(offer.mac)) != 0) {
        return;
    }
    arch = offer.transaction - probe->transaction;
    if (arch >= PROVISION_PROBE_ARCH_COUNT || offer.server == probe->config.own_address ||
        offer.source == probe->config.own_address) {
        return;
    }
    server = server_of(probe, offer.server);
    if (server != NULL) {
        server->gives_addresses = server->gives_addresses || offer.address != 0;
        server->has_answered[arch] = true;
        server->offers[arch] = offer;
    }
}

static void on_packet(void *arg, int status, int events)
{
    struct provision_dhcp_probe *probe = arg;
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];

    (void)events;
    for (size_t i = 0; status == RAY_OK && i < PACKETS_PER_TURN_MAX; i++) {
        ssize_t size = recv(probe->fd, packet, sizeof(packet), MSG_TRUNC);

        if (size < 0) {
            return; /* EAGAIN; an interface that went down shows in its own check */
        }
        if ((size_t)size <= sizeof(packet)) {
            take(probe, packet, (size_t)size);
        }
    }
}

/* ---- tries ---- */

static void send_discovers(struct provision_dhcp_probe *probe)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_IP),
        .sll_ifindex = probe->interface_index,
        .sll_halen = ETH_ALEN,
        .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };

    for (uint32_t i = 0; i < PROVISION_PROBE_ARCH_COUNT; i++) {
        const struct provision_dhcp_discover discover = {
            .transaction = probe->transaction + i, .mac = probe->mac, .arch = arch_numbers[i]};
        uint8_t packet[PROVISION_DISCOVER_SIZE];

        provision_dhcp_discover_build(&discover, packet);
        /* A lost packet is like one that the network lost: there are more tries. */
        (void)sendto(probe->fd, packet, sizeof(packet), MSG_DONTWAIT, (const struct sockaddr *)&to,
                     sizeof(to));
    }
    probe->try_count++;
}

static void on_timer(void *arg)
{
    struct provision_dhcp_probe *probe = arg;

    if (probe->try_count < PROVISION_PROBE_TRY_COUNT) {
        send_discovers(probe);
        return;
    }
    ray_timer_stop(&probe->timer);
    probe->config.on_end(probe->config.arg, probe->servers, probe->server_count);
}

static int start(struct provision_dhcp_probe *probe, struct ray_loop *loop, struct ray_err *err)
{
    int errnum = open_socket(probe);
    int rc;

    if (errnum != 0) {
        return fail_socket(err, errnum, probe->config.interface);
    }
    if (getrandom(&probe->transaction, sizeof(probe->transaction), 0) !=
        (ssize_t)sizeof(probe->transaction)) {
        return ray_fail_errno(err, errno, "random number");
    }
    rc = ray_poll_init(&probe->poll, loop, probe->fd, on_packet, probe, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&probe->poll, UV_READABLE);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&probe->timer, loop, on_timer, probe, err);
    }
    if (rc == RAY_OK) {
        send_discovers(probe);
        ray_timer_start(&probe->timer, PROVISION_PROBE_TRY_MS, PROVISION_PROBE_TRY_MS);
    }
    return rc;
}

int provision_dhcp_probe_create(struct provision_dhcp_probe **out_probe, struct ray_loop *loop,
                                const struct provision_dhcp_probe_config *config,
                                struct ray_err *err)
{
    struct provision_dhcp_probe *probe =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*probe));
    int rc;

    assert(config->on_end != NULL);
    if (probe == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the probe");
    }
    probe->config = *config;
    probe->fd = -1;
    rc = start(probe, loop, err);
    probe->config.interface = NULL;
    if (rc != RAY_OK) {
        provision_dhcp_probe_destroy(probe);
        return rc;
    }
    *out_probe = probe;
    return RAY_OK;
}

void provision_dhcp_probe_destroy(struct provision_dhcp_probe *probe)
{
    if (probe == NULL) {
        return;
    }
    ray_timer_fini(&probe->timer);
    ray_poll_fini(&probe->poll);
    if (probe->fd >= 0) {
        (void)close(probe->fd);
    }
    free(probe);
}

/* States: no card (looking, a tick while waiting), card in the bridge. Every change of any
 * link, and every tick, ends in look(), which compares what is there with what should be;
 * so a lost event costs nothing but the time to the next one. */
#include "node/init/system/net_setup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/size.h"

enum { TICK_MS = 250, DEFAULT_BOOT_CARD_WAIT_MS = 10000, DEFAULT_CARRIER_WAIT_MS = 4000 };

const char *const init_net_dhcp_argv[] = {
    "/usr/sbin/dhcpcd",
    "-B", /* in the foreground */
    "-f",
    "/etc/dhcpcd.conf",
    "-c",
    "/usr/lib/rayos/rayos-dhcp-event",
    INIT_NET_BRIDGE,
    NULL,
};

const char *const init_net_time_argv[] = {
    "/usr/sbin/chronyd",
    "-d", /* in the foreground, messages to stderr */
    "-F",
    "1", /* system call filter */
    "-f",
    "/etc/chrony.conf",
    NULL,
};

struct init_net {
    struct ray_loop *loop;
    struct init_net_options options;
    struct init_net_callbacks callbacks;
    struct ray_logger *logger;
    struct init_netlink netlink;
    int monitor_fd;
    int watch_fd; /* inotify on run/rayos */
    struct ray_poll monitor_poll;
    struct ray_poll watch_poll;
    struct ray_timer tick;
    uint64_t begin_ns;
    uint32_t card_index; /* 0: none in the bridge yet */
    char card_name[INIT_LINK_NAME_SIZE];
    struct init_lease lease; /* the last one that was bound */
    bool is_bound;
    struct init_net_namer namer;
    struct init_link links[INIT_LINK_COUNT_MAX];
};

static bool is_candidate(const struct init_link *link, const struct init_net_options *options)
{
    return link->hardware_type == ARPHRD_ETHER && link->has_mac &&
           (!link->has_kind || options->takes_software_links) &&
           strcmp(link->kind, "bridge") != 0 && strcmp(link->name, INIT_NET_BRIDGE) != 0;
}

int init_net_choose(const struct init_link *links, size_t count,
                    const struct init_net_options *options, uint64_t waited_ms)
{
    uint64_t boot_wait_ms =
        options->boot_card_wait_ms != 0 ? options->boot_card_wait_ms : DEFAULT_BOOT_CARD_WAIT_MS;
    uint64_t carrier_wait_ms =
        options->carrier_wait_ms != 0 ? options->carrier_wait_ms : DEFAULT_CARRIER_WAIT_MS;
    int first = -1;
    int first_with_carrier = -1;

    assert(count <= INT32_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!is_candidate(&links[i], options)) {
            continue;
        }
        if (options->has_boot_mac &&
            (memcmp(links[i].mac, options->boot_mac, INIT_MAC_SIZE) == 0 ||
             memcmp(links[i].permanent_mac, options->boot_mac, INIT_MAC_SIZE) == 0)) {
            return (int)i; /* it brought the image here: no need to see its carrier */
        }
        if (first < 0) {
            first = (int)i;
        }
        if (first_with_carrier < 0 && links[i].has_carrier) {
            first_with_carrier = (int)i;
        }
    }
    if (options->has_boot_mac) {
        if (waited_ms < boot_wait_ms) {
            return -1;
        }
        waited_ms -= boot_wait_ms;
    }
    if (first_with_carrier >= 0) {
        return first_with_carrier;
    }
    return waited_ms < carrier_wait_ms ? -1 : first;
}

/* Carrier shows only on cards that are up; those that are not taken go down again. */
static void set_candidates_up(struct init_net *net, size_t count, bool is_up, uint32_t except)
{
    for (size_t i = 0; i < count; i++) {
        const struct init_link *link = &net->links[i];
        struct ray_err err = {0};

        if (!is_candidate(link, &net->options) || link->index == except || link->is_up == is_up ||
            link->master_index != 0) {
            continue;
        }
        if (init_netlink_set_up(&net->netlink, link->index, is_up, &err) != RAY_OK) {
            ray_log(net->logger, RAY_LOG_INFO, "net", "card=%s: %s", link->name, err.text);
        }
    }
}

/* Puts `card` into the bridge, which is made if need be. Asking for a single link makes the
 * kernel work off that link's pending carrier event at once; it would otherwise take its
 * turn, once a second, and DHCP would wait for it: therefore both are asked for. */
static int take_card(struct init_net *net, const struct init_link *card, struct ray_err *err)
{
    struct init_link link;
    struct init_link bridge;
    int rc;

    rc = init_netlink_set_up(&net->netlink, card->index, true, err);
    if (rc == RAY_OK) {
        rc = init_netlink_link_by_name(&net->netlink, card->name, &link, err);
    }
    if (rc == RAY_OK) {
        rc = init_netlink_make_bridge(&net->netlink, INIT_NET_BRIDGE, card->mac, err);
        rc = rc == RAY_EEXISTS ? RAY_OK : rc;
    }
    if (rc == RAY_OK) {
        rc = init_netlink_link_by_name(&net->netlink, INIT_NET_BRIDGE, &bridge, err);
    }
    if (rc == RAY_OK && memcmp(bridge.mac, card->mac, INIT_MAC_SIZE) != 0) {
        rc = init_netlink_set_mac(&net->netlink, bridge.index, card->mac, err);
    }
    if (rc == RAY_OK && card->master_index != bridge.index) {
        rc = init_netlink_set_master(&net->netlink, card->index, bridge.index, err);
    }
    if (rc == RAY_OK) {
        rc = init_netlink_set_up(&net->netlink, bridge.index, true, err);
    }
    if (rc == RAY_OK) {
        rc = init_netlink_link_by_name(&net->netlink, INIT_NET_BRIDGE, &bridge, err);
    }
    return rc;
}

static bool has_index(const struct init_net *net, size_t count, uint32_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (net->links[i].index == index) {
            return true;
        }
    }
    return false;
}

static void look(struct init_net *net)
{
    uint64_t waited_ms = (ray_loop_now_ns(net->loop) - net->begin_ns) / RAY_NS_PER_MS;
    struct ray_err err = {0};
    struct init_link card;
    size_t count = 0;
    int choice;

    if (init_netlink_links(&net->netlink, net->links, RAY_ARRAY_COUNT(net->links), &count, &err) !=
        RAY_OK) {
        ray_log(net->logger, RAY_LOG_WARN, "net", "%s", err.text);
        return; /* the tick, or the next change, tries again */
    }
    /* Before any card is set up, and those that come later, too. */
    init_net_namer_run(&net->namer, net->links, count);
    if (net->card_index != 0) {
        if (has_index(net, count, net->card_index)) {
            return;
        }
        ray_log(net->logger, RAY_LOG_WARN, "net", "card=%s is gone", net->card_name);
        net->card_index = 0;
        ray_timer_start(&net->tick, TICK_MS, TICK_MS);
    }
    choice = init_net_choose(net->links, count, &net->options, waited_ms);
    if (choice < 0) {
        set_candidates_up(net, count, true, 0);
        return;
    }
    card = net->links[choice];
    if (take_card(net, &card, &err) != RAY_OK) {
        ray_log(net->logger, RAY_LOG_ERROR, "net", "card=%s not taken: %s", card.name, err.text);
        return;
    }
    set_candidates_up(net, count, false, card.index);
    ray_timer_stop(&net->tick);
    net->card_index = card.index;
    memcpy(net->card_name, card.name, sizeof net->card_name);
    ray_log(net->logger, RAY_LOG_INFO, "net", "bridge=%s card=%s carrier=%d", INIT_NET_BRIDGE,
            card.name, card.has_carrier ? 1 : 0);
    net->callbacks.on_bridge(net->callbacks.arg, card.name, card.mac);
}

static void on_tick(void *arg)
{
    look(arg);
}

static void on_monitor(void *arg, int status, int events)
{
    struct init_net *net = arg;

    (void)status; /* an overflow shows as an error and is cleared by reading */
    (void)events;
    if (init_netlink_drain_monitor(net->monitor_fd)) {
        look(net);
    }
}

static void read_lease(struct init_net *net)
{
    struct ray_err err = {0};
    struct init_lease lease;
    bool has_new_ntp;
    int rc = init_lease_read(net->options.root_fd, &lease, &err);

    if (rc == RAY_ENOTFOUND) {
        return;
    }
    if (rc != RAY_OK) {
        ray_log(net->logger, RAY_LOG_ERROR, "net", "lease not read: %s", err.text);
        return;
    }
    if (!lease.is_bound && !net->is_bound) {
        return; /* nothing was there to be lost: no carrier yet, or no server */
    }
    net->is_bound = lease.is_bound;
    if (lease.is_bound && init_lease_write_resolv(net->options.root_fd, &lease, &err) != RAY_OK) {
        ray_log(net->logger, RAY_LOG_WARN, "net", "%s", err.text);
    }
    /* Without a lease the time servers stay: they may be reachable again in a moment. */
    has_new_ntp = lease.is_bound && !init_lease_has_same_ntp(&lease, &net->lease);
    if (has_new_ntp && init_lease_write_ntp_sources(net->options.root_fd, &lease, &err) != RAY_OK) {
        ray_log(net->logger, RAY_LOG_WARN, "net", "%s", err.text);
        has_new_ntp = false;
    }
    if (lease.is_bound) {
        net->lease = lease;
    }
    net->callbacks.on_lease(net->callbacks.arg, &lease, has_new_ntp);
}

static void on_watch(void *arg, int status, int events)
{
    _Alignas(struct inotify_event) char buffer[4096];
    struct init_net *net = arg;
    bool has_lease = false;
    ssize_t size;

    (void)status;
    (void)events;
    while ((size = read(net->watch_fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(buffer + at);

            has_lease |= (event->mask & IN_Q_OVERFLOW) != 0 ||
                         (event->len > 0 && strcmp(event->name, "dhcp.json") == 0);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    if (has_lease) {
        read_lease(net);
    }
}

static int open_watch(struct init_net *net, struct ray_err *err)
{
    char path[32];
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int folder_fd = -1;
    int rc = ray_make_dirs(net->options.root_fd, "run/rayos", 0755, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (errnum == 0) {
        net->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        folder_fd = openat(net->options.root_fd, "run/rayos", O_PATH | O_DIRECTORY | O_CLOEXEC);
        errnum = net->watch_fd < 0 || folder_fd < 0 ? errno : 0;
    }
    if (errnum == 0) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
        errnum = inotify_add_watch(net->watch_fd, path, IN_MOVED_TO) < 0 ? errno : 0;
    }
    if (folder_fd >= 0) {
        (void)close(folder_fd);
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "watching /run/rayos");
}

static void set_loopback_up(struct init_net *net)
{
    struct ray_err err = {0};
    struct init_link lo;

    if (init_netlink_link_by_name(&net->netlink, "lo", &lo, &err) != RAY_OK ||
        init_netlink_set_up(&net->netlink, lo.index, true, &err) != RAY_OK) {
        ray_log(net->logger, RAY_LOG_ERROR, "net", "loopback: %s", err.text);
    }
}

static int start(struct init_net *net, struct ray_err *err)
{
    int rc = init_netlink_open(&net->netlink, err);

    if (rc == RAY_OK) {
        rc = init_netlink_open_monitor(&net->monitor_fd, err);
    }
    if (rc == RAY_OK) {
        rc = open_watch(net, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&net->monitor_poll, net->loop, net->monitor_fd, on_monitor, net, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&net->monitor_poll, UV_READABLE);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&net->watch_poll, net->loop, net->watch_fd, on_watch, net, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&net->watch_poll, UV_READABLE);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&net->tick, net->loop, on_tick, net, err);
    }
    return rc;
}

int init_net_create(struct ray_loop *loop, const struct init_net_options *options,
                    const struct init_net_callbacks *callbacks, struct ray_logger *logger,
                    struct init_net **out, struct ray_err *err)
{
    struct init_net *net;
    int rc;

    assert(callbacks->on_bridge != NULL && callbacks->on_lease != NULL);
    net = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *net);
    if (net == NULL) {
        return ray_fail(err, RAY_ENOMEM, "network");
    }
    net->loop = loop;
    net->options = *options;
    net->callbacks = *callbacks;
    net->logger = logger;
    net->monitor_fd = -1;
    net->watch_fd = -1;
    net->begin_ns = ray_loop_now_ns(loop);
    init_netlink_init(&net->netlink);
    net->namer = (struct init_net_namer){.root_fd = options->root_fd,
                                         .keeps_kernel_names = options->keeps_kernel_names,
                                         .takes_software_links = options->takes_software_links,
                                         .netlink = &net->netlink,
                                         .logger = logger};
    rc = start(net, err);
    if (rc != RAY_OK) {
        init_net_destroy(net);
        return ray_wrap(err, rc, "network");
    }
    set_loopback_up(net);
    /* The first look comes from the loop, so that no callback runs before we return. */
    ray_timer_start(&net->tick, 0, TICK_MS);
    *out = net;
    return RAY_OK;
}

void init_net_destroy(struct init_net *net)
{
    if (net == NULL) {
        return;
    }
    ray_timer_fini(&net->tick);
    ray_poll_fini(&net->monitor_poll);
    ray_poll_fini(&net->watch_poll);
    if (net->monitor_fd >= 0) {
        (void)close(net->monitor_fd);
    }
    if (net->watch_fd >= 0) {
        (void)close(net->watch_fd);
    }
    init_netlink_fini(&net->netlink);
    free(net);
}

void init_net_rescan(struct init_net *net)
{
    look(net);
}

int init_net_prepare_folders(int root_fd, struct ray_err *err)
{
    enum { CHRONY_UID = 901, DHCPCD_UID = 902 };
    static const struct {
        const char *path;
        mode_t mode;
        uid_t owner;
    } folders[] = {
        {"var/lib/empty", 0555, 0}, /* home, and root, of user dhcpcd */
        {"var/lib/dhcpcd", 0750, DHCPCD_UID}, {"run/dhcpcd", 0755, 0},
        {"run/chrony", 0750, CHRONY_UID},     {"run/rayos", 0755, 0},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(folders); i++) {
        int rc = ray_make_dirs(root_fd, folders[i].path, folders[i].mode, err);

        if (rc != RAY_OK) {
            return rc;
        }
        if (fchmodat(root_fd, folders[i].path, folders[i].mode, 0) != 0 ||
            (geteuid() == 0 && fchownat(root_fd, folders[i].path, folders[i].owner,
                                        folders[i].owner, AT_SYMLINK_NOFOLLOW) != 0)) {
            return ray_fail_errno(err, errno, "folder /%s", folders[i].path);
        }
    }
    return RAY_OK;
}

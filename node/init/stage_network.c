/* The stage that starts the network, and what it reports later. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "node/init/stages.h"

static void on_bridge(void *arg, const char *card, const uint8_t mac[INIT_MAC_SIZE])
{
    struct init *init = arg;

    (void)mac;
    ray_log(&init->logger, RAY_LOG_NOTICE, "net", "%s is up with card %s", INIT_NET_BRIDGE, card);
    if ((init->supervise.core.conditions & SERVICE_WHEN_BRIDGE) == 0) {
        init->dhcp_begin_us = ray_clock_boottime_ns() / RAY_NS_PER_US;
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_BRIDGE);
    } else {
        (void)supervise_restart(&init->supervise, "dhcp", NULL); /* not running: it will be */
    }
}

static void on_lease(void *arg, const struct init_lease *lease, bool has_new_ntp)
{
    struct init *init = arg;
    bool is_first = !init->lease.is_bound && init->lease.address[0] == '\0';

    if (!lease->is_bound) {
        ray_log(&init->logger, RAY_LOG_WARN, "net", "lease lost reason=%s", lease->reason);
        init->lease.is_bound = false;
        return;
    }
    if (is_first && init->dhcp_begin_us != 0) {
        uint64_t now_us = ray_clock_boottime_ns() / RAY_NS_PER_US;
        size_t step = timeline_begin(&init->timeline, "dhcp", init->dhcp_begin_us);
        timeline_end(&init->timeline, step, TIMELINE_OK, "", now_us);
        marker_sink_emitf(&init->sink, RAY_MARKER_BOOT_TIMELINE, "dhcp:%" PRIu64 ":%" PRIu64,
                          init->dhcp_begin_us, now_us);
    }
    if (strcmp(init->lease.address, lease->address) != 0 || !init->lease.is_bound) {
        marker_sink_emitf(&init->sink, RAY_MARKER_NODE_ADDRESS, "%s/%u", lease->address,
                          lease->prefix);
    }
    init->lease = *lease;
    supervise_set_conditions(&init->supervise, SERVICE_WHEN_ADDRESS);
    if (lease->ntp_count == 0) {
        return;
    }
    if ((init->supervise.core.conditions & SERVICE_WHEN_NTP) == 0) {
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_NTP);
    } else if (has_new_ntp) {
        (void)supervise_restart(&init->supervise, "time", NULL); /* absent: nothing to restart */
    }
}

int stage_network(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    struct init_net_options options = {
        .root_fd = init->root_fd,
        .has_boot_mac = init->facts.has_boot_mac,
        .keeps_kernel_names = !init_cmdline_flag(&init->cmdline, "net.ifnames", true),
    };
    const struct init_net_callbacks callbacks = {
        .on_bridge = on_bridge, .on_lease = on_lease, .arg = init};

    memcpy(options.boot_mac, init->facts.boot_mac, sizeof options.boot_mac);
    if (init_net_prepare_folders(init->root_fd, err) != RAY_OK) {
        ray_log(&init->logger, RAY_LOG_WARN, "net", "%s", err->text);
    }
    return init_net_create(&init->loop, &options, &callbacks, &init->logger, &init->net, err);
}

/* switch_forward.c - the way of a frame: ingress count and capture, learn the sender, find or
 * flood the receivers, per receiver the fault decision, then its queue or a delay line. Never
 * back to the port it came from. Nothing here allocates. */
#include <assert.h>

#include "base/clock.h"
#include "clusterctl/lab/switch_state.h"

static void hand_over(struct ray_switch *sw, struct ray_switch_path *path,
                      struct ray_switch_frame *frame)
{
    path->counts.frames++;
    path->counts.bytes += frame->size;
    ray_switch_port_enqueue(&sw->ports[path->to], &sw->pool, frame, sw->now_ns);
    sw->dirty |= UINT64_C(1) << path->to;
}

static bool count_drop(struct ray_switch_path *path, enum ray_switch_verdict verdict)
{
    switch (verdict) {
    case RAY_SWITCH_PASS:
        return false;
    case RAY_SWITCH_DROP_CUT:
        path->counts.cut_drops++;
        break;
    case RAY_SWITCH_DROP_LOSS:
        path->counts.loss_drops++;
        break;
    case RAY_SWITCH_DROP_RATE:
        path->counts.rate_drops++;
        break;
    }
    return true;
}

/* A frame that goes at once lets the one go that was held back for it. */
static void pass_now(struct ray_switch *sw, struct ray_switch_path *path,
                     struct ray_switch_frame *frame)
{
    struct ray_switch_frame *late = ray_switch_line_release(&path->line);

    hand_over(sw, path, frame);
    if (late != NULL) {
        hand_over(sw, path, late);
        ray_switch_pool_unref(&sw->pool, late);
    }
}

static void pass_copy(struct ray_switch *sw, struct ray_switch_path *path,
                      struct ray_switch_frame *frame, const struct ray_switch_decision *decision)
{
    bool has_line = path->line.entries != NULL;

    /* With one frame held back already the next goes its normal way and frees it. */
    if (decision->is_late && has_line &&
        ray_switch_line_hold(&path->line, frame,
                             decision->at_ns + RAY_SWITCH_LATE_MS * RAY_NS_PER_MS)) {
        path->counts.reordered++;
        return;
    }
    if (!has_line || (decision->at_ns <= sw->now_ns && ray_switch_line_is_empty(&path->line))) {
        pass_now(sw, path, frame);
        return;
    }
    if (ray_switch_line_push(&path->line, frame, decision->at_ns)) {
        path->counts.delayed++;
    } else {
        path->counts.queue_drops++;
    }
}

static void send_to(struct ray_switch *sw, size_t from, size_t to, struct ray_switch_frame *frame,
                    size_t size)
{
    struct ray_switch_path *path = ray_switch_path(sw, from, to);
    struct ray_switch_decision decision = ray_switch_link_decide(&path->link, sw->now_ns, size);

    if (count_drop(path, decision.verdict)) {
        return;
    }
    if (frame == NULL) {
        path->counts.queue_drops++;
        return;
    }
    path->counts.duplicated += decision.copy_count > 1;
    for (uint8_t i = 0; i < decision.copy_count; i++) {
        pass_copy(sw, path, frame, &decision);
    }
}

static void capture(struct ray_switch *sw, size_t from, const uint8_t *bytes, size_t size)
{
    struct ray_switch_pcap *own = &sw->captures[from];
    struct ray_switch_pcap *all = ray_switch_capture_of_all(sw);

    if (ray_switch_pcap_is_open(own)) {
        ray_switch_pcap_write(own, bytes, size, ray_clock_realtime_ns());
    }
    if (ray_switch_pcap_is_open(all)) {
        ray_switch_pcap_write(all, bytes, size, ray_clock_realtime_ns());
    }
}

void ray_switch_forward(void *arg, struct ray_switch_port *port, const uint8_t *bytes, size_t size)
{
    struct ray_switch *sw = arg;
    size_t from = (size_t)(port - sw->ports);
    struct ray_switch_frame *frame;
    uint16_t to;

    assert(from < sw->port_count && size <= RAY_SWITCH_FRAME_SIZE_MAX);
    port->counts.rx_frames++;
    port->counts.rx_bytes += size;
    capture(sw, from, bytes, size);
    if (size < RAY_SWITCH_FRAME_SIZE_MIN) {
        port->counts.runt_drops++;
        return;
    }
    ray_switch_mac_learn(&sw->macs, bytes + 6, (uint16_t)from, sw->now_ns);
    frame = ray_switch_pool_copy(&sw->pool, bytes, size);
    if (ray_switch_mac_find(&sw->macs, bytes, &to)) {
        if (to != from) { /* else the receiver has seen it on its own wire */
            send_to(sw, from, to, frame, size);
        }
    } else {
        for (size_t i = 0; i < sw->port_count; i++) {
            if (i != from) {
                send_to(sw, from, i, frame, size);
            }
        }
    }
    if (frame != NULL) {
        ray_switch_pool_unref(&sw->pool, frame);
    }
}

void ray_switch_run_lines(struct ray_switch *sw)
{
    for (size_t i = 0; i < sw->delayed_count; i++) {
        struct ray_switch_path *path = sw->delayed[i];
        struct ray_switch_frame *frame;

        while ((frame = ray_switch_line_pop(&path->line, sw->now_ns)) != NULL) {
            hand_over(sw, path, frame);
            ray_switch_pool_unref(&sw->pool, frame);
        }
    }
}

uint64_t ray_switch_next_line_ns(const struct ray_switch *sw)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < sw->delayed_count; i++) {
        uint64_t at_ns = ray_switch_line_deadline_ns(&sw->delayed[i]->line);

        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    return next_ns;
}

int ray_switch_path_need_line(struct ray_switch *sw, struct ray_switch_path *path,
                              struct ray_err *err)
{
    int rc;

    if (path->line.entries != NULL) {
        return RAY_OK;
    }
    rc = ray_switch_line_init(&path->line, err);
    if (rc == RAY_OK) {
        assert(sw->delayed_count < sw->port_count * sw->port_count);
        sw->delayed[sw->delayed_count++] = path;
    }
    return rc;
}

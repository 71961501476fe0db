/* clusterctl/lab/control_status.c - lab.status: the whole lab as one message. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "clusterctl/lab/control_internal.h"

/* Messages only borrow; protobuf-c has no const. */
static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text;
}

static const char *state_name(const struct lab *lab)
{
    switch (lab->state) {
    case LAB_STATE_STARTING:
        return "starting";
    case LAB_STATE_UP:
        return "up";
    case LAB_STATE_STOPPING:
        return "stopping";
    }
    return "";
}

static bool fill_phases(const struct lab_node *node, struct ray_arena *arena, Rayos__Lab__Node *out)
{
    Rayos__Lab__PhaseTime **list = ray_arena_alloc(arena, LAB_PHASE_COUNT * sizeof *list);

    if (list == NULL) {
        return false;
    }
    for (int phase = LAB_PHASE_FIRMWARE; phase < LAB_PHASE_READY; phase++) {
        uint64_t length_us;

        if (lab_phases_length(&node->phases, (enum lab_phase)phase, &length_us)) {
            Rayos__Lab__PhaseTime *item = ray_arena_alloc(arena, sizeof *item);

            if (item == NULL) {
                return false;
            }
            rayos__lab__phase_time__init(item);
            item->phase = borrow(lab_phase_name((enum lab_phase)phase));
            item->length_us = length_us;
            list[out->n_phases++] = item;
        }
    }
    out->phases = list;
    return true;
}

static bool fill_node(const struct lab_node *node, struct ray_arena *arena, Rayos__Lab__Node *out)
{
    const struct lab_phases *phases = &node->phases;
    uint64_t total_us = 0;

    rayos__lab__node__init(out);
    out->name = borrow(node->who.name);
    out->address = borrow(node->who.address);
    out->mac = borrow(node->who.mac);
    out->uuid = borrow(node->who.uuid);
    out->state = borrow(lab_node_state_name(node));
    out->phase = borrow(lab_phase_name(phases->phase));
    out->pid = node->qemu.child.pid;
    out->boot_count = phases->boot_count;
    out->power_on_us = phases->power_on_us;
    out->phase_since_us = phases->begin_us[phases->phase];
    out->marker_count = (uint32_t)node->markers.seen_count;
    out->is_link_up = node->is_link_up;
    out->ready_name = borrow(node->ready_name);
    out->last_exit = borrow(node->last_exit);
    out->last_line = borrow(node->last_line);
    out->quorate_voters = lab_cluster_heard(&node->markers, phases->boot_count);
    if (lab_phases_total(phases, &total_us)) {
        out->total_us = total_us;
    }
    return fill_phases(node, arena, out);
}

bool lab_status_fill(const struct lab *lab, struct ray_arena *arena, Rayos__Lab__Status *out)
{
    Rayos__Lab__Node **list = ray_arena_alloc(arena, LAB_NODE_COUNT_MAX * sizeof *list);

    rayos__lab__status__init(out);
    if (list == NULL) {
        return false;
    }
    out->name = borrow(lab->paths.name);
    out->state = borrow(state_name(lab));
    out->supervisor_pid = lab->host_pid;
    out->accel = borrow(lab->accel.uses_kvm ? "kvm" : "tcg");
    out->accel_reason = borrow(lab->accel.reason);
    out->boot = borrow(lab_boot_name(lab->config.boot));
    out->image_dir = borrow(lab->config.image_dir);
    out->image_version = borrow(lab->image_version);
    out->seed = lab->config.seed;
    out->start_monotonic_us = lab->start_ns / RAY_NS_PER_US;
    out->now_us = lab_now_us(lab);
    out->directory = borrow(lab->paths.dir);
    out->ready_count = (uint32_t)lab_ready_count(lab);
    out->ready_us = lab->ready_us;
    out->cluster_voters =
        lab->config.makes_cluster ? lab_cluster_voters(lab->config.node_count) : 0;
    out->quorate_us = lab->quorate_us;
    out->failure = borrow(lab->failure);
    out->nodes = list;
    for (size_t i = 0; i < lab->node_count; i++) {
        list[i] = ray_arena_alloc(arena, sizeof *list[i]);
        if (list[i] == NULL || !fill_node(&lab->nodes[i], arena, list[i])) {
            return false;
        }
        out->n_nodes++;
    }
    return lab_status_fill_faults(lab, arena, out);
}

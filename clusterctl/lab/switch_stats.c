/* switch_stats.c - counters as one JSON object. Pairs that never saw a frame and have no fault
 * are left out, so that the reply stays a datagram. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "clusterctl/lab/switch_state.h"

int ray_switch_find_port(const struct ray_switch *sw, const char *name, size_t *out_index,
                         struct ray_err *err)
{
    char names[256] = "";
    size_t used_size = 0;

    for (size_t i = 0; i < sw->port_count; i++) {
        size_t size = strlen(sw->ports[i].name);

        if (strcmp(sw->ports[i].name, name) == 0) {
            *out_index = i;
            return RAY_OK;
        }
        if (used_size + size + 2 < sizeof names) {
            names[used_size++] = ' ';
            memcpy(names + used_size, sw->ports[i].name, size + 1);
            used_size += size;
        }
    }
    return ray_fail(err, RAY_ENOTFOUND, "no port '%s'; there are:%s", name, names);
}

struct field {
    const char *name;
    uint64_t value;
};

static void add_fields(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct field *fields,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* Out of memory shows as a failed write of the document. */
        (void)yyjson_mut_obj_add_uint(doc, object, fields[i].name, fields[i].value);
    }
}

static void add_port(struct ray_switch *sw, size_t index, yyjson_mut_doc *doc,
                     yyjson_mut_val *ports)
{
    struct ray_switch_port *port = &sw->ports[index];
    const struct ray_switch_port_counts *counts = &port->counts;
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, ports);

    ray_switch_port_update_counts(port);
    (void)yyjson_mut_obj_add_str(doc, object, "name", port->name);
    (void)yyjson_mut_obj_add_str(doc, object, "kind",
                                 port->kind == RAY_SWITCH_PORT_PACKET ? "packet" : "stream");
    (void)yyjson_mut_obj_add_bool(doc, object, "connected", port->fd >= 0);
    const struct field fields[] = {
        {"connects", counts->connects},           {"rx_frames", counts->rx_frames},
        {"rx_bytes", counts->rx_bytes},           {"tx_frames", counts->tx_frames},
        {"tx_bytes", counts->tx_bytes},           {"queued", port->queue.count},
        {"queue_drops", counts->queue_drops},     {"age_drops", counts->age_drops},
        {"no_peer_drops", counts->no_peer_drops}, {"oversize_drops", counts->oversize_drops},
        {"runt_drops", counts->runt_drops},       {"kernel_drops", counts->kernel_drops},
    };
    add_fields(doc, object, fields, sizeof fields / sizeof fields[0]);
}

static bool is_worth_telling(const struct ray_switch_path *path)
{
    const struct ray_switch_link_counts *counts = &path->counts;

    return ray_switch_fault_is_set(&path->link.fault) ||
           (counts->frames | counts->loss_drops | counts->cut_drops | counts->rate_drops |
            counts->queue_drops) != 0;
}

static void add_pair(struct ray_switch *sw, size_t from, size_t to, yyjson_mut_doc *doc,
                     yyjson_mut_val *pairs)
{
    const struct ray_switch_path *path = ray_switch_path(sw, from, to);
    const struct ray_switch_link_counts *counts = &path->counts;
    const struct ray_switch_fault *fault = &path->link.fault;
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, pairs);
    yyjson_mut_val *set;

    (void)yyjson_mut_obj_add_str(doc, object, "from", sw->ports[from].name);
    (void)yyjson_mut_obj_add_str(doc, object, "to", sw->ports[to].name);
    const struct field fields[] = {
        {"frames", counts->frames},         {"bytes", counts->bytes},
        {"loss_drops", counts->loss_drops}, {"cut_drops", counts->cut_drops},
        {"rate_drops", counts->rate_drops}, {"queue_drops", counts->queue_drops},
        {"delayed", counts->delayed},       {"duplicated", counts->duplicated},
        {"reordered", counts->reordered},   {"waiting", path->line.count},
    };
    add_fields(doc, object, fields, sizeof fields / sizeof fields[0]);
    if (!ray_switch_fault_is_set(fault)) {
        return;
    }
    set = yyjson_mut_obj_add_obj(doc, object, "faults");
    (void)yyjson_mut_obj_add_bool(doc, set, "cut", fault->is_cut);
    const struct field faults[] = {
        {"loss", fault->loss_ppm},
        {"dup", fault->duplicate_ppm},
        {"reorder", fault->reorder_ppm},
        {"delay_us", fault->delay_ns / 1000},
        {"jitter_us", fault->jitter_ns / 1000},
        {"rate_bps", fault->rate_bps},
    };
    add_fields(doc, set, faults, sizeof faults / sizeof faults[0]);
}

static void add_captures(struct ray_switch *sw, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *captures = yyjson_mut_obj_add_arr(doc, root, "captures");

    for (size_t i = 0; i <= RAY_SWITCH_PORT_COUNT_MAX; i++) {
        const struct ray_switch_pcap *pcap = &sw->captures[i];
        yyjson_mut_val *object;

        if (!ray_switch_pcap_is_open(pcap)) {
            continue;
        }
        object = yyjson_mut_arr_add_obj(doc, captures);
        (void)yyjson_mut_obj_add_str(doc, object, "port",
                                     i == RAY_SWITCH_PORT_COUNT_MAX ? "all" : sw->ports[i].name);
        (void)yyjson_mut_obj_add_bool(doc, object, "failed", pcap->has_failed);
        const struct field fields[] = {
            {"frames", pcap->frame_count},
            {"bytes", pcap->written_size},
            {"skipped", pcap->skipped_count},
        };
        add_fields(doc, object, fields, sizeof fields / sizeof fields[0]);
    }
}

int ray_switch_stats(struct ray_switch *sw, const char *port_name, struct ray_buf *reply,
                     struct ray_err *err)
{
    size_t wanted = SIZE_MAX;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    yyjson_mut_val *list;
    char *text;
    int rc = port_name[0] == '\0' ? RAY_OK : ray_switch_find_port(sw, port_name, &wanted, err);

    if (rc != RAY_OK) {
        return rc;
    }
    doc = yyjson_mut_doc_new(NULL);
    root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    (void)yyjson_mut_obj_add_uint(doc, root, "seed", sw->seed);
    (void)yyjson_mut_obj_add_uint(doc, root, "macs", ray_switch_mac_count(&sw->macs));
    (void)yyjson_mut_obj_add_uint(doc, root, "pool_used", ray_switch_pool_used_count(&sw->pool));
    list = yyjson_mut_obj_add_arr(doc, root, "ports");
    for (size_t i = 0; i < sw->port_count; i++) {
        if (wanted == SIZE_MAX || wanted == i) {
            add_port(sw, i, doc, list);
        }
    }
    list = yyjson_mut_obj_add_arr(doc, root, "pairs");
    for (size_t i = 0; i < sw->port_count; i++) {
        for (size_t j = 0; j < sw->port_count; j++) {
            if ((wanted == SIZE_MAX || wanted == i || wanted == j) &&
                is_worth_telling(ray_switch_path(sw, i, j))) {
                add_pair(sw, i, j, doc, list);
            }
        }
    }
    add_captures(sw, doc, root);
    text = yyjson_mut_write(doc, 0, NULL);
    rc = text == NULL ? ray_fail(err, RAY_ENOMEM, "counters as JSON")
                      : ray_buf_append(reply, text, strlen(text));
    free(text);
    yyjson_mut_doc_free(doc);
    return rc;
}

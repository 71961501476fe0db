/* switch_apply.c - commands take effect here, between two turns of the loop: when the sender
 * has the reply, every frame that is read from then on meets the new rules. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "clusterctl/lab/switch_state.h"

static bool is_any(const char *name)
{
    return strcmp(name, "*") == 0;
}

static int find(const struct ray_switch *sw, const char *name, size_t *out_index,
                struct ray_err *err)
{
    *out_index = SIZE_MAX;
    return is_any(name) ? RAY_OK : ray_switch_find_port(sw, name, out_index, err);
}

/* "*" stands for every port but the host's. */
static bool fits(const struct ray_switch *sw, size_t wanted_index, size_t index)
{
    return wanted_index == SIZE_MAX ? sw->ports[index].kind != RAY_SWITCH_PORT_PACKET
                                    : wanted_index == index;
}

struct change {
    int (*apply)(struct ray_switch *sw, struct ray_switch_path *path,
                 const struct ray_switch_command *command, struct ray_err *err);
    const struct ray_switch_command *command;
    size_t path_count; /* how many were changed */
};

static int change_pairs(struct ray_switch *sw, struct change *change, size_t wanted_from,
                        size_t wanted_to, struct ray_err *err)
{
    for (size_t from = 0; from < sw->port_count; from++) {
        for (size_t to = 0; to < sw->port_count; to++) {
            int rc;

            if (from == to || !fits(sw, wanted_from, from) || !fits(sw, wanted_to, to)) {
                continue;
            }
            rc = change->apply(sw, ray_switch_path(sw, from, to), change->command, err);
            if (rc != RAY_OK) {
                return rc;
            }
            change->path_count++;
        }
    }
    return RAY_OK;
}

/* The pairs that "A B [both]" means; without names all pairs, the host's too. */
static int change_named(struct ray_switch *sw, struct change *change, struct ray_err *err)
{
    const struct ray_switch_command *command = change->command;
    size_t from;
    size_t to;
    int rc;

    if (command->from[0] == '\0') {
        for (size_t i = 0; i < sw->port_count; i++) {
            for (size_t j = 0; j < sw->port_count; j++) {
                rc = i == j ? RAY_OK : change->apply(sw, ray_switch_path(sw, i, j), command, err);
                if (rc != RAY_OK) {
                    return rc;
                }
                change->path_count += i != j;
            }
        }
        return RAY_OK;
    }
    rc = find(sw, command->from, &from, err);
    if (rc == RAY_OK) {
        rc = find(sw, command->to, &to, err);
    }
    if (rc == RAY_OK) {
        rc = change_pairs(sw, change, from, to, err);
    }
    /* "* *" holds both directions already; doing them twice would only count twice. */
    if (rc == RAY_OK && command->is_both && from != to) {
        rc = change_pairs(sw, change, to, from, err);
    }
    if (rc == RAY_OK && change->path_count == 0) {
        rc = ray_fail(err, RAY_EINVAL, "no pair of ports is meant ('*' is never the host's port)");
    }
    return rc;
}

static int apply_set(struct ray_switch *sw, struct ray_switch_path *path,
                     const struct ray_switch_command *command, struct ray_err *err)
{
    struct ray_switch_fault fault = path->link.fault;
    unsigned given = command->given;

    fault.loss_ppm = given & RAY_SWITCH_GIVEN_LOSS ? command->fault.loss_ppm : fault.loss_ppm;
    fault.duplicate_ppm =
        given & RAY_SWITCH_GIVEN_DUPLICATE ? command->fault.duplicate_ppm : fault.duplicate_ppm;
    fault.reorder_ppm =
        given & RAY_SWITCH_GIVEN_REORDER ? command->fault.reorder_ppm : fault.reorder_ppm;
    fault.delay_ns = given & RAY_SWITCH_GIVEN_DELAY ? command->fault.delay_ns : fault.delay_ns;
    fault.jitter_ns = given & RAY_SWITCH_GIVEN_JITTER ? command->fault.jitter_ns : fault.jitter_ns;
    fault.rate_bps = given & RAY_SWITCH_GIVEN_RATE ? command->fault.rate_bps : fault.rate_bps;
    if (fault.delay_ns != 0 || fault.jitter_ns != 0 || fault.rate_bps != 0 ||
        fault.reorder_ppm != 0) {
        int rc = ray_switch_path_need_line(sw, path, err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    path->link.fault = fault;
    return RAY_OK;
}

/* Frames that wait in a delay line still arrive, in their order. */
static int apply_clear(struct ray_switch *sw, struct ray_switch_path *path,
                       const struct ray_switch_command *command, struct ray_err *err)
{
    (void)sw;
    (void)command;
    (void)err;
    path->link.fault = (struct ray_switch_fault){0};
    path->link.wire_free_ns = 0;
    return RAY_OK;
}

static int apply_cut(struct ray_switch *sw, struct ray_switch_path *path,
                     const struct ray_switch_command *command, struct ray_err *err)
{
    (void)command;
    (void)err;
    path->link.fault.is_cut = true;
    path->link.last_at_ns = 0; /* nothing waits any more */
    path->link.wire_free_ns = 0;
    if (path->line.entries != NULL) {
        path->counts.cut_drops += ray_switch_line_clear(&path->line, &sw->pool);
    }
    return RAY_OK;
}

static int apply_heal(struct ray_switch *sw, struct ray_switch_path *path,
                      const struct ray_switch_command *command, struct ray_err *err)
{
    (void)sw;
    (void)command;
    (void)err;
    path->link.fault.is_cut = false;
    return RAY_OK;
}

/* Pairs within a group are healed, pairs across are cut; ports that are not named (the
 * host's among them, as a rule) keep what they have. */
static int apply_partition(struct ray_switch *sw, const struct ray_switch_command *command,
                           size_t *out_count, struct ray_err *err)
{
    size_t indices[RAY_SWITCH_PORT_COUNT_MAX];
    size_t count = 0;

    for (size_t i = 0; i < command->member_count; i++) {
        int rc = ray_switch_find_port(sw, command->members[i].name, &indices[i], err);

        if (rc != RAY_OK) {
            return rc; /* before anything was changed */
        }
    }
    for (size_t i = 0; i < command->member_count; i++) {
        for (size_t j = 0; j < command->member_count; j++) {
            struct ray_switch_path *path = ray_switch_path(sw, indices[i], indices[j]);

            if (i == j) {
                continue;
            }
            if (command->members[i].group == command->members[j].group) {
                (void)apply_heal(sw, path, command, err); /* neither of them can fail */
            } else {
                (void)apply_cut(sw, path, command, err);
                count++;
            }
        }
    }
    *out_count = count;
    return RAY_OK;
}

static int find_capture(struct ray_switch *sw, const char *name, struct ray_switch_pcap **out,
                        struct ray_err *err)
{
    size_t index;
    int rc;

    if (strcmp(name, "all") == 0) {
        *out = ray_switch_capture_of_all(sw);
        return RAY_OK;
    }
    rc = ray_switch_find_port(sw, name, &index, err);
    if (rc == RAY_OK) {
        *out = &sw->captures[index];
    }
    return rc;
}

static int apply_pcap(struct ray_switch *sw, const struct ray_switch_command *command,
                      struct ray_err *err)
{
    struct ray_switch_pcap *capture;
    struct ray_switch_pcap fresh;
    int rc = find_capture(sw, command->from, &capture, err);

    if (rc == RAY_OK) {
        rc = ray_switch_pcap_open(&fresh, command->path, command->size_max, err);
    }
    if (rc == RAY_OK) {
        ray_switch_pcap_close(capture);
        *capture = fresh;
    }
    return rc;
}

static int apply_pcap_off(struct ray_switch *sw, const struct ray_switch_command *command,
                          size_t *out_count, struct ray_err *err)
{
    struct ray_switch_pcap *capture;
    size_t count = 0;
    int rc;

    if (command->from[0] == '\0') {
        for (size_t i = 0; i <= RAY_SWITCH_PORT_COUNT_MAX; i++) {
            count += ray_switch_pcap_is_open(&sw->captures[i]);
            ray_switch_pcap_close(&sw->captures[i]);
        }
        *out_count = count;
        return RAY_OK;
    }
    rc = find_capture(sw, command->from, &capture, err);
    if (rc == RAY_OK) {
        *out_count = ray_switch_pcap_is_open(capture);
        ray_switch_pcap_close(capture);
    }
    return rc;
}

int ray_switch_apply(struct ray_switch *sw, const struct ray_switch_command *command,
                     struct ray_buf *reply, struct ray_err *err)
{
    struct change change = {.command = command};
    const char *what = "pairs";
    int rc = RAY_OK;

    switch (command->verb) {
    case RAY_SWITCH_SET:
        change.apply = apply_set;
        break;
    case RAY_SWITCH_CLEAR:
        change.apply = apply_clear;
        break;
    case RAY_SWITCH_CUT:
        change.apply = apply_cut;
        break;
    case RAY_SWITCH_HEAL:
        change.apply = apply_heal;
        break;
    case RAY_SWITCH_PARTITION:
        what = "pairs cut";
        rc = apply_partition(sw, command, &change.path_count, err);
        break;
    case RAY_SWITCH_STATS:
        return ray_switch_stats(sw, command->from, reply, err);
    case RAY_SWITCH_PCAP:
        what = "capture";
        change.path_count = 1;
        rc = apply_pcap(sw, command, err);
        break;
    case RAY_SWITCH_PCAP_OFF:
        what = "captures ended";
        rc = apply_pcap_off(sw, command, &change.path_count, err);
        break;
    }
    if (change.apply != NULL) {
        rc = change_named(sw, &change, err);
    }
    if (rc == RAY_OK) {
        rc = ray_buf_appendf(reply, "ok %zu %s\n", change.path_count, what);
    }
    return rc;
}

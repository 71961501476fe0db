/* Consensus, log and term-and-vote block of production, driven as coordinator/core/core.h asks,
 * with registers in memory behind them. Every node begins with the same first entry: the
 * configuration of all. No snapshots: the log is short.
 *
 * A turn collects what clients ask, submits it as one batch, begins one probe for all reads,
 * applies what is committed and writes what was appended. */
#include "tests/sim/node_raft.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "tests/sim/mem.h"

enum { ARENA_SIZE_MAX = 8 << 20, SPACE_RETRY_MS = 1000, NOT_FOUND = -1 };

static const uint64_t ms_ns = 1000000;

/* ---- small things ---- */

/* Servers of the log are places, counted from 1. */
uint64_t sim_raft_server(uint32_t place)
{
    return place + UINT64_C(1);
}

uint64_t sim_raft_now_ms(const struct sim_node *node)
{
    return node->world.env->now_ns(node->world.env->arg) / ms_ns;
}

static int place_of(const struct sim_node *node, const struct ray_id *id)
{
    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        if (ray_id_equal(&node->world.cluster->nodes[i], id)) {
            return (int)i;
        }
    }
    return NOT_FOUND;
}

void sim_raft_fail(struct sim_node *node, const char *why)
{
    if (!node->has_failed) {
        node->has_failed = true;
        node->world.observer.failed(node->world.observer.arg, why);
    }
}

void sim_raft_quarantine(struct sim_node *node, const char *why)
{
    if (!node->is_quarantined) {
        node->is_quarantined = true;
        node->world.observer.quarantined(node->world.observer.arg, why);
    }
}

bool sim_raft_is_running(const struct sim_node *node)
{
    return node->core != NULL && !node->has_failed && !node->is_quarantined;
}

uint64_t sim_raft_entry_hash(const struct coord_entry *entry)
{
    return sim_hash((uint64_t)entry->type, entry->data, entry->size);
}

/* ---- what consensus asks for ---- */

static void send_frame(struct sim_node *node, uint64_t to, const struct coord_message *messages,
                       size_t count)
{
    uint32_t place = (uint32_t)(to - 1);
    struct coord_frame frame = {
        .from = sim_raft_server(node->world.place),
        .to = to,
        .probe = coord_readindex_probe(&node->reads),
        .echo = coord_readindex_echo(node->asked[place], coord_core_term(node->core)),
        .messages = messages,
        .count = count};
    struct ray_link *link = node->world.link;
    size_t size;

    assert(place < node->world.cluster->node_count);
    if (coord_frame_encode(&frame, node->frame, COORD_FRAME_SIZE_MAX, &size, NULL) != RAY_OK) {
        sim_raft_fail(node, "a frame does not fit");
        return;
    }
    /* Down or full: lost, as on any network. */
    (void)link->ops->send(link, &node->world.cluster->nodes[place], RAY_LINK_RAFT, node->frame,
                          size);
}

static void send_messages(struct sim_node *node, const struct coord_core_out *out)
{
    for (size_t i = 0; i < out->message_count; i++) {
        send_frame(node, out->messages[i].to, &out->messages[i], 1);
    }
}

void sim_raft_probe_all(struct sim_node *node)
{
    const struct coord_config *config = coord_core_configuration(node->core);

    for (size_t i = 0; i < config->count; i++) {
        if (config->servers[i].id != sim_raft_server(node->world.place)) {
            send_frame(node, config->servers[i].id, NULL, 0);
        }
    }
}

static int store_append(struct sim_node *node, const struct coord_core_out *out)
{
    uint64_t previous_term;

    if (out->append_count == 0) {
        return RAY_OK;
    }
    previous_term = coord_core_term_of(node->core, out->append_first_index - 1);
    for (size_t i = 0; i < out->append_count; i++) {
        const struct coord_entry *entry = &out->append[i];

        if (RAY_MUTANT(SIM_ENTRY_SIGNED) && !node->is_leader && entry->size > 0) {
            *(uint8_t *)(uintptr_t)entry->data ^= (uint8_t)(node->world.place + 1);
        }
        node->world.observer.appended(node->world.observer.arg, entry->index, entry->term,
                                      sim_raft_entry_hash(entry), previous_term);
        previous_term = entry->term;
    }
    return coord_wal_append(node->wal, out->append, out->append_count, NULL);
}

static int store_hard(struct sim_node *node, const struct coord_core_out *out)
{
    struct coord_meta next = node->meta.now;

    if (!out->is_hard_changed) {
        return RAY_OK;
    }
    next.term = out->hard.term;
    next.vote = RAY_MUTANT(SIM_VOTE_FORGOTTEN) ? 0 : out->hard.vote;
    return coord_meta_write(&node->meta, &next, NULL);
}

static void depose(struct sim_node *node)
{
    coord_readindex_stop(&node->reads);
    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX; i++) {
        if (node->asks[i].state == SIM_RAFT_APPENDED || node->asks[i].state == SIM_RAFT_PROBED) {
            sim_raft_answer(node, &node->asks[i], RAY_EUNAVAILABLE, &sim_raft_no_answer);
        }
    }
}

static void take_role(struct sim_node *node, const struct coord_core_out *out)
{
    bool is_leader = out->state == COORD_LEADER;

    if (out->is_role_changed && (node->is_leader || is_leader)) {
        if (node->is_leader) {
            depose(node);
        }
        if (is_leader) {
            node->world.observer.leads(node->world.observer.arg, sim_raft_server(node->world.place),
                                       out->hard.term);
            coord_readindex_lead(&node->reads, out->hard.term,
                                 coord_core_configuration(node->core));
        }
    } else if (out->is_config_changed && is_leader) {
        coord_readindex_set_config(&node->reads, coord_core_configuration(node->core));
    }
    node->is_leader = is_leader;
}

/* Result and output of a call of the core; the order is core.h's. */
void sim_raft_drive(struct sim_node *node, int rc, const struct coord_core_out *out)
{
    if (rc == RAY_ECONFLICT) {
        sim_raft_quarantine(node, "a peer contradicts a committed entry");
        return;
    }
    if (rc != RAY_OK) {
        sim_raft_fail(node, "consensus failed");
        return;
    }
    if (store_hard(node, out) != RAY_OK) {
        sim_raft_fail(node, "term and vote cannot be written");
        return;
    }
    if (store_append(node, out) != RAY_OK) {
        sim_raft_fail(node, "the log takes nothing");
        return;
    }
    send_messages(node, out);
    take_role(node, out);
    node->commit_index = out->commit_index;
    if (RAY_MUTANT(SIM_TIMER_LOST) && out->is_role_changed && out->state == COORD_CANDIDATE) {
        node->world.env->set_timer(node->world.env->arg, UINT64_MAX);
        return;
    }
    node->world.env->set_timer(node->world.env->arg, out->next_timeout_ms > UINT64_MAX / ms_ns
                                                         ? UINT64_MAX
                                                         : out->next_timeout_ms * ms_ns);
}

/* ---- the links ---- */

static void on_up(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct sim_node *node = arg;
    int place = place_of(node, peer);

    (void)epoch;
    if (place >= 0) {
        node->asked[place] = (struct coord_probe){0};
    }
}

static void on_down(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    on_up(arg, peer, epoch);
}

static void receive(struct sim_node *node, uint32_t place, const struct coord_frame *frame)
{
    struct coord_core_out out;

    for (size_t i = 0; i < frame->count && sim_raft_is_running(node); i++) {
        int rc =
            coord_core_receive(node->core, sim_raft_now_ms(node), &frame->messages[i], &out, NULL);

        sim_raft_drive(node, rc, &out);
    }
    if (!sim_raft_is_running(node)) {
        return;
    }
    (void)coord_readindex_heard(&node->reads, frame->from, frame->echo);
    if (frame->probe.number != 0) {
        node->asked[place] = frame->probe;
        send_frame(node, frame->from, NULL, 0);
    }
}

static void on_message(void *arg, const struct ray_id *peer, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct sim_node *node = arg;
    int place = place_of(node, peer);
    struct coord_frame frame;

    (void)epoch;
    assert(channel == RAY_LINK_RAFT && place >= 0);
    if (!sim_raft_is_running(node)) {
        return;
    }
    ray_arena_reset(&node->arena);
    if (coord_frame_decode(bytes, size, &node->arena, &frame, NULL) != RAY_OK ||
        frame.from != sim_raft_server((uint32_t)place) ||
        frame.to != sim_raft_server(node->world.place)) {
        sim_raft_fail(node, "a correct peer sent a frame that is not");
        return;
    }
    receive(node, (uint32_t)place, &frame);
}

/* ---- struct sim_node_ops ---- */

static int node_create(struct sim_node **out, const struct sim_node_world *world,
                       struct ray_err *err)
{
    struct sim_node *node = sim_alloc(1, sizeof *node);
    int rc;

    node->world = *world;
    node->toy = sim_toy_create(world->cluster->key_count, world->cluster->client_count);
    node->ask_counts[SIM_RAFT_FREE] = SIM_RAFT_ASKS_MAX;
    node->frame = malloc(COORD_FRAME_SIZE_MAX);
    assert(node->frame != NULL);
    ray_arena_init(&node->arena, ARENA_SIZE_MAX);
    coord_readindex_init(&node->reads, sim_raft_server(world->place));
    world->link->user = (struct ray_link_user){
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = node};
    *out = node;
    rc = sim_raft_start(node, err);
    for (uint32_t i = 0; rc == RAY_OK && i < world->cluster->node_count; i++) {
        if (i != world->place) {
            rc = world->link->ops->add_peer(world->link, &world->cluster->nodes[i], "sim:1", err);
        }
    }
    return rc;
}

static void node_destroy(struct sim_node *node)
{
    if (node == NULL) {
        return;
    }
    coord_core_destroy(node->core);
    coord_wal_destroy(node->wal);
    sim_toy_destroy(node->toy);
    ray_arena_fini(&node->arena);
    free(node->frame);
    node->is_gone = true;
    if (!node->is_in_birth) {
        free(node);
    }
}

static void node_on_timer(struct sim_node *node)
{
    struct coord_core_out out;

    if (sim_raft_is_running(node)) {
        int rc = coord_core_tick(node->core, sim_raft_now_ms(node), &out, NULL);

        sim_raft_drive(node, rc, &out);
        if (sim_raft_now_ms(node) - node->space_tried_ms >= SPACE_RETRY_MS) {
            node->space_tried_ms = sim_raft_now_ms(node);
            coord_wal_tick(node->wal);
        }
    }
}

static void node_turn(struct sim_node *node)
{
    struct coord_core_out out;

    if (!sim_raft_is_running(node)) {
        if (node->wal != NULL && !node->has_failed) {
            coord_wal_flush(node->wal);
        }
        return;
    }
    if (node->ask_counts[SIM_RAFT_NEW] > 0) {
        sim_raft_submit(node);
    }
    if (sim_raft_is_running(node) && node->ask_counts[SIM_RAFT_NEW] > 0) {
        sim_raft_begin_reads(node);
    }
    if (sim_raft_is_running(node)) {
        sim_raft_apply(node);
        sim_raft_finish_reads(node);
    }
    if (sim_raft_is_running(node) && node->is_leader) {
        int rc = coord_core_announce(node->core, sim_raft_now_ms(node), &out, NULL);

        sim_raft_drive(node, rc, &out);
    }
    if (sim_raft_is_running(node)) {
        sim_raft_apply(node);
        coord_wal_flush(node->wal);
    }
}

static void node_status(const struct sim_node *node, struct sim_node_status *out)
{
    *out = (struct sim_node_status){.is_quarantined = node->is_quarantined,
                                    .applied_index = node->applied_index,
                                    .commit_index = node->commit_index,
                                    .leader = UINT32_MAX};
    if (node->core == NULL) {
        return;
    }
    const struct coord_config *config = coord_core_configuration(node->core);
    uint64_t leader = coord_core_leader(node->core);

    out->term = coord_core_term(node->core);
    out->is_leader = node->is_leader && sim_raft_is_running(node);
    out->leader = leader > 0 ? (uint32_t)(leader - 1) : UINT32_MAX;
    for (size_t i = 0; i < config->count; i++) {
        out->members |= 1U << (config->servers[i].id - 1);
    }
    out->voter_count = coord_config_voter_count(config);
}

/* One server more, less or in another role. */
static int draw_change(const struct sim_node *node, uint64_t draw, struct coord_config *config)
{
    uint64_t id = sim_raft_server((uint32_t)(draw % node->world.cluster->node_count));
    const struct coord_server *server = coord_config_find(config, id);

    /* A leader hands over before it goes (DESIGN.md section 6): where it removes itself and is
     * deposed before that is committed, its log is the longest and it does not stand. */
    if (id == sim_raft_server(node->world.place)) {
        return RAY_EINVAL;
    }
    if (server == NULL) {
        return coord_config_add(config, id, COORD_STANDBY, NULL);
    }
    if (server->role == COORD_STANDBY) {
        return draw >> 32 & 1 ? coord_config_remove(config, id, NULL)
                              : coord_config_set_role(config, id, COORD_VOTER, NULL);
    }
    if (coord_config_voter_count(config) <= 1) {
        return RAY_EINVAL;
    }
    return draw >> 33 & 1 ? coord_config_remove(config, id, NULL)
                          : coord_config_set_role(config, id, COORD_STANDBY, NULL);
}

static void node_change(struct sim_node *node, uint64_t draw)
{
    struct coord_core_out out;
    struct coord_config next;
    uint64_t index;

    if (!sim_raft_is_running(node) || !node->is_leader) {
        return;
    }
    next = *coord_core_configuration(node->core);
    if (draw_change(node, draw, &next) != RAY_OK) {
        return;
    }
    int rc = coord_core_change(node->core, sim_raft_now_ms(node), &next, &index, &out, NULL);

    if (rc == RAY_OK) {
        sim_raft_drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_EAGAIN && rc != RAY_EINVAL) {
        sim_raft_fail(node, "consensus took no change");
    }
}

static void node_transfer(struct sim_node *node)
{
    struct coord_core_out out;

    if (!sim_raft_is_running(node) || !node->is_leader) {
        return;
    }
    int rc = coord_core_transfer(node->core, sim_raft_now_ms(node), 0, &out, NULL);

    if (rc == RAY_OK) {
        sim_raft_drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_ENOTFOUND && rc != RAY_EAGAIN) {
        sim_raft_fail(node, "consensus does not hand over");
    }
}

const struct sim_node_ops sim_node_raft = {.name = "raft",
                                           .create = node_create,
                                           .destroy = node_destroy,
                                           .on_timer = node_on_timer,
                                           .turn = node_turn,
                                           .ask = sim_raft_ask,
                                           .status = node_status,
                                           .change = node_change,
                                           .transfer = node_transfer};

/* Consensus, log and term-and-vote block of production, driven as coordinator/core/core.h asks,
 * with registers in memory behind them. Every node begins with the same first entry: the
 * configuration of all. No snapshots: the log is short.
 *
 * A turn collects what clients ask, submits it as one batch, begins one probe for all reads,
 * applies what is committed and writes what was appended. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "coordinator/core/config.h"
#include "coordinator/core/core.h"
#include "coordinator/core/readindex.h"
#include "coordinator/mutant.h"
#include "coordinator/store/meta.h"
#include "coordinator/store/wal.h"
#include "tests/sim/mem.h"
#include "tests/sim/node.h"
#include "tests/sim/toy.h"

enum {
    ASKS_MAX = 64,
    ARENA_SIZE_MAX = 8 << 20,
    SPACE_RETRY_MS = 1000,
    NOT_FOUND = -1,
};

static const uint64_t ms_ns = 1000000;

struct ask {
    struct sim_op op;
    uint64_t ticket;
    uint64_t index; /* appended there; a read: needs this to be applied */
    uint64_t term;
    uint64_t probe;
    enum ask_state { ASK_FREE, ASK_NEW, ASK_APPENDED, ASK_PROBED } state;
};

enum { ASK_STATES = ASK_PROBED + 1 };

struct sim_node {
    struct sim_node_world world;
    struct coord_meta_store meta;
    struct coord_wal *wal;
    struct coord_core *core; /* NULL until the first entry is durable, and after a failure */
    struct coord_readindex reads;
    struct sim_toy *toy;
    struct ray_arena arena;
    uint8_t *frame;
    struct ask asks[ASKS_MAX];
    size_t ask_counts[ASK_STATES];
    struct coord_probe asked[SIM_NET_PLACES_MAX]; /* the newest probe heard, by place */
    uint64_t applied_index;
    uint64_t commit_index;
    uint64_t durable_index;
    uint64_t space_tried_ms;
    bool is_leader;
    bool is_quarantined;
    bool has_failed;
    bool is_in_birth; /* the disk still has our address */
    bool is_gone;
};

/* ---- small things ---- */

/* Servers of the log are places, counted from 1. */
static uint64_t server_of(uint32_t place)
{
    return place + UINT64_C(1);
}

static uint64_t now_ms(const struct sim_node *node)
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

static void fail(struct sim_node *node, const char *why)
{
    if (!node->has_failed) {
        node->has_failed = true;
        node->world.observer.failed(node->world.observer.arg, why);
    }
}

static void quarantine(struct sim_node *node, const char *why)
{
    if (!node->is_quarantined) {
        node->is_quarantined = true;
        node->world.observer.quarantined(node->world.observer.arg, why);
    }
}

static bool is_running(const struct sim_node *node)
{
    return node->core != NULL && !node->has_failed && !node->is_quarantined;
}

static uint64_t entry_hash(const struct coord_entry *entry)
{
    return sim_hash((uint64_t)entry->type, entry->data, entry->size);
}

static void move(struct sim_node *node, struct ask *ask, enum ask_state state)
{
    node->ask_counts[ask->state]--;
    node->ask_counts[state]++;
    ask->state = state;
}

static void answer(struct sim_node *node, struct ask *ask, int status,
                   const struct sim_answer *result)
{
    uint64_t ticket = ask->ticket;

    move(node, ask, ASK_FREE);
    node->world.observer.answered(node->world.observer.arg, ticket, status, result);
}

static const struct sim_answer no_answer;

/* ---- what consensus asks for ---- */

static void send_frame(struct sim_node *node, uint64_t to, const struct coord_message *messages,
                       size_t count)
{
    uint32_t place = (uint32_t)(to - 1);
    struct coord_frame frame = {
        .from = server_of(node->world.place),
        .to = to,
        .probe = coord_readindex_probe(&node->reads),
        .echo = coord_readindex_echo(node->asked[place], coord_core_term(node->core)),
        .messages = messages,
        .count = count};
    struct ray_link *link = node->world.link;
    size_t size;

    assert(place < node->world.cluster->node_count);
    if (coord_frame_encode(&frame, node->frame, COORD_FRAME_SIZE_MAX, &size, NULL) != RAY_OK) {
        fail(node, "a frame does not fit");
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

static void probe_all(struct sim_node *node)
{
    const struct coord_config *config = coord_core_configuration(node->core);

    for (size_t i = 0; i < config->count; i++) {
        if (config->servers[i].id != server_of(node->world.place)) {
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
                                      entry_hash(entry), previous_term);
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
    for (size_t i = 0; i < ASKS_MAX; i++) {
        if (node->asks[i].state == ASK_APPENDED || node->asks[i].state == ASK_PROBED) {
            answer(node, &node->asks[i], RAY_EUNAVAILABLE, &no_answer);
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
            node->world.observer.leads(node->world.observer.arg, server_of(node->world.place),
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
static void drive(struct sim_node *node, int rc, const struct coord_core_out *out)
{
    if (rc == RAY_ECONFLICT) {
        quarantine(node, "a peer contradicts a committed entry");
        return;
    }
    if (rc != RAY_OK) {
        fail(node, "consensus failed");
        return;
    }
    if (store_hard(node, out) != RAY_OK) {
        fail(node, "term and vote cannot be written");
        return;
    }
    if (store_append(node, out) != RAY_OK) {
        fail(node, "the log takes nothing");
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

/* ---- start ---- */

static int load_entries(void *arg, uint64_t index, coord_core_sink *sink, void *sink_arg)
{
    struct sim_node *node = arg;
    struct coord_wal_span span = {0};
    int rc = coord_wal_read(node->wal, index, 64, COORD_MESSAGE_PAYLOAD_SIZE, &span, NULL);

    for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
        if (!sink(sink_arg, &span.entries[i])) {
            break;
        }
    }
    coord_wal_span_fini(&span);
    return rc;
}

static void on_durable(void *arg, uint64_t index);

static void on_wal_failed(void *arg, int status)
{
    (void)status;
    fail(arg, "the disk failed under the log");
}

static void on_space(void *arg, enum coord_wal_space space)
{
    struct sim_node *node = arg;
    struct coord_core_out out;

    if (space == COORD_WAL_SPACE_FULL && is_running(node)) {
        int rc = coord_core_step_down(node->core, now_ms(node), &out, NULL);

        drive(node, rc, &out);
    }
}

/* The log as the core wants it: with the bytes of configurations. */
static int read_boot(struct sim_node *node, struct coord_core_boot *boot,
                     struct coord_wal_span **out_spans, size_t *out_span_count)
{
    uint64_t first = coord_wal_first_index(node->wal);
    size_t count = (size_t)(coord_wal_last_index(node->wal) + 1 - first);
    struct coord_entry *entries = sim_alloc(count, sizeof *entries);
    size_t span_capacity = 0;
    int rc = RAY_OK;

    for (size_t i = 0; i < count && rc == RAY_OK; i++) {
        rc = coord_wal_info(node->wal, first + i, &entries[i]);
        if (rc == RAY_OK && entries[i].type == COORD_ENTRY_CHANGE) {
            *out_spans = sim_grow(*out_spans, *out_span_count, &span_capacity, sizeof **out_spans);
            struct coord_wal_span *span = &(*out_spans)[(*out_span_count)++];

            *span = (struct coord_wal_span){0};
            rc = coord_wal_read(node->wal, first + i, 1, 0, span, NULL);
            if (rc == RAY_OK) {
                entries[i] = span->entries[0];
            }
        }
    }
    boot->entries = entries;
    boot->count = count;
    return rc;
}

static void start_core(struct sim_node *node)
{
    const struct sim_cluster *cluster = node->world.cluster;
    struct coord_core_config config = {.self_id = server_of(node->world.place),
                                       .election_ms = cluster->election_ms,
                                       .heartbeat_ms = cluster->heartbeat_ms,
                                       .load = load_entries,
                                       .arg = node};
    struct coord_core_boot boot = {
        .hard = {.term = node->meta.now.term, .vote = node->meta.now.vote}};
    struct coord_wal_span *spans = NULL;
    size_t span_count = 0;
    struct coord_core_out out;
    struct ray_err err = {.code = RAY_OK};
    int rc = read_boot(node, &boot, &spans, &span_count);

    node->world.env->random(node->world.env->arg, &config.seed, sizeof config.seed);
    if (rc == RAY_OK) {
        rc = coord_core_create(&node->core, &config, &err);
    }
    if (rc == RAY_OK) {
        rc = coord_core_start(node->core, now_ms(node), &boot, &out, &err);
    }
    for (size_t i = 0; i < span_count; i++) {
        coord_wal_span_fini(&spans[i]);
    }
    free(spans);
    free((void *)(uintptr_t)boot.entries);
    if (rc != RAY_OK) {
        fail(node, err.code != RAY_OK ? err.text : "the log cannot be read");
        return;
    }
    drive(node, rc, &out);
}

static void first_entry(struct sim_node *node)
{
    struct coord_config config = {.count = node->world.cluster->node_count};
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = {.term = 1, .index = 1, .type = COORD_ENTRY_CHANGE, .data = bytes};

    for (uint32_t i = 0; i < config.count; i++) {
        config.servers[i] = (struct coord_server){.id = server_of(i), .role = COORD_VOTER};
    }
    entry.size = (uint32_t)coord_config_encode(&config, bytes);
    if (coord_wal_append(node->wal, &entry, 1, NULL) != RAY_OK) {
        fail(node, "the first entry cannot be appended");
        return;
    }
    node->world.observer.appended(node->world.observer.arg, 1, 1, entry_hash(&entry), 0);
    coord_wal_flush(node->wal);
}

static int open_log(struct sim_node *node, struct ray_err *err)
{
    struct coord_wal_config config = {.cluster_id = node->meta.now.cluster_id,
                                      .node_id = node->meta.now.node_id,
                                      .segment_size = node->world.cluster->segment_size};
    struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_wal_failed, .on_space = on_space, .arg = node};
    struct coord_wal_recovery recovery;

    memcpy(config.salt, node->meta.now.log_salt, sizeof config.salt);
    int rc = coord_wal_open(&node->wal, node->world.disk, &config, &user, &recovery, err);

    if (rc != RAY_OK) {
        return rc;
    }
    node->world.env->log(node->world.env->arg, RAY_LOG_INFO, "node",
                         recovery.text[0] != '\0' ? recovery.text : "log is clean");
    if (recovery.outcome == COORD_WAL_ROT) {
        quarantine(node, recovery.text);
    } else if (recovery.last_index == 0) {
        first_entry(node);
    } else {
        node->durable_index = recovery.last_index;
        start_core(node);
    }
    return RAY_OK;
}

static void see_name(void *arg, const char *name, uint64_t size)
{
    bool *has_log = arg;

    (void)size;
    *has_log = *has_log || strncmp(name, "wal-", 4) == 0;
}

/* The power failed after the meta block got its name and before it got its content; the log is
 * made after that. */
static bool is_unborn(const struct sim_node *node)
{
    bool has_log = false;

    return node->world.disk->ops->list(node->world.disk, see_name, &has_log, NULL) == RAY_OK &&
           !has_log;
}

static void be_born(struct sim_node *node);

static void on_cleared(void *arg, int status)
{
    struct sim_node *node = arg;

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
    } else if (status == RAY_OK) {
        be_born(node);
    } else {
        fail(node, "it cannot be born");
    }
}

static void on_born(void *arg, int status)
{
    struct sim_node *node = arg;
    struct ray_err err;

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
        return;
    }
    if (status != RAY_OK || open_log(node, &err) != RAY_OK) {
        fail(node, "it cannot be born");
    }
}

static void be_born(struct sim_node *node)
{
    struct coord_meta first = {.cluster_id = node->world.cluster->id,
                               .node_id = node->world.cluster->nodes[node->world.place],
                               .server_id = server_of(node->world.place),
                               .term = 1};

    node->world.env->random(node->world.env->arg, first.incarnation.bytes, RAY_ID_SIZE);
    node->world.env->random(node->world.env->arg, first.log_salt, sizeof first.log_salt);
    node->is_in_birth = true;
    coord_meta_create(&node->meta, node->world.disk, &first, on_born, node);
}

static void on_durable(void *arg, uint64_t index)
{
    struct sim_node *node = arg;
    struct coord_core_out out;

    node->durable_index = index;
    if (node->has_failed || node->is_quarantined) {
        return;
    }
    if (node->core == NULL) {
        start_core(node);
    } else {
        int rc = coord_core_persisted(node->core, now_ms(node), index, &out, NULL);

        drive(node, rc, &out);
    }
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

    for (size_t i = 0; i < frame->count && is_running(node); i++) {
        int rc = coord_core_receive(node->core, now_ms(node), &frame->messages[i], &out, NULL);

        drive(node, rc, &out);
    }
    if (!is_running(node)) {
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
    if (!is_running(node)) {
        return;
    }
    ray_arena_reset(&node->arena);
    if (coord_frame_decode(bytes, size, &node->arena, &frame, NULL) != RAY_OK ||
        frame.from != server_of((uint32_t)place) || frame.to != server_of(node->world.place)) {
        fail(node, "a correct peer sent a frame that is not");
        return;
    }
    receive(node, (uint32_t)place, &frame);
}

/* ---- clients ---- */

static struct ask *ask_of(struct sim_node *node, uint64_t index)
{
    for (size_t i = 0; i < ASKS_MAX && node->ask_counts[ASK_APPENDED] > 0; i++) {
        if (node->asks[i].state == ASK_APPENDED && node->asks[i].index == index) {
            return &node->asks[i];
        }
    }
    return NULL;
}

static void node_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket)
{
    for (size_t i = 0; i < ASKS_MAX; i++) {
        if (node->asks[i].state == ASK_FREE) {
            node->asks[i] = (struct ask){.op = *op, .ticket = ticket};
            move(node, &node->asks[i], ASK_NEW);
            return;
        }
    }
    node->world.observer.answered(node->world.observer.arg, ticket, RAY_EAGAIN, &no_answer);
}

static void submit(struct sim_node *node)
{
    uint8_t commands[ASKS_MAX][SIM_TOY_COMMAND_SIZE];
    struct coord_entry entries[ASKS_MAX] = {0};
    struct ask *asks[ASKS_MAX];
    struct coord_core_out out;
    size_t count = 0;
    uint64_t first;

    for (size_t i = 0; i < ASKS_MAX && count < ASKS_MAX; i++) {
        struct ask *ask = &node->asks[i];

        if (ask->state == ASK_NEW && ask->op.kind != SIM_OP_READ) {
            sim_toy_encode(&ask->op, commands[count]);
            entries[count] = (struct coord_entry){
                .type = COORD_ENTRY_COMMAND, .size = SIM_TOY_COMMAND_SIZE, .data = commands[count]};
            asks[count++] = ask;
        }
    }
    if (count == 0) {
        return;
    }
    int rc = coord_core_submit(node->core, now_ms(node), entries, count, &first, &out, NULL);

    for (size_t i = 0; i < count; i++) {
        if (rc == RAY_OK) {
            move(node, asks[i], ASK_APPENDED);
            asks[i]->index = first + i;
            asks[i]->term = coord_core_term(node->core);
        } else {
            answer(node, asks[i], rc, &no_answer);
        }
    }
    if (rc == RAY_OK) {
        drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_EAGAIN) {
        fail(node, "consensus took no entries");
    }
}

static void answer_read(struct sim_node *node, struct ask *ask)
{
    struct sim_answer result = {.index =
                                    node->applied_index - (RAY_MUTANT(SIM_READ_MISNAMED) ? 1 : 0),
                                .value = sim_toy_read(node->toy, ask->op.key)};

    answer(node, ask, RAY_OK, &result);
}

static void begin_reads(struct sim_node *node)
{
    uint64_t probe = 0;

    for (size_t i = 0; i < ASKS_MAX; i++) {
        struct ask *ask = &node->asks[i];

        if (ask->state != ASK_NEW || ask->op.kind != SIM_OP_READ) {
            continue;
        }
        if (RAY_MUTANT(SIM_READ_LOCAL)) {
            answer_read(node, ask);
            continue;
        }
        if (!coord_core_is_ready(node->core) || !coord_readindex_is_leading(&node->reads)) {
            answer(node, ask, RAY_EUNAVAILABLE, &no_answer);
            continue;
        }
        if (probe == 0) {
            probe = coord_readindex_begin(&node->reads, now_ms(node));
        }
        move(node, ask, ASK_PROBED);
        ask->probe = probe;
        ask->index = node->commit_index;
    }
    if (probe != 0) {
        probe_all(node);
    }
}

static void finish_reads(struct sim_node *node)
{
    for (size_t i = 0; i < ASKS_MAX && node->ask_counts[ASK_PROBED] > 0; i++) {
        struct ask *ask = &node->asks[i];

        if (ask->state == ASK_PROBED && ask->index <= node->applied_index &&
            coord_readindex_is_confirmed(&node->reads, ask->probe)) {
            answer_read(node, ask);
        }
    }
}

static void apply_entry(struct sim_node *node, const struct coord_entry *entry)
{
    struct sim_observer *observer = &node->world.observer;
    struct ask *ask = ask_of(node, entry->index);
    struct sim_answer result = no_answer;
    struct sim_op executed = {.sequence = 0};
    int status = RAY_OK;

    observer->applied(observer->arg, entry->index, entry->term, entry_hash(entry));
    if (entry->type == COORD_ENTRY_COMMAND &&
        !sim_toy_apply(node->toy, entry->index, entry->data, entry->size, &result, &executed)) {
        status = RAY_ECONFLICT;
    }
    if (executed.sequence != 0) {
        observer->executed(observer->arg, &executed);
    }
    node->applied_index = entry->index;
    observer->state(observer->arg, entry->index,
                    sim_toy_hash(node->toy) ^ (RAY_MUTANT(SIM_CLOCK_IN_STATE) ? now_ms(node) : 0));
    if (ask != NULL) {
        answer(node, ask, ask->term == entry->term ? status : RAY_EUNAVAILABLE, &result);
    }
}

/* After a start: committed entries that only the log has. */
static int apply_from_log(struct sim_node *node)
{
    struct coord_wal_span span = {0};
    uint64_t wanted = node->commit_index - node->applied_index;
    int rc = coord_wal_read(node->wal, node->applied_index + 1, wanted < 64 ? (size_t)wanted : 64,
                            COORD_MESSAGE_PAYLOAD_SIZE, &span, NULL);

    for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
        apply_entry(node, &span.entries[i]);
    }
    coord_wal_span_fini(&span);
    return rc;
}

static void apply(struct sim_node *node)
{
    struct coord_entry entry;

    while (node->applied_index < node->commit_index && !node->has_failed) {
        if (coord_core_entry(node->core, node->applied_index + 1, &entry)) {
            apply_entry(node, &entry);
        } else if (apply_from_log(node) != RAY_OK) {
            quarantine(node, "a committed entry cannot be read");
            return;
        }
    }
}

/* ---- struct sim_node_ops ---- */

static int node_create(struct sim_node **out, const struct sim_node_world *world,
                       struct ray_err *err)
{
    struct sim_node *node = sim_alloc(1, sizeof *node);
    int rc;

    node->world = *world;
    node->toy = sim_toy_create(world->cluster->key_count, world->cluster->client_count);
    node->ask_counts[ASK_FREE] = ASKS_MAX;
    node->frame = malloc(COORD_FRAME_SIZE_MAX);
    assert(node->frame != NULL);
    ray_arena_init(&node->arena, ARENA_SIZE_MAX);
    coord_readindex_init(&node->reads, server_of(world->place));
    world->link->user = (struct ray_link_user){
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = node};
    *out = node;
    rc = coord_meta_open(&node->meta, world->disk, err);
    if (rc == RAY_ENOTFOUND) {
        be_born(node);
        rc = RAY_OK;
    } else if (rc == RAY_EMALFORMED && is_unborn(node)) {
        node->is_in_birth = true;
        world->disk->ops->remove(world->disk, COORD_META_NAME, on_cleared, node);
        rc = RAY_OK;
    } else if (rc == RAY_OK) {
        rc = open_log(node, err);
    }
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

    if (is_running(node)) {
        int rc = coord_core_tick(node->core, now_ms(node), &out, NULL);

        drive(node, rc, &out);
        if (now_ms(node) - node->space_tried_ms >= SPACE_RETRY_MS) {
            node->space_tried_ms = now_ms(node);
            coord_wal_tick(node->wal);
        }
    }
}

static void node_turn(struct sim_node *node)
{
    struct coord_core_out out;

    if (!is_running(node)) {
        if (node->wal != NULL && !node->has_failed) {
            coord_wal_flush(node->wal);
        }
        return;
    }
    if (node->ask_counts[ASK_NEW] > 0) {
        submit(node);
    }
    if (is_running(node) && node->ask_counts[ASK_NEW] > 0) {
        begin_reads(node);
    }
    if (is_running(node)) {
        apply(node);
        finish_reads(node);
    }
    if (is_running(node) && node->is_leader) {
        int rc = coord_core_announce(node->core, now_ms(node), &out, NULL);

        drive(node, rc, &out);
    }
    if (is_running(node)) {
        apply(node);
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
    out->is_leader = node->is_leader && is_running(node);
    out->leader = leader > 0 ? (uint32_t)(leader - 1) : UINT32_MAX;
    for (size_t i = 0; i < config->count; i++) {
        out->members |= 1U << (config->servers[i].id - 1);
    }
    out->voter_count = coord_config_voter_count(config);
}

/* One server more, less or in another role. */
static int draw_change(const struct sim_node *node, uint64_t draw, struct coord_config *config)
{
    uint64_t id = server_of((uint32_t)(draw % node->world.cluster->node_count));
    const struct coord_server *server = coord_config_find(config, id);

    /* A leader hands over before it goes (DESIGN.md section 6): where it removes itself and is
     * deposed before that is committed, its log is the longest and it does not stand. */
    if (id == server_of(node->world.place)) {
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

    if (!is_running(node) || !node->is_leader) {
        return;
    }
    next = *coord_core_configuration(node->core);
    if (draw_change(node, draw, &next) != RAY_OK) {
        return;
    }
    int rc = coord_core_change(node->core, now_ms(node), &next, &index, &out, NULL);

    if (rc == RAY_OK) {
        drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_EAGAIN && rc != RAY_EINVAL) {
        fail(node, "consensus took no change");
    }
}

static void node_transfer(struct sim_node *node)
{
    struct coord_core_out out;

    if (!is_running(node) || !node->is_leader) {
        return;
    }
    int rc = coord_core_transfer(node->core, now_ms(node), 0, &out, NULL);

    if (rc == RAY_OK) {
        drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_ENOTFOUND && rc != RAY_EAGAIN) {
        fail(node, "consensus does not hand over");
    }
}

const struct sim_node_ops sim_node_raft = {.name = "raft",
                                           .create = node_create,
                                           .destroy = node_destroy,
                                           .on_timer = node_on_timer,
                                           .turn = node_turn,
                                           .ask = node_ask,
                                           .status = node_status,
                                           .change = node_change,
                                           .transfer = node_transfer};

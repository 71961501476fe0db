/* What clients ask: writes as one batch, reads behind one probe; and what is committed. */
#include <assert.h>
#include <string.h>

#include "coordinator/mutant.h"
#include "tests/sim/mem.h"
#include "tests/sim/node_raft.h"

const struct sim_answer sim_raft_no_answer;

static void move(struct sim_node *node, struct sim_raft_request *ask,
                 enum sim_raft_request_state state)
{
    node->ask_counts[ask->state]--;
    node->ask_counts[state]++;
    ask->state = state;
}

void sim_raft_answer(struct sim_node *node, struct sim_raft_request *ask, int status,
                     const struct sim_answer *result)
{
    uint64_t ticket = ask->ticket;

    move(node, ask, SIM_RAFT_FREE);
    node->world.observer.answered(node->world.observer.arg, ticket, status, result);
}

static struct sim_raft_request *ask_of(struct sim_node *node, uint64_t index)
{
    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX && node->ask_counts[SIM_RAFT_APPENDED] > 0; i++) {
        if (node->asks[i].state == SIM_RAFT_APPENDED && node->asks[i].index == index) {
            return &node->asks[i];
        }
    }
    return NULL;
}

void sim_raft_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket)
{
    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX; i++) {
        if (node->asks[i].state == SIM_RAFT_FREE) {
            node->asks[i] = (struct sim_raft_request){.op = *op, .ticket = ticket};
            move(node, &node->asks[i], SIM_RAFT_NEW);
            return;
        }
    }
    node->world.observer.answered(node->world.observer.arg, ticket, RAY_EAGAIN,
                                  &sim_raft_no_answer);
}

void sim_raft_submit(struct sim_node *node)
{
    uint8_t commands[SIM_RAFT_ASKS_MAX][SIM_TOY_COMMAND_SIZE];
    struct coord_entry entries[SIM_RAFT_ASKS_MAX] = {0};
    struct sim_raft_request *asks[SIM_RAFT_ASKS_MAX];
    struct coord_core_out out;
    size_t count = 0;
    uint64_t first;

    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX && count < SIM_RAFT_ASKS_MAX; i++) {
        struct sim_raft_request *ask = &node->asks[i];

        if (ask->state == SIM_RAFT_NEW && ask->op.kind != SIM_OP_READ) {
            sim_toy_encode(&ask->op, commands[count]);
            entries[count] = (struct coord_entry){
                .type = COORD_ENTRY_COMMAND, .size = SIM_TOY_COMMAND_SIZE, .data = commands[count]};
            asks[count++] = ask;
        }
    }
    if (count == 0) {
        return;
    }
    int rc =
        coord_core_submit(node->core, sim_raft_now_ms(node), entries, count, &first, &out, NULL);

    for (size_t i = 0; i < count; i++) {
        if (rc == RAY_OK) {
            move(node, asks[i], SIM_RAFT_APPENDED);
            asks[i]->index = first + i;
            asks[i]->term = coord_core_term(node->core);
        } else {
            sim_raft_answer(node, asks[i], rc, &sim_raft_no_answer);
        }
    }
    if (rc == RAY_OK) {
        sim_raft_drive(node, rc, &out);
    } else if (rc != RAY_EUNAVAILABLE && rc != RAY_EAGAIN) {
        sim_raft_fail(node, "consensus took no entries");
    }
}

static void answer_read(struct sim_node *node, struct sim_raft_request *ask)
{
    struct sim_answer result = {.index =
                                    node->applied_index - (RAY_MUTANT(SIM_READ_MISNAMED) ? 1 : 0),
                                .value = sim_toy_read(node->toy, ask->op.key)};

    sim_raft_answer(node, ask, RAY_OK, &result);
}

void sim_raft_begin_reads(struct sim_node *node)
{
    uint64_t probe = 0;

    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX; i++) {
        struct sim_raft_request *ask = &node->asks[i];

        if (ask->state != SIM_RAFT_NEW || ask->op.kind != SIM_OP_READ) {
            continue;
        }
        if (RAY_MUTANT(SIM_READ_LOCAL)) {
            answer_read(node, ask);
            continue;
        }
        if (!coord_core_is_ready(node->core) || !coord_readindex_is_leading(&node->reads)) {
            sim_raft_answer(node, ask, RAY_EUNAVAILABLE, &sim_raft_no_answer);
            continue;
        }
        if (probe == 0) {
            probe = coord_readindex_begin(&node->reads, sim_raft_now_ms(node));
        }
        move(node, ask, SIM_RAFT_PROBED);
        ask->probe = probe;
        ask->index = node->commit_index;
    }
    if (probe != 0) {
        sim_raft_probe_all(node);
    }
}

void sim_raft_finish_reads(struct sim_node *node)
{
    for (size_t i = 0; i < SIM_RAFT_ASKS_MAX && node->ask_counts[SIM_RAFT_PROBED] > 0; i++) {
        struct sim_raft_request *ask = &node->asks[i];

        if (ask->state == SIM_RAFT_PROBED && ask->index <= node->applied_index &&
            coord_readindex_is_confirmed(&node->reads, ask->probe)) {
            answer_read(node, ask);
        }
    }
}

static void apply_entry(struct sim_node *node, const struct coord_entry *entry)
{
    struct sim_observer *observer = &node->world.observer;
    struct sim_raft_request *ask = ask_of(node, entry->index);
    struct sim_answer result = sim_raft_no_answer;
    struct sim_op executed = {.sequence = 0};
    int status = RAY_OK;

    observer->applied(observer->arg, entry->index, entry->term, sim_raft_entry_hash(entry));
    if (entry->type == COORD_ENTRY_COMMAND &&
        !sim_toy_apply(node->toy, entry->index, entry->data, entry->size, &result, &executed)) {
        status = RAY_ECONFLICT;
    }
    if (executed.sequence != 0) {
        observer->executed(observer->arg, &executed);
    }
    node->applied_index = entry->index;
    observer->state(observer->arg, entry->index,
                    sim_toy_hash(node->toy) ^
                        (RAY_MUTANT(SIM_CLOCK_IN_STATE) ? sim_raft_now_ms(node) : 0));
    if (ask != NULL) {
        sim_raft_answer(node, ask, ask->term == entry->term ? status : RAY_EUNAVAILABLE, &result);
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

void sim_raft_apply(struct sim_node *node)
{
    struct coord_entry entry;

    while (node->applied_index < node->commit_index && !node->has_failed) {
        if (coord_core_entry(node->core, node->applied_index + 1, &entry)) {
            apply_entry(node, &entry);
        } else if (apply_from_log(node) != RAY_OK) {
            sim_raft_quarantine(node, "a committed entry cannot be read");
            return;
        }
    }
}

#include "tests/sim/check_witness.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mem.h"

enum { INDEX_MAX = 1 << 24 };

void sim_witness_init(struct sim_witness *witness, struct sim_verdict *verdict)
{
    *witness = (struct sim_witness){.verdict = verdict};
}

void sim_witness_fini(struct sim_witness *witness)
{
    sim_map_fini(&witness->executed);
    free(witness->applied);
    witness->applied = NULL;
}

void sim_witness_executed(struct sim_witness *witness, const struct sim_op *op)
{
    bool is_new;

    assert(op->index > 0 && op->index < INDEX_MAX && op->sequence > 0);
    uint64_t *index = sim_map_put(&witness->executed, op->client, op->sequence, op->index, &is_new);

    if (*index != op->index) {
        sim_verdict_fail(witness->verdict, SIM_CHECK_ONCE,
                         "request %" PRIu64 " of client %" PRIu32 " ran at %" PRIu64
                         " and at %" PRIu64,
                         op->sequence, op->client, *index, op->index);
        return;
    }
    while (op->index >= witness->capacity) {
        size_t old = witness->capacity;

        witness->applied =
            sim_grow(witness->applied, old, &witness->capacity, sizeof *witness->applied);
        memset(witness->applied + old, 0, (witness->capacity - old) * sizeof *witness->applied);
    }
    witness->applied[op->index] = *op;
    witness->index_max = op->index > witness->index_max ? op->index : witness->index_max;
}

static bool is_change(const struct sim_op *op)
{
    return op->kind != SIM_OP_READ;
}

static void check_answer(struct sim_witness *witness, const struct sim_op *op)
{
    const uint64_t *index;

    if (!op->is_known || !is_change(op)) {
        return;
    }
    index = sim_map_get(&witness->executed, op->client, op->sequence);
    if (index == NULL || *index != op->index) {
        sim_verdict_fail(witness->verdict, SIM_CHECK_ONCE,
                         "request %" PRIu64 " of client %" PRIu32 " was answered from %" PRIu64
                         ", it ran at %" PRIu64,
                         op->sequence, op->client, op->index, index != NULL ? *index : 0);
    }
}

struct pointers {
    const struct sim_op **ops;
    size_t count;
};

static int by_call(const void *a, const void *b)
{
    const struct sim_op *x = *(const struct sim_op *const *)a;
    const struct sim_op *y = *(const struct sim_op *const *)b;

    return x->call_ns < y->call_ns ? -1 : x->call_ns > y->call_ns;
}

static int by_return(const void *a, const void *b)
{
    const struct sim_op *x = *(const struct sim_op *const *)a;
    const struct sim_op *y = *(const struct sim_op *const *)b;

    return x->return_ns < y->return_ns ? -1 : x->return_ns > y->return_ns;
}

static int by_index(const void *a, const void *b)
{
    const struct sim_op *x = *(const struct sim_op *const *)a;
    const struct sim_op *y = *(const struct sim_op *const *)b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static struct pointers known_ops(const struct sim_history *history,
                                 int (*order)(const void *a, const void *b))
{
    struct pointers known = {.ops = sim_alloc(history->count, sizeof(void *))};

    for (size_t i = 0; i < history->count; i++) {
        if (history->ops[i].is_known) {
            known.ops[known.count++] = &history->ops[i];
        }
    }
    qsort(known.ops, known.count, sizeof *known.ops, order);
    return known;
}

/* Whoever was answered before another asked is not after it in the log. */
static void check_time(struct sim_witness *witness, const struct sim_history *history)
{
    struct pointers calls = known_ops(history, by_call);
    struct pointers returns = known_ops(history, by_return);
    size_t returned = 0;
    uint64_t index_max = 0;

    for (size_t i = 0; i < calls.count; i++) {
        const struct sim_op *op = calls.ops[i];

        while (returned < returns.count && returns.ops[returned]->return_ns < op->call_ns) {
            uint64_t index = returns.ops[returned++]->index;

            index_max = index > index_max ? index : index_max;
        }
        if (op->index < index_max || (is_change(op) && op->index == index_max)) {
            sim_verdict_fail(witness->verdict, SIM_CHECK_WITNESS,
                             "client %" PRIu32 " asked at %" PRIu64 " ns and saw index %" PRIu64
                             "; %" PRIu64 " was answered before",
                             op->client, op->call_ns, op->index, index_max);
        }
    }
    free(calls.ops);
    free(returns.ops);
}

static uint64_t *value_of(struct sim_map *values, uint32_t key)
{
    bool is_new;

    return sim_map_put(values, key, 0, 0, &is_new);
}

static void check_reads_at(struct sim_witness *witness, struct sim_map *values,
                           const struct pointers *ops, size_t *at, uint64_t index)
{
    for (; *at < ops->count && ops->ops[*at]->index <= index; (*at)++) {
        const struct sim_op *op = ops->ops[*at];

        if (op->kind == SIM_OP_READ && *value_of(values, op->key) != op->value) {
            sim_verdict_fail(witness->verdict, SIM_CHECK_WITNESS,
                             "client %" PRIu32 " read %" PRIu64 " from key %" PRIu32
                             " at index %" PRIu64 ", the log says %" PRIu64,
                             op->client, op->value, op->key, op->index, *value_of(values, op->key));
        }
    }
}

/* The log, replayed, gives the results. */
static void check_results(struct sim_witness *witness, const struct sim_history *history)
{
    struct pointers ops = known_ops(history, by_index);
    struct sim_map values = {0};
    size_t at = 0;

    check_reads_at(witness, &values, &ops, &at, 0);
    for (uint64_t index = 1; index <= witness->index_max; index++) {
        struct sim_op *op = &witness->applied[index];

        if (op->sequence != 0) {
            op->is_known = true;
            if (!sim_op_step(op, value_of(&values, op->key))) {
                sim_verdict_fail(witness->verdict, SIM_CHECK_WITNESS,
                                 "index %" PRIu64 ": a swap on key %" PRIu32 " %s", index, op->key,
                                 op->has_failed ? "failed, it should not" : "should have failed");
            }
        }
        check_reads_at(witness, &values, &ops, &at, index);
    }
    check_reads_at(witness, &values, &ops, &at, UINT64_MAX);
    sim_map_fini(&values);
    free(ops.ops);
}

/* What a client was told of its swap is what happened. */
static void check_told(struct sim_witness *witness, const struct sim_op *op)
{
    if (op->is_known && op->kind == SIM_OP_SWAP && op->index <= witness->index_max &&
        witness->applied[op->index].has_failed != op->has_failed) {
        sim_verdict_fail(witness->verdict, SIM_CHECK_WITNESS,
                         "client %" PRIu32 " was told that its swap at %" PRIu64 " %s", op->client,
                         op->index, op->has_failed ? "failed" : "did not fail");
    }
}

void sim_witness_check(struct sim_witness *witness, const struct sim_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        check_answer(witness, &history->ops[i]);
        check_told(witness, &history->ops[i]);
    }
    check_time(witness, history);
    check_results(witness, history);
}

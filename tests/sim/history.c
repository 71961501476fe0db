#include "tests/sim/history.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/mem.h"

void sim_history_fini(struct sim_history *history)
{
    free(history->ops);
    *history = (struct sim_history){0};
}

size_t sim_history_call(struct sim_history *history, const struct sim_op *op)
{
    history->ops = sim_grow(history->ops, history->count, &history->capacity, sizeof *history->ops);
    struct sim_op *kept = &history->ops[history->count];

    *kept = *op;
    kept->is_known = false;
    kept->return_ns = UINT64_MAX;
    return history->count++;
}

bool sim_op_step(const struct sim_op *op, uint64_t *state)
{
    switch (op->kind) {
    case SIM_OP_READ:
        return !op->is_known || op->value == *state;
    case SIM_OP_WRITE:
        *state = op->value;
        return true;
    case SIM_OP_SWAP:
        if (op->is_known && op->has_failed != (*state != op->expected)) {
            return false;
        }
        *state = *state == op->expected ? op->value : *state;
        return true;
    default:
        assert(false);
        return false;
    }
}

/* tests/sim/history.h - what clients asked, when, and what they were told.
 *
 * The objects of all operations are registers: numbers by key, 0 at first.
 * Memory: init/fini.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_HISTORY_H
#define RAY_TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_op_kind {
    SIM_OP_READ,
    SIM_OP_WRITE,
    SIM_OP_SWAP, /* writes `value` if the register has `expected` */
};

struct sim_op {
    enum sim_op_kind kind;
    uint32_t client;
    uint64_t sequence; /* of the client: a request and its retries */
    uint32_t key;
    uint64_t value; /* written; a read's result */
    uint64_t expected;
    bool is_plain;   /* no session makes it run once: it is not repeated */
    bool is_known;   /* it was answered; otherwise it may have run or may yet run */
    bool has_failed; /* SWAP: the register had something else */
    uint64_t call_ns;
    uint64_t return_ns; /* UINT64_MAX: never */
    uint64_t index;     /* answered: where it ran in the log; a read: the revision it saw */
};

struct sim_history {
    struct sim_op *ops;
    size_t count;
    size_t capacity;
};

void sim_history_fini(struct sim_history *history);
/* Its position. */
size_t sim_history_call(struct sim_history *history, const struct sim_op *op);

/* One step of a register: false when a known result cannot be. */
bool sim_op_step(const struct sim_op *op, uint64_t *state);

#endif

/* tests/sim/toy.h - the state machine of node_raft: registers and client sessions, in memory.
 *
 * Memory: create and destroy.  Threads: one.  Blocks: never.  Trust: its own commands. */
#ifndef RAY_TESTS_SIM_TOY_H
#define RAY_TESTS_SIM_TOY_H

#include <stddef.h>
#include <stdint.h>

#include "tests/sim/node.h"

enum { SIM_TOY_COMMAND_SIZE = 48 };

struct sim_toy;

struct sim_toy *sim_toy_create(uint32_t key_count, uint32_t client_count);
void sim_toy_destroy(struct sim_toy *toy);

void sim_toy_encode(const struct sim_op *op, uint8_t out[static SIM_TOY_COMMAND_SIZE]);
/* Executes the command, or finds what it gave before; false: it is too old to know.
 * *out_executed is what ran now, its sequence 0 when nothing did. */
bool sim_toy_apply(struct sim_toy *toy, uint64_t index, const uint8_t *command, size_t size,
                   struct sim_answer *out_answer, struct sim_op *out_executed);
uint64_t sim_toy_read(const struct sim_toy *toy, uint32_t key);
/* Of everything that was applied, in order. */
uint64_t sim_toy_hash(const struct sim_toy *toy);

#endif

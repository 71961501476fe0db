#include "tests/sim/toy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/mutant.h"
#include "tests/sim/mem.h"

enum { WINDOW = 64 };

struct result {
    uint64_t sequence; /* 0: none */
    struct sim_answer answer;
};

struct session {
    uint64_t sequence_max;
    struct result results[WINDOW];
};

struct sim_toy {
    uint64_t *values;
    struct session *sessions;
    uint32_t key_count;
    uint32_t client_count;
    uint64_t hash;
};

struct command {
    uint64_t sequence;
    uint64_t value;
    uint64_t expected;
    uint32_t client;
    uint32_t key;
    uint32_t kind;
    uint32_t zero;
    uint64_t check;
};

static_assert(sizeof(struct command) == SIM_TOY_COMMAND_SIZE, "no padding");

struct sim_toy *sim_toy_create(uint32_t key_count, uint32_t client_count)
{
    struct sim_toy *toy = sim_alloc(1, sizeof *toy);

    toy->values = sim_alloc(key_count, sizeof *toy->values);
    toy->sessions = sim_alloc(client_count, sizeof *toy->sessions);
    toy->key_count = key_count;
    toy->client_count = client_count;
    return toy;
}

void sim_toy_destroy(struct sim_toy *toy)
{
    if (toy == NULL) {
        return;
    }
    free(toy->values);
    free(toy->sessions);
    free(toy);
}

static uint64_t check_of(struct command command)
{
    command.check = 0;
    return sim_hash(1, &command, sizeof command);
}

void sim_toy_encode(const struct sim_op *op, uint8_t out[static SIM_TOY_COMMAND_SIZE])
{
    struct command command = {.sequence = op->sequence,
                              .value = op->value,
                              .expected = op->expected,
                              .client = op->client,
                              .key = op->key,
                              .kind = (uint32_t)op->kind};

    command.check = check_of(command);
    memcpy(out, &command, sizeof command);
}

bool sim_toy_apply(struct sim_toy *toy, uint64_t index, const uint8_t *bytes, size_t size,
                   struct sim_answer *out_answer, struct sim_op *out_executed)
{
    struct command command;

    assert(size == sizeof command);
    memcpy(&command, bytes, sizeof command);
    assert(command.check == check_of(command));
    assert(command.client < toy->client_count && command.key < toy->key_count);
    struct session *session = &toy->sessions[command.client];
    struct result *result = &session->results[command.sequence % WINDOW];

    toy->hash = sim_hash_u64(toy->hash ^ index, command.check);
    *out_executed = (struct sim_op){.sequence = 0};
    if (result->sequence == command.sequence && !RAY_MUTANT(SIM_RETRY_RUNS)) {
        *out_answer = result->answer;
        return true;
    }
    if (command.sequence + WINDOW <= session->sequence_max) {
        return false;
    }
    struct sim_op op = {.kind = (enum sim_op_kind)command.kind,
                        .client = command.client,
                        .sequence = command.sequence,
                        .key = command.key,
                        .value = command.value,
                        .expected = command.expected,
                        .index = index};

    op.has_failed = op.kind == SIM_OP_SWAP && toy->values[op.key] != op.expected;
    (void)sim_op_step(&op, &toy->values[op.key]);
    if (command.sequence > session->sequence_max) {
        session->sequence_max = command.sequence;
    }
    *result = (struct result){.sequence = command.sequence,
                              .answer = {.index = index, .has_failed = op.has_failed}};
    toy->hash = sim_hash_u64(toy->hash, op.has_failed);
    *out_answer = result->answer;
    *out_executed = op;
    return true;
}

uint64_t sim_toy_read(const struct sim_toy *toy, uint32_t key)
{
    assert(key < toy->key_count);
    return toy->values[key];
}

uint64_t sim_toy_hash(const struct sim_toy *toy)
{
    return toy->hash;
}

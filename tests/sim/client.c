/* The workload: each client asks one thing at a time, repeats it under the same number until it is
 * answered or given up, and remembers what it saw for its next swap. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/cluster.h"
#include "tests/sim/mem.h"

enum {
    HOP_NS = 200000,
    PATIENCE_NS = 300 * 1000000, /* of one attempt, at least */
    PAUSE_NS = 30 * 1000000,     /* between attempts */
    GIVE_UP_NS = 1500 * 1000000, /* of an operation, at least */
    LOSS_PPM = 5000,
    HOT_THINK_NS = 4 * 1000000,
    PLAIN_ONE_IN = 5, /* clients */
};

/* On its way to a machine, or back. */
struct letter {
    struct sim_run *run;
    uint32_t machine; /* back: the hint */
    uint32_t client;
    uint64_t ticket;
    struct sim_op op;
    int status;
    struct sim_answer answer;
};

static void attempt(struct sim_client *client);
static void think(struct sim_client *client);

static uint64_t now_ns(const struct sim_client *client)
{
    return client->run->world->now_ns;
}

static uint64_t hop_ns(struct sim_run *run)
{
    return run->world->now_ns + HOP_NS + sim_rng_below(&run->client_rng, HOP_NS);
}

static bool is_lost(struct sim_run *run)
{
    return !run->is_healed && sim_rng_ppm(&run->client_rng, LOSS_PPM);
}

static uint64_t ticket_of(const struct sim_client *client)
{
    return (uint64_t)client->number << 32 | client->attempt;
}

static void deliver(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_run *run = letter->run;

    (void)tag;
    if (is_alive) {
        run->ops->ask(run->machines[letter->machine].node, &letter->op, letter->ticket);
    }
    free(letter);
}

static void finish(struct sim_client *client)
{
    client->is_busy = false;
    client->attempt++;
    think(client);
}

static void try_again(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_client *client = arg;

    if (is_alive && client->is_busy && tag == client->attempt) {
        attempt(client);
    }
}

/* Healed, it asks one after another: whoever has left the configuration cannot answer a read. */
static uint32_t next_target(const struct sim_client *client, uint32_t hint)
{
    struct sim_run *run = client->run;
    uint32_t count = run->cluster.node_count;

    if (hint < count && hint != client->target && !sim_rng_one_in(&run->client_rng, 4)) {
        return hint;
    }
    return run->is_healed ? (client->target + 1) % count
                          : (uint32_t)sim_rng_below(&run->client_rng, count);
}

/* The attempt came to nothing, as far as anyone knows. `hint`: who is said to lead. */
static void fail_attempt(struct sim_client *client, uint64_t wait_ns, uint32_t hint)
{
    struct sim_run *run = client->run;

    sim_trace(run->world, "c%" PRIu32 ": attempt %" PRIu32 " at n%" PRIu32 " came to nothing",
              client->number, client->attempt, client->target);
    client->attempt++;
    client->target = next_target(client, hint);
    if ((!run->is_healed && now_ns(client) >= client->give_up_ns) ||
        run->history.ops[client->position].is_plain) {
        finish(client);
        return;
    }
    sim_world_post(run->world, now_ns(client) + wait_ns, try_again, client, client->attempt);
}

static void time_out(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_client *client = arg;

    if (is_alive && client->is_busy && tag == client->attempt) {
        fail_attempt(client, 1, UINT32_MAX);
    }
}

static void attempt(struct sim_client *client)
{
    struct sim_run *run = client->run;
    struct letter *letter = sim_alloc(1, sizeof *letter);
    uint64_t patience_ns = PATIENCE_NS + sim_rng_below(&run->client_rng, (uint64_t)PATIENCE_NS * 2);

    *letter = (struct letter){.run = run,
                              .machine = client->target,
                              .client = client->number,
                              .ticket = ticket_of(client),
                              .op = run->history.ops[client->position]};
    sim_world_post(run->world, now_ns(client) + patience_ns, time_out, client, client->attempt);
    if (is_lost(run)) {
        free(letter);
        return;
    }
    sim_proc_post(run->machines[client->target].proc, hop_ns(run), deliver, letter, 0);
}

static void record(struct sim_client *client, const struct sim_answer *answer)
{
    struct sim_op *op = &client->run->history.ops[client->position];

    op->is_known = true;
    op->return_ns = now_ns(client);
    op->index = answer->index;
    op->has_failed = answer->has_failed;
    if (op->kind == SIM_OP_READ) {
        op->value = answer->value;
    } else {
        sim_check_log_acked(&client->run->log, answer->index);
    }
    if (!op->has_failed) {
        client->seen[op->key] = op->value;
    }
}

static void hear(void *arg, uint64_t tag, bool is_alive)
{
    struct letter *letter = arg;
    struct sim_client *client = &letter->run->clients[letter->client];

    (void)tag;
    if (is_alive && client->is_busy && letter->ticket == ticket_of(client)) {
        if (letter->status == RAY_OK) {
            record(client, &letter->answer);
            finish(client);
        } else {
            fail_attempt(client, sim_rng_between(&letter->run->client_rng, 1, PAUSE_NS),
                         letter->machine);
        }
    }
    free(letter);
}

void sim_client_answered(struct sim_machine *machine, uint64_t ticket, int status,
                         const struct sim_answer *answer)
{
    struct sim_run *run = machine->run;
    struct letter *letter = sim_alloc(1, sizeof *letter);
    struct sim_node_status node;

    run->ops->status(machine->node, &node);
    *letter = (struct letter){.run = run,
                              .machine = node.leader,
                              .client = (uint32_t)(ticket >> 32),
                              .ticket = ticket,
                              .status = status,
                              .answer = *answer};
    assert(letter->client < run->cluster.client_count);
    if (is_lost(run)) {
        free(letter);
        return;
    }
    sim_world_post(run->world, hop_ns(run), hear, letter, 0);
}

static bool is_hot(const struct sim_run *run)
{
    return run->world->now_ns < run->hot_until_ns;
}

static enum sim_op_kind draw_kind(const struct sim_client *client)
{
    static const enum sim_op_kind kinds[] = {SIM_OP_READ, SIM_OP_READ, SIM_OP_SWAP, SIM_OP_WRITE,
                                             SIM_OP_WRITE};
    struct sim_run *run = client->run;
    enum sim_op_kind kind = kinds[sim_rng_below(&run->client_rng, sizeof kinds / sizeof kinds[0])];

    return is_hot(run) && client->target == run->cut_off ? SIM_OP_READ : kind;
}

static void ask(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_client *client = arg;
    struct sim_run *run = client->run;
    struct sim_rng *rng = &run->client_rng;

    (void)tag;
    if (!is_alive || now_ns(client) >= run->stop_ns) {
        return;
    }
    struct sim_op op = {.kind = draw_kind(client),
                        .client = client->number,
                        .sequence = ++client->sequence,
                        .key = (uint32_t)sim_rng_below(rng, run->cluster.key_count),
                        .call_ns = now_ns(client)};

    if (op.kind == SIM_OP_SWAP) {
        op.expected = client->seen[op.key];
    }
    if (op.kind != SIM_OP_READ) {
        op.value = (uint64_t)(client->number + 1) << 32 | op.sequence;
        op.is_plain = client->is_plain;
    }
    client->position = sim_history_call(&run->history, &op);
    client->is_busy = true;
    client->give_up_ns = now_ns(client) + GIVE_UP_NS + sim_rng_below(rng, GIVE_UP_NS);
    run->result->op_count++;
    attempt(client);
}

static void think(struct sim_client *client)
{
    struct sim_run *run = client->run;
    uint64_t think_ns = is_hot(run) ? HOT_THINK_NS : run->think_ns;

    sim_world_post(run->world, now_ns(client) + sim_rng_wait(&run->client_rng, think_ns), ask,
                   client, 0);
}

void sim_clients_begin(struct sim_run *run)
{
    for (uint32_t i = 0; i < run->cluster.client_count; i++) {
        run->clients[i] = (struct sim_client){.run = run, .number = i};
        run->clients[i].target = (uint32_t)sim_rng_below(&run->client_rng, run->cluster.node_count);
        run->clients[i].is_plain = sim_rng_one_in(&run->client_rng, PLAIN_ONE_IN);
        think(&run->clients[i]);
    }
}

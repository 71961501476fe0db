/* What clients ask, as commands and reads of the registry. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "net/proto_codec.h"
#include "tests/sim/mem.h"
#include "tests/sim/node_replica.h"

static const char register_label[] = "v";

struct ray_id sim_replica_session(uint32_t client)
{
    struct ray_id id = {{'s', 'e', 's'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(client + 1);
    return id;
}

/* What ran is read back from the reason when an entry is applied, at each replica: it is found
 * in the packed command as it is, and ends with a sign that no number has. */
static const char reason_mark[] = "sim-op ";

static void write_reason(char out[static 128], const struct sim_op *op)
{
    (void)snprintf(out, 128, "%s%d %" PRIu32 " %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 ";",
                   reason_mark, (int)op->kind, op->client, op->sequence, op->key, op->value,
                   op->expected);
}

/* The number at `*at`, which moves behind the sign that ends it. */
static uint64_t next_number(const uint8_t **at, const uint8_t *end)
{
    uint64_t number = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        number = number * 10 + (uint64_t)(**at - '0');
    }
    *at += *at < end;
    return number;
}

bool sim_replica_read_reason(const struct coord_entry *entry, struct sim_op *op)
{
    const uint8_t *end = entry->data + entry->size;
    const uint8_t *at = memmem(entry->data, entry->size, reason_mark, sizeof reason_mark - 1);

    if (at == NULL) {
        return false;
    }
    at += sizeof reason_mark - 1;
    op->kind = (enum sim_op_kind)next_number(&at, end);
    op->client = (uint32_t)next_number(&at, end);
    op->sequence = next_number(&at, end);
    op->key = (uint32_t)next_number(&at, end);
    op->value = next_number(&at, end);
    op->expected = next_number(&at, end);
    assert(at[-1] == ';');
    return true;
}

static void open_session(struct sim_node *node, uint32_t client)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__SessionOpen open = RAYOS__REGISTRY__SESSION_OPEN__INIT;
    struct ray_id id = sim_replica_session(client);

    if ((node->opened_clients >> client & 1) != 0) {
        return;
    }
    node->opened_clients |= UINT64_C(1) << client;
    open.id = ray_proto_id(&id);
    open.ttl_us = COORD_FSM_SESSION_TTL_MAX_US;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN;
    command.session_open = &open;
    sim_replica_propose(node, &command, "begin", NULL, NULL, NULL);
}

static uint64_t value_of(struct sim_node *node, uint32_t key, uint64_t *out_revision)
{
    struct ray_id id = sim_replica_key(key);
    const struct coord_object *object =
        coord_fsm_find(coord_replica_fsm(node->replica), COORD_IMAGE, &id);
    uint64_t value = 0;

    *out_revision = object == NULL ? 0 : object->revision;
    if (object != NULL && object->label_count > 0) {
        assert(object->labels[0].value.size == sizeof value);
        memcpy(&value, object->labels[0].value.data, sizeof value);
    }
    return value;
}

static void answer(struct sim_replica_ask *ask, int status, const struct sim_answer *result)
{
    static const struct sim_answer none;
    struct sim_node *node = ask->node;

    ask->state = SIM_REPLICA_FREE;
    node->world.observer.answered(node->world.observer.arg, ask->ticket, status,
                                  result == NULL ? &none : result);
}

static void on_written(void *arg, int status, const struct coord_fsm_result *result)
{
    struct sim_replica_ask *ask = arg;
    struct sim_answer given = {0};

    if (status == RAY_OK) {
        given.index = result->revision;
        given.value = ask->op.value;
        given.has_failed = result->code == RAY_ECONFLICT && ask->op.kind == SIM_OP_SWAP;
        if (result->code != RAY_OK && !given.has_failed) {
            /* No session or no object yet: it did not run. */
            sim_replica_log(ask->node, RAY_LOG_INFO, "client", result->text);
            ask->node->opened_clients &= ~(UINT64_C(1) << ask->op.client);
            status = RAY_EAGAIN;
        }
    }
    answer(ask, status, &given);
}

static void write_register(struct sim_replica_ask *ask, uint64_t expected_revision)
{
    struct sim_node *node = ask->node;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectLabel body = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    struct ray_id id = sim_replica_key(ask->op.key);
    char reason[128];

    if (!ask->op.is_plain) {
        open_session(node, ask->op.client);
    }
    write_reason(reason, &ask->op);
    label.key = (char *)register_label;
    label.value = ray_proto_bytes(&ask->op.value, sizeof ask->op.value);
    body.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    body.id = ray_proto_id(&id);
    body.n_set = 1;
    body.set = labels;
    body.expected_revision = expected_revision;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.object_label = &body;
    ask->state = SIM_REPLICA_WRITING;
    sim_replica_propose(node, &command, reason, ask->op.is_plain ? NULL : &ask->op, on_written,
                        ask);
}

static void on_read(void *arg, int status, uint64_t revision)
{
    struct sim_replica_ask *ask = arg;
    struct sim_answer given = {.index = revision};
    uint64_t object_revision;

    if (status != RAY_OK) {
        answer(ask, status, NULL);
        return;
    }
    given.value = value_of(ask->node, ask->op.key, &object_revision);
    if (ask->state == SIM_REPLICA_READING) {
        answer(ask, RAY_OK, &given);
        return;
    }
    if (object_revision == 0) {
        answer(ask, RAY_EAGAIN, NULL);
        return;
    }
    /* Values are never written twice: one that is no longer there never comes back, and no
     * object has the revision of the first entry. */
    write_register(ask, given.value == ask->op.expected ? object_revision : 1);
}

void sim_replica_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket)
{
    struct sim_replica_ask *ask = NULL;

    for (size_t i = 0; i < SIM_REPLICA_ASKS_MAX && ask == NULL; i++) {
        ask = node->asks[i].state == SIM_REPLICA_FREE ? &node->asks[i] : NULL;
    }
    if (ask == NULL || node->replica == NULL || node->has_failed) {
        static const struct sim_answer none;

        node->world.observer.answered(node->world.observer.arg, ticket, RAY_EAGAIN, &none);
        return;
    }
    *ask = (struct sim_replica_ask){
        .node = node, .op = *op, .ticket = ticket, .state = SIM_REPLICA_READING};
    if (op->kind == SIM_OP_WRITE) {
        write_register(ask, 0);
        return;
    }
    ask->state = op->kind == SIM_OP_READ ? SIM_REPLICA_READING : SIM_REPLICA_SWAP_READING;
    if (coord_replica_read(node->replica, sim_replica_now_ns(node) + SIM_REPLICA_DEADLINE_NS,
                           on_read, ask, NULL, NULL) != RAY_OK) {
        answer(ask, RAY_EAGAIN, NULL);
    }
}

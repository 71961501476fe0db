/* house_fixture.c - see house_fixture.h. */
#include "coordinator/replica/house_fixture.h"

#include <assert.h>

#include "coordinator/core/config.h"

/* ---- what is sent ---- */

static void note_answers(struct house *house, const uint8_t *bytes, size_t size)
{
    Rayos__Member__Packet *packet = rayos__member__packet__unpack(NULL, size, bytes);

    assert(packet != NULL);
    for (size_t i = 0; i < packet->n_proposed; i++) {
        house->answer_code = packet->proposed[i]->code;
        if (house->answer_code == RAY_OK &&
            packet->proposed[i]->result.len < REPLICA_FIX_COMMAND_SIZE_MAX) {
            Rayos__Registry__Result *result = rayos__registry__result__unpack(
                NULL, packet->proposed[i]->result.len, packet->proposed[i]->result.data);

            house->answer_code = result->code;
            rayos__registry__result__free_unpacked(result, NULL);
        }
        house->answer_count++;
    }
    for (size_t i = 0; i < packet->n_snapshot_parts; i++) {
        house->part_size += packet->snapshot_parts[i]->data.len;
    }
    rayos__member__packet__free_unpacked(packet, NULL);
}

static int note_send(struct ray_link *link, const struct ray_id *peer,
                     enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct house *house = (struct house *)link;

    (void)peer;
    if (house->is_full) {
        return RAY_EAGAIN;
    }
    house->size_max = size > house->size_max ? size : house->size_max;
    if (channel == RAY_LINK_MEMBER) {
        note_answers(house, bytes, size);
    }
    return RAY_OK;
}

static void note_remove(struct ray_link *link, const struct ray_id *peer)
{
    (void)peer;
    ((struct house *)link)->removed_count++;
}

/* ---- the house ---- */

uint64_t house_term(const struct house *house)
{
    struct coord_replica_status status;

    coord_replica_status(house->fix.replica, &status);
    return status.term;
}

uint64_t house_number(const struct house *house, unsigned node)
{
    struct ray_id id = replica_fix_id(node);
    const struct coord_object *object =
        coord_fsm_find(coord_replica_fsm(house->fix.replica), COORD_NODE, &id);

    assert(object != NULL);
    return object->node.raft_id;
}

void house_greet(struct house *house, unsigned node)
{
    replica_fix_up(&house->fix, node);
    replica_fix_hello(&house->fix, node, house_number(house, node), 1);
    replica_fix_run(&house->fix, 0);
}

void house_move_in(struct house *house)
{
    struct coord_replica_status status;

    *house = (struct house){.answer_count = 0};
    replica_fix_start(&house->fix, true);
    house->ops = *house->fix.link.ops;
    house->ops.send = note_send;
    house->ops.remove_peer = note_remove;
    house->fix.link.ops = &house->ops;
    replica_fix_found(&house->fix);
    replica_fix_join(&house->fix, HOUSE_COLLEAGUE, false);
    replica_fix_join(&house->fix, HOUSE_OBSERVER, true);
    house_greet(house, HOUSE_COLLEAGUE);
    house_greet(house, HOUSE_OBSERVER);
    replica_fix_run(&house->fix, 3000); /* members are looked at once a second */
    house_greet(house, HOUSE_COLLEAGUE);
    house_greet(house, HOUSE_OBSERVER);
    coord_replica_status(house->fix.replica, &status);
    assert(coord_config_find(&status.config, house_number(house, HOUSE_COLLEAGUE)) != NULL);
    assert(coord_config_find(&status.config, house_number(house, HOUSE_OBSERVER)) == NULL);
    assert(house->fix.role == COORD_REPLICA_LEADER);
}

void house_move_out(struct house *house)
{
    replica_fix_close(&house->fix);
}

/* dump.c - a snapshot of one moment, written while the next entries are applied.
 *
 * At its begin the dump notes every item, in order. Before an item changes or is deleted, its
 * record is packed into the note; so each record is written as it was at the begin, and only what
 * changes meanwhile costs memory. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/fsm/state.h"

enum { FRAME_SIZE = 4 };

static int put_record(struct ray_buf *out, const uint8_t *key, const uint8_t *value, size_t size,
                      struct ray_err *err)
{
    uint8_t head[FRAME_SIZE + COORD_FSM_RECORD_KEY_SIZE];
    int rc = ray_buf_reserve(out, sizeof head + size);

    if (rc != RAY_OK) {
        return fsm_refuse(err, rc, "a record of %zu bytes", size);
    }
    ray_store32le(head, (uint32_t)(COORD_FSM_RECORD_KEY_SIZE + size));
    memcpy(head + FRAME_SIZE, key, COORD_FSM_RECORD_KEY_SIZE);
    (void)ray_buf_append(out, head, sizeof head); /* there is room */
    (void)ray_buf_append(out, value, size);
    return RAY_OK;
}

static void note_order(struct fsm_dump *dump, struct fsm_order *order)
{
    fsm_order_sort(order);
    for (size_t i = 0; i < order->count; i++) {
        struct fsm_item *item = order->items[i];
        struct fsm_dump_slot *slot = &dump->slots[dump->count++];

        *slot = (struct fsm_dump_slot){.item = item};
        memcpy(slot->key, item->key, sizeof slot->key);
        item->dump_slot = (uint32_t)dump->count;
    }
}

static int put_machine(struct coord_fsm *fsm, struct ray_err *err)
{
    const struct ray_id none = {0};
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
    const uint8_t *value;
    size_t size;
    int rc;

    fsm_arena_reset(&fsm->scratch);
    fsm_key(key, FSM_RECORD_MACHINE, 0, &none);
    rc = fsm_machine_pack(fsm, &fsm->scratch, &value, &size, err);
    return rc == RAY_OK ? put_record(&fsm->dump.head, key, value, size, err) : rc;
}

int coord_fsm_dump_begin(struct coord_fsm *fsm, struct ray_err *err)
{
    struct fsm_dump *dump = &fsm->dump;
    size_t count = fsm->objects.count + fsm->sessions.count;
    int rc;

    if (dump->slots != NULL) {
        return fsm_refuse(err, RAY_EAGAIN, "a dump is under way");
    }
    if (fsm->halt_code != RAY_OK) {
        return fsm_refuse(err, fsm->halt_code, "the state machine has halted");
    }
    *dump = (struct fsm_dump){.index = fsm->index, .term = fsm->term};
    ray_buf_init(&dump->head, COORD_FSM_RECORD_SIZE_MAX);
    dump->slots = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(count + 1, sizeof *dump->slots);
    if (dump->slots == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "a dump of %zu records", count);
    }
    rc = put_machine(fsm, err);
    if (rc != RAY_OK) {
        coord_fsm_dump_end(fsm);
        return rc;
    }
    for (size_t kind = 0; kind < COORD_KIND_COUNT; kind++) {
        note_order(dump, &fsm->order[kind]);
    }
    note_order(dump, &fsm->session_order);
    assert(dump->count == count);
    return RAY_OK;
}

uint64_t coord_fsm_dump_index(const struct coord_fsm *fsm)
{
    return fsm->dump.slots != NULL ? fsm->dump.index : 0;
}

uint64_t coord_fsm_dump_term(const struct coord_fsm *fsm)
{
    return fsm->dump.slots != NULL ? fsm->dump.term : 0;
}

int coord_fsm_dump_size(struct coord_fsm *fsm, uint64_t *out_size, struct ray_err *err)
{
    struct fsm_dump *dump = &fsm->dump;
    uint64_t total = dump->head.size;

    assert(dump->slots != NULL && dump->next == 0);
    for (size_t i = 0; i < dump->count; i++) {
        const uint8_t *bytes;
        size_t size = dump->slots[i].image_size;

        if (dump->slots[i].item != NULL) {
            int rc;

            fsm_arena_reset(&fsm->scratch);
            rc = fsm_item_pack(dump->slots[i].item, &fsm->scratch, &bytes, &size, err);
            if (rc != RAY_OK) {
                return rc;
            }
        }
        total += FRAME_SIZE + COORD_FSM_RECORD_KEY_SIZE + size;
    }
    *out_size = total;
    return RAY_OK;
}

int fsm_dump_save(struct coord_fsm *fsm, struct fsm_item *item)
{
    struct fsm_dump_slot *slot;
    const uint8_t *bytes;
    size_t size;
    int rc;

    if (item->dump_slot == 0) {
        return RAY_OK;
    }
    assert(fsm->dump.slots != NULL && item->dump_slot <= fsm->dump.count);
    slot = &fsm->dump.slots[item->dump_slot - 1];
    assert(slot->item == item);
    fsm_arena_reset(&fsm->scratch);
    rc = fsm_item_pack(item, &fsm->scratch, &bytes, &size, NULL);
    if (rc == RAY_OK) {
        slot->image = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(size);
    }
    if (slot->image == NULL) {
        return RAY_ENOMEM;
    }
    memcpy(slot->image, bytes, size);
    slot->image_size = (uint32_t)size;
    slot->item = NULL;
    item->dump_slot = 0;
    return RAY_OK;
}

static int write_slot(struct coord_fsm *fsm, struct fsm_dump_slot *slot, struct ray_buf *out,
                      struct ray_err *err)
{
    const uint8_t *bytes = slot->image;
    size_t size = slot->image_size;
    int rc = RAY_OK;

    if (slot->item != NULL) {
        fsm_arena_reset(&fsm->scratch);
        rc = fsm_item_pack(slot->item, &fsm->scratch, &bytes, &size, err);
    }
    if (rc == RAY_OK) {
        rc = put_record(out, slot->key, bytes, size, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (slot->item != NULL) {
        slot->item->dump_slot = 0;
    }
    free(slot->image);
    slot->item = NULL;
    slot->image = NULL;
    return RAY_OK;
}

int coord_fsm_dump_next(struct coord_fsm *fsm, struct ray_buf *out, size_t size_min, bool *out_done,
                        struct ray_err *err)
{
    struct fsm_dump *dump = &fsm->dump;
    size_t begin = out->size;
    int rc;

    assert(dump->slots != NULL);
    if (dump->head.size > 0) {
        rc = ray_buf_append(out, dump->head.data, dump->head.size);
        if (rc != RAY_OK) {
            return fsm_refuse(err, rc, "the first record of a dump");
        }
        ray_buf_clear(&dump->head);
    }
    while (dump->next < dump->count && out->size - begin < size_min) {
        rc = write_slot(fsm, &dump->slots[dump->next], out, err);
        if (rc != RAY_OK) {
            return rc;
        }
        dump->next++;
    }
    *out_done = dump->next == dump->count;
    return RAY_OK;
}

void coord_fsm_dump_end(struct coord_fsm *fsm)
{
    struct fsm_dump *dump = &fsm->dump;

    for (size_t i = dump->next; i < dump->count; i++) {
        if (dump->slots[i].item != NULL) {
            dump->slots[i].item->dump_slot = 0;
        }
        free(dump->slots[i].image);
    }
    free(dump->slots);
    ray_buf_fini(&dump->head);
    *dump = (struct fsm_dump){0};
}

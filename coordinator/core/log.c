/* coordinator/core/log.c - slots hold running sums of sizes, so that "how much lies above" is a
 * subtraction. A block is freed with the last of its entries. */
#include "coordinator/core/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_COUNT_MIN = 256 };

struct coord_log_block {
    size_t live_count;
    uint8_t bytes[];
};

struct coord_log_slot {
    uint64_t term;
    uint64_t end; /* sum of costs of all entries up to and with this */
    struct coord_log_block *block;
    const uint8_t *data;
    uint32_t size;
    enum coord_entry_type type;
};

/* What one entry costs against the limit. */
static size_t cost_of(size_t size)
{
    return size + sizeof(struct coord_log_slot);
}

static struct coord_log_slot *slot_of(const struct coord_log *log, uint64_t index)
{
    return &log->slots[index & (log->slot_count - 1)];
}

static void drop_slot(struct coord_log_slot *slot)
{
    if (slot->block != NULL && --slot->block->live_count == 0) {
        free(slot->block);
    }
    *slot = (struct coord_log_slot){0};
}

void coord_log_init(struct coord_log *log, size_t size_max)
{
    *log = (struct coord_log){.first_index = 1, .next_index = 1, .size_max = size_max};
}

void coord_log_fini(struct coord_log *log)
{
    coord_log_clear(log, 1);
    free(log->slots);
    *log = (struct coord_log){0};
}

void coord_log_clear(struct coord_log *log, uint64_t next_index)
{
    while (log->first_index < log->next_index) {
        drop_slot(slot_of(log, log->first_index++));
    }
    log->first_index = next_index;
    log->next_index = next_index;
    log->held_size = 0;
}

static int grow(struct coord_log *log, size_t count)
{
    size_t new_count = log->slot_count == 0 ? SLOT_COUNT_MIN : log->slot_count;
    struct coord_log_slot *slots;

    while (new_count < count) {
        new_count *= 2;
    }
    if (new_count == log->slot_count) {
        return RAY_OK;
    }
    slots = calloc(new_count, sizeof *slots);
    if (slots == NULL) {
        return RAY_ENOMEM;
    }
    for (uint64_t i = log->first_index; i < log->next_index; i++) {
        slots[i & (new_count - 1)] = *slot_of(log, i);
    }
    free(log->slots);
    log->slots = slots;
    log->slot_count = new_count;
    return RAY_OK;
}

int coord_log_append(struct coord_log *log, const struct coord_entry *entries, size_t count)
{
    struct coord_log_block *block = NULL;
    uint64_t end = log->first_index < log->next_index ? slot_of(log, log->next_index - 1)->end : 0;
    size_t size = 0;
    uint8_t *at;

    for (size_t i = 0; i < count; i++) {
        assert(entries[i].index == log->next_index + i);
        assert(entries[i].size == 0 || entries[i].data != NULL);
        size += entries[i].size;
    }
    if (grow(log, (size_t)(log->next_index - log->first_index) + count) != RAY_OK) {
        return RAY_ENOMEM;
    }
    if (size > 0) {
        block = malloc(sizeof *block + size);
        if (block == NULL) {
            return RAY_ENOMEM;
        }
        block->live_count = count;
    }
    at = block == NULL ? NULL : block->bytes;
    for (size_t i = 0; i < count; i++) {
        const struct coord_entry *entry = &entries[i];

        end += cost_of(entry->size);
        *slot_of(log, log->next_index++) = (struct coord_log_slot){
            .term = entry->term,
            .end = end,
            .block = block,
            .data = entry->size == 0 ? NULL : at,
            .size = entry->size,
            .type = entry->type,
        };
        if (entry->size > 0 && at != NULL) {
            memcpy(at, entry->data, entry->size);
            at += entry->size;
        }
        log->held_size += cost_of(entry->size);
    }
    return RAY_OK;
}

void coord_log_truncate(struct coord_log *log, uint64_t index)
{
    if (index <= log->first_index) {
        coord_log_clear(log, index);
        return;
    }
    while (log->next_index > index) {
        struct coord_log_slot *slot = slot_of(log, --log->next_index);

        log->held_size -= cost_of(slot->size);
        drop_slot(slot);
    }
}

void coord_log_evict(struct coord_log *log, uint64_t floor_index)
{
    while (log->held_size > log->size_max && log->first_index < log->next_index &&
           log->first_index <= floor_index) {
        struct coord_log_slot *slot = slot_of(log, log->first_index++);

        log->held_size -= cost_of(slot->size);
        drop_slot(slot);
    }
}

bool coord_log_get(const struct coord_log *log, uint64_t index, struct coord_entry *out)
{
    const struct coord_log_slot *slot;

    if (index < log->first_index || index >= log->next_index) {
        return false;
    }
    slot = slot_of(log, index);
    *out = (struct coord_entry){.term = slot->term,
                                .index = index,
                                .type = slot->type,
                                .size = slot->size,
                                .data = slot->data};
    return true;
}

size_t coord_log_size_above(const struct coord_log *log, uint64_t index)
{
    if (index < log->first_index) {
        return log->held_size;
    }
    if (index + 1 >= log->next_index) {
        return 0;
    }
    return (size_t)(slot_of(log, log->next_index - 1)->end - slot_of(log, index)->end);
}

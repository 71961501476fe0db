/* table_query.c - reading the table. */
#include <assert.h>
#include <string.h>

#include "provisioning/machines/table_internal.h"

size_t provision_table_count(const struct provision_table *table)
{
    return table->slot_count;
}

const struct provision_record *provision_table_at(const struct provision_table *table, size_t index)
{
    assert(index < table->slot_count);
    return &table->slots[index]->record;
}

const struct provision_record *provision_table_find(const struct provision_table *table,
                                                    const struct provision_mac *mac)
{
    const struct table_slot *slot = table_find_slot(table, mac);

    return slot != NULL ? &slot->record : NULL;
}

int provision_table_resolve(const struct provision_table *table, const char *text,
                            const struct provision_record **out, struct ray_err *err)
{
    const struct provision_record *by_node_name = NULL;
    struct provision_mac mac;
    size_t count = 0;

    if (provision_mac_parse(text, &mac) == RAY_OK) {
        by_node_name = provision_table_find(table, &mac);
        count = by_node_name != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < table->slot_count && text[0] != '\0'; i++) {
        const struct provision_record *record = &table->slots[i]->record;

        if (strcmp(record->name, text) == 0) { /* unique, and the operator's word wins */
            *out = record;
            return RAY_OK;
        }
        if (strcmp(record->node_name, text) == 0) {
            by_node_name = record;
            count++;
        }
    }
    if (count > 1) {
        (void)ray_fail(err, RAY_ECONFLICT, "%zu machines say that they are '%s'", count, text);
        (void)ray_next(err, "give the MAC address, which 'clusterctl machine list' shows");
        return RAY_ECONFLICT;
    }
    if (count == 0) {
        (void)ray_fail(err, RAY_ENOTFOUND, "no machine '%s'", text);
        (void)ray_next(err, "run 'clusterctl machine list'");
        return RAY_ENOTFOUND;
    }
    *out = by_node_name;
    return RAY_OK;
}

size_t provision_table_group_count(const struct provision_table *table)
{
    return table->group_count;
}

const struct provision_group *provision_table_group_at(const struct provision_table *table,
                                                       size_t index)
{
    assert(index < table->group_count);
    return &table->groups[index];
}

const struct provision_group *provision_table_group_find(const struct provision_table *table,
                                                         const char *name)
{
    for (size_t i = 0; i < table->group_count; i++) {
        if (strcmp(table->groups[i].name, name) == 0) {
            return &table->groups[i];
        }
    }
    return NULL;
}

void provision_table_decide(const struct provision_table *table, const struct provision_mac *mac,
                            struct provision_candidate *images, size_t image_count,
                            struct provision_decision *out)
{
    const struct provision_record *record = provision_table_find(table, mac);
    const struct provision_group *group =
        record != NULL ? provision_table_group_find(table, record->group) : NULL;

    for (size_t i = 0; i < image_count; i++) {
        images[i].good_us = 0;
        for (size_t k = 0; k < table->good_count; k++) {
            if (strcmp(table->goods[k].image_id, images[i].image.id) == 0) {
                images[i].good_us = table->goods[k].good_us;
            }
        }
    }
    provision_decide(record, group != NULL ? &group->assignment : NULL, images, image_count, out);
}

bool provision_table_uses_image(const struct provision_table *table, const char *image_id,
                                uint64_t since_us)
{
    for (size_t i = 0; i < table->group_count; i++) {
        if (strcmp(table->groups[i].assignment.image_id, image_id) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        const struct provision_record *record = &table->slots[i]->record;
        const struct provision_record_image *image = provision_record_find_image(record, image_id);

        if (strcmp(record->assignment.image_id, image_id) == 0 ||
            (image != NULL && image->tried_us >= since_us)) {
            return true;
        }
    }
    return false;
}

void provision_table_stats(const struct provision_table *table, struct provision_table_stats *out)
{
    *out = table->stats;
    out->machine_count = table->slot_count;
    out->group_count = table->group_count;
    out->dirty_count = table->removal_count + (table->groups_are_dirty ? 1 : 0);
    for (size_t i = 0; i < table->slot_count; i++) {
        const struct table_slot *slot = table->slots[i];

        out->outcome_counts[slot->record.outcome]++;
        out->known_count += provision_record_is_known(&slot->record) ? 1 : 0;
        out->dirty_count += slot->is_dirty ? 1 : 0;
    }
}

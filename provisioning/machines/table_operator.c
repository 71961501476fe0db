/* table_operator.c - what operators do. Every change is counted; what it made dirty carries that
 * number until it is durable, which is what provision_table_sync waits for. */
#include <stdio.h>
#include <string.h>

#include "provisioning/machines/table_internal.h"

static void note_change(struct provision_table *table, struct table_slot *slot, uint64_t before)
{
    table->change++;
    if (slot->urgent == 0) {
        slot->urgent = table->change;
    }
    table_changed(table, slot, before);
}

/* An operator may set up a machine before it was ever seen. */
static int touch_for_operator(struct provision_table *table, const struct provision_mac *mac,
                              const struct provision_time *now, struct table_slot **out_slot,
                              struct ray_err *err)
{
    bool is_new = table_find_slot(table, mac) == NULL;
    int rc = table_touch(table, mac, now, out_slot, err);

    if (rc == RAY_OK && is_new) {
        (*out_slot)->record.first_seen_us = 0;
        (*out_slot)->record.last_seen_us = 0;
    }
    return rc;
}

static void forgive(struct provision_record *record, const struct provision_assignment *assignment)
{
    for (size_t i = 0; i < record->image_count; i++) {
        const char *id = record->images[i].id;

        if (assignment->image_id[0] == '\0' || strcmp(assignment->image_id, id) == 0) {
            provision_record_forgive(record, id);
        }
    }
}

static const char *describe(const struct provision_assignment *assignment,
                            char out[static PROVISION_RECORD_DETAIL_SIZE])
{
    const char *image = assignment->image_id[0] != '\0' ? assignment->image_id : "newest";

    if (!assignment->is_set) {
        (void)snprintf(out, PROVISION_RECORD_DETAIL_SIZE, "nothing of its own");
    } else if (assignment->wish == PROVISION_WISH_LIVE) {
        (void)snprintf(out, PROVISION_RECORD_DETAIL_SIZE, "live %.16s %.50s", image,
                       assignment->arguments);
    } else {
        (void)snprintf(out, PROVISION_RECORD_DETAIL_SIZE, "%s",
                       provision_wish_word(assignment->wish));
    }
    return out;
}

static int check_assignment(const struct provision_assignment *assignment, struct ray_err *err)
{
    return assignment->is_set ? provision_assignment_check(assignment, err) : RAY_OK;
}

int provision_table_assign(struct provision_table *table, const struct provision_mac *mac,
                           const struct provision_assignment *assignment,
                           const struct provision_time *now, struct ray_err *err)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    struct table_slot *slot = NULL;
    uint64_t before;
    int rc = check_assignment(assignment, err);

    if (rc == RAY_OK) {
        rc = touch_for_operator(table, mac, now, &slot, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    before = slot->record.sequence;
    if (assignment->is_set) {
        slot->record.assignment = *assignment;
        forgive(&slot->record, assignment);
    } else {
        slot->record.assignment = (struct provision_assignment){0};
    }
    provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED,
                         describe(assignment, detail), now);
    note_change(table, slot, before);
    return RAY_OK;
}

static const struct provision_record *find_name(const struct provision_table *table,
                                                const char *name)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        if (strcmp(table->slots[i]->record.name, name) == 0) {
            return &table->slots[i]->record;
        }
    }
    return NULL;
}

/* A name of a machine or of a group, or "" for none. */
static int check_name(const char *name, struct ray_err *err)
{
    if (name[0] != '\0' && !provision_record_is_name(name)) {
        return ray_fail(err, RAY_EINVAL,
                        "a name has up to %d of a-z, 0-9 and '-', and no '-' at its ends",
                        PROVISION_RECORD_NAME_SIZE - 1);
    }
    return RAY_OK;
}

int provision_table_set_name(struct provision_table *table, const struct provision_mac *mac,
                             const char *name, const struct provision_time *now,
                             struct ray_err *err)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    const struct provision_record *other;
    struct table_slot *slot = NULL;
    uint64_t before;
    int rc = check_name(name, err);

    if (rc != RAY_OK) {
        return rc;
    }
    other = name[0] != '\0' ? find_name(table, name) : NULL;
    if (other != NULL && memcmp(&other->mac, mac, sizeof(*mac)) != 0) {
        char text[PROVISION_MAC_TEXT_SIZE];

        return ray_fail(err, RAY_EEXISTS, "machine %s has the name '%s'",
                        provision_mac_format(&other->mac, text), name);
    }
    rc = touch_for_operator(table, mac, now, &slot, err);
    if (rc != RAY_OK) {
        return rc;
    }
    before = slot->record.sequence;
    (void)snprintf(slot->record.name, sizeof(slot->record.name), "%s", name);
    (void)snprintf(detail, sizeof(detail), name[0] != '\0' ? "name %s" : "no name", name);
    provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED, detail, now);
    note_change(table, slot, before);
    return RAY_OK;
}

int provision_table_set_group(struct provision_table *table, const struct provision_mac *mac,
                              const char *group, const struct provision_time *now,
                              struct ray_err *err)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    struct table_slot *slot = NULL;
    uint64_t before;
    int rc = check_name(group, err);

    if (rc == RAY_OK) {
        rc = touch_for_operator(table, mac, now, &slot, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    before = slot->record.sequence;
    (void)snprintf(slot->record.group, sizeof(slot->record.group), "%s", group);
    (void)snprintf(detail, sizeof(detail), group[0] != '\0' ? "group %s" : "no group", group);
    provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED, detail, now);
    note_change(table, slot, before);
    return RAY_OK;
}

/* Where the group is, or would be. */
static size_t group_position(const struct provision_table *table, const char *name, bool *out_found)
{
    size_t i = 0;

    while (i < table->group_count && strcmp(table->groups[i].name, name) < 0) {
        i++;
    }
    *out_found = i < table->group_count && strcmp(table->groups[i].name, name) == 0;
    return i;
}

/* Its machines get new tries, and say so. */
static void tell_group(struct provision_table *table, const char *group,
                       const struct provision_assignment *assignment,
                       const struct provision_time *now)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    char what[PROVISION_RECORD_DETAIL_SIZE];

    (void)snprintf(detail, sizeof(detail), "group %s: %.38s", group, describe(assignment, what));
    for (size_t i = 0; i < table->slot_count; i++) {
        struct table_slot *slot = table->slots[i];
        uint64_t before = slot->record.sequence;

        if (strcmp(slot->record.group, group) == 0 && !slot->record.assignment.is_set) {
            if (assignment->is_set) {
                forgive(&slot->record, assignment);
            }
            provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED, detail, now);
            table_changed(table, slot, before);
        }
    }
}

int provision_table_group_assign(struct provision_table *table, const char *group,
                                 const struct provision_assignment *assignment,
                                 const struct provision_time *now, struct ray_err *err)
{
    bool is_found;
    size_t position;
    int rc = check_assignment(assignment, err);

    if (rc == RAY_OK && group[0] == '\0') {
        rc = ray_fail(err, RAY_EINVAL, "a group needs a name");
    }
    if (rc == RAY_OK) {
        rc = check_name(group, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    position = group_position(table, group, &is_found);
    if (!is_found && !assignment->is_set) {
        return ray_fail(err, RAY_ENOTFOUND, "group '%s' has no assignment", group);
    }
    if (!is_found && table->group_count == PROVISION_TABLE_GROUP_COUNT_MAX) {
        return ray_fail(err, RAY_ENOSPC, "there are %d groups with an assignment, the most",
                        PROVISION_TABLE_GROUP_COUNT_MAX);
    }
    if (!assignment->is_set) {
        table->group_count--;
        memmove(&table->groups[position], &table->groups[position + 1],
                (table->group_count - position) * sizeof(table->groups[0]));
    } else {
        if (!is_found) {
            memmove(&table->groups[position + 1], &table->groups[position],
                    (table->group_count - position) * sizeof(table->groups[0]));
            table->group_count++;
        }
        table->groups[position] = (struct provision_group){.assignment = *assignment};
        (void)snprintf(table->groups[position].name, sizeof(table->groups[position].name), "%s",
                       group);
    }
    table->change++;
    table->groups_are_dirty = true;
    if (table->groups_urgent == 0) {
        table->groups_urgent = table->change;
    }
    table_wake_writer(table);
    tell_group(table, group, assignment, now);
    return RAY_OK;
}

static int find_for_operator(struct provision_table *table, const struct provision_mac *mac,
                             struct table_slot **out_slot, struct ray_err *err)
{
    char text[PROVISION_MAC_TEXT_SIZE];

    *out_slot = table_find_slot(table, mac);
    return *out_slot != NULL
               ? RAY_OK
               : ray_fail(err, RAY_ENOTFOUND, "no machine %s", provision_mac_format(mac, text));
}

int provision_table_retry(struct provision_table *table, const struct provision_mac *mac,
                          const struct provision_time *now, struct ray_err *err)
{
    struct table_slot *slot = NULL;
    uint64_t before;
    int rc = find_for_operator(table, mac, &slot, err);

    if (rc != RAY_OK) {
        return rc;
    }
    before = slot->record.sequence;
    for (size_t i = 0; i < slot->record.image_count; i++) {
        provision_record_forgive(&slot->record, slot->record.images[i].id);
    }
    provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED, "new tries of its images",
                         now);
    note_change(table, slot, before);
    return RAY_OK;
}

int provision_table_note_reason(struct provision_table *table, const struct provision_mac *mac,
                                const char *reason, const struct provision_time *now,
                                struct ray_err *err)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    struct table_slot *slot = NULL;
    uint64_t before;
    int rc = find_for_operator(table, mac, &slot, err);

    if (rc != RAY_OK) {
        return rc;
    }
    before = slot->record.sequence;
    (void)snprintf(detail, sizeof(detail), "because: %.70s", reason);
    provision_record_add(&slot->record, PROVISION_RECORD_EVENT_ASSIGNED, detail, now);
    note_change(table, slot, before);
    return RAY_OK;
}

int provision_table_forget(struct provision_table *table, const struct provision_mac *mac,
                           struct ray_err *err)
{
    struct table_slot *slot = table_find_slot(table, mac);
    char text[PROVISION_MAC_TEXT_SIZE];

    if (slot == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no machine %s", provision_mac_format(mac, text));
    }
    if (table_drop_slot(table, slot, table->change + 1) != RAY_OK) {
        return ray_fail(err, RAY_ENOSPC, "too many records wait to be removed");
    }
    table->change++;
    return RAY_OK;
}

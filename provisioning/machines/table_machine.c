/* table_machine.c - what machines do: each act is one change of one record (record.c), then the
 * table's bookkeeping. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "provisioning/machines/table_internal.h"

struct act {
    struct table_slot *slot;
    uint64_t before; /* where its timeline ended */
};

static int begin(struct provision_table *table, const struct provision_mac *mac,
                 const struct provision_time *now, struct act *out)
{
    int rc = table_touch(table, mac, now, &out->slot, NULL);

    if (rc == RAY_OK) {
        out->before = out->slot->record.sequence;
    }
    return rc;
}

static void end(struct provision_table *table, const struct act *act)
{
    table_changed(table, act->slot, act->before);
}

int provision_table_note(struct provision_table *table, const struct provision_mac *mac,
                         enum provision_record_event_kind kind, const char *detail,
                         const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc == RAY_OK) {
        provision_record_add(&act.slot->record, kind, detail, now);
        end(table, &act);
    }
    return rc;
}

int provision_table_learn(struct provision_table *table, const struct provision_mac *mac,
                          const struct provision_record_facts *facts,
                          const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc == RAY_OK) {
        act.slot->record.last_seen_us = now->real_us;
        (void)provision_record_learn(&act.slot->record, facts);
        end(table, &act);
    }
    return rc;
}

int provision_table_served(struct provision_table *table, const struct provision_mac *mac,
                           const struct provision_decision *decision,
                           enum provision_record_event_kind how, const struct provision_time *now)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    struct provision_record *record;
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc != RAY_OK) {
        return rc;
    }
    record = &act.slot->record;
    if (decision->action == PROVISION_ACTION_BOOT) {
        assert(decision->image != NULL);
        provision_record_try_begin(record, &decision->image->image, now);
        table_watch_tries(table);
        (void)snprintf(detail, sizeof(detail), "%.70s", decision->image->image.version);
    } else {
        (void)snprintf(detail, sizeof(detail), "%s: %.60s", provision_action_word(decision->action),
                       decision->reason);
    }
    if (decision->is_fallback) {
        provision_record_add(record, PROVISION_RECORD_EVENT_FALLBACK, decision->reason, now);
    }
    provision_record_add(record, how, detail, now);
    end(table, &act);
    return RAY_OK;
}

int provision_table_image_start(struct provision_table *table, const struct provision_mac *mac,
                                const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc == RAY_OK) {
        provision_record_image_start(&act.slot->record, now);
        end(table, &act);
    }
    return rc;
}

int provision_table_image_done(struct provision_table *table, const struct provision_mac *mac,
                               const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc == RAY_OK) {
        provision_record_image_done(&act.slot->record, now);
        end(table, &act);
    }
    return rc;
}

int provision_table_image_broken(struct provision_table *table, const struct provision_mac *mac,
                                 const char *why, const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, mac, now, &act);

    if (rc == RAY_OK) {
        provision_record_image_broken(&act.slot->record, why, now);
        end(table, &act);
    }
    return rc;
}

int provision_table_hello(struct provision_table *table, const struct provision_hello *hello,
                          const struct provision_time *now)
{
    struct act act;
    int rc = begin(table, &hello->mac, now, &act);

    if (rc != RAY_OK) {
        return rc;
    }
    if (provision_record_hello(&act.slot->record, hello, now)) {
        const struct provision_record *record = &act.slot->record;
        const struct provision_record_image *image =
            provision_record_find_image(record, record->last_try.image.id);

        assert(image != NULL);
        table->stats.good_count++;
        table_note_good(table, image->id, image->good_us);
    }
    end(table, &act);
    return RAY_OK;
}

void table_note_good(struct provision_table *table, const char *image_id, uint64_t good_us)
{
    size_t place = 0;

    while (place < table->good_count && strcmp(table->goods[place].image_id, image_id) != 0) {
        place++;
    }
    if (place == TABLE_GOOD_COUNT_MAX) { /* the oldest gives way: four stores full of images */
        place = 0;
        for (size_t i = 1; i < table->good_count; i++) {
            place = table->goods[i].good_us < table->goods[place].good_us ? i : place;
        }
        table->goods[place].good_us = 0;
    } else if (place == table->good_count) {
        table->good_count++;
        table->goods[place].good_us = 0;
    }
    (void)snprintf(table->goods[place].image_id, sizeof(table->goods[place].image_id), "%s",
                   image_id);
    if (good_us > table->goods[place].good_us) {
        table->goods[place].good_us = good_us;
    }
}

void provision_table_expire(struct provision_table *table, const struct provision_time *now)
{
    bool is_any_open = false;

    for (size_t i = 0; i < table->slot_count; i++) {
        struct table_slot *slot = table->slots[i];
        uint64_t last_seen_us = slot->record.last_seen_us;
        uint64_t before = slot->record.sequence;

        if (provision_record_expire(&slot->record, now)) {
            slot->record.last_seen_us = last_seen_us; /* silence is not being seen */
            table_changed(table, slot, before);
        }
        is_any_open |= slot->record.last_try.is_open;
    }
    if (!is_any_open && table->loop != NULL) {
        ray_timer_stop(&table->expire_timer);
    }
}

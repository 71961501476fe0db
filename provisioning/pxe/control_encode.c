/* Records as messages. Only what fits one message is sent: a record has at most 64 events and 16
 * images, about 15 KiB. */
#include <string.h>

#include "base/size.h"
#include "provisioning/pxe/arch.h"
#include "provisioning/pxe/control_internal.h"

enum { FINGERPRINT_PREFIX_LENGTH_MIN = 6 };

char *control_text(const char *borrowed)
{
    return (char *)(uintptr_t)borrowed;
}

Rayos__Provision__Assignment *
control_encode_assignment(struct ray_arena *arena, const struct provision_assignment *assignment)
{
    Rayos__Provision__Assignment *out = ray_arena_alloc(arena, sizeof(*out));

    if (out == NULL) {
        return NULL;
    }
    rayos__provision__assignment__init(out);
    if (assignment->is_set) {
        out->boot = control_text(provision_wish_word(assignment->wish));
        out->image = control_text(assignment->image_id);
        out->arguments = control_text(assignment->arguments);
    }
    return out;
}

void control_encode_event(Rayos__Provision__TimelineEvent *out,
                          const struct provision_record_event *event)
{
    rayos__provision__timeline_event__init(out);
    out->at_us = event->at_us;
    out->kind = control_text(provision_record_event_word(event->kind));
    out->detail = control_text(event->detail);
    out->count = event->count;
}

static bool encode_timeline(struct ray_arena *arena, const struct provision_record *record,
                            Rayos__Provision__Machine *out)
{
    out->timeline = ray_arena_alloc(arena, (record->event_count + 1) * sizeof(out->timeline[0]));
    for (size_t i = 0; out->timeline != NULL && i < record->event_count; i++) {
        Rayos__Provision__TimelineEvent *event = ray_arena_alloc(arena, sizeof(*event));

        if (event == NULL) {
            return false;
        }
        control_encode_event(event, &record->events[i]);
        out->timeline[out->n_timeline++] = event;
    }
    return out->timeline != NULL;
}

static bool encode_images(struct provision_control *control, struct ray_arena *arena,
                          const struct provision_record *record, Rayos__Provision__Machine *out)
{
    out->images = ray_arena_alloc(arena, (record->image_count + 1) * sizeof(out->images[0]));
    for (size_t i = 0; out->images != NULL && i < record->image_count; i++) {
        const struct provision_record_image *image = &record->images[i];
        Rayos__Provision__ImageResult *result = ray_arena_alloc(arena, sizeof(*result));
        struct provision_store_image stored;

        if (result == NULL) {
            return false;
        }
        rayos__provision__image_result__init(result);
        result->image = control_text(image->id);
        result->failure_count = image->failure_count;
        result->tried_at_us = image->tried_us;
        result->good_at_us = image->good_us;
        if (provision_store_find(control->service->store, image->id, &stored, NULL) == RAY_OK) {
            result->version =
                ray_arena_strndup(arena, stored.manifest.version, strlen(stored.manifest.version));
            if (result->version == NULL) {
                return false;
            }
        }
        out->images[out->n_images++] = result;
    }
    return out->images != NULL;
}

static void encode_facts(const struct provision_record *record, Rayos__Provision__Machine *out)
{
    const struct provision_record_facts *facts = &record->facts;

    out->arch = control_text(facts->arch);
    out->uuid = control_text(facts->uuid);
    out->serial = control_text(facts->serial);
    out->vendor = control_text(facts->vendor);
    out->product = control_text(facts->product);
    out->cpu = control_text(facts->cpu);
    out->memory_bytes = facts->memory_bytes;
    out->disk_count = facts->disk_count;
    out->fingerprint = control_text(record->fingerprint);
    out->words = control_text(record->words);
    out->node_name = control_text(record->node_name);
}

/* The last address it was seen with: by lease. */
static const char *address_of(const struct provision_control *control, const char *mac)
{
    const struct provision_tracker *tracker = &control->service->tracker;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(tracker->leases); i++) {
        if (strcmp(tracker->leases[i].mac, mac) == 0) {
            return tracker->leases[i].ip;
        }
    }
    return "";
}

void control_decide(struct provision_control *control, const struct provision_record *record,
                    const struct provision_assignment *group, struct provision_decision *out)
{
    struct provision_service *service = control->service;

    /* Makes the list of candidates, with the times at which they were good. */
    provision_images_decide(service, &record->mac, provision_arch_of_word(record->facts.arch)->path,
                            out);
    provision_decide(record, group, service->candidates, service->candidate_count, out);
}

static bool encode_action(struct provision_control *control, struct ray_arena *arena,
                          const struct provision_record *record, Rayos__Provision__Machine *out)
{
    const struct provision_group *group =
        record->group[0] != '\0'
            ? provision_table_group_find(control->service->table, record->group)
            : NULL;
    struct provision_decision decision;

    control_decide(control, record, group != NULL ? &group->assignment : NULL, &decision);
    out->action = control_text(provision_action_word(decision.action));
    out->action_reason = ray_arena_strndup(arena, decision.reason, strlen(decision.reason));
    if (decision.arguments[0] != '\0' &&
        provision_arch_of_word(record->facts.arch)->path == PROVISION_BOOT_UEFI_HTTP) {
        out->warning = control_text("kernel arguments are ignored: it boots by UEFI HTTP boot, "
                                    "which cannot give them; PXE can");
    }
    return out->action_reason != NULL;
}

Rayos__Provision__Machine *control_encode_machine(struct provision_control *control,
                                                  struct ray_arena *arena,
                                                  const struct provision_record *record,
                                                  bool with_history)
{
    Rayos__Provision__Machine *out = ray_arena_alloc(arena, sizeof(*out));
    char *mac = ray_arena_alloc(arena, PROVISION_MAC_TEXT_SIZE);

    if (out == NULL || mac == NULL) {
        return NULL;
    }
    rayos__provision__machine__init(out);
    (void)provision_mac_format(&record->mac, mac);
    out->mac = mac;
    out->name = control_text(record->name[0] != '\0' ? record->name : record->node_name);
    out->group = control_text(record->group);
    out->outcome = control_text(provision_outcome_word(record->outcome));
    out->image = control_text(record->last_try.image.id);
    out->image_version = control_text(record->last_try.image.version);
    out->address = control_text(address_of(control, mac));
    out->first_seen_at_us = record->first_seen_us;
    out->last_seen_at_us = record->last_seen_us;
    out->is_known = provision_record_is_known(record);
    encode_facts(record, out);
    out->assignment = control_encode_assignment(arena, &record->assignment);
    if (out->assignment == NULL || !encode_action(control, arena, record, out)) {
        return NULL;
    }
    if (with_history &&
        (!encode_timeline(arena, record, out) || !encode_images(control, arena, record, out))) {
        return NULL;
    }
    return out;
}

static int resolve_fingerprint(const struct provision_control *control, const char *text,
                               const struct provision_record **out, struct ray_err *err)
{
    const struct provision_table *table = control->service->table;
    const struct provision_record *found = NULL;
    size_t length = strlen(text);

    if (length < FINGERPRINT_PREFIX_LENGTH_MIN || length >= PROVISION_HELLO_FINGERPRINT_SIZE ||
        strspn(text, "0123456789abcdef") != length) {
        return RAY_ENOTFOUND;
    }
    for (size_t i = 0; i < provision_table_count(table); i++) {
        const struct provision_record *record = provision_table_at(table, i);

        if (strncmp(record->fingerprint, text, length) == 0) {
            if (found != NULL) {
                (void)ray_fail(err, RAY_ECONFLICT, "several fingerprints begin with '%s'", text);
                (void)ray_next(err, "give more of it, or the MAC address of the machine");
                return RAY_ECONFLICT;
            }
            found = record;
        }
    }
    if (found == NULL) {
        return RAY_ENOTFOUND;
    }
    *out = found;
    return RAY_OK;
}

int control_resolve(const struct provision_control *control, const char *text,
                    const struct provision_record **out, struct ray_err *err)
{
    struct ray_err other = {0};
    int rc = provision_table_resolve(control->service->table, text, out, err);

    if (rc != RAY_ENOTFOUND) {
        return rc;
    }
    rc = resolve_fingerprint(control, text, out, &other);
    if (rc == RAY_ECONFLICT && err != NULL) {
        *err = other;
    }
    return rc;
}

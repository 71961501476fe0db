#include "provisioning/machines/assign.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Failed tries in a row, with the one that fails by being asked again. */
static uint32_t failures_of(const struct provision_record *record, const char *image_id)
{
    const struct provision_record_image *image = provision_record_find_image(record, image_id);
    const struct provision_record_try *last = &record->last_try;
    uint32_t count = image != NULL ? image->failure_count : 0;

    if (last->is_open && !last->is_broken && strcmp(last->image.id, image_id) == 0 &&
        count < UINT32_MAX) {
        count++;
    }
    return count;
}

static uint64_t good_us_of(const struct provision_record *record, const char *image_id)
{
    const struct provision_record_image *image = provision_record_find_image(record, image_id);

    return image != NULL ? image->good_us : 0;
}

/* An image that was good on this machine is never suspected: power cuts fail, too. */
static bool is_suspect(const struct provision_record *record, const char *image_id)
{
    return record != NULL && good_us_of(record, image_id) == 0 &&
           failures_of(record, image_id) >= PROVISION_RECORD_FAILURE_COUNT_MAX;
}

static const struct provision_candidate *find_candidate(const struct provision_candidate *images,
                                                        size_t count, const char *image_id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(images[i].image.id, image_id) == 0) {
            return &images[i];
        }
    }
    return NULL;
}

static const struct provision_candidate *find_newest(const struct provision_candidate *images,
                                                     size_t count)
{
    const struct provision_candidate *newest = NULL;

    for (size_t i = 0; i < count; i++) {
        if (images[i].is_usable && (newest == NULL || images[i].added_us >= newest->added_us)) {
            newest = &images[i];
        }
    }
    return newest;
}

/* The image that was good on this machine last. */
static const struct provision_candidate *find_good_here(const struct provision_record *record,
                                                        const struct provision_candidate *images,
                                                        size_t count)
{
    const struct provision_candidate *found = NULL;
    uint64_t found_us = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t good_us = good_us_of(record, images[i].image.id);

        if (images[i].is_usable && good_us != 0 && good_us >= found_us) {
            found = &images[i];
            found_us = good_us;
        }
    }
    return found;
}

/* The newest image that was good on some machine and has not failed on this one. */
static const struct provision_candidate *
find_good_elsewhere(const struct provision_record *record, const struct provision_candidate *images,
                    size_t count)
{
    const struct provision_candidate *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (images[i].is_usable && images[i].good_us != 0 &&
            !is_suspect(record, images[i].image.id) &&
            (found == NULL || images[i].added_us >= found->added_us)) {
            found = &images[i];
        }
    }
    return found;
}

/* `wanted` is suspect: what else is there? */
static void fall_back(const struct provision_record *record,
                      const struct provision_candidate *wanted,
                      const struct provision_candidate *images, size_t count,
                      struct provision_decision *out)
{
    const struct provision_candidate *other = find_good_here(record, images, count);
    uint32_t failures = failures_of(record, wanted->image.id);
    const char *why = "was good on it last";

    if (other == NULL) {
        other = find_good_elsewhere(record, images, count);
        why = "is the newest that was good on another machine";
    }
    if (other == NULL) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "%.40s failed %u times in a row on this machine, but no other image is "
                       "known to be good",
                       wanted->image.version, failures);
        return;
    }
    assert(other != wanted);
    out->image = other;
    out->is_fallback = true;
    (void)snprintf(out->reason, sizeof(out->reason),
                   "%.40s failed %u times in a row on this machine; %.40s %s",
                   wanted->image.version, failures, other->image.version, why);
}

static const char *meant_by(enum provision_source source)
{
    switch (source) {
    case PROVISION_SOURCE_MACHINE:
        return "set for this machine";
    case PROVISION_SOURCE_GROUP:
        return "set for its group";
    case PROVISION_SOURCE_DEFAULT:
        break;
    }
    return "the default";
}

static void hold(struct provision_decision *out, const char *what, const char *image_id)
{
    out->action = PROVISION_ACTION_HOLD;
    (void)snprintf(out->reason, sizeof(out->reason), "%s%.16s (%s)", what, image_id,
                   meant_by(out->source));
}

static void decide_live(const struct provision_record *record,
                        const struct provision_assignment *wanted,
                        const struct provision_candidate *images, size_t count,
                        struct provision_decision *out)
{
    const struct provision_candidate *image;

    if (record != NULL && !provision_record_is_served_arch(record->facts.arch)) {
        out->action = PROVISION_ACTION_REFUSE;
        (void)snprintf(out->reason, sizeof(out->reason),
                       "there is no image for machines that boot as %s", record->facts.arch);
        return;
    }
    if (wanted->image_id[0] != '\0') {
        image = find_candidate(images, count, wanted->image_id);
        if (image == NULL || !image->is_usable) {
            hold(out, image == NULL ? "not in the store: image " : "damaged in the store: image ",
                 wanted->image_id);
            return;
        }
    } else {
        image = find_newest(images, count);
        if (image == NULL) {
            hold(out, "there is no image in the store", "");
            return;
        }
    }
    out->action = PROVISION_ACTION_BOOT;
    out->image = image;
    /* Checked when it was set and when it was loaded; what leaves here is checked all the same. */
    if (provision_arguments_check(wanted->arguments, NULL) == RAY_OK) {
        memcpy(out->arguments, wanted->arguments, strlen(wanted->arguments) + 1);
    }
    if (is_suspect(record, image->image.id)) {
        fall_back(record, image, images, count, out);
    } else {
        (void)snprintf(out->reason, sizeof(out->reason), "%s%.40s (%s)",
                       wanted->image_id[0] != '\0' ? "image " : "newest image ",
                       image->image.version, meant_by(out->source));
    }
}

void provision_decide(const struct provision_record *record,
                      const struct provision_assignment *group,
                      const struct provision_candidate *images, size_t image_count,
                      struct provision_decision *out)
{
    struct provision_assignment wanted = {.wish = PROVISION_WISH_LIVE};

    assert(images != NULL || image_count == 0);
    *out = (struct provision_decision){.source = PROVISION_SOURCE_DEFAULT};
    if (record != NULL && record->assignment.is_set) {
        wanted = record->assignment;
        out->source = PROVISION_SOURCE_MACHINE;
    } else if (group != NULL && group->is_set) {
        wanted = *group;
        out->source = PROVISION_SOURCE_GROUP;
    }
    switch (wanted.wish) {
    case PROVISION_WISH_LIVE:
        decide_live(record, &wanted, images, image_count, out);
        return;
    case PROVISION_WISH_LOCAL_DISK:
        out->action = PROVISION_ACTION_LOCAL_DISK;
        (void)snprintf(out->reason, sizeof(out->reason), "boots from its own disk (%s)",
                       meant_by(out->source));
        return;
    case PROVISION_WISH_HOLD:
    case PROVISION_WISH_COUNT:
        break;
    }
    hold(out, "held", "");
}

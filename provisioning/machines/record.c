/* record.c - the life of a try: begun by a serving, ended once, by a hello, by time or by the
 * next request. Only close_try ends one, and only end_good clears failures, so that a count is
 * always the number of failed tries since the last good one. */
#include "provisioning/machines/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"

/* What a hello may say fits into a record. */
static_assert((int)PROVISION_HELLO_NAME_SIZE <= (int)PROVISION_RECORD_NAME_SIZE, "name");
static_assert((int)PROVISION_HELLO_TEXT_SIZE <= (int)PROVISION_VERSION_SIZE, "version");
static_assert((int)PROVISION_HELLO_HINT_SIZE <= (int)PROVISION_RECORD_HINT_SIZE, "facts");

struct provision_time provision_time_now(void)
{
    return (struct provision_time){.real_us = ray_clock_realtime_ns() / RAY_NS_PER_US,
                                   .mono_us = ray_clock_monotonic_ns() / RAY_NS_PER_US};
}

void provision_hint_copy(char *out, size_t out_size, const char *text)
{
    size_t size = 0;

    assert(out_size > 0);
    for (; *text != '\0' && size + 1 < out_size; text++) {
        bool is_printable = *text >= ' ' && *text <= '~';

        out[size++] = (char)(is_printable ? *text : '?');
    }
    out[size] = '\0';
}

/* Texts that were checked before and fit. */
static void copy_text(char *out, size_t out_size, const char *text)
{
    size_t size = strlen(text);

    assert(size < out_size);
    memcpy(out, text, size + 1);
}

bool provision_record_is_name(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size < PROVISION_RECORD_NAME_SIZE &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == size && text[0] != '-' &&
           text[size - 1] != '-';
}

bool provision_record_is_served_arch(const char *arch)
{
    static const char *const served[] = {"", "x64-bios", "x64-uefi-pxe", "x64-uefi-http"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(served); i++) {
        if (strcmp(served[i], arch) == 0) {
            return true;
        }
    }
    return false;
}

int provision_assignment_check(const struct provision_assignment *assignment, struct ray_err *err)
{
    if (!assignment->is_set) {
        return ray_fail(err, RAY_EINVAL, "the assignment says nothing");
    }
    if (assignment->wish >= PROVISION_WISH_COUNT) {
        return ray_fail(err, RAY_EINVAL, "the assignment wants nothing that is known");
    }
    if (assignment->wish != PROVISION_WISH_LIVE &&
        (assignment->image_id[0] != '\0' || assignment->arguments[0] != '\0')) {
        return ray_fail(err, RAY_EINVAL, "image and kernel arguments go only with 'live'");
    }
    if (assignment->image_id[0] != '\0' && !provision_is_sha256(assignment->image_id)) {
        return ray_fail(err, RAY_EINVAL, "an image is named by 64 hexadecimal digits");
    }
    return provision_arguments_check(assignment->arguments, err);
}

void provision_record_init(struct provision_record *record, const struct provision_mac *mac,
                           const struct provision_time *now)
{
    *record = (struct provision_record){
        .mac = *mac, .first_seen_us = now->real_us, .last_seen_us = now->real_us};
}

bool provision_record_is_known(const struct provision_record *record)
{
    return record->assignment.is_set || record->name[0] != '\0' || record->group[0] != '\0';
}

/* ---- timeline ---- */

void provision_record_add(struct provision_record *record, enum provision_record_event_kind kind,
                          const char *detail, const struct provision_time *now)
{
    struct provision_record_event event = {.kind = kind, .at_us = now->real_us, .count = 1};
    struct provision_record_event *last =
        record->event_count > 0 ? &record->events[record->event_count - 1] : NULL;

    assert(kind < PROVISION_RECORD_EVENT_KIND_COUNT);
    assert(record->event_count <= PROVISION_RECORD_EVENT_COUNT_MAX);
    provision_hint_copy(event.detail, sizeof(event.detail), detail != NULL ? detail : "");
    event.sequence = ++record->sequence;
    if (kind != PROVISION_RECORD_EVENT_ASSIGNED) { /* that one was not the machine */
        record->last_seen_us = now->real_us;
    }
    if (last != NULL && last->kind == kind && strcmp(last->detail, event.detail) == 0) {
        event.count = last->count < UINT32_MAX ? last->count + 1 : last->count;
        *last = event;
        return;
    }
    if (record->event_count == PROVISION_RECORD_EVENT_COUNT_MAX) {
        record->event_count--;
        memmove(&record->events[0], &record->events[1],
                record->event_count * sizeof(record->events[0]));
    }
    record->events[record->event_count++] = event;
}

/* ---- facts ---- */

static bool learn_text(char *known, size_t known_size, const char *text)
{
    char copy[PROVISION_RECORD_HINT_SIZE];

    assert(known_size <= sizeof(copy));
    provision_hint_copy(copy, known_size, text);
    if (copy[0] == '\0' || strcmp(copy, known) == 0) {
        return false;
    }
    copy_text(known, known_size, copy);
    return true;
}

static bool is_word(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

bool provision_record_learn(struct provision_record *record,
                            const struct provision_record_facts *facts)
{
    struct provision_record_facts *known = &record->facts;
    bool has_changed = false;

    if (is_word(facts->arch)) {
        has_changed |= learn_text(known->arch, sizeof(known->arch), facts->arch);
    }
    has_changed |= learn_text(known->uuid, sizeof(known->uuid), facts->uuid);
    has_changed |= learn_text(known->serial, sizeof(known->serial), facts->serial);
    has_changed |= learn_text(known->vendor, sizeof(known->vendor), facts->vendor);
    has_changed |= learn_text(known->product, sizeof(known->product), facts->product);
    has_changed |= learn_text(known->cpu, sizeof(known->cpu), facts->cpu);
    if (facts->memory_bytes != 0 && facts->memory_bytes != known->memory_bytes) {
        known->memory_bytes = facts->memory_bytes;
        has_changed = true;
    }
    if (facts->disk_count != 0 && facts->disk_count != known->disk_count) {
        known->disk_count = facts->disk_count;
        has_changed = true;
    }
    return has_changed;
}

/* ---- images ---- */

static struct provision_record_image *find_image(struct provision_record *record,
                                                 const char *image_id)
{
    for (size_t i = 0; i < record->image_count; i++) {
        if (strcmp(record->images[i].id, image_id) == 0) {
            return &record->images[i];
        }
    }
    return NULL;
}

const struct provision_record_image *
provision_record_find_image(const struct provision_record *record, const char *image_id)
{
    for (size_t i = 0; i < record->image_count; i++) {
        if (strcmp(record->images[i].id, image_id) == 0) {
            return &record->images[i];
        }
    }
    return NULL;
}

/* Which entry makes room: the one that was tried longest ago, but not the last good one, to
 * which the machine falls back. Entries stand in the order of their first try, so that of
 * equal times the older goes. */
static size_t choose_victim(const struct provision_record *record)
{
    size_t good = PROVISION_RECORD_IMAGE_COUNT_MAX;
    size_t victim = PROVISION_RECORD_IMAGE_COUNT_MAX;

    for (size_t i = 0; i < record->image_count; i++) {
        if (record->images[i].good_us != 0 &&
            (good == PROVISION_RECORD_IMAGE_COUNT_MAX ||
             record->images[i].good_us >= record->images[good].good_us)) {
            good = i;
        }
    }
    for (size_t i = 0; i < record->image_count; i++) {
        if (i != good && (victim == PROVISION_RECORD_IMAGE_COUNT_MAX ||
                          record->images[i].tried_us < record->images[victim].tried_us)) {
            victim = i;
        }
    }
    assert(victim < record->image_count);
    return victim;
}

static struct provision_record_image *make_image(struct provision_record *record,
                                                 const char *image_id)
{
    struct provision_record_image *image = find_image(record, image_id);

    if (image != NULL) {
        return image;
    }
    if (record->image_count == PROVISION_RECORD_IMAGE_COUNT_MAX) {
        size_t victim = choose_victim(record);

        record->image_count--;
        memmove(&record->images[victim], &record->images[victim + 1],
                (record->image_count - victim) * sizeof(record->images[0]));
    }
    image = &record->images[record->image_count++];
    *image = (struct provision_record_image){0};
    copy_text(image->id, sizeof(image->id), image_id);
    return image;
}

void provision_record_forgive(struct provision_record *record, const char *image_id)
{
    struct provision_record_image *image = find_image(record, image_id);

    if (image != NULL) {
        image->failure_count = 0;
    }
}

/* ---- tries ---- */

/* The open try ends without a node. */
static void close_try(struct provision_record *record, const char *why, bool counts,
                      const struct provision_time *now)
{
    struct provision_record_try *last = &record->last_try;
    char detail[PROVISION_RECORD_DETAIL_SIZE];

    assert(last->is_open);
    last->is_open = false;
    if (counts) {
        struct provision_record_image *image = make_image(record, last->image.id);

        image->failure_count += image->failure_count < UINT32_MAX ? 1 : 0;
        (void)snprintf(detail, sizeof(detail), "%.40s: %s (%u in a row)", last->image.version, why,
                       image->failure_count);
    } else {
        (void)snprintf(detail, sizeof(detail), "%.40s: %s", last->image.version, why);
    }
    record->outcome = PROVISION_OUTCOME_FAILED;
    provision_record_add(record, PROVISION_RECORD_EVENT_FAILED, detail, now);
}

static void end_good(struct provision_record *record, const struct provision_time *now)
{
    struct provision_record_image *image = make_image(record, record->last_try.image.id);

    assert(record->last_try.is_open);
    record->last_try.is_open = false;
    image->failure_count = 0;
    image->good_us = now->real_us != 0 ? now->real_us : 1; /* 0 means never */
}

void provision_record_try_begin(struct provision_record *record,
                                const struct provision_image_ref *image,
                                const struct provision_time *now)
{
    assert(provision_is_sha256(image->id));
    if (record->last_try.is_open) {
        bool is_broken = record->last_try.is_broken;

        close_try(record, is_broken ? "the transfer broke off" : "it asked again", !is_broken, now);
    }
    make_image(record, image->id)->tried_us = now->real_us;
    record->last_try = (struct provision_record_try){
        .image = *image, .is_open = true, .at_us = now->real_us, .mono_us = now->mono_us};
    copy_text(record->last_try.old_boot_id, sizeof(record->last_try.old_boot_id), record->boot_id);
    record->outcome = PROVISION_OUTCOME_SERVING;
    record->last_seen_us = now->real_us;
}

void provision_record_image_start(struct provision_record *record, const struct provision_time *now)
{
    provision_record_add(record, PROVISION_RECORD_EVENT_IMAGE_START, record->last_try.image.version,
                         now);
}

void provision_record_image_done(struct provision_record *record, const struct provision_time *now)
{
    record->last_try.is_broken = false;
    provision_record_add(record, PROVISION_RECORD_EVENT_IMAGE_DONE, record->last_try.image.version,
                         now);
}

void provision_record_image_broken(struct provision_record *record, const char *why,
                                   const struct provision_time *now)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];

    record->last_try.is_broken = true;
    (void)snprintf(detail, sizeof(detail), "transfer: %s", why); /* cut to fit */
    provision_record_add(record, PROVISION_RECORD_EVENT_FAILED, detail, now);
}

bool provision_record_expire(struct provision_record *record, const struct provision_time *now)
{
    struct provision_record_try *last = &record->last_try;

    if (!last->is_open) {
        return false;
    }
    if (last->mono_us == 0) {
        last->mono_us = now->mono_us;
        return false;
    }
    assert(now->mono_us >= last->mono_us);
    if (now->mono_us - last->mono_us <= PROVISION_RECORD_GOOD_WITHIN_US) {
        return false;
    }
    if (last->is_broken) {
        close_try(record, "the transfer broke off", false, now);
    } else if (last->was_interrupted) {
        close_try(record, "no word, but we were not there all the time", false, now);
        record->outcome = PROVISION_OUTCOME_UNKNOWN;
    } else {
        close_try(record, "no word within 10 minutes", true, now);
    }
    return true;
}

/* ---- hello ---- */

/* A node may not know its digest; a version alone is taken then. The digest can only help: what
 * of an image a node hashes is its own matter. */
static bool is_of_image(const struct provision_hello *hello,
                        const struct provision_image_ref *image)
{
    if (hello->image_digest[0] != '\0') {
        return strcmp(hello->image_digest, image->id) == 0 ||
               strcmp(hello->image_digest, image->efi_sha256) == 0;
    }
    return hello->image_version[0] == '\0' || strcmp(hello->image_version, image->version) == 0;
}

static void learn_hello(struct provision_record *record, const struct provision_hello *hello)
{
    struct provision_record_facts facts = {.memory_bytes = hello->memory_bytes,
                                           .disk_count = hello->disk_count};

    copy_text(facts.uuid, sizeof(facts.uuid), hello->uuid);
    copy_text(facts.serial, sizeof(facts.serial), hello->serial);
    copy_text(facts.vendor, sizeof(facts.vendor), hello->vendor);
    copy_text(facts.product, sizeof(facts.product), hello->product);
    copy_text(facts.cpu, sizeof(facts.cpu), hello->cpu);
    (void)provision_record_learn(record, &facts);
    copy_text(record->node_name, sizeof(record->node_name), hello->name);
    copy_text(record->fingerprint, sizeof(record->fingerprint), hello->fingerprint);
    copy_text(record->words, sizeof(record->words), hello->words);
    copy_text(record->running_version, sizeof(record->running_version), hello->image_version);
}

static void take_init(struct provision_record *record, const struct provision_hello *hello,
                      const struct provision_time *now)
{
    record->outcome = PROVISION_OUTCOME_BOOTED;
    provision_record_add(record, PROVISION_RECORD_EVENT_HELLO_INIT, hello->image_version, now);
}

/* True when the open try ended good. */
static bool take_ready(struct provision_record *record, const struct provision_hello *hello,
                       const struct provision_time *now)
{
    struct provision_record_try *last = &record->last_try;
    bool is_good = last->is_open && is_of_image(hello, &last->image);

    if (is_good) {
        end_good(record, now);
    } else if (last->is_open) {
        char why[PROVISION_RECORD_DETAIL_SIZE];

        (void)snprintf(why, sizeof(why), "it runs %.24s", hello->image_version);
        close_try(record, why, !last->is_broken, now);
    }
    record->outcome = PROVISION_OUTCOME_READY;
    provision_record_add(record, PROVISION_RECORD_EVENT_HELLO_READY, hello->image_version, now);
    return is_good;
}

bool provision_record_hello(struct provision_record *record, const struct provision_hello *hello,
                            const struct provision_time *now)
{
    bool is_ready = hello->phase == PROVISION_HELLO_READY;

    (void)provision_record_expire(record, now);
    record->last_seen_us = now->real_us;
    /* Repeated until it is answered, and late ones of the boot before the try. */
    if (record->last_try.is_open && record->last_try.old_boot_id[0] != '\0' &&
        strcmp(hello->boot_id, record->last_try.old_boot_id) == 0) {
        return false;
    }
    if (strcmp(hello->boot_id, record->boot_id) == 0 && (!is_ready || record->boot_is_ready)) {
        return false;
    }
    learn_hello(record, hello);
    copy_text(record->boot_id, sizeof(record->boot_id), hello->boot_id);
    record->boot_is_ready = is_ready;
    if (!is_ready) {
        take_init(record, hello, now);
        return false;
    }
    return take_ready(record, hello, now);
}

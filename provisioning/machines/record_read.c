/* record_read.c - records from JSON. Every value is checked as where it came from first, so that
 * nothing gets in through a file that could not have got in otherwise. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/machines/json.h"
#include "provisioning/machines/record_json.h"

/* A missing text is "". */
static int take_text(yyjson_val *object, const char *key, bool (*is_valid)(const char *text),
                     char *out, size_t out_size, struct ray_err *err)
{
    const char *text = provision_json_text(object, key, out_size);

    if (yyjson_obj_get(object, key) == NULL) {
        text = "";
    }
    if (text == NULL || (text[0] != '\0' && is_valid != NULL && !is_valid(text))) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is malformed", key);
    }
    memcpy(out, text, strlen(text) + 1);
    return RAY_OK;
}

/* A missing number is 0. */
static int take_number(yyjson_val *object, const char *key, uint64_t max, uint64_t *out,
                       struct ray_err *err)
{
    yyjson_val *value = yyjson_obj_get(object, key);

    if (value != NULL && (!yyjson_is_uint(value) || yyjson_get_uint(value) > max)) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is no number up to %llu", key,
                        (unsigned long long)max);
    }
    *out = yyjson_get_uint(value);
    return RAY_OK;
}

static int take_count(yyjson_val *object, const char *key, uint32_t *out, struct ray_err *err)
{
    uint64_t number = 0;
    int rc = take_number(object, key, UINT32_MAX, &number, err);

    if (rc == RAY_OK) {
        *out = (uint32_t)number;
    }
    return rc;
}

/* A missing one is false. */
static int take_bool(yyjson_val *object, const char *key, bool *out, struct ray_err *err)
{
    yyjson_val *value = yyjson_obj_get(object, key);

    if (value != NULL && !yyjson_is_bool(value)) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is neither true nor false", key);
    }
    *out = yyjson_get_bool(value);
    return RAY_OK;
}

static bool is_boot_id(const char *text)
{
    return strlen(text) == PROVISION_HELLO_BOOT_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef-") == strlen(text);
}

static int take_assignment(yyjson_val *parent, struct provision_assignment *out,
                           struct ray_err *err)
{
    yyjson_val *object = yyjson_obj_get(parent, "assignment");
    const char *word = yyjson_get_str(yyjson_obj_get(object, "boot"));
    int rc;

    if (object == NULL) {
        return RAY_OK;
    }
    if (word == NULL || provision_wish_parse(word, &out->wish) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "assignment: 'boot' is missing or unknown");
    }
    out->is_set = true;
    rc = take_text(object, "image", provision_is_sha256, out->image_id, sizeof(out->image_id), err);
    if (rc == RAY_OK) {
        rc = take_text(object, "arguments", NULL, out->arguments, sizeof(out->arguments), err);
    }
    if (rc == RAY_OK && provision_assignment_check(out, err) != RAY_OK) {
        rc = ray_wrap(err, RAY_EMALFORMED, "assignment");
    }
    return rc;
}

static bool is_word(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

static int take_facts(yyjson_val *root, struct provision_record_facts *out, struct ray_err *err)
{
    yyjson_val *object = yyjson_obj_get(root, "facts");
    int rc = take_text(object, "arch", is_word, out->arch, sizeof(out->arch), err);

    if (rc == RAY_OK) {
        rc = take_text(object, "uuid", NULL, out->uuid, sizeof(out->uuid), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "serial", NULL, out->serial, sizeof(out->serial), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "vendor", NULL, out->vendor, sizeof(out->vendor), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "product", NULL, out->product, sizeof(out->product), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "cpu", NULL, out->cpu, sizeof(out->cpu), err);
    }
    if (rc == RAY_OK) {
        rc = take_number(object, "memory_bytes", UINT64_MAX, &out->memory_bytes, err);
    }
    if (rc == RAY_OK) {
        rc = take_count(object, "disks", &out->disk_count, err);
    }
    return rc;
}

static int take_node(yyjson_val *root, struct provision_record *out, struct ray_err *err)
{
    yyjson_val *object = yyjson_obj_get(root, "node");
    int rc = take_text(object, "name", provision_record_is_name, out->node_name,
                       sizeof(out->node_name), err);

    if (rc == RAY_OK) {
        rc = take_text(object, "fingerprint", provision_is_sha256, out->fingerprint,
                       sizeof(out->fingerprint), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "words", NULL, out->words, sizeof(out->words), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "boot_id", is_boot_id, out->boot_id, sizeof(out->boot_id), err);
    }
    if (rc == RAY_OK) {
        rc = take_bool(object, "ready", &out->boot_is_ready, err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "version", NULL, out->running_version, sizeof(out->running_version),
                       err);
    }
    return rc;
}

static int take_try(yyjson_val *root, struct provision_record_try *out, struct ray_err *err)
{
    yyjson_val *object = yyjson_obj_get(root, "try");
    int rc;

    if (object == NULL) {
        return RAY_OK;
    }
    rc = take_text(object, "image", provision_is_sha256, out->image.id, sizeof(out->image.id), err);
    if (rc == RAY_OK && out->image.id[0] == '\0') {
        return ray_fail(err, RAY_EMALFORMED, "try: 'image' is missing");
    }
    if (rc == RAY_OK) {
        rc =
            take_text(object, "version", NULL, out->image.version, sizeof(out->image.version), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "efi_sha256", provision_is_sha256, out->image.efi_sha256,
                       sizeof(out->image.efi_sha256), err);
    }
    if (rc == RAY_OK) {
        rc = take_bool(object, "open", &out->is_open, err);
    }
    if (rc == RAY_OK) {
        rc = take_bool(object, "broken", &out->is_broken, err);
    }
    if (rc == RAY_OK) {
        rc = take_number(object, "at_us", UINT64_MAX, &out->at_us, err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "old_boot_id", is_boot_id, out->old_boot_id,
                       sizeof(out->old_boot_id), err);
    }
    out->was_interrupted = out->is_open;
    return rc;
}

static int take_image(yyjson_val *object, struct provision_record *out, struct ray_err *err)
{
    struct provision_record_image *image = &out->images[out->image_count];
    int rc = take_text(object, "id", provision_is_sha256, image->id, sizeof(image->id), err);

    if (rc == RAY_OK &&
        (image->id[0] == '\0' || provision_record_find_image(out, image->id) != NULL)) {
        return ray_fail(err, RAY_EMALFORMED, "images: 'id' is missing or stands twice");
    }
    if (rc == RAY_OK) {
        rc = take_count(object, "failures", &image->failure_count, err);
    }
    if (rc == RAY_OK) {
        rc = take_number(object, "tried_us", UINT64_MAX, &image->tried_us, err);
    }
    if (rc == RAY_OK) {
        rc = take_number(object, "good_us", UINT64_MAX, &image->good_us, err);
    }
    out->image_count += rc == RAY_OK ? 1 : 0;
    return rc;
}

static int take_images(yyjson_val *root, struct provision_record *out, struct ray_err *err)
{
    yyjson_val *array = yyjson_obj_get(root, "images");
    yyjson_val *object;
    size_t index;
    size_t count;

    if (yyjson_arr_size(array) > PROVISION_RECORD_IMAGE_COUNT_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "more than %d images",
                        PROVISION_RECORD_IMAGE_COUNT_MAX);
    }
    yyjson_arr_foreach(array, index, count, object)
    {
        int rc = take_image(object, out, err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* Of a kind that a newer version has: left out. */
static int take_event(yyjson_val *object, struct provision_record *out, struct ray_err *err)
{
    struct provision_record_event *event = &out->events[out->event_count];
    const char *word = yyjson_get_str(yyjson_obj_get(object, "kind"));
    int rc;

    *event = (struct provision_record_event){0};
    if (word == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "timeline: 'kind' is missing");
    }
    if (provision_record_event_parse(word, &event->kind) != RAY_OK) {
        return RAY_OK;
    }
    rc = take_number(object, "sequence", UINT64_MAX, &event->sequence, err);
    if (rc == RAY_OK) {
        rc = take_number(object, "at_us", UINT64_MAX, &event->at_us, err);
    }
    if (rc == RAY_OK) {
        rc = take_count(object, "count", &event->count, err);
    }
    if (rc == RAY_OK) {
        rc = take_text(object, "detail", NULL, event->detail, sizeof(event->detail), err);
    }
    if (rc == RAY_OK && event->sequence > out->sequence) {
        rc = ray_fail(err, RAY_EMALFORMED, "timeline: a sequence beyond the last one");
    }
    out->event_count += rc == RAY_OK ? 1 : 0;
    return rc;
}

static int take_events(yyjson_val *root, struct provision_record *out, struct ray_err *err)
{
    yyjson_val *array = yyjson_obj_get(root, "timeline");
    yyjson_val *object;
    size_t index;
    size_t count;
    int rc = take_number(root, "sequence", UINT64_MAX - 1, &out->sequence, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (yyjson_arr_size(array) > PROVISION_RECORD_EVENT_COUNT_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "more than %d events",
                        PROVISION_RECORD_EVENT_COUNT_MAX);
    }
    yyjson_arr_foreach(array, index, count, object)
    {
        rc = take_event(object, out, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int take_version(yyjson_val *root, struct ray_err *err)
{
    uint64_t version = 0;
    int rc = take_number(root, "v", UINT64_MAX, &version, err);

    if (rc != RAY_OK || version == PROVISION_RECORD_FORMAT_VERSION) {
        return rc;
    }
    return ray_fail(err, version == 0 ? RAY_EMALFORMED : RAY_EUNSUPPORTED,
                    "format version %llu, only %d is understood", (unsigned long long)version,
                    PROVISION_RECORD_FORMAT_VERSION);
}

static int take_head(yyjson_val *root, struct provision_record *out, struct ray_err *err)
{
    const char *mac = provision_json_text(root, "mac", PROVISION_MAC_TEXT_SIZE);
    const char *outcome = yyjson_get_str(yyjson_obj_get(root, "outcome"));
    int rc;

    if (mac == NULL || provision_mac_parse(mac, &out->mac) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "'mac' is missing or no MAC address");
    }
    if (outcome == NULL || provision_outcome_parse(outcome, &out->outcome) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "'outcome' is missing or unknown");
    }
    rc = take_text(root, "name", provision_record_is_name, out->name, sizeof(out->name), err);
    if (rc == RAY_OK) {
        rc =
            take_text(root, "group", provision_record_is_name, out->group, sizeof(out->group), err);
    }
    if (rc == RAY_OK) {
        rc = take_number(root, "first_seen_us", UINT64_MAX, &out->first_seen_us, err);
    }
    if (rc == RAY_OK) {
        rc = take_number(root, "last_seen_us", UINT64_MAX, &out->last_seen_us, err);
    }
    return rc;
}

static int take_record(yyjson_val *root, struct provision_record *out, struct ray_err *err)
{
    int rc = take_version(root, err);

    if (rc == RAY_OK) {
        rc = take_head(root, out, err);
    }
    if (rc == RAY_OK) {
        rc = take_assignment(root, &out->assignment, err);
    }
    if (rc == RAY_OK) {
        rc = take_facts(root, &out->facts, err);
    }
    if (rc == RAY_OK) {
        rc = take_node(root, out, err);
    }
    if (rc == RAY_OK) {
        rc = take_try(root, &out->last_try, err);
    }
    if (rc == RAY_OK) {
        rc = take_images(root, out, err);
    }
    if (rc == RAY_OK) {
        rc = take_events(root, out, err);
    }
    return rc;
}

int provision_record_parse(const void *json, size_t size, struct provision_record *out,
                           struct ray_err *err)
{
    struct provision_record record = {0};
    yyjson_doc *doc = NULL;
    int rc;

    if (size > PROVISION_RECORD_FILE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "record of %zu bytes", size);
    }
    rc = provision_json_read(json, size, &doc, err);
    if (rc == RAY_OK) {
        rc = take_record(yyjson_doc_get_root(doc), &record, err);
    }
    yyjson_doc_free(doc);
    if (rc == RAY_OK) {
        *out = record;
    }
    return rc;
}

static int take_group(yyjson_val *object, struct provision_group *groups, size_t *count,
                      struct ray_err *err)
{
    struct provision_group group = {0};
    int rc =
        take_text(object, "name", provision_record_is_name, group.name, sizeof(group.name), err);

    if (rc == RAY_OK) {
        rc = take_assignment(object, &group.assignment, err);
    }
    if (rc == RAY_OK && (group.name[0] == '\0' || !group.assignment.is_set)) {
        rc = ray_fail(err, RAY_EMALFORMED, "a group without name or assignment");
    }
    if (rc == RAY_OK && *count > 0 && strcmp(groups[*count - 1].name, group.name) >= 0) {
        rc = ray_fail(err, RAY_EMALFORMED, "the groups are not in the order of their names");
    }
    if (rc == RAY_OK) {
        groups[(*count)++] = group;
    }
    return rc;
}

int provision_groups_parse(const void *json, size_t size, struct provision_group *out,
                           size_t *out_count, struct ray_err *err)
{
    yyjson_doc *doc = NULL;
    yyjson_val *array;
    yyjson_val *object;
    size_t found = 0;
    size_t index;
    size_t count;
    int rc;

    if (size > PROVISION_GROUPS_FILE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "groups of %zu bytes", size);
    }
    rc = provision_json_read(json, size, &doc, err);
    if (rc == RAY_OK) {
        rc = take_version(yyjson_doc_get_root(doc), err);
    }
    array = yyjson_obj_get(yyjson_doc_get_root(doc), "groups");
    if (rc == RAY_OK && yyjson_arr_size(array) > PROVISION_TABLE_GROUP_COUNT_MAX) {
        rc = ray_fail(err, RAY_EMALFORMED, "more than %d groups", PROVISION_TABLE_GROUP_COUNT_MAX);
    }
    if (rc == RAY_OK) {
        yyjson_arr_foreach(array, index, count, object)
        {
            rc = take_group(object, out, &found, err);
            if (rc != RAY_OK) {
                break;
            }
        }
    }
    yyjson_doc_free(doc);
    if (rc == RAY_OK) {
        *out_count = found;
    }
    return rc;
}

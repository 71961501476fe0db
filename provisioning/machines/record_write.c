/* record_write.c - records to JSON. Indented: an operator may have to read a file when nothing
 * else runs. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "provisioning/machines/json.h"
#include "provisioning/machines/record_json.h"

/* One failed allocation spoils the whole; asked once, at the end. Texts are borrowed: the
 * document is written before the record can change. */
struct writer {
    yyjson_mut_doc *doc;
    bool has_failed;
};

static yyjson_mut_val *add_object(struct writer *writer, yyjson_mut_val *parent, const char *key)
{
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(writer->doc, parent, key);

    writer->has_failed |= object == NULL;
    return object;
}

static yyjson_mut_val *add_array(struct writer *writer, yyjson_mut_val *parent, const char *key)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(writer->doc, parent, key);

    writer->has_failed |= array == NULL;
    return array;
}

static yyjson_mut_val *append_object(struct writer *writer, yyjson_mut_val *array)
{
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(writer->doc, array);

    writer->has_failed |= object == NULL;
    return object;
}

static void add_text(struct writer *writer, yyjson_mut_val *object, const char *key,
                     const char *text)
{
    writer->has_failed |= !yyjson_mut_obj_add_str(writer->doc, object, key, text);
}

/* "" is as good as nothing, and most facts of most machines are. */
static void add_text_if_any(struct writer *writer, yyjson_mut_val *object, const char *key,
                            const char *text)
{
    if (text[0] != '\0') {
        add_text(writer, object, key, text);
    }
}

static void add_number(struct writer *writer, yyjson_mut_val *object, const char *key,
                       uint64_t number)
{
    writer->has_failed |= !yyjson_mut_obj_add_uint(writer->doc, object, key, number);
}

static void add_bool(struct writer *writer, yyjson_mut_val *object, const char *key, bool value)
{
    writer->has_failed |= !yyjson_mut_obj_add_bool(writer->doc, object, key, value);
}

static void add_assignment(struct writer *writer, yyjson_mut_val *parent,
                           const struct provision_assignment *assignment)
{
    yyjson_mut_val *object = add_object(writer, parent, "assignment");

    add_text(writer, object, "boot", provision_wish_word(assignment->wish));
    add_text_if_any(writer, object, "image", assignment->image_id);
    add_text_if_any(writer, object, "arguments", assignment->arguments);
}

static void add_facts(struct writer *writer, yyjson_mut_val *root,
                      const struct provision_record_facts *facts)
{
    yyjson_mut_val *object = add_object(writer, root, "facts");

    add_text_if_any(writer, object, "arch", facts->arch);
    add_text_if_any(writer, object, "uuid", facts->uuid);
    add_text_if_any(writer, object, "serial", facts->serial);
    add_text_if_any(writer, object, "vendor", facts->vendor);
    add_text_if_any(writer, object, "product", facts->product);
    add_text_if_any(writer, object, "cpu", facts->cpu);
    add_number(writer, object, "memory_bytes", facts->memory_bytes);
    add_number(writer, object, "disks", facts->disk_count);
}

static void add_node(struct writer *writer, yyjson_mut_val *root,
                     const struct provision_record *record)
{
    yyjson_mut_val *object = add_object(writer, root, "node");

    add_text_if_any(writer, object, "name", record->node_name);
    add_text_if_any(writer, object, "fingerprint", record->fingerprint);
    add_text_if_any(writer, object, "words", record->words);
    add_text_if_any(writer, object, "boot_id", record->boot_id);
    add_bool(writer, object, "ready", record->boot_is_ready);
    add_text_if_any(writer, object, "version", record->running_version);
}

static void add_try(struct writer *writer, yyjson_mut_val *root,
                    const struct provision_record_try *last)
{
    yyjson_mut_val *object = add_object(writer, root, "try");

    add_text(writer, object, "image", last->image.id);
    add_text(writer, object, "version", last->image.version);
    add_text_if_any(writer, object, "efi_sha256", last->image.efi_sha256);
    add_bool(writer, object, "open", last->is_open);
    add_bool(writer, object, "broken", last->is_broken);
    add_number(writer, object, "at_us", last->at_us);
    add_text_if_any(writer, object, "old_boot_id", last->old_boot_id);
}

static void add_images(struct writer *writer, yyjson_mut_val *root,
                       const struct provision_record *record)
{
    yyjson_mut_val *array = add_array(writer, root, "images");

    for (size_t i = 0; i < record->image_count; i++) {
        const struct provision_record_image *image = &record->images[i];
        yyjson_mut_val *object = append_object(writer, array);

        add_text(writer, object, "id", image->id);
        add_number(writer, object, "failures", image->failure_count);
        add_number(writer, object, "tried_us", image->tried_us);
        add_number(writer, object, "good_us", image->good_us);
    }
}

static void add_events(struct writer *writer, yyjson_mut_val *root,
                       const struct provision_record *record)
{
    yyjson_mut_val *array = add_array(writer, root, "timeline");

    for (size_t i = 0; i < record->event_count; i++) {
        const struct provision_record_event *event = &record->events[i];
        yyjson_mut_val *object = append_object(writer, array);

        add_number(writer, object, "sequence", event->sequence);
        add_number(writer, object, "at_us", event->at_us);
        add_number(writer, object, "count", event->count);
        add_text(writer, object, "kind", provision_record_event_word(event->kind));
        add_text_if_any(writer, object, "detail", event->detail);
    }
}

static void add_record(struct writer *writer, yyjson_mut_val *root,
                       const struct provision_record *record, const char *mac)
{
    add_number(writer, root, "v", PROVISION_RECORD_FORMAT_VERSION);
    add_text(writer, root, "mac", mac);
    add_text_if_any(writer, root, "name", record->name);
    add_text_if_any(writer, root, "group", record->group);
    if (record->assignment.is_set) {
        add_assignment(writer, root, &record->assignment);
    }
    add_facts(writer, root, &record->facts);
    add_node(writer, root, record);
    add_number(writer, root, "first_seen_us", record->first_seen_us);
    add_number(writer, root, "last_seen_us", record->last_seen_us);
    add_text(writer, root, "outcome", provision_outcome_word(record->outcome));
    if (record->last_try.image.id[0] != '\0') {
        add_try(writer, root, &record->last_try);
    }
    add_images(writer, root, record);
    add_number(writer, root, "sequence", record->sequence);
    add_events(writer, root, record);
}

/* The root of a new document; NULL: no memory. */
static yyjson_mut_val *begin(struct writer *writer)
{
    yyjson_mut_val *root;

    *writer = (struct writer){.doc = yyjson_mut_doc_new(&provision_json_alc)};
    if (writer->doc == NULL) {
        return NULL;
    }
    root = yyjson_mut_obj(writer->doc);
    writer->has_failed = root == NULL;
    yyjson_mut_doc_set_root(writer->doc, root);
    return root;
}

/* Frees the document. */
static int end(struct writer *writer, size_t size_max, uint8_t **out_data, size_t *out_size,
               struct ray_err *err)
{
    size_t size = 0;
    char *text = NULL;

    if (writer->doc != NULL && !writer->has_failed) {
        text = yyjson_mut_write_opts(writer->doc,
                                     YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END,
                                     &provision_json_alc, &size, NULL);
    }
    yyjson_mut_doc_free(writer->doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to write JSON");
    }
    assert(size <= size_max); /* all parts are bounded, and a test writes the largest */
    (void)size_max;
    *out_data = (uint8_t *)text;
    *out_size = size;
    return RAY_OK;
}

int provision_record_format(const struct provision_record *record, uint8_t **out_data,
                            size_t *out_size, struct ray_err *err)
{
    char mac[PROVISION_MAC_TEXT_SIZE];
    struct writer writer;
    yyjson_mut_val *root = begin(&writer);

    if (root != NULL) {
        add_record(&writer, root, record, provision_mac_format(&record->mac, mac));
    }
    return end(&writer, PROVISION_RECORD_FILE_SIZE_MAX, out_data, out_size, err);
}

int provision_groups_format(const struct provision_group *groups, size_t count, uint8_t **out_data,
                            size_t *out_size, struct ray_err *err)
{
    struct writer writer;
    yyjson_mut_val *root = begin(&writer);

    assert(count <= PROVISION_TABLE_GROUP_COUNT_MAX);
    if (root != NULL) {
        yyjson_mut_val *array;

        add_number(&writer, root, "v", PROVISION_RECORD_FORMAT_VERSION);
        array = add_array(&writer, root, "groups");
        for (size_t i = 0; i < count; i++) {
            yyjson_mut_val *object = append_object(&writer, array);

            add_text(&writer, object, "name", groups[i].name);
            add_assignment(&writer, object, &groups[i].assignment);
        }
    }
    return end(&writer, PROVISION_GROUPS_FILE_SIZE_MAX, out_data, out_size, err);
}

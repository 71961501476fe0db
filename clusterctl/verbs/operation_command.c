/* operation_command.c - the schema gives a command's tree; what is packed within it is put in place
 * of its bytes, and what says nothing is left out. */
#include "clusterctl/verbs/operation_command.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/policy_source.h"
#include "clusterctl/verbs/registry.h"
#include "clusterctl/verbs/registry_kind.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { ARENA_SIZE_MAX = 8 << 20, DEPTH_MAX = 12 };

struct reader {
    yyjson_mut_doc *doc;
    struct ray_arena arena;
};

static bool replace(const struct reader *reader, yyjson_mut_val *tree, const char *key,
                    yyjson_mut_val *value)
{
    return value != NULL && yyjson_mut_obj_replace(tree, yyjson_mut_str(reader->doc, key), value);
}

/* ---- what says nothing ---- */

static bool is_empty(yyjson_mut_val *value)
{
    return yyjson_mut_is_null(value) || yyjson_mut_equals_str(value, "") ||
           (yyjson_mut_is_num(value) && yyjson_mut_get_num(value) == 0) ||
           (yyjson_mut_is_ctn(value) && yyjson_mut_get_len(value) == 0);
}

/* Truth values stay: "false" is an answer. */
static void prune(yyjson_mut_val *tree, int depth)
{
    yyjson_mut_obj_iter iter;
    yyjson_mut_val *key;

    if (depth > DEPTH_MAX || !yyjson_mut_obj_iter_init(tree, &iter)) {
        return;
    }
    while ((key = yyjson_mut_obj_iter_next(&iter)) != NULL) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);

        prune(value, depth + 1);
        if (is_empty(value)) {
            (void)yyjson_mut_obj_iter_remove(&iter);
        }
    }
}

/* ---- what is packed ---- */

static bool spec_kind_of(Rayos__Registry__Kind kind, enum ray_spec_kind *out)
{
    switch (kind) {
    case RAYOS__REGISTRY__KIND__KIND_GUEST:
        *out = RAY_SPEC_GUEST;
        return true;
    case RAYOS__REGISTRY__KIND__KIND_IMAGE:
        *out = RAY_SPEC_IMAGE;
        return true;
    case RAYOS__REGISTRY__KIND__KIND_NETWORK:
        *out = RAY_SPEC_NETWORK;
        return true;
    case RAYOS__REGISTRY__KIND__KIND_VOLUME:
        *out = RAY_SPEC_VOLUME;
        return true;
    default:
        return false;
    }
}

static bool show_put(struct reader *reader, const Rayos__Registry__ObjectPut *put,
                     yyjson_mut_val *tree)
{
    const Rayos__Registry__Object *object = put->object;
    yyjson_mut_val *shown = yyjson_mut_obj_get(tree, "object");
    ProtobufCMessage *spec = NULL;
    enum ray_spec_kind kind;

    if (object == NULL || shown == NULL) {
        return true;
    }
    if (object->spec.len > 0 && spec_kind_of(object->kind, &kind) &&
        ray_spec_check(kind, RAY_SPEC_LEVEL, object->spec.data, object->spec.len, &reader->arena,
                       &spec, NULL) == RAY_OK &&
        !replace(reader, shown, "spec", output_from_message(reader->doc, spec))) {
        return false;
    }
    return replace(reader, shown, "kind",
                   yyjson_mut_str(reader->doc, registry_kind_name(object->kind))) &&
           replace(reader, shown, "labels",
                   registry_show_labels(reader->doc, object->labels, object->n_labels));
}

static bool show_label(struct reader *reader, const Rayos__Registry__ObjectLabel *label,
                       yyjson_mut_val *tree)
{
    return replace(reader, tree, "kind",
                   yyjson_mut_str(reader->doc, registry_kind_name(label->kind))) &&
           replace(reader, tree, "set",
                   registry_show_labels(reader->doc, label->set, label->n_set));
}

/* Rules as TOML, a line each: as who approves them would read a file. */
static bool show_policy(struct reader *reader, const Rayos__Registry__PolicySet *set,
                        yyjson_mut_val *tree)
{
    yyjson_mut_val *lines = yyjson_mut_arr(reader->doc);
    struct ray_buf packed;
    struct ray_buf text;
    bool is_ok = lines != NULL;

    ray_buf_init(&packed, POLICY_SOURCE_SIZE_MAX);
    ray_buf_init(&text, POLICY_SOURCE_TEXT_SIZE_MAX);
    if (ray_buf_append(&packed, set->rules.data, set->rules.len) == RAY_OK &&
        policy_source_print(&packed, &text, NULL) == RAY_OK) {
        const char *at = (const char *)text.data;
        const char *end = at + text.size;

        while (is_ok && at < end) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            size_t size = (size_t)((line_end != NULL ? line_end : end) - at);

            is_ok = yyjson_mut_arr_add_strncpy(reader->doc, lines, at, size);
            at += size + 1;
        }
        is_ok = is_ok && replace(reader, tree, "rules", lines);
    }
    ray_buf_fini(&text);
    ray_buf_fini(&packed);
    return is_ok;
}

static bool show_body(struct reader *reader, const Rayos__Registry__Command *command,
                      yyjson_mut_val *body)
{
    switch (command->body_case) {
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT:
        return show_put(reader, command->object_put, body);
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL:
        return show_label(reader, command->object_label, body);
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE:
        return replace(
            reader, body, "kind",
            yyjson_mut_str(reader->doc, registry_kind_name(command->object_delete->kind)));
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET:
        return show_policy(reader, command->policy_set, body);
    default:
        return true;
    }
}

/* ---- the command ---- */

static const char *body_name(const Rayos__Registry__Command *command)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        &rayos__registry__command__descriptor, (unsigned)command->body_case);

    return field != NULL ? field->name : NULL;
}

static int show(struct reader *reader, const Rayos__Registry__Command *command,
                yyjson_mut_val **out, struct ray_err *err)
{
    const char *name = body_name(command);
    yyjson_mut_val *tree = output_from_message(reader->doc, &command->base);
    yyjson_mut_val *body;

    if (name == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "the command is of no kind that this version knows");
    }
    body = tree != NULL ? yyjson_mut_obj_get(tree, name) : NULL;
    if (body == NULL || !show_body(reader, command, body)) {
        return ray_fail(err, RAY_ENOMEM, "the output");
    }
    (void)yyjson_mut_obj_remove_key(tree, "header"); /* who asked is told beside it */
    prune(body, 0);
    *out = tree;
    return RAY_OK;
}

int operation_command_show(yyjson_mut_doc *doc, const ProtobufCBinaryData *bytes,
                           yyjson_mut_val **out_value, struct ray_err *err)
{
    struct reader reader = {.doc = doc};
    ProtobufCMessage *message = NULL;
    int rc;

    ray_arena_init(&reader.arena, ARENA_SIZE_MAX);
    rc = ray_proto_unpack(&rayos__registry__command__descriptor, bytes->data, bytes->len,
                          &reader.arena, &message, err);
    if (rc == RAY_OK) {
        rc = show(&reader, (const Rayos__Registry__Command *)message, out_value, err);
    }
    ray_arena_fini(&reader.arena);
    return rc;
}

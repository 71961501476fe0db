/* check.c - fields of messages, checked on their way into the state. */
#include <assert.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"

enum { STRICT_DEPTH_MAX = 8 };

int fsm_id(const ProtobufCBinaryData *bytes, const char *what, struct ray_id *out,
           struct ray_err *err)
{
    if (ray_id_from_bytes(bytes->data, bytes->len, out, NULL) != RAY_OK) {
        return fsm_refuse(err, RAY_EINVAL, "%s: not the 16 bytes of an id", what);
    }
    return RAY_OK;
}

int fsm_optional_id(const ProtobufCBinaryData *bytes, const char *what, struct ray_id *out,
                    struct ray_err *err)
{
    if (bytes->len == 0) {
        *out = (struct ray_id){0};
        return RAY_OK;
    }
    return fsm_id(bytes, what, out, err);
}

int fsm_home(const Rayos__Registry__Home *message, const char *what, struct coord_home *out,
             struct ray_err *err)
{
    struct coord_home home;
    int rc;

    if (message == NULL) {
        return fsm_refuse(err, RAY_EINVAL, "%s: no node is named", what);
    }
    rc = fsm_id(&message->node, what, &home.node, err);
    if (rc == RAY_OK) {
        rc = fsm_id(&message->incarnation, what, &home.incarnation, err);
    }
    if (rc == RAY_OK) {
        *out = home;
    }
    return rc;
}

int fsm_fixed(const ProtobufCBinaryData *bytes, const char *what, uint8_t *out, size_t size,
              struct ray_err *err)
{
    if (bytes->len != size) {
        return fsm_refuse(err, RAY_EINVAL, "%s: %zu bytes, not %zu", what, bytes->len, size);
    }
    memcpy(out, bytes->data, size);
    return RAY_OK;
}

int fsm_line(const char *text, const char *what, char *out, size_t out_size, struct ray_err *err)
{
    size_t size = strlen(text);

    if (size >= out_size) {
        return fsm_refuse(err, RAY_EINVAL, "%s: %zu bytes, at most %zu", what, size, out_size - 1);
    }
    memset(out, 0, out_size); /* with its NUL */
    memcpy(out, text, size + 1);
    return RAY_OK;
}

int fsm_word(const char *text, const char *what, char *out, size_t out_size, struct ray_err *err)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') {
            return fsm_refuse(err, RAY_EINVAL, "%s: only printable ASCII without spaces", what);
        }
    }
    return fsm_line(text, what, out, out_size, err);
}

struct ray_epoch fsm_epoch(const Rayos__Registry__Epoch *message)
{
    if (message == NULL) {
        return (struct ray_epoch){0};
    }
    return (struct ray_epoch){.cluster = message->cluster, .index = message->index};
}

static int check_label(const Rayos__Registry__Label *label, const char *previous_key, size_t *size,
                       struct ray_err *err)
{
    size_t key_size = strlen(label->key);

    if (key_size == 0 || key_size > COORD_LABEL_KEY_SIZE_MAX) {
        return fsm_refuse(err, RAY_EINVAL, "a label's key has 1 to %d bytes",
                          COORD_LABEL_KEY_SIZE_MAX);
    }
    if (label->value.len > COORD_LABEL_VALUE_SIZE_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "a label's value has at most %d bytes",
                          COORD_LABEL_VALUE_SIZE_MAX);
    }
    if (previous_key != NULL && strcmp(previous_key, label->key) >= 0) {
        return fsm_refuse(err, RAY_EINVAL, "labels are not sorted by key, or twice there");
    }
    *size += key_size + label->value.len;
    return RAY_OK;
}

int fsm_labels(Rayos__Registry__Label **messages, size_t count, struct ray_arena *arena,
               struct coord_label **out, struct ray_err *err)
{
    struct coord_label *labels;
    const char *previous_key = NULL;
    size_t size = 0;

    if (count > COORD_LABELS_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "%zu labels, at most %d", count, COORD_LABELS_MAX);
    }
    labels = ray_arena_alloc(arena, (count + 1) * sizeof *labels);
    if (labels == NULL) {
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_label(messages[i], previous_key, &size, err);

        if (rc != RAY_OK) {
            return rc;
        }
        previous_key = messages[i]->key;
        labels[i].key = previous_key;
        labels[i].value.size = (uint32_t)messages[i]->value.len;
        labels[i].value.data = labels[i].value.size > 0 ? messages[i]->value.data : NULL;
    }
    if (size > COORD_LABELS_SIZE_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "labels of %zu bytes, at most %d", size,
                          COORD_LABELS_SIZE_MAX);
    }
    *out = labels;
    return RAY_OK;
}

static bool is_between(uint32_t value, uint32_t min, uint32_t max)
{
    return value >= min && value <= max;
}

int fsm_timing(const Rayos__Registry__Timing *message, struct coord_timing *out,
               struct ray_err *err)
{
    struct coord_timing timing;
    int rc;

    if (message == NULL) {
        return fsm_refuse(err, RAY_EINVAL, "no timing is given");
    }
    rc = fsm_word(message->profile, "timing's profile", timing.profile, sizeof timing.profile, err);
    if (rc != RAY_OK) {
        return rc;
    }
    timing.heartbeat_ms = message->heartbeat_ms;
    timing.election_ms = message->election_ms;
    timing.grant_ms = message->grant_ms;
    timing.renew_ms = message->renew_ms;
    timing.margin_ms = message->margin_ms;
    timing.drift_ppm = message->drift_ppm;
    if (!is_between(timing.heartbeat_ms, 1, 60000) ||
        !is_between(timing.election_ms, timing.heartbeat_ms * 2, 600000)) {
        return fsm_refuse(err, RAY_EINVAL,
                          "an election takes at least two heartbeats of 1 ms to "
                          "1 min, and at most 10 min");
    }
    if (!is_between(timing.grant_ms, 2, 3600000) ||
        !is_between(timing.renew_ms, 1, timing.grant_ms - 1) ||
        !is_between(timing.margin_ms, 1, timing.grant_ms - 1)) {
        return fsm_refuse(err, RAY_EINVAL,
                          "renew interval and margin are shorter than the grant "
                          "time, which is at most 1 h");
    }
    if (timing.drift_ppm > 100000) {
        return fsm_refuse(err, RAY_EINVAL, "a drift above 10 %% is no clock");
    }
    *out = timing;
    return RAY_OK;
}

size_t fsm_spec_size_max(enum coord_kind kind)
{
    switch (kind) {
    case COORD_POLICY:
        return COORD_FSM_POLICY_SIZE_MAX;
    case COORD_VOLUME:
        return COORD_FSM_VOLUME_SPEC_SIZE_MAX;
    default:
        return COORD_FSM_SPEC_SIZE_MAX;
    }
}

/* The index-th message below a field; NULL: no more. */
static const ProtobufCMessage *child_at(const ProtobufCMessage *message,
                                        const ProtobufCFieldDescriptor *field, size_t index)
{
    const uint8_t *base = (const uint8_t *)message;
    const ProtobufCMessage *child = NULL;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return NULL;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const ProtobufCMessage **children;
        size_t count;

        memcpy(&count, base + field->quantifier_offset, sizeof count);
        memcpy(&children, base + field->offset, sizeof(void *));
        return index < count ? children[index] : NULL;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t chosen;

        memcpy(&chosen, base + field->quantifier_offset, sizeof chosen);
        if (chosen != field->id) {
            return NULL;
        }
    }
    memcpy(&child, base + field->offset, sizeof(void *));
    return index == 0 ? child : NULL;
}

struct strict_frame {
    const ProtobufCMessage *message;
    unsigned field;
    size_t index;
};

/* The next message below the frame's; NULL: none is left. */
static const ProtobufCMessage *next_child(struct strict_frame *frame)
{
    const ProtobufCMessageDescriptor *type = frame->message->descriptor;

    while (frame->field < type->n_fields) {
        const ProtobufCMessage *child =
            child_at(frame->message, &type->fields[frame->field], frame->index);

        if (child != NULL) {
            frame->index++;
            return child;
        }
        frame->field++;
        frame->index = 0;
    }
    return NULL;
}

int fsm_strict(const ProtobufCMessage *message, struct ray_err *err)
{
    struct strict_frame stack[STRICT_DEPTH_MAX] = {{.message = message}};
    size_t depth = 1;

    while (depth > 0) {
        struct strict_frame *frame = &stack[depth - 1];
        const ProtobufCMessage *child;

        if (frame->field == 0 && frame->index == 0 && frame->message->n_unknown_fields > 0 &&
            !RAY_MUTANT(FSM_UNKNOWN_SKIPPED)) {
            return fsm_refuse(err, RAY_EUNSUPPORTED,
                              "%s has field %u, which this version does "
                              "not know",
                              frame->message->descriptor->name,
                              frame->message->unknown_fields[0].tag);
        }
        child = next_child(frame);
        if (child == NULL) {
            depth--;
            continue;
        }
        assert(depth < STRICT_DEPTH_MAX); /* the schema is not that deep */
        stack[depth++] = (struct strict_frame){.message = child};
    }
    return RAY_OK;
}

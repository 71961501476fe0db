/* coordinator/core/message.c - protobuf's wire form by hand: sizes are summed first, then
 * everything is written once; reading counts first, allocates exactly, then reads again. */
#include "coordinator/core/message.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/core/wire.h"

/* Numbers of net/proto/raft.proto. */
enum frame_field {
    FRAME_FROM = 1,
    FRAME_TO,
    FRAME_PROBE_TERM,
    FRAME_PROBE_NUMBER,
    FRAME_ECHO_TERM,
    FRAME_ECHO_NUMBER,
    FRAME_MESSAGES,
};

enum { MESSAGE_TERM = 1, MESSAGE_BODY = 2 }; /* body: MESSAGE_BODY - 1 + enum coord_message_type */
enum { ENTRY_TERM = 1, ENTRY_TYPE, ENTRY_DATA };
enum { APPEND_PREV_INDEX = 1, APPEND_PREV_TERM, APPEND_COMMIT, APPEND_ENTRIES };
enum { RESULT_REJECTED = 1, RESULT_LAST };
enum { VOTE_LAST_INDEX = 1, VOTE_LAST_TERM, VOTE_PRE_VOTE, VOTE_TRANSFER };
enum { VOTE_RESULT_GRANTED = 1, VOTE_RESULT_PRE_VOTE };
enum { SNAPSHOT_INDEX = 1, SNAPSHOT_TERM, SNAPSHOT_CONFIG_INDEX, SNAPSHOT_CONFIG };
enum { TIMEOUT_LAST_INDEX = 1, TIMEOUT_LAST_TERM };

static int malformed(struct ray_err *err, const char *what)
{
    return ray_fail(err, RAY_EMALFORMED, "raft: %s", what);
}

/* ---- what makes sense by itself ---- */

/* A place in the log: both 0, or a term not above `term_max`. */
static bool is_place(uint64_t index, uint64_t term, uint64_t term_max)
{
    if (index == 0 || term == 0) {
        return index == 0 && term == 0;
    }
    return index <= COORD_INDEX_MAX && term <= term_max;
}

static int check_entry(const struct coord_entry *entry, struct ray_err *err)
{
    struct coord_config config;

    if (entry->size > COORD_ENTRY_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: an entry of %u bytes, at most %d", entry->size,
                        COORD_ENTRY_SIZE_MAX);
    }
    switch (entry->type) {
    case COORD_ENTRY_COMMAND:
        return RAY_OK;
    case COORD_ENTRY_NOOP:
        return entry->size == 0 ? RAY_OK : malformed(err, "a no-op with content");
    case COORD_ENTRY_CHANGE:
        return coord_config_decode(entry->data, entry->size, &config, err);
    }
    return malformed(err, "an entry of unknown type");
}

static int check_append(const struct coord_message *message, struct ray_err *err)
{
    uint64_t term = message->append.prev_term;

    if (!is_place(message->append.prev_index, term, message->term)) {
        return malformed(err, "append after an impossible place");
    }
    if (message->append.count > COORD_MESSAGE_ENTRIES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: %zu entries in one append, at most %d",
                        message->append.count, COORD_MESSAGE_ENTRIES_MAX);
    }
    if (message->append.commit_index > COORD_INDEX_MAX) {
        return malformed(err, "an impossible commit index");
    }
    for (size_t i = 0; i < message->append.count; i++) {
        const struct coord_entry *entry = &message->append.entries[i];
        int rc;

        if (entry->index != message->append.prev_index + 1 + i) {
            return malformed(err, "entries with a gap");
        }
        if (entry->term == 0 || entry->term < term || entry->term > message->term) {
            return malformed(err, "entries whose terms fall or are not known yet");
        }
        term = entry->term;
        rc = check_entry(entry, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int check_snapshot(const struct coord_message *message, struct ray_err *err)
{
    const struct coord_snapshot *snapshot = &message->snapshot;

    if (snapshot->index == 0 || !is_place(snapshot->index, snapshot->term, message->term) ||
        snapshot->config_index == 0 || snapshot->config_index > snapshot->index ||
        coord_config_check(&snapshot->config, err) != RAY_OK) {
        return malformed(err, "an impossible snapshot");
    }
    return RAY_OK;
}

int coord_message_check(const struct coord_message *message, struct ray_err *err)
{
    if (message->term == 0 || message->term > COORD_TERM_MAX) {
        return malformed(err, "an impossible term");
    }
    switch (message->type) {
    case COORD_APPEND:
        return check_append(message, err);
    case COORD_APPEND_RESULT:
        if (message->append_result.rejected > COORD_INDEX_MAX ||
            message->append_result.last_index > COORD_INDEX_MAX) {
            return malformed(err, "an impossible result");
        }
        return RAY_OK;
    case COORD_VOTE:
        if (!is_place(message->vote.last_index, message->vote.last_term, message->term)) {
            return malformed(err, "a vote for an impossible log");
        }
        return RAY_OK;
    case COORD_VOTE_RESULT:
        return RAY_OK;
    case COORD_SNAPSHOT:
        return check_snapshot(message, err);
    case COORD_TIMEOUT_NOW:
        if (!is_place(message->timeout_now.last_index, message->timeout_now.last_term,
                      message->term)) {
            return malformed(err, "a transfer of an impossible log");
        }
        return RAY_OK;
    }
    return malformed(err, "a message of unknown type");
}

/* ---- writing ---- */

static size_t entry_size(const struct coord_entry *entry)
{
    return coord_wire_uint_size(entry->term) + coord_wire_uint_size(entry->type) +
           (entry->size == 0 ? 0 : coord_wire_bytes_size(entry->size));
}

static size_t append_size(const struct coord_message *message)
{
    size_t size = coord_wire_uint_size(message->append.prev_index) +
                  coord_wire_uint_size(message->append.prev_term) +
                  coord_wire_uint_size(message->append.commit_index);

    for (size_t i = 0; i < message->append.count; i++) {
        size += coord_wire_bytes_size(entry_size(&message->append.entries[i]));
    }
    return size;
}

static size_t snapshot_size(const struct coord_snapshot *snapshot, size_t config_size)
{
    return coord_wire_uint_size(snapshot->index) + coord_wire_uint_size(snapshot->term) +
           coord_wire_uint_size(snapshot->config_index) + coord_wire_bytes_size(config_size);
}

static size_t body_size(const struct coord_message *message)
{
    uint8_t config[COORD_CONFIG_ENCODED_SIZE_MAX];

    switch (message->type) {
    case COORD_APPEND:
        return append_size(message);
    case COORD_APPEND_RESULT:
        return coord_wire_uint_size(message->append_result.rejected) +
               coord_wire_uint_size(message->append_result.last_index);
    case COORD_VOTE:
        return coord_wire_uint_size(message->vote.last_index) +
               coord_wire_uint_size(message->vote.last_term) +
               coord_wire_uint_size(message->vote.is_pre_vote) +
               coord_wire_uint_size(message->vote.is_transfer);
    case COORD_VOTE_RESULT:
        return coord_wire_uint_size(message->vote_result.is_granted) +
               coord_wire_uint_size(message->vote_result.is_pre_vote);
    case COORD_SNAPSHOT:
        return snapshot_size(&message->snapshot,
                             coord_config_encode(&message->snapshot.config, config));
    case COORD_TIMEOUT_NOW:
        return coord_wire_uint_size(message->timeout_now.last_index) +
               coord_wire_uint_size(message->timeout_now.last_term);
    }
    return 0;
}

static size_t message_size(const struct coord_message *message, size_t inner_size)
{
    return coord_wire_uint_size(message->term) + coord_wire_bytes_size(inner_size);
}

size_t coord_message_size_max(const struct coord_message *message)
{
    return coord_wire_bytes_size(message_size(message, body_size(message)));
}

static void write_append(struct coord_wire_writer *writer, const struct coord_message *message)
{
    coord_wire_put_uint(writer, APPEND_PREV_INDEX, message->append.prev_index);
    coord_wire_put_uint(writer, APPEND_PREV_TERM, message->append.prev_term);
    coord_wire_put_uint(writer, APPEND_COMMIT, message->append.commit_index);
    for (size_t i = 0; i < message->append.count; i++) {
        const struct coord_entry *entry = &message->append.entries[i];

        coord_wire_put_length(writer, APPEND_ENTRIES, entry_size(entry));
        coord_wire_put_uint(writer, ENTRY_TERM, entry->term);
        coord_wire_put_uint(writer, ENTRY_TYPE, entry->type);
        if (entry->size > 0) {
            coord_wire_put_bytes(writer, ENTRY_DATA, entry->data, entry->size);
        }
    }
}

static void write_snapshot(struct coord_wire_writer *writer, const struct coord_snapshot *snapshot)
{
    uint8_t config[COORD_CONFIG_ENCODED_SIZE_MAX];
    size_t config_size = coord_config_encode(&snapshot->config, config);

    coord_wire_put_uint(writer, SNAPSHOT_INDEX, snapshot->index);
    coord_wire_put_uint(writer, SNAPSHOT_TERM, snapshot->term);
    coord_wire_put_uint(writer, SNAPSHOT_CONFIG_INDEX, snapshot->config_index);
    coord_wire_put_bytes(writer, SNAPSHOT_CONFIG, config, config_size);
}

static void write_body(struct coord_wire_writer *writer, const struct coord_message *message)
{
    switch (message->type) {
    case COORD_APPEND:
        write_append(writer, message);
        break;
    case COORD_APPEND_RESULT:
        coord_wire_put_uint(writer, RESULT_REJECTED, message->append_result.rejected);
        coord_wire_put_uint(writer, RESULT_LAST, message->append_result.last_index);
        break;
    case COORD_VOTE:
        coord_wire_put_uint(writer, VOTE_LAST_INDEX, message->vote.last_index);
        coord_wire_put_uint(writer, VOTE_LAST_TERM, message->vote.last_term);
        coord_wire_put_uint(writer, VOTE_PRE_VOTE, message->vote.is_pre_vote);
        coord_wire_put_uint(writer, VOTE_TRANSFER, message->vote.is_transfer);
        break;
    case COORD_VOTE_RESULT:
        coord_wire_put_uint(writer, VOTE_RESULT_GRANTED, message->vote_result.is_granted);
        coord_wire_put_uint(writer, VOTE_RESULT_PRE_VOTE, message->vote_result.is_pre_vote);
        break;
    case COORD_SNAPSHOT:
        write_snapshot(writer, &message->snapshot);
        break;
    case COORD_TIMEOUT_NOW:
        coord_wire_put_uint(writer, TIMEOUT_LAST_INDEX, message->timeout_now.last_index);
        coord_wire_put_uint(writer, TIMEOUT_LAST_TERM, message->timeout_now.last_term);
        break;
    }
}

static size_t header_size(const struct coord_frame *frame)
{
    return coord_wire_uint_size(frame->from) + coord_wire_uint_size(frame->to) +
           coord_wire_uint_size(frame->probe.term) + coord_wire_uint_size(frame->probe.number) +
           coord_wire_uint_size(frame->echo.term) + coord_wire_uint_size(frame->echo.number);
}

int coord_frame_encode(const struct coord_frame *frame, uint8_t *out, size_t size_max,
                       size_t *out_size, struct ray_err *err)
{
    size_t inner_sizes[COORD_FRAME_MESSAGES_MAX];
    struct coord_wire_writer writer = {.at = out};
    size_t size = header_size(frame);

    if (frame->count > COORD_FRAME_MESSAGES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: %zu messages in one frame, at most %d",
                        frame->count, COORD_FRAME_MESSAGES_MAX);
    }
    for (size_t i = 0; i < frame->count; i++) {
        inner_sizes[i] = body_size(&frame->messages[i]);
        size += coord_wire_bytes_size(message_size(&frame->messages[i], inner_sizes[i]));
    }
    if (size > size_max || size > COORD_FRAME_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: a frame of %zu bytes", size);
    }
    coord_wire_put_uint(&writer, FRAME_FROM, frame->from);
    coord_wire_put_uint(&writer, FRAME_TO, frame->to);
    coord_wire_put_uint(&writer, FRAME_PROBE_TERM, frame->probe.term);
    coord_wire_put_uint(&writer, FRAME_PROBE_NUMBER, frame->probe.number);
    coord_wire_put_uint(&writer, FRAME_ECHO_TERM, frame->echo.term);
    coord_wire_put_uint(&writer, FRAME_ECHO_NUMBER, frame->echo.number);
    for (size_t i = 0; i < frame->count; i++) {
        const struct coord_message *message = &frame->messages[i];

        coord_wire_put_length(&writer, FRAME_MESSAGES, message_size(message, inner_sizes[i]));
        coord_wire_put_uint(&writer, MESSAGE_TERM, message->term);
        coord_wire_put_length(&writer, MESSAGE_BODY - 1 + (uint32_t)message->type, inner_sizes[i]);
        write_body(&writer, message);
    }
    assert((size_t)(writer.at - out) == size);
    *out_size = size;
    return RAY_OK;
}

/* ---- reading ---- */

static void read_entry(struct coord_wire_reader *reader, struct coord_entry *entry)
{
    struct coord_wire_field field;

    while (coord_wire_next(reader, &field)) {
        if (coord_wire_is_uint(&field, ENTRY_TERM)) {
            entry->term = field.value;
        } else if (coord_wire_is_uint(&field, ENTRY_TYPE)) {
            if (field.value < COORD_ENTRY_COMMAND || field.value > COORD_ENTRY_CHANGE) {
                reader->is_bad = true;
                return;
            }
            entry->type = (enum coord_entry_type)field.value;
        } else if (coord_wire_is_bytes(&field, ENTRY_DATA)) {
            entry->data = field.size == 0 ? NULL : field.bytes;
            entry->size = (uint32_t)field.size;
        }
    }
}

static int read_entries(struct coord_wire_reader reader, struct ray_arena *arena,
                        struct coord_message *message, struct ray_err *err)
{
    struct coord_wire_reader again = reader;
    struct coord_entry *entries;
    struct coord_wire_field field;
    size_t count = 0;

    while (coord_wire_next(&reader, &field)) {
        count += coord_wire_is_bytes(&field, APPEND_ENTRIES);
    }
    if (reader.is_bad || count == 0) {
        return reader.is_bad ? malformed(err, "an append that is cut short") : RAY_OK;
    }
    if (count > COORD_MESSAGE_ENTRIES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: %zu entries in one append, at most %d", count,
                        COORD_MESSAGE_ENTRIES_MAX);
    }
    entries = ray_arena_alloc(arena, count * sizeof *entries);
    if (entries == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "raft: more entries than there is memory for");
    }
    count = 0;
    while (coord_wire_next(&again, &field)) {
        struct coord_wire_reader inner;

        if (!coord_wire_is_bytes(&field, APPEND_ENTRIES)) {
            continue;
        }
        inner = coord_wire_inner(&field);
        read_entry(&inner, &entries[count]);
        if (inner.is_bad) {
            return malformed(err, "an entry that is cut short or of unknown type");
        }
        count++;
        entries[count - 1].index = message->append.prev_index + count;
    }
    message->append.entries = entries;
    message->append.count = count;
    return RAY_OK;
}

static void read_append_field(const struct coord_wire_field *field, struct coord_message *message)
{
    if (coord_wire_is_uint(field, APPEND_PREV_INDEX)) {
        message->append.prev_index = field->value;
    } else if (coord_wire_is_uint(field, APPEND_PREV_TERM)) {
        message->append.prev_term = field->value;
    } else if (coord_wire_is_uint(field, APPEND_COMMIT)) {
        message->append.commit_index = field->value;
    }
}

static void read_result_field(const struct coord_wire_field *field, struct coord_message *message)
{
    if (coord_wire_is_uint(field, RESULT_REJECTED)) {
        message->append_result.rejected = field->value;
    } else if (coord_wire_is_uint(field, RESULT_LAST)) {
        message->append_result.last_index = field->value;
    }
}

static void read_vote_field(const struct coord_wire_field *field, struct coord_message *message)
{
    if (coord_wire_is_uint(field, VOTE_LAST_INDEX)) {
        message->vote.last_index = field->value;
    } else if (coord_wire_is_uint(field, VOTE_LAST_TERM)) {
        message->vote.last_term = field->value;
    } else if (coord_wire_is_uint(field, VOTE_PRE_VOTE)) {
        message->vote.is_pre_vote = field->value != 0;
    } else if (coord_wire_is_uint(field, VOTE_TRANSFER)) {
        message->vote.is_transfer = field->value != 0;
    }
}

static void read_vote_result_field(const struct coord_wire_field *field,
                                   struct coord_message *message)
{
    if (coord_wire_is_uint(field, VOTE_RESULT_GRANTED)) {
        message->vote_result.is_granted = field->value != 0;
    } else if (coord_wire_is_uint(field, VOTE_RESULT_PRE_VOTE)) {
        message->vote_result.is_pre_vote = field->value != 0;
    }
}

static void read_snapshot_field(const struct coord_wire_field *field, struct coord_message *message)
{
    if (coord_wire_is_uint(field, SNAPSHOT_INDEX)) {
        message->snapshot.index = field->value;
    } else if (coord_wire_is_uint(field, SNAPSHOT_TERM)) {
        message->snapshot.term = field->value;
    } else if (coord_wire_is_uint(field, SNAPSHOT_CONFIG_INDEX)) {
        message->snapshot.config_index = field->value;
    } else if (coord_wire_is_bytes(field, SNAPSHOT_CONFIG)) {
        /* What does not decode stays an empty configuration, which the check refuses. */
        message->snapshot.config.count = 0;
        (void)coord_config_decode(field->bytes, field->size, &message->snapshot.config, NULL);
    }
}

static void read_timeout_field(const struct coord_wire_field *field, struct coord_message *message)
{
    if (coord_wire_is_uint(field, TIMEOUT_LAST_INDEX)) {
        message->timeout_now.last_index = field->value;
    } else if (coord_wire_is_uint(field, TIMEOUT_LAST_TERM)) {
        message->timeout_now.last_term = field->value;
    }
}

static void read_body_field(const struct coord_wire_field *field, struct coord_message *message)
{
    switch (message->type) {
    case COORD_APPEND:
        read_append_field(field, message);
        break;
    case COORD_APPEND_RESULT:
        read_result_field(field, message);
        break;
    case COORD_VOTE:
        read_vote_field(field, message);
        break;
    case COORD_VOTE_RESULT:
        read_vote_result_field(field, message);
        break;
    case COORD_SNAPSHOT:
        read_snapshot_field(field, message);
        break;
    case COORD_TIMEOUT_NOW:
        read_timeout_field(field, message);
        break;
    }
}

static int read_body(struct coord_wire_reader reader, struct ray_arena *arena,
                     struct coord_message *message, struct ray_err *err)
{
    struct coord_wire_reader again = reader;
    struct coord_wire_field field;

    while (coord_wire_next(&reader, &field)) {
        read_body_field(&field, message);
    }
    if (reader.is_bad) {
        return malformed(err, "a message that is cut short");
    }
    return message->type == COORD_APPEND ? read_entries(again, arena, message, err) : RAY_OK;
}

static int read_message(struct coord_wire_reader reader, struct ray_arena *arena,
                        struct coord_message *message, struct ray_err *err)
{
    struct coord_wire_reader body = {0};
    struct coord_wire_field field;
    int rc;

    while (coord_wire_next(&reader, &field)) {
        if (coord_wire_is_uint(&field, MESSAGE_TERM)) {
            message->term = field.value;
        } else if (field.number >= MESSAGE_BODY &&
                   field.number < MESSAGE_BODY + COORD_TIMEOUT_NOW &&
                   coord_wire_is_bytes(&field, field.number)) {
            if (body.end != NULL) {
                return malformed(err, "a message with two bodies");
            }
            body = coord_wire_inner(&field);
            message->type = (enum coord_message_type)(field.number - MESSAGE_BODY + 1);
        }
    }
    if (reader.is_bad || body.end == NULL) {
        return malformed(err, "a message without a known body");
    }
    rc = read_body(body, arena, message, err);
    return rc == RAY_OK ? coord_message_check(message, err) : rc;
}

static void read_frame_field(const struct coord_wire_field *field, struct coord_frame *frame)
{
    if (coord_wire_is_uint(field, FRAME_FROM)) {
        frame->from = field->value;
    } else if (coord_wire_is_uint(field, FRAME_TO)) {
        frame->to = field->value;
    } else if (coord_wire_is_uint(field, FRAME_PROBE_TERM)) {
        frame->probe.term = field->value;
    } else if (coord_wire_is_uint(field, FRAME_PROBE_NUMBER)) {
        frame->probe.number = field->value;
    } else if (coord_wire_is_uint(field, FRAME_ECHO_TERM)) {
        frame->echo.term = field->value;
    } else if (coord_wire_is_uint(field, FRAME_ECHO_NUMBER)) {
        frame->echo.number = field->value;
    } else if (coord_wire_is_bytes(field, FRAME_MESSAGES)) {
        frame->count++;
    }
}

static int read_messages(struct coord_wire_reader reader, struct ray_arena *arena,
                         struct coord_frame *frame, struct ray_err *err)
{
    struct coord_message *messages = ray_arena_alloc(arena, frame->count * sizeof *messages);
    struct coord_wire_field field;
    size_t count = 0;

    if (messages == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "raft: more messages than there is memory for");
    }
    while (coord_wire_next(&reader, &field)) {
        int rc;

        if (!coord_wire_is_bytes(&field, FRAME_MESSAGES)) {
            continue;
        }
        messages[count].from = frame->from;
        messages[count].to = frame->to;
        rc = read_message(coord_wire_inner(&field), arena, &messages[count], err);
        if (rc != RAY_OK) {
            return rc;
        }
        count++;
    }
    frame->messages = messages;
    return RAY_OK;
}

int coord_frame_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                       struct coord_frame *out, struct ray_err *err)
{
    struct coord_wire_reader reader = {.at = bytes, .end = bytes + size};
    struct coord_frame frame = {0};
    struct coord_wire_field field;

    if (size > COORD_FRAME_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: a frame of %zu bytes", size);
    }
    while (coord_wire_next(&reader, &field)) {
        read_frame_field(&field, &frame);
    }
    if (reader.is_bad) {
        return malformed(err, "a frame that is cut short");
    }
    if (frame.from == 0 || frame.to == 0 || frame.from == frame.to) {
        return malformed(err, "a frame from or to nobody");
    }
    if (frame.count > COORD_FRAME_MESSAGES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "raft: %zu messages in one frame, at most %d",
                        frame.count, COORD_FRAME_MESSAGES_MAX);
    }
    if (frame.count > 0) {
        int rc = read_messages((struct coord_wire_reader){.at = bytes, .end = bytes + size}, arena,
                               &frame, err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    *out = frame;
    return RAY_OK;
}

/* An operation is found again by {client, sequence}; one that never ended stays unknown. */
#include "tests/hosted/history/history_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "tests/sim/map.h"

enum { LINE_SIZE = 256, WORD_SIZE = 12 };

static const char *const event_names[] = {
    [HISTORY_INVOKE] = "invoke",
    [HISTORY_OK] = "ok",
    [HISTORY_FAIL] = "fail",
    [HISTORY_UNKNOWN] = "unknown",
};

static const char *const op_names[] = {
    [SIM_OP_READ] = "read",
    [SIM_OP_WRITE] = "write",
    [SIM_OP_SWAP] = "swap",
};

bool history_event_write(FILE *file, const struct history_event *event)
{
    bool is_good = fprintf(file, "%" PRIu64 " %" PRIu32 " %" PRIu64 " %s", event->at_ns,
                           event->client, event->sequence, event_names[event->kind]) > 0;

    if (event->kind == HISTORY_INVOKE) {
        is_good =
            is_good && fprintf(file, " %s %" PRIu32 " %" PRIu64 " %" PRIu64, op_names[event->op],
                               event->key, event->value, event->expected) > 0;
    } else if (event->kind == HISTORY_OK) {
        is_good = is_good && fprintf(file, " %" PRIu64, event->value) > 0;
    }
    return is_good && fputc('\n', file) != EOF && fflush(file) == 0;
}

/* ---- reading ---- */

struct reader {
    struct sim_history *history;
    struct sim_map positions; /* {client, sequence} -> position */
    uint64_t last_ns;
};

static bool find_name(const char *word, const char *const *names, size_t count, int *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, names[i]) == 0) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

/* The next word of the line, cut off from it; NULL: none. */
static const char *next_word(char **rest)
{
    return strtok_r(NULL, " ", rest);
}

static bool next_number(char **rest, uint64_t max, uint64_t *out)
{
    const char *word = next_word(rest);

    return word != NULL && ray_parse_u64(word, 0, max, out) == RAY_OK;
}

static bool read_invoke(char **rest, struct history_event *event)
{
    const char *word = next_word(rest);
    uint64_t key;
    int op;

    if (word == NULL || !find_name(word, op_names, RAY_ARRAY_COUNT(op_names), &op) ||
        !next_number(rest, UINT32_MAX, &key) || !next_number(rest, UINT64_MAX, &event->value) ||
        !next_number(rest, UINT64_MAX, &event->expected)) {
        return false;
    }
    event->op = (enum sim_op_kind)op;
    event->key = (uint32_t)key;
    return true;
}

static bool read_event(char *line, struct history_event *event)
{
    char *rest = NULL;
    const char *word = strtok_r(line, " ", &rest);
    uint64_t client;
    int kind;

    if (word == NULL || ray_parse_u64(word, 0, UINT64_MAX - 1, &event->at_ns) != RAY_OK ||
        !next_number(&rest, UINT32_MAX, &client) ||
        !next_number(&rest, UINT64_MAX, &event->sequence)) {
        return false;
    }
    word = next_word(&rest);
    if (word == NULL || !find_name(word, event_names, RAY_ARRAY_COUNT(event_names), &kind)) {
        return false;
    }
    event->client = (uint32_t)client;
    event->kind = (enum history_event_kind)kind;
    if ((kind == HISTORY_INVOKE && !read_invoke(&rest, event)) ||
        (kind == HISTORY_OK && !next_number(&rest, UINT64_MAX, &event->value))) {
        return false;
    }
    return next_word(&rest) == NULL;
}

static bool begin_op(struct reader *reader, const struct history_event *event)
{
    const struct sim_op op = {.kind = event->op,
                              .client = event->client,
                              .sequence = event->sequence,
                              .key = event->key,
                              .value = event->value,
                              .expected = event->expected,
                              .call_ns = event->at_ns};
    bool is_new;

    (void)sim_map_put(&reader->positions, event->client, event->sequence, reader->history->count,
                      &is_new);
    if (is_new) {
        (void)sim_history_call(reader->history, &op);
    }
    return is_new;
}

static bool end_op(const struct reader *reader, const struct history_event *event)
{
    const uint64_t *position = sim_map_get(&reader->positions, event->client, event->sequence);
    struct sim_op *op = position == NULL ? NULL : &reader->history->ops[*position];

    if (op == NULL || op->is_known || (event->kind == HISTORY_FAIL && op->kind != SIM_OP_SWAP) ||
        (event->kind == HISTORY_OK && op->kind != SIM_OP_READ && op->value != event->value)) {
        return false;
    }
    if (event->kind != HISTORY_UNKNOWN) {
        op->is_known = true;
        op->has_failed = event->kind == HISTORY_FAIL;
        op->value = event->kind == HISTORY_OK ? event->value : op->value;
        op->return_ns = event->at_ns;
    }
    return true;
}

static bool take_line(struct reader *reader, char *line)
{
    struct history_event event = {.at_ns = 0};

    if (!read_event(line, &event) || event.at_ns < reader->last_ns) {
        return false;
    }
    reader->last_ns = event.at_ns;
    return event.kind == HISTORY_INVOKE ? begin_op(reader, &event) : end_op(reader, &event);
}

int history_file_read(FILE *file, struct sim_history *out, struct ray_err *err)
{
    struct reader reader = {.history = out};
    uint64_t number = 0;
    char line[LINE_SIZE];
    int rc = RAY_OK;

    while (rc == RAY_OK && fgets(line, sizeof line, file) != NULL) {
        size_t size = strlen(line);

        number++;
        if (line[size - 1] != '\n' && feof(file) != 0) {
            break;
        }
        line[size - 1] = '\0';
        if (size == sizeof line - 1 || !take_line(&reader, line)) {
            rc = ray_fail(err, RAY_EMALFORMED, "line %" PRIu64 " is no event that can be", number);
        }
    }
    sim_map_fini(&reader.positions);
    if (rc == RAY_OK && ferror(file) != 0) {
        rc = ray_fail(err, RAY_EIO, "the history cannot be read");
    }
    return rc;
}

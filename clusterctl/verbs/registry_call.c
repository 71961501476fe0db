#include "clusterctl/verbs/registry_call.h"

#include <stdlib.h>

#include "base/id.h"
#include "clusterctl/verbs/cluster_call.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto_codec.h"

enum { ANSWER_SIZE_MAX = 4 << 20, CURSOR_SIZE_MAX = 4096, REASON_SIZE = 128 };

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c packs from pointers without const */
}

/* ---- one page ---- */

void registry_page_fini(struct registry_page *page)
{
    if (page->answer != NULL) {
        rayos__registry__answer__free_unpacked(page->answer, NULL);
    }
    ray_buf_fini(&page->bytes);
}

static void on_part(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Cluster__QueryPart *part = (const Rayos__Cluster__QueryPart *)item;
    struct registry_page *page = arg;

    if (page->code == RAY_OK) {
        page->code = ray_buf_append(&page->bytes, part->bytes.data, part->bytes.len);
    }
}

/* From its beginning, at another member. */
static void on_again(void *arg)
{
    struct registry_page *page = arg;

    ray_buf_clear(&page->bytes);
    page->code = RAY_OK;
}

static int take_answer(struct registry_page *page, const Rayos__Cluster__QueryEnd *end,
                       struct ray_err *err)
{
    if (page->code != RAY_OK || end == NULL || end->size != page->bytes.size) {
        return ray_fail(err, RAY_EMALFORMED, "the answer is not whole");
    }
    page->revision = end->revision;
    page->age_ms = end->age_ms;
    page->answer = rayos__registry__answer__unpack(NULL, page->bytes.size, page->bytes.data);
    if (page->answer == NULL) {
        (void)ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
        return RAY_EMALFORMED;
    }
    return RAY_OK;
}

int registry_fetch(const struct ray_args *args, const Rayos__Registry__Query *query,
                   bool is_linearizable, struct registry_page *page, struct ray_err *err)
{
    Rayos__Cluster__QueryRequest request = RAYOS__CLUSTER__QUERY_REQUEST__INIT;
    const struct cluster_stream stream = {.method = "registry.query",
                                          .input = &request.base,
                                          .item = &rayos__cluster__query_part__descriptor,
                                          .output = &rayos__cluster__query_end__descriptor,
                                          .on_item = on_part,
                                          .on_again = on_again,
                                          .arg = page};
    ProtobufCMessage *end = NULL;
    int rc;

    *page = (struct registry_page){0};
    ray_buf_init(&page->bytes, ANSWER_SIZE_MAX);
    request.query.len = rayos__registry__query__get_packed_size(query);
    request.query.data = malloc(request.query.len + 1);
    if (request.query.data == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a query");
    }
    (void)rayos__registry__query__pack(query, request.query.data);
    request.is_linearizable = is_linearizable;
    rc = cluster_stream(args, &stream, &end, err);
    free(request.query.data);
    if (rc == RAY_OK) {
        rc = take_answer(page, (const Rayos__Cluster__QueryEnd *)end, err);
        protobuf_c_message_free_unpacked(end, NULL);
    }
    return rc;
}

/* ---- all pages ---- */

/* Kept, as the page that it came with goes. */
static int take_cursor(struct ray_buf *cursor, const struct registry_page *page,
                       Rayos__Registry__Query *query, struct ray_err *err)
{
    ray_buf_clear(cursor);
    if (ray_buf_append(cursor, page->answer->cursor.data, page->answer->cursor.len) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
    }
    query->cursor = ray_proto_bytes(cursor->data, cursor->size);
    return RAY_OK;
}

int registry_fetch_all(const struct ray_args *args, Rayos__Registry__Query *query,
                       bool is_linearizable,
                       int (*on_page)(void *arg, const struct registry_page *page, bool is_first,
                                      struct ray_err *err),
                       void *arg, struct ray_err *err)
{
    bool is_first = true;
    struct ray_buf cursor;
    int rc;

    ray_buf_init(&cursor, CURSOR_SIZE_MAX);
    do {
        struct registry_page page;

        rc = registry_fetch(args, query, is_linearizable, &page, err);
        rc = rc == RAY_OK ? on_page(arg, &page, is_first, err) : rc;
        rc = rc == RAY_OK ? take_cursor(&cursor, &page, query, err) : rc;
        registry_page_fini(&page);
        is_first = false;
    } while (rc == RAY_OK && cursor.size > 0);
    query->cursor = (ProtobufCBinaryData){0}; /* its bytes go */
    ray_buf_fini(&cursor);
    return rc;
}

/* ---- changes ---- */

static int open_session(const struct ray_args *args, struct ray_id *out, struct ray_err *err)
{
    Rayos__Cluster__SessionRequest request = RAYOS__CLUSTER__SESSION_REQUEST__INIT;
    const Rayos__Cluster__SessionOpened *opened;
    ProtobufCMessage *body = NULL;
    int rc = cluster_call(args, "session.open", &request.base,
                          &rayos__cluster__session_opened__descriptor, &body, err);

    if (rc == RAY_OK) {
        opened = (const Rayos__Cluster__SessionOpened *)body;
        rc = ray_id_from_bytes(opened->id.data, opened->id.len, out, err);
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

/* It would expire by itself. */
static void close_session(const struct ray_args *args, const struct ray_id *id)
{
    Rayos__Cluster__SessionCloseRequest request = RAYOS__CLUSTER__SESSION_CLOSE_REQUEST__INIT;
    ProtobufCMessage *body = NULL;

    request.id = ray_proto_id(id);
    if (cluster_call(args, "session.close", &request.base, &rayos__cluster__done__descriptor, &body,
                     NULL) == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
}

static int take_reply(const Rayos__Registry__Result *result, Rayos__Registry__Reply **out,
                      struct ray_err *err)
{
    *out = rayos__registry__reply__unpack(NULL, result->body.len, result->body.data);
    return *out != NULL ? RAY_OK : ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
}

/* out_reply may be NULL. */
static int propose(const struct ray_args *args, Rayos__Registry__Command *command,
                   uint64_t *out_revision, Rayos__Registry__Reply **out_reply, struct ray_err *err)
{
    Rayos__Cluster__ProposeRequest request = RAYOS__CLUSTER__PROPOSE_REQUEST__INIT;
    const Rayos__Registry__Result *result;
    ProtobufCMessage *body = NULL;
    int rc;

    request.command.len = rayos__registry__command__get_packed_size(command);
    request.command.data = malloc(request.command.len + 1);
    if (request.command.data == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a command");
    }
    (void)rayos__registry__command__pack(command, request.command.data);
    rc = cluster_call(args, "registry.propose", &request.base, &rayos__registry__result__descriptor,
                      &body, err);
    free(request.command.data);
    if (rc != RAY_OK) {
        return rc;
    }
    result = (const Rayos__Registry__Result *)body;
    *out_revision = result->revision;
    if (result->code != RAY_OK) {
        rc = ray_fail(err, result->code, "%s", result->text);
        (void)ray_next(err, "%s", result->next_step);
    } else if (out_reply != NULL) {
        rc = take_reply(result, out_reply, err);
    }
    protobuf_c_message_free_unpacked(body, NULL);
    return rc;
}

int registry_change_once(const struct ray_args *args, Rayos__Registry__Command *command,
                         uint64_t *out_revision, struct ray_err *err)
{
    return registry_change_reply(args, command, out_revision, NULL, err);
}

int registry_change_reply(const struct ray_args *args, Rayos__Registry__Command *command,
                          uint64_t *out_revision, Rayos__Registry__Reply **out_reply,
                          struct ray_err *err)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    char reason[REASON_SIZE];
    struct ray_id session;
    int rc = open_session(args, &session, err);

    if (rc != RAY_OK) {
        return rc;
    }
    header.reason = text(cluster_reason(args, reason, sizeof reason));
    header.session = ray_proto_id(&session);
    header.sequence = 1;
    command->header = &header;
    rc = propose(args, command, out_revision, out_reply, err);
    command->header = NULL;
    close_session(args, &session);
    return rc;
}

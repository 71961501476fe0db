/* place.c - asks a member (net/proto/place.proto) and prints the vector itself: each node with its
 * terms, or with all that would have to change. The best come first. */
#include "clusterctl/verbs/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/guest_options.h"
#include "clusterctl/verbs/node_call.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/place.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { ARENA_SIZE_MAX = 4 << 20, ANSWER_SIZE_MAX = 64 << 20, WORDS_SIZE_MAX = 4096 };

/* ---- asking ---- */

struct asked {
    struct ray_buf bytes;
    Rayos__Place__Answer *answer;
    uint64_t revision;
    uint64_t age_ms;
    int code; /* of putting its parts together */
};

static void on_part(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Cluster__QueryPart *part = (const Rayos__Cluster__QueryPart *)item;
    struct asked *asked = arg;

    if (asked->code == RAY_OK) {
        asked->code = ray_buf_append(&asked->bytes, part->bytes.data, part->bytes.len);
    }
}

/* From its beginning, at another member. */
static void on_again(void *arg)
{
    struct asked *asked = arg;

    ray_buf_clear(&asked->bytes);
    asked->code = RAY_OK;
}

static int take_answer(struct asked *asked, const Rayos__Cluster__QueryEnd *end,
                       struct ray_err *err)
{
    if (asked->code == RAY_OK && end != NULL && end->size == asked->bytes.size) {
        asked->revision = end->revision;
        asked->age_ms = end->age_ms;
        asked->answer = rayos__place__answer__unpack(NULL, asked->bytes.size, asked->bytes.data);
    }
    return asked->answer != NULL ? RAY_OK
                                 : ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
}

static int send_ask(const struct ray_args *args, const Rayos__Place__Ask *ask,
                    struct ray_arena *arena, struct asked *asked, struct ray_err *err)
{
    Rayos__Cluster__PlaceRequest request = RAYOS__CLUSTER__PLACE_REQUEST__INIT;
    const struct cluster_stream stream = {.method = "place.ask",
                                          .input = &request.base,
                                          .item = &rayos__cluster__query_part__descriptor,
                                          .output = &rayos__cluster__query_end__descriptor,
                                          .on_item = on_part,
                                          .on_again = on_again,
                                          .arg = asked};
    ProtobufCMessage *end = NULL;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_proto_pack(&ask->base, ARENA_SIZE_MAX, arena, &bytes, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    request.ask = ray_proto_bytes(bytes, size);
    request.is_linearizable = ray_args_flag(args, "linearizable");
    rc = cluster_stream(args, &stream, &end, err);
    if (rc == RAY_OK) {
        rc = take_answer(asked, (const Rayos__Cluster__QueryEnd *)end, err);
        protobuf_c_message_free_unpacked(end, NULL);
    }
    return rc;
}

/* Whether options say what a guest is to be: those between --dry-run and --linearizable. */
static bool describes_one(const struct ray_args *args)
{
    const struct ray_args_option *option = args->command->options;

    for (size_t i = 1; strcmp(option[i].name, "linearizable") != 0; i++) {
        if (args->is_given[i]) {
            return true;
        }
    }
    return args->repeated_count > 0; /* all that may be repeated is of a guest */
}

/* A guest by its name, or one as options and files say. */
static int read_ask(const struct ray_args *args, struct ray_arena *arena, Rayos__Place__Ask *out,
                    struct ray_err *err)
{
    Rayos__Spec__GuestSpec *spec = ray_arena_alloc(arena, sizeof *spec);
    ProtobufCMessage *checked = NULL;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc;

    if (args->positional_count > 0 && describes_one(args)) {
        (void)ray_fail(err, RAY_EUSAGE, "guest %s has a spec of its own", args->positionals[0]);
        (void)ray_next(err, "either its name, or options for one that is not there");
        return RAY_EUSAGE;
    }
    if (args->positional_count > 0) {
        out->guest = (char *)(uintptr_t)args->positionals[0];
        return RAY_OK;
    }
    if (spec == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a spec");
    }
    rayos__spec__guest_spec__init(spec);
    rc = guest_options_apply(args, &spec, arena, err);
    if (rc == RAY_OK) {
        rc = ray_proto_pack(&spec->base, RAY_SPEC_SIZE_MAX, arena, &bytes, &size, err);
    }
    if (rc == RAY_OK) {
        rc = ray_spec_check(RAY_SPEC_GUEST, RAY_SPEC_LEVEL, bytes, size, arena, &checked, err);
    }
    if (rc == RAY_OK) {
        out->spec = ray_proto_bytes(bytes, size);
    }
    return rc;
}

/* ---- the answer ---- */

static int compare_verdicts(const void *a, const void *b)
{
    const Rayos__Place__Verdict *const *one = a;
    const Rayos__Place__Verdict *const *other = b;

    if ((*one)->is_possible != (*other)->is_possible) {
        return (*one)->is_possible ? -1 : 1;
    }
    if ((*one)->score != (*other)->score) {
        return (*one)->score > (*other)->score ? -1 : 1;
    }
    return strcmp((*one)->node_id, (*other)->node_id);
}

/* "memory 390, cpu 210, balance -4"; or what would have to change, with '; '. */
static const char *explain(const Rayos__Place__Verdict *verdict, char out[static WORDS_SIZE_MAX])
{
    size_t size = 0;
    int length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < verdict->n_terms && size < WORDS_SIZE_MAX; i++) {
        if (verdict->terms[i]->value != 0) {
            length = snprintf(out + size, WORDS_SIZE_MAX - size, "%s%s %d", size == 0 ? "" : ", ",
                              verdict->terms[i]->name, verdict->terms[i]->value);
            size += length > 0 ? (size_t)length : 0;
        }
    }
    for (size_t i = 0; i < verdict->n_changes && size < WORDS_SIZE_MAX; i++) {
        length = snprintf(out + size, WORDS_SIZE_MAX - size, "%s%s", size == 0 ? "" : "; ",
                          verdict->changes[i]->text);
        size += length > 0 ? (size_t)length : 0;
    }
    return out;
}

/* Terms as {name: value}; a score and terms only where it is possible. */
static yyjson_mut_val *show_verdict(yyjson_mut_doc *doc, const Rayos__Place__Verdict *verdict)
{
    yyjson_mut_val *tree = output_from_message(doc, &verdict->base);
    yyjson_mut_val *terms = yyjson_mut_obj(doc);
    char words[WORDS_SIZE_MAX];
    bool is_ok = tree != NULL && terms != NULL;

    for (size_t i = 0; is_ok && i < verdict->n_terms; i++) {
        is_ok = yyjson_mut_obj_add(terms, yyjson_mut_strcpy(doc, verdict->terms[i]->name),
                                   yyjson_mut_sint(doc, verdict->terms[i]->value));
    }
    is_ok = is_ok && yyjson_mut_obj_replace(tree, yyjson_mut_str(doc, "terms"), terms) &&
            yyjson_mut_obj_add_strcpy(doc, tree, "explanation", explain(verdict, words));
    if (is_ok && !verdict->is_possible) {
        is_ok = yyjson_mut_obj_replace(tree, yyjson_mut_str(doc, "score"), yyjson_mut_null(doc));
    }
    return is_ok ? tree : NULL;
}

static yyjson_mut_val *show(yyjson_mut_doc *doc, const struct asked *asked)
{
    const Rayos__Place__Answer *answer = asked->answer;
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool is_ok = root != NULL && list != NULL &&
                 yyjson_mut_obj_add_strcpy(doc, root, "guest", answer->guest) &&
                 yyjson_mut_obj_add_strcpy(doc, root, "best", answer->best) &&
                 yyjson_mut_obj_add_strcpy(doc, root, "second", answer->second) &&
                 yyjson_mut_obj_add_uint(doc, root, "revision", asked->revision) &&
                 yyjson_mut_obj_add_val(doc, root, "age_ms", output_age(doc, asked->age_ms)) &&
                 yyjson_mut_obj_add_val(doc, root, "verdicts", list);

    for (size_t i = 0; is_ok && i < answer->n_verdicts; i++) {
        is_ok = yyjson_mut_arr_append(list, show_verdict(doc, answer->verdicts[i]));
    }
    return is_ok ? root : NULL;
}

static int print(const struct ray_args *args, struct asked *asked, struct ray_err *err)
{
    static const struct output_column columns[] = {
        {"NODE", "node", OUTPUT_AS_TEXT},
        {"POSSIBLE", "is_possible", OUTPUT_AS_TEXT},
        {"SCORE", "score", OUTPUT_AS_TEXT},
        {"WHY, OR WHAT WOULD HAVE TO CHANGE", "explanation", OUTPUT_AS_TEXT},
        {0}};
    static const struct output_view view = {
        .list_key = "verdicts", .name_key = "node", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    enum output_form form = OUTPUT_TABLE;
    yyjson_mut_val *root;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    if (rc == RAY_OK) {
        qsort(asked->answer->verdicts, asked->answer->n_verdicts, sizeof(*asked->answer->verdicts),
              compare_verdicts);
        root = show(doc, asked);
        rc = root == NULL ? ray_fail(err, RAY_ENOMEM, "the output")
                          : output_print(stdout, form, root, &view, err);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}

static int check_dry_run(const struct ray_args *args, struct ray_err *err)
{
    if (ray_args_flag(args, "dry-run")) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUSAGE, "nothing starts guests yet, so none is placed");
    (void)ray_next(err, "--dry-run says where it would go");
    return RAY_EUSAGE;
}

static int run_place(const struct ray_args *args, void *context)
{
    Rayos__Place__Ask ask = RAYOS__PLACE__ASK__INIT;
    struct asked asked = {.answer = NULL};
    struct ray_arena arena;
    struct ray_err err = {0};
    int rc;

    (void)context;
    ray_arena_init(&arena, ARENA_SIZE_MAX);
    ray_buf_init(&asked.bytes, ANSWER_SIZE_MAX);
    rc = check_dry_run(args, &err);
    if (rc == RAY_OK) {
        rc = read_ask(args, &arena, &ask, &err);
    }
    if (rc == RAY_OK) {
        rc = send_ask(args, &ask, &arena, &asked, &err);
    }
    if (rc == RAY_OK) {
        rc = print(args, &asked, &err);
    }
    if (rc == RAY_OK && asked.answer->best[0] == '\0') {
        rc = ray_fail(&err, RAY_EUNAVAILABLE, "no node can take it");
        (void)ray_next(&err, "one node's line says all that would have to change there");
    }
    if (asked.answer != NULL) {
        rayos__place__answer__free_unpacked(asked.answer, NULL);
    }
    ray_buf_fini(&asked.bytes);
    ray_arena_fini(&arena);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static const struct ray_args_option options[] = {
    {.name = "dry-run", .help = "say where it would go; nothing else is there yet"},
    GUEST_SPEC_OPTIONS,
    CLUSTER_LINEARIZABLE_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

const struct ray_args_command place_command = {
    .name = "place",
    .positional = "[GUEST]",
    .positional_max = 1,
    .help = "where a guest would go (without name: one of these options), and why",
    .options = options,
    .run = run_place,
    .complete = complete_guest};

/* ---- whatif ---- */

static yyjson_mut_val *show_moves(yyjson_mut_doc *doc, const struct asked *asked, const char *what)
{
    const Rayos__Place__Answer *answer = asked->answer;
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool is_ok = root != NULL && list != NULL &&
                 yyjson_mut_obj_add_strcpy(doc, root, "node", answer->node) &&
                 yyjson_mut_obj_add_strcpy(doc, root, "what", what) &&
                 yyjson_mut_obj_add_uint(doc, root, "revision", asked->revision) &&
                 yyjson_mut_obj_add_val(doc, root, "age_ms", output_age(doc, asked->age_ms)) &&
                 yyjson_mut_obj_add_bool(doc, root, "is_proven", answer->is_proven) &&
                 yyjson_mut_obj_add_val(doc, root, "moves", list);

    for (size_t i = 0; is_ok && i < answer->n_moves; i++) {
        is_ok = yyjson_mut_arr_append(list, output_from_message(doc, &answer->moves[i]->base));
    }
    return is_ok ? root : NULL;
}

static int print_moves(const struct ray_args *args, const struct asked *asked, struct ray_err *err)
{
    static const struct output_column columns[] = {{"GUEST", "guest", OUTPUT_AS_TEXT},
                                                   {"WOULD GO TO", "to", OUTPUT_AS_TEXT},
                                                   {"WHY NOWHERE", "why", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {
        .list_key = "moves", .name_key = "guest", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    enum output_form form = OUTPUT_TABLE;
    yyjson_mut_val *root;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    if (rc == RAY_OK) {
        root = show_moves(doc, asked, args->positionals[1]);
        rc = root == NULL ? ray_fail(err, RAY_ENOMEM, "the output")
                          : output_print(stdout, form, root, &view, err);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}

static int check_moves(const Rayos__Place__Answer *answer, struct ray_err *err)
{
    size_t nowhere = 0;

    for (size_t i = 0; i < answer->n_moves; i++) {
        nowhere += answer->moves[i]->to[0] == '\0';
    }
    if (nowhere == 0) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUNAVAILABLE, "%zu of %zu guests would have no place%s", nowhere,
                   answer->n_moves, answer->is_proven ? ", whatever is tried" : " that was found");
    (void)ray_next(err, "'clusterctl place GUEST --dry-run' says what would have to change");
    return RAY_EUNAVAILABLE;
}

static int run_whatif_node(const struct ray_args *args, void *context)
{
    Rayos__Place__Ask ask = RAYOS__PLACE__ASK__INIT;
    struct asked asked = {.answer = NULL};
    struct ray_arena arena;
    struct ray_err err = {0};
    int rc = RAY_OK;

    (void)context;
    ray_arena_init(&arena, ARENA_SIZE_MAX);
    ray_buf_init(&asked.bytes, ANSWER_SIZE_MAX);
    ask.node = (char *)(uintptr_t)args->positionals[0];
    ask.is_drain = strcmp(args->positionals[1], "drain") == 0;
    if (!ask.is_drain && strcmp(args->positionals[1], "down") != 0) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%.32s': down or drain is wanted", args->positionals[1]);
    }
    if (rc == RAY_OK) {
        rc = send_ask(args, &ask, &arena, &asked, &err);
    }
    if (rc == RAY_OK) {
        rc = print_moves(args, &asked, &err);
    }
    if (rc == RAY_OK) {
        rc = check_moves(asked.answer, &err);
    }
    if (asked.answer != NULL) {
        rayos__place__answer__free_unpacked(asked.answer, NULL);
    }
    ray_buf_fini(&asked.bytes);
    ray_arena_fini(&arena);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static const struct ray_args_option whatif_options[] = {CLUSTER_LINEARIZABLE_OPTION,
                                                        OUTPUT_OPTION,
                                                        CLUSTER_SOCKET_OPTION,
                                                        NODE_TIMEOUT_OPTION("30"),
                                                        {0}};

static const struct ray_args_command whatif_commands[] = {
    {.name = "node",
     .positional = "NAME down|drain",
     .positional_min = 2,
     .positional_max = 2,
     .help = "where its guests would go if it were lost, or drained",
     .options = whatif_options,
     .run = run_whatif_node,
     .complete = complete_node},
    {0}};

const struct ray_args_command whatif_command = {
    .name = "whatif", .help = "what would happen", .subcommands = whatif_commands};

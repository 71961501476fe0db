/* guest_options.c - option by option; a repeated one replaces the whole list of before. */
#include "clusterctl/verbs/guest_options.h"

#include <string.h>

#include "base/size.h"
#include "clusterctl/cli/input.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { FILE_SIZE_MAX = 4 * RAY_SPEC_SIZE_MAX };

struct options {
    const struct ray_args *args;
    Rayos__Spec__GuestSpec *spec;
    struct ray_arena *arena;
    struct ray_err *err;
};

static int no_memory(const struct options *options)
{
    return ray_fail(options->err, RAY_ENOMEM, "the options");
}

static const char *value_of(const struct options *options, const char *name)
{
    return ray_args_value(options->args, name);
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c packs from pointers without const */
}

/* ---- one value ---- */

static void set_text(const struct options *options, const char *name, char **out)
{
    const char *given = value_of(options, name);

    if (given != NULL) {
        *out = text(given);
    }
}

static int set_size(const struct options *options, const char *name, uint64_t *out)
{
    const char *given = value_of(options, name);

    if (given == NULL || ray_parse_size(given, out) == RAY_OK) {
        return RAY_OK;
    }
    return ray_fail(options->err, RAY_EUSAGE, "--%s %.32s is no size; such as 512MiB or 2GiB", name,
                    given);
}

static int set_number(const struct options *options, const char *name, uint32_t min, uint32_t max,
                      uint32_t *out)
{
    const char *given = value_of(options, name);
    uint64_t value = 0;

    if (given == NULL) {
        return RAY_OK;
    }
    if (ray_parse_u64(given, min, max, &value) != RAY_OK) {
        return ray_fail(options->err, RAY_EUSAGE, "--%s %.32s: from %u to %u", name, given, min,
                        max);
    }
    *out = (uint32_t)value;
    return RAY_OK;
}

static int set_file(const struct options *options, const char *name, ProtobufCBinaryData *out)
{
    const char *path = value_of(options, name);
    struct ray_buf bytes;
    uint8_t *copy;
    int rc;

    if (path == NULL) {
        return RAY_OK;
    }
    ray_buf_init(&bytes, RAY_SPEC_SIZE_MAX);
    rc = input_read_file(path, &bytes, options->err);
    copy = rc == RAY_OK ? ray_arena_alloc(options->arena, bytes.size + 1) : NULL;
    if (rc == RAY_OK && copy == NULL) {
        rc = no_memory(options);
    }
    if (copy != NULL && bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    if (rc == RAY_OK) {
        *out = ray_proto_bytes(copy, bytes.size);
    }
    ray_buf_fini(&bytes);
    return rc;
}

static int set_machine(const struct options *options)
{
    Rayos__Spec__GuestSpec *spec = options->spec;
    int rc = set_number(options, "vcpus", 1, RAY_SPEC_VCPUS_MAX, &spec->vcpus);

    set_text(options, "image", &spec->image);
    set_text(options, "architecture", &spec->architecture);
    set_text(options, "cpu", &spec->cpu_model);
    set_text(options, "domain", &spec->domain);
    set_text(options, "kernel-arguments", &spec->kernel_arguments);
    set_text(options, "description", &spec->description);
    if (rc == RAY_OK) {
        rc = set_size(options, "memory", &spec->memory_bytes);
    }
    if (rc == RAY_OK) {
        rc = set_size(options, "disk", &spec->disk_bytes);
    }
    if (rc == RAY_OK) {
        rc = set_number(options, "priority", 0, RAY_SPEC_PRIORITY_MAX, &spec->priority);
    }
    return rc;
}

/* Their words were looked at when the options were parsed. */
static void set_choices(const struct options *options)
{
    const char *on_boot = value_of(options, "autostart");
    const char *restart = value_of(options, "restart");

    if (on_boot != NULL) {
        options->spec->on_boot = strcmp(on_boot, "hidden") == 0
                                     ? RAYOS__SPEC__ON_BOOT__ON_BOOT_HIDDEN
                                     : RAYOS__SPEC__ON_BOOT__ON_BOOT_NOTHING;
    }
    if (restart != NULL) {
        options->spec->restart = strcmp(restart, "home") == 0 ? RAYOS__SPEC__RESTART__RESTART_HOME
                                 : strcmp(restart, "never") == 0
                                     ? RAYOS__SPEC__RESTART__RESTART_NEVER
                                     : RAYOS__SPEC__RESTART__RESTART_ELSEWHERE;
    }
}

static int set_display(const struct options *options)
{
    const char *given = value_of(options, "display");
    const char *times = given == NULL ? NULL : strchr(given, 'x');
    Rayos__Spec__Display *display;
    uint64_t width = 0;
    uint64_t height = 0;
    char *first;

    if (given == NULL) {
        return RAY_OK;
    }
    if (strcmp(given, "off") == 0) {
        options->spec->display = NULL;
        return RAY_OK;
    }
    first = ray_arena_strndup(options->arena, given, times == NULL ? 0 : (size_t)(times - given));
    display = ray_arena_alloc(options->arena, sizeof *display);
    if (first == NULL || display == NULL) {
        return no_memory(options);
    }
    if (times == NULL || ray_parse_u64(first, 1, RAY_SPEC_DISPLAY_SIZE_MAX, &width) != RAY_OK ||
        ray_parse_u64(times + 1, 1, RAY_SPEC_DISPLAY_SIZE_MAX, &height) != RAY_OK) {
        return ray_fail(options->err, RAY_EUSAGE, "--display %.32s: off, or such as 1280x800",
                        given);
    }
    rayos__spec__display__init(display);
    display->width = (uint32_t)width;
    display->height = (uint32_t)height;
    options->spec->display = display;
    return RAY_OK;
}

static int set_cloud_init(const struct options *options)
{
    Rayos__Spec__CloudInit *cloud_init = options->spec->cloud_init;
    int rc;

    if (value_of(options, "user-data") == NULL && value_of(options, "network-config") == NULL) {
        return RAY_OK;
    }
    if (cloud_init == NULL) {
        cloud_init = ray_arena_alloc(options->arena, sizeof *cloud_init);
        if (cloud_init == NULL) {
            return no_memory(options);
        }
        rayos__spec__cloud_init__init(cloud_init);
        options->spec->cloud_init = cloud_init;
    }
    rc = set_file(options, "user-data", &cloud_init->user_data);
    return rc == RAY_OK ? set_file(options, "network-config", &cloud_init->network_config) : rc;
}

/* ---- lists ---- */

/* How often a repeatable option came; the word that empties its list counts as nothing, alone. */
static int count_of(const struct options *options, const char *name, const char *nothing,
                    size_t max, size_t *out)
{
    const char *word;
    size_t count = 0;
    bool is_nothing = false;

    while ((word = ray_args_value_at(options->args, name, count)) != NULL) {
        is_nothing = is_nothing || strcmp(word, nothing) == 0;
        count++;
    }
    if (count > max) {
        return ray_fail(options->err, RAY_EUSAGE, "--%s: at most %zu", name, max);
    }
    if (is_nothing && count > 1) {
        return ray_fail(options->err, RAY_EUSAGE, "--%s %s stands alone", name, nothing);
    }
    *out = is_nothing ? 0 : count;
    return RAY_OK;
}

static bool is_given(const struct options *options, const char *name)
{
    return ray_args_value_at(options->args, name, 0) != NULL;
}

static int set_networks(const struct options *options)
{
    Rayos__Spec__GuestSpec *spec = options->spec;
    size_t count = 0;
    int rc = is_given(options, "network")
                 ? count_of(options, "network", "off", RAY_SPEC_NETWORKS_MAX, &count)
                 : RAY_EAGAIN;

    if (rc != RAY_OK) {
        return rc == RAY_EAGAIN ? RAY_OK : rc;
    }
    spec->n_networks = 0;
    spec->networks = ray_arena_alloc(options->arena, (count + 1) * sizeof(void *));
    for (size_t i = 0; spec->networks != NULL && i < count; i++) {
        Rayos__Spec__GuestNetwork *card = ray_arena_alloc(options->arena, sizeof *card);

        if (card == NULL) {
            return no_memory(options);
        }
        rayos__spec__guest_network__init(card);
        card->network = text(ray_args_value_at(options->args, "network", i));
        spec->networks[spec->n_networks++] = card;
    }
    return spec->networks == NULL ? no_memory(options) : RAY_OK;
}

/* KEY=VALUE, both in the arena. */
static int read_label(const struct options *options, const char *name, const char *word,
                      size_t size, char **out_key, ProtobufCBinaryData *out_value)
{
    const char *equals = memchr(word, '=', size);
    char *copy = ray_arena_strndup(options->arena, word, size);
    size_t key_size;

    if (copy == NULL) {
        return no_memory(options);
    }
    if (equals == NULL || equals == word) {
        return ray_fail(options->err, RAY_EUSAGE, "--%s %.64s: KEY=VALUE is wanted", name, word);
    }
    key_size = (size_t)(equals - word);
    copy[key_size] = '\0';
    *out_key = copy;
    *out_value = ray_proto_bytes(copy + key_size + 1, size - key_size - 1);
    return RAY_OK;
}

static int set_node_labels(const struct options *options)
{
    Rayos__Spec__GuestSpec *spec = options->spec;
    size_t count = 0;
    int rc = RAY_OK;

    if (!is_given(options, "node-label")) {
        return RAY_OK;
    }
    rc = count_of(options, "node-label", "none", RAY_SPEC_NODE_LABELS_MAX, &count);
    if (rc != RAY_OK) {
        return rc;
    }
    spec->n_node_labels = 0;
    spec->node_labels = ray_arena_alloc(options->arena, (count + 1) * sizeof(void *));
    for (size_t i = 0; rc == RAY_OK && spec->node_labels != NULL && i < count; i++) {
        const char *word = ray_args_value_at(options->args, "node-label", i);
        Rayos__Spec__NodeLabel *label = ray_arena_alloc(options->arena, sizeof *label);

        if (label == NULL) {
            return no_memory(options);
        }
        rayos__spec__node_label__init(label);
        rc = read_label(options, "node-label", word, strlen(word), &label->key, &label->value);
        spec->node_labels[spec->n_node_labels++] = label;
    }
    return spec->node_labels == NULL ? no_memory(options) : rc;
}

/* ---- relations ---- */

static bool is_word(const char *at, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(at, word, size) == 0;
}

/* What follows WHAT: ",domain", ",preferred". */
static int read_flags(const struct options *options, const char *name, const char *at,
                      Rayos__Spec__Relation *out)
{
    out->is_required = true;
    while (*at == ',') {
        size_t size = strcspn(at + 1, ",");

        if (is_word(at + 1, size, "domain")) {
            out->is_for_domain = true;
        } else if (is_word(at + 1, size, "preferred")) {
            out->is_required = false;
        } else {
            return ray_fail(options->err, RAY_EUSAGE,
                            "--%s: ',%.*s' is neither domain nor "
                            "preferred",
                            name, (int)(size < 32 ? size : 32), at + 1);
        }
        at += 1 + size;
    }
    return RAY_OK;
}

static int read_relation(const struct options *options, const char *name, const char *word,
                         Rayos__Spec__Relation *out)
{
    static const char guest[] = "guest:";
    size_t size = strcspn(word, ",");
    size_t stem = sizeof guest - 1;
    int rc = read_flags(options, name, word + size, out);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size <= stem || memcmp(word, guest, stem) != 0) {
        return read_label(options, name, word, size, &out->label, &out->value);
    }
    out->guest = ray_arena_strndup(options->arena, word + stem, size - stem);
    return out->guest == NULL ? no_memory(options) : RAY_OK;
}

/* Those of the other sort stay. */
static size_t keep_relations(const Rayos__Spec__GuestSpec *spec, bool is_together,
                             Rayos__Spec__Relation **out)
{
    size_t kept = 0;

    for (size_t i = 0; i < spec->n_relations; i++) {
        if ((spec->relations[i]->is_together != 0) != is_together) {
            out[kept++] = spec->relations[i];
        }
    }
    return kept;
}

static int set_relations(const struct options *options, const char *name, bool is_together)
{
    Rayos__Spec__GuestSpec *spec = options->spec;
    Rayos__Spec__Relation **relations;
    size_t count = 0;
    size_t kept;
    int rc;

    if (!is_given(options, name)) {
        return RAY_OK;
    }
    rc = count_of(options, name, "none", RAY_SPEC_RELATIONS_MAX, &count);
    if (rc != RAY_OK) {
        return rc;
    }
    relations = ray_arena_alloc(options->arena, (spec->n_relations + count + 1) * sizeof(void *));
    if (relations == NULL) {
        return no_memory(options);
    }
    kept = keep_relations(spec, is_together, relations);
    for (size_t i = 0; rc == RAY_OK && i < count; i++) {
        Rayos__Spec__Relation *relation = ray_arena_alloc(options->arena, sizeof *relation);

        if (relation == NULL) {
            return no_memory(options);
        }
        rayos__spec__relation__init(relation);
        relation->is_together = is_together;
        rc = read_relation(options, name, ray_args_value_at(options->args, name, i), relation);
        relations[kept++] = relation;
    }
    spec->relations = relations;
    spec->n_relations = kept;
    return rc;
}

/* ---- all ---- */

static int read_spec_file(const struct options *options, Rayos__Spec__GuestSpec **spec)
{
    const char *path = value_of(options, "file");
    ProtobufCMessage *message = NULL;
    struct ray_buf bytes;
    int rc;

    if (path == NULL) {
        return RAY_OK;
    }
    ray_buf_init(&bytes, FILE_SIZE_MAX);
    rc = input_read_file(path, &bytes, options->err);
    if (rc == RAY_OK) {
        rc = input_message(ray_buf_text(&bytes), bytes.size, &rayos__spec__guest_spec__descriptor,
                           options->arena, &message, options->err);
        rc = rc == RAY_OK ? RAY_OK : ray_wrap(options->err, rc, "%s", path);
    }
    if (rc == RAY_OK) {
        *spec = (Rayos__Spec__GuestSpec *)message;
    }
    ray_buf_fini(&bytes);
    return rc;
}

int guest_options_apply(const struct ray_args *args, Rayos__Spec__GuestSpec **spec,
                        struct ray_arena *arena, struct ray_err *err)
{
    struct options options = {.args = args, .arena = arena, .err = err};
    int rc = read_spec_file(&options, spec);

    if (rc != RAY_OK) {
        return rc;
    }
    options.spec = *spec;
    set_choices(&options);
    rc = set_machine(&options);
    if (rc == RAY_OK) {
        rc = set_display(&options);
    }
    if (rc == RAY_OK) {
        rc = set_cloud_init(&options);
    }
    if (rc == RAY_OK) {
        rc = set_networks(&options);
    }
    if (rc == RAY_OK) {
        rc = set_node_labels(&options);
    }
    if (rc == RAY_OK) {
        rc = set_relations(&options, "anti-affinity", false);
    }
    return rc == RAY_OK ? set_relations(&options, "affinity", true) : rc;
}

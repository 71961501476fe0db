/* The images of the store. Files come as descriptors, which the caller has opened: the service
 * reads nobody's folders. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "provisioning/pxe/control_internal.h"

static bool is_assigned(const struct provision_assignment *assignment, const char *id)
{
    return assignment->is_set && strcmp(assignment->image_id, id) == 0;
}

static uint32_t assigned_count(const struct provision_table *table, const char *id)
{
    uint32_t count = 0;

    for (size_t i = 0; i < provision_table_group_count(table); i++) {
        count += is_assigned(&provision_table_group_at(table, i)->assignment, id) ? 1 : 0;
    }
    for (size_t i = 0; i < provision_table_count(table); i++) {
        count += is_assigned(&provision_table_at(table, i)->assignment, id) ? 1 : 0;
    }
    return count;
}

static char *copy(struct ray_arena *arena, const char *text)
{
    return ray_arena_strndup(arena, text, strlen(text));
}

/* The store's table changes with the next call, so that texts are copied. */
static Rayos__Provision__Image *encode(const struct provision_control *control,
                                       struct ray_arena *arena,
                                       const struct provision_store_image *image, bool is_newest)
{
    Rayos__Provision__Image *out = ray_arena_alloc(arena, sizeof(*out));

    if (out == NULL) {
        return NULL;
    }
    rayos__provision__image__init(out);
    out->id = copy(arena, image->id);
    out->version = copy(arena, image->manifest.version);
    out->state = control_text(provision_store_state_word(image->state));
    out->why = copy(arena, image->why);
    out->added_at_us = image->added_us;
    out->assigned_count = assigned_count(control->service->table, image->id);
    out->is_newest = is_newest;
    for (size_t i = 0; i < PROVISION_FILE_COUNT; i++) {
        out->size_bytes += image->manifest.files[i].size_bytes;
    }
    return out->id != NULL && out->version != NULL && out->why != NULL ? out : NULL;
}

/* Of each image of the list its message, in `out`, which has room for all. */
static bool encode_all(const struct provision_control *control, struct ray_arena *arena,
                       Rayos__Provision__Image *out[static PROVISION_STORE_COUNT_MAX],
                       size_t *out_count)
{
    const struct provision_store_image *images = NULL;
    size_t count = provision_store_list(control->service->store, &images);
    bool has_newest = false;

    assert(count <= PROVISION_STORE_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        bool is_newest = !has_newest && images[i].state != PROVISION_STORE_DAMAGED;

        out[i] = encode(control, arena, &images[i], is_newest);
        if (out[i] == NULL) {
            return false;
        }
        has_newest = has_newest || is_newest;
    }
    *out_count = count;
    return true;
}

/* ---- provision.images ---- */

void control_images(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    Rayos__Provision__Images images = RAYOS__PROVISION__IMAGES__INIT;
    Rayos__Provision__Image *table[PROVISION_STORE_COUNT_MAX];
    struct ray_arena arena;

    (void)input;
    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    images.images = table;
    if (encode_all(arg, &arena, table, &images.n_images)) {
        (void)ray_rpc_reply(call, &images.base); /* the caller may have left */
    } else {
        control_fail_memory(call);
    }
    ray_arena_fini(&arena);
}

/* ---- provision.image_add ---- */

struct add {
    struct provision_store_add_wait wait;
    struct provision_control *control;
    struct ray_rpc_call *call; /* NULL: the caller has left; the add goes on */
    char reason[CONTROL_REASON_SIZE_MAX + 1];
};

static void on_left(void *arg)
{
    ((struct add *)arg)->call = NULL;
}

static void reply_image(const struct add *add, const struct provision_store_added *added)
{
    Rayos__Provision__Image *table[PROVISION_STORE_COUNT_MAX];
    Rayos__Provision__Image *image = NULL;
    struct ray_arena arena;
    size_t count = 0;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (encode_all(add->control, &arena, table, &count)) {
        for (size_t i = 0; i < count; i++) {
            image = strcmp(table[i]->id, added->id) == 0 ? table[i] : image;
        }
    }
    if (image != NULL) {
        image->is_new = added->is_new;
        (void)ray_rpc_reply(add->call, &image->base); /* the caller may have left */
    } else {
        control_fail_memory(add->call);
    }
    ray_arena_fini(&arena);
}

static void on_added(void *arg, const struct provision_store_added *added,
                     const struct ray_err *err)
{
    struct add *add = arg;

    if (added != NULL) {
        ray_log(add->control->service->config.logger, RAY_LOG_NOTICE, "control",
                "image version=%s id=%s %s", added->version, added->id,
                added->is_new ? "added" : "was there");
    } else {
        ray_log(add->control->service->config.logger, RAY_LOG_WARN, "control",
                "image not added: %s", err->text);
    }
    if (add->call != NULL && added != NULL) {
        reply_image(add, added);
    } else if (add->call != NULL) {
        control_fail(add->call, err);
    }
    free(add);
}

static int start_add(struct add *add, const Rayos__Provision__ImageAddRequest *request,
                     struct ray_err *err)
{
    struct provision_store_source sources[PROVISION_STORE_SOURCE_COUNT_MAX];
    size_t count = request->n_names;
    int rc = RAY_OK;

    if (count == 0 || count > PROVISION_STORE_SOURCE_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "an image has 1 to %d files, these are %zu",
                        PROVISION_STORE_SOURCE_COUNT_MAX, count);
    }
    for (size_t i = 0; i < count; i++) {
        sources[i] = (struct provision_store_source){.name = request->names[i],
                                                     .fd = ray_rpc_call_take_fd(add->call, i)};
        if (sources[i].fd < 0 && rc == RAY_OK) {
            rc = ray_fail(err, RAY_EINVAL, "file %zu of %zu came without its descriptor", i + 1,
                          count);
        }
    }
    if (rc == RAY_OK) {
        rc = provision_store_add(add->control->service->store, sources, count, &add->wait, err);
    }
    for (size_t i = 0; i < count; i++) {
        if (sources[i].fd >= 0) {
            (void)close(sources[i].fd); /* read only; the store has its own */
        }
    }
    return rc;
}

void control_image_add(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__ImageAddRequest *request =
        (const Rayos__Provision__ImageAddRequest *)input;
    struct provision_control *control = arg;
    struct ray_err err = {0};
    struct add *add;

    if (!control_may_change(control, call)) {
        return;
    }
    if (control_check_reason(request->reason, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    add = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*add));
    if (add == NULL) {
        control_fail_memory(call);
        return;
    }
    add->control = control;
    add->call = call;
    add->wait.cb = on_added;
    add->wait.arg = add;
    if (start_add(add, request, &err) != RAY_OK) {
        free(add);
        control_fail(call, &err);
        return;
    }
    control_log(control, call, "image_add", request->reason);
    ray_rpc_call_on_cancel(call, on_left, add);
}

/* ---- provision.image_remove, provision.image_gc ---- */

static size_t list_uses(const struct provision_control *control,
                        struct provision_gc_use uses[static PROVISION_STORE_COUNT_MAX],
                        uint64_t now_us)
{
    const uint64_t keep_us = provision_gc_rule_default.keep_us;
    const struct provision_store_image *images = NULL;
    size_t count = provision_store_list(control->service->store, &images);

    assert(count <= PROVISION_STORE_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        uses[i] = (struct provision_gc_use){
            .id = images[i].id,
            .is_assigned = provision_table_uses_image(control->service->table, images[i].id,
                                                      now_us > keep_us ? now_us - keep_us : 0)};
    }
    return count;
}

static int refuse_in_use(const struct provision_store_image *image, struct ray_err *err)
{
    (void)ray_fail(err, RAY_ECONFLICT,
                   "image %s (%.12s) is in use: assigned, or served in the "
                   "last 7 days",
                   image->manifest.version, image->id);
    (void)ray_next(err, "assign another image first, or give --force");
    return RAY_ECONFLICT;
}

static int remove_image(struct provision_control *control,
                        const Rayos__Provision__ImageRemoveRequest *request,
                        const struct provision_store_image *image, struct ray_err *err)
{
    struct provision_gc_use uses[PROVISION_STORE_COUNT_MAX];
    uint64_t now_us = provision_time_now().real_us;
    size_t count = list_uses(control, uses, now_us);

    if (!request->force &&
        provision_gc_is_in_use(image->id, &provision_gc_rule_default, uses, count, now_us)) {
        return refuse_in_use(image, err);
    }
    if (request->dry_run) {
        return RAY_OK;
    }
    return provision_store_remove(control->service->store, image->id, &provision_gc_rule_default,
                                  uses, count, now_us, request->force, err);
}

void control_image_remove(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__ImageRemoveRequest *request =
        (const Rayos__Provision__ImageRemoveRequest *)input;
    struct provision_control *control = arg;
    struct provision_store_image image;
    struct ray_err err = {0};
    char text[160 + PROVISION_VERSION_SIZE];
    int rc;

    if (!control_may_change(control, call)) {
        return;
    }
    rc = control_check_reason(request->reason, &err);
    if (rc == RAY_OK) {
        rc = control_find_image(control, request->image, &image, &err);
    }
    if (rc == RAY_OK) {
        rc = remove_image(control, request, &image, &err);
    }
    if (rc != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    if (!request->dry_run) {
        (void)snprintf(text, sizeof(text), "image_remove id=%s", image.id);
        control_log(control, call, text, request->reason);
    }
    (void)snprintf(text, sizeof(text), "image %s (%.12s) %s", image.manifest.version, image.id,
                   request->dry_run ? "would be removed" : "is removed");
    control_done(call, text);
}

/* What the rule says of the images, as two lists of messages. */
struct sorted {
    Rayos__Provision__Image *all[PROVISION_STORE_COUNT_MAX];
    Rayos__Provision__Image *removed[PROVISION_STORE_COUNT_MAX];
    Rayos__Provision__Image *kept[PROVISION_STORE_COUNT_MAX];
};

static bool sort_images(const struct provision_control *control, struct ray_arena *arena,
                        uint64_t now_us, struct sorted *sorted,
                        Rayos__Provision__ImageGcReport *report)
{
    struct provision_gc_use uses[PROVISION_STORE_COUNT_MAX];
    struct provision_gc_image images[PROVISION_STORE_COUNT_MAX];
    bool goes[PROVISION_STORE_COUNT_MAX];
    const char *damaged = provision_store_state_word(PROVISION_STORE_DAMAGED);
    size_t use_count;
    size_t count = 0;

    if (!encode_all(control, arena, sorted->all, &count)) {
        return false;
    }
    use_count = list_uses(control, uses, now_us);
    for (size_t i = 0; i < count; i++) {
        images[i] = (struct provision_gc_image){
            .id = sorted->all[i]->id, .is_damaged = strcmp(sorted->all[i]->state, damaged) == 0};
    }
    (void)provision_gc_plan(images, count, &provision_gc_rule_default, uses, use_count, now_us,
                            goes);
    report->removed = sorted->removed;
    report->kept = sorted->kept;
    for (size_t i = 0; i < count; i++) {
        if (goes[i]) {
            sorted->removed[report->n_removed++] = sorted->all[i];
        } else {
            sorted->kept[report->n_kept++] = sorted->all[i];
        }
    }
    return true;
}

void control_image_gc(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__ImageGcRequest *request =
        (const Rayos__Provision__ImageGcRequest *)input;
    Rayos__Provision__ImageGcReport report = RAYOS__PROVISION__IMAGE_GC_REPORT__INIT;
    uint64_t now_us = provision_time_now().real_us;
    struct provision_gc_use uses[PROVISION_STORE_COUNT_MAX];
    struct provision_control *control = arg;
    struct sorted sorted;
    struct ray_arena arena;
    struct ray_err err = {0};
    size_t count;
    int rc = RAY_OK;

    if (!control_may_change(control, call)) {
        return;
    }
    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (!sort_images(control, &arena, now_us, &sorted, &report)) {
        control_fail_memory(call);
        ray_arena_fini(&arena);
        return;
    }
    if (!request->dry_run && report.n_removed > 0) {
        count = list_uses(control, uses, now_us);
        rc = provision_store_collect(control->service->store, &provision_gc_rule_default, uses,
                                     count, now_us, &err);
        control_log(control, call, "image_gc", "");
    }
    if (rc >= 0) {
        (void)ray_rpc_reply(call, &report.base); /* the caller may have left */
    } else {
        control_fail(call, &err);
    }
    ray_arena_fini(&arena);
}

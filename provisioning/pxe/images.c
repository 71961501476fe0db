/* The store of images and the table of machines, and what follows from both: which image a
 * machine gets, and which images nobody needs. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "provisioning/pxe/service_internal.h"

#define IMAGES_DIR "images"

static void on_problem(void *arg, const char *text)
{
    struct provision_service *service = arg;

    ray_log(service->config.logger, RAY_LOG_WARN, "machines", "%s", text);
}

static void on_event(void *arg, const struct provision_record *record,
                     const struct provision_record_event *event)
{
    const struct provision_service *service = arg;

    provision_control_event(service->control, record, event);
}

/* A folder without image is a mistake of the call. A damaged image is an event: the images that
 * are in the store already are served. */
static int import(struct provision_service *service, struct ray_err *err)
{
    const char *dir = service->config.config->import_dir;
    struct provision_store_added added;
    struct ray_err why = {0};
    int rc = provision_store_add_dir_now(service->store, dir, &added, &why);

    if (rc == RAY_OK) {
        ray_log(service->config.logger, RAY_LOG_NOTICE, "provision", "image version=%s id=%s %s",
                added.version, added.id, added.is_new ? "added" : "was there");
        return RAY_OK;
    }
    if (rc == RAY_ECONFLICT) {
        provision_emit_text(service, PROVISION_EVENT_ERROR, "", "image not added: %s", why.text);
        return RAY_OK;
    }
    if (err != NULL) {
        *err = why;
    }
    return ray_next(err, "run 'make image', or give the folder of an image with --import");
}

int provision_images_open(struct provision_service *service, struct ray_err *err)
{
    const struct provision_table_config table = {.dir = service->state_dir.path,
                                                 .on_problem = on_problem,
                                                 .on_event = on_event,
                                                 .arg = service};
    char path[PROVISION_PATH_SIZE + sizeof("/" IMAGES_DIR)];
    int rc;

    (void)snprintf(path, sizeof(path), "%s/" IMAGES_DIR, service->state_dir.path); /* fits */
    rc = provision_store_create(&service->store, service->loop, path, err);
    if (rc == RAY_OK) {
        rc = provision_table_create(&service->table, service->loop, &table, err);
    }
    if (rc == RAY_OK && service->config.config->import_dir[0] != '\0') {
        rc = import(service, err);
    }
    if (rc == RAY_OK) {
        provision_images_collect(service);
    }
    return rc;
}

void provision_images_collect(struct provision_service *service)
{
    const struct provision_gc_rule *rule = &provision_gc_rule_default;
    uint64_t now_us = provision_time_now().real_us;
    uint64_t since_us = now_us > rule->keep_us ? now_us - rule->keep_us : 0;
    const struct provision_store_image *images;
    size_t count = provision_store_list(service->store, &images);
    struct provision_gc_use uses[PROVISION_STORE_COUNT_MAX];
    struct ray_err err = {0};
    int removed;

    assert(count <= PROVISION_STORE_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        uses[i] = (struct provision_gc_use){
            .id = images[i].id,
            .is_assigned = provision_table_uses_image(service->table, images[i].id, since_us)};
    }
    removed = provision_store_collect(service->store, rule, uses, count, now_us, &err);
    if (removed < 0) {
        ray_log(service->config.logger, RAY_LOG_WARN, "provision", "images: %s", err.text);
    } else if (removed > 0) {
        ray_log(service->config.logger, RAY_LOG_NOTICE, "provision",
                "images: %d removed, which nobody has needed for a week", removed);
    }
}

/* A BIOS needs kernel and initramfs, which a release may lack. */
static bool fits(const struct provision_store_image *image, enum provision_boot_path path)
{
    return image->state != PROVISION_STORE_DAMAGED &&
           (path != PROVISION_BOOT_BIOS ||
            image->manifest.files[PROVISION_FILE_KERNEL].size_bytes > 0);
}

/* Oldest first: of equally old ones the last in the list counts as the newest. */
static void list_candidates(struct provision_service *service, enum provision_boot_path path)
{
    const struct provision_store_image *images;
    size_t count = provision_store_list(service->store, &images);

    assert(count <= PROVISION_STORE_COUNT_MAX);
    service->candidate_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct provision_store_image *image = &images[count - 1 - i];
        struct provision_candidate *candidate = &service->candidates[i];

        *candidate = (struct provision_candidate){.added_us = image->added_us,
                                                  .is_usable = fits(image, path)};
        memcpy(candidate->image.id, image->id, sizeof(candidate->image.id));
        memcpy(candidate->image.version, image->manifest.version, sizeof(candidate->image.version));
        memcpy(candidate->image.efi_sha256, image->manifest.files[PROVISION_FILE_UKI].sha256,
               sizeof(candidate->image.efi_sha256));
    }
}

void provision_images_decide(struct provision_service *service, const struct provision_mac *mac,
                             enum provision_boot_path path, struct provision_decision *out)
{
    list_candidates(service, path);
    if (mac != NULL) {
        provision_table_decide(service->table, mac, service->candidates, service->candidate_count,
                               out);
    } else {
        provision_decide(NULL, NULL, service->candidates, service->candidate_count, out);
    }
}

size_t provision_images_count(struct provision_service *service,
                              size_t out_counts[static PROVISION_STORE_DAMAGED + 1])
{
    const struct provision_store_image *images;
    size_t count = provision_store_list(service->store, &images);

    memset(out_counts, 0, (PROVISION_STORE_DAMAGED + 1) * sizeof(out_counts[0]));
    for (size_t i = 0; i < count; i++) {
        out_counts[images[i].state]++;
    }
    return count - out_counts[PROVISION_STORE_DAMAGED];
}

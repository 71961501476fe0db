/* What goes where: the ESP where the image has it, grown; RAYOS_DATA in the rest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/size.h"
#include "provisioning/disk/disk_internal.h"

static int fail_image(const struct provision_disk *disk, struct ray_err *err, int code)
{
    (void)ray_wrap(err, code, "%s is no disk image of RayOS", disk->request.image);
    (void)ray_next(err, "make image, then give --image build/image/rayos.img");
    return RAY_EMALFORMED;
}

static int read_image_table(struct provision_disk *disk, const struct gpt *gpt, struct ray_err *err)
{
    const struct gpt_partition *esp = &gpt->partitions[0];

    if (gpt->partition_count != 1 || !gpt_guid_is_same(&esp->type, &gpt_type_esp) ||
        esp->first_sector % (DISK_ALIGNMENT / GPT_SECTOR_SIZE) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "it has not exactly one partition, an ESP");
    }
    disk->image_esp = (struct provision_disk_place){
        .offset_bytes = esp->first_sector * GPT_SECTOR_SIZE,
        .size_bytes = (esp->last_sector - esp->first_sector + 1) * GPT_SECTOR_SIZE};
    return RAY_OK;
}

static int read_image(struct provision_disk *disk, struct gpt *gpt, struct ray_err *err)
{
    const char *path = disk->request.image;
    uint8_t head[GPT_HEAD_SIZE];
    int rc = RAY_OK;

    if (disk->plan.image_size_bytes < GPT_HEAD_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "it has %" PRIu64 " bytes",
                        disk->plan.image_size_bytes);
    }
    rc = disk_read(disk->image_fd, path, head, sizeof(head), 0, err);
    if (rc == RAY_OK) {
        rc = gpt_read(head, sizeof(head), disk->plan.image_size_bytes / GPT_SECTOR_SIZE, gpt, err);
    }
    if (rc == RAY_OK) {
        rc = read_image_table(disk, gpt, err);
    }
    if (rc == RAY_OK && disk->image_esp.size_bytes < FAT_HEAD_SIZE) {
        rc = ray_fail(err, RAY_EMALFORMED, "its ESP is too small");
    }
    if (rc == RAY_OK) {
        rc = disk_read(disk->image_fd, path, disk->esp_head, FAT_HEAD_SIZE,
                       disk->image_esp.offset_bytes, err);
    }
    if (rc == RAY_OK) {
        rc = fat_read(disk->esp_head, &disk->fat, err);
    }
    if (rc == RAY_OK && disk->fat.sector_count * GPT_SECTOR_SIZE > disk->image_esp.size_bytes) {
        rc = ray_fail(err, RAY_EMALFORMED, "its file system is larger than its partition");
    }
    return rc;
}

int disk_open_image(struct provision_disk *disk, struct ray_err *err)
{
    const char *path = disk->request.image;
    int errnum = ray_fault(RAY_FAULT_OPEN);
    struct stat st = {0};
    struct gpt *gpt;
    int rc;

    if (errnum == 0) {
        disk->image_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        errnum = disk->image_fd < 0 || fstat(disk->image_fd, &st) != 0 ? errno : 0;
    }
    if (errnum != 0) {
        rc = ray_fail_errno(err, errnum, "open %s", path);
        if (rc == RAY_ENOTFOUND) {
            (void)ray_next(err, "make image, then give --image build/image/rayos.img");
        }
        return rc;
    }
    if (!S_ISREG(st.st_mode)) {
        return ray_fail(err, RAY_EINVAL, "the image %s is no regular file", path);
    }
    disk->plan.image_size_bytes = (uint64_t)st.st_size;
    gpt = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof(*gpt));
    if (gpt == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a partition table");
    }
    rc = read_image(disk, gpt, err);
    free(gpt);
    return rc == RAY_ENOTFOUND || rc == RAY_EMALFORMED || rc == RAY_EUNSUPPORTED
               ? fail_image(disk, err, rc)
               : rc;
}

static uint64_t align_down(uint64_t bytes)
{
    return bytes / DISK_ALIGNMENT * DISK_ALIGNMENT;
}

static int choose_esp(struct provision_disk *disk, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    uint64_t max = align_down(disk->fat.sector_count_max * GPT_SECTOR_SIZE);
    uint64_t min = disk->image_esp.size_bytes;
    uint64_t size = disk->request.esp_size_bytes;
    char texts[2][16];

    if (size == 0) {
        size = min;
        if (plan->size_bytes >= PROVISION_DISK_LARGE_SIZE &&
            max >= PROVISION_DISK_ESP_SIZE_DEFAULT && min < PROVISION_DISK_ESP_SIZE_DEFAULT) {
            size = PROVISION_DISK_ESP_SIZE_DEFAULT;
        }
    } else if (size < min || size > max || size % DISK_ALIGNMENT != 0) {
        return ray_fail(err, RAY_EINVAL,
                        "the ESP can have %s to %s, in whole MiB (the image's file system says so)",
                        ray_format_size(min, texts[0]), ray_format_size(max, texts[1]));
    }
    plan->esp = (struct provision_disk_place){.offset_bytes = disk->image_esp.offset_bytes,
                                              .size_bytes = size};
    return RAY_OK;
}

int disk_lay_out(struct provision_disk *disk, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    bool has_esp = disk->request.image != NULL;
    uint64_t start = DISK_ALIGNMENT;
    uint64_t end;
    int rc = has_esp ? choose_esp(disk, err) : RAY_OK;

    if (rc != RAY_OK) {
        return rc;
    }
    if (has_esp) {
        start = align_down(plan->esp.offset_bytes + plan->esp.size_bytes + DISK_ALIGNMENT - 1);
    }
    end = plan->size_bytes < GPT_TAIL_SIZE ? 0 : align_down(plan->size_bytes - GPT_TAIL_SIZE);
    if (end < start || end - start < PROVISION_DISK_DATA_SIZE_MIN) {
        char texts[2][16];

        (void)ray_fail(
            err, RAY_ENOSPC, "%s has %s; %s%s %s %s", disk->request.target,
            ray_format_size(plan->size_bytes, texts[0]), has_esp ? "ESP and " : "",
            PROVISION_DISK_DATA_NAME, has_esp ? "need" : "needs",
            ray_format_size(start + PROVISION_DISK_DATA_SIZE_MIN + DISK_ALIGNMENT, texts[1]));
        (void)ray_next(err, "use a larger disk%s", has_esp ? ", or a smaller --esp-size" : "");
        return RAY_ENOSPC;
    }
    plan->data = (struct provision_disk_place){.offset_bytes = start, .size_bytes = end - start};
    if (has_esp) {
        fat_grow(disk->esp_head, plan->esp.size_bytes / GPT_SECTOR_SIZE);
    }
    return RAY_OK;
}

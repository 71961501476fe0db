#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "provisioning/disk/disk_internal.h"
#include "provisioning/disk/xfs.h"

const char *provision_disk_step_text(enum provision_disk_step step)
{
    static const char *const texts[] = {
        [PROVISION_DISK_STEP_FORMAT] = "make the file system",
        [PROVISION_DISK_STEP_CLEAR] = "clear the old tables",
        [PROVISION_DISK_STEP_ESP] = "write the ESP",
        [PROVISION_DISK_STEP_DATA] = ("write " PROVISION_DISK_DATA_NAME),
        [PROVISION_DISK_STEP_VERIFY] = "read back",
        [PROVISION_DISK_STEP_TABLES] = "write the partition tables",
    };

    return texts[step];
}

int provision_disk_open(struct provision_disk **out_disk,
                        const struct provision_disk_request *request, struct ray_err *err)
{
    struct provision_disk *disk;
    int rc;

    assert(request->target != NULL);
    disk = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*disk));
    if (disk == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a disk");
    }
    disk->request = *request;
    disk->image_fd = -1;
    disk->target_fd = -1;
    rc = request->image != NULL ? disk_open_image(disk, err) : RAY_OK;
    if (rc == RAY_OK) {
        rc = disk_open_target(disk, err);
    }
    if (rc == RAY_OK) {
        rc = disk_lay_out(disk, err);
    }
    if (rc != RAY_OK) {
        provision_disk_close(disk);
        return rc;
    }
    *out_disk = disk;
    return RAY_OK;
}

int provision_disk_look(const char *target, struct provision_disk_plan *out, struct ray_err *err)
{
    struct provision_disk *disk = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*disk));
    int rc;

    if (disk == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a disk");
    }
    disk->request.target = target;
    disk->is_look = true;
    disk->image_fd = -1;
    disk->target_fd = -1;
    rc = disk_open_target(disk, err);
    disk->plan.is_read_only = disk->is_read_only;
    *out = disk->plan;
    provision_disk_close(disk);
    return rc;
}

const struct provision_disk_plan *provision_disk_plan(const struct provision_disk *disk)
{
    return &disk->plan;
}

void provision_disk_confirm(struct provision_disk *disk, const char *serial)
{
    disk->request.serial = serial;
}

static int check_content(const struct provision_disk *disk, struct ray_err *err)
{
    const struct provision_disk_plan *plan = &disk->plan;

    if (plan->in_use[0] != '\0') {
        (void)ray_fail(err, RAY_ECONFLICT, "%s is in use: %s", disk->request.target, plan->in_use);
        (void)ray_next(err, plan->is_block_device ? "unmount or release it, or give another disk"
                                                  : "stop what uses it, or give another file");
        return RAY_ECONFLICT;
    }
    if (plan->content[0] != '\0' && !disk->request.is_wiped) {
        (void)ray_fail(err, RAY_EEXISTS, "%s has content: %s", disk->request.target, plan->content);
        (void)ray_next(err, "if nobody needs it, repeat with --wipe");
        return RAY_EEXISTS;
    }
    return RAY_OK;
}

static int check_serial(const struct provision_disk *disk, struct ray_err *err)
{
    const struct provision_disk_plan *plan = &disk->plan;
    const char *what =
        plan->has_serial ? "serial number" : "size in bytes (it has no serial number)";

    if (!plan->is_block_device) {
        return RAY_OK;
    }
    if (disk->request.serial == NULL) {
        (void)ray_fail(err, RAY_EDENIED, "the %s of %s has to be typed", what,
                       disk->request.target);
    } else if (strcmp(disk->request.serial, plan->serial) != 0) {
        (void)ray_fail(err, RAY_EDENIED, "what was typed is not the %s of %s", what,
                       disk->request.target);
    } else {
        return RAY_OK;
    }
    (void)ray_next(err, "look at the disk that you mean, then repeat with --serial '%s'",
                   plan->serial);
    return RAY_EDENIED;
}

int provision_disk_check(const struct provision_disk *disk, struct ray_err *err)
{
    int rc = check_content(disk, err);

    if (rc == RAY_OK && disk->is_read_only) {
        (void)ray_fail(err, RAY_EDENIED, "%s is read-only", disk->request.target);
        (void)ray_next(err, "move the stick's or card's lock, or use another");
        return RAY_EDENIED;
    }
    if (rc == RAY_OK) {
        rc = check_serial(disk, err);
    }
    if (rc == RAY_OK && xfs_find_mkfs() == NULL) {
        (void)ray_fail(err, RAY_ENOTFOUND, "there is no mkfs.xfs");
        (void)ray_next(err, "install the package xfsprogs, or run in the build root: make shell");
        return RAY_ENOTFOUND;
    }
    return rc;
}

int provision_disk_write(struct provision_disk *disk, struct ray_err *err)
{
    int rc = provision_disk_check(disk, err);

    return rc == RAY_OK ? disk_write_all(disk, xfs_find_mkfs(), err) : rc;
}

void provision_disk_close(struct provision_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    if (disk->image_fd >= 0) {
        (void)close(disk->image_fd); /* read only */
    }
    if (disk->target_fd >= 0) {
        (void)close(disk->target_fd); /* synced, or not written */
    }
    free(disk);
}

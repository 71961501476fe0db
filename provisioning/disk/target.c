/* What is written to: a whole disk, held exclusively from here to the end, or a file. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"
#include "provisioning/disk/block.h"
#include "provisioning/disk/disk_internal.h"
#include "provisioning/disk/signature.h"

static_assert((int)PROVISION_DISK_WHY_SIZE >= (int)SIGNATURE_TEXT_SIZE,
              "a description fits the plan");

int disk_read(int fd, const char *path, void *out, size_t size, uint64_t offset,
              struct ray_err *err)
{
    uint8_t *at = out;

    while (size > 0) {
        ssize_t count = -1;
        int errnum = ray_fault(RAY_FAULT_READ);

        if (errnum == 0) {
            count = pread(fd, at, size, (off_t)offset);
            errnum = count < 0 ? errno : 0;
        }
        if (errnum == EINTR) {
            continue;
        }
        if (errnum != 0) {
            return ray_fail_errno(err, errnum, "read %s", path);
        }
        if (count == 0) {
            return ray_fail(err, RAY_EIO, "%s ends at %" PRIu64, path, offset);
        }
        at += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return RAY_OK;
}

/* --- content --- */

static int describe_content(struct provision_disk *disk, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    uint64_t disk_size = plan->size_bytes;
    size_t size = disk_size < SIGNATURE_SPAN ? (size_t)disk_size : SIGNATURE_SPAN;
    uint8_t *head;
    uint8_t *tail;
    int rc;

    if (size == 0) {
        return RAY_OK;
    }
    head = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(2 * size);
    if (head == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to look at %s", disk->request.target);
    }
    tail = &head[size];
    rc = disk_read(disk->target_fd, disk->request.target, head, size, 0, err);
    if (rc == RAY_OK) {
        rc = disk_read(disk->target_fd, disk->request.target, tail, size, disk_size - size, err);
    }
    if (rc == RAY_OK) {
        signature_describe(head, size, tail, size, plan->content);
    }
    free(head);
    return rc;
}

/* --- block devices --- */

static int read_geometry(struct provision_disk *disk, struct ray_err *err)
{
    const char *target = disk->request.target;
    unsigned physical = 0;
    int logical = 0;

    if (ioctl(disk->target_fd, BLKGETSIZE64, &disk->plan.size_bytes) != 0 ||
        ioctl(disk->target_fd, BLKSSZGET, &logical) != 0) {
        return ray_fail_errno(err, errno, "size of %s", target);
    }
    if (logical != GPT_SECTOR_SIZE) {
        (void)ray_fail(err, RAY_EUNSUPPORTED, "%s has sectors of %d bytes, the image is for %d",
                       target, logical, GPT_SECTOR_SIZE);
        (void)ray_next(err, "format the disk to sectors of 512 bytes if it can (nvme format), or "
                            "boot this machine from a USB stick");
        return RAY_EUNSUPPORTED;
    }
    if (ioctl(disk->target_fd, BLKPBSZGET, &physical) == 0 && physical == 4096) {
        disk->physical_sector_size = physical;
    }
    return RAY_OK;
}

/* O_EXCL without O_CREAT: the kernel refuses while a file system, another block device or
 * another exclusive open holds the disk or a part of it. */
static int open_block(struct provision_disk *disk, struct ray_err *err)
{
    const char *target = disk->request.target;
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum == 0) {
        disk->target_fd =
            open(target, disk->is_look ? O_RDONLY | O_CLOEXEC : O_RDWR | O_EXCL | O_CLOEXEC);
        errnum = disk->target_fd < 0 ? errno : 0;
    }
    if (errnum == EBUSY || errnum == EROFS) {
        disk->is_read_only = errnum == EROFS;
        if (errnum == EBUSY && disk->plan.in_use[0] == '\0') {
            (void)snprintf(disk->plan.in_use, sizeof(disk->plan.in_use),
                           "another program or the kernel holds it");
        }
        disk->target_fd = open(target, O_RDONLY | O_CLOEXEC); /* enough to say what it is */
        errnum = disk->target_fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        int rc = ray_fail_errno(err, errnum, "open %s", target);

        if (rc == RAY_EDENIED) {
            (void)ray_next(err, "run the command as root");
        }
        return rc;
    }
    return RAY_OK;
}

static int look_at_block(struct provision_disk *disk, dev_t device, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    struct block_facts facts;
    int rc = block_read("/sys", "/proc", device, &facts, err);

    if (rc != RAY_OK) {
        return rc;
    }
    plan->is_block_device = true;
    disk->is_read_only = facts.is_read_only;
    memcpy(plan->model, facts.model, sizeof(plan->model));
    memcpy(plan->serial, facts.serial, sizeof(plan->serial));
    memcpy(plan->in_use, facts.in_use, sizeof(plan->in_use));
    plan->has_serial = facts.serial[0] != '\0';
    if (facts.is_partition) {
        (void)ray_fail(err, RAY_EINVAL, "%s is a partition; the image is for a whole disk",
                       disk->request.target);
        (void)ray_next(err, "lsblk shows the disks; give the one without a number at its end");
        return RAY_EINVAL;
    }
    if (disk->request.size_bytes != 0) {
        return ray_fail(err, RAY_EINVAL, "a disk has its own size: --size is for files");
    }
    return RAY_OK;
}

/* Between the look and the open another disk may have got the name, or the number. */
static int check_opened(const struct provision_disk *disk, dev_t device, struct ray_err *err)
{
    const struct provision_disk_plan *plan = &disk->plan;
    struct block_facts facts;
    struct stat st;

    if (fstat(disk->target_fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == device &&
        block_read("/sys", "/proc", device, &facts, NULL) == RAY_OK &&
        strcmp(facts.model, plan->model) == 0 && strcmp(facts.serial, plan->serial) == 0) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_ECONFLICT, "%s has become another disk just now", disk->request.target);
    (void)ray_next(err, "look at the disks again, then repeat");
    return RAY_ECONFLICT;
}

static int open_disk(struct provision_disk *disk, dev_t device, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    int rc = look_at_block(disk, device, err);

    if (rc == RAY_OK) {
        rc = open_block(disk, err);
    }
    if (rc == RAY_OK) {
        rc = check_opened(disk, device, err);
    }
    if (rc == RAY_OK) {
        rc = read_geometry(disk, err);
    }
    if (rc == RAY_OK && !plan->has_serial) {
        (void)snprintf(plan->serial, sizeof(plan->serial), "%" PRIu64, plan->size_bytes);
    }
    return rc;
}

/* --- files --- */

/* Virtual machines lock their disks so. The lock goes with the descriptor. */
static bool is_locked_by_another(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES);
}

static int open_file(struct provision_disk *disk, const struct stat *st, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum == 0) {
        disk->target_fd = open(disk->request.target, O_RDWR | O_CLOEXEC);
        errnum = disk->target_fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "open %s", disk->request.target);
    }
    plan->size_bytes = (uint64_t)st->st_size;
    if (is_locked_by_another(disk->target_fd)) {
        (void)snprintf(plan->in_use, sizeof(plan->in_use),
                       "another program has locked it, as virtual machines do");
    }
    return RAY_OK;
}

static int choose_file_size(struct provision_disk *disk, struct ray_err *err)
{
    struct provision_disk_plan *plan = &disk->plan;

    if (disk->request.size_bytes != 0) {
        plan->size_bytes = disk->request.size_bytes;
    }
    if (plan->size_bytes == 0) {
        (void)ray_fail(err, RAY_EINVAL, "%s is %s and no size is given", disk->request.target,
                       plan->is_new ? "not there" : "empty");
        (void)ray_next(err, "give --size, for example --size 8G");
        return RAY_EINVAL;
    }
    if (plan->size_bytes % GPT_SECTOR_SIZE != 0 || plan->size_bytes > (uint64_t)INT64_MAX / 2) {
        return ray_fail(err, RAY_EINVAL, "%" PRIu64 " bytes is no size of a disk",
                        plan->size_bytes);
    }
    return RAY_OK;
}

int disk_open_target(struct provision_disk *disk, struct ray_err *err)
{
    const char *target = disk->request.target;
    struct stat st;
    int rc;

    disk->physical_sector_size = GPT_SECTOR_SIZE;
    if (stat(target, &st) != 0) {
        if (errno != ENOENT) {
            return ray_fail_errno(err, errno, "stat %s", target);
        }
        /* Else a slip of the pen makes a file in memory that looks like a success. */
        if (strncmp(target, "/dev/", 5) == 0) {
            (void)ray_fail(err, RAY_ENOTFOUND, "there is no disk %s", target);
            (void)ray_next(err, "lsblk shows the disks");
            return RAY_ENOTFOUND;
        }
        disk->plan.is_new = true;
        return choose_file_size(disk, err);
    }
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
        return ray_fail(err, RAY_EINVAL, "%s is neither a disk nor a file", target);
    }
    rc = S_ISBLK(st.st_mode) ? open_disk(disk, st.st_rdev, err) : open_file(disk, &st, err);
    if (rc == RAY_OK) {
        rc = describe_content(disk, err);
    }
    if (rc == RAY_OK && S_ISREG(st.st_mode)) {
        rc = choose_file_size(disk, err);
    }
    return rc;
}

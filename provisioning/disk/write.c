/* Writing, in an order that leaves no disk that looks complete but is not:
 *
 *   mkfs.xfs in memory | old tables and signatures | ESP | RAYOS_DATA | read back and compare |
 *   backup table | table | MBR and header
 *
 * with a sync after each. When a step fails, the tables go again. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "provisioning/disk/disk_internal.h"
#include "provisioning/disk/extents.h"
#include "provisioning/disk/xfs.h"

enum {
    CLEAR_SIZE = DISK_ALIGNMENT, /* at each end of disk and data */
    TABLES_SIZE = GPT_HEAD_SIZE + GPT_TAIL_SIZE,
    HEADER_END = 2 * GPT_SECTOR_SIZE, /* MBR and header: what makes it a disk of ours */
};

struct write {
    struct provision_disk *disk;
    bool is_blank; /* the target reads as zeros */
    bool is_made;  /* a file that was not there */
    int memory_fd; /* the ESP's head, then both tables */
    struct xfs xfs;
    struct extents clear;
    struct extents esp;
    struct extents data;
    struct extents backup;
    struct extents table;
    struct extents header;
};

/* --- what is to be written --- */

/* RFC 9562 version 4, in the byte order of the disk. */
static int make_guid(struct gpt_guid *out, struct ray_err *err)
{
    if (getrandom(out->bytes, sizeof(out->bytes), 0) != (ssize_t)sizeof(out->bytes)) {
        return ray_fail_errno(err, errno, "random numbers");
    }
    out->bytes[7] = (uint8_t)((out->bytes[7] & 0x0F) | 0x40);
    out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3F) | 0x80);
    return RAY_OK;
}

static int make_partition(struct gpt *gpt, const struct gpt_guid *type, const char *name,
                          const struct provision_disk_place *place, struct ray_err *err)
{
    struct gpt_partition *partition = &gpt->partitions[gpt->partition_count++];

    *partition = (struct gpt_partition){
        .type = *type,
        .first_sector = place->offset_bytes / GPT_SECTOR_SIZE,
        .last_sector = (place->offset_bytes + place->size_bytes) / GPT_SECTOR_SIZE - 1};
    (void)snprintf(partition->name, sizeof(partition->name), "%s", name);
    return make_guid(&partition->id, err);
}

static int make_tables(const struct provision_disk_plan *plan, uint8_t out[static TABLES_SIZE],
                       struct ray_err *err)
{
    struct gpt *gpt = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*gpt));
    int rc;

    if (gpt == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a partition table");
    }
    gpt->sector_count = plan->size_bytes / GPT_SECTOR_SIZE;
    rc = make_guid(&gpt->disk_id, err);
    if (rc == RAY_OK && plan->esp.size_bytes > 0) {
        rc = make_partition(gpt, &gpt_type_esp, "RAYOS_ESP", &plan->esp, err);
    }
    if (rc == RAY_OK) {
        rc = make_partition(gpt, &gpt_type_linux_data, PROVISION_DISK_DATA_NAME, &plan->data, err);
    }
    if (rc == RAY_OK) {
        gpt_write(gpt, out, &out[GPT_HEAD_SIZE]);
    }
    free(gpt);
    return rc;
}

/* What does not come from a file is put into one, so that all is copied and compared alike. */
static int make_memory(struct write *write, struct ray_err *err)
{
    uint8_t bytes[FAT_HEAD_SIZE + TABLES_SIZE];
    int rc;

    memcpy(bytes, write->disk->esp_head, FAT_HEAD_SIZE);
    rc = make_tables(&write->disk->plan, &bytes[FAT_HEAD_SIZE], err);
    if (rc != RAY_OK) {
        return rc;
    }
    write->memory_fd = ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : memfd_create("disk", MFD_CLOEXEC);
    if (write->memory_fd < 0 ||
        pwrite(write->memory_fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return ray_fail_errno(err, errno, "make a memory file");
    }
    return RAY_OK;
}

static int list_clear(struct write *write, struct ray_err *err)
{
    const struct provision_disk_plan *plan = &write->disk->plan;
    const uint64_t places[] = {0, plan->size_bytes - CLEAR_SIZE, plan->data.offset_bytes,
                               plan->data.offset_bytes + plan->data.size_bytes - CLEAR_SIZE};
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < sizeof(places) / sizeof(places[0]); i++) {
        rc = extents_add(&write->clear, -1, 0, places[i], CLEAR_SIZE, err);
    }
    return rc;
}

static int list_esp(struct write *write, struct ray_err *err)
{
    const struct provision_disk *disk = write->disk;
    uint64_t source = disk->image_esp.offset_bytes + FAT_HEAD_SIZE;
    uint64_t target = disk->plan.esp.offset_bytes + FAT_HEAD_SIZE;
    uint64_t size = disk->image_esp.size_bytes - FAT_HEAD_SIZE;
    int rc;

    if (disk->request.image == NULL) {
        return RAY_OK;
    }
    rc = extents_add(&write->esp, write->memory_fd, 0, disk->plan.esp.offset_bytes, FAT_HEAD_SIZE,
                     err);

    if (rc == RAY_OK) { /* holes of the image are zeros that count */
        rc = extents_add(&write->esp, disk->image_fd, source, target, size, err);
    }
    return rc;
}

/* mkfs.xfs writes what counts, but may leave the zeros of the log to a hole. */
static int list_data(struct write *write, struct ray_err *err)
{
    const struct provision_disk_place *place = &write->disk->plan.data;
    const struct xfs *xfs = &write->xfs;
    int rc = extents_add(&write->data, xfs->fd, xfs->log_offset_bytes,
                         place->offset_bytes + xfs->log_offset_bytes, xfs->log_size_bytes, err);

    return rc != RAY_OK ? rc
                        : extents_add_data(&write->data, xfs->fd, 0, place->offset_bytes,
                                           place->size_bytes, err);
}

static int list_tables(struct write *write, struct ray_err *err)
{
    uint64_t tail = write->disk->plan.size_bytes - GPT_TAIL_SIZE;
    uint64_t head_source = FAT_HEAD_SIZE;
    int fd = write->memory_fd;
    int rc = extents_add(&write->backup, fd, head_source + GPT_HEAD_SIZE, tail, GPT_TAIL_SIZE, err);

    if (rc == RAY_OK) {
        rc = extents_add(&write->table, fd, head_source + HEADER_END, HEADER_END,
                         GPT_HEAD_SIZE - HEADER_END, err);
    }
    if (rc == RAY_OK) {
        rc = extents_add(&write->header, fd, head_source, 0, HEADER_END, err);
    }
    return rc;
}

/* --- the target --- */

static int open_target(struct write *write, struct ray_err *err)
{
    struct provision_disk *disk = write->disk;
    const char *target = disk->request.target;
    int errnum = 0;

    write->is_blank = !disk->plan.is_block_device;
    if (!write->is_blank) {
        return RAY_OK;
    }
    if (disk->plan.is_new) {
        errnum = ray_fault(RAY_FAULT_OPEN);
        if (errnum == 0) {
            disk->target_fd = open(target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
            errnum = disk->target_fd < 0 ? errno : 0;
        }
        write->is_made = errnum == 0;
    }
    if (errnum == 0 && (ftruncate(disk->target_fd, 0) != 0 ||
                        ftruncate(disk->target_fd, (off_t)disk->plan.size_bytes) != 0)) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "make %s", target);
}

static int sync_target(const struct write *write, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_FSYNC);

    if (errnum == 0 && fsync(write->disk->target_fd) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK
                       : ray_fail_errno(err, errnum, "sync %s", write->disk->request.target);
}

/* So that what is compared comes from the disk. Where it cannot be had, from memory. */
static void drop_cache(const struct write *write)
{
    (void)posix_fadvise(write->disk->target_fd, 0, 0, POSIX_FADV_DONTNEED);
    if (write->disk->plan.is_block_device) {
        (void)ioctl(write->disk->target_fd, BLKFLSBUF, 0);
    }
}

/* A file's name is durable with its folder. */
static int sync_folder(const struct write *write, struct ray_err *err)
{
    char path[PATH_MAX];
    int errnum;
    int fd = -1;

    if (!write->is_made) {
        return RAY_OK;
    }
    errnum = ray_fault(RAY_FAULT_FSYNC);
    (void)snprintf(path, sizeof(path), "%s", write->disk->request.target);
    if (errnum == 0) {
        fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        errnum = fd < 0 || fsync(fd) != 0 ? errno : 0;
    }
    if (fd >= 0) {
        (void)close(fd); /* a folder, synced */
    }
    return errnum == 0
               ? RAY_OK
               : ray_fail_errno(err, errnum, "sync the folder of %s", write->disk->request.target);
}

/* --- steps --- */

struct reporter {
    const struct provision_disk_request *request;
    enum provision_disk_step step;
};

static void report(void *arg, uint64_t done, uint64_t total)
{
    const struct reporter *reporter = arg;

    if (reporter->request->on_progress != NULL) {
        reporter->request->on_progress(reporter->request->arg, reporter->step, done, total);
    }
}

static int put(const struct write *write, const struct extents *extents,
               enum provision_disk_step step, struct ray_err *err)
{
    struct reporter reporter = {&write->disk->request, step};
    const struct extents_progress progress = {report, &reporter};
    int rc = extents_copy(extents, write->disk->target_fd, write->is_blank, &progress, err);

    return rc == RAY_OK ? sync_target(write, err) : rc;
}

static int compare(const struct write *write, const struct extents *extents,
                   enum provision_disk_step step, struct ray_err *err)
{
    struct reporter reporter = {&write->disk->request, step};
    const struct extents_progress progress = {report, &reporter};

    return extents_compare(extents, write->disk->target_fd, &progress, err);
}

static int write_content(const struct write *write, struct ray_err *err)
{
    int rc = RAY_OK;

    if (!write->is_blank) {
        rc = put(write, &write->clear, PROVISION_DISK_STEP_CLEAR, err);
    }
    if (rc == RAY_OK && write->esp.count > 0) {
        rc = put(write, &write->esp, PROVISION_DISK_STEP_ESP, err);
    }
    if (rc == RAY_OK) {
        rc = put(write, &write->data, PROVISION_DISK_STEP_DATA, err);
    }
    drop_cache(write);
    if (rc == RAY_OK) {
        rc = compare(write, &write->esp, PROVISION_DISK_STEP_VERIFY, err);
    }
    return rc == RAY_OK ? compare(write, &write->data, PROVISION_DISK_STEP_VERIFY, err) : rc;
}

static int write_tables(const struct write *write, struct ray_err *err)
{
    const struct extents *const order[] = {&write->backup, &write->table, &write->header};
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < 3; i++) {
        rc = put(write, order[i], PROVISION_DISK_STEP_TABLES, err);
    }
    drop_cache(write);
    for (size_t i = 0; rc == RAY_OK && i < 3; i++) {
        rc = compare(write, order[i], PROVISION_DISK_STEP_TABLES, err);
    }
    return rc == RAY_OK ? sync_folder(write, err) : rc;
}

/* After a failure: nothing that looks like a disk of ours, as far as it can still be written. */
static void undo(const struct write *write)
{
    static const struct extents_progress silent = {NULL, NULL};
    struct extents tables;

    assert(write->disk->target_fd >= 0);
    if (write->is_made) {
        (void)unlink(write->disk->request.target);
        return;
    }
    extents_init(&tables);
    if (extents_add(&tables, -1, 0, 0, GPT_HEAD_SIZE, NULL) == RAY_OK &&
        extents_add(&tables, -1, 0, write->disk->plan.size_bytes - GPT_TAIL_SIZE, GPT_TAIL_SIZE,
                    NULL) == RAY_OK) {
        (void)extents_copy(&tables, write->disk->target_fd, false, &silent, NULL);
        (void)fsync(write->disk->target_fd);
    }
    extents_fini(&tables);
}

static int make_lists(struct write *write, struct ray_err *err)
{
    int rc = make_memory(write, err);

    if (rc == RAY_OK) {
        rc = list_clear(write, err);
    }
    if (rc == RAY_OK) {
        rc = list_esp(write, err);
    }
    if (rc == RAY_OK) {
        rc = list_data(write, err);
    }
    return rc == RAY_OK ? list_tables(write, err) : rc;
}

static void write_fini(struct write *write)
{
    struct extents *const all[] = {&write->clear,  &write->esp,   &write->data,
                                   &write->backup, &write->table, &write->header};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        extents_fini(all[i]);
    }
    xfs_fini(&write->xfs);
    if (write->memory_fd >= 0) {
        (void)close(write->memory_fd); /* memory only */
    }
}

int disk_write_all(struct provision_disk *disk, const char *mkfs, struct ray_err *err)
{
    struct write write = {.disk = disk, .memory_fd = -1, .xfs = {.fd = -1}};
    struct reporter reporter = {&disk->request, PROVISION_DISK_STEP_FORMAT};
    int rc;

    report(&reporter, 0, 1);
    rc = xfs_make(&write.xfs, mkfs, disk->plan.data.size_bytes, disk->physical_sector_size, err);
    if (rc == RAY_OK) {
        report(&reporter, 1, 1);
        rc = make_lists(&write, err);
    }
    if (rc == RAY_OK) {
        rc = open_target(&write, err);
        if (rc == RAY_OK) {
            rc = write_content(&write, err);
        }
        if (rc == RAY_OK) {
            rc = write_tables(&write, err);
        }
        if (rc != RAY_OK && disk->target_fd >= 0) {
            undo(&write);
        }
    }
    if (rc == RAY_OK && disk->plan.is_block_device) {
        (void)ioctl(disk->target_fd, BLKRRPART,
                    0); /* else the kernel sees it at the next plug-in */
    }
    write_fini(&write);
    return rc;
}

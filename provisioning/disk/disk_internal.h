/* provisioning/disk/disk_internal.h - what the parts of the writer share.
 *
 * target.c finds out what the target is; layout.c what goes where; write.c writes it; disk.c is
 * the interface. Memory: one struct provision_disk, made by disk.c.  Threads: one.
 * Blocks: on the disk.  Trust: as disk_api.h. */
#ifndef RAY_PROVISIONING_DISK_DISK_INTERNAL_H
#define RAY_PROVISIONING_DISK_DISK_INTERNAL_H

#include "provisioning/disk/disk_api.h"
#include "provisioning/disk/fat.h"
#include "provisioning/disk/gpt.h"

enum { DISK_ALIGNMENT = 1 << 20 };

struct provision_disk {
    struct provision_disk_request request;
    struct provision_disk_plan plan;
    int image_fd;
    int target_fd; /* -1: a file that is not there yet */
    struct provision_disk_place image_esp;
    struct fat_facts fat;
    uint8_t esp_head[FAT_HEAD_SIZE]; /* of the image, grown */
    uint32_t physical_sector_size;
    bool is_read_only;
    bool is_look; /* nothing is going to be written: it is only opened for reading */
};

/* Opens the image and checks it, down to its FAT32. */
int disk_open_image(struct provision_disk *disk, struct ray_err *err);

/* Opens the target and fills the plan but for the places. */
int disk_open_target(struct provision_disk *disk, struct ray_err *err);

/* Fills the places of the plan, and grows esp_head. */
int disk_lay_out(struct provision_disk *disk, struct ray_err *err);

/* Everything after the checks. */
int disk_write_all(struct provision_disk *disk, const char *mkfs, struct ray_err *err);

/* The whole of a range; RAY_EIO at the end of the file. */
int disk_read(int fd, const char *path, void *out, size_t size, uint64_t offset,
              struct ray_err *err);

#endif

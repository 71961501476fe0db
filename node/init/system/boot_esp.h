/* node/init/system/boot_esp.h - the image on the disk that this node was started from: UKI and
 * manifest on the partition RAYOS_ESP, as provisioning/image/mkimage/rawdisk.py lays them out.
 *
 * The mount has no place in any tree: nothing but the descriptors leads to it, and it is gone
 * when the last of them is closed, whoever has it by then.
 * Memory: none; descriptors are the caller's.  Threads: any.  Blocks: on the disk.
 * Trust: the disk is foreign. Which partition it is, is what the kernel read in its table; files
 * are opened beneath the mount alone, must be regular and have a size within bounds. What is in
 * them is for their reader to check. */
#ifndef RAY_NODE_INIT_SYSTEM_BOOT_ESP_H
#define RAY_NODE_INIT_SYSTEM_BOOT_ESP_H

#include <stdint.h>

#include "base/err.h"
#include "node/init/system/boot_facts.h"
#include "node/init/system/data_disk.h"

/* X(id, name in a release, path on the ESP, most bytes) */
#define INIT_BOOT_ESP_MAP(X)                                                                       \
    X(MANIFEST, "manifest.json", "EFI/RAYOS/manifest.json", 64 << 10)                              \
    X(UKI, "rayos.efi", "EFI/BOOT/BOOTX64.EFI", 512 << 20)

enum init_boot_esp_file {
#define INIT_BOOT_ESP_ENUM(id, name, path, size_max) INIT_BOOT_ESP_##id,
    INIT_BOOT_ESP_MAP(INIT_BOOT_ESP_ENUM)
#undef INIT_BOOT_ESP_ENUM
        INIT_BOOT_ESP_FILE_COUNT
};

const char *init_boot_esp_name(enum init_boot_esp_file file); /* "rayos.efi" */

/* Whether it is known which partition it is: *out_device of `found`, below /dev. RAY_ENOTFOUND:
 * not started from a disk, or it has no such partition.  RAY_ECONFLICT: there are several. Pure. */
int init_boot_esp_choose(enum init_boot_path path, const struct init_data_found *found,
                         const char **out_device, struct ray_err *err);

/* Mounts a file system read-only, nosuid, nodev, noexec; *out_fd is its root. */
int init_boot_esp_mount(const char *type, const char *source, int *out_fd, struct ray_err *err);

/* Opens all files below `dir_fd`, or none. RAY_ENOTFOUND, RAY_ECONFLICT (no regular file, or
 * empty), RAY_ETOOBIG. */
int init_boot_esp_open_files(int dir_fd, int out_fds[static INIT_BOOT_ESP_FILE_COUNT],
                             struct ray_err *err);

/* All of that on the machine below `root` ("" on a node), as it is now. */
int init_boot_esp_open(int root_fd, const char *root, enum init_boot_path path,
                       char out_device[static INIT_DATA_DEVICE_SIZE_MAX],
                       int out_fds[static INIT_BOOT_ESP_FILE_COUNT], struct ray_err *err);

#endif

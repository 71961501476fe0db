/* provisioning/disk/block.h - what the kernel says of a block device, by sysfs and procfs.
 *
 * Memory: the caller's.  Threads: any.  Blocks: on sysfs (some disks answer slowly).
 * Trust: names and serial numbers come from the device and are escaped. */
#ifndef RAY_PROVISIONING_DISK_BLOCK_H
#define RAY_PROVISIONING_DISK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "provisioning/disk/disk_api.h"

struct block_facts {
    char name[32]; /* "sdb" */
    bool is_partition;
    bool is_read_only;
    char model[PROVISION_DISK_TEXT_SIZE];  /* "" when not known */
    char serial[PROVISION_DISK_TEXT_SIZE]; /* "" when it reports none */
    uint64_t size_bytes;                   /* of the medium that is in it; 0: none */
    char in_use[PROVISION_DISK_WHY_SIZE];  /* who uses the disk or a part of it; "" nobody */
};

/* `sys_dir` and `proc_dir` are /sys and /proc, or a test's. RAY_ENOTFOUND: sysfs does not know
 * the device. */
int block_read(const char *sys_dir, const char *proc_dir, dev_t device, struct block_facts *out,
               struct ray_err *err);

/* What is typed to confirm it: the serial number, without one the size in bytes. Returns `out`. */
const char *block_word(const struct block_facts *facts, char out[static PROVISION_DISK_TEXT_SIZE]);

#endif

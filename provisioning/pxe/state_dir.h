/* provisioning/pxe/state_dir.h - the folder of our own files: lock, leases, dnsmasq's
 * configuration, TFTP root; store and machine table have their own folders in it.
 *
 * Memory: none.  Threads: any.  Blocks: on the disk.  Trust: the folder is ours alone. */
#ifndef RAY_PROVISIONING_PXE_STATE_DIR_H
#define RAY_PROVISIONING_PXE_STATE_DIR_H

#include "base/err.h"
#include "provisioning/pxe/config.h"

struct provision_state_dir {
    char path[PROVISION_PATH_SIZE];      /* absolute, without links */
    char conf_path[PROVISION_PATH_SIZE]; /* dnsmasq's configuration */
    int lock_fd;                         /* held while we run; -1: none */
};

/* Makes the folder where it is missing, locks it (RAY_EEXISTS: another rayos-provision runs on
 * it) and writes what dnsmasq serves and reads. */
int provision_state_dir_open(struct provision_state_dir *dir, const struct provision_config *config,
                             struct ray_err *err);
void provision_state_dir_close(struct provision_state_dir *dir);

#endif

/* provisioning/pxe/dnsmasq_config.h - the configuration that our dnsmasq gets.
 *
 * Memory: appends to the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: the values have passed config.h's checks. */
#ifndef RAY_PROVISIONING_PXE_DNSMASQ_CONFIG_H
#define RAY_PROVISIONING_PXE_DNSMASQ_CONFIG_H

#include "base/buf.h"
#include "provisioning/pxe/config.h"

#define PROVISION_TFTP_DIR "tftp"               /* below the state folder */
#define PROVISION_BOOT_FILE "snponly.efi"       /* for UEFI x64 */
#define PROVISION_AUTOEXEC_FILE "autoexec.ipxe" /* that iPXE asks for by itself */
#define PROVISION_LEASES_FILE "dnsmasq.leases"

/* `state_dir` is absolute. */
int provision_dnsmasq_config(struct ray_buf *out, const struct provision_config *config,
                             const char *state_dir, struct ray_err *err);

#endif

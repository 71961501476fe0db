/* provisioning/pxe/dnsmasq_config.h - the configuration that our dnsmasq gets, for the modes
 * dhcp and proxy.
 *
 * Memory: appends to the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: the values have passed config.h's checks. */
#ifndef RAY_PROVISIONING_PXE_DNSMASQ_CONFIG_H
#define RAY_PROVISIONING_PXE_DNSMASQ_CONFIG_H

#include "base/buf.h"
#include "provisioning/pxe/config.h"

#define PROVISION_TFTP_DIR "tftp"                /* below the state folder */
#define PROVISION_BOOT_FILE "snponly.efi"        /* for UEFI x64 */
#define PROVISION_BIOS_BOOT_FILE "undionly.kpxe" /* for BIOS */
#define PROVISION_AUTOEXEC_FILE "autoexec.ipxe"  /* that iPXE asks for, or is told */
#define PROVISION_LEASES_FILE "dnsmasq.leases"
#define PROVISION_UKI_PATH "/boot/rayos.efi" /* of the HTTP server: what UEFI HTTP boot gets */

/* A site option (RFC 2132's private range): "http://IP:PORT" of the boot server, for a node
 * whose command line does not tell it. */
enum { PROVISION_OPTION_SERVER = 224 };

/* `state_dir` is absolute. Not for the mode http, which has no dnsmasq. */
int provision_dnsmasq_config(struct ray_buf *out, const struct provision_config *config,
                             const char *state_dir, struct ray_err *err);

#endif

/* provisioning/pxe/probe.h - what can be known to be wrong before anything is started.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_PROVISIONING_PXE_PROBE_H
#define RAY_PROVISIONING_PXE_PROBE_H

#include "base/err.h"
#include "provisioning/pxe/config.h"

/* The interface exists, is up and has our address with its network: RAY_ENOTFOUND or
 * RAY_ECONFLICT otherwise, with the command that helps. */
int provision_probe_interface(const struct provision_config *config, struct ray_err *err);

/* Nobody has the DHCP and TFTP ports on the interface, and we may have them: RAY_EEXISTS,
 * RAY_EDENIED. dnsmasq itself would share the DHCP port with another dnsmasq and both would
 * answer. */
int provision_probe_ports(const struct provision_config *config, struct ray_err *err);

/* dnsmasq and the boot file can be read or run: RAY_ENOTFOUND names the package. */
int provision_probe_files(const struct provision_config *config, struct ray_err *err);

#endif

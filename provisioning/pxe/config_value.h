/* provisioning/pxe/config_value.h - the readers of the values behind config.h's keys; only
 * config.c uses them.
 *
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: the operator's texts, checked to the last: they end up in dnsmasq's configuration and
 * in boot scripts. */
#ifndef RAY_PROVISIONING_PXE_CONFIG_VALUE_H
#define RAY_PROVISIONING_PXE_CONFIG_VALUE_H

#include "provisioning/pxe/config.h"

/* provision_value_mode, provision_value_interface, ...: RAY_EUSAGE names key and value. */
#define PROVISION_VALUE(field, key_text, value_name, preset, help)                                 \
    int provision_value_##field(struct provision_config *config, const char *key,                  \
                                const char *value, struct ray_err *err);
PROVISION_CONFIG_KEYS(PROVISION_VALUE)
#undef PROVISION_VALUE

#endif

/* provisioning/pxe/check.h - what keeps machines from booting, as findings with a next step. The
 * verdicts are pure; control_check.c finds the facts.
 *
 * Memory: plain structs of the caller's.  Threads: any.
 * Blocks: check_ports reads /proc (memory), the others never.
 * Trust: boot files and addresses come from anybody; they are printable here. */
#ifndef RAY_PROVISIONING_PXE_CHECK_H
#define RAY_PROVISIONING_PXE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provisioning/machines/table.h"
#include "provisioning/pxe/config.h"
#include "provisioning/pxe/dhcp_probe.h"
#include "provisioning/store/store.h"

/* X(id, word) */
#define PROVISION_CHECK_STATE_MAP(X)                                                               \
    X(OK, "ok")                                                                                    \
    X(WARNING, "warning") /* machines boot, but not all or not for long */                         \
    X(FAILED, "failed")                                                                            \
    X(SKIPPED, "skipped") /* has no meaning in this mode, or could not be looked at */

enum provision_check_state {
#define PROVISION_CHECK_STATE_ENUM(id, word) PROVISION_CHECK_##id,
    PROVISION_CHECK_STATE_MAP(PROVISION_CHECK_STATE_ENUM)
#undef PROVISION_CHECK_STATE_ENUM
};

const char *provision_check_state_word(enum provision_check_state state);

enum { PROVISION_CHECK_COUNT_MAX = 16, PROVISION_CHECK_TEXT_SIZE = 512 };

struct provision_check {
    const char *name;
    enum provision_check_state state;
    char text[PROVISION_CHECK_TEXT_SIZE];
    char next[PROVISION_CHECK_TEXT_SIZE]; /* "": nothing to do */
};

struct provision_checks {
    struct provision_check items[PROVISION_CHECK_COUNT_MAX];
    size_t count;
};

/* Adds a finding without next step; there is room for all that this folder adds. */
struct provision_check *provision_check_add(struct provision_checks *checks, const char *name,
                                            enum provision_check_state state, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void provision_check_next(struct provision_check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* dhcp-server, boot-file: who else answers, and whether that fits the mode. */
void provision_check_servers(struct provision_checks *checks, const struct provision_config *config,
                             const struct provision_probe_server *servers, size_t count);

/* port-67, port-69, port-4011 by the text of /proc/net/udp. */
void provision_check_ports(struct provision_checks *checks, const struct provision_config *config,
                           const char *proc_net_udp, bool is_dnsmasq_serving);

/* image */
void provision_check_images(struct provision_checks *checks,
                            const struct provision_store_image *images, size_t count);
/* clock: before the build of the newest image it cannot be right. */
void provision_check_clock(struct provision_checks *checks,
                           const struct provision_store_image *images, size_t count,
                           uint64_t now_us);
/* disk: room for one more image. */
void provision_check_disk(struct provision_checks *checks, uint64_t free_bytes,
                          const struct provision_store_image *images, size_t count);
/* machines: who got an offer or a boot file lately and never came back for what follows. */
void provision_check_machines(struct provision_checks *checks, const struct provision_table *table,
                              uint64_t now_us);

#endif

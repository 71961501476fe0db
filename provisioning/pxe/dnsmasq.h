/* provisioning/pxe/dnsmasq.h - dnsmasq as our child: started, listened to, started again.
 *
 * It does not become a daemon and does not change its user (--no-daemon: the other way fails in
 * a user namespace with one id); instead we start it with no more than the three capabilities
 * that it needs, and it dies with us.
 * Memory: create/destroy; callbacks may not destroy.  Threads: the loop's.
 * Blocks: never, but for the exec of the child.  Trust: its lines are parsed as foreign. */
#ifndef RAY_PROVISIONING_PXE_DNSMASQ_H
#define RAY_PROVISIONING_PXE_DNSMASQ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"
#include "provisioning/pxe/dnsmasq_log.h"

struct provision_dnsmasq;

struct provision_dnsmasq_config {
    const char *program;   /* borrowed for the lifetime */
    const char *conf_path; /* same */
    unsigned restart_ms;   /* the first pause before a new start; doubles up to 50 times that */
    /* Each line; `line` is NUL-terminated and without newline. */
    void (*on_line)(void *arg, const char *line, const struct provision_dnsmasq_line *parsed);
    void (*on_started)(void *arg); /* it serves, for the first time or again */
    /* It ended unasked: it comes back after `restart_ms`, or (gave_up) not any more. `why` has
     * how it ended and, when it was not killed, its last words. */
    void (*on_ended)(void *arg, const char *why, bool gave_up, unsigned restart_ms);
    void (*on_stopped)(void *arg); /* after stop */
    void *arg;
};

int provision_dnsmasq_create(struct provision_dnsmasq **out_dnsmasq, struct ray_loop *loop,
                             const struct provision_dnsmasq_config *config, struct ray_err *err);
int provision_dnsmasq_start(struct provision_dnsmasq *dnsmasq, struct ray_err *err);
/* SIGTERM, and SIGKILL when it takes too long; on_stopped follows, maybe at once. */
void provision_dnsmasq_stop(struct provision_dnsmasq *dnsmasq);
bool provision_dnsmasq_is_serving(const struct provision_dnsmasq *dnsmasq);
void provision_dnsmasq_destroy(struct provision_dnsmasq *dnsmasq); /* kills; NULL is fine */

#endif

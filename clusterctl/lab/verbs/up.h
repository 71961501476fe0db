/* clusterctl/lab/verbs/up.h - the two halves of `lab up`: starting the supervisor (up.c) and
 * watching the nodes boot (up_watch.c).
 *
 * Memory: the caller's structs.  Threads: one.  Blocks: as long as the boot takes.
 * Trust: see verbs.h. */
#ifndef RAY_CLUSTERCTL_LAB_VERBS_UP_H
#define RAY_CLUSTERCTL_LAB_VERBS_UP_H

#include "base/err.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/verbs/session.h"

/* Waits until all nodes are ready, showing how they get there, then prints the table of
 * phases. RAY_OK: *out_ready_us is set. RAY_ECANCELED: a signal came. Else the boot failed: what
 * is known of the nodes that hang was printed to standard error. */
int lab_watch_boot(struct lab_session *session, const struct lab_client *client,
                   const struct lab_config *config, uint64_t *out_ready_us, struct ray_err *err);

#endif

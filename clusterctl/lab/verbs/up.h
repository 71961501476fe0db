/* clusterctl/lab/verbs/up.h - the parts of `lab up`: its options (up_config.c), starting the
 * supervisor (up.c) and watching the nodes boot (up_watch.c).
 *
 * Memory: the caller's structs.  Threads: one.  Blocks: as long as the boot takes.
 * Trust: see verbs.h. */
#ifndef RAY_CLUSTERCTL_LAB_VERBS_UP_H
#define RAY_CLUSTERCTL_LAB_VERBS_UP_H

#include "base/err.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/verbs/session.h"

/* Options to configuration, checked; the image must be there. */
int lab_up_config(const struct ray_args *args, const struct lab_paths *paths,
                  struct lab_config *config, struct ray_err *err);

/* Since the lab's start. */
struct lab_boot_times {
    uint64_t ready_us;
    uint64_t quorate_us; /* 0: it makes no cluster */
};

/* Waits until all nodes are ready, and one cluster if they are to be, showing how they get there,
 * then prints the table of phases. RAY_OK: *out_times is set. RAY_ECANCELED: a signal came. Else
 * the boot failed: what is known of the nodes that hang was printed to standard error. */
int lab_watch_boot(struct lab_session *session, const struct lab_client *client,
                   const struct lab_config *config, struct lab_boot_times *out_times,
                   struct ray_err *err);

#endif

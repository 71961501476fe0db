/* clusterctl/lab/verbs/takedown.h - the end of a lab, whatever state it is in.
 *
 * Memory: none.  Threads: one.  Blocks: until everything of the lab has ended, some seconds.
 * Trust: see record.h. */
#ifndef RAY_CLUSTERCTL_LAB_VERBS_TAKEDOWN_H
#define RAY_CLUSTERCTL_LAB_VERBS_TAKEDOWN_H

#include "base/err.h"
#include "clusterctl/lab/paths.h"

enum lab_end {
    LAB_END_NOT_THERE, /* there was nothing */
    LAB_END_ORDERED,   /* the supervisor did it */
    LAB_END_KILLED,    /* the supervisor did not answer and was killed */
    LAB_END_TIDIED,    /* it had died; its files are tidied up now */
};

/* Report and logs stay. */
int lab_take_down(const struct lab_paths *paths, const char *reason, enum lab_end *out_end,
                  struct ray_err *err);

#endif

/* clusterctl/context/troubles.h - which members were asked in vain, and why each.
 *
 * Memory: a plain struct.  Threads: one.  Blocks: never.  Trust: texts of errors are escaped. */
#ifndef RAY_CLUSTERCTL_CONTEXT_TROUBLES_H
#define RAY_CLUSTERCTL_CONTEXT_TROUBLES_H

#include <stddef.h>

#include "base/err.h"

struct context_troubles {
    int code;                     /* of the whole: denied when somebody denied; else the last */
    char text[RAY_ERR_TEXT_SIZE]; /* "ADDRESS: why; ADDRESS: why"; what does not fit is counted */
    size_t size;
    size_t left_out;
    char next_step[RAY_ERR_TEXT_SIZE / 2]; /* the first that was given */
};

void context_troubles_add(struct context_troubles *troubles, const char *address,
                          const struct ray_err *why);
/* "WHAT: " and all of them; the next step is theirs, or depends on the code. Returns the code. */
int context_troubles_fail(const struct context_troubles *troubles, const char *what,
                          struct ray_err *err);

#endif

/* clusterctl/verbs/since.h - from where on: a revision, a time, or so long ago.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: the text is the user's. */
#ifndef RAY_CLUSTERCTL_VERBS_SINCE_H
#define RAY_CLUSTERCTL_VERBS_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* One of both is set; both 0: from the beginning. */
struct since {
    uint64_t revision;
    uint64_t time_us; /* since 1970 */
};

/* "1234": a revision. "90s", "10m", "2h", "3d": so long before `now_us`. "2026-11-21",
 * "2026-11-21 10:30", "2026-11-21T10:30:05Z": a time in UTC. RAY_EUSAGE. */
int since_parse(const char *text, uint64_t now_us, struct since *out, struct ray_err *err);
bool since_takes(const struct since *since, uint64_t revision, uint64_t time_us);

#endif

/* node/metrics/metrics.h - what a node shows to Prometheus, of what others have read: one text
 * whose number of lines does not grow with what the cluster holds.
 *
 * Memory: *out is the caller's.  Threads: any.  Blocks: never.
 * Trust: texts of others become values of labels alone, escaped; services and checks beyond
 * METRICS_LABELS_MAX are left out. No name of a guest, a principal or a rule is shown. */
#ifndef RAY_NODE_METRICS_METRICS_H
#define RAY_NODE_METRICS_METRICS_H

#include "base/buf.h"
#include "coordinator/api/member_api.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "node/health/health.h"

enum { METRICS_LABELS_MAX = 64, METRICS_SIZE_MAX = 256 << 10 };

struct metrics_input {
    const char *version;
    const char *node;                          /* its name; "" */
    uint64_t uptime_ns;                        /* of the machine */
    uint64_t resident_bytes;                   /* of this process; 0: not known */
    uint64_t cpu_ns;                           /* that it has used */
    const struct health_input *facts;          /* what was read for health */
    const Rayos__Node__Health *health;         /* as it was judged */
    const Rayos__Init__Status *init;           /* NULL: PID 1 did not answer */
    const struct coord_member_metrics *member; /* NULL: it takes no part in a cluster */
};

/* RAY_ENOMEM, RAY_ETOOBIG. */
int metrics_write(const struct metrics_input *input, struct ray_buf *out);

#endif

/* node/rayosd_metrics.h - the node's numbers as Prometheus' text, and an HTTP server for them
 * (--metrics), which is off unless somebody wants it: whoever reaches it may read them
 * (docs/decisions/0018-metrics-are-off-on-the-network.md).
 *
 * Memory: create and destroy.  Threads: the loop's.  Blocks: as node/health/read.h.
 * Trust: clients are hostile: net/http bounds them, nothing but GET /metrics is served, and what
 * is told holds no secret. */
#ifndef RAY_NODE_RAYOSD_METRICS_H
#define RAY_NODE_RAYOSD_METRICS_H

#include "base/buf.h"
#include "base/log.h"
#include "node/rayosd_methods.h"

/* `status` NULL: PID 1 did not answer, `why` says why. */
int rayosd_metrics_text(struct rayosd_context *context, const Rayos__Init__Status *status,
                        const char *why, struct ray_buf *out, struct ray_err *err);

struct rayosd_metrics;

/* `address` is ADDRESS:PORT; the context outlives it. An address that this machine does not have
 * yet, or that is taken, is tried again every RAYOSD_METRICS_RETRY_MS: a node runs without anybody
 * who watches it. RAY_EUSAGE: it is no address. */
enum { RAYOSD_METRICS_RETRY_MS = 1000 };
int rayosd_metrics_create(struct rayosd_metrics **out_metrics, struct rayosd_context *context,
                          struct ray_logger *logger, const char *address, struct ray_err *err);
bool rayosd_metrics_is_served(const struct rayosd_metrics *metrics);
void rayosd_metrics_destroy(struct rayosd_metrics *metrics); /* NULL is fine */

#endif

/* provisioning/pxe/metrics.h - what is counted, and its text for Prometheus.
 *
 * Memory: the counters are a plain struct of the service's; format appends to the caller's
 * buffer.  Threads: the loop's.  Blocks: never.
 * Trust: no text of a machine gets into the output, so it has a fixed number of lines. */
#ifndef RAY_PROVISIONING_PXE_METRICS_H
#define RAY_PROVISIONING_PXE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/http/server.h"
#include "provisioning/machines/table.h"
#include "provisioning/pxe/config.h"
#include "provisioning/pxe/event.h"
#include "provisioning/store/store.h"

/* X(id, word): what a request was for. */
#define PROVISION_ROUTE_MAP(X)                                                                     \
    X(SCRIPT, "script")                                                                            \
    X(IMAGE, "image")                                                                              \
    X(HELLO, "hello")                                                                              \
    X(HEALTH, "health")                                                                            \
    X(METRICS, "metrics")                                                                          \
    X(OTHER, "other")

enum provision_route {
#define PROVISION_ROUTE_ENUM(id, word) PROVISION_ROUTE_##id,
    PROVISION_ROUTE_MAP(PROVISION_ROUTE_ENUM)
#undef PROVISION_ROUTE_ENUM
        PROVISION_ROUTE_COUNT
};

enum {
    PROVISION_STATUS_CLASS_COUNT = 6 /* 2xx is 2; 0: no answer */,
    PROVISION_METRICS_SIZE_MAX = 65536
};

struct provision_counters {
    uint64_t events[PROVISION_EVENT_KIND_COUNT];
    uint64_t lost_events; /* the reader of standard output was slow */
    uint64_t requests[PROVISION_ROUTE_COUNT][PROVISION_STATUS_CLASS_COUNT];
    uint64_t sent_bytes; /* of bodies */
    uint64_t broken_transfers;
    uint64_t dnsmasq_starts;
};

/* All that one answer shows. */
struct provision_metrics {
    const struct provision_counters *counters;
    enum provision_mode mode;
    bool is_dnsmasq_serving;
    uint64_t start_us; /* wall clock of the start */
    struct ray_http_stats http;
    size_t image_counts[PROVISION_STORE_DAMAGED + 1]; /* by state */
    struct provision_table_stats table;
};

enum provision_route provision_route_of(const char *path);
void provision_counters_request(struct provision_counters *counters, enum provision_route route,
                                int status, uint64_t sent_bytes);

/* RAY_ETOOBIG, RAY_ENOMEM. */
int provision_metrics_format(struct ray_buf *out, const struct provision_metrics *metrics);

#endif

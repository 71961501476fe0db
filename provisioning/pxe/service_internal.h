/* provisioning/pxe/service_internal.h - what the parts of the service share: service.c puts them
 * together, timeline.c writes down what machines do, images.c knows store and assignment, http*.c
 * answer.
 *
 * Memory: the service owns all parts.  Threads: the loop's.  Blocks: never.
 * Trust: see service.h. */
#ifndef RAY_PROVISIONING_PXE_SERVICE_INTERNAL_H
#define RAY_PROVISIONING_PXE_SERVICE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http/server.h"
#include "provisioning/machines/table.h"
#include "provisioning/pxe/control.h"
#include "provisioning/pxe/dnsmasq.h"
#include "provisioning/pxe/event.h"
#include "provisioning/pxe/metrics.h"
#include "provisioning/pxe/script.h"
#include "provisioning/pxe/service.h"
#include "provisioning/pxe/state_dir.h"
#include "provisioning/pxe/tracker.h"
#include "provisioning/store/store.h"

struct provision_service {
    struct ray_loop *loop;
    struct provision_service_config config;
    struct provision_state_dir state_dir;
    struct provision_tracker tracker;
    struct provision_store *store;
    struct provision_table *table;
    struct ray_http_server *http;
    struct ray_http_server *http6; /* NULL: no IPv6 */
    struct provision_control *control;
    struct provision_dnsmasq *dnsmasq; /* NULL in the mode http */
    struct ray_timer collect_timer;
    struct ray_timer listen_timer;
    struct provision_counters counters;
    struct provision_candidate candidates[PROVISION_STORE_COUNT_MAX];
    size_t candidate_count;
    uint64_t start_us; /* wall clock */
    uint64_t start_mono_us;
    uint64_t refused_log_ns; /* before it no line about refused connections */
    bool is_listening;
    bool is_stopping;
    struct ray_err end; /* why the service ends; RAY_OK for an ordered stop */
};

struct provision_server_address provision_server_address(const struct provision_service *service);

/* ---- timeline.c ---- */

/* Adds the time, writes the line, counts, and notes it in the machine's timeline. `arch` is what
 * the machine said in DHCP, or NULL. */
void provision_emit(struct provision_service *service, struct provision_event *event,
                    const struct provision_arch *arch);
void provision_emit_text(struct provision_service *service, enum provision_event_kind kind,
                         const char *ip, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The card that has this address: by lease, else by the kernel's neighbour table. */
bool provision_peer_mac(struct provision_service *service, const char *peer,
                        struct provision_mac *out);

/* ---- images.c ---- */

/* Opens store and table, and adds the folder of `import`. */
int provision_images_open(struct provision_service *service, struct ray_err *err);
/* Removes images by the store's rule. */
void provision_images_collect(struct provision_service *service);
/* What a machine gets now; `mac` NULL: nobody knows who it is. The result borrows from
 * service->candidates until the next call. */
void provision_images_decide(struct provision_service *service, const struct provision_mac *mac,
                             enum provision_boot_path path, struct provision_decision *out);
/* Counts by state; returns how many could be served. */
size_t provision_images_count(struct provision_service *service,
                              size_t out_counts[static PROVISION_STORE_DAMAGED + 1]);

/* ---- http*.c ---- */

int provision_http_start(struct provision_service *service, struct ray_err *err);
/* Refuses with a text for the person at the machine's console, and an event. */
void provision_http_refuse(struct provision_service *service, struct ray_http_request *request,
                           int status, const char *why);
void provision_http_text(struct ray_http_request *request, int status, const char *text);
/* The requests of machines that boot. */
void provision_http_script(struct provision_service *service, struct ray_http_request *request);
void provision_http_autoexec(struct provision_service *service, struct ray_http_request *request);
void provision_http_uki(struct provision_service *service, struct ray_http_request *request);
void provision_http_image(struct provision_service *service, struct ray_http_request *request);
/* From on_done: what came of one of these. */
void provision_http_boot_done(struct provision_service *service,
                              const struct ray_http_request *request);
/* And of those that only ask or report. */
void provision_http_hello(struct provision_service *service, struct ray_http_request *request);
void provision_http_health(struct provision_service *service, struct ray_http_request *request);
void provision_http_metrics(struct provision_service *service, struct ray_http_request *request);

#endif

/* provisioning/pxe/service_internal.h - what service.c and http.c share.
 *
 * Memory: the service owns all parts.  Threads: the loop's.  Blocks: never.
 * Trust: see service.h. */
#ifndef RAY_PROVISIONING_PXE_SERVICE_INTERNAL_H
#define RAY_PROVISIONING_PXE_SERVICE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http/server.h"
#include "provisioning/pxe/dnsmasq.h"
#include "provisioning/pxe/event.h"
#include "provisioning/pxe/image.h"
#include "provisioning/pxe/service.h"
#include "provisioning/pxe/state_dir.h"
#include "provisioning/pxe/tracker.h"

struct provision_service {
    struct ray_loop *loop;
    struct provision_service_config config;
    struct provision_state_dir state_dir;
    struct provision_tracker tracker;
    struct provision_image *image;
    struct ray_http_server *http;
    struct provision_dnsmasq *dnsmasq;
    uint64_t lost_event_count;
    bool is_listening;
    bool is_stopping;
    struct ray_err end; /* why the service ends; RAY_OK for an ordered stop */
};

/* Adds the time and writes the line. */
void provision_emit(struct provision_service *service, struct provision_event *event);
void provision_emit_text(struct provision_service *service, enum provision_event_kind kind,
                         const char *ip, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

int provision_http_start(struct provision_service *service, struct ray_err *err);

#endif

/* provisioning/pxe/service.h - the whole service: dnsmasq, HTTP, images, machines,
 * events.
 *
 * Memory: create/destroy; `config`, `logger` and the loop outlive it.
 * Threads: the loop's.  Blocks: create does (disk, hashing); afterwards never.
 * Trust: the network is hostile, the configuration is checked. */
#ifndef RAY_PROVISIONING_PXE_SERVICE_H
#define RAY_PROVISIONING_PXE_SERVICE_H

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "provisioning/pxe/config.h"

struct provision_service;

struct provision_service_config {
    const struct provision_config *config;
    struct ray_logger *logger;
    int event_fd; /* JSON lines go here */
    /* The service has ended: RAY_OK after stop, else why it cannot go on. Once, at the end. */
    void (*on_end)(void *arg, const struct ray_err *err);
    void *arg;
};

/* Becomes the user of the configuration, checks all that can be checked, then starts. `listening`
 * follows as an event. */
int provision_service_create(struct provision_service **out_service, struct ray_loop *loop,
                             const struct provision_service_config *config, struct ray_err *err);
/* Ends connections, then dnsmasq, then calls on_end. */
void provision_service_stop(struct provision_service *service);
void provision_service_destroy(struct provision_service *service); /* NULL is fine */

#endif

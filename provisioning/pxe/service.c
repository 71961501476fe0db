#include "provisioning/pxe/service.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/notify.h"
#include "provisioning/pxe/probe.h"
#include "provisioning/pxe/service_internal.h"

static struct ray_logger *logger_of(const struct provision_service *service)
{
    return service->config.logger;
}

/* A reader that has fallen asleep must not stop the boot of machines: a line for which there is
 * no room is dropped and counted (/healthz tells). A pipe with room for PIPE_BUF takes a
 * whole line. */
void provision_emit(struct provision_service *service, struct provision_event *event)
{
    char line[PROVISION_EVENT_LINE_SIZE];
    struct pollfd room = {.fd = service->config.event_fd, .events = POLLOUT};
    size_t size;

    event->t_us = ray_clock_monotonic_ns() / RAY_NS_PER_US;
    size = provision_event_format(event, line);
    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0 ||
        write(service->config.event_fd, line, size) != (ssize_t)size) {
        if (service->lost_event_count++ == 0) {
            ray_log(logger_of(service), RAY_LOG_WARN, "provision",
                    "an event was lost: the reader of standard output is slow or gone");
        }
    }
    if (event->kind == PROVISION_EVENT_ERROR || event->kind == PROVISION_EVENT_REFUSED) {
        ray_log(logger_of(service), RAY_LOG_WARN, "provision", "event=%s mac=%s ip=%s %s",
                provision_event_word(event->kind), event->mac[0] != '\0' ? event->mac : "-",
                event->ip[0] != '\0' ? event->ip : "-", event->detail);
    }
}

void provision_emit_text(struct provision_service *service, enum provision_event_kind kind,
                         const char *ip, const char *fmt, ...)
{
    struct provision_event event = {.kind = kind};
    va_list ap;

    (void)snprintf(event.ip, sizeof(event.ip), "%s", ip);
    (void)snprintf(event.mac, sizeof(event.mac), "%s",
                   provision_tracker_mac(&service->tracker, event.ip));
    va_start(ap, fmt);
    (void)vsnprintf(event.detail, sizeof(event.detail), fmt, ap); /* cut to fit */
    va_end(ap);
    provision_emit(service, &event);
}

static void on_dnsmasq_line(void *arg, const char *line,
                            const struct provision_dnsmasq_line *parsed)
{
    struct provision_service *service = arg;
    struct provision_event event;

    ray_log(logger_of(service), RAY_LOG_DEBUG, "dnsmasq", "%s", line);
    if (provision_tracker_take(&service->tracker, parsed, &event)) {
        provision_emit(service, &event);
    }
}

static void on_dnsmasq_started(void *arg)
{
    struct provision_service *service = arg;
    const struct provision_config *config = service->config.config;
    char ip[PROVISION_IP_TEXT_SIZE];

    (void)provision_ip_format(config->address, ip);
    provision_emit_text(service, PROVISION_EVENT_LISTENING, ip, "%s http://%s:%u%s",
                        config->interface, ip, config->http_port,
                        service->is_listening ? " again" : "");
    ray_log(logger_of(service), RAY_LOG_NOTICE, "provision",
            "serving interface=%s address=%s/%u http_port=%u", config->interface, ip,
            config->prefix_size, config->http_port);
    if (!service->is_listening) {
        service->is_listening = true;
        if (ray_notify_ready(NULL) != RAY_OK) {
            ray_log(logger_of(service), RAY_LOG_WARN, "provision",
                    "the supervisor did not take the word that we are ready");
        }
    }
}

/* Ends connections first: nobody starts a download that dnsmasq's absence would spoil. */
static void shut_down(struct provision_service *service)
{
    if (service->is_stopping) {
        return;
    }
    service->is_stopping = true;
    provision_image_destroy(service->image); /* answers who waits */
    service->image = NULL;
    ray_http_server_destroy(service->http);
    service->http = NULL;
    provision_dnsmasq_stop(service->dnsmasq);
}

static void on_dnsmasq_ended(void *arg, const char *why, bool gave_up, unsigned restart_ms)
{
    struct provision_service *service = arg;
    const char *none = "";

    if (gave_up || !service->is_listening) {
        provision_emit_text(service, PROVISION_EVENT_ERROR, none, "dnsmasq ended for good: %s",
                            why);
        (void)ray_fail(&service->end, RAY_EUNAVAILABLE, "dnsmasq ended: %s", why);
        (void)ray_next(&service->end, "run '%s --test --conf-file=%s', or with --log-level debug",
                       service->config.config->dnsmasq_path, service->state_dir.conf_path);
        shut_down(service);
    } else {
        provision_emit_text(service, PROVISION_EVENT_ERROR, none,
                            "dnsmasq ended (%s), next start in %u ms", why, restart_ms);
    }
}

static void on_dnsmasq_stopped(void *arg)
{
    struct provision_service *service = arg;

    ray_log(logger_of(service), RAY_LOG_NOTICE, "provision", "stopped");
    service->config.on_end(service->config.arg, &service->end);
}

static int start_dnsmasq(struct provision_service *service, struct ray_err *err)
{
    const struct provision_dnsmasq_config config = {
        .program = service->config.config->dnsmasq_path,
        .conf_path = service->state_dir.conf_path,
        .restart_ms = 100,
        .on_line = on_dnsmasq_line,
        .on_started = on_dnsmasq_started,
        .on_ended = on_dnsmasq_ended,
        .on_stopped = on_dnsmasq_stopped,
        .arg = service,
    };
    int rc = provision_dnsmasq_create(&service->dnsmasq, service->loop, &config, err);

    return rc == RAY_OK ? provision_dnsmasq_start(service->dnsmasq, err) : rc;
}

/* A folder without image is a mistake of the call. A damaged image is an event: it may be in
 * the middle of being replaced, and it is not served. */
static int check_image(struct provision_service *service, struct ray_err *err)
{
    struct ray_err why = {0};
    int rc = provision_image_check_now(service->image, &why);

    if (rc == RAY_OK) {
        return RAY_OK;
    }
    if (rc == RAY_ECONFLICT) {
        provision_emit_text(service, PROVISION_EVENT_ERROR, "", "not served: %s", why.text);
        return RAY_OK;
    }
    if (err != NULL) {
        *err = why;
    }
    return ray_next(err, "run 'make image', or give the folder of an image with --image-dir");
}

int provision_service_create(struct provision_service **out_service, struct ray_loop *loop,
                             const struct provision_service_config *config, struct ray_err *err)
{
    const struct provision_config *settings = config->config;
    struct provision_service *service;
    int rc;

    assert(config->on_end != NULL && settings != NULL);
    service = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*service));
    if (service == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the service");
    }
    service->loop = loop;
    service->config = *config;
    service->state_dir.lock_fd = -1;
    provision_tracker_init(&service->tracker, settings);
    rc = provision_probe_files(settings, err);
    if (rc == RAY_OK) {
        rc = provision_probe_interface(settings, err);
    }
    if (rc == RAY_OK) {
        rc = provision_probe_ports(settings, err);
    }
    if (rc == RAY_OK) {
        rc = provision_state_dir_open(&service->state_dir, settings, err);
    }
    if (rc == RAY_OK) {
        rc = provision_image_create(&service->image, loop, settings->image_dir, err);
    }
    if (rc == RAY_OK) {
        rc = check_image(service, err);
    }
    if (rc == RAY_OK) {
        rc = provision_http_start(service, err);
    }
    if (rc == RAY_OK) {
        rc = start_dnsmasq(service, err);
    }
    if (rc != RAY_OK) {
        provision_service_destroy(service);
        return rc;
    }
    *out_service = service;
    return RAY_OK;
}

void provision_service_stop(struct provision_service *service)
{
    shut_down(service);
}

void provision_service_destroy(struct provision_service *service)
{
    if (service == NULL) {
        return;
    }
    provision_image_destroy(service->image);
    ray_http_server_destroy(service->http);
    provision_dnsmasq_destroy(service->dnsmasq);
    provision_state_dir_close(&service->state_dir);
    free(service);
}

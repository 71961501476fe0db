#include "provisioning/pxe/service.h"

#include <assert.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/notify.h"
#include "provisioning/pxe/privileges.h"
#include "provisioning/pxe/probe.h"
#include "provisioning/pxe/service_internal.h"

enum { COLLECT_EVERY_MS = 60 * 60 * 1000 };

static struct ray_logger *logger_of(const struct provision_service *service)
{
    return service->config.logger;
}

struct provision_server_address provision_server_address(const struct provision_service *service)
{
    return (struct provision_server_address){.ip = service->config.config->address,
                                             .http_port = service->config.config->http_port};
}

static void on_dnsmasq_line(void *arg, const char *line,
                            const struct provision_dnsmasq_line *parsed)
{
    struct provision_service *service = arg;
    const struct provision_arch *arch;
    struct provision_event event;
    struct provision_mac mac;

    ray_log(logger_of(service), RAY_LOG_DEBUG, "dnsmasq", "%s", line);
    if (provision_tracker_take(&service->tracker, parsed, &event, &arch)) {
        if (event.mac[0] == '\0' && provision_peer_mac(service, event.ip, &mac)) {
            (void)provision_mac_format(&mac, event.mac); /* TFTP, the lease is another server's */
        }
        provision_emit(service, &event, arch);
    }
}

static void say_listening(struct provision_service *service)
{
    const struct provision_config *config = service->config.config;
    char ip[PROVISION_IP_TEXT_SIZE];

    (void)provision_ip_format(config->address, ip);
    provision_emit_text(service, PROVISION_EVENT_LISTENING, ip, "%s http://%s:%u%s",
                        config->interface, ip, config->http_port,
                        service->is_listening ? " again" : "");
    ray_log(logger_of(service), RAY_LOG_NOTICE, "provision",
            "serving mode=%s interface=%s address=%s/%u http_port=%u",
            provision_mode_word(config->mode), config->interface, ip, config->prefix_size,
            config->http_port);
    if (!service->is_listening) {
        service->is_listening = true;
        if (ray_notify_ready(NULL) != RAY_OK) {
            ray_log(logger_of(service), RAY_LOG_WARN, "provision",
                    "the supervisor did not take the word that we are ready");
        }
    }
}

static void on_listen(void *arg)
{
    say_listening(arg);
}

static void on_dnsmasq_started(void *arg)
{
    struct provision_service *service = arg;

    service->counters.dnsmasq_starts++;
    say_listening(service);
}

static void on_dnsmasq_stopped(void *arg)
{
    struct provision_service *service = arg;

    ray_log(logger_of(service), RAY_LOG_NOTICE, "provision", "stopped");
    service->config.on_end(service->config.arg, &service->end);
}

/* Ends connections first: nobody starts a download that dnsmasq's absence would spoil. */
static void shut_down(struct provision_service *service)
{
    if (service->is_stopping) {
        return;
    }
    service->is_stopping = true;
    ray_timer_stop(&service->collect_timer);
    ray_timer_stop(&service->listen_timer);
    provision_store_destroy(service->store); /* answers who waits */
    service->store = NULL;
    provision_control_destroy(service->control);
    service->control = NULL;
    ray_http_server_destroy(service->http);
    service->http = NULL;
    ray_http_server_destroy(service->http6);
    service->http6 = NULL;
    if (service->dnsmasq != NULL) {
        provision_dnsmasq_stop(service->dnsmasq);
    } else {
        on_dnsmasq_stopped(service);
    }
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

static void on_collect(void *arg)
{
    provision_images_collect(arg);
}

/* What has to be there before anything is opened. */
static int probe(const struct provision_config *settings, struct ray_err *err)
{
    int rc = provision_probe_files(settings, err);

    if (rc == RAY_OK) {
        rc = provision_probe_interface(settings, err);
    }
    return rc == RAY_OK ? provision_probe_ports(settings, err) : rc;
}

static int start_parts(struct provision_service *service, struct ray_err *err)
{
    const struct provision_config *settings = service->config.config;
    int rc = provision_state_dir_open(&service->state_dir, settings, err);

    if (rc == RAY_OK) {
        rc = provision_images_open(service, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&service->collect_timer, service->loop, on_collect, service, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&service->listen_timer, service->loop, on_listen, service, err);
    }
    if (rc == RAY_OK) {
        ray_timer_start(&service->collect_timer, COLLECT_EVERY_MS, COLLECT_EVERY_MS);
        rc = provision_http_start(service, err);
    }
    if (rc == RAY_OK) {
        rc = provision_control_start(service, err);
    }
    if (rc == RAY_OK && provision_mode_has_dnsmasq(settings->mode)) {
        rc = start_dnsmasq(service, err);
    }
    if (rc == RAY_OK && settings->user[0] != '\0') {
        rc = provision_privileges_rest(err);
    }
    if (rc == RAY_OK && service->dnsmasq == NULL) {
        ray_timer_start(&service->listen_timer, 0, 0); /* once the loop runs, as with dnsmasq */
    }
    return rc;
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
    service->start_us = provision_time_now().real_us;
    service->start_mono_us = provision_time_now().mono_us;
    provision_tracker_init(&service->tracker, settings);
    rc = settings->user[0] != '\0'
             ? provision_privileges_drop(settings->user, settings->state_dir, err)
             : RAY_OK;
    if (rc == RAY_OK) {
        rc = probe(settings, err);
    }
    if (rc == RAY_OK) {
        rc = start_parts(service, err);
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
    ray_timer_fini(&service->collect_timer);
    ray_timer_fini(&service->listen_timer);
    provision_store_destroy(service->store);
    provision_control_destroy(service->control);
    ray_http_server_destroy(service->http);
    ray_http_server_destroy(service->http6);
    provision_dnsmasq_destroy(service->dnsmasq);
    provision_table_destroy(service->table);
    provision_state_dir_close(&service->state_dir);
    free(service);
}

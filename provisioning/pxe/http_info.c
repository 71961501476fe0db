/* Hellos of nodes, and what monitors ask for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "provisioning/pxe/service_internal.h"

static void emit_hello(struct provision_service *service, const struct provision_hello *hello,
                       const char *peer)
{
    struct provision_event event = {.kind = PROVISION_EVENT_HELLO};

    (void)provision_mac_format(&hello->mac, event.mac);
    (void)snprintf(event.ip, sizeof(event.ip), "%s", peer);
    (void)snprintf(event.detail, sizeof(event.detail), "%s %s image %s fingerprint %s",
                   hello->phase == PROVISION_HELLO_READY ? "ready" : "init", hello->name,
                   hello->image_version, hello->fingerprint);
    provision_emit(service, &event, NULL);
}

void provision_http_hello(struct provision_service *service, struct ray_http_request *request)
{
    const struct provision_time now = provision_time_now();
    struct provision_hello hello;
    struct ray_err err = {0};
    const uint8_t *body;
    size_t size = 0;

    if (!service->config.config->takes_hello) {
        provision_http_refuse(service, request, 403, "hello is switched off here");
        return;
    }
    body = ray_http_request_body(request, &size);
    if (provision_hello_parse(body, size, &hello, &err) != RAY_OK) {
        (void)ray_wrap(&err, err.code, "hello");
        provision_http_refuse(service, request, 400, err.text);
        return;
    }
    (void)provision_table_hello(service->table, &hello, &now); /* a full table counts itself */
    emit_hello(service, &hello, ray_http_request_peer(request));
    ray_http_answer(request, 204, NULL, NULL, 0, NULL);
}

struct health {
    bool is_dnsmasq_serving;
    size_t usable_count;
    size_t counts[PROVISION_STORE_DAMAGED + 1];
};

static char *format_health(const struct provision_service *service, const struct health *health,
                           bool is_ok)
{
    enum provision_mode mode = service->config.config->mode;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;

    yyjson_mut_doc_set_root(doc, root);
    if (root != NULL && yyjson_mut_obj_add_str(doc, root, "status", is_ok ? "ok" : "degraded") &&
        yyjson_mut_obj_add_str(doc, root, "version", RAY_VERSION) &&
        yyjson_mut_obj_add_str(doc, root, "mode", provision_mode_word(mode)) &&
        yyjson_mut_obj_add_str(doc, root, "dnsmasq",
                               !provision_mode_has_dnsmasq(mode) ? "not used"
                               : health->is_dnsmasq_serving      ? "serving"
                                                                 : "not serving") &&
        yyjson_mut_obj_add_uint(doc, root, "images", health->usable_count) &&
        yyjson_mut_obj_add_uint(doc, root, "damaged_images",
                                health->counts[PROVISION_STORE_DAMAGED]) &&
        yyjson_mut_obj_add_uint(doc, root, "lost_events", service->counters.lost_events)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    }
    yyjson_mut_doc_free(doc);
    return text;
}

void provision_http_health(struct provision_service *service, struct ray_http_request *request)
{
    struct health health = {.is_dnsmasq_serving = service->dnsmasq != NULL &&
                                                  provision_dnsmasq_is_serving(service->dnsmasq)};
    bool is_ok;
    char *text;

    health.usable_count = provision_images_count(service, health.counts);
    is_ok = health.usable_count > 0 && (health.is_dnsmasq_serving ||
                                        !provision_mode_has_dnsmasq(service->config.config->mode));
    text = format_health(service, &health, is_ok);
    if (text != NULL) {
        ray_http_answer(request, is_ok ? 200 : 503, "application/json", text, strlen(text), NULL);
    } else {
        provision_http_text(request, 503, "out of memory\n");
    }
    free(text);
}

void provision_http_metrics(struct provision_service *service, struct ray_http_request *request)
{
    struct provision_metrics metrics = {
        .counters = &service->counters,
        .mode = service->config.config->mode,
        .is_dnsmasq_serving =
            service->dnsmasq != NULL && provision_dnsmasq_is_serving(service->dnsmasq),
        .start_us = service->start_us,
    };
    struct ray_http_stats stats6 = {0};
    struct ray_buf text;

    ray_http_server_stats(service->http, &metrics.http);
    if (service->http6 != NULL) {
        ray_http_server_stats(service->http6, &stats6);
        metrics.http.conn_count += stats6.conn_count;
        metrics.http.transfer_count += stats6.transfer_count;
        metrics.http.queued_count += stats6.queued_count;
        metrics.http.refused_count += stats6.refused_count;
    }
    (void)provision_images_count(service, metrics.image_counts);
    provision_table_stats(service->table, &metrics.table);
    ray_buf_init(&text, PROVISION_METRICS_SIZE_MAX);
    if (provision_metrics_format(&text, &metrics) == RAY_OK) {
        ray_http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", text.data,
                        text.size, NULL);
    } else {
        provision_http_text(request, 503, "out of memory\n");
    }
    ray_buf_fini(&text);
}

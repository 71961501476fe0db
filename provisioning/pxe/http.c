/* What machines get by HTTP:
 *   /boot/script?mac=..&uuid=..&arch=..&platform=..   the script of one machine
 *   /image/<sha256>/rayos.efi                         the image, if it is that one
 *   /healthz                                          for monitors
 * Scripts and images wait for a verified image (image.h). Error texts are for the person at
 * the machine's console: iPXE shows the status, the log has the rest. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/fault.h"
#include "provisioning/pxe/script.h"
#include "provisioning/pxe/service_internal.h"

#define SCRIPT_PATH "/boot/script"
#define IMAGE_PREFIX "/image/"
#define IMAGE_SUFFIX "/rayos.efi"
#define TEXT_TYPE "text/plain; charset=utf-8"

enum {
    CONN_COUNT_MAX = 512,
    HEADER_TIMEOUT_MS = 10 * 1000,
    IDLE_TIMEOUT_MS = 30 * 1000,
    TRANSFER_TIMEOUT_MS = 15 * 60 * 1000,
    HEADER_SIZE_MAX = 8192,
};

/* A request that waits for the image. */
struct pending {
    struct provision_image_wait wait;
    struct provision_service *service;
    struct ray_http_request *request;
    bool wants_script;
    struct provision_machine machine; /* when it wants a script */
};

static const char *peer_mac(const struct provision_service *service,
                            const struct ray_http_request *request)
{
    return provision_tracker_mac(&service->tracker, ray_http_request_peer(request));
}

static void answer_text(struct ray_http_request *request, int status, const char *text)
{
    ray_http_answer(request, status, TEXT_TYPE, text, strlen(text),
                    status == 405   ? "Allow: GET, HEAD\r\n"
                    : status == 503 ? "Retry-After: 3\r\n"
                                    : NULL);
}

static void refuse(struct provision_service *service, struct ray_http_request *request, int status,
                   const char *why)
{
    char text[RAY_ERR_TEXT_SIZE + 2];

    provision_emit_text(service, PROVISION_EVENT_REFUSED, ray_http_request_peer(request),
                        "HTTP %d: %s", status, why);
    (void)snprintf(text, sizeof(text), "%s\n", why);
    answer_text(request, status, text);
}

static void send_script(struct pending *pending, const struct provision_image_view *view)
{
    struct provision_service *service = pending->service;
    const struct provision_config *config = service->config.config;
    const struct provision_script_image image = {
        .version = view->manifest->version,
        .sha256 = view->manifest->files[PROVISION_FILE_UKI].sha256,
        .command_line = view->manifest->command_line};
    struct provision_event event = {.kind = PROVISION_EVENT_SCRIPT};
    struct ray_err err = {0};
    struct ray_buf script;

    ray_buf_init(&script, PROVISION_SCRIPT_SIZE_MAX);
    if (provision_script_machine(&script, config->address, config->http_port, &pending->machine,
                                 &image, &err) != RAY_OK) {
        provision_emit_text(service, PROVISION_EVENT_ERROR, ray_http_request_peer(pending->request),
                            "%s", err.text);
        answer_text(pending->request, 503, "the script cannot be made\n");
    } else {
        (void)provision_mac_format(&pending->machine.mac, event.mac);
        (void)snprintf(event.ip, sizeof(event.ip), "%s", ray_http_request_peer(pending->request));
        (void)snprintf(event.detail, sizeof(event.detail), "image %s uuid %s", image.version,
                       pending->machine.uuid[0] != '\0' ? pending->machine.uuid : "none");
        provision_emit(service, &event);
        ray_http_answer(pending->request, 200, TEXT_TYPE, script.data, script.size,
                        "Cache-Control: no-store\r\n");
    }
    ray_buf_fini(&script);
}

/* The request's path is /image/<sha256>/rayos.efi; is it the one that we have? */
static bool is_image_path(const char *path, const char *sha256)
{
    char wanted[sizeof(IMAGE_PREFIX IMAGE_SUFFIX) + PROVISION_SHA256_TEXT_SIZE];

    (void)snprintf(wanted, sizeof(wanted), IMAGE_PREFIX "%s" IMAGE_SUFFIX, sha256); /* fits */
    return strcmp(path, wanted) == 0;
}

static void send_image(struct pending *pending, const struct provision_image_view *view)
{
    struct provision_service *service = pending->service;
    struct ray_http_request *request = pending->request;
    char etag[PROVISION_SHA256_TEXT_SIZE + 2] = "";
    int fd = -1;

    if (!is_image_path(ray_http_request_path(request),
                       view->manifest->files[PROVISION_FILE_UKI].sha256)) {
        refuse(service, request, 404, "no such image; its digest is in the boot script");
        return;
    }
    if (ray_fault(RAY_FAULT_OPEN) == 0) {
        fd = fcntl(view->fd, F_DUPFD_CLOEXEC, 3);
    }
    if (fd < 0) {
        answer_text(request, 503, "too many open files\n");
        return;
    }
    if (ray_http_request_method(request) == RAY_HTTP_GET) {
        provision_emit_text(service, PROVISION_EVENT_HTTP_START, ray_http_request_peer(request),
                            "rayos.efi %s", view->manifest->version);
    }
    (void)snprintf(etag, sizeof(etag), "\"%s\"", view->manifest->files[PROVISION_FILE_UKI].sha256);
    ray_http_answer_file(request, fd, view->manifest->files[PROVISION_FILE_UKI].size_bytes,
                         "application/efi", etag);
}

static void on_image(void *arg, const struct provision_image_view *view, const struct ray_err *err)
{
    struct pending *pending = arg;

    if (view == NULL) {
        char text[RAY_ERR_TEXT_SIZE + 32];

        if (err->code != RAY_ECANCELED) {
            provision_emit_text(pending->service, PROVISION_EVENT_ERROR,
                                ray_http_request_peer(pending->request), "not served: %s",
                                err->text);
        }
        (void)snprintf(text, sizeof(text), "no verified image: %s\n", err->text);
        answer_text(pending->request, 503, text);
    } else if (pending->wants_script) {
        send_script(pending, view);
    } else {
        send_image(pending, view);
    }
    free(pending);
}

static void wait_for_image(struct provision_service *service, struct ray_http_request *request,
                           const struct provision_machine *machine)
{
    struct pending *pending = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*pending));

    if (pending == NULL) {
        answer_text(request, 503, "out of memory\n");
        return;
    }
    pending->wait = (struct provision_image_wait){.cb = on_image, .arg = pending};
    pending->service = service;
    pending->request = request;
    if (machine != NULL) {
        pending->wants_script = true;
        pending->machine = *machine;
    }
    provision_image_use(service->image, &pending->wait);
}

static void answer_script(struct provision_service *service, struct ray_http_request *request)
{
    struct provision_machine machine;
    struct ray_err err = {0};
    struct ray_buf script;

    if (provision_machine_parse(
            ray_http_request_query(request, "mac"), ray_http_request_query(request, "uuid"),
            ray_http_request_query(request, "arch"), ray_http_request_query(request, "platform"),
            &machine, &err) != RAY_OK) {
        refuse(service, request, 400, err.text);
        return;
    }
    if (machine.is_served) {
        wait_for_image(service, request, &machine);
        return;
    }
    provision_emit_text(service, PROVISION_EVENT_REFUSED, ray_http_request_peer(request),
                        "iPXE on %s %s has no image here: only UEFI on x86_64 is served",
                        ray_http_request_query(request, "arch"),
                        ray_http_request_query(request, "platform"));
    ray_buf_init(&script, PROVISION_SCRIPT_SIZE_MAX);
    if (provision_script_refusal(&script, NULL) == RAY_OK) {
        ray_http_answer(request, 200, TEXT_TYPE, script.data, script.size, NULL);
    } else {
        answer_text(request, 503, "out of memory\n");
    }
    ray_buf_fini(&script);
}

static void answer_health(struct provision_service *service, struct ray_http_request *request)
{
    struct ray_err err = {0};
    bool is_serving = provision_dnsmasq_is_serving(service->dnsmasq);
    bool is_ok = provision_image_state(service->image, &err) == RAY_OK && is_serving;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;

    yyjson_mut_doc_set_root(doc, root);
    if (root != NULL && yyjson_mut_obj_add_str(doc, root, "status", is_ok ? "ok" : "degraded") &&
        yyjson_mut_obj_add_str(doc, root, "version", RAY_VERSION) &&
        yyjson_mut_obj_add_str(doc, root, "dnsmasq", is_serving ? "serving" : "not serving") &&
        yyjson_mut_obj_add_str(doc, root, "image", err.code == RAY_OK ? "verified" : err.text) &&
        yyjson_mut_obj_add_uint(doc, root, "lost_events", service->lost_event_count)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    }
    if (text != NULL) {
        ray_http_answer(request, is_ok ? 200 : 503, "application/json", text, strlen(text), NULL);
    } else {
        answer_text(request, 503, "out of memory\n");
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

static void on_request(struct ray_http_request *request, void *arg)
{
    struct provision_service *service = arg;
    const char *path = ray_http_request_path(request);

    if (ray_http_request_method(request) == RAY_HTTP_POST) {
        answer_text(request, 405, "only GET and HEAD are served here\n");
    } else if (strcmp(path, SCRIPT_PATH) == 0) {
        answer_script(service, request);
    } else if (strncmp(path, IMAGE_PREFIX, sizeof(IMAGE_PREFIX) - 1) == 0) {
        wait_for_image(service, request, NULL);
    } else if (strcmp(path, "/healthz") == 0) {
        answer_health(service, request);
    } else {
        refuse(service, request, 404, "nothing is served at this path");
    }
}

static void emit_transfer(struct provision_service *service, const struct ray_http_request *request)
{
    struct provision_event event = {.kind = PROVISION_EVENT_HTTP_DONE,
                                    .has_size = true,
                                    .size_bytes = ray_http_request_sent_size(request)};
    uint64_t ms =
        (ray_http_request_end_ns(request) - ray_http_request_start_ns(request)) / RAY_NS_PER_MS;

    if (!ray_http_request_is_complete(request)) {
        event.kind = PROVISION_EVENT_ERROR;
    }
    (void)snprintf(event.mac, sizeof(event.mac), "%s", peer_mac(service, request));
    (void)snprintf(event.ip, sizeof(event.ip), "%s", ray_http_request_peer(request));
    (void)snprintf(event.detail, sizeof(event.detail), "%s%s after %" PRIu64 " ms", "rayos.efi",
                   ray_http_request_is_complete(request) ? "" : " broken off", ms);
    provision_emit(service, &event);
}

static void on_done(const struct ray_http_request *request, void *arg)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    struct provision_service *service = arg;
    enum ray_http_method method = ray_http_request_method(request);
    const char *path = ray_http_request_path(request);
    int status = ray_http_request_status(request);

    ray_log(service->config.logger, RAY_LOG_INFO, "http",
            "peer=%s method=%s path=%s status=%d bytes=%" PRIu64 " complete=%d ms=%" PRIu64 "%s%s",
            ray_http_request_peer(request), methods[method], path[0] != '\0' ? path : "-", status,
            ray_http_request_sent_size(request), ray_http_request_is_complete(request),
            (ray_http_request_end_ns(request) - ray_http_request_start_ns(request)) / RAY_NS_PER_MS,
            ray_http_request_reason(request)[0] != '\0' ? " why=" : "",
            ray_http_request_reason(request));
    if (method == RAY_HTTP_GET && (status == 200 || status == 206) &&
        strncmp(path, IMAGE_PREFIX, sizeof(IMAGE_PREFIX) - 1) == 0) {
        emit_transfer(service, request);
    }
}

int provision_http_start(struct provision_service *service, struct ray_err *err)
{
    const struct provision_config *config = service->config.config;
    char address[PROVISION_IP_TEXT_SIZE];
    const struct ray_http_config http = {
        .address = provision_ip_format(config->address, address),
        .port = config->http_port,
        .conn_count_max = CONN_COUNT_MAX,
        .transfer_count_max = config->transfer_count_max,
        .header_timeout_ms = HEADER_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .transfer_timeout_ms = TRANSFER_TIMEOUT_MS,
        .header_size_max = HEADER_SIZE_MAX,
        .body_size_max = 0,
        .on_request = on_request,
        .on_done = on_done,
        .arg = service,
    };

    return ray_http_server_create(&service->http, service->loop, &http, err);
}

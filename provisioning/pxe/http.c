/* What is served by HTTP, and the access log:
 *   /boot/script?mac=..&uuid=..&arch=..&platform=..   the script of one machine
 *   /boot/autoexec.ipxe                               the script that asks for it (mode http)
 *   /boot/rayos.efi                                   the UKI for who asks (UEFI HTTP boot)
 *   /image/<id>/<file>                                rayos.efi, vmlinuz, initrd of one release
 *   POST /hello                                       what a node says of itself
 *   /healthz, /metrics                                for monitors */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "provisioning/pxe/service_internal.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

enum {
    CONN_COUNT_MAX = 512,
    PEER_CONN_COUNT_MAX = 64,
    PEER_TRANSFER_COUNT_MAX = 4,
    HEADER_TIMEOUT_MS = 10 * 1000,
    IDLE_TIMEOUT_MS = 30 * 1000,
    TRANSFER_TIMEOUT_MS = 15 * 60 * 1000,
    HEADER_SIZE_MAX = 8192,
    REFUSED_LOG_MS = 60 * 1000,
};

static const struct {
    const char *path;
    bool is_folder;
    bool is_post;
    void (*answer)(struct provision_service *service, struct ray_http_request *request);
} routes[] = {
    {"/boot/script", false, false, provision_http_script},
    {"/boot/autoexec.ipxe", false, false, provision_http_autoexec},
    {"/boot/rayos.efi", false, false, provision_http_uki},
    {"/image/", true, false, provision_http_image},
    {"/hello", false, true, provision_http_hello},
    {"/healthz", false, false, provision_http_health},
    {"/metrics", false, false, provision_http_metrics},
};

void provision_http_text(struct ray_http_request *request, int status, const char *text)
{
    ray_http_answer(request, status, TEXT_TYPE, text, strlen(text),
                    status == 503 ? "Retry-After: 3\r\n" : NULL);
}

void provision_http_refuse(struct provision_service *service, struct ray_http_request *request,
                           int status, const char *why)
{
    char text[RAY_ERR_TEXT_SIZE + 2];

    provision_emit_text(service, PROVISION_EVENT_REFUSED, ray_http_request_peer(request),
                        "HTTP %d: %s", status, why);
    (void)snprintf(text, sizeof(text), "%s\n", why);
    provision_http_text(request, status, text);
}

static bool is_route(size_t index, const char *path)
{
    return routes[index].is_folder
               ? strncmp(path, routes[index].path, strlen(routes[index].path)) == 0
               : strcmp(path, routes[index].path) == 0;
}

static void on_request(struct ray_http_request *request, void *arg)
{
    struct provision_service *service = arg;
    const char *path = ray_http_request_path(request);
    bool is_post = ray_http_request_method(request) == RAY_HTTP_POST;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(routes); i++) {
        if (!is_route(i, path)) {
            continue;
        }
        if (routes[i].is_post == is_post) {
            routes[i].answer(service, request);
        } else {
            const char *text =
                is_post ? "only GET and HEAD are served here\n" : "only POST is served here\n";

            ray_http_answer(request, 405, TEXT_TYPE, text, strlen(text),
                            is_post ? "Allow: GET, HEAD\r\n" : "Allow: POST\r\n");
        }
        return;
    }
    provision_http_refuse(service, request, 404, "nothing is served at this path");
}

/* The access log. The path is free of control bytes; what a client calls itself is not. */
static void log_access(struct provision_service *service, const struct ray_http_request *request)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    const char *path = ray_http_request_path(request);
    const char *agent = ray_http_request_header(request, "user-agent");
    const char *reason = ray_http_request_reason(request);
    char agent_text[64] = "-";

    if (agent != NULL) {
        (void)ray_escape(agent_text, sizeof(agent_text), agent, strlen(agent));
    }
    ray_log(service->config.logger, RAY_LOG_INFO, "http",
            "peer=%s method=%s path=%s status=%d bytes=%" PRIu64 " complete=%d ms=%" PRIu64
            " agent=\"%s\"%s%s",
            ray_http_request_peer(request), methods[ray_http_request_method(request)],
            path[0] != '\0' ? path : "-", ray_http_request_status(request),
            ray_http_request_sent_size(request), ray_http_request_is_complete(request),
            (ray_http_request_end_ns(request) - ray_http_request_start_ns(request)) / RAY_NS_PER_MS,
            agent_text, reason[0] != '\0' ? " why=" : "", reason);
}

static void on_done(const struct ray_http_request *request, void *arg)
{
    struct provision_service *service = arg;

    log_access(service, request);
    provision_counters_request(
        &service->counters, provision_route_of(ray_http_request_path(request)),
        ray_http_request_status(request), ray_http_request_sent_size(request));
    provision_http_boot_done(service, request);
}

/* One line a minute at most: a client that tries may try often. */
static void on_refused(const char *peer, void *arg)
{
    struct provision_service *service = arg;
    uint64_t now_ns = ray_clock_monotonic_ns();

    if (now_ns >= service->refused_log_ns) {
        service->refused_log_ns = now_ns + REFUSED_LOG_MS * RAY_NS_PER_MS;
        ray_log(service->config.logger, RAY_LOG_WARN, "http",
                "peer=%s has %d connections, the most of one client; more are refused", peer,
                PEER_CONN_COUNT_MAX);
    }
}

int provision_http_start(struct provision_service *service, struct ray_err *err)
{
    const struct provision_config *config = service->config.config;
    char address[PROVISION_PEER_TEXT_SIZE];
    struct ray_http_config http = {
        .address = provision_ip_format(config->address, address),
        .port = config->http_port,
        .conn_count_max = CONN_COUNT_MAX,
        .peer_conn_count_max = PEER_CONN_COUNT_MAX,
        .transfer_count_max = config->transfer_count_max,
        .peer_transfer_count_max = PEER_TRANSFER_COUNT_MAX,
        .header_timeout_ms = HEADER_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .transfer_timeout_ms = TRANSFER_TIMEOUT_MS,
        .header_size_max = HEADER_SIZE_MAX,
        .body_size_max = PROVISION_HELLO_SIZE_MAX,
        .on_request = on_request,
        .on_done = on_done,
        .on_refused = on_refused,
        .arg = service,
    };
    int rc = ray_http_server_create(&service->http, service->loop, &http, err);

    if (rc == RAY_OK && config->prefix6_size != 0) {
        http.address = provision_ip6_format(&config->address6, address);
        rc = ray_http_server_create(&service->http6, service->loop, &http, err);
    }
    return rc;
}

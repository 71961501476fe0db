#include "node/rayosd_metrics.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http/origin.h"
#include "net/http/server.h"
#include "node/facts/read.h"
#include "node/metrics/metrics.h"
#include "node/metrics/text.h"
#include "node/rayosd_init.h"

enum {
    CONNS_MAX = 16,
    PEER_CONNS_MAX = 4,
    HEADER_TIMEOUT_MS = 5000,
    IDLE_TIMEOUT_MS = 120000, /* a scraper comes back every 15 to 60 s */
    TRANSFER_TIMEOUT_MS = 10000,
    HEADER_SIZE_MAX = 8192,
    ORIGIN_SIZE = 96,
};

/* However many ask, PID 1 is asked and the node judged at most so often. */
#define KEEP_NS RAY_NS_PER_S

/* ---- the text ---- */

static uint64_t cpu_ns(void)
{
    struct timespec used = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used); /* cannot fail for the own process */
    return (uint64_t)used.tv_sec * RAY_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* The second number of statm, in pages; 0: not known. */
static uint64_t resident_bytes(int root_fd, struct ray_arena *arena)
{
    const struct facts_source source = {.root_fd = root_fd, .arena = arena};
    unsigned long long pages = 0;
    char text[128];

    return facts_head(&source, "proc/self/statm", text, sizeof text) > 0 &&
                   sscanf(text, "%*u %10llu", &pages) == 1
               ? pages * (uint64_t)sysconf(_SC_PAGESIZE)
               : 0;
}

int rayosd_metrics_text(struct rayosd_context *context, const Rayos__Init__Status *status,
                        const char *why, struct ray_buf *out, struct ray_err *err)
{
    struct coord_member_metrics member;
    Rayos__Node__Health *health = NULL;
    struct health_input facts;
    struct metrics_input input = {.version = RAY_VERSION,
                                  .node = status != NULL ? status->node_name : "",
                                  .uptime_ns = ray_clock_boottime_ns(),
                                  .cpu_ns = cpu_ns(),
                                  .init = status};
    int rc = rayosd_judge(context, status, why, &facts, &health, err);

    if (rc != RAY_OK) {
        return rc;
    }
    input.facts = &facts;
    input.health = health;
    input.resident_bytes = resident_bytes(context->root_fd, &context->arena);
    if (context->member != NULL) {
        coord_member_metrics(context->member, &member);
        input.member = &member;
        input.node = coord_member_name(context->member);
    }
    rc = metrics_write(&input, out);
    return rc == RAY_OK ? rc : ray_fail(err, rc, "the metrics");
}

/* ---- served ---- */

struct scrape {
    LIST_ENTRY(scrape) entry;
    struct ray_http_request *request;
};

struct rayosd_metrics {
    struct rayosd_context *context;
    struct ray_logger *logger;
    struct ray_http_origin origin;
    struct ray_http_server *server; /* NULL: it cannot listen there yet */
    struct ray_timer retry;
    bool is_told;
    LIST_HEAD(, scrape) scrapes; /* that wait for PID 1 */
    struct rayosd_init_ask *ask; /* NULL: nobody waits */
    struct ray_buf text;         /* empty: there is none yet, or it could not be made */
    uint64_t text_ns;            /* when it was made */
};

static void answer_text(struct ray_http_request *request, int status, const char *text)
{
    ray_http_answer(request, status, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

static void answer(const struct rayosd_metrics *metrics, struct ray_http_request *request)
{
    if (metrics->text.size > 0) {
        ray_http_answer(request, 200, METRICS_CONTENT_TYPE, metrics->text.data, metrics->text.size,
                        NULL);
    } else {
        answer_text(request, 500, "no metrics now\n");
    }
}

static void on_status(void *arg, const Rayos__Init__Status *status, const char *why)
{
    struct rayosd_metrics *metrics = arg;
    struct scrape *scrape;

    ray_buf_clear(&metrics->text);
    if (rayosd_metrics_text(metrics->context, status, why, &metrics->text, NULL) != RAY_OK) {
        ray_buf_clear(&metrics->text);
    }
    metrics->text_ns = ray_clock_boottime_ns();
    rayosd_init_ask_destroy(metrics->ask);
    metrics->ask = NULL;
    while ((scrape = LIST_FIRST(&metrics->scrapes)) != NULL) {
        LIST_REMOVE(scrape, entry);
        answer(metrics, scrape->request);
        free(scrape);
    }
}

static void begin(struct rayosd_metrics *metrics, struct ray_http_request *request)
{
    struct scrape *scrape;
    struct ray_err err = {0};

    if (metrics->ask == NULL && metrics->text.size > 0 &&
        ray_clock_boottime_ns() - metrics->text_ns < KEEP_NS) {
        answer(metrics, request);
        return;
    }
    scrape = calloc(1, sizeof *scrape);
    if (scrape == NULL) {
        answer_text(request, 500, "no memory\n");
        return;
    }
    scrape->request = request;
    LIST_INSERT_HEAD(&metrics->scrapes, scrape, entry);
    if (metrics->ask == NULL &&
        rayosd_init_ask(&metrics->ask, metrics->context->loop, metrics->context->init_path, 0,
                        on_status, metrics, &err) != RAY_OK) {
        metrics->ask = NULL;
        on_status(metrics, NULL, err.text);
    }
}

static void on_request(struct ray_http_request *request, void *arg)
{
    if (strcmp(ray_http_request_path(request), "/metrics") != 0) {
        answer_text(request, 404, "there is only /metrics\n");
    } else if (ray_http_request_method(request) == RAY_HTTP_POST) {
        ray_http_answer(request, 405, "text/plain; charset=utf-8", "only read\n", 10,
                        "Allow: GET, HEAD\r\n");
    } else {
        begin(arg, request);
    }
}

/* The form of an origin without its scheme; the same strictness. */
static int parse(const char *address, struct ray_http_origin *out, struct ray_err *err)
{
    char text[ORIGIN_SIZE];
    int size = snprintf(text, sizeof text, "http://%s", address);

    if (size > 0 && size < (int)sizeof text &&
        ray_http_origin_parse(text, (size_t)size, out, NULL) == RAY_OK) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUSAGE, "--metrics %.64s: ADDRESS:PORT is wanted", address);
    (void)ray_next(err, "as 0.0.0.0:7298 or [::]:7298");
    return RAY_EUSAGE;
}

static int serve(struct rayosd_metrics *metrics, struct ray_err *err)
{
    char host[INET6_ADDRSTRLEN];
    const struct ray_http_config config = {
        .address = inet_ntop(metrics->origin.is_v6 ? AF_INET6 : AF_INET, metrics->origin.address,
                             host, sizeof host), /* the longest fits */
        .port = metrics->origin.port,
        .conn_count_max = CONNS_MAX,
        .peer_conn_count_max = PEER_CONNS_MAX,
        .transfer_count_max = 1, /* no files */
        .header_timeout_ms = HEADER_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .transfer_timeout_ms = TRANSFER_TIMEOUT_MS,
        .header_size_max = HEADER_SIZE_MAX,
        .on_request = on_request,
        .arg = metrics,
    };

    return ray_http_server_create(&metrics->server, metrics->context->loop, &config, err);
}

static void try_to_serve(void *arg)
{
    struct rayosd_metrics *metrics = arg;
    char origin[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct ray_err err = {0};
    bool has_failed = serve(metrics, &err) != RAY_OK;

    (void)ray_http_origin_format(&metrics->origin, origin);
    if (!has_failed) {
        ray_log(metrics->logger, RAY_LOG_NOTICE, "metrics", "shown at %s/metrics", origin);
        return;
    }
    if (!metrics->is_told) {
        ray_log(metrics->logger, RAY_LOG_WARN, "metrics", "not shown at %s yet: %s", origin,
                err.text);
    }
    metrics->is_told = true;
    ray_timer_start(&metrics->retry, RAYOSD_METRICS_RETRY_MS, 0);
}

int rayosd_metrics_create(struct rayosd_metrics **out_metrics, struct rayosd_context *context,
                          struct ray_logger *logger, const char *address, struct ray_err *err)
{
    struct rayosd_metrics *metrics = calloc(1, sizeof *metrics);
    int rc = metrics == NULL ? ray_fail(err, RAY_ENOMEM, "metrics")
                             : parse(address, &metrics->origin, err);

    if (rc == RAY_OK) {
        rc = ray_timer_init(&metrics->retry, context->loop, try_to_serve, metrics, err);
    }
    if (rc != RAY_OK) {
        free(metrics);
        return rc;
    }
    LIST_INIT(&metrics->scrapes);
    ray_buf_init(&metrics->text, METRICS_SIZE_MAX);
    metrics->context = context;
    metrics->logger = logger;
    try_to_serve(metrics);
    *out_metrics = metrics;
    return RAY_OK;
}

bool rayosd_metrics_is_served(const struct rayosd_metrics *metrics)
{
    return metrics->server != NULL;
}

void rayosd_metrics_destroy(struct rayosd_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (struct scrape *scrape = LIST_FIRST(&metrics->scrapes); scrape != NULL;) {
        struct scrape *next = LIST_NEXT(scrape, entry);

        free(scrape); /* the server ends its request */
        scrape = next;
    }
    rayosd_init_ask_destroy(metrics->ask);
    ray_http_server_destroy(metrics->server);
    ray_buf_fini(&metrics->text);
    ray_timer_fini(&metrics->retry);
    free(metrics);
}

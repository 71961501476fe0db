/* Every order ends in exactly one event, and every event in exactly one order. An act that
 * cannot even be begun is told by the timer, so that no event comes from within another. */
#include "node/hello/session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/notify.h"
#include "net/proto/init.pb-c.h"

static void feed(struct hello_session *session, const struct hello_event *event);

static uint32_t random_u32(void)
{
    uint32_t value;

    /* Jitter only: any number will do. */
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value) {
        value = (uint32_t)ray_clock_monotonic_ns();
    }
    return value;
}

/* ---- saying hello ---- */

/* For the log, and for `clusterctl node services`. */
static void tell(const struct hello_session *session, enum ray_log_level level, const char *what)
{
    char server[RAY_HTTP_ORIGIN_SIZE_MAX];
    char status[256];

    (void)ray_http_origin_format(&session->config.origin, server);
    ray_log(session->config.logger, level, "hello", "phase=%s server=%s %s",
            hello_phase_word(session->plan.phase), server, what);
    (void)snprintf(status, sizeof status, "STATUS=%s to %s: %.128s",
                   hello_phase_word(session->plan.phase), server, what);
    (void)ray_notify(status, NULL); /* only a courtesy */
}

static void on_posted(void *arg, const struct ray_http_client_result *result)
{
    struct hello_session *session = arg;
    struct hello_event event = {
        .kind = HELLO_EVENT_ANSWERED, .status = result->status, .random = random_u32()};
    char text[32];

    if (result->code != RAY_OK) {
        event.kind = HELLO_EVENT_FAILED;
        tell(session, RAY_LOG_WARN, result->text);
    } else {
        bool is_taken = result->status >= 200 && result->status < 300;
        (void)snprintf(text, sizeof text, "status %d", result->status);
        tell(session, is_taken ? RAY_LOG_INFO : RAY_LOG_WARN, text);
    }
    ray_http_client_destroy(session->http);
    session->http = NULL;
    feed(session, &event);
}

static int begin_post(struct hello_session *session, enum hello_phase phase, struct ray_err *err)
{
    struct ray_http_client_request request = {
        .origin = session->config.origin,
        .method = RAY_HTTP_CLIENT_POST,
        .target = "/hello",
        .content_type = "application/json",
        .timeout_ms = HELLO_POST_TIMEOUT_MS,
        .on_done = on_posted,
        .arg = session,
    };
    int rc = hello_body_write(session->config.facts, phase, &session->body, err);

    if (rc != RAY_OK) {
        return rc;
    }
    request.body = session->body.data;
    request.body_size = session->body.size;
    return ray_http_client_start(&session->http, session->config.loop, &request, err);
}

/* ---- asking PID 1 ---- */

static void on_status(void *arg, const struct ray_rpc_result *result)
{
    struct hello_session *session = arg;
    const Rayos__Init__Status *status = (const Rayos__Init__Status *)result->body;
    struct hello_event event = {.kind = HELLO_EVENT_NODE};

    if (result->code == RAY_ECANCELED) {
        return; /* by fini */
    }
    event.is_ready = status != NULL && strcmp(status->state, "ready") == 0;
    feed(session, &event);
}

static int begin_ask(struct hello_session *session, struct ray_err *err)
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;
    int rc;

    ray_rpc_client_destroy(session->init); /* of the time before */
    session->init = NULL;
    rc = ray_rpc_client_create_unix(&session->init, session->config.loop, session->config.init_path,
                                    err);
    if (rc != RAY_OK) {
        return rc;
    }
    return ray_rpc_call_start(session->init, "init.status", &request.base, NULL, 0,
                              &rayos__init__status__descriptor, HELLO_ASK_TIMEOUT_MS, NULL,
                              on_status, session, NULL, err);
}

/* ---- orders and events ---- */

/* A wait is over, or the act that was ordered could not be begun. */
static void on_timer(void *arg)
{
    struct hello_session *session = arg;
    struct hello_event event = {.random = random_u32()};

    switch (session->plan.last) {
    case HELLO_ORDER_POST:
        event.kind = HELLO_EVENT_FAILED;
        break;
    case HELLO_ORDER_ASK:
        event.kind = HELLO_EVENT_NODE;
        break;
    case HELLO_ORDER_WAIT:
        event.kind = HELLO_EVENT_WAITED;
        break;
    case HELLO_ORDER_END:
        assert(false); /* nothing arms the timer then */
        break;
    }
    feed(session, &event);
}

static void feed(struct hello_session *session, const struct hello_event *event)
{
    struct hello_order order =
        hello_plan_step(&session->plan, event, ray_clock_boottime_ns() / RAY_NS_PER_MS);
    struct ray_err err = {0};
    int rc = RAY_OK;

    switch (order.kind) {
    case HELLO_ORDER_POST:
        rc = begin_post(session, order.phase, &err);
        break;
    case HELLO_ORDER_ASK:
        rc = begin_ask(session, &err);
        break;
    case HELLO_ORDER_WAIT:
        ray_timer_start(&session->timer, order.wait_ms, 0);
        break;
    case HELLO_ORDER_END:
        session->config.on_end(session->config.arg, order.end);
        return;
    }
    if (rc != RAY_OK) {
        tell(session, RAY_LOG_WARN, err.text);
        ray_timer_start(&session->timer, 0, 0);
    }
}

int hello_session_init(struct hello_session *session, const struct hello_session_config *config,
                       struct ray_err *err)
{
    int rc;

    assert(config->on_end != NULL && config->facts != NULL);
    *session = (struct hello_session){.config = *config};
    ray_buf_init(&session->body, HELLO_BODY_SIZE_MAX);
    rc = ray_timer_init(&session->timer, config->loop, on_timer, session, err);
    if (rc == RAY_OK) {
        feed(session, &(struct hello_event){.kind = HELLO_EVENT_START});
    }
    return rc;
}

void hello_session_fini(struct hello_session *session)
{
    ray_timer_fini(&session->timer);
    ray_http_client_destroy(session->http);
    session->http = NULL;
    ray_rpc_client_destroy(session->init);
    session->init = NULL;
    ray_buf_fini(&session->body);
}

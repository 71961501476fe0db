#include "net/http/test_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/size.h"
#include "net/http/internal.h"

uint8_t test_file_byte(size_t index)
{
    return (uint8_t)(index * 31 + index / 251);
}

static void answer_file(const struct test_server *ts, struct ray_http_request *request)
{
    int fd = open(ts->file_name, O_RDONLY | O_CLOEXEC);

    assert(fd >= 0);
    ray_http_answer_file(request, fd, ts->promised_size, "application/octet-stream", "\"tag\"");
}

static void answer_later(void *arg)
{
    struct test_server *ts = arg;
    struct ray_http_request *request = ts->later;

    ts->later = NULL;
    if (strcmp(ray_http_request_path(request), "/later-file") == 0) {
        answer_file(ts, request);
    } else {
        ray_http_answer(request, 200, "text/plain", "later\n", 6, NULL);
    }
}

static void on_request(struct ray_http_request *request, void *arg)
{
    struct test_server *ts = arg;
    const char *path = ray_http_request_path(request);

    if (strcmp(path, "/hello") == 0) {
        ray_http_answer(request, 200, "text/plain", "hello\n", 6, "X-Test: yes\r\n");
    } else if (strcmp(path, "/echo") == 0) {
        size_t size;
        const uint8_t *body = ray_http_request_body(request, &size);
        ray_http_answer(request, 200, "application/octet-stream", body, size, NULL);
    } else if (strcmp(path, "/query") == 0) {
        const char *value = ray_http_request_query(request, "a");
        ray_http_answer(request, 200, "text/plain", value, value != NULL ? strlen(value) : 0, NULL);
    } else if (strcmp(path, "/file") == 0) {
        answer_file(ts, request);
    } else if (strncmp(path, "/later", 6) == 0) {
        assert(ts->later == NULL);
        ts->later = request;
        ray_timer_start(&ts->later_timer, 20, 0);
    } else if (strcmp(path, "/never") == 0) {
        ts->later = request;
    } else if (strcmp(path, "/inject") == 0) {
        ray_http_answer(request, 200, "text/plain", "x", 1, "X: a\r\n\r\nHTTP/1.1 200 OK\r\n");
    } else if (strcmp(path, "/large") == 0) {
        ray_http_answer(request, 200, "text/plain", ts, RAY_HTTP_ANSWER_SIZE_MAX + 1, NULL);
    } else {
        ray_http_answer(request, 404, "text/plain", "no\n", 3, NULL);
    }
}

static void on_done(const struct ray_http_request *request, void *arg)
{
    struct test_server *ts = arg;

    if (ts->later == request) { /* the server goes away with it */
        ts->later = NULL;
        ray_timer_stop(&ts->later_timer);
    }
    assert(ray_http_request_end_ns(request) >= ray_http_request_start_ns(request));
    pthread_mutex_lock(&ts->lock);
    ts->counts.done_count++;
    ts->counts.complete_count += ray_http_request_is_complete(request);
    ts->counts.sent_size = ray_http_request_sent_size(request);
    ts->counts.status = ray_http_request_status(request);
    (void)snprintf(ts->counts.reason, sizeof(ts->counts.reason), "%s",
                   ray_http_request_reason(request));
    (void)snprintf(ts->counts.path, sizeof(ts->counts.path), "%s", ray_http_request_path(request));
    pthread_mutex_unlock(&ts->lock);
}

static void on_refused(const char *peer, void *arg)
{
    struct test_server *ts = arg;

    pthread_mutex_lock(&ts->lock);
    ts->counts.refused_count++;
    (void)snprintf(ts->counts.refused, sizeof(ts->counts.refused), "%s", peer);
    pthread_mutex_unlock(&ts->lock);
}

static void on_turn(uv_check_t *check)
{
    struct test_server *ts = check->data;

    pthread_mutex_lock(&ts->lock);
    if (ts->server->transfer_count > ts->counts.transfer_max) {
        ts->counts.transfer_max = ts->server->transfer_count;
    }
    ts->counts.conn_count = ts->server->conn_count;
    if (ts->server->conn_count > ts->counts.conn_max) {
        ts->counts.conn_max = ts->server->conn_count;
    }
    pthread_mutex_unlock(&ts->lock);
}

static void on_wake(void *arg, int status, int events)
{
    struct test_server *ts = arg;

    (void)status;
    (void)events;
    ray_http_server_destroy(ts->server);
    ts->server = NULL;
    ray_timer_fini(&ts->later_timer);
    ray_poll_fini(&ts->wake_poll);
    uv_close((uv_handle_t *)&ts->check, NULL);
}

static void *run(void *arg)
{
    struct test_server *ts = arg;

    ray_loop_run(&ts->loop);
    return NULL;
}

void test_server_init(struct test_server *ts, size_t file_size)
{
    int fd;

    *ts = (struct test_server){.file_size = file_size, .promised_size = file_size};
    ts->config = (struct ray_http_config){
        .address = "127.0.0.1",
        .conn_count_max = 256,
        .transfer_count_max = 8,
        .header_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .transfer_timeout_ms = 60000,
        .header_size_max = 8192,
        .body_size_max = 1024,
        .on_request = on_request,
        .on_done = on_done,
        .on_refused = on_refused,
        .arg = ts,
    };
    (void)pthread_mutex_init(&ts->lock, NULL);
    (void)strcpy(ts->file_name, "/tmp/http-test-XXXXXX");
    fd = mkstemp(ts->file_name);
    assert(fd >= 0);
    for (size_t i = 0; i < file_size;) {
        uint8_t block[4096];
        size_t size = file_size - i < sizeof(block) ? file_size - i : sizeof(block);
        for (size_t k = 0; k < size; k++) {
            block[k] = test_file_byte(i + k);
        }
        assert(write(fd, block, size) == (ssize_t)size);
        i += size;
    }
    (void)close(fd);
}

void test_server_start(struct test_server *ts)
{
    int rc = ray_loop_init(&ts->loop, NULL);

    assert(rc == RAY_OK);
    rc = ray_http_server_create(&ts->server, &ts->loop, &ts->config, NULL);
    assert(rc == RAY_OK);
    ts->port = ray_http_server_port(ts->server);
    rc = pipe2(ts->wake_fds, O_CLOEXEC);
    assert(rc == 0);
    rc = ray_poll_init(&ts->wake_poll, &ts->loop, ts->wake_fds[0], on_wake, ts, NULL);
    assert(rc == RAY_OK);
    rc = ray_poll_set(&ts->wake_poll, UV_READABLE | UV_DISCONNECT);
    assert(rc == RAY_OK);
    rc = ray_timer_init(&ts->later_timer, &ts->loop, answer_later, ts, NULL);
    assert(rc == RAY_OK);
    (void)uv_check_init(&ts->loop.uv, &ts->check);
    ts->check.data = ts;
    (void)uv_check_start(&ts->check, on_turn);
    rc = pthread_create(&ts->thread, NULL, run, ts);
    assert(rc == 0);
}

void test_server_stop(struct test_server *ts)
{
    (void)close(ts->wake_fds[1]);
    (void)pthread_join(ts->thread, NULL);
    (void)close(ts->wake_fds[0]);
    ray_loop_fini(&ts->loop);
}

void test_server_fini(struct test_server *ts)
{
    (void)unlink(ts->file_name);
    (void)pthread_mutex_destroy(&ts->lock);
}

struct test_counts test_server_counts(struct test_server *ts)
{
    struct test_counts counts;

    pthread_mutex_lock(&ts->lock);
    counts = ts->counts;
    pthread_mutex_unlock(&ts->lock);
    return counts;
}

void test_server_wait_done(struct test_server *ts, size_t count)
{
    for (int i = 0; i < 20000 && test_server_counts(ts).done_count < count; i++) {
        (void)usleep(1000); /* polls a state of another thread */
    }
    assert(test_server_counts(ts).done_count >= count);
}

int test_connect(const struct test_server *ts)
{
    const struct timeval limit = {.tv_sec = 20};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(ts->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void test_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return; /* the server has had enough; what it said is read next */
        }
        bytes += count;
        size -= (size_t)count;
    }
}

char *test_receive(int fd, size_t *out_size, bool *out_reset)
{
    size_t size = 0;
    size_t capacity = 65536;
    char *text = malloc(capacity);

    for (;;) {
        ssize_t count;
        assert(text != NULL);
        count = recv(fd, text + size, capacity - size - 1, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            assert(count == 0 || errno == ECONNRESET); /* not the limit of 20 s */
            if (out_reset != NULL) {
                *out_reset = count < 0;
            }
            break;
        }
        size += (size_t)count;
        if (capacity - size < 4096) {
            char *larger = realloc(text, capacity * 2);
            assert(larger != NULL);
            text = larger;
            capacity *= 2;
        }
    }
    text[size] = '\0';
    if (out_size != NULL) {
        *out_size = size;
    }
    return text;
}

char *test_exchange(const struct test_server *ts, const char *request)
{
    int fd = test_connect(ts);
    char *text;

    assert(fd >= 0);
    test_send(fd, request, strlen(request));
    text = test_receive(fd, NULL, NULL);
    (void)close(fd);
    return text;
}

int test_status(const char *response)
{
    int status = 0;

    return sscanf(response, "HTTP/1.1 %3d ", &status) == 1 ? status : 0;
}

size_t test_occurrences(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

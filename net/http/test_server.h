/* net/http/test_server.h - for the tests: a server in a thread of its own, and blocking clients.
 *
 * Memory: start/stop; texts that are returned are the caller's (free).
 * Threads: the server's loop runs in its own; counters are read after stop or under the lock
 * by test_server_counts.  Blocks: clients, 20 s at most.  Trust: tests. */
#ifndef RAY_NET_HTTP_TEST_SERVER_H
#define RAY_NET_HTTP_TEST_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http/server.h"

struct test_counts {
    size_t done_count;     /* calls of on_done */
    size_t complete_count; /* of them complete */
    size_t transfer_max;   /* most transfers seen at once */
    size_t conn_max;       /* most connections seen at once */
    size_t conn_count;     /* now */
    size_t refused_count;  /* calls of on_refused */
    char refused[48];      /* the peer of the last one */
    uint64_t sent_size;    /* of the last request done */
    int status;            /* same */
    char reason[64];       /* same */
    char path[64];         /* same */
};

struct test_server {
    pthread_t thread;
    struct ray_loop loop;
    struct ray_http_server *server;
    struct ray_http_config config;
    uint16_t port;   /* after start */
    int wake_fds[2]; /* closing [1] stops the server */
    struct ray_poll wake_poll;
    struct ray_timer later_timer;
    struct ray_http_request *later;
    uv_check_t check;
    char file_name[32];
    size_t file_size;
    uint64_t promised_size; /* what answer_file is told */
    pthread_mutex_t lock;
    struct test_counts counts;
};

/* Generous deadlines and limits, to be changed before start. */
void test_server_init(struct test_server *ts, size_t file_size);
void test_server_start(struct test_server *ts);
void test_server_stop(struct test_server *ts);
void test_server_fini(struct test_server *ts);
struct test_counts test_server_counts(struct test_server *ts);
/* Waits until on_done was called `count` times. */
void test_server_wait_done(struct test_server *ts, size_t count);
uint8_t test_file_byte(size_t index); /* the content of the file */

int test_connect(const struct test_server *ts);
void test_send(int fd, const char *bytes, size_t size);
/* Everything until the end of the stream, NUL-terminated; *out_reset may be NULL. */
char *test_receive(int fd, size_t *out_size, bool *out_reset);
/* Connects, sends, receives all, closes. */
char *test_exchange(const struct test_server *ts, const char *request);
/* The status of the first response in a text; 0: none. */
int test_status(const char *response);
size_t test_occurrences(const char *text, const char *part);

#endif

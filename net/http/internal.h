/* net/http/internal.h - what conn.c and server.c know of each other; nobody else includes it.
 *
 * A server owns its connections; a connection has one request at a time.
 * Memory: a connection frees itself at the end of ray_http_conn_run, or is destroyed by the
 * server.  Threads: the loop's.  Blocks: never.  Trust: see server.h. */
#ifndef RAY_NET_HTTP_INTERNAL_H
#define RAY_NET_HTTP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "net/http/parser.h"
#include "net/http/peer.h"
#include "net/http/request.h"
#include "net/http/send.h"
#include "net/http/server.h"

enum {
    RAY_HTTP_INPUT_SIZE = 8192,       /* read ahead, per connection */
    RAY_HTTP_LINGER_MS = 1000,        /* how long a refused client may go on talking */
    RAY_HTTP_LINGER_SIZE_MAX = 65536, /* and how much */
};

/*            +------------------------ keep-alive -----------------------+
 *            v                                                          |
 * READING -> HANDLING -> QUEUED -> SENDING -> FILE_BUSY <-> FILE_FULL -> done -> LINGERING
 *     \          \___________________^ \_______________________________^           |
 *      \_ refused ___________________^        any failure -> CLOSED <--------------+
 * HANDLING -> ORPHANED: the client left, the handler has not answered yet. */
enum ray_http_conn_state {
    RAY_HTTP_READING,
    RAY_HTTP_HANDLING,
    RAY_HTTP_ORPHANED,
    RAY_HTTP_QUEUED,    /* for a transfer slot */
    RAY_HTTP_SENDING,   /* head and body from memory */
    RAY_HTTP_FILE_BUSY, /* a step is in the pool */
    RAY_HTTP_FILE_FULL, /* the socket is full */
    RAY_HTTP_LINGERING, /* answered; reads what the client still sends, so that our answer is
                         * not destroyed by a reset */
    RAY_HTTP_CLOSED,
};

struct ray_http_request {
    struct ray_http_conn *conn;
    struct ray_http_target target;
    int status;
    const char *reason; /* why it was refused; "" */
    uint64_t sent_size;
    bool is_complete;
    uint64_t start_ns;
    uint64_t end_ns;
    void *data; /* the handler's */
};

struct ray_http_conn {
    struct ray_http_server *server;
    struct ray_http_conn *next; /* in the server's list */
    struct ray_http_conn *previous;
    struct ray_http_conn *queue_next; /* in its transfer queue */
    bool is_queued;
    bool has_slot;

    enum ray_http_conn_state state;
    bool is_running;  /* within ray_http_conn_run */
    bool has_request; /* on_done is owed */
    bool keep_alive;  /* after the present answer */
    bool has_bytes;   /* of the request being read */
    bool has_continued;
    int fd; /* owned; -1 when closed */
    int events;
    struct ray_poll poll;
    struct ray_timer timer;
    struct ray_http_peer peer;

    struct ray_http_parser *parser;
    uint8_t input[RAY_HTTP_INPUT_SIZE];
    size_t input_size;
    size_t input_used;
    size_t linger_size;

    struct ray_http_request request;
    struct ray_buf output; /* head, and the body when it is in memory */
    size_t output_sent;
    size_t head_size;
    int file_fd; /* owned; -1: none */
    uint64_t file_offset;
    uint64_t file_size;
    struct ray_http_send *send;
    uint64_t send_deadline_ns;
};

struct ray_http_server {
    struct ray_loop *loop;
    struct ray_http_config config;
    int fd;
    uint16_t port;
    struct ray_poll poll;
    struct ray_timer retry_timer; /* accepts again after a shortage */
    struct ray_http_conn *conns;
    size_t conn_count;
    struct ray_http_conn *queue_first;
    struct ray_http_conn *queue_last;
    size_t queued_count;
    size_t transfer_count;
    uint64_t refused_count;
    bool is_dispatching;
    bool is_closing;
};

/* Takes fd (non-blocking) over in every case. */
int ray_http_conn_create(struct ray_http_conn **out_conn, struct ray_http_server *server, int fd,
                         const struct ray_http_peer *peer, struct ray_err *err);
void ray_http_conn_destroy(struct ray_http_conn *conn);
/* Goes on until it has to wait; may destroy the connection. */
void ray_http_conn_run(struct ray_http_conn *conn);
/* The client is gone. A handler that still owes its answer holds a pointer to the request:
 * then the connection waits for it without a socket. */
void ray_http_conn_abandon(struct ray_http_conn *conn);
/* The answer cannot be completed: ends in a reset, so that no client takes the part that it
 * has for the whole. */
void ray_http_conn_break_off(struct ray_http_conn *conn);
/* Answers instead of the handler and closes afterwards; `reason` is a static text. */
void ray_http_conn_refuse(struct ray_http_conn *conn, int status, const char *reason);
/* One step in READING, SENDING, LINGERING; true: step again. */
bool ray_http_conn_read(struct ray_http_conn *conn);
bool ray_http_conn_write(struct ray_http_conn *conn);
bool ray_http_conn_linger(struct ray_http_conn *conn);
/* conn->output is ready (and maybe file_fd). */
void ray_http_conn_start_sending(struct ray_http_conn *conn);
void ray_http_conn_end_request(struct ray_http_conn *conn, bool is_complete);
/* The server's word that a queued connection may send now. */
void ray_http_conn_start_transfer(struct ray_http_conn *conn);

void ray_http_server_want_slot(struct ray_http_server *server, struct ray_http_conn *conn);
/* Leaves the queue or gives the slot back. */
void ray_http_server_drop_slot(struct ray_http_server *server, struct ray_http_conn *conn);
void ray_http_server_forget(struct ray_http_server *server, struct ray_http_conn *conn);

#endif

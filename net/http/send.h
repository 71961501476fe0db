/* net/http/send.h - bytes of a file to a socket: sendfile(2) in libuv's thread pool, so
 * that a slow disk never stops the loop and no byte is copied.
 *
 * Memory: create/destroy. A step in the pool works on its own descriptors, so the owner may
 * destroy the transfer at any time; the rest goes away when the step returns.
 * Threads: the loop's; the step itself runs in the pool.  Blocks: never.
 * Trust: the file may shrink or fail under us; the socket's peer may vanish. */
#ifndef RAY_NET_HTTP_SEND_H
#define RAY_NET_HTTP_SEND_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

enum ray_http_send_result {
    RAY_HTTP_SEND_MORE,   /* some bytes went, more are left: call step again */
    RAY_HTTP_SEND_FULL,   /* the socket takes no more: call step when it is writable */
    RAY_HTTP_SEND_DONE,   /* all bytes went */
    RAY_HTTP_SEND_BROKEN, /* the file ended early or a descriptor failed */
};

struct ray_http_send;

/* Sends [offset, offset + size) of file_fd to sock_fd (non-blocking). Takes file_fd over in
 * every case; sock_fd stays the caller's (a duplicate is kept). `cb` gets the result of
 * each step and the bytes that it sent, on the loop. */
int ray_http_send_create(struct ray_http_send **out_send, struct ray_loop *loop, int file_fd,
                         int sock_fd, uint64_t offset, uint64_t size,
                         void (*cb)(void *arg, enum ray_http_send_result result,
                                    uint64_t sent_size),
                         void *arg, struct ray_err *err);
/* cb follows, never from within; no second step before that. */
int ray_http_send_step(struct ray_http_send *send, struct ray_err *err);
void ray_http_send_destroy(struct ray_http_send *send); /* no cb follows; NULL is fine */

#endif

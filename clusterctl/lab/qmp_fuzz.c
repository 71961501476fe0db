/* qmp_fuzz.c - a QEMU that says anything. Messages on their own; then the same bytes through a
 * connection with a command pending, which must be answered exactly once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clusterctl/lab/qmp.h"
#include "clusterctl/lab/qmp_message.h"

struct peer {
    unsigned reply_count;
    unsigned close_count;
};

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

static void on_reply(void *arg, int rc, yyjson_val *value, const struct ray_err *err)
{
    struct peer *peer = arg;

    (void)value;
    check(rc == RAY_OK || (err->code == rc && err->text[0] != '\0'));
    peer->reply_count++;
}

static void on_event(void *arg, const char *name, yyjson_val *data, uint64_t t_us)
{
    (void)arg;
    (void)data;
    (void)t_us;
    check(name != NULL);
}

static void on_close(void *arg, const struct ray_err *err)
{
    struct peer *peer = arg;

    check(err->code != RAY_OK);
    peer->close_count++;
}

static void parse_alone(const uint8_t *data, size_t size)
{
    struct ray_qmp_message message;
    struct ray_err err = {0};
    char *exact = calloc(1, size + (size == 0));

    if (exact == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(exact, data, size);
    }
    if (ray_qmp_message_parse(exact, size, &message, &err) == RAY_OK) {
        check(message.doc != NULL);
        check(message.kind != RAY_QMP_EVENT || message.name != NULL);
        check(message.kind != RAY_QMP_ERROR || (message.name != NULL && message.text != NULL));
        check(message.kind != RAY_QMP_RETURN || message.value != NULL);
        ray_qmp_message_fini(&message);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ray_qmp_handlers handlers = {.on_event = on_event, .on_close = on_close};
    struct ray_err err = {0};
    struct peer peer = {0};
    struct ray_loop loop;
    struct ray_qmp *qmp;
    int fds[2];

    parse_alone(data, size);
    if (size > 60000) { /* more may not fit into the socket at once */
        return 0;
    }
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    check(ray_loop_init(&loop, &err) == RAY_OK);
    check(ray_qmp_create(&qmp, &loop, fds[0], &handlers, &peer, &err) == RAY_OK);
    check(ray_qmp_execute(qmp, "query-status", NULL, 60000, on_reply, &peer, &err) == RAY_OK);
    check(send(fds[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
    check(shutdown(fds[1], SHUT_WR) == 0);
    while (peer.close_count == 0) {
        ray_loop_once(&loop);
    }
    check(peer.reply_count == 1 && peer.close_count == 1);
    ray_qmp_destroy(qmp);
    check(peer.reply_count == 1 && peer.close_count == 1);
    ray_loop_fini(&loop);
    (void)close(fds[1]);
    return 0;
}

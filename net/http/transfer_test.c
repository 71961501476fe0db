/* Files to many clients: the cap and its queue, clients that vanish or stall, files that shrink. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/test.h"
#include "net/http/test_server.h"

static const char get_file[] = "GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

enum { FILE_SIZE = 300000, LARGE_FILE_SIZE = 24 << 20 };

struct client {
    int fd;
    size_t size;      /* received, with the head */
    size_t head_size; /* 0 until it is complete */
    char head[1024];
    size_t wrong_count;
};

static void client_take(struct client *client, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (client->head_size == 0) {
            assert_true(client->size < sizeof(client->head) - 1);
            client->head[client->size] = (char)bytes[i];
            if (client->size >= 3 && memcmp(client->head + client->size - 3, "\r\n\r\n", 4) == 0) {
                client->head_size = client->size + 1;
            }
        } else {
            client->wrong_count += bytes[i] != test_file_byte(client->size - client->head_size);
        }
        client->size++;
    }
}

static void test_hundred_clients(void **state)
{
    enum { COUNT = 100, CAP = 4 };
    static uint8_t block[65536];
    static struct client clients[COUNT];
    struct pollfd polls[COUNT];
    struct test_server ts;
    size_t open_count = COUNT;

    (void)state;
    test_server_init(&ts, FILE_SIZE);
    ts.config.transfer_count_max = CAP;
    test_server_start(&ts);
    memset(clients, 0, sizeof(clients));
    for (size_t i = 0; i < COUNT; i++) {
        clients[i].fd = test_connect(&ts);
        assert_true(clients[i].fd >= 0);
        test_send(clients[i].fd, get_file, sizeof(get_file) - 1);
        polls[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    while (open_count > 0) {
        assert_true(poll(polls, COUNT, 20000) > 0);
        for (size_t i = 0; i < COUNT; i++) {
            ssize_t count;
            if (polls[i].fd < 0 || polls[i].revents == 0) {
                continue;
            }
            count = recv(clients[i].fd, block, sizeof(block), MSG_DONTWAIT);
            if (count == 0) {
                (void)close(clients[i].fd);
                polls[i].fd = -1;
                open_count--;
            } else {
                assert_true(count > 0);
                client_take(&clients[i], block, (size_t)count);
            }
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(test_status(clients[i].head), 200);
        assert_int_equal(clients[i].size - clients[i].head_size, FILE_SIZE);
        assert_int_equal(clients[i].wrong_count, 0);
    }
    test_server_wait_done(&ts, COUNT);
    assert_int_equal(test_server_counts(&ts).complete_count, COUNT);
    assert_int_equal(test_server_counts(&ts).transfer_max, CAP);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* One slot; its holder and one in the queue vanish; the third gets the file. */
static void test_vanishing(void **state)
{
    struct test_server ts;
    struct client last = {0};
    char block[16];
    char *text;
    size_t size;
    int fds[3];

    (void)state;
    test_server_init(&ts, LARGE_FILE_SIZE);
    ts.config.transfer_count_max = 1;
    test_server_start(&ts);
    for (int i = 0; i < 3; i++) {
        fds[i] = test_connect(&ts);
        test_send(fds[i], get_file, sizeof(get_file) - 1);
        if (i == 0) { /* it has the slot and takes but a little */
            assert_int_equal(recv(fds[0], block, sizeof(block), MSG_WAITALL), sizeof(block));
        }
    }
    (void)close(fds[1]);
    test_server_wait_done(&ts, 1); /* noticed while it waits */
    assert_int_equal(test_server_counts(&ts).complete_count, 0);
    assert_int_equal(test_server_counts(&ts).sent_size, 0);
    (void)close(fds[0]);
    text = test_receive(fds[2], &size, NULL);
    client_take(&last, (const uint8_t *)text, size);
    assert_int_equal(last.size - last.head_size, LARGE_FILE_SIZE);
    assert_int_equal(last.wrong_count, 0);
    free(text);
    (void)close(fds[2]);
    test_server_wait_done(&ts, 3);
    assert_int_equal(test_server_counts(&ts).complete_count, 1);
    assert_int_equal(test_server_counts(&ts).transfer_max, 1);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* A client with a source address of its own. */
static int connect_from(const struct test_server *ts, uint32_t source)
{
    const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(ts->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Three slots, two of them at most for one address: its third client waits, and another address
 * passes it in the queue. */
static void test_share(void **state)
{
    struct test_server ts;
    char block[16];
    int fds[3];
    int other;

    (void)state;
    test_server_init(&ts, LARGE_FILE_SIZE);
    ts.config.transfer_count_max = 3;
    ts.config.peer_transfer_count_max = 2;
    test_server_start(&ts);
    for (int i = 0; i < 3; i++) {
        fds[i] = test_connect(&ts);
        test_send(fds[i], get_file, sizeof(get_file) - 1);
        if (i < 2) {
            assert_int_equal(recv(fds[i], block, sizeof(block), MSG_WAITALL), sizeof(block));
        }
    }
    other = connect_from(&ts, INADDR_LOOPBACK + 1);
    test_send(other, get_file, sizeof(get_file) - 1);
    assert_int_equal(recv(other, block, sizeof(block), MSG_WAITALL), sizeof(block));
    assert_int_equal(recv(fds[2], block, sizeof(block), MSG_DONTWAIT), -1);
    for (int i = 0; i < 20000 && test_server_counts(&ts).transfer_max < 3; i++) {
        (void)usleep(1000); /* polls a state of another thread: it is looked at once a turn */
    }
    (void)close(other);
    test_server_wait_done(&ts, 1);
    assert_int_equal(recv(fds[2], block, sizeof(block), MSG_DONTWAIT), -1);
    (void)close(fds[0]); /* one of its own ends: its turn */
    assert_int_equal(recv(fds[2], block, sizeof(block), MSG_WAITALL), sizeof(block));
    (void)close(fds[1]);
    (void)close(fds[2]);
    test_server_wait_done(&ts, 4);
    assert_int_equal(test_server_counts(&ts).transfer_max, 3);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* A connection that is there: it was answered, and stays. */
static void stay(int fd)
{
    static const char get_hello[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    char block[512];
    ssize_t count;

    assert_true(fd >= 0);
    test_send(fd, get_hello, sizeof(get_hello) - 1);
    count = recv(fd, block, sizeof(block) - 1, 0);
    assert_true(count > 0);
    block[count] = '\0';
    assert_int_equal(test_status(block), 200);
}

/* Three connections for one address: the fourth is told so, another address is served, and so is
 * the first one when one of its own has ended. */
static void test_peer_connections(void **state)
{
    enum { COUNT = 3 };
    struct test_server ts;
    bool is_reset = false;
    char *text;
    int fds[COUNT];
    int other;
    int fd;

    (void)state;
    test_server_init(&ts, 1);
    ts.config.peer_conn_count_max = COUNT;
    test_server_start(&ts);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = test_connect(&ts);
        stay(fds[i]);
    }
    for (int i = 0; i < 2; i++) {
        fd = test_connect(&ts);
        text = test_receive(fd, NULL, &is_reset);
        assert_false(is_reset);
        assert_int_equal(test_status(text), 503);
        assert_non_null(strstr(text, "Retry-After: 3\r\n"));
        assert_non_null(strstr(text, "\r\n\r\n503 Service Unavailable: your address has too many "
                                     "connections\n"));
        free(text);
        (void)close(fd);
    }
    other = connect_from(&ts, INADDR_LOOPBACK + 1);
    stay(other);
    assert_int_equal(test_server_counts(&ts).refused_count, 2);
    assert_string_equal(test_server_counts(&ts).refused, "127.0.0.1");
    (void)close(fds[0]);
    for (int i = 0; i < 20000 && test_server_counts(&ts).conn_count > COUNT; i++) {
        (void)usleep(1000); /* polls a state of another thread */
    }
    fds[0] = test_connect(&ts);
    stay(fds[0]);
    assert_int_equal(test_server_counts(&ts).refused_count, 2);
    assert_int_equal(test_server_counts(&ts).conn_max, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        (void)close(fds[i]);
    }
    (void)close(other);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* The answer promised more than the file has: a reset, not a short file that looks whole. */
static void test_truncated(void **state)
{
    struct test_server ts;
    bool is_reset = false;
    char *text;
    int fd;

    (void)state;
    test_server_init(&ts, 1000);
    ts.promised_size = 5000;
    test_server_start(&ts);
    fd = test_connect(&ts);
    test_send(fd, get_file, sizeof(get_file) - 1);
    text = test_receive(fd, NULL, &is_reset);
    assert_true(is_reset);
    free(text);
    (void)close(fd);
    test_server_wait_done(&ts, 1);
    assert_int_equal(test_server_counts(&ts).complete_count, 0);
    assert_int_equal(test_server_counts(&ts).sent_size, 1000);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* A client that reads nothing: cut off by the lack of progress, or by the total. */
static void test_stalled(void **state)
{
    (void)state;
    for (int by_total = 0; by_total <= 1; by_total++) {
        struct test_server ts;
        int fd;

        test_server_init(&ts, LARGE_FILE_SIZE);
        if (by_total) {
            ts.config.transfer_timeout_ms = 80;
        } else {
            ts.config.idle_timeout_ms = 80;
        }
        test_server_start(&ts);
        fd = test_connect(&ts);
        test_send(fd, get_file, sizeof(get_file) - 1);
        test_server_wait_done(&ts, 1);
        assert_int_equal(test_server_counts(&ts).complete_count, 0);
        assert_true(test_server_counts(&ts).sent_size > 0);
        assert_true(test_server_counts(&ts).sent_size < LARGE_FILE_SIZE);
        (void)close(fd);
        test_server_stop(&ts);
        test_server_fini(&ts);
    }
}

/* The server goes while transfers run, wait and a handler still owes an answer. */
static void test_destroy_busy(void **state)
{
    static const char never[] = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    struct test_server ts;
    int fds[4];
    char byte;

    (void)state;
    test_server_init(&ts, LARGE_FILE_SIZE);
    ts.config.transfer_count_max = 1;
    test_server_start(&ts);
    for (int i = 0; i < 3; i++) {
        fds[i] = test_connect(&ts);
        test_send(fds[i], get_file, sizeof(get_file) - 1);
        if (i == 0) {
            assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
        }
    }
    fds[3] = test_connect(&ts);
    test_send(fds[3], never, sizeof(never) - 1);
    test_server_stop(&ts);
    assert_int_equal(ts.counts.complete_count, 0);
    for (int i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
    test_server_fini(&ts);
}

/* The client leaves while the handler works: the answer finds nobody and nothing breaks. */
static void test_orphan(void **state)
{
    static const char later[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
    struct test_server ts;
    int fd;

    (void)state;
    test_server_init(&ts, 1);
    test_server_start(&ts);
    fd = test_connect(&ts);
    test_send(fd, later, sizeof(later) - 1);
    (void)close(fd);
    test_server_wait_done(&ts, 1);
    assert_int_equal(test_server_counts(&ts).complete_count, 0);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hundred_clients), cmocka_unit_test(test_vanishing),
        cmocka_unit_test(test_share),           cmocka_unit_test(test_peer_connections),
        cmocka_unit_test(test_truncated),       cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_destroy_busy),    cmocka_unit_test(test_orphan),
    };
    return cmocka_run_group_tests_name("net/http/transfer", tests, NULL, NULL);
}

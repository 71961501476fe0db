/* switch_test.c - three machines made of sockets on a switch with a simulated clock. */
#include "clusterctl/lab/switch_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "clusterctl/lab/switch_frame.h"

enum { A, B, C, ALL = TEST_NODE_COUNT };

static void expect(struct test_lab *lab, size_t node, uint32_t want)
{
    uint32_t number = 0;

    assert_true(test_receive(lab, node, &number));
    assert_int_equal(number, want);
}

static void expect_nothing(struct test_lab *lab, size_t node)
{
    uint32_t number;

    assert_false(test_receive(lab, node, &number));
}

/* Everyone is heard once, so that later frames go to one port only. */
static void introduce(struct test_lab *lab)
{
    for (size_t i = 0; i < TEST_NODE_COUNT; i++) {
        test_send(lab, i, ALL, 0);
        test_settle(lab);
    }
    for (size_t i = 0; i < TEST_NODE_COUNT; i++) {
        assert_int_equal(test_drain(lab, i), 2);
    }
}

static void test_learning_and_flooding(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    test_send(&lab, A, B, 1); /* unknown: to all but its sender */
    expect(&lab, B, 1);
    expect(&lab, C, 1);
    expect_nothing(&lab, A);
    test_send(&lab, B, A, 2); /* A was heard: to A alone */
    expect(&lab, A, 2);
    expect_nothing(&lab, C);
    test_send(&lab, A, B, 3); /* and so was B by now */
    expect(&lab, B, 3);
    expect_nothing(&lab, C);
    test_send(&lab, C, ALL, 4); /* broadcast */
    expect(&lab, A, 4);
    expect(&lab, B, 4);
    expect_nothing(&lab, C);
    test_send(&lab, A, A, 5); /* to itself: its own wire has it */
    expect_nothing(&lab, A);
    expect_nothing(&lab, B);
    assert_int_equal(test_port_count(&lab, "node1", "rx_frames"), 3);
    assert_int_equal(test_port_count(&lab, "node2", "tx_frames"), 3);
    assert_int_equal(test_port_count(&lab, "node2", "tx_bytes"), UINT64_C(3) * TEST_FRAME_SIZE);
    assert_int_equal(test_pair_count(&lab, "node1", "node2", "frames"), 2);
    test_lab_down(&lab);
}

static void test_partial_frames(void **state)
{
    uint8_t wire[4 + TEST_FRAME_SIZE];
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    for (uint32_t round = 0; round < 3; round++) {
        test_frame(wire, A, B, round);
        for (size_t i = 0; i < sizeof wire; i++) {
            expect_nothing(&lab, B);
            assert_int_equal(send(lab.fds[A], wire + i, 1, 0), 1);
        }
        expect(&lab, B, round);
    }
    test_lab_down(&lab);
}

static void test_loss(void **state)
{
    size_t counts[2][2];
    struct test_lab lab;
    (void)state;

    for (size_t round = 0; round < 2; round++) {
        test_lab_up(&lab, 77, true);
        introduce(&lab);
        assert_string_equal(test_command(&lab, "set node1 node2 loss=50000"), "ok 1 pairs\n");
        counts[round][0] = 0;
        counts[round][1] = 0;
        for (uint32_t i = 0; i < 2000; i++) {
            test_send(&lab, A, B, i);
            test_send(&lab, B, A, i);
            counts[round][0] += test_drain(&lab, B);
            counts[round][1] += test_drain(&lab, A);
        }
        assert_in_range(counts[round][0], 1900 - 49, 1900 + 49); /* five standard deviations */
        assert_int_equal(counts[round][1], 2000);
        assert_int_equal(test_pair_count(&lab, "node1", "node2", "loss_drops"),
                         2000 - counts[round][0]);
        assert_int_equal(test_port_count(&lab, "node2", "queue_drops"), 0);
        assert_int_equal(test_port_count(&lab, "node2", "age_drops"), 0);
        test_lab_down(&lab);
    }
    assert_int_equal(counts[0][0], counts[1][0]); /* the same seed, the same run */
}

static void test_cut_one_way(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    assert_string_equal(test_command(&lab, "cut node1 node2"), "ok 1 pairs\n");
    test_send(&lab, A, B, 1);
    expect_nothing(&lab, B);
    test_send(&lab, B, A, 2);
    expect(&lab, A, 2);
    test_send(&lab, A, C, 3);
    expect(&lab, C, 3);
    test_send(&lab, A, ALL, 4); /* floods are cut, too */
    expect_nothing(&lab, B);
    expect(&lab, C, 4);
    assert_int_equal(test_pair_count(&lab, "node1", "node2", "cut_drops"), 2);
    assert_string_equal(test_command(&lab, "heal"), "ok 6 pairs\n");
    test_send(&lab, A, B, 5);
    expect(&lab, B, 5);
    test_lab_down(&lab);
}

static void test_partition_and_any(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    assert_string_equal(test_command(&lab, "partition node1,node2 | node3"), "ok 4 pairs cut\n");
    test_send(&lab, A, ALL, 1);
    expect(&lab, B, 1);
    expect_nothing(&lab, C);
    test_send(&lab, C, ALL, 2);
    expect_nothing(&lab, A);
    expect_nothing(&lab, B);
    /* The next partition stands alone: what it joins is healed. */
    assert_string_equal(test_command(&lab, "partition node1 | node3 node2"), "ok 4 pairs cut\n");
    test_send(&lab, C, ALL, 3);
    expect(&lab, B, 3);
    expect_nothing(&lab, A);
    assert_string_equal(test_command(&lab, "heal node1 * both"), "ok 4 pairs\n");
    test_send(&lab, A, ALL, 4);
    expect(&lab, B, 4);
    expect(&lab, C, 4);
    assert_string_equal(test_command(&lab, "set * * loss=1000000"), "ok 6 pairs\n");
    test_send(&lab, A, ALL, 5);
    expect_nothing(&lab, B);
    assert_string_equal(test_command(&lab, "clear"), "ok 6 pairs\n");
    test_send(&lab, A, ALL, 6);
    expect(&lab, B, 6);
    test_lab_down(&lab);
}

static void test_delay(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    (void)test_command(&lab, "set node1 node2 delay_us=20000 jitter_us=10000");
    for (uint32_t i = 0; i < 10; i++) {
        test_send(&lab, A, B, i);
        test_advance(&lab, RAY_NS_PER_MS);
    }
    test_advance(&lab, 9 * RAY_NS_PER_MS); /* 19 ms after the first */
    expect_nothing(&lab, B);
    test_advance(&lab, 21 * RAY_NS_PER_MS); /* 31 ms after the last */
    for (uint32_t i = 0; i < 10; i++) {
        expect(&lab, B, i);
    }
    /* The other way is not delayed. */
    test_send(&lab, B, A, 99);
    expect(&lab, A, 99);
    /* A cut empties the line. */
    test_send(&lab, A, B, 10);
    test_settle(&lab);
    assert_int_equal(test_pair_count(&lab, "node1", "node2", "waiting"), 1);
    (void)test_command(&lab, "cut node1 node2");
    (void)test_command(&lab, "heal");
    test_advance(&lab, RAY_NS_PER_S);
    expect_nothing(&lab, B);
    assert_int_equal(test_pair_count(&lab, "node1", "node2", "cut_drops"), 1);
    test_lab_down(&lab);
}

static void test_clear_drains_in_order(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    (void)test_command(&lab, "set node1 node2 delay_us=20000");
    test_send(&lab, A, B, 1);
    test_settle(&lab);
    (void)test_command(&lab, "clear");
    test_send(&lab, A, B, 2);
    expect_nothing(&lab, B);
    test_advance(&lab, 20 * RAY_NS_PER_MS);
    expect(&lab, B, 1);
    expect(&lab, B, 2);
    test_send(&lab, A, B, 3); /* nothing waits any more */
    expect(&lab, B, 3);
    test_lab_down(&lab);
}

static void test_copies_order_and_rate(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    (void)test_command(&lab, "set node1 node2 dup=1000000");
    test_send(&lab, A, B, 1);
    expect(&lab, B, 1);
    expect(&lab, B, 1);
    expect_nothing(&lab, B);
    (void)test_command(&lab, "set node1 node2 dup=0 reorder=1000000");
    test_send(&lab, A, B, 2);
    expect_nothing(&lab, B); /* held back for its successor */
    (void)test_command(&lab, "set node1 node2 reorder=0");
    test_send(&lab, A, B, 3);
    expect(&lab, B, 3);
    expect(&lab, B, 2);
    (void)test_command(&lab, "set node1 node2 reorder=1000000");
    test_send(&lab, A, B, 4);
    expect_nothing(&lab, B);
    test_advance(&lab, RAY_SWITCH_LATE_MS * RAY_NS_PER_MS); /* nobody came */
    expect(&lab, B, 4);
    /* 64 bytes at 51200 bit/s take 10 ms. */
    (void)test_command(&lab, "set node1 node2 reorder=0 rate_bps=51200");
    test_send(&lab, A, B, 5);
    test_send(&lab, A, B, 6);
    expect_nothing(&lab, B);
    test_advance(&lab, 10 * RAY_NS_PER_MS);
    expect(&lab, B, 5);
    expect_nothing(&lab, B);
    test_advance(&lab, 10 * RAY_NS_PER_MS);
    expect(&lab, B, 6);
    test_lab_down(&lab);
}

/* C does not read. A sends to it without end and must reach B all the time. */
static void test_stalled_reader(void **state)
{
    struct test_lab lab;
    size_t stale_count;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    for (uint32_t i = 0; i < 20000; i++) {
        test_send(&lab, A, C, i);
        if (i % 100 == 0) {
            test_send(&lab, A, B, i);
            expect(&lab, B, i);
        }
    }
    assert_int_equal(test_port_count(&lab, "node3", "queued"), RAY_SWITCH_QUEUE_COUNT_MAX);
    assert_true(test_port_count(&lab, "node3", "queue_drops") > 10000);
    assert_int_equal(test_port_count(&lab, "node3", "age_drops"), 0);
    assert_int_equal(test_port_count(&lab, "node2", "queue_drops"), 0);
    /* Much later it reads again: what had left for the socket is whole, the rest was dropped
     * for its age, but for a frame whose first bytes had left. */
    lab.now_ns += RAY_NS_PER_S;
    stale_count = test_drain(&lab, C);
    assert_true(test_port_count(&lab, "node3", "age_drops") >= RAY_SWITCH_QUEUE_COUNT_MAX - 1);
    assert_int_equal(test_port_count(&lab, "node3", "queued"), 0);
    assert_int_equal(stale_count + test_port_count(&lab, "node3", "age_drops") +
                         test_port_count(&lab, "node3", "queue_drops"),
                     20000);
    test_send(&lab, A, C, 424242);
    expect(&lab, C, 424242);
    test_lab_down(&lab);
}

static void test_reconnect(void **state)
{
    uint8_t wire[4 + TEST_FRAME_SIZE];
    struct test_lab lab;
    int old_fd;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    /* B goes in the middle of a frame; the new one begins anew. */
    test_frame(wire, B, A, 1);
    assert_int_equal(send(lab.fds[B], wire, 10, 0), 10);
    test_settle(&lab);
    test_disconnect(&lab, B);
    assert_int_equal(test_port_count(&lab, "node2", "connected"), 0);
    test_send(&lab, A, B, 2); /* its address was forgotten: flooded, and B has no peer */
    expect(&lab, C, 2);
    assert_int_equal(test_port_count(&lab, "node2", "no_peer_drops"), 1);
    test_connect(&lab, B);
    test_send(&lab, B, A, 3);
    expect(&lab, A, 3);
    /* A second peer on the same port replaces the first. */
    old_fd = lab.fds[B];
    test_connect(&lab, B);
    assert_int_equal(recv(old_fd, wire, sizeof wire, 0), 0); /* end of file */
    assert_int_equal(close(old_fd), 0);
    test_send(&lab, B, A, 4);
    expect(&lab, A, 4);
    assert_int_equal(test_port_count(&lab, "node2", "connects"), 3);
    test_lab_down(&lab);
}

/* The queue of a peer that left does not reach the one that follows. */
static void test_queue_is_forgotten(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    for (uint32_t i = 0; i < 20000; i++) {
        test_send(&lab, A, C, i);
    }
    test_settle(&lab);
    test_disconnect(&lab, C);
    assert_true(test_port_count(&lab, "node3", "no_peer_drops") >= RAY_SWITCH_QUEUE_COUNT_MAX);
    test_connect(&lab, C);
    expect_nothing(&lab, C);
    test_send(&lab, A, C, 1);
    expect(&lab, C, 1);
    test_lab_down(&lab);
}

static void test_oversize_and_runt(void **state)
{
    static const uint8_t oversize[] = {0, 1, 0x10, 1, 0};
    static const uint8_t runt[] = {0, 0, 0, 13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    struct test_lab lab;
    uint8_t byte;
    (void)state;

    test_lab_up(&lab, 1, true);
    introduce(&lab);
    assert_int_equal(send(lab.fds[A], runt, sizeof runt, 0), sizeof runt);
    test_send(&lab, A, B, 1);
    expect(&lab, B, 1);
    assert_int_equal(test_port_count(&lab, "node1", "runt_drops"), 1);
    assert_int_equal(send(lab.fds[A], oversize, sizeof oversize, 0), sizeof oversize);
    test_settle(&lab);
    assert_true(recv(lab.fds[A], &byte, 1, 0) <= 0); /* end of file, or reset */
    assert_int_equal(test_port_count(&lab, "node1", "oversize_drops"), 1);
    assert_int_equal(test_port_count(&lab, "node1", "connected"), 0);
    test_send(&lab, B, C, 2); /* the others go on */
    expect(&lab, C, 2);
    test_lab_down(&lab);
}

static void test_largest_frame(void **state)
{
    size_t size = 4 + RAY_SWITCH_FRAME_SIZE_MAX;
    uint8_t *wire = calloc(1, size);
    uint8_t *got = calloc(1, size);
    struct test_lab lab;
    size_t sent = 0;
    size_t received = 0;
    (void)state;

    assert_non_null(wire);
    assert_non_null(got);
    test_lab_up(&lab, 1, true);
    introduce(&lab);
    test_frame(wire, A, B, 5);
    ray_switch_frame_put_header(wire, RAY_SWITCH_FRAME_SIZE_MAX);
    while (received < size) {
        ssize_t n = sent < size ? send(lab.fds[A], wire + sent, size - sent, 0) : 0;

        sent += n > 0 ? (size_t)n : 0;
        test_settle(&lab);
        n = recv(lab.fds[B], got + received, size - received, 0);
        received += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(wire, got, size);
    test_lab_down(&lab);
    free(wire);
    free(got);
}

static void test_replies(void **state)
{
    struct test_lab lab;
    (void)state;

    test_lab_up(&lab, 123, true);
    assert_string_equal(test_command(&lab, "cut node1 node9"),
                        "error not_found: no port 'node9'; there are: node1 node2 node3\n");
    assert_non_null(strstr(test_command(&lab, "cut"), "error invalid: a port name is missing"));
    assert_non_null(strstr(test_command(&lab, "pcap node1 /nonexistent/x 1M"), "/nonexistent/x"));
    assert_non_null(strstr(test_command(&lab, "stats"), "\"seed\":123"));
    assert_null(strstr(test_command(&lab, "stats node2"), "\"name\":\"node1\""));
    assert_non_null(strstr(test_command(&lab, "set node1 node2 delay_us=5"), "ok"));
    assert_non_null(strstr(test_command(&lab, "stats"), "\"delay_us\":5"));
    test_lab_down(&lab);
}

static void test_capture(void **state)
{
    struct test_lab lab;
    char command[128];
    char path[96];
    (void)state;

    test_lab_up(&lab, 1, true);
    (void)snprintf(path, sizeof path, "%s/all.pcap", lab.folder);
    (void)snprintf(command, sizeof command, "pcap all %s 1M", path);
    assert_string_equal(test_command(&lab, command), "ok 1 capture\n");
    introduce(&lab);
    assert_non_null(strstr(test_command(&lab, "stats"),
                           "\"captures\":[{\"port\":\"all\",\"failed\":false,\"frames\":3,"));
    assert_string_equal(test_command(&lab, "pcap off"), "ok 1 captures ended\n");
    assert_int_equal(unlink(path), 0);
    test_lab_down(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learning_and_flooding),
        cmocka_unit_test(test_partial_frames),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_cut_one_way),
        cmocka_unit_test(test_partition_and_any),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_clear_drains_in_order),
        cmocka_unit_test(test_copies_order_and_rate),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_queue_is_forgotten),
        cmocka_unit_test(test_oversize_and_runt),
        cmocka_unit_test(test_largest_frame),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

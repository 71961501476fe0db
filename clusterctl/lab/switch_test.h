/* clusterctl/lab/switch_test.h - a switch in the test's own process, with a clock that stands
 * still until the test moves it, and machines made of plain sockets.
 *
 * Memory: up/down on caller memory.  Threads: one.  Blocks: never.  Trust: tests only. */
#ifndef RAY_LAB_SWITCH_TEST_H
#define RAY_LAB_SWITCH_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clusterctl/lab/switch.h"

enum { TEST_NODE_COUNT = 3, TEST_FRAME_SIZE = 64 };

struct test_lab {
    struct ray_switch *sw;
    uint64_t now_ns;
    char folder[64];
    int fds[TEST_NODE_COUNT]; /* the machines' ends; -1: not connected */
    int control_fd;
    char reply[64 << 10];
};

/* Ports node1..node3, all connected when `is_connected`. */
void test_lab_up(struct test_lab *lab, uint64_t seed, bool is_connected);
void test_lab_down(struct test_lab *lab);

void test_connect(struct test_lab *lab, size_t node);
void test_disconnect(struct test_lab *lab, size_t node);

/* Lets the switch do all that it can do now. */
void test_settle(struct test_lab *lab);
void test_advance(struct test_lab *lab, uint64_t ns);

/* Sends a command and returns the reply (until the next one). */
const char *test_command(struct test_lab *lab, const char *text);
/* The number behind "key": in the object of port `name` (or pair "from>to") of stats. */
uint64_t test_port_count(struct test_lab *lab, const char *name, const char *key);
uint64_t test_pair_count(struct test_lab *lab, const char *from, const char *to, const char *key);

/* Frames of TEST_FRAME_SIZE bytes with a number inside. `to` TEST_NODE_COUNT: broadcast. */
void test_frame(uint8_t out[static 4 + TEST_FRAME_SIZE], size_t from, size_t to, uint32_t number);
void test_send(struct test_lab *lab, size_t from, size_t to, uint32_t number);
/* Reads one frame; false: none is there. */
bool test_receive(struct test_lab *lab, size_t node, uint32_t *out_number);
/* How many frames are there; asserts that each is whole. */
size_t test_drain(struct test_lab *lab, size_t node);

#endif

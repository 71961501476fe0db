/* switch_test_lab.c - see switch_test.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/test.h"
#include "clusterctl/lab/switch_frame.h"
#include "clusterctl/lab/switch_test.h"

static uint64_t read_clock(void *arg)
{
    return ((struct test_lab *)arg)->now_ns;
}

static void join(char *out, size_t size, const char *folder, const char *name)
{
    assert_true((size_t)snprintf(out, size, "%s/%s", folder, name) < size);
}

static struct sockaddr_un address_of(const struct test_lab *lab, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    join(address.sun_path, sizeof address.sun_path, lab->folder, name);
    return address;
}

void test_lab_up(struct test_lab *lab, uint64_t seed, bool is_connected)
{
    static const char *const names[TEST_NODE_COUNT] = {"node1", "node2", "node3"};
    struct ray_switch_port_config ports[TEST_NODE_COUNT];
    char paths[TEST_NODE_COUNT + 1][96];
    struct ray_err err = {0};
    struct sockaddr_un own;

    *lab = (struct test_lab){.now_ns = 1000000, .fds = {-1, -1, -1}, .control_fd = -1};
    (void)snprintf(lab->folder, sizeof lab->folder, "/tmp/switch_test.XXXXXX");
    assert_non_null(mkdtemp(lab->folder));
    for (size_t i = 0; i < TEST_NODE_COUNT; i++) {
        join(paths[i], sizeof paths[i], lab->folder, names[i]);
        ports[i] = (struct ray_switch_port_config){
            .name = names[i], .kind = RAY_SWITCH_PORT_STREAM, .path = paths[i]};
    }
    join(paths[TEST_NODE_COUNT], sizeof paths[0], lab->folder, "control");
    const struct ray_switch_config config = {.ports = ports,
                                             .port_count = TEST_NODE_COUNT,
                                             .control_path = paths[TEST_NODE_COUNT],
                                             .seed = seed,
                                             .stop_fd = -1,
                                             .ready_fd = -1,
                                             .now_ns = read_clock,
                                             .now_arg = lab};
    if (ray_switch_create(&lab->sw, &config, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    lab->control_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    own = address_of(lab, "client");
    assert_int_equal(bind(lab->control_fd, (struct sockaddr *)&own, sizeof own), 0);
    for (size_t i = 0; is_connected && i < TEST_NODE_COUNT; i++) {
        test_connect(lab, i);
    }
}

void test_lab_down(struct test_lab *lab)
{
    char path[96];

    for (size_t i = 0; i < TEST_NODE_COUNT; i++) {
        if (lab->fds[i] >= 0) {
            (void)close(lab->fds[i]);
        }
    }
    ray_switch_destroy(lab->sw);
    (void)close(lab->control_fd);
    join(path, sizeof path, lab->folder, "client");
    (void)unlink(path);
    assert_int_equal(rmdir(lab->folder), 0); /* the switch left nothing behind */
}

void test_settle(struct test_lab *lab)
{
    struct ray_err err = {0};

    /* More turns than any test's bytes need: a turn reads 256 KiB of each port. */
    for (int i = 0; i < 16; i++) {
        assert_int_equal(ray_switch_turn(lab->sw, 0, &err), RAY_OK);
    }
}

void test_advance(struct test_lab *lab, uint64_t ns)
{
    lab->now_ns += ns;
    test_settle(lab);
}

void test_connect(struct test_lab *lab, size_t node)
{
    char name[16];
    struct sockaddr_un address;

    (void)snprintf(name, sizeof name, "node%zu", node + 1);
    address = address_of(lab, name);
    lab->fds[node] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(lab->fds[node] >= 0);
    assert_int_equal(connect(lab->fds[node], (struct sockaddr *)&address, sizeof address), 0);
    test_settle(lab);
}

void test_disconnect(struct test_lab *lab, size_t node)
{
    assert_int_equal(close(lab->fds[node]), 0);
    lab->fds[node] = -1;
    test_settle(lab);
}

const char *test_command(struct test_lab *lab, const char *text)
{
    struct sockaddr_un address = address_of(lab, "control");
    struct ray_err err = {0};
    ssize_t size;

    assert_true(sendto(lab->control_fd, text, strlen(text), 0, (struct sockaddr *)&address,
                       sizeof address) == (ssize_t)strlen(text));
    assert_int_equal(ray_switch_turn(lab->sw, 0, &err), RAY_OK); /* one turn is enough */
    size = recv(lab->control_fd, lab->reply, sizeof lab->reply - 1, 0);
    assert_true(size > 0);
    lab->reply[size] = '\0';
    return lab->reply;
}

static bool is_wanted(yyjson_val *object, const char *name, const char *to)
{
    return to == NULL ? yyjson_equals_str(yyjson_obj_get(object, "name"), name)
                      : yyjson_equals_str(yyjson_obj_get(object, "from"), name) &&
                            yyjson_equals_str(yyjson_obj_get(object, "to"), to);
}

static uint64_t count_of(struct test_lab *lab, const char *name, const char *to, const char *key)
{
    const char *text = test_command(lab, "stats");
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), to == NULL ? "ports" : "pairs");
    yyjson_val *object;
    uint64_t value = 0;
    size_t index;
    size_t max;

    assert_non_null(doc);
    yyjson_arr_foreach(list, index, max, object)
    {
        if (is_wanted(object, name, to)) {
            assert_non_null(yyjson_obj_get(object, key));
            value = yyjson_get_uint(yyjson_obj_get(object, key));
        }
    }
    yyjson_doc_free(doc);
    return value;
}

uint64_t test_port_count(struct test_lab *lab, const char *name, const char *key)
{
    return count_of(lab, name, NULL, key);
}

uint64_t test_pair_count(struct test_lab *lab, const char *from, const char *to, const char *key)
{
    return count_of(lab, from, to, key);
}

void test_frame(uint8_t out[static 4 + TEST_FRAME_SIZE], size_t from, size_t to, uint32_t number)
{
    memset(out, 0, 4 + TEST_FRAME_SIZE);
    ray_switch_frame_put_header(out, TEST_FRAME_SIZE);
    memset(out + 4, to == TEST_NODE_COUNT ? 0xff : 0x52, 6);
    if (to != TEST_NODE_COUNT) {
        out[9] = (uint8_t)to;
    }
    memset(out + 10, 0x52, 6);
    out[15] = (uint8_t)from;
    memcpy(out + 18, &number, sizeof number);
}

void test_send(struct test_lab *lab, size_t from, size_t to, uint32_t number)
{
    uint8_t wire[4 + TEST_FRAME_SIZE];
    ssize_t n;

    test_frame(wire, from, to, number);
    n = send(lab->fds[from], wire, sizeof wire, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
        test_settle(lab); /* the socket was full: the switch reads it in any case */
        n = send(lab->fds[from], wire, sizeof wire, MSG_NOSIGNAL);
    }
    assert_int_equal(n, sizeof wire);
}

bool test_receive(struct test_lab *lab, size_t node, uint32_t *out_number)
{
    uint8_t wire[4 + TEST_FRAME_SIZE];
    ssize_t n;

    test_settle(lab);
    n = recv(lab->fds[node], wire, sizeof wire, 0);
    if (n < 0) {
        assert_int_equal(errno, EAGAIN);
        return false;
    }
    assert_int_equal(n, sizeof wire);
    assert_memory_equal(wire, ((uint8_t[]){0, 0, 0, TEST_FRAME_SIZE}), 4);
    memcpy(out_number, wire + 18, sizeof *out_number);
    return true;
}

size_t test_drain(struct test_lab *lab, size_t node)
{
    uint32_t number;
    size_t count = 0;

    while (test_receive(lab, node, &number)) {
        count++;
    }
    return count;
}

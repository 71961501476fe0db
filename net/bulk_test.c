/* bulk_test.c - two channels over TCP on loopback, in one loop or in two processes. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "net/bulk.h"
#include "net/bulk_fixture.h"

struct end {
    struct ray_bulk *bulk;
    unsigned message_count;
    uint64_t byte_count;
    unsigned writable_count;
    unsigned close_count;
    int close_code;
    bool destroys_on_message;
    bool destroys_on_close;
    uint32_t next_number; /* the first four bytes of each message count */
};

struct world {
    struct ray_loop loop;
    int fds[2];
    struct ray_seal *seals[2];
    struct end ends[2];
};

static uint8_t big[RAY_BULK_MESSAGE_SIZE_MAX + 1];

static void on_message(void *arg, const uint8_t *bytes, size_t size)
{
    struct end *end = arg;

    end->message_count++;
    end->byte_count += size;
    if (size >= 4) {
        uint32_t number;

        memcpy(&number, bytes, 4);
        assert_int_equal(number, end->next_number);
        end->next_number++;
    }
    if (end->destroys_on_message) {
        ray_bulk_destroy(end->bulk);
        end->bulk = NULL;
    }
}

static void on_writable(void *arg)
{
    struct end *end = arg;

    end->writable_count++;
}

static void on_close(void *arg, const struct ray_err *why)
{
    struct end *end = arg;

    end->close_count++;
    end->close_code = why->code;
    if (end->destroys_on_close) {
        ray_bulk_destroy(end->bulk);
        end->bulk = NULL;
    }
}

static struct ray_bulk_user user_of(struct end *end)
{
    return (struct ray_bulk_user){
        .on_message = on_message, .on_writable = on_writable, .on_close = on_close, .arg = end};
}

static void create_end(struct world *world, unsigned i)
{
    struct ray_bulk_user user = user_of(&world->ends[i]);

    assert_int_equal(ray_bulk_create(&world->ends[i].bulk, &world->loop, world->fds[i],
                                     world->seals[i], &user, NULL),
                     RAY_OK);
    world->seals[i] = NULL;
    world->fds[i] = -1;
}

static void world_init(struct world *world)
{
    *world = (struct world){0};
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    bulk_fixture_tcp_pair(world->fds);
    bulk_fixture_seals(world->seals);
}

static void world_fini(struct world *world)
{
    for (int i = 0; i < 2; i++) {
        ray_bulk_destroy(world->ends[i].bulk);
        ray_seal_destroy(world->seals[i]);
        if (world->fds[i] >= 0) {
            (void)close(world->fds[i]);
        }
    }
    ray_loop_fini(&world->loop);
}

static int send_number(struct ray_bulk *bulk, uint32_t number, size_t size)
{
    memcpy(big, &number, 4);
    return ray_bulk_send(bulk, big, size);
}

static void test_sizes_both_ways(void **state)
{
    static const size_t sizes[] = {4, 5, 1000, 65536, RAY_BULK_MESSAGE_SIZE_MAX};
    struct world world;

    (void)state;
    world_init(&world);
    create_end(&world, 0);
    create_end(&world, 1);
    for (uint32_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(send_number(world.ends[i].bulk, n, sizes[n]), RAY_OK);
        }
        while (world.ends[0].message_count <= n || world.ends[1].message_count <= n) {
            ray_loop_once(&world.loop);
        }
    }
    assert_int_equal(world.ends[0].byte_count, 4 + 5 + 1000 + 65536 + RAY_BULK_MESSAGE_SIZE_MAX);
    assert_int_equal(ray_bulk_send(world.ends[0].bulk, big, sizeof big), RAY_ETOOBIG);
    assert_int_equal(ray_bulk_send(world.ends[0].bulk, NULL, 0), RAY_OK);
    while (world.ends[1].message_count < 6) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(ray_bulk_queued_size(world.ends[0].bulk), 0);
    world_fini(&world);
}

static void test_finish(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    create_end(&world, 0);
    create_end(&world, 1);
    for (uint32_t n = 0; n < 3; n++) {
        assert_int_equal(send_number(world.ends[0].bulk, n, sizeof big - 1), RAY_OK);
    }
    /* What the other end has under way still arrives. */
    assert_int_equal(send_number(world.ends[1].bulk, 0, 100), RAY_OK);
    assert_int_equal(ray_bulk_finish(world.ends[0].bulk), RAY_OK);
    assert_int_equal(ray_bulk_finish(world.ends[0].bulk), RAY_ECLOSED);
    assert_int_equal(ray_bulk_send(world.ends[0].bulk, big, 4), RAY_ECLOSED);
    while (world.ends[0].close_count == 0 || world.ends[1].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[0].close_code, RAY_OK);
    assert_int_equal(world.ends[1].close_code, RAY_OK);
    assert_int_equal(world.ends[1].message_count, 3);
    assert_int_equal(world.ends[0].message_count, 1);
    assert_int_equal(ray_bulk_send(world.ends[1].bulk, big, 4), RAY_ECLOSED);
    world_fini(&world);
}

static void test_both_finish(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    for (unsigned i = 0; i < 2; i++) {
        create_end(&world, i);
        assert_int_equal(ray_bulk_finish(world.ends[i].bulk), RAY_OK);
        world.ends[i].destroys_on_close = true;
    }
    while (world.ends[0].close_count == 0 || world.ends[1].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[0].close_code, RAY_OK);
    assert_int_equal(world.ends[1].close_code, RAY_OK);
    world_fini(&world);
}

/* A connection that ends, by whomever, is no finish. */
static void test_cut(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    create_end(&world, 0);
    create_end(&world, 1);
    assert_int_equal(send_number(world.ends[0].bulk, 0, 100), RAY_OK);
    ray_bulk_destroy(world.ends[0].bulk);
    world.ends[0].bulk = NULL;
    while (world.ends[1].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[1].close_code, RAY_ECLOSED);
    assert_int_equal(world.ends[1].message_count, 1);
    world_fini(&world);
}

/* Bytes of a stranger who got into the connection. */
static void check_bytes(const uint8_t *bytes, size_t size, int code)
{
    struct world world;

    world_init(&world);
    create_end(&world, 1);
    assert_int_equal(write(world.fds[0], bytes, size), size);
    while (world.ends[1].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[1].close_code, code);
    assert_int_equal(world.ends[1].message_count, 0);
    world_fini(&world);
}

static void test_foreign_bytes(void **state)
{
    static const uint8_t unsealed[] = {17, 0, 0,  0,  1,  2,  3,  4,  5,  6, 7,
                                       8,  9, 10, 11, 12, 13, 14, 15, 16, 17};
    static const uint8_t too_long[] = {0, 0, 16, 0};
    static const uint8_t flags[] = {17, 0, 0, 64};

    (void)state;
    check_bytes(unsealed, sizeof unsealed, RAY_EDENIED);
    check_bytes(too_long, sizeof too_long, RAY_EMALFORMED);
    check_bytes(flags, sizeof flags, RAY_EMALFORMED);
}

/* Rightly sealed, but not what a channel says. */
static void test_unknown_types(void **state)
{
    static const uint8_t plains[][2] = {{2, 0}, {1, 0}, {0, 0}};
    static const size_t sizes[] = {1, 2, 0};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t record[64] = {0};
        struct world world;

        world_init(&world);
        create_end(&world, 1);
        memcpy(record + RAY_SEAL_HEAD_SIZE, plains[i], sizes[i]);
        assert_int_equal(ray_seal_encrypt(world.seals[0], 1, record, sizes[i]), RAY_OK);
        assert_int_equal(write(world.fds[0], record, sizes[i] + RAY_SEAL_OVERHEAD_SIZE),
                         sizes[i] + RAY_SEAL_OVERHEAD_SIZE);
        while (world.ends[1].close_count == 0) {
            ray_loop_once(&world.loop);
        }
        assert_int_equal(world.ends[1].close_code, RAY_EMALFORMED);
        world_fini(&world);
    }
}

/* Sends until the queue refuses; returns how many went in. */
static uint32_t fill(struct end *end, uint32_t number)
{
    uint32_t begin = number;
    int rc;

    while ((rc = send_number(end->bulk, number, 100000)) == RAY_OK) {
        number++;
        assert_true(ray_bulk_queued_size(end->bulk) <= RAY_BULK_QUEUE_SIZE_MAX);
        assert_true(number - begin < 10000);
    }
    assert_int_equal(rc, RAY_EAGAIN);
    return number;
}

static void test_a_paused_reader_stops_the_writer(void **state)
{
    struct world world;
    uint32_t sent;
    unsigned count;

    (void)state;
    world_init(&world);
    create_end(&world, 0);
    create_end(&world, 1);
    ray_bulk_pause(world.ends[1].bulk);
    sent = fill(&world.ends[0], 0);
    /* Whatever the kernel buffers: at some point nothing goes any more. */
    for (int turns = 0; turns < 50; turns++) {
        (void)uv_run(&world.loop.uv, UV_RUN_NOWAIT);
        if (world.ends[0].writable_count > 0) {
            world.ends[0].writable_count = 0;
            sent = fill(&world.ends[0], sent);
        }
    }
    assert_int_equal(world.ends[1].message_count, 0);
    assert_true(ray_bulk_queued_size(world.ends[0].bulk) > RAY_BULK_QUEUE_LOW_SIZE);

    ray_bulk_resume(world.ends[1].bulk);
    while (world.ends[1].message_count < 3) {
        ray_loop_once(&world.loop);
    }
    /* In the middle of a buffer full of records. */
    ray_bulk_pause(world.ends[1].bulk);
    count = world.ends[1].message_count;
    for (int turns = 0; turns < 10; turns++) {
        (void)uv_run(&world.loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(world.ends[1].message_count, count);
    ray_bulk_resume(world.ends[1].bulk);
    while (world.ends[1].message_count < sent || world.ends[0].writable_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[1].byte_count, (uint64_t)sent * 100000);
    world_fini(&world);
}

static void test_destroy_within_callbacks(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    create_end(&world, 0);
    create_end(&world, 1);
    world.ends[1].destroys_on_message = true;
    world.ends[0].destroys_on_close = true;
    for (uint32_t n = 0; n < 5; n++) {
        assert_int_equal(send_number(world.ends[0].bulk, n, 100), RAY_OK);
    }
    while (world.ends[0].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[1].message_count, 1);
    assert_int_equal(world.ends[1].close_count, 0);
    world_fini(&world);
    ray_bulk_destroy(NULL);
}

/* ---- another process ---- */

struct handed {
    int fd;
    uint8_t state[RAY_BULK_EXPORT_SIZE];
};

static void hand_over(int socket_fd, int fd, const uint8_t *state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)state, .iov_len = RAY_BULK_EXPORT_SIZE};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};

    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    assert_int_equal(sendmsg(socket_fd, &message, 0), RAY_BULK_EXPORT_SIZE);
}

static bool take_over(int socket_fd, struct handed *out)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = out->state, .iov_len = sizeof out->state};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};

    if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) != RAY_BULK_EXPORT_SIZE) {
        return false;
    }
    memcpy(&out->fd, CMSG_DATA(&control.header), sizeof out->fd);
    return true;
}

static void echo(void *arg, const uint8_t *bytes, size_t size)
{
    struct end *end = arg;

    (void)ray_bulk_send(end->bulk, bytes, size);
    end->message_count++;
}

/* The process that uses the connection: sends back what it gets. */
static int serve(int socket_fd)
{
    struct ray_loop loop;
    struct handed handed;
    struct end end = {0};
    struct ray_bulk_user user = {.on_message = echo, .on_close = on_close, .arg = &end};

    if (!take_over(socket_fd, &handed) || ray_loop_init(&loop, NULL) != RAY_OK ||
        ray_bulk_import(&end.bulk, &loop, handed.fd, handed.state, &user, NULL) != RAY_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof handed.state; i++) {
        if (handed.state[i] != 0) {
            return 2;
        }
    }
    while (end.close_count == 0) {
        ray_loop_once(&loop);
    }
    ray_bulk_destroy(end.bulk);
    ray_loop_fini(&loop);
    return end.close_code == RAY_OK && end.message_count == 10 ? 0 : 3;
}

static void test_handed_to_another_process(void **state)
{
    uint8_t exported[RAY_BULK_EXPORT_SIZE];
    struct world world;
    int sockets[2];
    int status = 0;
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    world_init(&world);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(world.fds[0]);
        (void)close(world.fds[1]);
        _exit(serve(sockets[1]));
    }
    assert_int_equal(ray_bulk_export(world.seals[1], exported), RAY_OK);
    world.seals[1] = NULL;
    hand_over(sockets[0], world.fds[1], exported);
    (void)close(world.fds[1]);
    world.fds[1] = -1;

    create_end(&world, 0);
    for (uint32_t n = 0; n < 10; n++) {
        assert_int_equal(send_number(world.ends[0].bulk, n, 1000), RAY_OK);
    }
    while (world.ends[0].message_count < 10) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(ray_bulk_finish(world.ends[0].bulk), RAY_OK);
    while (world.ends[0].close_count == 0) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.ends[0].close_code, RAY_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)close(sockets[0]);
    (void)close(sockets[1]);
    world_fini(&world);
}

static void test_import_of_nonsense(void **state)
{
    uint8_t bytes[RAY_BULK_EXPORT_SIZE] = {9};
    struct world world;
    struct ray_bulk_user user;

    (void)state;
    world_init(&world);
    user = user_of(&world.ends[0]);
    assert_int_equal(
        ray_bulk_import(&world.ends[0].bulk, &world.loop, world.fds[0], bytes, &user, NULL),
        RAY_EUNSUPPORTED);
    assert_int_equal(bytes[0], 0); /* wiped in any case */
    world_fini(&world);
}

/* ---- faults ---- */

static void run_faulty(struct world *world)
{
    world_init(world);
    for (unsigned i = 0; i < 2; i++) {
        create_end(world, i);
        world->ends[i].destroys_on_close = true; /* the other end notices */
    }
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "send", "read"};

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct world world;
            bool has_fired;
            int rc;

            run_faulty(&world);
            ray_test_fault_arm(points[i], n);
            rc = send_number(world.ends[0].bulk, 0, 1000);
            if (rc == RAY_OK) {
                rc = ray_bulk_finish(world.ends[0].bulk);
            }
            while (rc != RAY_ENOMEM &&
                   (world.ends[0].close_count == 0 || world.ends[1].close_count == 0)) {
                ray_loop_once(&world.loop);
            }
            has_fired = ray_test_fault_disarm();
            if (!has_fired) {
                assert_int_equal(world.ends[0].close_code, RAY_OK);
                assert_int_equal(world.ends[1].close_code, RAY_OK);
            } else {
                assert_true(rc != RAY_OK || world.ends[0].close_code != RAY_OK ||
                            world.ends[1].close_code != RAY_OK);
            }
            world_fini(&world);
            if (!has_fired) {
                break;
            }
        }
    }
}

static void test_no_memory_for_a_channel(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct world world;
        struct ray_bulk_user user;
        int rc;

        world_init(&world);
        user = user_of(&world.ends[0]);
        ray_test_fault_arm("alloc", n);
        rc = ray_bulk_create(&world.ends[0].bulk, &world.loop, world.fds[0], world.seals[0], &user,
                             NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            world.fds[0] = -1;
            world.seals[0] = NULL;
            world_fini(&world);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(world.ends[0].bulk);
        world_fini(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_both_ways),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_both_finish),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_unknown_types),
        cmocka_unit_test(test_a_paused_reader_stops_the_writer),
        cmocka_unit_test(test_destroy_within_callbacks),
        cmocka_unit_test(test_handed_to_another_process),
        cmocka_unit_test(test_import_of_nonsense),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_no_memory_for_a_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/test.h"
#include "node/init/fd_store.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_keeps_and_removes(void **state)
{
    struct fd_store store = {0};
    int a = eventfd(0, EFD_CLOEXEC);
    int b = eventfd(0, EFD_CLOEXEC);
    int c = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_int_equal(fd_store_add(&store, "page", a, NULL), RAY_OK);
    assert_int_equal(fd_store_add(&store, "page", b, NULL), RAY_OK); /* another eventfd */
    assert_int_equal(fd_store_add(&store, "sock", c, NULL), RAY_OK);
    assert_int_equal(store.count, 3);
    assert_true(fd_store_has(&store, "sock"));
    assert_int_equal(fd_store_remove(&store, "page"), 2);
    assert_false(is_open(a) || is_open(b));
    assert_true(is_open(c));
    assert_false(fd_store_has(&store, "page"));
    assert_int_equal(fd_store_remove(&store, "page"), 0);
    fd_store_fini(&store);
    assert_false(is_open(c));
    fd_store_fini(&store);
}

static void test_same_file_once(void **state)
{
    struct fd_store store = {0};
    int a = eventfd(0, EFD_CLOEXEC);
    int again = fcntl(a, F_DUPFD_CLOEXEC, 3);

    (void)state;
    assert_int_equal(fd_store_add(&store, "page", a, NULL), RAY_OK);
    assert_int_equal(fd_store_add(&store, "page", again, NULL), RAY_OK);
    assert_int_equal(store.count, 1);
    assert_false(is_open(again));
    fd_store_fini(&store);
}

static void test_limit(void **state)
{
    struct fd_store store = {0};
    struct ray_err err = {0};
    int fd;

    (void)state;
    for (int i = 0; i < FD_STORE_COUNT_MAX; i++) {
        assert_int_equal(fd_store_add(&store, "page", eventfd(0, EFD_CLOEXEC), &err), RAY_OK);
    }
    fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(fd_store_add(&store, "page", fd, &err), RAY_ETOOBIG);
    assert_false(is_open(fd)); /* taken over and closed all the same */
    assert_int_equal(store.count, FD_STORE_COUNT_MAX);
    fd_store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_and_removes),
        cmocka_unit_test(test_same_file_once),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/bulk_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

static int listen_on_loopback(struct sockaddr_in *out_address)
{
    socklen_t size = sizeof *out_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    *out_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)out_address, sizeof *out_address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)out_address, &size), 0);
    return fd;
}

void bulk_fixture_tcp_pair(int fds[static 2])
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address);

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fds[0] >= 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    (void)close(listener);
}

int bulk_fixture_connect_nowhere(void)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)close(listener);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        assert_true(errno == EINPROGRESS || errno == ECONNREFUSED);
    }
    return fd;
}

void bulk_fixture_seals(struct ray_seal *seals[static 2])
{
    static const uint8_t keys[2][RAY_SEAL_KEY_SIZE] = {{1}, {2}};

    assert_int_equal(ray_seal_create(&seals[0], keys[0], keys[1], 0, NULL), RAY_OK);
    assert_int_equal(ray_seal_create(&seals[1], keys[1], keys[0], 0, NULL), RAY_OK);
}

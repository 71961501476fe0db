/* Which clients share their limits. */
#include <arpa/inet.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/peer.h"

static union ray_http_address address_of(const char *text)
{
    union ray_http_address out = {0};

    if (inet_pton(AF_INET, text, &out.v4.sin_addr) == 1) {
        out.v4.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &out.v6.sin6_addr) == 1) {
        out.v6.sin6_family = AF_INET6;
    }
    return out;
}

static struct ray_http_peer peer_of(const char *remote, const char *local)
{
    const union ray_http_address from = address_of(remote);
    const union ray_http_address to = address_of(local);
    struct ray_http_peer peer;

    ray_http_peer_init(&peer, &from, &to);
    return peer;
}

static void test_shares(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        const char *local;
        bool shares;
    } cases[] = {
        {"10.77.0.21", "10.77.0.21", "10.77.0.1", true},
        {"10.77.0.21", "10.77.0.22", "10.77.0.1", false},
        {"::ffff:10.77.0.21", "::ffff:10.77.0.22", "::ffff:10.77.0.1", false},
        {"::ffff:10.77.0.21", "10.77.0.21", "::ffff:10.77.0.1", true},
        {"2001:db8::1", "2001:db8::ffff:2", "fd00:77::1", true},
        {"2001:db8::1", "2001:db8:0:1::1", "fd00:77::1", false},
        {"2001:db8::1", "2001:db8::2", "", true}, /* our end is not known */
        {"fd00:77::21", "fd00:77::22", "fd00:77::1", false},
        {"fd00:77::21", "fd00:77::21", "fd00:77::1", true},
        {"fe80::21", "fe80::22", "fe80::1", false},
        {"fe80::21", "fe80::22", "fd00:77::1", true},
        {"::1", "10.77.0.1", "::1", false},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        const struct ray_http_peer a = peer_of(cases[i].a, cases[i].local);
        const struct ray_http_peer b = peer_of(cases[i].b, cases[i].local);

        if (ray_http_peer_shares(&a, &b) != cases[i].shares) {
            fail_msg("%s and %s at %s", cases[i].a, cases[i].b, cases[i].local);
        }
    }
}

static void test_texts(void **state)
{
    static const char longest[] = "1111:2222:3333:4444:5555:6666:7777:8888";
    struct ray_http_peer peer;

    (void)state;
    peer = peer_of("10.77.0.21", "10.77.0.1");
    assert_string_equal(peer.text, "10.77.0.21");
    peer = peer_of("::ffff:10.77.0.21", "::ffff:10.77.0.1");
    assert_string_equal(peer.text, "10.77.0.21");
    peer = peer_of("2001:db8::21", "fd00:77::1"); /* the address, not its share */
    assert_string_equal(peer.text, "2001:db8::21");
    peer = peer_of(longest, "");
    assert_string_equal(peer.text, longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests_name("net/http/peer", tests, NULL, NULL);
}

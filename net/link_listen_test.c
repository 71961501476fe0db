/* link_listen_test.c - who shares the places of one host. */
#include <stddef.h>

#include "base/test.h"
#include "net/link_impl.h"

static bool is_same(const char *left, const char *right)
{
    struct sockaddr_storage a = {0}, b = {0};

    assert_int_equal(link_address_parse(left, &a, NULL), RAY_OK);
    assert_int_equal(link_address_parse(right, &b, NULL), RAY_OK);
    assert_int_equal(link_is_same_host(&b, &a), link_is_same_host(&a, &b));
    return link_is_same_host(&a, &b);
}

static void test_same_host(void **state)
{
    (void)state;
    assert_true(is_same("10.0.0.1:1", "10.0.0.1:2"));
    assert_false(is_same("10.0.0.1:1", "10.0.0.2:1"));
    assert_true(is_same("[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:2"));
    assert_false(is_same("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
    assert_true(is_same("[fe80::1]:1", "[fe80::2]:1"));
    assert_true(is_same("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:2"));
    assert_false(is_same("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:1"));
    assert_false(is_same("[::ffff:10.0.0.1]:1", "[::1]:1"));
    assert_false(is_same("10.0.0.1:1", "[::1]:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_host),
    };
    return cmocka_run_group_tests_name("net/link_listen", tests, NULL, NULL);
}

/* rayosd_ticker_test.c - which address others are told, of lists as the kernel gives them. */
#include <arpa/inet.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "node/rayosd_ticker.h"

enum { ENTRIES_MAX = 6 };

struct list {
    struct ifaddrs entries[ENTRIES_MAX];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } addresses[ENTRIES_MAX];
    size_t count;
};

/* NULL: an interface that has none. */
static void add(struct list *list, const char *name, const char *address)
{
    size_t at = list->count++;

    assert_true(list->count <= ENTRIES_MAX);
    list->entries[at].ifa_name = (char *)(uintptr_t)name;
    if (address != NULL && strchr(address, ':') != NULL) {
        list->addresses[at].v6.sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, address, &list->addresses[at].v6.sin6_addr), 1);
    } else if (address != NULL) {
        list->addresses[at].v4.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, address, &list->addresses[at].v4.sin_addr), 1);
    }
    list->entries[at].ifa_addr = address == NULL ? NULL : &list->addresses[at].any;
    if (at > 0) {
        list->entries[at - 1].ifa_next = &list->entries[at];
    }
}

static void test_the_first_of_the_interface(void **state)
{
    struct list list = {.count = 0};
    char out[RAYOSD_HOST_SIZE] = "untouched";

    (void)state;
    assert_false(rayosd_address_choose(NULL, "ray0", "", out));
    add(&list, "lo", "127.0.0.1");
    add(&list, "ray0", NULL);
    add(&list, "ray0", "fe80::1");
    add(&list, "ray01", "10.0.0.9");
    assert_false(rayosd_address_choose(list.entries, "ray0", "", out));
    assert_string_equal(out, "untouched");
    add(&list, "ray0", "10.77.0.21");
    add(&list, "ray0", "192.168.1.5");
    assert_true(rayosd_address_choose(list.entries, "ray0", "", out));
    assert_string_equal(out, "10.77.0.21");
}

/* A second address of the interface moves nothing; the loss of the first one does. */
static void test_the_one_of_before_stays(void **state)
{
    struct list list = {.count = 0};
    char out[RAYOSD_HOST_SIZE] = "";

    (void)state;
    add(&list, "ray0", "192.168.1.5");
    add(&list, "ray0", "10.77.0.21");
    assert_true(rayosd_address_choose(list.entries, "ray0", "10.77.0.21", out));
    assert_string_equal(out, "10.77.0.21");
    assert_true(rayosd_address_choose(list.entries, "ray0", "10.77.0.99", out));
    assert_string_equal(out, "192.168.1.5");
}

/* Where there is IPv4 it is told; without it an address that is good beyond the link. */
static void test_without_ipv4(void **state)
{
    struct list list = {.count = 0};
    char out[RAYOSD_HOST_SIZE] = "untouched";

    (void)state;
    add(&list, "ray0", "fe80::1");
    assert_false(rayosd_address_choose(list.entries, "ray0", "", out));
    assert_string_equal(out, "untouched");
    add(&list, "ray0", "2001:db8::21");
    add(&list, "ray0", "fd00::21");
    assert_true(rayosd_address_choose(list.entries, "ray0", "", out));
    assert_string_equal(out, "[2001:db8::21]");
    assert_true(rayosd_address_choose(list.entries, "ray0", "[fd00::21]", out));
    assert_string_equal(out, "[fd00::21]");
    add(&list, "ray0", "10.77.0.21");
    assert_true(rayosd_address_choose(list.entries, "ray0", "", out));
    assert_string_equal(out, "10.77.0.21");
    /* Others were told already. */
    assert_true(rayosd_address_choose(list.entries, "ray0", "[fd00::21]", out));
    assert_string_equal(out, "[fd00::21]");
    assert_true(rayosd_address_choose(list.entries, "ray0", "[fd00::99]", out));
    assert_string_equal(out, "10.77.0.21");
}

static void test_listen_without_port(void **state)
{
    struct ray_loop loop = {0};
    struct rayosd_ticker ticker;

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(rayosd_ticker_init(&ticker, &loop, NULL, NULL, "ray0", "nonsense", NULL),
                     RAY_EUSAGE);
    assert_int_equal(
        rayosd_ticker_init(&ticker, &loop, NULL, NULL, "ray0", "0.0.0.0:1234567890", NULL),
        RAY_EUSAGE);
    ray_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_of_the_interface),
        cmocka_unit_test(test_the_one_of_before_stays),
        cmocka_unit_test(test_without_ipv4),
        cmocka_unit_test(test_listen_without_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/fault.h"
#include "base/test.h"
#include "provisioning/pxe/neighbour.h"

/* What is there is tested with real neighbours in tests/hosted/test_provision.py. */
static void test_unknown(void **state)
{
    struct provision_mac mac = {{1, 2, 3, 4, 5, 6}};

    (void)state;
    assert_int_equal(provision_neighbour_find("nope0", "10.77.0.21", &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_neighbour_find("lo", "nonsense", &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_neighbour_find("lo", "", &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_neighbour_find("lo", "198.51.100.7", &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_neighbour_find("lo", "2001:db8::7", &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(mac.bytes[5], 6);
    if (ray_fault_set("socket:1")) {
        assert_int_not_equal(provision_neighbour_find("lo", "198.51.100.7", &mac, NULL), RAY_OK);
        (void)ray_fault_set(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unknown)};

    return cmocka_run_group_tests_name("provisioning/pxe/neighbour", tests, NULL, NULL);
}

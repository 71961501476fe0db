#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/machines/record.h"
#include "provisioning/pxe/arch.h"

static void test_served(void **state)
{
    static const struct {
        int number;
        bool is_http;
        const char *word;
        enum provision_boot_path path;
    } cases[] = {
        {0, false, "x64-bios", PROVISION_BOOT_BIOS},
        {7, false, "x64-uefi-pxe", PROVISION_BOOT_UEFI_PXE},
        {9, false, "x64-uefi-pxe", PROVISION_BOOT_UEFI_PXE},
        {16, true, "x64-uefi-http", PROVISION_BOOT_UEFI_HTTP},
        {7, true, "other", PROVISION_BOOT_NONE},
        {16, false, "other", PROVISION_BOOT_NONE},
        {6, false, "ia32-uefi", PROVISION_BOOT_NONE},
        {11, false, "arm64-uefi", PROVISION_BOOT_NONE},
        {19, true, "arm64-uefi-http", PROVISION_BOOT_NONE},
        {-1, false, "other", PROVISION_BOOT_NONE},
        {65535, false, "other", PROVISION_BOOT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        const struct provision_arch *arch = provision_arch_find(cases[i].number, cases[i].is_http);

        assert_string_equal(arch->word, cases[i].word);
        assert_int_equal(arch->path, cases[i].path);
    }
}

static void test_ipxe(void **state)
{
    (void)state;
    assert_int_equal(provision_arch_of_ipxe("x86_64", "efi")->path, PROVISION_BOOT_UEFI_PXE);
    assert_int_equal(provision_arch_of_ipxe("i386", "pcbios")->path, PROVISION_BOOT_BIOS);
    assert_int_equal(provision_arch_of_ipxe("x86_64", "pcbios")->path, PROVISION_BOOT_BIOS);
    assert_int_equal(provision_arch_of_ipxe("i386", "efi")->path, PROVISION_BOOT_NONE);
    assert_string_equal(provision_arch_of_ipxe("arm64", "efi")->word, "arm64-uefi");
    assert_string_equal(provision_arch_of_ipxe("", "")->word, "other");
    assert_string_equal(provision_arch_of_ipxe("x86_64", "pcbio")->word, "other");
}

/* Every number has one sentence that names what the machine is. */
static void test_refusals(void **state)
{
    static const struct {
        int number;
        bool is_http;
        const char *part;
    } cases[] = {
        {11, false, "UEFI PXE on aarch64 (architecture 11): no image for aarch64 exists yet"},
        {19, true, "UEFI HTTP boot on aarch64 (architecture 19): no image for aarch64 exists yet"},
        {6, false, "UEFI PXE on 32-bit x86 (architecture 6) has no image"},
        {39, false, "LoongArch"},
        {1234, false, "this architecture has no image: only x86-64 has"},
        {7, true, "this kind of HTTP boot"},
    };
    char text[160];

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        const struct provision_arch *arch = provision_arch_find(cases[i].number, cases[i].is_http);

        assert_non_null(strstr(provision_arch_refusal(arch, text, sizeof(text)), cases[i].part));
    }
    for (int number = -1; number < 100; number++) {
        for (int is_http = 0; is_http < 2; is_http++) {
            const struct provision_arch *arch = provision_arch_find(number, is_http);

            assert_true(strlen(arch->word) < PROVISION_RECORD_WORD_SIZE);
            assert_int_equal(arch->path != PROVISION_BOOT_NONE,
                             provision_record_is_served_arch(arch->word));
            if (arch->path == PROVISION_BOOT_NONE) {
                assert_true(strlen(provision_arch_refusal(arch, text, sizeof(text))) <
                            sizeof(text) - 1);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_served),
        cmocka_unit_test(test_ipxe),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/arch", tests, NULL, NULL);
}

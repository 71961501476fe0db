/* What a manifest may say, and what it may not. */
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/store/manifest.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(name, size, digest)                                                                  \
    "{\"name\":\"" name "\",\"size\":" size ",\"sha256\":\"" digest "\"}"
#define UKI ENTRY("rayos.efi", "5", DIGEST)
#define KERNEL ENTRY("vmlinuz", "6", DIGEST)
#define INITRD ENTRY("initrd", "7", DIGEST)
#define FILES "\"files\":[" UKI "]"
#define WITH_FILES(files) "{\"version\":\"1\",\"cmdline\":\"a\",\"files\":[" files "]}"

static void test_good(void **state)
{
    static const char whole[] = "{\"version\":\"0.1.0+a.dirty\",\"cmdline\":\"a=b c\","
                                "\"source_date_epoch\":77,\"files\":[{\"name\":\"cmdline\"},3," UKI
                                "," KERNEL "," INITRD "],\"more\":[1]}";
    static const char small[] = WITH_FILES(UKI);
    struct provision_manifest manifest;

    (void)state;
    assert_int_equal(provision_manifest_parse(whole, strlen(whole), &manifest, NULL), RAY_OK);
    assert_string_equal(manifest.version, "0.1.0+a.dirty");
    assert_string_equal(manifest.command_line, "a=b c");
    assert_int_equal(manifest.built_s, 77);
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        assert_string_equal(manifest.files[i].sha256, DIGEST);
        assert_int_equal(manifest.files[i].size_bytes, 5 + i);
    }
    assert_int_equal(provision_manifest_parse(small, strlen(small), &manifest, NULL), RAY_OK);
    assert_int_equal(manifest.files[PROVISION_FILE_KERNEL].size_bytes, 0);
    assert_string_equal(manifest.files[PROVISION_FILE_KERNEL].sha256, "");
    assert_int_equal(manifest.built_s, 0);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\"1\"," FILES "}",
        "{\"version\":1,\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\"1\",\"cmdline\":\"a\"}",
        "{\"version\":\"1\",\"cmdline\":\"a\",\"files\":{\"name\":\"rayos.efi\"}}",
        "{\"version\":\"1\",\"cmdline\":\"a\\nb\"," FILES "}",
        "{\"version\":\"1\",\"cmdline\":\"a\\u0000b\"," FILES "}",
        "{\"version\":\"${x}\",\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\"../x\",\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\".\",\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\"a b\",\"cmdline\":\"a\"," FILES "}",
        "{\"version\":\"\",\"cmdline\":\"a\"," FILES "}",
        WITH_FILES(""),
        WITH_FILES(KERNEL "," INITRD),
        WITH_FILES(UKI "," KERNEL),
        WITH_FILES(UKI "," INITRD),
        WITH_FILES(UKI "," UKI),
        WITH_FILES(ENTRY("rayos.efi", "-1", DIGEST)),
        WITH_FILES(ENTRY("rayos.efi", "0", DIGEST)),
        WITH_FILES(ENTRY("rayos.efi", "1", "00")),
        WITH_FILES(ENTRY("rayos.efi", "1", DIGEST "\\u0000")),
        WITH_FILES("{\"name\":\"rayos.efi\"}"),
    };
    struct provision_manifest manifest;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        struct ray_err err = {0};

        if (provision_manifest_parse(bad[i], strlen(bad[i]), &manifest, &err) != RAY_EMALFORMED) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_true(strlen(err.text) > 0);
    }
}

static void test_limits(void **state)
{
    static const char most[] = WITH_FILES(ENTRY("rayos.efi", "536870912", DIGEST));
    static const char more[] = WITH_FILES(ENTRY("rayos.efi", "536870913", DIGEST));
    struct provision_manifest manifest;
    char text[512];

    (void)state;
    assert_int_equal(provision_manifest_parse(most, strlen(most), &manifest, NULL), RAY_OK);
    assert_int_equal(provision_manifest_parse(more, strlen(more), &manifest, NULL), RAY_ETOOBIG);
    for (int length = PROVISION_VERSION_SIZE - 1; length <= PROVISION_VERSION_SIZE; length++) {
        (void)snprintf(text, sizeof(text), "{\"version\":\"%0*d\",\"cmdline\":\"a\"," FILES "}",
                       length, 1);
        assert_int_equal(provision_manifest_parse(text, strlen(text), &manifest, NULL),
                         length < PROVISION_VERSION_SIZE ? RAY_OK : RAY_EMALFORMED);
    }
}

static void test_words(void **state)
{
    static const char *const good[] = {"a", "console=ttyS0,115200 panic=10", "x=/a:b@c+d_e.f-g"};
    static const char *const bad[] = {"",       " a",  "a ",     "a  b", "a\nb", "a\tb",    "${x}",
                                      "a || b", "a;b", "a\"b\"", "a#b",  "a&b",  "\xc3\xa4"};
    enum provision_file file = PROVISION_FILE_UKI;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        assert_true(provision_is_command_line(good[i]));
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        assert_false(provision_is_command_line(bad[i]));
    }
    assert_true(provision_is_sha256(DIGEST));
    assert_false(provision_is_sha256(NULL));
    assert_false(provision_is_sha256(DIGEST "0"));
    assert_false(provision_is_sha256(&DIGEST[1]));
    assert_false(
        provision_is_sha256("A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"
                            "ef"));
    assert_true(provision_file_find("initrd", &file));
    assert_int_equal(file, PROVISION_FILE_INITRD);
    assert_false(provision_file_find("manifest.json", &file));
    assert_string_equal(provision_file_name(PROVISION_FILE_KERNEL), "vmlinuz");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("provisioning/store/manifest", tests, NULL, NULL);
}

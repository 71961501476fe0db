#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/test.h"
#include "provisioning/machines/hello.h"

#define PRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

static const char whole[] =
    "{\"v\":1,\"phase\":\"ready\",\"mac\":\"52:54:00:77:00:15\",\"name\":\"n-01234567\","
    "\"fingerprint\":\"" PRINT "\",\"words\":\"not these\","
    "\"image\":{\"version\":\"0.1.0\",\"digest\":\"" PRINT "\"},\"boot_id\":\"" BOOT_ID "\","
    "\"facts\":{\"vendor\":\"QEMU\",\"product\":\"q35\",\"serial\":\"7\",\"uuid\":\"u\","
    "\"cpu\":\"max\",\"memory_bytes\":1073741824,\"disks\":2},\"new\":[1,2]}";

/* An exact copy, so that one byte too far is seen. */
static int parse(const char *text, size_t size, struct provision_hello *out, struct ray_err *err)
{
    char *copy = malloc(size > 0 ? size : 1);
    int rc;

    assert_non_null(copy);
    memcpy(copy, text, size);
    rc = provision_hello_parse(copy, size, out, err);
    free(copy);
    return rc;
}

static void test_whole(void **state)
{
    struct provision_hello hello;
    char mac[PROVISION_MAC_TEXT_SIZE];

    (void)state;
    assert_int_equal(parse(whole, strlen(whole), &hello, NULL), RAY_OK);
    assert_int_equal(hello.phase, PROVISION_HELLO_READY);
    assert_string_equal(provision_mac_format(&hello.mac, mac), "52:54:00:77:00:15");
    assert_string_equal(hello.name, "n-01234567");
    assert_string_equal(hello.fingerprint, PRINT);
    assert_string_equal(hello.boot_id, BOOT_ID);
    assert_string_equal(hello.image_version, "0.1.0");
    assert_string_equal(hello.image_digest, PRINT);
    assert_string_equal(hello.vendor, "QEMU");
    assert_string_equal(hello.cpu, "max");
    assert_int_equal(hello.memory_bytes, 1073741824);
    assert_int_equal(hello.disk_count, 2);
}

/* Nobody shows the words of another node's fingerprint. */
static void test_words_are_made(void **state)
{
    static const uint8_t bytes[RAY_WORDS_COUNT] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    char words[RAY_WORDS_TEXT_SIZE];
    struct provision_hello hello;

    (void)state;
    assert_int_equal(parse(whole, strlen(whole), &hello, NULL), RAY_OK);
    assert_string_equal(hello.words, ray_words_format(bytes, words));
}

/* Every prefix is refused, and leaves the output alone. */
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(whole); n++) {
        struct provision_hello hello;
        struct ray_err err = {0};

        memset(&hello, 0x55, sizeof(hello));
        assert_int_equal(parse(whole, n, &hello, &err), RAY_EMALFORMED);
        assert_int_equal(hello.disk_count, 0x55555555);
        assert_true(err.text[0] != '\0');
    }
}

/* `whole` with one piece replaced. */
static int parse_with(const char *from, const char *to, struct provision_hello *out,
                      struct ray_err *err)
{
    char text[2048];
    const char *at = strstr(whole, from);

    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    return parse(text, strlen(text), out, err);
}

static void test_bad_fields(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        int rc;
        const char *names;
    } cases[] = {
        {"\"v\":1", "\"v\":2", RAY_EUNSUPPORTED, "version"},
        {"\"v\":1", "\"v\":\"1\"", RAY_EMALFORMED, "'v'"},
        {"\"v\":1", "\"v\":-1", RAY_EMALFORMED, "'v'"},
        {"ready", "install", RAY_EMALFORMED, "'phase'"},
        {"\"ready\"", "7", RAY_EMALFORMED, "'phase'"},
        {"52:54:00:77:00:15", "52:54:00:77:00", RAY_EMALFORMED, "'mac'"},
        {"52:54:00:77:00:15", "52:54:00:77:00:1g", RAY_EMALFORMED, "'mac'"},
        {"52:54:00:77:00:15", "52:54:00:77:00:15\\u0000x", RAY_EMALFORMED, "'mac'"},
        {"n-01234567", "", RAY_EMALFORMED, "'name'"},
        {"n-01234567", "Node", RAY_EMALFORMED, "'name'"},
        {"n-01234567", "-n", RAY_EMALFORMED, "'name'"},
        {"n-01234567", "../../etc/passwd", RAY_EMALFORMED, "'name'"},
        {"n-01234567", "abcdefghijklmnopqrstuvwxyz0123456", RAY_EMALFORMED, "'name'"},
        {"\"fingerprint\":\"0", "\"fingerprint\":\"g", RAY_EMALFORMED, "'fingerprint'"},
        {"\"fingerprint\":\"0", "\"fingerprint\":\"", RAY_EMALFORMED, "'fingerprint'"},
        {BOOT_ID, "", RAY_EMALFORMED, "'boot_id'"},
        {BOOT_ID, BOOT_ID "0", RAY_EMALFORMED, "'boot_id'"},
        {"0.1.0", "0.1\\n0", RAY_EMALFORMED, "'version'"},
        {"\"digest\":\"0", "\"digest\":\"Z", RAY_EMALFORMED, "'digest'"},
        {"\"image\":{", "\"image\":7,\"x\":{", RAY_EMALFORMED, "'version'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct provision_hello hello;
        struct ray_err err = {0};

        if (parse_with(cases[i].from, cases[i].to, &hello, &err) != cases[i].rc ||
            strstr(err.text, cases[i].names) == NULL) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
}

/* What a machine's firmware holds may be anything: it is cut and cleaned, never refused. */
static void test_facts_are_lenient(void **state)
{
    char big[400];
    struct provision_hello hello;

    (void)state;
    (void)snprintf(big, sizeof(big), "%0300d", 7);
    assert_int_equal(parse_with("QEMU", big, &hello, NULL), RAY_OK);
    assert_int_equal(strlen(hello.vendor), PROVISION_HELLO_HINT_SIZE - 1);
    assert_int_equal(parse_with("QEMU", "A\\u00fc\\u001b[2J", &hello, NULL), RAY_OK);
    assert_string_equal(hello.vendor, "A???[2J"); /* two bytes of UTF-8, one escape */
    assert_int_equal(parse_with("\"QEMU\"", "[[]]", &hello, NULL), RAY_OK);
    assert_string_equal(hello.vendor, "");
    assert_int_equal(parse_with("\"disks\":2", "\"disks\":4097", &hello, NULL), RAY_OK);
    assert_int_equal(hello.disk_count, 0);
    assert_int_equal(parse_with("1073741824", "-5", &hello, NULL), RAY_OK);
    assert_int_equal(hello.memory_bytes, 0);
    assert_int_equal(parse_with("\"facts\":{", "\"fakt\":{", &hello, NULL), RAY_OK);
    assert_string_equal(hello.product, "");
    assert_int_equal(parse_with("\"digest\":\"" PRINT, "\"digest\":\"", &hello, NULL), RAY_OK);
    assert_string_equal(hello.image_digest, "");
}

static void test_size(void **state)
{
    struct provision_hello hello;
    char *text = malloc(PROVISION_HELLO_SIZE_MAX + 1);

    (void)state;
    assert_non_null(text);
    (void)snprintf(text, PROVISION_HELLO_SIZE_MAX + 1, "%s", whole);
    memset(text + strlen(whole), ' ', PROVISION_HELLO_SIZE_MAX + 1 - strlen(whole));
    assert_int_equal(parse(text, PROVISION_HELLO_SIZE_MAX, &hello, NULL), RAY_OK);
    assert_int_equal(parse(text, PROVISION_HELLO_SIZE_MAX + 1, &hello, NULL), RAY_ETOOBIG);
    memset(text, '[', PROVISION_HELLO_SIZE_MAX); /* deep nesting */
    assert_int_equal(parse(text, PROVISION_HELLO_SIZE_MAX, &hello, NULL), RAY_EMALFORMED);
    free(text);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct provision_hello hello;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = parse(whole, strlen(whole), &hello, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_words_are_made),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_facts_are_lenient),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

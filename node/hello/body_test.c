#include <string.h>
#include <yyjson.h>

#include "base/test.h"
#include "node/hello/body.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct hello_facts facts = {
    .mac = "52:54:00:77:00:15",
    .name = "node1",
    .fingerprint = HEX64,
    .words = "a-b-c",
    .image_version = "0.1.0+abc",
    .image_digest = HEX64,
    .boot_id = "11111111-2222-3333-4444-555555555555",
    .vendor = "QEMU \"quoted\"",
    .product = "Standard PC",
    .serial = "\\x0a",
    .uuid = "",
    .cpu = "a cpu",
    .memory_bytes = 1ULL << 40,
    .disk_count = 3,
};

static const char *text_at(yyjson_doc *doc, const char *pointer)
{
    const char *text = yyjson_get_str(yyjson_doc_ptr_get(doc, pointer));

    return text == NULL ? "(none)" : text;
}

static void test_fields(void **state)
{
    struct ray_buf body;
    yyjson_doc *doc;

    (void)state;
    ray_buf_init(&body, HELLO_BODY_SIZE_MAX);
    for (int phase = HELLO_PHASE_INIT; phase <= HELLO_PHASE_READY; phase++) {
        assert_int_equal(hello_body_write(&facts, (enum hello_phase)phase, &body, NULL), RAY_OK);
        assert_null(strchr(ray_buf_text(&body), '\n'));
        doc = yyjson_read((const char *)body.data, body.size, 0);
        assert_non_null(doc);
        assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/v")), 1);
        assert_string_equal(text_at(doc, "/phase"), phase == HELLO_PHASE_INIT ? "init" : "ready");
        assert_string_equal(text_at(doc, "/mac"), facts.mac);
        assert_string_equal(text_at(doc, "/name"), facts.name);
        assert_string_equal(text_at(doc, "/fingerprint"), HEX64);
        assert_string_equal(text_at(doc, "/words"), facts.words);
        assert_string_equal(text_at(doc, "/image/version"), facts.image_version);
        assert_string_equal(text_at(doc, "/image/digest"), HEX64);
        assert_string_equal(text_at(doc, "/boot_id"), facts.boot_id);
        assert_string_equal(text_at(doc, "/facts/vendor"), facts.vendor);
        assert_string_equal(text_at(doc, "/facts/product"), facts.product);
        assert_string_equal(text_at(doc, "/facts/serial"), facts.serial);
        assert_string_equal(text_at(doc, "/facts/uuid"), "");
        assert_string_equal(text_at(doc, "/facts/cpu"), facts.cpu);
        assert_true(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/facts/memory_bytes")) == 1ULL << 40);
        assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/facts/disks")), 3);
        yyjson_doc_free(doc);
    }
    ray_buf_fini(&body);
}

static void test_too_large(void **state)
{
    char name[HELLO_BODY_SIZE_MAX + 1];
    struct hello_facts large = facts;
    struct ray_err err = {0};
    struct ray_buf body;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    large.name = name;
    ray_buf_init(&body, HELLO_BODY_SIZE_MAX);
    assert_int_equal(hello_body_write(&large, HELLO_PHASE_INIT, &body, &err), RAY_ETOOBIG);
    assert_true(err.text[0] != '\0');
    ray_buf_fini(&body);
}

static void test_faults(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_err err = {0};
        struct ray_buf body;
        int rc;

        ray_buf_init(&body, HELLO_BODY_SIZE_MAX);
        ray_test_fault_arm("alloc", n);
        rc = hello_body_write(&facts, HELLO_PHASE_INIT, &body, &err);
        ray_buf_fini(&body);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("node/hello/body", tests, NULL, NULL);
}

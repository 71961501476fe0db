#include <string.h>

#include "base/test.h"
#include "clusterctl/cli/input.h"
#include "net/proto/spec.pb-c.h"

struct fix {
    struct ray_arena arena;
    struct ray_err err;
    Rayos__Spec__GuestSpec *spec;
};

static int open_fix(void **state)
{
    static struct fix fix;

    fix = (struct fix){.spec = NULL};
    ray_arena_init(&fix.arena, 1 << 20);
    *state = &fix;
    return 0;
}

static int close_fix(void **state)
{
    struct fix *fix = *state;

    ray_arena_fini(&fix->arena);
    return 0;
}

static int read_text(struct fix *fix, const char *text)
{
    ProtobufCMessage *message = NULL;
    int rc;

    fix->err = (struct ray_err){0};
    rc = input_message(text, strlen(text), &rayos__spec__guest_spec__descriptor, &fix->arena,
                       &message, &fix->err);
    fix->spec = (Rayos__Spec__GuestSpec *)message;
    return rc;
}

static void test_every_type(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(
        read_text(fix, "{\"image\": \"debian-13\", \"vcpus\": 2, \"memory_bytes\": 8589934592,"
                       " \"on_boot\": \"ON_BOOT_HIDDEN\", \"display\": {\"width\": 1280},"
                       " \"relations\": [{\"guest\": \"db\", \"is_together\": true},"
                       " {\"label\": \"app\", \"value\": \"7765\"}], \"cloud_init\": null}"),
        RAY_OK);
    assert_string_equal(fix->spec->image, "debian-13");
    assert_int_equal(fix->spec->vcpus, 2);
    assert_true(fix->spec->memory_bytes == UINT64_C(8) << 30);
    assert_int_equal(fix->spec->on_boot, RAYOS__SPEC__ON_BOOT__ON_BOOT_HIDDEN);
    assert_int_equal(fix->spec->display->width, 1280);
    assert_int_equal(fix->spec->n_relations, 2);
    assert_true(fix->spec->relations[0]->is_together);
    assert_int_equal(fix->spec->relations[1]->value.len, 2);
    assert_memory_equal(fix->spec->relations[1]->value.data, "we", 2);
    assert_null(fix->spec->cloud_init);
    assert_string_equal(fix->spec->domain, ""); /* left out */
    assert_int_equal(read_text(fix, "{}"), RAY_OK);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "no JSON"},
        {"[]", "the JSON is no object"},
        {"{\"vcpus\": 2,", "no JSON at byte"},
        {"{\"cpus\": 2}", "no key 'cpus' in GuestSpec"},
        {"{\"display\": {\"depth\": 2}}", "no key 'depth' in Display"},
        {"{\"vcpus\": 2, \"vcpus\": 3}", "key 'vcpus' is there twice"},
        {"{\"vcpus\": -1}", "key 'vcpus'"},
        {"{\"vcpus\": 4294967296}", "key 'vcpus'"},
        {"{\"vcpus\": 1.5}", "key 'vcpus'"},
        {"{\"vcpus\": \"2\"}", "key 'vcpus'"},
        {"{\"image\": 2}", "key 'image': a string"},
        {"{\"image\": \"a\\u0000b\"}", "key 'image': a string"},
        {"{\"on_boot\": 1}", "key 'on_boot'"},
        {"{\"on_boot\": \"LATER\"}", "key 'on_boot'"},
        {"{\"display\": []}", "key 'display': an object"},
        {"{\"networks\": {}}", "key 'networks': a list of objects"},
        {"{\"networks\": [1]}", "key 'networks': an object"},
        {"{\"networks\": [{\"mac\": \"02f\"}]}", "key 'mac': hex"},
        {"{\"networks\": [{\"mac\": \"0G\"}]}", "key 'mac': hex"},
        {"{\"relations\": [{\"is_together\": 1}]}", "key 'is_together': true or false"},
    };
    struct fix *fix = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(fix, cases[i].text), RAY_EUSAGE);
        if (strstr(fix->err.text, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].text, fix->err.text);
        }
    }
}

static void test_files(void **state)
{
    struct fix *fix = *state;
    struct ray_buf bytes;

    ray_buf_init(&bytes, 16);
    assert_int_equal(input_read_file("/nowhere/at/all", &bytes, &fix->err), RAY_ENOTFOUND);
    assert_int_equal(input_read_file("/proc/self/status", &bytes, &fix->err), RAY_ETOOBIG);
    ray_buf_fini(&bytes);
    ray_buf_init(&bytes, 1 << 20);
    assert_int_equal(input_read_file("/proc/self/status", &bytes, &fix->err), RAY_OK);
    assert_true(bytes.size > 16);
    ray_buf_fini(&bytes);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_fix, close_fix)
    static const struct CMUnitTest tests[] = {
        TEST(test_every_type),
        TEST(test_what_is_refused),
        TEST(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

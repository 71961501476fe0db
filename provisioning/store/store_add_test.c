/* A release is in the store whole or not at all, whatever is given and whatever fails. */
#include <fcntl.h>

#include "base/size.h"
#include "provisioning/store/store_fixture.h"
#include "provisioning/store/uki_fixture.h"

struct result {
    struct provision_store_add_wait wait;
    int answer_count;
    struct ray_err err;
    struct provision_store_added added;
};

static void on_added(void *arg, const struct provision_store_added *added,
                     const struct ray_err *err)
{
    struct result *result = arg;

    result->answer_count++;
    result->err = *err;
    if (added != NULL) {
        result->added = *added;
    }
}

static void prepare(struct result *result)
{
    *result = (struct result){.wait = {.cb = on_added, .arg = result}};
}

static int add_dir(struct fixture *fixture, struct result *result)
{
    int rc;

    prepare(result);
    rc = provision_store_add_dir(fixture->store, fixture->release, &result->wait, &result->err);
    while (rc == RAY_OK && result->answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    return rc != RAY_OK ? rc : result->err.code;
}

static size_t count_of(struct fixture *fixture)
{
    const struct provision_store_image *listed = NULL;

    return provision_store_list(fixture->store, &listed);
}

/* Nothing visible, and nothing after a restart either. */
static void expect_nothing(struct fixture *fixture)
{
    assert_int_equal(count_of(fixture), 0);
    fixture_reopen(fixture);
    assert_int_equal(count_of(fixture), 0);
}

static int open_source(const struct fixture *fixture, const char *name)
{
    char path[FIXTURE_PATH_SIZE];
    int fd;

    fixture_path(fixture->release, name, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_add_twice(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    fixture_release(fixture, "1");
    assert_int_equal(add_dir(fixture, &result), RAY_OK);
    assert_true(result.added.is_new);
    assert_string_equal(result.added.version, "1");
    assert_true(provision_is_sha256(result.added.id));
    assert_int_equal(add_dir(fixture, &result), RAY_OK);
    assert_false(result.added.is_new);
    assert_int_equal(count_of(fixture), 1);
    fixture_reopen(fixture);
    assert_int_equal(count_of(fixture), 1);
}

static void test_descriptors(void **state)
{
    static const char *const names[] = {"manifest.json", "rayos.efi", "vmlinuz", "initrd"};
    struct fixture *fixture = *state;
    struct provision_store_source sources[5];
    struct result result;

    fixture_release(fixture, "1");
    for (size_t i = 0; i < 4; i++) {
        sources[i] = (struct provision_store_source){names[i], open_source(fixture, names[i])};
        assert_int_equal(lseek(sources[i].fd, 3, SEEK_SET), 3); /* positions do not matter */
    }
    prepare(&result);
    /* One is missing. */
    assert_int_equal(provision_store_add(fixture->store, sources, 3, &result.wait, NULL), RAY_OK);
    while (result.answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(result.err.code, RAY_ENOTFOUND);
    expect_nothing(fixture);
    /* Names that are none of ours, or come twice; folders. */
    sources[4] = (struct provision_store_source){"initrd", sources[3].fd};
    assert_int_equal(provision_store_add(fixture->store, sources, 5, &result.wait, NULL),
                     RAY_EINVAL);
    sources[4].name = "../x";
    assert_int_equal(provision_store_add(fixture->store, sources, 5, &result.wait, NULL),
                     RAY_EINVAL);
    sources[4] = (struct provision_store_source){"initrd", AT_FDCWD};
    assert_int_equal(provision_store_add(fixture->store, &sources[4], 1, &result.wait, NULL),
                     RAY_EINVAL);
    assert_int_equal(provision_store_add(fixture->store, sources, 0, &result.wait, NULL), RAY_OK);
    prepare(&result);
    while (result.answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(result.err.code, RAY_ENOTFOUND);
    /* All are there; the caller's descriptors may go at once. */
    prepare(&result);
    assert_int_equal(provision_store_add(fixture->store, sources, 4, &result.wait, NULL), RAY_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(close(sources[i].fd), 0);
    }
    while (result.answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(result.err.code, RAY_OK);
    assert_int_equal(count_of(fixture), 1);
}

static void test_bad_releases(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    assert_int_equal(add_dir(fixture, &result), RAY_ENOTFOUND); /* an empty folder */
    fixture_release(fixture, "1");
    fixture_put(fixture->release, "initrd", "initrd of 2");
    assert_int_equal(add_dir(fixture, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "corrupt"));
    fixture_put(fixture->release, "initrd", "initrd of ");
    assert_int_equal(add_dir(fixture, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "less"));
    fixture_put(fixture->release, "initrd", "initrd of 1+");
    assert_int_equal(add_dir(fixture, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "more"));
    fixture_remove(fixture->release, "initrd");
    assert_int_equal(add_dir(fixture, &result), RAY_ENOTFOUND);
    fixture_put(fixture->release, "manifest.json", "{}");
    assert_int_equal(add_dir(fixture, &result), RAY_EMALFORMED);
    fixture_put(fixture->release, "manifest.json", "");
    assert_int_equal(add_dir(fixture, &result), RAY_EMALFORMED);
    expect_nothing(fixture);
}

static void put_bytes(const struct fixture *fixture, const char *name, const void *bytes,
                      size_t size)
{
    char path[FIXTURE_PATH_SIZE];
    FILE *file;

    fixture_path(fixture->release, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A release whose manifest names all three, of which only the UKI is there. */
static void put_uki_release(const struct fixture *fixture, const char *kernel, const char *initrd)
{
    const char *const contents[] = {NULL, "the kernel", "the initramfs"};
    char digests[PROVISION_FILE_COUNT][PROVISION_SHA256_TEXT_SIZE];
    uint8_t uki[UKI_FIXTURE_SIZE];
    char text[1024];
    int size;

    uki_fixture_make(uki, kernel, initrd);
    provision_hash_bytes(uki, sizeof(uki), digests[PROVISION_FILE_UKI]);
    for (int i = PROVISION_FILE_KERNEL; i < PROVISION_FILE_COUNT; i++) {
        provision_hash_bytes(contents[i], strlen(contents[i]), digests[i]);
    }
    size = snprintf(text, sizeof(text),
                    "{\"version\":\"1\",\"cmdline\":\"a\",\"files\":["
                    "{\"name\":\"rayos.efi\",\"size\":%d,\"sha256\":\"%s\"},"
                    "{\"name\":\"vmlinuz\",\"size\":%zu,\"sha256\":\"%s\"},"
                    "{\"name\":\"initrd\",\"size\":%zu,\"sha256\":\"%s\"}]}",
                    UKI_FIXTURE_SIZE, digests[0], strlen(contents[1]), digests[1],
                    strlen(contents[2]), digests[2]);
    assert_true(size > 0 && (size_t)size < sizeof(text));
    put_bytes(fixture, "rayos.efi", uki, sizeof(uki));
    fixture_put(fixture->release, PROVISION_MANIFEST_FILE, text);
}

static void expect_content(const struct fixture *fixture, const char *id, const char *name,
                           const char *content)
{
    char path[2 * FIXTURE_PATH_SIZE];
    char text[64] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", fixture->store_dir, id, name);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, content);
}

/* Kernel and initramfs come out of the UKI, and are checked like any others. */
static void test_only_the_uki(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    put_uki_release(fixture, "the kernel", "the other");
    assert_int_equal(add_dir(fixture, &result), RAY_ECONFLICT); /* too short */
    put_uki_release(fixture, "THE kernel", "the initramfs");
    assert_int_equal(add_dir(fixture, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "vmlinuz is corrupt"));
    expect_nothing(fixture);
    put_uki_release(fixture, "the kernel and padding", "the initramfs");
    assert_int_equal(add_dir(fixture, &result), RAY_OK);
    expect_content(fixture, result.added.id, "vmlinuz", "the kernel");
    expect_content(fixture, result.added.id, "initrd", "the initramfs");
    /* What is given is taken, not the UKI's. */
    put_uki_release(fixture, "some kernel", "the initramfs");
    fixture_put(fixture->release, "vmlinuz", "the kernel");
    assert_int_equal(add_dir(fixture, &result), RAY_OK);
    expect_content(fixture, result.added.id, "vmlinuz", "the kernel");
}

static void test_one_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct result results[2];

    fixture_release(fixture, "1");
    prepare(&results[0]);
    prepare(&results[1]);
    assert_int_equal(
        provision_store_add_dir(fixture->store, fixture->release, &results[0].wait, NULL), RAY_OK);
    assert_int_equal(
        provision_store_add_dir(fixture->store, fixture->release, &results[1].wait, NULL),
        RAY_EUNAVAILABLE);
    assert_int_equal(
        provision_store_collect(fixture->store, &provision_gc_rule_default, NULL, 0, 0, NULL),
        RAY_EUNAVAILABLE);
    while (results[0].answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(results[0].err.code, RAY_OK);
    assert_int_equal(results[1].answer_count, 0);
}

/* The store goes while an add runs: the folder is whole, or not there. */
static void test_destroyed(void **state)
{
    struct fixture *fixture = *state;
    struct result result;
    size_t count;

    fixture_release(fixture, "1");
    prepare(&result);
    assert_int_equal(provision_store_add_dir(fixture->store, fixture->release, &result.wait, NULL),
                     RAY_OK);
    provision_store_destroy(fixture->store);
    fixture->store = NULL;
    assert_int_equal(result.answer_count, 1);
    assert_int_equal(result.err.code, RAY_ECANCELED);
    /* Its job holds the lock until it ends. */
    while (provision_store_create(&fixture->store, &fixture->loop, fixture->store_dir, NULL) !=
           RAY_OK) {
        ray_loop_once(&fixture->loop);
    }
    count = count_of(fixture);
    assert_true(count <= 1);
    assert_int_equal(add_dir(fixture, &result), RAY_OK);
    assert_true(result.added.is_new == (count == 0));
}

static void test_full(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added;
    char version[16];

    for (int i = 0; i < PROVISION_STORE_COUNT_MAX; i++) {
        (void)snprintf(version, sizeof(version), "%d", i);
        fixture_add(fixture, version, &added);
    }
    fixture_release(fixture, "more");
    assert_int_equal(provision_store_add_dir_now(fixture->store, fixture->release, &added, NULL),
                     RAY_ETOOBIG);
    fixture_release(fixture, "7"); /* known ones are no more */
    assert_int_equal(provision_store_add_dir_now(fixture->store, fixture->release, &added, NULL),
                     RAY_OK);
    fixture_reopen(fixture);
    assert_int_equal(count_of(fixture), PROVISION_STORE_COUNT_MAX);
    assert_int_equal(
        provision_store_collect(fixture->store, &provision_gc_rule_default, NULL, 0, 0, NULL),
        PROVISION_STORE_COUNT_MAX - 3);
    assert_int_equal(count_of(fixture), 3);
}

/* Every step fails once: the store holds nothing then, also after a restart, and the next add
 * succeeds. */
static void expect_faults_survived(struct fixture *fixture)
{
    static const char *const points[] = {"alloc", "open", "read", "write", "fsync", "rename"};
    struct result result;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            const struct provision_store_image *listed = NULL;
            bool has_fired;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = add_dir(fixture, &result);
            has_fired = ray_test_fault_disarm();
            if (rc != RAY_OK) {
                assert_true(has_fired);
                expect_nothing(fixture);
                continue;
            }
            assert_int_equal(provision_store_list(fixture->store, &listed), 1);
            assert_int_equal(listed[0].state, PROVISION_STORE_UNVERIFIED);
            fixture_reopen(fixture);
            assert_int_equal(count_of(fixture), 1);
            assert_int_equal(provision_store_remove(fixture->store, result.added.id,
                                                    &provision_gc_rule_default, NULL, 0, 0, false,
                                                    NULL),
                             RAY_OK);
            if (!has_fired) {
                break;
            }
        }
    }
}

static void test_faults(void **state)
{
    struct fixture *fixture = *state;

    fixture_release(fixture, "1");
    expect_faults_survived(fixture);
}

static void test_faults_with_only_the_uki(void **state)
{
    struct fixture *fixture = *state;

    put_uki_release(fixture, "the kernel", "the initramfs");
    expect_faults_survived(fixture);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_add_twice),
        STORE_TEST(test_descriptors),
        STORE_TEST(test_bad_releases),
        STORE_TEST(test_one_at_a_time),
        STORE_TEST(test_destroyed),
        STORE_TEST(test_full),
        STORE_TEST(test_faults),
        STORE_TEST(test_only_the_uki),
        STORE_TEST(test_faults_with_only_the_uki),
    };
    return cmocka_run_group_tests_name("provisioning/store/store_add", tests, NULL, NULL);
}

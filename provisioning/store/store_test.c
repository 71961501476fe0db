/* The one promise: what is handed out is what the manifest says, whatever happens to files. */
#include <fcntl.h>

#include "base/size.h"
#include "provisioning/store/store_fixture.h"

struct result {
    struct provision_store_wait wait;
    int answer_count;
    struct ray_err err;
    char content[64];
};

static void on_file(void *arg, const struct provision_store_view *view, const struct ray_err *err)
{
    struct result *result = arg;

    result->answer_count++;
    result->err = *err;
    if (view != NULL) {
        ssize_t size = pread(view->fd, result->content, sizeof(result->content) - 1, 0);
        assert_true(size >= 0);
        assert_int_equal(size, view->manifest->files[view->file].size_bytes);
        result->content[size] = '\0';
    }
}

static void ask(struct fixture *fixture, const char *id, enum provision_file file,
                struct result *result)
{
    *result = (struct result){.wait = {.cb = on_file, .arg = result}};
    provision_store_use(fixture->store, id, file, &result->wait);
}

static int use(struct fixture *fixture, const char *id, enum provision_file file,
               struct result *result)
{
    ask(fixture, id, file, result);
    while (result->answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(result->answer_count, 1);
    return result->err.code;
}

static void image_dir(const struct fixture *fixture, const char *id,
                      char out[static FIXTURE_PATH_SIZE])
{
    fixture_path(fixture->store_dir, id, out);
}

static enum provision_store_state state_of(struct fixture *fixture, const char *id)
{
    struct provision_store_image image;

    assert_int_equal(provision_store_find(fixture->store, id, &image, NULL), RAY_OK);
    assert_true((image.state == PROVISION_STORE_DAMAGED) == (image.why[0] != '\0'));
    return image.state;
}

static void test_serves_all_files(void **state)
{
    static const char *const contents[] = {"rayos.efi of 1", "vmlinuz of 1", "initrd of 1"};
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result result;

    fixture_add(fixture, "1", &added);
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_UNVERIFIED);
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        assert_int_equal(use(fixture, added.id, (enum provision_file)i, &result), RAY_OK);
        assert_string_equal(result.content, contents[i]);
        /* Nothing changed: answered from within. */
        ask(fixture, added.id, (enum provision_file)i, &result);
        assert_int_equal(result.answer_count, 1);
    }
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_VERIFIED);
    assert_string_equal(provision_store_state_word(PROVISION_STORE_VERIFIED), "verified");
    added.id[0] = added.id[0] == '0' ? '1' : '0';
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_ENOTFOUND);
}

static void test_uki_only(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result result;
    char digest[PROVISION_SHA256_TEXT_SIZE];
    char text[512];

    provision_hash_bytes("u", 1, digest);
    (void)snprintf(text, sizeof(text),
                   "{\"version\":\"9\",\"cmdline\":\"a\",\"files\":[{\"name\":\"rayos.efi\","
                   "\"size\":1,\"sha256\":\"%s\"}]}",
                   digest);
    fixture_put(fixture->release, "manifest.json", text);
    fixture_put(fixture->release, "rayos.efi", "u");
    assert_int_equal(provision_store_add_dir_now(fixture->store, fixture->release, &added, NULL),
                     RAY_OK);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_OK);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_ENOTFOUND);
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_VERIFIED);
}

static void test_corrupt(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result result;
    char dir[FIXTURE_PATH_SIZE];

    fixture_add(fixture, "1", &added);
    image_dir(fixture, added.id, dir);
    fixture_put(dir, "vmlinuz", "vmlinuz of 2");
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "corrupt"));
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_DAMAGED);
    /* It is remembered until the file changes. */
    ask(fixture, added.id, PROVISION_FILE_KERNEL, &result);
    assert_int_equal(result.answer_count, 1);
    assert_int_equal(result.err.code, RAY_ECONFLICT);
    /* The others are as good as before. */
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_OK);
    fixture_put(dir, "vmlinuz", "vmlinuz of 1");
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_UNVERIFIED);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_OK);
    fixture_put(dir, "vmlinuz", "vmlinuz of 1, longer");
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_DAMAGED);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "20 bytes"));
    fixture_put(dir, "vmlinuz", "");
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_ECONFLICT);
    fixture_remove(dir, "vmlinuz");
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_DAMAGED);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_KERNEL, &result), RAY_ENOTFOUND);
}

static void test_special_files(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result result;
    char dir[FIXTURE_PATH_SIZE];
    char path[FIXTURE_PATH_SIZE];

    fixture_add(fixture, "1", &added);
    image_dir(fixture, added.id, dir);
    fixture_path(dir, "rayos.efi", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening must not wait for a writer */
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_ECONFLICT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_ECONFLICT);
}

/* Many wait for one check; the image goes while it runs, then the store. */
static void test_waits(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result results[20];

    fixture_add(fixture, "1", &added);
    for (int i = 0; i < 20; i++) {
        ask(fixture, added.id, PROVISION_FILE_UKI, &results[i]);
    }
    while (results[19].answer_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    for (int i = 0; i < 20; i++) {
        assert_int_equal(results[i].answer_count, 1);
        assert_int_equal(results[i].err.code, RAY_OK);
    }
    ask(fixture, added.id, PROVISION_FILE_KERNEL, &results[0]);
    assert_int_equal(provision_store_remove(fixture->store, added.id, &provision_gc_rule_default,
                                            NULL, 0, 0, false, NULL),
                     RAY_OK);
    assert_int_equal(results[0].answer_count, 1);
    assert_int_equal(results[0].err.code, RAY_ECANCELED);
    fixture_add(fixture, "2", &added);
    ask(fixture, added.id, PROVISION_FILE_UKI, &results[0]);
    provision_store_destroy(fixture->store);
    fixture->store = NULL;
    assert_int_equal(results[0].answer_count, 1);
    assert_int_equal(results[0].err.code, RAY_ECANCELED);
}

static void test_list_and_find(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store_added added[3];
    const struct provision_store_image *listed = NULL;
    struct provision_store_image found;
    char prefix[9] = "";

    assert_int_equal(provision_store_list(fixture->store, &listed), 0);
    fixture_add(fixture, "1", &added[0]);
    fixture_add(fixture, "2", &added[1]);
    fixture_add(fixture, "3", &added[2]);
    for (int round = 0; round < 2; round++) { /* as added, and as read again */
        assert_int_equal(provision_store_list(fixture->store, &listed), 3);
        for (int i = 0; i < 3; i++) {
            assert_string_equal(listed[i].id, added[2 - i].id);
            assert_string_equal(listed[i].manifest.version, added[2 - i].version);
            assert_true(i == 2 || listed[i].added_us > listed[i + 1].added_us);
        }
        fixture_reopen(fixture);
    }
    memcpy(prefix, added[1].id, 8);
    assert_int_equal(provision_store_find(fixture->store, prefix, &found, NULL), RAY_OK);
    assert_string_equal(found.id, added[1].id);
    prefix[5] = '\0'; /* too short to be one */
    assert_int_equal(provision_store_find(fixture->store, prefix, &found, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_store_find(fixture->store, "3", &found, NULL), RAY_OK);
    assert_string_equal(found.id, added[2].id);
    assert_int_equal(provision_store_find(fixture->store, "", &found, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_store_find(fixture->store, "4", &found, NULL), RAY_ENOTFOUND);
}

/* What others put into the folder neither shows nor hinders. */
static void test_foreign_content(void **state)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct fixture *fixture = *state;
    const struct provision_store_image *listed = NULL;
    struct provision_store_added added;
    struct result result;
    char dir[FIXTURE_PATH_SIZE];

    fixture_add(fixture, "1", &added);
    fixture_put(fixture->store_dir, "README", "hello");
    image_dir(fixture, zeros, dir);
    assert_int_equal(mkdir(dir, 0700), 0); /* an id without a manifest */
    fixture_path(fixture->store_dir, ".new", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    fixture_put(dir, "rayos.efi", "half");
    fixture_path(fixture->store_dir, ".old-1", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    fixture_reopen(fixture);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(provision_store_list(fixture->store, &listed), 2);
    assert_string_equal(listed[0].id, added.id);
    assert_int_equal(listed[1].state, PROVISION_STORE_DAMAGED);
    assert_int_equal(use(fixture, zeros, PROVISION_FILE_UKI, &result), RAY_ENOTFOUND);
    /* A manifest that is not what its id says. */
    image_dir(fixture, added.id, dir);
    fixture_put(dir, "manifest.json", "{}");
    fixture_reopen(fixture);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_ECONFLICT);
    assert_int_equal(state_of(fixture, added.id), PROVISION_STORE_DAMAGED);
    fixture_add(fixture, "1", &added); /* which repairs it */
    assert_true(added.is_new);
    assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_OK);
}

static void test_one_process(void **state)
{
    struct fixture *fixture = *state;
    struct provision_store *other = NULL;
    struct ray_err err = {0};

    assert_int_equal(provision_store_create(&other, &fixture->loop, fixture->store_dir, &err),
                     RAY_EEXISTS);
    assert_true(err.next_step[0] != '\0');
}

static void test_remove_and_collect(void **state)
{
    struct fixture *fixture = *state;
    const struct provision_gc_rule rule = {.keep_count = 1, .keep_us = 10};
    struct provision_store_added added[4];
    struct provision_gc_use uses[1] = {{.is_assigned = true}};
    const struct provision_store_image *listed = NULL;
    char dir[FIXTURE_PATH_SIZE];

    for (int i = 0; i < 4; i++) {
        char version[] = {(char)('1' + i), '\0'};
        fixture_add(fixture, version, &added[i]);
    }
    uses[0].id = added[0].id;
    assert_int_equal(
        provision_store_remove(fixture->store, added[0].id, &rule, uses, 1, 0, false, NULL),
        RAY_ECONFLICT);
    assert_int_equal(provision_store_collect(fixture->store, &rule, uses, 1, 0, NULL), 2);
    assert_int_equal(provision_store_list(fixture->store, &listed), 2);
    assert_string_equal(listed[0].id, added[3].id);
    assert_string_equal(listed[1].id, added[0].id);
    assert_int_equal(
        provision_store_remove(fixture->store, added[0].id, &rule, uses, 1, 0, true, NULL), RAY_OK);
    assert_int_equal(
        provision_store_remove(fixture->store, added[0].id, &rule, NULL, 0, 0, false, NULL),
        RAY_ENOTFOUND);
    image_dir(fixture, added[0].id, dir);
    assert_int_equal(access(dir, F_OK), -1);
    fixture_reopen(fixture);
    assert_int_equal(provision_store_list(fixture->store, &listed), 1);
}

/* A use that fails for want of something is not remembered; a remove leaves all or nothing. */
static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    struct fixture *fixture = *state;
    struct provision_store_added added;
    struct result result;
    char dir[FIXTURE_PATH_SIZE];

    fixture_add(fixture, "1", &added);
    image_dir(fixture, added.id, dir);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            int rc;

            fixture_put(dir, "rayos.efi", "rayos.efi of 1"); /* a new time: a new check */
            ray_test_fault_arm(points[i], n);
            rc = use(fixture, added.id, PROVISION_FILE_UKI, &result);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_int_not_equal(rc, RAY_OK);
            assert_int_equal(use(fixture, added.id, PROVISION_FILE_UKI, &result), RAY_OK);
        }
    }
}

static void test_open_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read", "fsync"};
    struct fixture *fixture = *state;
    struct provision_store_added added;

    fixture_add(fixture, "1", &added);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            int rc;

            provision_store_destroy(fixture->store);
            fixture->store = NULL;
            ray_test_fault_arm(points[i], n);
            rc = provision_store_create(&fixture->store, &fixture->loop, fixture->store_dir, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            /* It does not open, or the one image is shown as damaged, or its time as unknown. */
            assert_true(rc != RAY_OK ||
                        provision_store_list(fixture->store,
                                             &(const struct provision_store_image *){NULL}) == 1);
        }
    }
}

static void test_remove_faults(void **state)
{
    static const char *const points[] = {"open", "fsync", "rename"};
    struct fixture *fixture = *state;
    const struct provision_store_image *listed = NULL;
    struct provision_store_added added;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            size_t before;
            int rc;
            bool has_fired;

            fixture_add(fixture, "1", &added);
            ray_test_fault_arm(points[i], n);
            rc = provision_store_remove(fixture->store, added.id, &provision_gc_rule_default, NULL,
                                        0, 0, false, NULL);
            has_fired = ray_test_fault_disarm();
            before = provision_store_list(fixture->store, &listed);
            assert_true(before == 0 || rc != RAY_OK);
            fixture_reopen(fixture);
            assert_int_equal(provision_store_list(fixture->store, &listed), before);
            if (!has_fired) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
        }
    }
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_serves_all_files),
        STORE_TEST(test_uki_only),
        STORE_TEST(test_corrupt),
        STORE_TEST(test_special_files),
        STORE_TEST(test_waits),
        STORE_TEST(test_list_and_find),
        STORE_TEST(test_foreign_content),
        STORE_TEST(test_one_process),
        STORE_TEST(test_remove_and_collect),
        STORE_TEST(test_faults),
        STORE_TEST(test_open_faults),
        STORE_TEST(test_remove_faults),
    };
    return cmocka_run_group_tests_name("provisioning/store/store", tests, NULL, NULL);
}

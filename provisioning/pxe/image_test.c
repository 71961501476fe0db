/* The one promise: what is handed out is what the manifest says, whatever happens to files. */
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "provisioning/pxe/image.h"

struct place {
    char dir[64];
    struct ray_loop loop;
    struct provision_image *image;
};

struct result {
    struct provision_image_wait wait;
    int answer_count;
    struct ray_err err;
    char content[64];
};

static void path_of(const struct place *place, const char *name, char out[static 128])
{
    (void)snprintf(out, 128, "%s/%s", place->dir, name);
}

static void put_file(const struct place *place, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    path_of(place, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const struct place *place, const char *name)
{
    char path[128];

    path_of(place, name, path);
    (void)unlink(path);
}

static void put_manifest(const struct place *place, const char *content)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[65];
    char text[512];

    (void)crypto_hash_sha256(digest, (const uint8_t *)content, strlen(content));
    (void)sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    (void)snprintf(text, sizeof(text),
                   "{\"version\":\"1\",\"cmdline\":\"a\",\"files\":[{\"name\":\"rayos.efi\","
                   "\"size\":%zu,\"sha256\":\"%s\"}]}",
                   strlen(content), hex);
    put_file(place, "manifest.json", text);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/image-test-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    assert_int_equal(ray_loop_init(&place->loop, NULL), RAY_OK);
    put_file(place, "rayos.efi", "the image");
    put_manifest(place, "the image");
    assert_int_equal(provision_image_create(&place->image, &place->loop, place->dir, NULL), RAY_OK);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    provision_image_destroy(place->image);
    ray_loop_fini(&place->loop);
    remove_file(place, "rayos.efi");
    remove_file(place, "manifest.json");
    (void)rmdir(place->dir);
    free(place);
    return 0;
}

static void on_image(void *arg, const struct provision_image_view *view, const struct ray_err *err)
{
    struct result *result = arg;

    result->answer_count++;
    result->err = *err;
    if (view != NULL) {
        ssize_t size = pread(view->fd, result->content, sizeof(result->content) - 1, 0);
        assert_true(size >= 0);
        result->content[size] = '\0';
    }
}

static void prepare(struct result *result)
{
    *result = (struct result){.wait = {.cb = on_image, .arg = result}};
}

static int use(struct place *place, struct result *result)
{
    prepare(result);
    provision_image_use(place->image, &result->wait);
    while (result->answer_count == 0) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(result->answer_count, 1);
    return result->err.code;
}

static void test_good(void **state)
{
    struct place *place = *state;
    struct result result;

    assert_int_equal(use(place, &result), RAY_OK);
    assert_string_equal(result.content, "the image");
    /* Nothing changed: answered from within. */
    prepare(&result);
    provision_image_use(place->image, &result.wait);
    assert_int_equal(result.answer_count, 1);
    assert_int_equal(provision_image_check_now(place->image, NULL), RAY_OK);
}

static void test_corrupt(void **state)
{
    struct place *place = *state;
    struct result result;
    struct ray_err err = {0};

    put_file(place, "rayos.efi", "the imaGe");
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "corrupt"));
    assert_int_equal(provision_image_state(place->image, &err), RAY_ECONFLICT);
    /* It is remembered until a file changes. */
    prepare(&result);
    provision_image_use(place->image, &result.wait);
    assert_int_equal(result.answer_count, 1);
    assert_int_equal(result.err.code, RAY_ECONFLICT);
    put_file(place, "rayos.efi", "the image");
    assert_int_equal(use(place, &result), RAY_OK);
    put_file(place, "rayos.efi", "the image, longer");
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
    assert_non_null(strstr(result.err.text, "17 bytes"));
    put_file(place, "rayos.efi", "");
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
}

/* A new image comes: first the file, then the manifest; in between nothing is served. */
static void test_replaced(void **state)
{
    struct place *place = *state;
    struct result result;

    assert_int_equal(use(place, &result), RAY_OK);
    remove_file(place, "rayos.efi");
    assert_int_equal(use(place, &result), RAY_ENOTFOUND);
    put_file(place, "rayos.efi", "another image");
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
    put_manifest(place, "another image");
    assert_int_equal(use(place, &result), RAY_OK);
    assert_string_equal(result.content, "another image");
    put_file(place, "manifest.json", "{");
    assert_int_equal(use(place, &result), RAY_EMALFORMED);
    remove_file(place, "manifest.json");
    assert_int_equal(use(place, &result), RAY_ENOTFOUND);
}

static void test_special_files(void **state)
{
    struct place *place = *state;
    struct result result;
    char path[128];

    path_of(place, "rayos.efi", path);
    remove_file(place, "rayos.efi");
    assert_int_equal(mkfifo(path, 0600), 0); /* opening must not wait for a writer */
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
    remove_file(place, "rayos.efi");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(use(place, &result), RAY_ECONFLICT);
    (void)rmdir(path);
}

/* Many wait for one check; the object goes while it runs. */
static void test_waits(void **state)
{
    struct place *place = *state;
    struct result results[20];

    for (int i = 0; i < 20; i++) {
        prepare(&results[i]);
        provision_image_use(place->image, &results[i].wait);
    }
    while (results[19].answer_count == 0) {
        ray_loop_once(&place->loop);
    }
    for (int i = 0; i < 20; i++) {
        assert_int_equal(results[i].answer_count, 1);
        assert_int_equal(results[i].err.code, RAY_OK);
    }
    put_file(place, "rayos.efi", "changed");
    prepare(&results[0]);
    provision_image_use(place->image, &results[0].wait);
    provision_image_destroy(place->image);
    place->image = NULL;
    assert_int_equal(results[0].answer_count, 1);
    assert_int_equal(results[0].err.code, RAY_ECANCELED);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    struct place *place = *state;
    struct result result;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        for (unsigned n = 1;; n++) {
            int rc;

            put_file(place, "rayos.efi", "the image"); /* a new time: a new check */
            ray_test_fault_arm(points[i], n);
            rc = use(place, &result);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_int_not_equal(rc, RAY_OK);
            assert_int_equal(use(place, &result), RAY_OK); /* not remembered */
        }
    }
    provision_image_destroy(place->image);
    place->image = NULL;
    ray_test_fault_arm("alloc", 1);
    int rc = provision_image_create(&place->image, &place->loop, place->dir, NULL);
    assert_int_equal(rc, ray_test_fault_disarm() ? RAY_ENOMEM : RAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_special_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/image", tests, NULL, NULL);
}

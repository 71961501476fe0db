/* provisioning/store/store_fixture.h - for tests: a store in a folder of its own, and releases to
 * put into it.
 *
 * Memory: as each function says.  Threads: the test's.  Blocks: on the disk.
 * Trust: tests only. */
#ifndef RAY_PROVISIONING_STORE_STORE_FIXTURE_H
#define RAY_PROVISIONING_STORE_STORE_FIXTURE_H

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "provisioning/store/content.h"
#include "provisioning/store/store.h"

enum { FIXTURE_PATH_SIZE = 256 };

struct fixture {
    char dir[64]; /* the store is DIR/store, releases are made as DIR/release */
    char store_dir[FIXTURE_PATH_SIZE];
    char release[FIXTURE_PATH_SIZE];
    struct ray_loop loop;
    struct provision_store *store;
};

static inline void fixture_path(const char *dir, const char *name,
                                char out[static FIXTURE_PATH_SIZE])
{
    (void)snprintf(out, FIXTURE_PATH_SIZE, "%.180s/%.70s", dir, name);
}

static inline void fixture_put(const char *dir, const char *name, const char *text)
{
    char path[FIXTURE_PATH_SIZE];
    FILE *file;

    fixture_path(dir, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void fixture_remove(const char *dir, const char *name)
{
    char path[FIXTURE_PATH_SIZE];

    fixture_path(dir, name, path);
    (void)unlink(path);
}

/* Makes the release folder say what `version` and the contents are ("kernel VERSION"). */
static inline void fixture_release(const struct fixture *fixture, const char *version)
{
    char text[2048];
    size_t at = (size_t)snprintf(text, sizeof(text),
                                 "{\"version\":\"%s\",\"cmdline\":\"a=b\",\"files\":[", version);

    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        const char *name = provision_file_name((enum provision_file)i);
        char digest[PROVISION_SHA256_TEXT_SIZE];
        char content[128];

        (void)snprintf(content, sizeof(content), "%s of %s", name, version);
        provision_hash_bytes(content, strlen(content), digest);
        fixture_put(fixture->release, name, content);
        at += (size_t)snprintf(&text[at], sizeof(text) - at,
                               "%s{\"name\":\"%s\",\"size\":%zu,\"sha256\":\"%s\"}",
                               i == 0 ? "" : ",", name, strlen(content), digest);
    }
    (void)snprintf(&text[at], sizeof(text) - at, "]}");
    fixture_put(fixture->release, PROVISION_MANIFEST_FILE, text);
}

/* Adds the release folder as it is; the id is in *out_added. */
static inline void fixture_add(struct fixture *fixture, const char *version,
                               struct provision_store_added *out_added)
{
    struct ray_err err = {0};

    fixture_release(fixture, version);
    if (provision_store_add_dir_now(fixture->store, fixture->release, out_added, &err) != RAY_OK) {
        fail_msg("add %s: %s", version, err.text);
    }
}

static inline void fixture_reopen(struct fixture *fixture)
{
    struct ray_err err = {0};

    provision_store_destroy(fixture->store);
    fixture->store = NULL;
    if (provision_store_create(&fixture->store, &fixture->loop, fixture->store_dir, &err) !=
        RAY_OK) {
        fail_msg("open: %s", err.text);
    }
}

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture_path(fixture->dir, "store", fixture->store_dir);
    fixture_path(fixture->dir, "release", fixture->release);
    assert_int_equal(mkdir(fixture->release, 0700), 0);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    fixture_reopen(fixture);
    *state = fixture;
    return 0;
}

static inline int fixture_delete(const char *path, const struct stat *st, int kind,
                                 struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    provision_store_destroy(fixture->store);
    ray_loop_fini(&fixture->loop);
    (void)nftw(fixture->dir, fixture_delete, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

#endif

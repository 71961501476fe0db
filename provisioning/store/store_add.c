/* An add runs as one job in the pool, which owns its descriptors and holds the store's lock: so
 * it may outlive the store. Which releases are here already, and the time, it is told at its
 * start; the loop puts the result into the table. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "provisioning/store/store.h"
#include "provisioning/store/store_internal.h"

enum { MANIFEST_SLOT = PROVISION_FILE_COUNT, SLOT_COUNT = PROVISION_STORE_SOURCE_COUNT_MAX };

struct store_add_job {
    uv_work_t work;
    struct provision_store *store; /* NULL: nobody wants the result */
    struct provision_store_add_wait *wait;
    int dir_fd;          /* own; shares the lock */
    int fds[SLOT_COUNT]; /* own; -1: not given */
    char sound_ids[PROVISION_STORE_COUNT_MAX][PROVISION_SHA256_TEXT_SIZE];
    size_t sound_count;
    bool is_full;
    /* the result */
    struct store_folder_facts facts;
    struct provision_store_added added;
    struct ray_err err;
};

static void job_free(struct store_add_job *job)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        if (job->fds[i] >= 0) {
            (void)close(job->fds[i]); /* read only */
        }
    }
    if (job->dir_fd >= 0) {
        (void)close(job->dir_fd);
    }
    free(job);
}

/* --- in the pool --- */

static bool is_sound(const struct store_add_job *job, const char *id)
{
    for (size_t i = 0; i < job->sound_count; i++) {
        if (strcmp(job->sound_ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static int add_text(struct store_add_job *job, const uint8_t *text, size_t size)
{
    struct ray_err *err = &job->err;
    char *id = job->facts.id;
    int rc = provision_manifest_parse(text, size, &job->facts.manifest, err);

    if (rc != RAY_OK) {
        return ray_wrap(err, rc, PROVISION_MANIFEST_FILE);
    }
    provision_hash_bytes(text, size, id);
    memcpy(job->added.id, id, sizeof(job->added.id));
    memcpy(job->added.version, job->facts.manifest.version, sizeof(job->added.version));
    if (is_sound(job, id)) {
        return RAY_OK;
    }
    if (job->is_full && faccessat(job->dir_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        (void)ray_fail(err, RAY_ETOOBIG, "there are %d images already", PROVISION_STORE_COUNT_MAX);
        (void)ray_next(err, "clusterctl image-release remove ID");
        return RAY_ETOOBIG;
    }
    job->added.is_new = true;
    return store_folder_add(job->dir_fd, text, size, &job->facts.manifest, job->fds,
                            job->facts.added_us, id, err);
}

static void add_run(struct store_add_job *job)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc;

    if (job->fds[MANIFEST_SLOT] < 0) {
        rc = ray_fail(&job->err, RAY_ENOTFOUND, PROVISION_MANIFEST_FILE " is missing");
    } else {
        rc = provision_read_file(job->fds[MANIFEST_SLOT], PROVISION_MANIFEST_FILE,
                                 PROVISION_MANIFEST_SIZE_MAX, &text, &size, &job->err);
    }
    if (rc == RAY_OK) {
        rc = add_text(job, text, size);
    }
    free(text);
    job->err.code = rc;
}

static void work_run(uv_work_t *work)
{
    add_run(work->data);
}

/* --- on the loop --- */

/* Takes the result into the table. */
static int adopt(struct provision_store *store, struct store_add_job *job)
{
    struct store_image *image = NULL;
    size_t index = 0;
    int rc = job->err.code;

    if (rc != RAY_OK) {
        return rc;
    }
    if (!job->added.is_new) {
        return store_find(store, job->added.id, &index) != NULL
                   ? RAY_OK
                   : ray_fail(&job->err, RAY_ECONFLICT, "image %.12s was removed meanwhile",
                              job->added.id);
    }
    rc = store_image_create(&image, store, &job->facts, &job->err);
    if (rc != RAY_OK) {
        (void)store_folder_remove(store->dir_fd, job->added.id, NULL);
    }
    if (store_find(store, job->added.id, &index) != NULL) {
        store_image_destroy(store_take(store, index), RAY_ECANCELED, "the image was replaced");
    }
    if (rc == RAY_OK) {
        store_put_first(store, image);
    }
    return rc;
}

static void work_done(uv_work_t *work, int status)
{
    struct store_add_job *job = work->data;

    assert(status == 0); /* nobody cancels it */
    if (job->store != NULL) {
        int rc;

        job->store->add = NULL;
        rc = adopt(job->store, job);
        job->err.code = rc;
        job->wait->cb(job->wait->arg, rc == RAY_OK ? &job->added : NULL, &job->err);
    }
    job_free(job);
}

void store_add_abandon(struct provision_store *store)
{
    struct store_add_job *job = store->add;
    struct ray_err err = {0};

    if (job == NULL) {
        return;
    }
    store->add = NULL;
    job->store = NULL; /* it frees itself when it comes back */
    (void)ray_fail(&err, RAY_ECANCELED, "the service is stopping");
    job->wait->cb(job->wait->arg, NULL, &err);
}

static void tell_what_is_here(struct provision_store *store, struct store_add_job *job)
{
    const struct provision_store_image *listed = NULL;
    size_t count = provision_store_list(store, &listed);
    uint64_t now_us = ray_clock_realtime_ns() / RAY_NS_PER_US;

    job->facts.added_us = now_us;
    for (size_t i = 0; i < count; i++) {
        if (listed[i].state != PROVISION_STORE_DAMAGED) {
            memcpy(job->sound_ids[job->sound_count], listed[i].id, sizeof(listed[i].id));
            job->sound_count++;
        }
        /* A clock that went back must not make the newest look old. */
        if (listed[i].added_us >= job->facts.added_us && listed[i].added_us < UINT64_MAX) {
            job->facts.added_us = listed[i].added_us + 1;
        }
    }
    job->is_full = count == PROVISION_STORE_COUNT_MAX;
}

static int job_create(struct store_add_job **out_job, struct provision_store *store,
                      struct ray_err *err)
{
    struct store_add_job *job;

    if (store->add != NULL) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "another image is being added");
        (void)ray_next(err, "try again when it is done");
        return RAY_EUNAVAILABLE;
    }
    job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*job));
    if (job == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to add an image");
    }
    job->work.data = job;
    job->store = store;
    for (int i = 0; i < SLOT_COUNT; i++) {
        job->fds[i] = -1;
    }
    job->dir_fd = ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : fcntl(store->dir_fd, F_DUPFD_CLOEXEC, 3);
    if (job->dir_fd < 0) {
        int rc = ray_fail_errno(err, errno, "add an image");
        job_free(job);
        return rc;
    }
    tell_what_is_here(store, job);
    *out_job = job;
    return RAY_OK;
}

static bool find_slot(const char *name, size_t *out_slot)
{
    enum provision_file file = PROVISION_FILE_UKI;

    if (strcmp(name, PROVISION_MANIFEST_FILE) == 0) {
        *out_slot = MANIFEST_SLOT;
        return true;
    }
    if (provision_file_find(name, &file)) {
        *out_slot = file;
        return true;
    }
    return false;
}

static int take_sources(struct store_add_job *job, const struct provision_store_source *sources,
                        size_t source_count, struct ray_err *err)
{
    for (size_t i = 0; i < source_count; i++) {
        size_t slot = 0;
        struct stat st;

        if (!find_slot(sources[i].name, &slot) || job->fds[slot] >= 0) {
            return ray_fail(err, RAY_EINVAL, "'%.64s' is no file of an image, or given twice",
                            sources[i].name);
        }
        if (fstat(sources[i].fd, &st) != 0 || !S_ISREG(st.st_mode)) {
            return ray_fail(err, RAY_EINVAL, "%s is no regular file", sources[i].name);
        }
        job->fds[slot] =
            ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : fcntl(sources[i].fd, F_DUPFD_CLOEXEC, 3);
        if (job->fds[slot] < 0) {
            return ray_fail_errno(err, errno, "add an image");
        }
    }
    return RAY_OK;
}

/* What is not there is told when the manifest names it. */
static int take_dir(struct store_add_job *job, const char *dir, struct ray_err *err)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        const char *name = i == MANIFEST_SLOT ? PROVISION_MANIFEST_FILE
                                              : provision_file_name((enum provision_file)i);
        char path[PATH_MAX];
        struct stat st;
        int rc;

        if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
            return ray_fail(err, RAY_ETOOBIG, "the path of the image folder is too long");
        }
        rc = provision_open_file(AT_FDCWD, path, &job->fds[i], &st, err);
        if (rc == RAY_ENOTFOUND && i == MANIFEST_SLOT) {
            (void)ray_next(err, "make image");
            return rc;
        }
        if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
            return rc;
        }
    }
    return RAY_OK;
}

static int queue(struct store_add_job *job, struct provision_store_add_wait *wait,
                 struct ray_err *err)
{
    int status = uv_queue_work(&job->store->loop->uv, &job->work, work_run, work_done);

    if (status != 0) {
        return ray_fail_uv(err, status, "queue the copy of an image");
    }
    job->wait = wait;
    job->store->add = job;
    return RAY_OK;
}

int provision_store_add(struct provision_store *store, const struct provision_store_source *sources,
                        size_t source_count, struct provision_store_add_wait *wait,
                        struct ray_err *err)
{
    struct store_add_job *job = NULL;
    int rc = job_create(&job, store, err);

    if (rc != RAY_OK) {
        return rc;
    }
    assert(job != NULL);
    rc = take_sources(job, sources, source_count, err);
    if (rc == RAY_OK) {
        rc = queue(job, wait, err);
    }
    if (rc != RAY_OK) {
        job_free(job);
    }
    return rc;
}

int provision_store_add_dir(struct provision_store *store, const char *dir,
                            struct provision_store_add_wait *wait, struct ray_err *err)
{
    struct store_add_job *job = NULL;
    int rc = job_create(&job, store, err);

    if (rc != RAY_OK) {
        return rc;
    }
    assert(job != NULL);
    rc = take_dir(job, dir, err);
    if (rc == RAY_OK) {
        rc = queue(job, wait, err);
    }
    if (rc != RAY_OK) {
        job_free(job);
    }
    return rc;
}

int provision_store_add_dir_now(struct provision_store *store, const char *dir,
                                struct provision_store_added *out_added, struct ray_err *err)
{
    struct store_add_job *job = NULL;
    int rc = job_create(&job, store, err);

    if (rc != RAY_OK) {
        return rc;
    }
    assert(job != NULL);
    rc = take_dir(job, dir, err);
    if (rc == RAY_OK) {
        add_run(job);
        rc = adopt(store, job);
        if (rc == RAY_OK) {
            *out_added = job->added;
        } else if (err != NULL) {
            *err = job->err;
        }
    }
    job_free(job);
    return rc;
}

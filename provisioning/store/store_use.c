/* A file is handed out by the descriptor that was hashed, while stat says that it is still the
 * same file; else a job in the pool hashes it first, one for each file, and all who wait get its
 * result. A job outlives its image: it owns its descriptors and is told when nobody wants it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "provisioning/store/store.h"
#include "provisioning/store/store_internal.h"

struct store_verify_job {
    uv_work_t work;
    struct store_image *image; /* NULL: nobody wants the result */
    enum provision_file file;
    int dir_fd; /* own */
    char path[STORE_PATH_SIZE];
    struct provision_manifest_file wanted;
    struct store_check check;
};

static void check_fini(struct store_check *check)
{
    if (check->fd >= 0) {
        (void)close(check->fd); /* read only */
        check->fd = -1;
    }
}

/* --- in the pool --- */

static int verify(struct store_verify_job *job)
{
    struct store_check *check = &job->check;
    char digest[PROVISION_SHA256_TEXT_SIZE];
    struct provision_identity after;
    struct stat st = {0};
    int rc = provision_open_file(job->dir_fd, job->path, &check->fd, &st, &check->err);

    if (rc != RAY_OK) {
        return rc;
    }
    check->identity = provision_identity_of(&st);
    if ((uint64_t)st.st_size != job->wanted.size_bytes) {
        return ray_fail(&check->err, RAY_ECONFLICT, "%s has %jd bytes, the manifest says %" PRIu64,
                        job->path, (intmax_t)st.st_size, job->wanted.size_bytes);
    }
    rc = provision_hash_file(check->fd, job->path, digest, &check->err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (strcmp(digest, job->wanted.sha256) != 0) {
        return ray_fail(&check->err, RAY_ECONFLICT,
                        "%s is corrupt: its SHA-256 is %.16s..., the manifest says %.16s...",
                        job->path, digest, job->wanted.sha256);
    }
    if (fstat(check->fd, &st) != 0) {
        return ray_fail_errno(&check->err, errno, "stat %s", job->path);
    }
    after = provision_identity_of(&st);
    if (!provision_identity_is_same(&after, &check->identity)) {
        return ray_fail(&check->err, RAY_ECONFLICT, "%s changed while it was verified", job->path);
    }
    return RAY_OK;
}

static void job_run(uv_work_t *work)
{
    struct store_verify_job *job = work->data;
    int rc;

    job->check.identity = provision_identity_at(job->dir_fd, job->path);
    rc = verify(job);
    if (rc != RAY_OK) {
        check_fini(&job->check);
    }
    job->check.err.code = rc;
}

/* --- on the loop --- */

static void wait_put(struct store_file *file, struct provision_store_wait *wait)
{
    wait->next = NULL;
    *file->waits_end = wait;
    file->waits_end = &wait->next;
}

/* Hands every wait the result. The list is taken first: a callback may wait again. */
static void answer_waits(struct store_image *image, enum provision_file which,
                         const struct ray_err *err)
{
    struct store_file *file = &image->files[which];
    struct provision_store_wait *wait = file->waits;
    const struct provision_store_view view = {.id = image->facts.id,
                                              .manifest = &image->facts.manifest,
                                              .file = which,
                                              .fd = file->last.fd};

    file->waits = NULL;
    file->waits_end = &file->waits;
    image->store->answer_depth++;
    while (wait != NULL) {
        struct provision_store_wait *next = wait->next;
        wait->cb(wait->arg, err->code == RAY_OK ? &view : NULL, err);
        wait = next;
    }
    image->store->answer_depth--;
}

/* A failure of ours, not of the file, is not worth remembering. */
static bool is_lasting(int code)
{
    return code == RAY_OK || code == RAY_ENOTFOUND || code == RAY_ECONFLICT;
}

static void job_done(uv_work_t *work, int status)
{
    struct store_verify_job *job = work->data;

    assert(status == 0); /* nobody cancels it */
    (void)close(job->dir_fd);
    if (job->image == NULL) {
        check_fini(&job->check);
    } else {
        struct store_file *file = &job->image->files[job->file];

        check_fini(&file->last);
        file->last = job->check;
        file->has_checked = is_lasting(job->check.err.code);
        file->job = NULL;
        answer_waits(job->image, job->file, &job->check.err);
    }
    free(job);
}

static int start_job(struct store_image *image, enum provision_file which, struct ray_err *err)
{
    struct store_verify_job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*job));
    int status;

    if (job == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to verify an image");
    }
    job->work.data = job;
    job->image = image;
    job->file = which;
    job->wanted = image->facts.manifest.files[which];
    job->check.fd = -1;
    store_folder_path(image->facts.id, provision_file_name(which), job->path);
    job->dir_fd =
        ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : fcntl(image->store->dir_fd, F_DUPFD_CLOEXEC, 3);
    if (job->dir_fd < 0) {
        int rc = ray_fail_errno(err, errno, "verify an image");
        free(job);
        return rc;
    }
    status = uv_queue_work(&image->store->loop->uv, &job->work, job_run, job_done);
    if (status != 0) {
        (void)close(job->dir_fd);
        free(job);
        return ray_fail_uv(err, status, "queue the verification of an image");
    }
    image->files[which].job = job;
    return RAY_OK;
}

static struct provision_identity identity_now(const struct store_image *image,
                                              enum provision_file which)
{
    char path[STORE_PATH_SIZE];

    store_folder_path(image->facts.id, provision_file_name(which), path);
    return provision_identity_at(image->store->dir_fd, path);
}

static bool is_up_to_date(const struct store_file *file, const struct provision_identity *now)
{
    return file->has_checked && provision_identity_is_same(now, &file->last.identity);
}

enum provision_store_state store_file_state(const struct store_image *image,
                                            enum provision_file which, const char **out_why)
{
    const struct store_file *file = &image->files[which];
    const struct provision_identity now = identity_now(image, which);

    if (now.inode == 0) {
        *out_why = "a file is missing";
        return PROVISION_STORE_DAMAGED;
    }
    if ((uint64_t)now.size != image->facts.manifest.files[which].size_bytes) {
        *out_why = "a file has another size than the manifest says";
        return PROVISION_STORE_DAMAGED;
    }
    if (!is_up_to_date(file, &now)) {
        return PROVISION_STORE_UNVERIFIED;
    }
    if (file->last.err.code != RAY_OK) {
        *out_why = file->last.err.text;
        return PROVISION_STORE_DAMAGED;
    }
    return PROVISION_STORE_VERIFIED;
}

static void refuse(const struct provision_store_wait *wait, const struct ray_err *err)
{
    wait->cb(wait->arg, NULL, err);
}

void provision_store_use(struct provision_store *store, const char *id, enum provision_file which,
                         struct provision_store_wait *wait)
{
    size_t index = 0;
    struct store_image *image = store_find(store, id, &index);
    struct ray_err err = {0};

    assert(which < PROVISION_FILE_COUNT);
    if (image == NULL) {
        (void)ray_fail(&err, RAY_ENOTFOUND, "there is no image %.64s", id);
        refuse(wait, &err);
    } else if (image->facts.err.code != RAY_OK) {
        refuse(wait, &image->facts.err);
    } else if (image->facts.manifest.files[which].size_bytes == 0) {
        (void)ray_fail(&err, RAY_ENOTFOUND, "image %.12s has no %s", id,
                       provision_file_name(which));
        refuse(wait, &err);
    } else {
        struct store_file *file = &image->files[which];
        const struct provision_identity now = identity_now(image, which);

        wait_put(file, wait);
        if (file->job != NULL) {
            return; /* it answers all */
        }
        if (is_up_to_date(file, &now)) {
            answer_waits(image, which, &file->last.err);
        } else if (start_job(image, which, &err) != RAY_OK) {
            answer_waits(image, which, &err);
        }
    }
}

/* --- an image comes and goes --- */

int store_image_create(struct store_image **out_image, struct provision_store *store,
                       const struct store_folder_facts *facts, struct ray_err *err)
{
    struct store_image *image = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*image));

    if (image == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an image");
    }
    image->store = store;
    image->facts = *facts;
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        image->files[i].last.fd = -1;
        image->files[i].waits_end = &image->files[i].waits;
    }
    *out_image = image;
    return RAY_OK;
}

void store_image_destroy(struct store_image *image, int code, const char *text)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, code, "%s", text);
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        struct store_file *file = &image->files[i];

        if (file->job != NULL) {
            file->job->image = NULL; /* it frees itself when it comes back */
            file->job = NULL;
        }
        answer_waits(image, (enum provision_file)i, &err);
        check_fini(&file->last);
    }
    free(image);
}

#include "provisioning/pxe/image.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"

enum { BLOCK_SIZE = 1 << 20 };

/* What tells one state of a file from another; zeroed when it is missing. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    struct timespec modified;
};

/* One check: where to look, what was there, what came of it. */
struct check {
    char manifest_path[PATH_MAX];
    char image_path[PATH_MAX];
    struct identity manifest_identity;
    struct identity image_identity;
    struct provision_manifest manifest;
    int fd; /* -1 unless err.code is RAY_OK */
    struct ray_err err;
};

struct job {
    uv_work_t work;
    struct provision_image *image; /* NULL: nobody wants the result */
    struct check check;
};

struct provision_image {
    struct ray_loop *loop;
    struct check last; /* the result that holds */
    bool has_checked;
    struct job *job; /* in the pool; NULL: none */
    struct provision_image_wait *waits;
    struct provision_image_wait **waits_end;
};

static struct identity identity_of(const struct stat *st)
{
    return (struct identity){.device = st->st_dev,
                             .inode = st->st_ino,
                             .size = st->st_size,
                             .changed = st->st_ctim,
                             .modified = st->st_mtim};
}

static struct identity identity_of_path(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? identity_of(&st) : (struct identity){0};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(&a->changed, &b->changed) && is_same_time(&a->modified, &b->modified);
}

static void check_fini(struct check *check)
{
    if (check->fd >= 0) {
        (void)close(check->fd); /* read only */
        check->fd = -1;
    }
}

static int read_manifest(struct check *check)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc;

    check->manifest_identity = identity_of_path(check->manifest_path);
    rc = ray_file_read(AT_FDCWD, check->manifest_path, PROVISION_MANIFEST_SIZE_MAX, &text, &size,
                       &check->err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = provision_manifest_parse(text, size, &check->manifest, &check->err);
    free(text);
    return rc == RAY_OK ? RAY_OK : ray_wrap(&check->err, rc, "%s", check->manifest_path);
}

static int hash_file(int fd, const char *path, char out[static PROVISION_SHA256_TEXT_SIZE],
                     struct ray_err *err)
{
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    uint8_t *block = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(BLOCK_SIZE);
    off_t offset = 0;
    int errnum = 0;

    if (block == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to verify %s", path);
    }
    (void)crypto_hash_sha256_init(&state); /* these three cannot fail */
    for (;;) {
        ssize_t count = -1;

        errnum = ray_fault(RAY_FAULT_READ);
        if (errnum == 0) {
            count = pread(fd, block, BLOCK_SIZE, offset);
            errnum = count < 0 ? errno : 0;
        }
        if (errnum == EINTR) {
            continue;
        }
        if (errnum != 0 || count == 0) {
            break;
        }
        (void)crypto_hash_sha256_update(&state, block, (unsigned long long)count);
        offset += count;
    }
    free(block);
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "read %s", path);
    }
    (void)crypto_hash_sha256_final(&state, digest);
    (void)sodium_bin2hex(out, PROVISION_SHA256_TEXT_SIZE, digest, sizeof(digest));
    return RAY_OK;
}

static int open_image(struct check *check, struct stat *out_st)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum == 0) {
        check->fd = open(check->image_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        errnum = check->fd < 0 ? errno : 0;
    }
    if (errnum == 0 && fstat(check->fd, out_st) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(&check->err, errnum, "open %s", check->image_path);
    }
    check->image_identity = identity_of(out_st);
    if (!S_ISREG(out_st->st_mode)) {
        return ray_fail(&check->err, RAY_ECONFLICT, "%s is no regular file", check->image_path);
    }
    return RAY_OK;
}

static int verify_image(struct check *check)
{
    char digest[PROVISION_SHA256_TEXT_SIZE];
    struct identity after;
    struct stat st = {0};
    int rc = open_image(check, &st);

    if (rc != RAY_OK) {
        return rc;
    }
    if ((uint64_t)st.st_size != check->manifest.files[PROVISION_FILE_UKI].size_bytes) {
        return ray_fail(&check->err, RAY_ECONFLICT, "%s has %jd bytes, the manifest says %" PRIu64,
                        check->image_path, (intmax_t)st.st_size,
                        check->manifest.files[PROVISION_FILE_UKI].size_bytes);
    }
    rc = hash_file(check->fd, check->image_path, digest, &check->err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (strcmp(digest, check->manifest.files[PROVISION_FILE_UKI].sha256) != 0) {
        return ray_fail(&check->err, RAY_ECONFLICT,
                        "%s is corrupt: its SHA-256 is %.16s..., the manifest says %.16s...",
                        check->image_path, digest,
                        check->manifest.files[PROVISION_FILE_UKI].sha256);
    }
    if (fstat(check->fd, &st) != 0) {
        return ray_fail_errno(&check->err, errno, "stat %s", check->image_path);
    }
    after = identity_of(&st);
    if (!is_same(&after, &check->image_identity)) {
        return ray_fail(&check->err, RAY_ECONFLICT, "%s changed while it was verified",
                        check->image_path);
    }
    return RAY_OK;
}

static void check_run(struct check *check)
{
    int rc;

    check->err = (struct ray_err){0};
    check->image_identity = identity_of_path(check->image_path);
    rc = read_manifest(check);
    if (rc == RAY_OK) {
        rc = verify_image(check);
    }
    if (rc != RAY_OK) {
        check_fini(check);
        check->err.code = rc;
    }
}

/* A failure of ours, not of the files, is not worth remembering. */
static bool is_lasting(const struct check *check)
{
    return check->err.code == RAY_OK || check->err.code == RAY_ENOTFOUND ||
           check->err.code == RAY_EMALFORMED || check->err.code == RAY_ECONFLICT;
}

static void adopt(struct provision_image *image, const struct check *check)
{
    check_fini(&image->last);
    image->last = *check;
    image->has_checked = is_lasting(check);
}

static void check_begin(const struct provision_image *image, struct check *check)
{
    *check = (struct check){.fd = -1};
    memcpy(check->manifest_path, image->last.manifest_path, sizeof(check->manifest_path));
    memcpy(check->image_path, image->last.image_path, sizeof(check->image_path));
}

int provision_image_create(struct provision_image **out_image, struct ray_loop *loop,
                           const char *dir, struct ray_err *err)
{
    struct provision_image *image;

    assert(dir[0] != '\0');
    if (sodium_init() < 0) {
        return ray_fail(err, RAY_EINTERNAL, "libsodium does not start");
    }
    image = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*image));
    if (image == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an image");
    }
    image->loop = loop;
    image->waits_end = &image->waits;
    image->last.fd = -1;
    image->last.err.code = RAY_EAGAIN;
    if (snprintf(image->last.manifest_path, PATH_MAX, "%s/" PROVISION_MANIFEST_FILE, dir) >=
            PATH_MAX ||
        snprintf(image->last.image_path, PATH_MAX, "%s/%s", dir,
                 provision_file_name(PROVISION_FILE_UKI)) >= PATH_MAX) {
        free(image);
        return ray_fail(err, RAY_ETOOBIG, "the path of the image folder is too long");
    }
    *out_image = image;
    return RAY_OK;
}

/* Hands every wait its result. The list is taken first: a callback may wait again. */
static void answer_waits(struct provision_image *image, const struct ray_err *err)
{
    struct provision_image_wait *wait = image->waits;
    const struct provision_image_view view = {.manifest = &image->last.manifest,
                                              .fd = image->last.fd};

    image->waits = NULL;
    image->waits_end = &image->waits;
    while (wait != NULL) {
        struct provision_image_wait *next = wait->next;
        wait->cb(wait->arg, err->code == RAY_OK ? &view : NULL, err);
        wait = next;
    }
}

void provision_image_destroy(struct provision_image *image)
{
    struct ray_err err = {0};

    if (image == NULL) {
        return;
    }
    (void)ray_fail(&err, RAY_ECANCELED, "the service is stopping");
    answer_waits(image, &err);
    if (image->job != NULL) {
        image->job->image = NULL; /* it frees itself when it comes back */
    }
    check_fini(&image->last);
    free(image);
}

int provision_image_check_now(struct provision_image *image, struct ray_err *err)
{
    struct check *check;

    assert(image->job == NULL);
    check = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof(*check));
    if (check == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to verify an image");
    }
    check_begin(image, check);
    check_run(check);
    adopt(image, check);
    free(check);
    return provision_image_state(image, err);
}

static void job_run(uv_work_t *work)
{
    struct job *job = work->data;

    check_run(&job->check);
}

static void job_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct provision_image *image = job->image;

    assert(status == 0); /* nobody cancels it */
    if (image == NULL) {
        check_fini(&job->check);
    } else {
        struct ray_err err;

        image->job = NULL;
        adopt(image, &job->check);
        err = image->last.err;
        answer_waits(image, &err);
    }
    free(job);
}

static int start_job(struct provision_image *image, struct ray_err *err)
{
    struct job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*job));
    int status;

    if (job == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to verify an image");
    }
    job->work.data = job;
    job->image = image;
    check_begin(image, &job->check);
    status = uv_queue_work(&image->loop->uv, &job->work, job_run, job_done);
    if (status != 0) {
        free(job);
        return ray_fail_uv(err, status, "queue the verification of an image");
    }
    image->job = job;
    return RAY_OK;
}

static bool is_up_to_date(const struct provision_image *image)
{
    struct identity manifest = identity_of_path(image->last.manifest_path);
    struct identity file = identity_of_path(image->last.image_path);

    return image->has_checked && is_same(&manifest, &image->last.manifest_identity) &&
           is_same(&file, &image->last.image_identity);
}

void provision_image_use(struct provision_image *image, struct provision_image_wait *wait)
{
    wait->next = NULL;
    *image->waits_end = wait;
    image->waits_end = &wait->next;
    if (image->job == NULL) {
        struct ray_err err = {0};

        if (is_up_to_date(image)) {
            err = image->last.err;
            answer_waits(image, &err);
        } else if (start_job(image, &err) != RAY_OK) {
            answer_waits(image, &err);
        }
    }
}

int provision_image_state(const struct provision_image *image, struct ray_err *err)
{
    if (err != NULL) {
        *err = image->last.err;
    }
    return image->last.err.code;
}

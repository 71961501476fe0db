/* The writer keeps the files that it writes open; the keeper makes a file under another name,
 * full of zeros that really lie on the medium (writing to extents that are only promised costs a
 * journal entry each time), and gives it its name when it is whole. */
#include "coordinator/store/disk_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "coordinator/store/worker.h"

#define NEW_PREFIX ".new-"

static const char lock_name[] = ".lock";

enum {
    /* Forgetting needs its own, a probe, and what runs beside. */
    JOBS_MAX = 2 * COORD_DISK_FILE_QUEUE_MAX + 2,
    OPEN_FILES_MAX = 4,
    ZEROS_SIZE = 1 << 20,
    MODE = 0600,
};

struct open_file {
    char name[COORD_DISK_NAME_SIZE];
    int fd; /* -1: none */
};

struct disk_file;

struct file_job {
    struct file_job *next; /* in the pool */
    struct disk_file *file;
    int (*act)(struct file_job *job);
    void (*beside)(void *arg);
    char name[COORD_DISK_NAME_SIZE];
    char to[COORD_DISK_NAME_SIZE];
    uint64_t offset;
    const void *bytes;
    size_t size;
    int status;
    bool is_forgetting;
    uint64_t begun_ns; /* of a write; 0: it is none */
    coord_disk_done *done;
    void *arg;
};

struct disk_file {
    struct coord_disk disk;
    int dir_fd;
    int lock_fd;
    int direct_flag; /* O_DIRECT or 0 */
    struct coord_worker *writer;
    struct coord_worker *keeper;
    uv_sem_t beside_done; /* posted by the writer */
    bool has_beside_done;
    bool is_beside;
    struct open_file open_files[OPEN_FILES_MAX]; /* the writer's, newest first */
    void *zeros;                                 /* the keeper's */
    struct ray_histogram writes;
    struct file_job jobs[JOBS_MAX];
    struct file_job *pool;
};

static struct disk_file *file_of(struct coord_disk *disk)
{
    return (struct disk_file *)disk;
}

static void name_copy(char out[static COORD_DISK_NAME_SIZE], const char *name)
{
    assert(name[0] != '.' && name[0] != '\0' && strchr(name, '/') == NULL);
    assert(strlen(name) + strlen(NEW_PREFIX) < COORD_DISK_NAME_SIZE);
    (void)snprintf(out, COORD_DISK_NAME_SIZE, "%s", name);
}

/* Whether `name` is that of a temporary file, or one to keep out of sight. */
static bool is_hidden(const char *name)
{
    return name[0] == '.';
}

/* --- in the threads --- */

static int fd_open(const struct disk_file *file, const char *name, int flags)
{
    int fd =
        ray_fault(RAY_FAULT_OPEN)
            ? -1
            : openat(file->dir_fd, name, flags | file->direct_flag | O_CLOEXEC | O_NOFOLLOW, MODE);

    return fd >= 0 ? fd : ray_err_from_errno(errno);
}

static int write_whole(int fd, const void *bytes, size_t size, uint64_t offset)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t part = ray_fault(RAY_FAULT_WRITE) ? -1 : pwrite(fd, at, size, (off_t)offset);

        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            return part < 0 ? ray_err_from_errno(errno) : RAY_EIO;
        }
        at += part;
        size -= (size_t)part;
        offset += (uint64_t)part;
    }
    return RAY_OK;
}

static int sync_fd(int fd)
{
    return ray_fault(RAY_FAULT_FSYNC) || fdatasync(fd) != 0 ? ray_err_from_errno(errno) : RAY_OK;
}

static int sync_dir(const struct disk_file *file)
{
    return ray_fault(RAY_FAULT_FSYNC) || fsync(file->dir_fd) != 0 ? ray_err_from_errno(errno)
                                                                  : RAY_OK;
}

static void close_fd(int fd)
{
    (void)close(fd); /* all that was written was synced before */
}

/* An open file moves to the front; the last makes room. */
static int writer_fd(struct disk_file *file, const char *name)
{
    struct open_file found = {.fd = -1};
    size_t at = 0;

    while (at < OPEN_FILES_MAX - 1 &&
           (file->open_files[at].fd < 0 || strcmp(file->open_files[at].name, name) != 0)) {
        at++;
    }
    found = file->open_files[at];
    if (found.fd < 0 || strcmp(found.name, name) != 0) {
        int fd = fd_open(file, name, O_WRONLY | O_DSYNC);

        if (fd < 0) {
            return fd;
        }
        if (found.fd >= 0) {
            close_fd(found.fd);
        }
        found.fd = fd;
        (void)snprintf(found.name, sizeof found.name, "%s", name);
    }
    memmove(&file->open_files[1], &file->open_files[0], at * sizeof found);
    file->open_files[0] = found;
    return found.fd;
}

static int act_write(struct file_job *job)
{
    int fd = writer_fd(job->file, job->name);

    return fd < 0 ? fd : write_whole(fd, job->bytes, job->size, job->offset);
}

static int act_forget(struct file_job *job)
{
    for (size_t i = 0; i < OPEN_FILES_MAX; i++) {
        struct open_file *open_file = &job->file->open_files[i];

        if (open_file->fd >= 0 &&
            (strcmp(open_file->name, job->name) == 0 || strcmp(open_file->name, job->to) == 0)) {
            close_fd(open_file->fd);
            open_file->fd = -1;
        }
    }
    return RAY_OK;
}

static int fill_zeros(const struct disk_file *file, int fd, uint64_t size)
{
    int rc = RAY_OK;
    int errnum = posix_fallocate(fd, 0, (off_t)size);

    if (errnum != 0 && errnum != EOPNOTSUPP && errnum != EINVAL) {
        return ray_err_from_errno(errnum);
    }
    for (uint64_t at = 0; at < size && rc == RAY_OK; at += ZEROS_SIZE) {
        size_t part = size - at < ZEROS_SIZE ? (size_t)(size - at) : (size_t)ZEROS_SIZE;

        rc = write_whole(fd, file->zeros, part, at);
    }
    return rc == RAY_OK ? sync_fd(fd) : rc;
}

static int rename_new(const struct disk_file *file, const char *from, const char *to)
{
    if (ray_fault(RAY_FAULT_RENAME) ||
        renameat2(file->dir_fd, from, file->dir_fd, to, RENAME_NOREPLACE) != 0) {
        return ray_err_from_errno(errno);
    }
    return RAY_OK;
}

static int act_create(struct file_job *job)
{
    const struct disk_file *file = job->file;
    char temporary[COORD_DISK_NAME_SIZE + sizeof NEW_PREFIX];
    int fd;
    int rc;

    (void)snprintf(temporary, sizeof temporary, NEW_PREFIX "%s", job->name);
    fd = fd_open(file, temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return fd;
    }
    rc = fill_zeros(file, fd, job->offset);
    close_fd(fd);
    if (rc == RAY_OK) {
        rc = rename_new(file, temporary, job->name);
    }
    if (rc != RAY_OK) {
        (void)unlinkat(file->dir_fd, temporary, 0); /* the next start sweeps */
        return rc;
    }
    return sync_dir(file);
}

static int act_rename(struct file_job *job)
{
    const struct disk_file *file = job->file;

    if (ray_fault(RAY_FAULT_RENAME) ||
        renameat(file->dir_fd, job->name, file->dir_fd, job->to) != 0) {
        return ray_err_from_errno(errno);
    }
    return sync_dir(file);
}

static int act_remove(struct file_job *job)
{
    if (unlinkat(job->file->dir_fd, job->name, 0) != 0) {
        return ray_err_from_errno(errno);
    }
    return sync_dir(job->file);
}

/* --- jobs --- */

static void job_run(void *arg)
{
    struct file_job *job = arg;

    job->status = job->act(job);
}

static struct file_job *job_get(struct disk_file *file)
{
    struct file_job *job = file->pool;

    assert(job != NULL); /* COORD_DISK_FILE_QUEUE_MAX */
    file->pool = job->next;
    *job = (struct file_job){.file = file};
    return job;
}

static void job_put(struct file_job *job)
{
    job->next = job->file->pool;
    job->file->pool = job;
}

static void job_done(void *arg, bool is_canceled)
{
    struct file_job *job = arg;
    coord_disk_done *done = job->done;
    void *done_arg = job->arg;
    int status = is_canceled ? RAY_ECANCELED : job->status;

    if (job->begun_ns != 0 && status == RAY_OK) {
        ray_histogram_add(&job->file->writes, ray_clock_boottime_ns() - job->begun_ns);
    }

    if (job->is_forgetting && !is_canceled) {
        struct file_job *forget = job_get(job->file);

        forget->act = act_forget;
        memcpy(forget->name, job->name, sizeof forget->name);
        memcpy(forget->to, job->to, sizeof forget->to);
        coord_worker_submit(job->file->writer, job_run, job_done, forget);
    }
    job_put(job);
    if (done != NULL) {
        done(done_arg, status);
    }
}

static struct file_job *job_begin(struct coord_disk *disk, int (*act)(struct file_job *job),
                                  const char *name, coord_disk_done *done, void *arg)
{
    struct file_job *job = job_get(file_of(disk));

    job->act = act;
    job->done = done;
    job->arg = arg;
    name_copy(job->name, name);
    return job;
}

static void check_place(uint64_t offset, const void *bytes, size_t size)
{
    assert(offset % COORD_DISK_BLOCK_SIZE == 0);
    assert(size % COORD_DISK_BLOCK_SIZE == 0 && size > 0);
    assert((uintptr_t)bytes % COORD_DISK_BLOCK_SIZE == 0);
    (void)offset;
    (void)bytes;
    (void)size;
}

/* --- struct coord_disk --- */

struct listed {
    char name[COORD_DISK_NAME_SIZE];
    uint64_t size;
};

static int listed_compare(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

/* Files whose names we cannot have given are none of ours. */
static int list_read(const struct disk_file *file, DIR *dir, struct listed *files, size_t *count,
                     struct ray_err *err)
{
    const struct dirent *entry;

    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        struct stat stat;

        if (is_hidden(entry->d_name) || strlen(entry->d_name) >= COORD_DISK_NAME_SIZE) {
            continue;
        }
        if (fstatat(file->dir_fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
            return ray_fail_errno(err, errno, "%s", entry->d_name);
        }
        if (!S_ISREG(stat.st_mode)) {
            continue;
        }
        if (*count == COORD_DISK_FILES_MAX) {
            return ray_fail(err, RAY_ETOOBIG, "more than %d files", COORD_DISK_FILES_MAX);
        }
        memcpy(files[*count].name, entry->d_name, strlen(entry->d_name) + 1);
        files[*count].size = (uint64_t)stat.st_size;
        (*count)++;
        errno = 0;
    }
    return errno == 0 ? RAY_OK : ray_fail_errno(err, errno, "listing the folder");
}

static int file_list(struct coord_disk *disk,
                     void (*each)(void *arg, const char *name, uint64_t size), void *arg,
                     struct ray_err *err)
{
    struct disk_file *file = file_of(disk);
    int fd = ray_fault(RAY_FAULT_OPEN)
                 ? -1
                 : openat(file->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct listed *files;
    size_t count = 0;
    int rc;

    if (dir == NULL) {
        rc = ray_fail_errno(err, errno, "opening the folder");
        if (fd >= 0) {
            close_fd(fd);
        }
        return rc;
    }
    files = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(COORD_DISK_FILES_MAX, sizeof *files);
    rc = files != NULL ? list_read(file, dir, files, &count, err)
                       : ray_fail(err, RAY_ENOMEM, "a list of files");
    (void)closedir(dir);
    if (rc == RAY_OK && files != NULL) {
        qsort(files, count, sizeof *files, listed_compare);
        for (size_t i = 0; i < count; i++) {
            each(arg, files[i].name, files[i].size);
        }
    }
    free(files);
    return rc;
}

static int read_whole(int fd, uint8_t *out, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t part = ray_fault(RAY_FAULT_READ) ? -1 : pread(fd, out, size, (off_t)offset);

        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            return part < 0 ? ray_err_from_errno(errno) : RAY_EMALFORMED;
        }
        out += part;
        size -= (size_t)part;
        offset += (uint64_t)part;
    }
    return RAY_OK;
}

static int file_read(struct coord_disk *disk, const char *name, uint64_t offset, void *out,
                     size_t size, struct ray_err *err)
{
    const struct disk_file *file = file_of(disk);
    int fd;
    int rc;

    check_place(offset, out, size);
    fd = fd_open(file, name, O_RDONLY);
    if (fd < 0) {
        return ray_fail(err, fd, "%s cannot be opened: %s", name, ray_err_text(fd));
    }
    rc = read_whole(fd, out, size, offset);
    close_fd(fd);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "%s: %s", name, ray_err_text(rc));
}

static void file_create(struct coord_disk *disk, const char *name, uint64_t size,
                        coord_disk_done *done, void *arg)
{
    struct file_job *job = job_begin(disk, act_create, name, done, arg);

    job->offset = size;
    coord_worker_submit(job->file->keeper, job_run, job_done, job);
}

static void file_write(struct coord_disk *disk, const char *name, uint64_t offset,
                       const void *bytes, size_t size, coord_disk_done *done, void *arg)
{
    struct file_job *job = job_begin(disk, act_write, name, done, arg);

    check_place(offset, bytes, size);
    job->offset = offset;
    job->bytes = bytes;
    job->size = size;
    job->begun_ns = ray_clock_boottime_ns();
    coord_worker_submit(job->file->writer, job_run, job_done, job);
}

static int file_write_now(struct coord_disk *disk, const char *name, uint64_t offset,
                          const void *bytes, size_t size, struct ray_err *err)
{
    const struct disk_file *file = file_of(disk);
    int fd;
    int rc;

    check_place(offset, bytes, size);
    fd = fd_open(file, name, O_WRONLY | O_DSYNC);
    rc = fd < 0 ? fd : write_whole(fd, bytes, size, offset);
    if (fd >= 0) {
        close_fd(fd);
    }
    return rc == RAY_OK ? RAY_OK
                        : ray_fail(err, rc, "%s cannot be written: %s", name, ray_err_text(rc));
}

static void file_rename(struct coord_disk *disk, const char *from, const char *to,
                        coord_disk_done *done, void *arg)
{
    struct file_job *job = job_begin(disk, act_rename, from, done, arg);

    name_copy(job->to, to);
    job->is_forgetting = true;
    coord_worker_submit(job->file->keeper, job_run, job_done, job);
}

static void file_remove(struct coord_disk *disk, const char *name, coord_disk_done *done, void *arg)
{
    struct file_job *job = job_begin(disk, act_remove, name, done, arg);

    job->is_forgetting = true;
    coord_worker_submit(job->file->keeper, job_run, job_done, job);
}

static int act_nothing(struct file_job *job)
{
    (void)job;
    return RAY_OK;
}

void coord_disk_file_probe(struct coord_disk *disk, coord_disk_done *done, void *arg)
{
    struct file_job *job = job_begin(disk, act_nothing, "probe", done, arg);

    coord_worker_submit(job->file->writer, job_run, job_done, job);
}

static int act_beside(struct file_job *job)
{
    job->beside(job->arg);
    uv_sem_post(&job->file->beside_done);
    return RAY_OK;
}

static void file_begin_beside(struct coord_disk *disk, void (*run)(void *arg), void *arg)
{
    struct disk_file *file = file_of(disk);
    struct file_job *job = job_begin(disk, act_beside, "beside", NULL, arg);

    assert(!file->is_beside);
    file->is_beside = true;
    job->beside = run;
    coord_worker_submit(file->writer, job_run, job_done, job);
}

static void file_join_beside(struct coord_disk *disk)
{
    struct disk_file *file = file_of(disk);

    assert(file->is_beside);
    uv_sem_wait(&file->beside_done);
    file->is_beside = false;
}

static uint64_t file_free_size(struct coord_disk *disk)
{
    struct statvfs stat;

    if (fstatvfs(file_of(disk)->dir_fd, &stat) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)stat.f_bavail * (uint64_t)stat.f_frsize;
}

static void file_destroy(struct coord_disk *disk)
{
    struct disk_file *file = file_of(disk);

    assert(!file->is_beside);
    /* The keeper first: what it ends may still tell the writer to forget a file. */
    coord_worker_destroy(file->keeper);
    coord_worker_destroy(file->writer);
    for (size_t i = 0; i < OPEN_FILES_MAX; i++) {
        if (file->open_files[i].fd >= 0) {
            close_fd(file->open_files[i].fd);
        }
    }
    if (file->lock_fd >= 0) {
        close_fd(file->lock_fd);
    }
    if (file->dir_fd >= 0) {
        close_fd(file->dir_fd);
    }
    if (file->has_beside_done) {
        uv_sem_destroy(&file->beside_done);
    }
    free(file->zeros);
    free(file);
}

static const struct coord_disk_ops file_ops = {
    .list = file_list,
    .read = file_read,
    .create = file_create,
    .write = file_write,
    .write_now = file_write_now,
    .rename = file_rename,
    .remove = file_remove,
    .begin_beside = file_begin_beside,
    .join_beside = file_join_beside,
    .free_size = file_free_size,
    .destroy = file_destroy,
};

/* --- making one --- */

static int folder_lock(struct disk_file *file, const char *path, struct ray_err *err)
{
    file->dir_fd = ray_fault(RAY_FAULT_OPEN) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    file->lock_fd = ray_fault(RAY_FAULT_OPEN)
                        ? -1
                        : openat(file->dir_fd, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, MODE);
    if (file->lock_fd < 0) {
        return ray_fail_errno(err, errno, "%s/.lock", path);
    }
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ray_fail(err, RAY_ECONFLICT, "another process uses %s", path)
                                    : ray_fail_errno(err, errno, "locking %s", path);
    }
    return RAY_OK;
}

/* On a full disk no file can be made: that of the lock is only opened. */
static int probe_full(struct disk_file *file, struct ray_err *err)
{
    int fd = openat(file->dir_fd, lock_name, O_WRONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0 && errno == EINVAL) {
        file->direct_flag = 0;
        return RAY_OK;
    }
    if (fd < 0) {
        return ray_fail_errno(err, errno, "opening a file");
    }
    close_fd(fd);
    return RAY_OK;
}

/* Whether the file system takes O_DIRECT, asked with a file of its own. */
static int probe_direct(struct disk_file *file, struct ray_err *err)
{
    static const char name[] = NEW_PREFIX "probe";
    int rc;
    int fd;

    file->direct_flag = O_DIRECT;
    fd = openat(file->dir_fd, name, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, MODE);
    if (fd < 0 && errno == EINVAL) {
        file->direct_flag = 0;
        fd = openat(file->dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, MODE);
    }
    if (fd < 0 && (errno == ENOSPC || errno == EDQUOT)) {
        return probe_full(file, err);
    }
    if (fd < 0) {
        return ray_fail_errno(err, errno, "making a file");
    }
    rc = write_whole(fd, file->zeros, COORD_DISK_BLOCK_SIZE, 0);
    if (rc == RAY_EINVAL && file->direct_flag != 0) {
        file->direct_flag = 0;
        rc = RAY_OK;
    }
    close_fd(fd);
    /* A full disk tells nothing about O_DIRECT, and is met again where it matters. */
    return rc == RAY_OK || rc == RAY_ENOSPC ? RAY_OK : ray_fail(err, rc, "writing to a file");
}

static int sweep(const struct disk_file *file, struct ray_err *err)
{
    int fd = openat(file->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int rc = RAY_OK;

    if (dir == NULL) {
        rc = ray_fail_errno(err, errno, "opening the folder");
        if (fd >= 0) {
            close_fd(fd);
        }
        return rc;
    }
    while (rc == RAY_OK && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0 &&
            unlinkat(file->dir_fd, entry->d_name, 0) != 0) {
            rc = ray_fail_errno(err, errno, "removing %s", entry->d_name);
        }
    }
    (void)closedir(dir);
    return rc;
}

static int file_init(struct disk_file *file, struct ray_loop *loop, const char *path,
                     struct ray_err *err)
{
    int rc;

    file->disk.ops = &file_ops;
    file->dir_fd = -1;
    file->lock_fd = -1;
    for (size_t i = 0; i < OPEN_FILES_MAX; i++) {
        file->open_files[i].fd = -1;
    }
    for (size_t i = 0; i < JOBS_MAX; i++) {
        file->jobs[i].file = file;
        job_put(&file->jobs[i]);
    }
    file->zeros =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : aligned_alloc(COORD_DISK_BLOCK_SIZE, ZEROS_SIZE);
    if (file->zeros == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a disk");
    }
    memset(file->zeros, 0, ZEROS_SIZE);
    rc = uv_sem_init(&file->beside_done, 0);
    if (rc != 0) {
        return ray_fail_uv(err, rc, "a disk's signal");
    }
    file->has_beside_done = true;
    rc = folder_lock(file, path, err);
    rc = rc == RAY_OK ? probe_direct(file, err) : rc;
    rc = rc == RAY_OK ? sweep(file, err) : rc;
    rc = rc == RAY_OK ? coord_worker_create(&file->writer, loop, err) : rc;
    rc = rc == RAY_OK ? coord_worker_create(&file->keeper, loop, err) : rc;
    return rc;
}

int coord_disk_file_create(struct coord_disk **out, struct ray_loop *loop, const char *path,
                           struct ray_err *err)
{
    struct disk_file *file = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *file);
    int rc;

    assert(out != NULL && loop != NULL && path != NULL);
    if (file == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a disk");
    }
    rc = file_init(file, loop, path, err);
    if (rc != RAY_OK) {
        file_destroy(&file->disk);
        return rc;
    }
    *out = &file->disk;
    return RAY_OK;
}

/* --- only looking --- */

/* The lock as its owner left it; nobody made one yet: nobody has it. */
static int folder_watch(struct disk_file *file, const char *path, struct ray_err *err)
{
    file->dir_fd = ray_fault(RAY_FAULT_OPEN) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    file->lock_fd = openat(file->dir_fd, lock_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file->lock_fd < 0) {
        return errno == ENOENT ? RAY_OK : ray_fail_errno(err, errno, "%s/.lock", path);
    }
    if (flock(file->lock_fd, LOCK_SH | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ray_fail(err, RAY_ECONFLICT, "another process uses %s", path)
                                    : ray_fail_errno(err, errno, "locking %s", path);
    }
    return RAY_OK;
}

static const struct coord_disk_ops look_ops = {
    .list = file_list,
    .read = file_read,
    .free_size = file_free_size,
    .destroy = file_destroy,
};

int coord_disk_file_look(struct coord_disk **out, const char *path, struct ray_err *err)
{
    struct disk_file *file = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *file);
    int rc;

    assert(out != NULL && path != NULL);
    if (file == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a disk");
    }
    file->disk.ops = &look_ops;
    file->dir_fd = -1;
    file->lock_fd = -1;
    for (size_t i = 0; i < OPEN_FILES_MAX; i++) {
        file->open_files[i].fd = -1;
    }
    rc = folder_watch(file, path, err);
    if (rc != RAY_OK) {
        file_destroy(&file->disk);
        return rc;
    }
    *out = &file->disk;
    return RAY_OK;
}

const struct ray_histogram *coord_disk_file_writes(const struct coord_disk *disk)
{
    return &((const struct disk_file *)disk)->writes;
}

bool coord_disk_file_is_direct(const struct coord_disk *disk)
{
    assert(disk->ops == &file_ops);
    return ((const struct disk_file *)disk)->direct_flag != 0;
}

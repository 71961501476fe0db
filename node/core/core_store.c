#include "node/core/core_store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "node/core/core_line.h"

#define MIB(count) (UINT64_C(count) << 20)
#define TEMPORARY ".tmp-core-"

/* A core in RAM is of use until the next reboot only, and takes what the node needs. */
static const struct core_limits disk_limits = {
    .disk_bytes_max = MIB(64),
    .size_bytes_max = MIB(4096),
    .total_bytes_max = MIB(512),
    .folder_count_max = 64,
    .free_percent_min = 10,
};
static const struct core_limits ram_limits = {
    .disk_bytes_max = MIB(8),
    .size_bytes_max = MIB(4096),
    .total_bytes_max = MIB(16),
    .folder_count_max = 16,
    .free_percent_min = 50,
};

const struct core_limits *core_limits_of(bool is_in_ram)
{
    return is_in_ram ? &ram_limits : &disk_limits;
}

void core_store_name(const struct core_process *process, char out[static CORE_NAME_SIZE_MAX])
{
    char comm[CORE_WHAT_SIZE_MAX];
    time_t time_s = (time_t)process->time_s;
    struct tm utc = {0};

    (void)gmtime_r(&time_s, &utc); /* 32 bits of seconds always fit */
    core_word(comm, sizeof comm, process->comm);
    (void)snprintf(out, CORE_NAME_SIZE_MAX, "%04u%02u%02uT%02u%02u%02uZ-%s-%" PRIu64,
                   (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)(utc.tm_mon + 1) % 100,
                   (unsigned)utc.tm_mday % 100, (unsigned)utc.tm_hour % 100,
                   (unsigned)utc.tm_min % 100, (unsigned)utc.tm_sec % 100, comm,
                   process->pid % 10000000);
}

/* ---- what is there ---- */

static DIR *open_list(int cores_fd, struct ray_err *err)
{
    int fd = ray_fault(RAY_FAULT_OPEN) != 0
                 ? -1
                 : openat(cores_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (dir == NULL) {
        (void)ray_fail_errno(err, errno, "list of cores");
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return dir;
}

static bool is_ours(const char *name)
{
    char word[CORE_NAME_SIZE_MAX];

    core_word(word, sizeof word, name);
    return strcmp(word, name) == 0 && name[0] >= '0' && name[0] <= '9';
}

static int compare_newest_first(const void *a, const void *b)
{
    return strcmp(b, a);
}

int core_store_list(int cores_fd, char (*names)[CORE_NAME_SIZE_MAX], struct ray_err *err)
{
    DIR *dir = open_list(cores_fd, err);
    struct dirent *entry;
    size_t count = 0;

    if (dir == NULL) {
        return err != NULL ? err->code : RAY_EIO;
    }
    while (count < CORE_LIST_COUNT_MAX && (entry = readdir(dir)) != NULL) {
        if (is_ours(entry->d_name)) {
            memcpy(names[count++], entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    (void)closedir(dir);
    qsort(names, count, CORE_NAME_SIZE_MAX, compare_newest_first);
    return (int)count;
}

/* A folder with files only, as we make them. */
static void remove_folder(int cores_fd, const char *name)
{
    int fd = openat(cores_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)unlinkat(fd, entry->d_name, 0); /* "." and ".." refuse by themselves */
    }
    if (dir != NULL) {
        (void)closedir(dir);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    (void)unlinkat(cores_fd, name, AT_REMOVEDIR); /* what cannot go counts on, and is tried again */
}

static void sweep(int cores_fd)
{
    DIR *dir = open_list(cores_fd, NULL);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1) == 0) {
            remove_folder(cores_fd, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static uint64_t disk_bytes_of(int cores_fd, const char *name)
{
    char path[CORE_NAME_SIZE_MAX + 8];
    struct stat info;

    int size = snprintf(path, sizeof path, "%s/core", name);

    if (size < 0 || (size_t)size >= sizeof path) {
        return 0; /* a name that is none of ours */
    }
    return fstatat(cores_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)info.st_blocks * 512
                                                                    : 0;
}

/* So that one more core of `more_bytes` has its place. */
static int prune(int cores_fd, const struct core_limits *limits, uint64_t more_bytes,
                 struct ray_err *err)
{
    char names[CORE_LIST_COUNT_MAX][CORE_NAME_SIZE_MAX];
    uint64_t total_bytes = more_bytes;
    int count = core_store_list(cores_fd, names, err);

    for (int i = 0; i < count; i++) {
        total_bytes += disk_bytes_of(cores_fd, names[i]);
        if ((size_t)i + 1 >= limits->folder_count_max || total_bytes > limits->total_bytes_max) {
            remove_folder(cores_fd, names[i]);
        }
    }
    return count < 0 ? count : RAY_OK;
}

/* ---- a new one ---- */

static int lock(int cores_fd, struct ray_err *err)
{
    if (ray_fault(RAY_FAULT_OPEN) == 0 && flock(cores_fd, LOCK_EX) == 0) {
        return RAY_OK;
    }
    if (errno == EINTR) {
        return ray_fail(err, RAY_ETIMEOUT, "another core is still being written");
    }
    return ray_fail_errno(err, errno, "lock of the folder of cores");
}

/* What this core may take: its limit, or what is above the share that stays free. */
static int find_room(struct core_store *store, struct ray_err *err)
{
    struct statvfs info;
    uint64_t free_bytes;
    uint64_t kept_bytes;

    if (ray_fault(RAY_FAULT_READ) != 0 || fstatvfs(store->cores_fd, &info) != 0) {
        return ray_fail_errno(err, errno, "free space");
    }
    free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    kept_bytes = (uint64_t)info.f_blocks / 100 * info.f_frsize * store->limits->free_percent_min;
    if (free_bytes < kept_bytes / 2) {
        return ray_fail(err, RAY_ENOSPC, "the data folder is full");
    }
    store->disk_bytes_max = free_bytes > kept_bytes ? free_bytes - kept_bytes : 0;
    if (store->disk_bytes_max > store->limits->disk_bytes_max) {
        store->disk_bytes_max = store->limits->disk_bytes_max;
    }
    return RAY_OK;
}

static int make_folder(struct core_store *store, struct ray_err *err)
{
    (void)snprintf(store->temporary, sizeof store->temporary, TEMPORARY "%d", (int)getpid());
    if (ray_fault(RAY_FAULT_WRITE) != 0 || mkdirat(store->cores_fd, store->temporary, 0700) != 0) {
        int errnum = errno;

        store->temporary[0] = '\0';
        return ray_fail_errno(err, errnum, "folder for a core");
    }
    store->folder_fd = ray_fault(RAY_FAULT_OPEN) != 0
                           ? -1
                           : openat(store->cores_fd, store->temporary,
                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return store->folder_fd >= 0 ? RAY_OK : ray_fail_errno(err, errno, "folder for a core");
}

int core_store_begin(struct core_store *store, int cores_fd, const struct core_limits *limits,
                     bool keeps_memory, struct ray_err *err)
{
    int rc;

    assert(cores_fd >= 0 && limits->total_bytes_max >= limits->disk_bytes_max);
    *store =
        (struct core_store){.cores_fd = cores_fd, .folder_fd = -1, .core_fd = -1, .limits = limits};
    rc = lock(cores_fd, err);
    if (rc != RAY_OK) {
        store->cores_fd = -1;
        return rc;
    }
    sweep(cores_fd);
    rc = prune(cores_fd, limits, keeps_memory ? limits->disk_bytes_max : 0, err);
    rc = rc == RAY_OK ? find_room(store, err) : rc;
    rc = rc == RAY_OK ? make_folder(store, err) : rc;
    if (rc == RAY_OK && keeps_memory && store->disk_bytes_max >= CORE_BLOCK_SIZE) {
        assert(store->folder_fd >= 0);
        store->core_fd = ray_fault(RAY_FAULT_OPEN) != 0
                             ? -1
                             : openat(store->folder_fd, "core",
                                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        rc = store->core_fd >= 0 ? RAY_OK : ray_fail_errno(err, errno, "file core");
    }
    if (rc != RAY_OK) {
        core_store_fini(store);
    }
    return rc;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int write_at(int fd, const uint8_t *bytes, size_t size, uint64_t offset, struct ray_err *err)
{
    while (size > 0) {
        ssize_t written =
            ray_fault(RAY_FAULT_WRITE) != 0 ? -1 : pwrite(fd, bytes, size, (off_t)offset);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return ray_fail_errno(err, written < 0 ? errno : EIO, "core");
        }
        bytes += written;
        size -= (size_t)written;
        offset += (size_t)written;
    }
    return RAY_OK;
}

int core_store_write(struct core_store *store, const uint8_t *bytes, size_t size,
                     struct ray_err *err)
{
    assert(store->core_fd >= 0 && store->size_bytes % CORE_BLOCK_SIZE == 0);
    while (size > 0) {
        size_t block_size = size < CORE_BLOCK_SIZE ? size : CORE_BLOCK_SIZE;
        int rc;

        if (block_size > store->limits->size_bytes_max - store->size_bytes) {
            return ray_fail(err, RAY_ETOOBIG, "larger than a core may be");
        }
        if (!is_zero(bytes, block_size)) {
            if (CORE_BLOCK_SIZE > store->disk_bytes_max - store->disk_bytes) {
                return ray_fail(err, RAY_ETOOBIG, "takes more than a core may");
            }
            rc = write_at(store->core_fd, bytes, block_size, store->size_bytes, err);
            if (rc != RAY_OK) {
                return rc;
            }
            store->disk_bytes += CORE_BLOCK_SIZE;
        }
        store->size_bytes += block_size;
        bytes += block_size;
        size -= block_size;
    }
    return RAY_OK;
}

int core_store_end_core(struct core_store *store, struct ray_err *err)
{
    int fd = store->core_fd;
    int errnum = 0;

    if (fd < 0) {
        return RAY_OK;
    }
    store->core_fd = -1;
    if (ray_fault(RAY_FAULT_WRITE) != 0 || ftruncate(fd, (off_t)store->size_bytes) != 0 ||
        ray_fault(RAY_FAULT_FSYNC) != 0 || fsync(fd) != 0) {
        errnum = errno;
    }
    if (close(fd) != 0 && errnum == 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "core");
}

int core_store_commit(struct core_store *store, const char *name, const char *report, size_t size,
                      struct ray_err *err)
{
    int rc;

    assert(store->folder_fd >= 0 && store->core_fd < 0 && is_ours(name));
    rc = ray_atomic_write(store->folder_fd, "core.json", report, size, 0600, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_fault(RAY_FAULT_RENAME) != 0 ||
        renameat(store->cores_fd, store->temporary, store->cores_fd, name) != 0) {
        return ray_fail_errno(err, errno, "folder %s", name);
    }
    store->temporary[0] = '\0'; /* it stays, now */
    if (ray_fault(RAY_FAULT_FSYNC) != 0 || fsync(store->cores_fd) != 0) {
        return ray_fail_errno(err, errno, "folder of cores");
    }
    return RAY_OK;
}

void core_store_fini(struct core_store *store)
{
    if (store->limits == NULL || store->cores_fd < 0) {
        return;
    }
    if (store->core_fd >= 0) {
        (void)close(store->core_fd); /* it is removed with its folder */
    }
    if (store->folder_fd >= 0) {
        (void)close(store->folder_fd); /* a folder: nothing can be lost */
    }
    if (store->temporary[0] != '\0') {
        remove_folder(store->cores_fd, store->temporary);
    }
    (void)flock(store->cores_fd, LOCK_UN); /* the end of the process would do it, too */
    *store = (struct core_store){.cores_fd = -1, .folder_fd = -1, .core_fd = -1};
}

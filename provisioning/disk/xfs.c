#include "provisioning/disk/xfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fault.h"
#include "base/loop.h"
#include "provisioning/disk/disk_api.h"

enum {
    TIMEOUT_MS = 300000,
    SUPERBLOCK_SIZE = 512,
    COMPLAINT_SIZE = 256,
    FILE_FD = 3,
};

/* Up to here two allocation groups and the smallest log: nodes in emulation mount and recover
 * fast. Beyond, mkfs.xfs knows better, but for the log, which is copied as a whole. */
static const uint64_t small_size = UINT64_C(64) << 30;

/* Offsets in the superblock (xfs_dsb in the kernel's xfs_format.h), big endian. */
enum {
    AT_BLOCK_SIZE = 4,
    AT_LOG_START = 48,
    AT_GROUP_BLOCKS = 84,
    AT_GROUP_COUNT = 88,
    AT_LOG_BLOCKS = 96,
    AT_GROUP_BITS = 124,
};

static uint64_t load(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

const char *xfs_find_mkfs(void)
{
    static const char *const places[] = {"/usr/sbin/mkfs.xfs", "/sbin/mkfs.xfs",
                                         "/usr/local/sbin/mkfs.xfs"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

/* --- the child --- */

struct run {
    struct ray_loop loop;
    struct ray_child child;
    struct ray_timer timer;
    struct ray_child_exit how;
    bool has_ended;
    bool is_late;
};

static void on_exit_of_mkfs(void *arg, const struct ray_child_exit *how)
{
    struct run *run = arg;

    run->how = *how;
    run->has_ended = true;
    ray_loop_stop(&run->loop);
}

static void on_late(void *arg)
{
    struct run *run = arg;

    run->is_late = true;
    (void)ray_child_kill(&run->child, SIGKILL); /* if it has just ended, all is well */
}

static int run_child(struct run *run, const struct ray_child_spec *spec, struct ray_err *err)
{
    int rc = ray_loop_init(&run->loop, err);

    ray_child_init(&run->child);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&run->timer, &run->loop, on_late, run, err);
    }
    if (rc == RAY_OK) {
        rc = ray_child_spawn(&run->child, &run->loop, spec, on_exit_of_mkfs, run, err);
    }
    if (rc == RAY_OK) {
        ray_timer_start(&run->timer, TIMEOUT_MS, 0);
        while (!run->has_ended) {
            ray_loop_once(&run->loop);
        }
    }
    ray_child_fini(&run->child);
    ray_timer_fini(&run->timer);
    ray_loop_fini(&run->loop);
    return rc;
}

/* The first line of what it said. */
static void read_complaint(int fd, char out[static COMPLAINT_SIZE])
{
    char text[4096];
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

    text[size < 0 ? 0 : size] = '\0';
    (void)ray_escape(out, COMPLAINT_SIZE, text, strcspn(text, "\n"));
}

static int run_mkfs(const char *mkfs, uint64_t size_bytes, uint32_t sector_size, int fd,
                    int complaint_fd, struct ray_err *err)
{
    bool is_small = size_bytes <= small_size;
    char sector[24];
    const char *argv[24];
    size_t count = 0;
    const struct ray_child_fd fds[] = {{fd, FILE_FD}, {complaint_fd, STDERR_FILENO}};
    const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    const struct ray_child_spec spec = {.path = mkfs,
                                        .argv = argv,
                                        .envp = envp,
                                        .fds = fds,
                                        .fd_count = 2,
                                        .keeps_all_caps = true,
                                        .cgroup_fd = -1,
                                        .parent_death_signal = SIGKILL};
    struct run run = {0};
    int rc;

    (void)snprintf(sector, sizeof(sector), "size=%" PRIu32, sector_size);
    argv[count++] = "mkfs.xfs";
    argv[count++] = "-q";
    argv[count++] = "-K"; /* there is nothing to discard */
    argv[count++] = "-L";
    argv[count++] = PROVISION_DISK_DATA_NAME; /* for people; nodes go by the partition's name */
    if (is_small) {
        argv[count++] = "-d";
        argv[count++] = "agcount=2";
    }
    argv[count++] = "-l";
    argv[count++] = is_small ? "size=64m" : "size=256m";
    argv[count++] = "-m";
    argv[count++] = "reflink=1,crc=1"; /* volumes will stand on reflink */
    argv[count++] = "-s";
    argv[count++] = sector;
    argv[count++] = "/proc/self/fd/3";
    argv[count] = NULL;
    assert(count < sizeof(argv) / sizeof(argv[0]));
    rc = run_child(&run, &spec, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "%s", mkfs);
    }
    if (run.is_late) {
        return ray_fail(err, RAY_ETIMEOUT, "%s does not end", mkfs);
    }
    if (run.how.is_signaled || run.how.status != 0) {
        char complaint[COMPLAINT_SIZE];
        char how[48];

        read_complaint(complaint_fd, complaint);
        return ray_fail(err, RAY_EINTERNAL, "%s: %s: %s", mkfs, ray_child_exit_text(&run.how, how),
                        complaint);
    }
    return RAY_OK;
}

/* --- its result --- */

static int find_log(struct xfs *xfs, uint64_t size_bytes, struct ray_err *err)
{
    uint8_t block[SUPERBLOCK_SIZE];
    uint64_t block_size;
    uint64_t start;
    uint64_t group;
    unsigned bits;

    if (pread(xfs->fd, block, sizeof(block), 0) != (ssize_t)sizeof(block) ||
        memcmp(block, "XFSB", 4) != 0) {
        return ray_fail(err, RAY_EINTERNAL, "mkfs.xfs made no file system");
    }
    block_size = load(&block[AT_BLOCK_SIZE], 4);
    start = load(&block[AT_LOG_START], 8);
    bits = block[AT_GROUP_BITS];
    if (bits >= 32 || block_size > 65536) {
        return ray_fail(err, RAY_EINTERNAL, "mkfs.xfs made an unusual file system");
    }
    /* A block's number has the group above these bits, and the block within it below. */
    group = start >> bits;
    if (group >= load(&block[AT_GROUP_COUNT], 4)) {
        return ray_fail(err, RAY_EINTERNAL, "mkfs.xfs put the log nowhere");
    }
    start = group * load(&block[AT_GROUP_BLOCKS], 4) + (start & ((UINT64_C(1) << bits) - 1));
    xfs->log_offset_bytes = start * block_size;
    xfs->log_size_bytes = load(&block[AT_LOG_BLOCKS], 4) * block_size;
    if (xfs->log_offset_bytes == 0 || xfs->log_size_bytes == 0 ||
        xfs->log_offset_bytes > size_bytes ||
        xfs->log_size_bytes > size_bytes - xfs->log_offset_bytes) {
        return ray_fail(err, RAY_EINTERNAL, "mkfs.xfs put the log outside the file system");
    }
    return RAY_OK;
}

static int new_memory_file(const char *name, uint64_t size_bytes, int *out_fd, struct ray_err *err)
{
    int fd = ray_fault(RAY_FAULT_OPEN) != 0 ? -1 : memfd_create(name, MFD_CLOEXEC);

    if (fd < 0) {
        return ray_fail_errno(err, errno, "make a memory file");
    }
    if (ftruncate(fd, (off_t)size_bytes) != 0) {
        int rc = ray_fail_errno(err, errno, "a memory file of %" PRIu64 " bytes", size_bytes);
        (void)close(fd); /* memory only */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

int xfs_make(struct xfs *xfs, const char *mkfs, uint64_t size_bytes, uint32_t sector_size,
             struct ray_err *err)
{
    int complaint_fd = -1;
    int rc;

    assert(sector_size == 512 || sector_size == 4096);
    *xfs = (struct xfs){.fd = -1};
    rc = new_memory_file("xfs", size_bytes, &xfs->fd, err);
    if (rc == RAY_OK) {
        rc = new_memory_file("mkfs.xfs", 0, &complaint_fd, err);
    }
    if (rc == RAY_OK) {
        rc = run_mkfs(mkfs, size_bytes, sector_size, xfs->fd, complaint_fd, err);
    }
    if (rc == RAY_OK) {
        rc = find_log(xfs, size_bytes, err);
    }
    if (complaint_fd >= 0) {
        (void)close(complaint_fd); /* memory only */
    }
    if (rc != RAY_OK) {
        xfs_fini(xfs);
    }
    return rc;
}

void xfs_fini(struct xfs *xfs)
{
    if (xfs->fd >= 0) {
        (void)close(xfs->fd); /* memory only */
    }
    *xfs = (struct xfs){.fd = -1};
}

/* The table is the policy; the code only walks it. Why each flag is there:
 *
 * - proc: hidepid=invisible. Nothing of ours outside root reads another user's /proc
 *   entries (memory and CPU of services and guests come from cgroup files), so no gid= is
 *   given; root services are not affected.
 * - dev: noexec, because nothing is mapped executable from a device node here.
 * - run, tmp, shm: limited shares of memory, so that one writer cannot take all of it.
 * - efivars: read-only but for the moment of a write (init_mount_efivars_writable).
 * - debugfs and tracefs are left out. */
#include "node/init/system/mount.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct init_mount_entry mount_table[] = {
    {"proc", "proc", SAFE, "hidepid=invisible", INIT_MOUNT_EARLY, true, true},
    {"sys", "sysfs", SAFE, NULL, INIT_MOUNT_EARLY, true, true},
    {"dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755", INIT_MOUNT_EARLY, true, true},
    {"dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", INIT_MOUNT_EARLY,
     true, true},
    {"dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%,nr_inodes=64k", INIT_MOUNT_EARLY,
     true, true},
    {"run", "tmpfs", SAFE, "mode=0755,size=10%,nr_inodes=64k", INIT_MOUNT_EARLY, true, true},
    {"tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=10%,nr_inodes=64k", INIT_MOUNT_EARLY,
     true, true},
    {"sys/fs/cgroup", "cgroup2", SAFE, "nsdelegate,memory_recursiveprot", INIT_MOUNT_EARLY, false,
     false},
    {"dev/mqueue", "mqueue", SAFE, NULL, INIT_MOUNT_EARLY, false, true},
    {"dev/hugepages", "hugetlbfs", MS_NOSUID | MS_NODEV, "mode=0700", INIT_MOUNT_EARLY, false,
     true},
    {"sys/kernel/security", "securityfs", SAFE, NULL, INIT_MOUNT_EARLY, false, false},
    {"sys/fs/bpf", "bpf", SAFE, "mode=0700", INIT_MOUNT_EARLY, false, false},
    {"sys/fs/pstore", "pstore", SAFE, NULL, INIT_MOUNT_EARLY, false, false},
    {"sys/firmware/efi/efivars", "efivarfs", SAFE | MS_RDONLY, NULL, INIT_MOUNT_LATE, false, false},
};

const struct init_mount_entry *init_mount_table(size_t *out_count)
{
    *out_count = RAY_ARRAY_COUNT(mount_table);
    return mount_table;
}

static bool is_mount_root(const char *path)
{
    struct statx stx;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) != 0) {
        return false;
    }
    return (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static int mount_one(const char *root, const struct init_mount_entry *entry, struct ray_err *err)
{
    char path[PATH_MAX];
    int errnum;
    int n;

    n = snprintf(path, sizeof path, "%s/%s", root, entry->target);
    if (n < 0 || (size_t)n >= sizeof path) {
        return ray_fail(err, RAY_ETOOBIG, "mount target /%s: path too long", entry->target);
    }
    if (entry->makes_target && mkdir(path, 0755) != 0 && errno != EEXIST) {
        return ray_fail_errno(err, errno, "folder /%s", entry->target);
    }
    if (is_mount_root(path)) {
        return RAY_OK;
    }
    errnum = ray_fault(RAY_FAULT_MOUNT);
    if (errnum == 0 && mount(entry->type, path, entry->type, entry->flags, entry->options) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "mount of %s on /%s", entry->type, entry->target);
    }
    return RAY_OK;
}

int init_mount_stage(const char *root, const struct init_mount_entry *table, size_t count,
                     enum init_mount_stage stage, struct ray_logger *logger,
                     size_t *out_skipped_count, struct ray_err *err)
{
    size_t skipped_count = 0;
    int first_rc = RAY_OK;

    assert(root != NULL);
    assert(table != NULL);
    for (size_t i = 0; i < count; i++) {
        struct ray_err entry_err = {0};
        int rc;

        if (table[i].stage != stage) {
            continue;
        }
        rc = mount_one(root, &table[i], &entry_err);
        if (rc == RAY_OK) {
            continue;
        }
        if (table[i].is_required && first_rc == RAY_OK) {
            /* The rest is mounted all the same: an emergency prompt wants what there is. */
            first_rc = ray_fail(err, rc, "%s", entry_err.text);
        }
        if (!table[i].is_required) {
            skipped_count++;
        }
        ray_log(logger, table[i].is_required ? RAY_LOG_ERROR : RAY_LOG_INFO, "mount",
                "skipped target=/%s: %s", table[i].target, entry_err.text);
    }
    if (out_skipped_count != NULL) {
        *out_skipped_count = skipped_count;
    }
    return first_rc;
}

int init_mount_links(const char *root, struct ray_err *err)
{
    static const struct {
        const char *name;
        const char *target;
    } links[] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
    };
    char path[PATH_MAX];

    for (size_t i = 0; i < RAY_ARRAY_COUNT(links); i++) {
        (void)snprintf(path, sizeof path, "%s/dev/%s", root, links[i].name);
        if (symlink(links[i].target, path) != 0 && errno != EEXIST) {
            return ray_fail_errno(err, errno, "link /dev/%s", links[i].name);
        }
    }
    return RAY_OK;
}

int init_mount_private(struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_MOUNT);

    if (errnum == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "private mount propagation");
}

/* pivot_root refuses a root mount without a parent, and rootfs has none. A clone of that
 * same mount, moved over /, has: its parent is rootfs. The kernel also takes a process
 * rooted at the topmost mount of / as not chrooted, so user namespaces work too. Unlike
 * copying the initramfs into a new tmpfs this costs microseconds and no memory; what lies
 * below is the same tree, so nothing is hidden that could be found again. */
int init_mount_switch_root(struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_MOUNT);
    const char *step = "clone";
    int tree = -1;

    if (errnum == 0) {
        tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        errnum = tree < 0 ? errno : 0;
    }
    if (errnum == 0) {
        step = "move";
        errnum = move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ? errno : 0;
    }
    if (errnum == 0) {
        step = "enter";
        errnum = fchdir(tree) != 0 || chroot(".") != 0 || chdir("/") != 0 ? errno : 0;
    }
    if (tree >= 0) {
        (void)close(tree); /* only a reference */
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "second mount over /: %s", step);
}

int init_mount_efivars_writable(const char *root, bool is_writable, struct ray_err *err)
{
    unsigned long flags = MS_REMOUNT | SAFE | (is_writable ? 0UL : (unsigned long)MS_RDONLY);
    char path[PATH_MAX];
    int errnum = ray_fault(RAY_FAULT_MOUNT);

    (void)snprintf(path, sizeof path, "%s/sys/firmware/efi/efivars", root);
    if (errnum == 0 && mount(NULL, path, NULL, flags, NULL) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "efivarfs made %s",
                              is_writable ? "writable" : "read-only");
    }
    return RAY_OK;
}

#include "node/init/system/sysctl.h"

#include <assert.h>
#include <stdio.h>

#include "base/atomic_file.h"
#include "base/size.h"

static const struct init_sysctl_entry sysctl_table[] = {
    {"proc/sys/kernel/kptr_restrict", "2", "kernel addresses help only attackers"},
    {"proc/sys/kernel/dmesg_restrict", "1", "the kernel log names addresses and devices"},
    {"proc/sys/kernel/unprivileged_bpf_disabled", "1", "no service of ours loads BPF as a user"},
    {"proc/sys/net/core/bpf_jit_harden", "1", "constant blinding for users"},
    {"proc/sys/kernel/yama/ptrace_scope", "2", "only root attaches to processes"},
    {"proc/sys/kernel/perf_event_paranoid", "3", "performance counters are a side channel"},
    {"proc/sys/kernel/sysrq", "176", "from a keyboard: sync, remount read-only, reboot"},
    {"proc/sys/dev/tty/ldisc_autoload", "0", "line disciplines are not loaded for users"},
    {"proc/sys/fs/protected_hardlinks", "1", "no links to files of others"},
    {"proc/sys/fs/protected_symlinks", "1", "no following of foreign links in /tmp"},
    {"proc/sys/fs/protected_fifos", "2", "no opening of foreign FIFOs in /tmp"},
    {"proc/sys/fs/protected_regular", "2", "no O_CREAT on foreign files in /tmp"},
    {"proc/sys/fs/suid_dumpable", "0", "no memory image of a process that changed its user"},
    {"proc/sys/kernel/core_pattern", "/dev/null/none",
     "no memory images: they would hold secrets; the open fails by construction"},
    {"proc/sys/kernel/panic_on_oops", "1", "a kernel that lost its footing must not serve"},
    {"proc/sys/kernel/panic", "10", "reboot by itself, after the console could be read"},
    {"proc/sys/kernel/hung_task_panic", "0", "a slow disk is not a reason to reboot"},
    {"proc/sys/kernel/hung_task_timeout_secs", "120", "tasks stuck on a disk are named in the log"},
    {"proc/sys/kernel/softlockup_panic", "0", "a paused virtual machine looks like a lockup"},
    {"proc/sys/net/ipv4/conf/all/accept_redirects", "0", "routes come from DHCP only"},
    {"proc/sys/net/ipv4/conf/default/accept_redirects", "0", "as above"},
    {"proc/sys/net/ipv4/conf/all/send_redirects", "0", "a node is no router for others"},
    {"proc/sys/net/ipv4/conf/default/send_redirects", "0", "as above"},
    {"proc/sys/net/ipv4/conf/all/accept_source_route", "0", "nobody chooses our routes"},
    {"proc/sys/net/ipv4/conf/default/accept_source_route", "0", "as above"},
    {"proc/sys/net/ipv6/conf/all/accept_ra", "0", "addresses come from DHCP only"},
    {"proc/sys/net/ipv6/conf/default/accept_ra", "0", "as above"},
    {"sys/kernel/mm/transparent_hugepage/enabled", "madvise", "huge pages for who asks"},
    {"sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise",
     "guest memory is shared memory that asks for huge pages"},
};

const struct init_sysctl_entry *init_sysctl_table(size_t *out_count)
{
    *out_count = RAY_ARRAY_COUNT(sysctl_table);
    return sysctl_table;
}

void init_sysctl_apply(int root_fd, const struct init_sysctl_entry *table, size_t count,
                       struct ray_logger *logger, size_t *out_skipped_count)
{
    size_t skipped_count = 0;

    assert(table != NULL);
    for (size_t i = 0; i < count; i++) {
        struct ray_err err = {0};

        if (ray_file_write_existing(root_fd, table[i].path, table[i].value, &err) != RAY_OK) {
            skipped_count++;
            ray_log(logger, RAY_LOG_INFO, "sysctl", "skipped path=/%s value=%s: %s", table[i].path,
                    table[i].value, err.text);
        }
    }
    if (out_skipped_count != NULL) {
        *out_skipped_count = skipped_count;
    }
}

int init_sysctl_console_level(int root_fd, int level, struct ray_err *err)
{
    char text[16];

    if (level < 0 || level > 7) {
        return ray_fail(err, RAY_EINVAL, "console level %d, at most 7", level);
    }
    (void)snprintf(text, sizeof text, "%d", level);
    return ray_file_write_existing(root_fd, "proc/sys/kernel/printk", text, err);
}

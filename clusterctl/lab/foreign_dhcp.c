/* clusterctl/lab/foreign_dhcp.c - busybox's udhcpd: another code base than dnsmasq, and as
 * plain as the server in a home router. */
#include "clusterctl/lab/foreign_dhcp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/size.h"
#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/lab.h"

#define UDHCPD_PATH "/usr/sbin/udhcpd"
#define CONFIG_FILE "foreign-dhcp.conf"
#define LOG_FILE "foreign-dhcp.log"

enum { CONFIG_SIZE_MAX = 16 << 10 };

extern char **environ;

static int write_config(const struct lab *lab, struct ray_err *err)
{
    struct ray_buf text;
    int rc;

    ray_buf_init(&text, CONFIG_SIZE_MAX);
    rc = ray_buf_appendf(&text,
                         "interface " LAB_FOREIGN_INTERFACE "\n"
                         "start 10.77.0.100\n"
                         "end 10.77.0.250\n"
                         "option subnet 255.255.255.0\n"
                         "option lease 3600\n"
                         "auto_time 0\n"
                         "pidfile %s/foreign-dhcp.pid\n"
                         "lease_file %s/foreign-dhcp.leases\n",
                         lab->paths.dir, lab->paths.dir);
    for (uint32_t i = 0; rc == RAY_OK && i < lab->config.node_count; i++) {
        struct lab_identity who;

        lab_identity(i, &who);
        rc = ray_buf_appendf(&text, "static_lease %s %s\n", who.mac, who.address);
    }
    if (rc == RAY_OK) {
        rc = ray_atomic_write(lab->dir_fd, CONFIG_FILE, text.data, text.size, 0644, err);
    } else {
        (void)ray_fail(err, rc, "configuration of the foreign DHCP server");
    }
    ray_buf_fini(&text);
    return rc;
}

static void on_exit_of_server(void *arg, const struct ray_child_exit *how)
{
    struct lab *lab = arg;
    char text[48];

    (void)ray_child_exit_text(how, text);
    if (lab->state == LAB_STATE_STARTING) {
        lab_failed(lab, "the foreign DHCP server ended with %s; see " LOG_FILE, text);
        lab_stop(lab, "the foreign DHCP server ended");
    } else if (lab->state == LAB_STATE_UP) {
        lab_event(lab, LAB_KIND_EXIT, NULL, "the foreign DHCP server ended with %s", text);
    }
    lab_check_stopped(lab);
}

int lab_foreign_dhcp_start(struct lab *lab, struct ray_err *err)
{
    const char *const argv[] = {UDHCPD_PATH, "-f", "-a", "0", CONFIG_FILE, NULL};
    int log_fd;
    int rc;

    if (!lab_dhcp_has_foreign(lab->config.dhcp)) {
        return RAY_OK;
    }
    rc = write_config(lab, err);
    if (rc != RAY_OK) {
        return rc;
    }
    log_fd = openat(lab->dir_fd, LOG_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) {
        return ray_fail_errno(err, errno, LOG_FILE);
    }
    {
        const struct ray_child_fd fds[] = {{log_fd, 1}, {log_fd, 2}};
        const struct ray_child_spec spec = {
            .path = UDHCPD_PATH,
            .argv = argv,
            .envp = (const char *const *)environ,
            .dir = lab->paths.dir,
            .fds = fds,
            .fd_count = RAY_ARRAY_COUNT(fds),
            .keeps_all_caps = true,
            .cgroup_fd = -1,
        };

        rc = lab_process_start(&lab->services.foreign_dhcp, &lab->processes, &spec,
                               on_exit_of_server, lab, err);
    }
    (void)close(log_fd); /* the server has its own */
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "foreign DHCP server");
}

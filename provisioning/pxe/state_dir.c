#include "provisioning/pxe/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/fault.h"
#include "provisioning/pxe/dnsmasq_config.h"
#include "provisioning/pxe/script.h"

enum { BOOT_FILE_SIZE_MAX = 4 << 20, CONF_SIZE_MAX = 65536 };

static int resolve(struct provision_state_dir *dir, const struct provision_config *config,
                   struct ray_err *err)
{
    char path[PATH_MAX];

    if (realpath(config->state_dir, path) == NULL) {
        return ray_fail_errno(err, errno, "state folder %s", config->state_dir);
    }
    if (snprintf(dir->path, sizeof(dir->path), "%s", path) >= (int)sizeof(dir->path) ||
        snprintf(dir->conf_path, sizeof(dir->conf_path), "%s/dnsmasq.conf", dir->path) >=
            (int)sizeof(dir->conf_path)) {
        return ray_fail(err, RAY_ETOOBIG, "the path of the state folder is too long");
    }
    /* The configuration file of dnsmasq has no way to quote these. */
    if (strpbrk(dir->path, "#,\"\\\n") != NULL) {
        return ray_fail(err, RAY_EUSAGE, "the path of the state folder has one of # , \" \\");
    }
    return RAY_OK;
}

static int lock(struct provision_state_dir *dir, struct ray_err *err)
{
    char path[PROVISION_PATH_SIZE + 8];
    int errnum = ray_fault(RAY_FAULT_OPEN);

    (void)snprintf(path, sizeof(path), "%s/lock", dir->path); /* fits */
    if (errnum == 0) {
        dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        errnum = dir->lock_fd < 0 ? errno : 0;
    }
    if (errnum == 0 && flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        errnum = errno;
    }
    if (errnum == EWOULDBLOCK) {
        (void)ray_fail(err, RAY_EEXISTS, "another rayos-provision uses the state folder %s",
                       dir->path);
        return ray_next(err, "stop it, or give another --state-dir");
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "lock %s", path);
}

static int write_file(const struct provision_state_dir *dir, const char *name, const void *bytes,
                      size_t size, struct ray_err *err)
{
    char path[PROVISION_PATH_SIZE + 64];

    if (snprintf(path, sizeof(path), "%s/%s", dir->path, name) >= (int)sizeof(path)) {
        return ray_fail(err, RAY_ETOOBIG, "the path of %s is too long", name);
    }
    return ray_atomic_write(AT_FDCWD, path, bytes, size, 0644, err);
}

/* Boot files are copied, so that the TFTP root holds exactly what we serve. */
static int write_boot_file(const struct provision_state_dir *dir, const char *from,
                           const char *name, struct ray_err *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, from, BOOT_FILE_SIZE_MAX, &bytes, &size, err);

    if (rc == RAY_OK) {
        rc = write_file(dir, name, bytes, size, err);
    }
    free(bytes);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "boot file");
}

static int write_texts(const struct provision_state_dir *dir, const struct provision_config *config,
                       struct ray_err *err)
{
    const struct provision_server_address server = {.ip = config->address,
                                                    .http_port = config->http_port};
    struct ray_buf buf;
    int rc;

    ray_buf_init(&buf, CONF_SIZE_MAX);
    rc = provision_script_autoexec(&buf, &server, err);
    if (rc == RAY_OK) {
        rc = write_file(dir, PROVISION_TFTP_DIR "/" PROVISION_AUTOEXEC_FILE, buf.data, buf.size,
                        err);
    }
    if (rc == RAY_OK) {
        ray_buf_clear(&buf);
        rc = provision_dnsmasq_config(&buf, config, dir->path, err);
    }
    if (rc == RAY_OK) {
        rc = write_file(dir, "dnsmasq.conf", buf.data, buf.size, err);
    }
    ray_buf_fini(&buf);
    return rc;
}

static int write_all(const struct provision_state_dir *dir, const struct provision_config *config,
                     struct ray_err *err)
{
    int rc =
        write_boot_file(dir, config->ipxe_path, PROVISION_TFTP_DIR "/" PROVISION_BOOT_FILE, err);

    if (rc == RAY_OK) {
        rc = write_boot_file(dir, config->ipxe_bios_path,
                             PROVISION_TFTP_DIR "/" PROVISION_BIOS_BOOT_FILE, err);
    }
    return rc == RAY_OK ? write_texts(dir, config, err) : rc;
}

int provision_state_dir_open(struct provision_state_dir *dir, const struct provision_config *config,
                             struct ray_err *err)
{
    char tftp_path[PROVISION_PATH_SIZE + 8];
    int rc;

    *dir = (struct provision_state_dir){.lock_fd = -1};
    (void)snprintf(tftp_path, sizeof(tftp_path), "%s/" PROVISION_TFTP_DIR, config->state_dir);
    rc = ray_make_dirs(AT_FDCWD, tftp_path, 0755, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "state folder");
    }
    rc = resolve(dir, config, err);
    if (rc == RAY_OK) {
        rc = lock(dir, err);
    }
    if (rc == RAY_OK && provision_mode_has_dnsmasq(config->mode)) {
        rc = write_all(dir, config, err);
    }
    if (rc != RAY_OK) {
        provision_state_dir_close(dir);
    }
    return rc;
}

void provision_state_dir_close(struct provision_state_dir *dir)
{
    if (dir->lock_fd >= 0) {
        (void)close(dir->lock_fd); /* unlocks */
        dir->lock_fd = -1;
    }
}

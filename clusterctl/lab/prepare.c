/* clusterctl/lab/prepare.c - see prepare.h. */
#include "clusterctl/lab/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/machine.h"

#define LAB_FILE_DISK_IMAGE "rayos.img"

enum { MANIFEST_SIZE_MAX = 1 << 20, VARS_SIZE_MAX = 16 << 20 };

extern char **environ;

/* ---- the image ---- */

static int check_file(const struct lab_config *config, const char *name, struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    int rc = lab_path_join(path, sizeof path, config->image_dir, name, err);

    if (rc == RAY_OK && access(path, R_OK) < 0) {
        (void)ray_fail_errno(err, errno, "no node image in %s: %s", config->image_dir, name);
        if (err != NULL) {
            err->code = RAY_ENOTFOUND;
        }
        (void)ray_next(err, "make image");
        return RAY_ENOTFOUND;
    }
    return rc;
}

int lab_image_check(const struct lab_config *config, struct ray_err *err)
{
    static const char *const for_pxe[] = {"manifest.json", "rayos.efi", NULL};
    static const char *const for_direct[] = {"manifest.json", "rayos.efi", "vmlinuz",
                                             "initrd",        "cmdline",   NULL};
    const char *const *names =
        config->boot == LAB_BOOT_PXE_UEFI || config->boot == LAB_BOOT_HTTP_UEFI ? for_pxe
                                                                                : for_direct;
    int rc = RAY_OK;

    for (; rc == RAY_OK && *names != NULL; names++) {
        rc = check_file(config, *names, err);
    }
    if (rc == RAY_OK && config->disks_boot) {
        rc = check_file(config, LAB_FILE_DISK_IMAGE, err);
    }
    return rc;
}

static int read_manifest(struct lab *lab, struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    uint8_t *text = NULL;
    size_t size = 0;
    yyjson_doc *doc;
    yyjson_val *root;
    yyjson_val *version;
    int rc = lab_path_join(path, sizeof path, lab->config.image_dir, "manifest.json", err);

    if (rc == RAY_OK) {
        rc = ray_file_read(AT_FDCWD, path, MANIFEST_SIZE_MAX, &text, &size, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    doc = yyjson_read((const char *)text, size, 0);
    root = yyjson_doc_get_root(doc);
    version = yyjson_obj_get(root, "version");
    if (yyjson_is_str(version)) {
        (void)ray_escape(lab->image_version, sizeof lab->image_version, yyjson_get_str(version),
                         yyjson_get_len(version));
        lab->has_agent = yyjson_equals_str(yyjson_obj_get(root, "image"), "test");
    } else {
        rc = ray_fail(err, RAY_EMALFORMED, "%s: no version", path);
    }
    yyjson_doc_free(doc);
    free(text);
    return rc;
}

int lab_image_read(struct lab *lab, struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    int rc = read_manifest(lab, err);

    if (rc == RAY_OK && lab_boot_is_direct(lab->config.boot)) {
        rc = lab_path_join(path, sizeof path, lab->config.image_dir, "cmdline", err);
        if (rc == RAY_OK) {
            rc = ray_file_read_text(AT_FDCWD, path, lab->kernel_cmdline, sizeof lab->kernel_cmdline,
                                    err);
        }
    }
    return rc;
}

/* ---- folders ---- */

static int make_dir(int dir_fd, const char *path, struct ray_err *err)
{
    if (mkdirat(dir_fd, path, 0755) < 0 && errno != EEXIST) {
        return ray_fail_errno(err, errno, "folder %s", path);
    }
    return RAY_OK;
}

/* Not durable on purpose: a lab does not outlive a crash of its host. */
static int write_file(int dir_fd, const char *path, const void *data, size_t size,
                      struct ray_err *err)
{
    int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t written;
    int rc = RAY_OK;

    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    written = write(fd, data, size);
    if (written != (ssize_t)size) {
        rc = ray_fail_errno(err, written < 0 ? errno : ENOSPC, "%s", path);
    }
    if (close(fd) < 0 && rc == RAY_OK) {
        rc = ray_fail_errno(err, errno, "%s", path);
    }
    return rc;
}

static int prepare_folder(struct lab *lab, size_t index, const uint8_t *vars, size_t vars_size,
                          struct ray_err *err)
{
    struct lab_identity who;
    char folder[64];
    char path[128];
    char credential[128];
    int size;
    int rc;

    lab_identity(index, &who);
    (void)snprintf(folder, sizeof folder, LAB_DIR_MACHINES "/%s", who.name);
    rc = make_dir(lab->dir_fd, folder, err);
    if (rc == RAY_OK && vars != NULL) {
        (void)snprintf(path, sizeof path, "%s/" LAB_MACHINE_VARS, folder);
        rc = write_file(lab->dir_fd, path, vars, vars_size, err);
    }
    if (rc == RAY_OK) {
        (void)snprintf(path, sizeof path, "%s/" LAB_MACHINE_SMBIOS_DIR, folder);
        rc = make_dir(lab->dir_fd, path, err);
    }
    if (rc == RAY_OK) {
        (void)snprintf(path, sizeof path, "%s/" LAB_MACHINE_SMBIOS_DIR "/rayos.name", folder);
        size = snprintf(credential, sizeof credential, "io.systemd.credential:rayos.name=%s",
                        who.name);
        rc = write_file(lab->dir_fd, path, credential, (size_t)size, err);
    }
    return rc;
}

int lab_prepare_folders(struct lab *lab, struct ray_err *err)
{
    static const char *const folders[] = {LAB_DIR_MACHINES, LAB_DIR_PORTS, LAB_DIR_PROVISION};
    uint8_t *vars = NULL;
    size_t vars_size = 0;
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(folders); i++) {
        rc = make_dir(lab->dir_fd, folders[i], err);
    }
    if (rc == RAY_OK && lab_boot_is_uefi(lab->config.boot)) {
        rc = ray_file_read(AT_FDCWD, LAB_OVMF_VARS, VARS_SIZE_MAX, &vars, &vars_size, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < lab->config.node_count; i++) {
        rc = prepare_folder(lab, i, vars, vars_size, err);
    }
    free(vars);
    return rc;
}

/* ---- data disks ---- */

struct disk_maker {
    struct lab *lab;
    size_t index;
    struct lab_process process;
};

static void on_disk_exit(void *arg, const struct ray_child_exit *how)
{
    struct disk_maker *maker = arg;
    struct lab *lab = maker->lab;
    size_t index = maker->index;

    free(maker);
    if (how->is_signaled || how->status != 0) {
        char text[48];

        lab_failed(lab,
                   "disk of node%zu: its maker ended with %s; " LAB_FILE_LOG " has its last words",
                   index + 1, ray_child_exit_text(how, text));
    }
    lab_step_end(lab);
    lab_check_stopped(lab);
}

/* With the image: as an operator makes it. Without: the partition for data alone. */
static void push_disk_maker(const struct lab *lab, const char *name, struct lab_argv *argv)
{
    unsigned long long size = lab->config.data_disk_size_bytes;

    if (lab->config.disks_boot) {
        lab_argv_push(argv, "%s", lab->paths.program);
        lab_argv_push(argv, "image-release");
        lab_argv_push(argv, "write");
        lab_argv_pair(argv, "--image", "%s/" LAB_FILE_DISK_IMAGE, lab->config.image_dir);
        lab_argv_pair(argv, "--size", "%llu", size);
    } else {
        lab_argv_push(argv, "%s/provisioning/image/disk", lab->paths.checkout);
        lab_argv_push(argv, "data");
    }
    lab_argv_push(argv, "%s/" LAB_DIR_MACHINES "/%s/" LAB_MACHINE_DATA, lab->paths.dir, name);
    if (!lab->config.disks_boot) {
        lab_argv_push(argv, "%llu", size);
    }
}

static int make_disk(struct lab *lab, size_t index, struct ray_err *err)
{
    struct disk_maker *maker = calloc(1, sizeof *maker);
    const struct ray_child_fd fds[] = {{STDERR_FILENO, 1}, {STDERR_FILENO, 2}};
    struct lab_identity who;
    struct lab_argv argv;
    int rc;

    if (maker == NULL) {
        return ray_fail(err, RAY_ENOMEM, "data disk");
    }
    maker->lab = lab;
    maker->index = index;
    lab_identity(index, &who);
    lab_argv_init(&argv);
    push_disk_maker(lab, who.name, &argv);
    rc = lab_argv_check(&argv, err);
    if (rc == RAY_OK) {
        const struct ray_child_spec spec = {
            .path = argv.items[0],
            .argv = argv.items,
            .envp = (const char *const *)environ,
            .dir = lab->paths.checkout,
            .fds = fds,
            .fd_count = RAY_ARRAY_COUNT(fds),
            .keeps_all_caps = true,
            .cgroup_fd = -1,
        };

        rc = lab_process_start(&maker->process, &lab->processes, &spec, on_disk_exit, maker, err);
    }
    lab_argv_fini(&argv);
    if (rc != RAY_OK) {
        free(maker);
        return ray_wrap(err, rc, "data disk of %s", who.name);
    }
    lab_step_begin(lab);
    return RAY_OK;
}

int lab_prepare_disks(struct lab *lab, struct ray_err *err)
{
    int rc = RAY_OK;

    if (lab->config.data_disk_size_bytes == 0) {
        return RAY_OK;
    }
    for (size_t i = 0; rc == RAY_OK && i < lab->config.node_count; i++) {
        rc = make_disk(lab, i, err);
    }
    return rc;
}

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

/* A string of the firmware tables, named as its file. Its text may be secret: ours alone to read.
 */
static int write_credential(const struct lab *lab, const char *node, const char *name,
                            const struct ray_buf *value, struct ray_err *err)
{
    struct ray_buf text;
    char path[128];
    int rc;

    ray_buf_init(&text, LAB_CLUSTER_TEXT_SIZE_MAX + sizeof path);
    (void)snprintf(path, sizeof path, LAB_DIR_MACHINES "/%s/" LAB_MACHINE_SMBIOS_DIR "/%s", node,
                   name);
    rc = ray_buf_appendf(&text, "io.systemd.credential:%s=%s", name, ray_buf_text(value));
    rc = rc == RAY_OK ? write_file(lab->dir_fd, path, text.data, text.size, err)
                      : ray_fail(err, rc, "%s", path);
    ray_buf_wipe(&text);
    ray_buf_fini(&text);
    return rc;
}

static int write_name(const struct lab *lab, const char *name, struct ray_err *err)
{
    struct ray_buf value;
    int rc;

    ray_buf_init(&value, sizeof((struct lab_identity *)NULL)->name);
    rc = ray_buf_appendf(&value, "%s", name);
    rc = rc == RAY_OK ? write_credential(lab, name, "rayos.name", &value, err)
                      : ray_fail(err, rc, "name of %s", name);
    ray_buf_fini(&value);
    return rc;
}

/* The operator's key of this lab: the first principal of its cluster. */
static int make_operator(const struct lab *lab, uint8_t out_identity[static RAY_KEY_SIZE],
                         struct ray_err *err)
{
    struct ray_key *key = NULL;
    int rc = ray_make_dirs(lab->dir_fd, LAB_DIR_CONFIG "/rayos", S_IRWXU, err);

    rc = rc == RAY_OK ? ray_key_generate(&key, err) : rc;
    rc = rc == RAY_OK ? ray_key_save(key, lab->dir_fd, LAB_FILE_OPERATOR_KEY, err) : rc;
    if (rc == RAY_OK) {
        memcpy(out_identity, ray_key_identity(key), RAY_KEY_SIZE);
    }
    ray_key_destroy(key);
    return rc;
}

static int write_contact(const struct lab *lab, struct ray_err *err)
{
    struct ray_buf text;
    int rc;

    ray_buf_init(&text, LAB_CLUSTER_TEXT_SIZE_MAX);
    rc = lab_cluster_contact_text(&lab->cluster, &text, err);
    rc = rc == RAY_OK ? write_file(lab->dir_fd, LAB_FILE_TOKEN, text.data, text.size, err) : rc;
    ray_buf_wipe(&text);
    ray_buf_fini(&text);
    return rc;
}

static int create_text(struct lab *lab, struct ray_buf *out, struct ray_err *err)
{
    uint8_t admin[RAY_KEY_SIZE];
    int rc = make_operator(lab, admin, err);

    rc = rc == RAY_OK ? write_contact(lab, err) : rc;

    return rc == RAY_OK
               ? lab_cluster_create_text(&lab->cluster, lab->paths.name,
                                         lab->accel.uses_kvm ? "lan" : "slow", admin, out, err)
               : rc;
}

/* What the machine is told about a cluster. The first one makes it, as long as it is the first. */
static int write_membership(struct lab *lab, struct lab_node *node, const char *name,
                            struct ray_err *err)
{
    bool is_first = node->index == 0 && node->wipe_count == 0;
    struct ray_buf value;
    int rc;

    if (!lab->config.makes_cluster) {
        return RAY_OK;
    }
    ray_buf_init(&value, LAB_CLUSTER_TEXT_SIZE_MAX);
    rc = is_first ? create_text(lab, &value, err)
                  : lab_cluster_join_text(&lab->cluster, node->index, node->wipe_count == 0, &value,
                                          err);
    if (rc == RAY_OK) {
        node->credential = is_first ? LAB_CREDENTIAL_CREATE : LAB_CREDENTIAL_JOIN;
        rc = write_credential(lab, name, node->credential, &value, err);
    }
    ray_buf_wipe(&value);
    ray_buf_fini(&value);
    return rc;
}

int lab_prepare_credentials(struct lab *lab, struct lab_node *node, struct ray_err *err)
{
    struct lab_identity who;
    int rc;

    lab_identity(node->index, &who);
    rc = write_name(lab, who.name, err);
    return rc == RAY_OK ? write_membership(lab, node, who.name, err) : rc;
}

static int prepare_folder(struct lab *lab, size_t index, const uint8_t *vars, size_t vars_size,
                          struct ray_err *err)
{
    struct lab_identity who;
    char folder[64];
    char path[128];
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
    void (*on_done)(void *arg, bool is_made); /* NULL: a step of the lab's start */
    void *arg;
};

static void end_step(struct lab *lab, size_t index, const struct ray_child_exit *how)
{
    if (how->is_signaled || how->status != 0) {
        char text[48];

        lab_failed(lab,
                   "disk of node%zu: its maker ended with %s; " LAB_FILE_LOG " has its last words",
                   index + 1, ray_child_exit_text(how, text));
    }
    lab_step_end(lab);
}

static void on_disk_exit(void *arg, const struct ray_child_exit *how)
{
    const struct disk_maker maker = *(struct disk_maker *)arg;

    free(arg);
    if (maker.on_done != NULL) {
        maker.on_done(maker.arg, !how->is_signaled && how->status == 0);
    } else {
        end_step(maker.lab, maker.index, how);
    }
    lab_check_stopped(maker.lab);
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

static int make_disk(struct lab *lab, size_t index, void (*on_done)(void *arg, bool is_made),
                     void *arg, struct ray_err *err)
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
    maker->on_done = on_done;
    maker->arg = arg;
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
    return RAY_OK;
}

int lab_prepare_disk(struct lab_node *node, void (*on_done)(void *arg, bool is_made), void *arg,
                     struct ray_err *err)
{
    if (unlinkat(node->dir_fd, LAB_MACHINE_DATA, 0) != 0 && errno != ENOENT) {
        return ray_fail_errno(err, errno, "data disk of %s", node->who.name);
    }
    return make_disk(node->lab, node->index, on_done, arg, err);
}

int lab_prepare_disks(struct lab *lab, struct ray_err *err)
{
    int rc = RAY_OK;

    if (lab->config.data_disk_size_bytes == 0) {
        return RAY_OK;
    }
    for (size_t i = 0; rc == RAY_OK && i < lab->config.node_count; i++) {
        rc = make_disk(lab, i, NULL, NULL, err);
        if (rc == RAY_OK) {
            lab_step_begin(lab);
        }
    }
    return rc;
}

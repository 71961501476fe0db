/* accel.c - the choice and its memory. What is remembered is bound to a key: whatever could
 * change the answer makes another key, and another key is as good as nothing. */
#include "clusterctl/lab/accel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "clusterctl/lab/accel_probe.h"

enum { KEY_SIZE = 1024, MEMORY_SIZE_MAX = 8192, PATH_SIZE = 1024 };

static const char memory_name[] = "accel.json";

static void choose(struct ray_accel *accel, bool uses_kvm)
{
    accel->uses_kvm = uses_kvm;
    accel->args[0] = "-accel";
    accel->args[1] = uses_kvm ? "kvm" : "tcg,thread=multi";
    accel->args[2] = "-cpu";
    accel->args[3] = uses_kvm ? "host" : "max";
    accel->args[4] = NULL;
}

/* This boot, these two files. RAY_ENOTFOUND when one is missing. */
static int make_key(const struct ray_accel_config *config, char out[static KEY_SIZE],
                    struct ray_err *err)
{
    char boot_id[64];
    struct stat kernel;
    struct stat qemu;
    int size;
    int rc = ray_file_read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot_id,
                                sizeof boot_id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (stat(config->kernel_path, &kernel) < 0) {
        return ray_fail_errno(err, errno, "probe kernel '%s'", config->kernel_path);
    }
    if (stat(config->qemu_path, &qemu) < 0) {
        return ray_fail_errno(err, errno, "QEMU '%s'", config->qemu_path);
    }
    size = snprintf(out, KEY_SIZE, "%s %s %lld %lld.%09ld %s %lld %lld.%09ld", boot_id,
                    config->kernel_path, (long long)kernel.st_size,
                    (long long)kernel.st_mtim.tv_sec, kernel.st_mtim.tv_nsec, config->qemu_path,
                    (long long)qemu.st_size, (long long)qemu.st_mtim.tv_sec, qemu.st_mtim.tv_nsec);
    if (size < 0 || size >= KEY_SIZE) {
        return ray_fail(err, RAY_EINVAL, "paths of kernel and QEMU are too long");
    }
    return RAY_OK;
}

static bool memory_path(const struct ray_accel_config *config, char out[static PATH_SIZE])
{
    int size;

    if (config->state_dir == NULL) {
        return false;
    }
    size = snprintf(out, PATH_SIZE, "%s/%s", config->state_dir, memory_name);
    return size > 0 && size < PATH_SIZE;
}

static bool take_memory(yyjson_val *root, const char *key, struct ray_accel *accel)
{
    uint64_t now_s = ray_clock_boottime_ns() / RAY_NS_PER_S;
    uint64_t then_s = yyjson_get_uint(yyjson_obj_get(root, "boottime_s"));
    yyjson_val *works = yyjson_obj_get(root, "works");
    const char *reason = yyjson_get_str(yyjson_obj_get(root, "reason"));

    if (!yyjson_equals_str(yyjson_obj_get(root, "key"), key) || !yyjson_is_bool(works) ||
        reason == NULL || then_s > now_s || now_s - then_s > RAY_ACCEL_REMEMBER_S) {
        return false;
    }
    choose(accel, yyjson_get_bool(works));
    /* Written by us; whoever changed it only cheats himself, escaped. */
    (void)ray_escape(accel->reason, sizeof accel->reason, reason, strlen(reason));
    accel->was_remembered = true;
    return true;
}

static bool recall(const struct ray_accel_config *config, const char *key, struct ray_accel *accel)
{
    char path[PATH_SIZE];
    uint8_t *data = NULL;
    size_t size = 0;
    yyjson_doc *doc;
    bool is_known;

    if (!memory_path(config, path) ||
        ray_file_read(AT_FDCWD, path, MEMORY_SIZE_MAX, &data, &size, NULL) != RAY_OK) {
        return false;
    }
    doc = yyjson_read((const char *)data, size, 0);
    is_known = take_memory(yyjson_doc_get_root(doc), key, accel);
    yyjson_doc_free(doc);
    free(data);
    return is_known;
}

/* A folder that cannot be written only means that the next lab probes again. */
static void remember(const struct ray_accel_config *config, const char *key,
                     const struct ray_accel *accel)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char path[PATH_SIZE];
    char *text;

    yyjson_mut_doc_set_root(doc, root);
    (void)yyjson_mut_obj_add_str(doc, root, "key", key); /* out of memory: no text below */
    (void)yyjson_mut_obj_add_uint(doc, root, "boottime_s", ray_clock_boottime_ns() / RAY_NS_PER_S);
    (void)yyjson_mut_obj_add_str(doc, root, "reason", accel->reason);
    (void)yyjson_mut_obj_add_bool(doc, root, "works", accel->uses_kvm);
    text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, NULL);
    if (text != NULL && memory_path(config, path)) {
        (void)ray_atomic_write(AT_FDCWD, path, text, strlen(text), 0644, NULL);
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

/* Without a device that opens there is nothing to probe, nor to remember. */
static bool can_open_kvm(const struct ray_accel_config *config, struct ray_accel *accel)
{
    const char *path = config->kvm_path != NULL ? config->kvm_path : "/dev/kvm";
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        (void)snprintf(accel->reason, sizeof accel->reason, "KVM does not work: %s: %s", path,
                       strerror(errno));
        return false;
    }
    (void)close(fd);
    return true;
}

static void find_out(const struct ray_accel_config *config, struct ray_accel *accel)
{
    struct ray_err err = {0};
    char key[KEY_SIZE];
    bool works = false;
    int rc;

    choose(accel, false);
    if (!can_open_kvm(config, accel)) {
        return;
    }
    rc = make_key(config, key, &err);
    if (rc == RAY_OK && recall(config, key, accel)) {
        return;
    }
    if (rc == RAY_OK) {
        rc = ray_accel_probe(config, &works, accel->reason, &err);
    }
    if (rc != RAY_OK) {
        (void)snprintf(accel->reason, sizeof accel->reason, "KVM could not be probed: %.200s",
                       err.text);
        return;
    }
    choose(accel, works);
    remember(config, key, accel);
}

int ray_accel_choose(const struct ray_accel_config *config, struct ray_accel *out,
                     struct ray_err *err)
{
    struct ray_accel accel = {0};

    if (config->choice == RAY_ACCEL_TCG) {
        choose(&accel, false);
        (void)snprintf(accel.reason, sizeof accel.reason, "TCG was asked for"); /* fits */
    } else {
        find_out(config, &accel);
    }
    if (config->choice == RAY_ACCEL_KVM && !accel.uses_kvm) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "%s", accel.reason);
        return ray_next(err, "ACCEL=auto takes TCG where KVM does not work");
    }
    *out = accel;
    return RAY_OK;
}

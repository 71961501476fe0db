/* files.c - see files.h */
#include "tests/agent/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"

enum { CHUNK_SIZE = 65536, GET_SIZE_MAX = 6 << 20 };

static struct put *find_put(struct files *files, uint64_t id)
{
    for (size_t i = 0; i < PUT_COUNT_MAX; i++) {
        if (files->puts[i].id == id) {
            return &files->puts[i];
        }
    }
    return NULL;
}

static void put_free(struct put *put)
{
    ray_buf_fini(&put->bytes);
    *put = (struct put){0};
}

void files_forget(struct files *files)
{
    for (size_t i = 0; i < PUT_COUNT_MAX; i++) {
        if (files->puts[i].id != 0) {
            put_free(&files->puts[i]);
        }
    }
}

static int put_finish(struct put *put, bool *out_done, struct ray_err *err)
{
    int rc = RAY_OK;

    *out_done = put->bytes.size == put->size;
    if (*out_done) {
        rc =
            ray_atomic_write(AT_FDCWD, put->path, put->bytes.data, put->bytes.size, put->mode, err);
        put_free(put);
    }
    return rc;
}

int files_put(struct files *files, uint64_t id, const Rayos__Agent__Put *request, bool *out_done,
              struct ray_err *err)
{
    struct put *put = find_put(files, 0);

    if (put == NULL) {
        return ray_fail(err, RAY_EAGAIN, "%d files are being written already", PUT_COUNT_MAX);
    }
    if (request->size > PUT_SIZE_MAX || strlen(request->path) >= sizeof put->path) {
        return ray_fail(err, RAY_ETOOBIG, "a file has at most %d bytes and a path of %zu",
                        PUT_SIZE_MAX, sizeof put->path - 1);
    }
    put->id = id;
    (void)snprintf(put->path, sizeof put->path, "%s", request->path);
    put->mode = request->mode == 0 ? 0644 : request->mode & 07777;
    put->size = request->size;
    ray_buf_init(&put->bytes, PUT_SIZE_MAX);
    return put_finish(put, out_done, err);
}

int files_data(struct files *files, uint64_t id, const Rayos__Agent__Data *data, bool *out_done,
               struct ray_err *err)
{
    struct put *put = id == 0 ? NULL : find_put(files, id);
    int rc;

    *out_done = false;
    if (put == NULL) {
        return RAY_OK; /* the rest of a put that has failed: its end was sent already */
    }
    if (data->bytes.len > put->size - put->bytes.size) {
        put_free(put);
        return ray_fail(err, RAY_EMALFORMED, "more bytes than the file was to have");
    }
    rc = ray_buf_append(&put->bytes, data->bytes.data, data->bytes.len);
    if (rc != RAY_OK) {
        put_free(put);
        return ray_fail(err, rc, "no memory for the file");
    }
    return put_finish(put, out_done, err);
}

int files_get(struct port *port, uint64_t id, const Rayos__Agent__Get *get, struct ray_err *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, get->path, GET_SIZE_MAX, &bytes, &size, err);

    for (size_t at = 0; rc == RAY_OK && at < size;) {
        Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
        Rayos__Agent__Data data = RAYOS__AGENT__DATA__INIT;

        data.bytes.len = size - at < CHUNK_SIZE ? size - at : CHUNK_SIZE;
        data.bytes.data = bytes + at;
        answer.id = id;
        answer.what_case = RAYOS__AGENT__ANSWER__WHAT_DATA;
        answer.data = &data;
        rc = port_send(port, &answer);
        if (rc != RAY_OK) {
            (void)ray_fail(err, rc, "the host does not read");
        }
        at += data.bytes.len;
    }
    free(bytes);
    return rc;
}

static bool is_tools_disk(const char *name)
{
    char path[300];
    char text[512];

    (void)snprintf(path, sizeof path, "/sys/class/block/%s/serial", name);
    if (ray_file_read_text(AT_FDCWD, path, text, sizeof text, NULL) == RAY_OK &&
        strcmp(text, "RAYOS_TOOLS") == 0) {
        return true;
    }
    (void)snprintf(path, sizeof path, "/sys/class/block/%s/uevent", name);
    return ray_file_read_text(AT_FDCWD, path, text, sizeof text, NULL) == RAY_OK &&
           strstr(text, "PARTNAME=RAYOS_TOOLS") != NULL;
}

int files_mount_tools(struct ray_err *err)
{
    static const char *const types[] = {"erofs", "squashfs", "ext4", "xfs"};
    DIR *dir = opendir("/sys/class/block");
    struct dirent *entry;
    char device[300] = "";

    while (dir != NULL && device[0] == '\0' && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && is_tools_disk(entry->d_name)) {
            (void)snprintf(device, sizeof device, "/dev/%s", entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (device[0] == '\0') {
        return ray_fail(err, RAY_ENOTFOUND, "no disk named RAYOS_TOOLS");
    }
    (void)mkdir("/run/tools", 0755); /* mount tells when it is missing */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (mount(device, "/run/tools", types[i], MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0) {
            return RAY_OK;
        }
    }
    return ray_fail_errno(err, errno, "cannot mount %s as erofs, squashfs, ext4 or xfs", device);
}

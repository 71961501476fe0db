/* files.c - a put ends when as many bytes have come as it announced; a get is pumped into the
 * port until that is full, and again when it has drained. */
#include "tests/agent/files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "net/proto_codec.h"

enum { CHUNK_SIZE = 65536 };

void files_init(struct files *files, struct port *port)
{
    *files = (struct files){.port = port};
}

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

static void get_free(struct get *get)
{
    (void)close(get->fd); /* was only read */
    *get = (struct get){0};
}

void files_forget(struct files *files)
{
    for (size_t i = 0; i < PUT_COUNT_MAX; i++) {
        put_free(&files->puts[i]);
    }
    for (size_t i = 0; i < GET_COUNT_MAX; i++) {
        if (files->gets[i].id != 0) {
            get_free(&files->gets[i]);
        }
    }
}

static int put_finish(struct files *files, struct put *put, struct ray_err *err)
{
    uint64_t id = put->id;
    int rc;

    if (put->bytes.size < put->size) {
        return RAY_OK;
    }
    rc = ray_atomic_write(AT_FDCWD, put->path, put->bytes.data, put->bytes.size, put->mode, err);
    put_free(put);
    if (rc == RAY_OK) {
        (void)port_send_done(files->port, id); /* unless the host is gone */
    }
    return rc;
}

int files_put(struct files *files, uint64_t id, const Rayos__Agent__Put *request,
              struct ray_err *err)
{
    struct put *put = find_put(files, 0);

    assert(id != 0);
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
    return put_finish(files, put, err);
}

int files_data(struct files *files, uint64_t id, const Rayos__Agent__Data *data,
               struct ray_err *err)
{
    struct put *put = find_put(files, id);
    int rc;

    assert(id != 0);
    if (put == NULL) {
        return RAY_OK;
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
    return put_finish(files, put, err);
}

/* Sends one chunk; true when the get has ended, its end being sent. */
static bool get_step(struct port *port, const struct get *get)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Data data = RAYOS__AGENT__DATA__INIT;
    uint8_t bytes[CHUNK_SIZE];
    struct ray_err err = {0};
    ssize_t got;

    do {
        got = read(get->fd, bytes, sizeof bytes);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        (void)ray_fail_errno(&err, errno, "read");
        (void)port_send_failure(port, get->id, &err); /* unless the host is gone */
        return true;
    }
    if (got == 0) {
        (void)port_send_done(port, get->id); /* unless the host is gone */
        return true;
    }
    data.bytes = ray_proto_bytes(bytes, (size_t)got);
    answer.id = get->id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_DATA;
    answer.data = &data;
    if (port_send(port, &answer) != RAY_OK) {
        (void)ray_fail(&err, RAY_ENOMEM, "no memory for the file");
        (void)port_send_failure(port, get->id, &err); /* unless the host is gone */
        return true;
    }
    return false;
}

static void get_pump(struct files *files, struct get *get)
{
    while (!port_is_full(files->port)) {
        if (get_step(files->port, get)) {
            get_free(get);
            return;
        }
    }
}

int files_get(struct files *files, uint64_t id, const Rayos__Agent__Get *request,
              struct ray_err *err)
{
    struct get *get = NULL;
    struct stat info;
    int fd;

    assert(id != 0);
    for (size_t i = 0; i < GET_COUNT_MAX && get == NULL; i++) {
        get = files->gets[i].id == 0 ? &files->gets[i] : NULL;
    }
    if (get == NULL) {
        return ray_fail(err, RAY_EAGAIN, "%d files are being read already", GET_COUNT_MAX);
    }
    /* O_NONBLOCK: opening a FIFO must not hold up everything else. */
    fd = open(request->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "open '%s'", request->path);
    }
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        (void)close(fd);
        return ray_fail(err, RAY_EINVAL, "'%s' is not a regular file", request->path);
    }
    *get = (struct get){.id = id, .fd = fd};
    get_pump(files, get);
    return RAY_OK;
}

void files_resume(struct files *files)
{
    for (size_t i = 0; i < GET_COUNT_MAX; i++) {
        if (files->gets[i].id != 0) {
            get_pump(files, &files->gets[i]);
        }
    }
}

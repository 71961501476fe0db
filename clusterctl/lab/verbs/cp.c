/* clusterctl/lab/verbs/cp.c - `lab cp` and `lab screenshot`: files from and to a node.
 *
 * The supervisor gets a descriptor of the local file. What comes from a node goes into a
 * file of no name, which gets its name only when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clusterctl/lab/verbs/session.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

const struct ray_args_option lab_cp_options[] = {
    LAB_NAME_OPTION,
    {.name = "agent-timeout",
     .value_name = "SECONDS",
     .default_value = "30",
     .help = "how long to wait for the node's test agent"},
    {0},
};

enum { LAB_SCREENSHOT_TIMEOUT_MS = 20000 };

const struct ray_args_option lab_screenshot_options[] = {LAB_NAME_OPTION, {0}};

/* ---- a local file that appears whole or not at all ---- */

struct new_file {
    char path[LAB_PATH_SIZE];
    char temporary[LAB_PATH_SIZE + 16];
    int fd;
};

static int new_file_open(struct new_file *file, const char *path, struct ray_err *err)
{
    *file = (struct new_file){.fd = -1};
    if (strlen(path) >= sizeof file->path) {
        return ray_fail(err, RAY_ETOOBIG, "path %s: longer than %zu bytes", path,
                        sizeof file->path - 1);
    }
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    (void)snprintf(file->temporary, sizeof file->temporary, "%s.tmp-%d", path, (int)getpid());
    file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return file->fd < 0 ? ray_fail_errno(err, errno, "%s", path) : RAY_OK;
}

/* Gives the file its name when rc is RAY_OK, else removes it; returns the final code. */
static int new_file_close(struct new_file *file, int rc, struct ray_err *err)
{
    if (file->fd < 0) {
        return rc;
    }
    if (close(file->fd) < 0 && rc == RAY_OK) {
        rc = ray_fail_errno(err, errno, "%s", file->path);
    }
    if (rc == RAY_OK && rename(file->temporary, file->path) < 0) {
        rc = ray_fail_errno(err, errno, "%s", file->path);
    }
    if (rc != RAY_OK) {
        (void)unlink(file->temporary); /* the first failure is the one to tell */
    }
    file->fd = -1;
    return rc;
}

/* ---- cp ---- */

/* "node1:/path": the length of the node's name, 0 when it is a local path. */
static size_t node_size(const char *text)
{
    const char *colon = strchr(text, ':');
    const char *slash = strchr(text, '/');

    return colon == NULL || (slash != NULL && slash < colon) ? 0 : (size_t)(colon - text);
}

static int call_with_fd(const struct lab_client *client, const char *method,
                        const ProtobufCMessage *input, int fd, struct ray_err *err)
{
    struct lab_session session = {0};
    const struct lab_call call = {
        .method = method,
        .input = input,
        .fds = &fd,
        .fd_count = 1,
        .output = &rayos__lab__done__descriptor,
    };
    int rc = lab_session_open(&session, client, err);

    rc = rc == RAY_OK ? lab_session_call(&session, &call, NULL, err) : rc;
    lab_session_close(&session);
    return rc;
}

static int put(const struct lab_client *client, const char *local, char *node, char *path,
               uint64_t agent_timeout_ms, struct ray_err *err)
{
    Rayos__Lab__PutRequest request = RAYOS__LAB__PUT_REQUEST__INIT;
    struct stat info;
    int fd = open(local, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0 || fstat(fd, &info) < 0) {
        rc = ray_fail_errno(err, errno, "%s", local);
    } else {
        request.node = node;
        request.path = path;
        request.mode = info.st_mode & 07777;
        request.agent_timeout_ms = agent_timeout_ms;
        rc = call_with_fd(client, "lab.put", &request.base, fd, err);
    }
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    return rc;
}

static int get(const struct lab_client *client, char *node, char *path, const char *local,
               uint64_t agent_timeout_ms, struct ray_err *err)
{
    Rayos__Lab__GetRequest request = RAYOS__LAB__GET_REQUEST__INIT;
    struct new_file file;
    int rc = new_file_open(&file, local, err);

    if (rc == RAY_OK) {
        request.node = node;
        request.path = path;
        request.agent_timeout_ms = agent_timeout_ms;
        rc = call_with_fd(client, "lab.get", &request.base, file.fd, err);
    }
    return new_file_close(&file, rc, err);
}

/* The node of whichever of the two names one, and its path behind the colon. */
static int copy(const struct lab_client *client, const char *from, const char *to,
                uint64_t agent_timeout_ms, struct ray_err *err)
{
    size_t from_size = node_size(from);
    size_t to_size = node_size(to);
    const char *remote = from_size > 0 ? from : to;
    size_t size = from_size > 0 ? from_size : to_size;
    char node[LAB_NAME_SIZE];
    char *path = (char *)(uintptr_t)(remote + size + 1);

    if ((from_size > 0) == (to_size > 0)) {
        return ray_fail(err, RAY_EUSAGE, "one of the two is NODE:PATH, the other a local file");
    }
    if (size >= sizeof node) {
        return ray_fail(err, RAY_ENOTFOUND, "no node '%.*s'", (int)size, remote);
    }
    (void)snprintf(node, sizeof node, "%.*s", (int)size, remote);
    return from_size > 0 ? get(client, node, path, to, agent_timeout_ms, err)
                         : put(client, from, node, path, agent_timeout_ms, err);
}

int lab_run_cp(const struct ray_args *args, void *context)
{
    struct lab_client client = {.dir_fd = -1};
    struct ray_err err = {0};
    uint64_t agent_timeout_s = 0;
    int rc = lab_option_u64(args, "agent-timeout", 0, 3600, &agent_timeout_s, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_client_open(&client, args, &err) : rc;
    if (rc == RAY_OK) {
        rc =
            copy(&client, args->positionals[0], args->positionals[1], agent_timeout_s * 1000, &err);
    }
    lab_client_close(&client);
    return rc == RAY_OK ? 0 : lab_fail(&err);
}

/* ---- screenshot ---- */

/* Moves the supervisor's picture into `local`. */
static int take_picture(const struct lab_client *client, const char *picture, const char *local,
                        struct ray_err *err)
{
    char path[LAB_PATH_SIZE];
    struct new_file file = {.fd = -1};
    ssize_t size = 1;
    int fd;
    int rc = lab_path_join(path, sizeof path, client->paths.dir, picture, err);

    if (rc != RAY_OK) {
        return rc;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    rc = new_file_open(&file, local, err);
    while (rc == RAY_OK && size > 0) {
        size = sendfile(file.fd, fd, NULL, 1 << 20);
        if (size < 0) {
            rc = ray_fail_errno(err, errno, "%s", local);
        }
    }
    (void)close(fd);    /* read only */
    (void)unlink(path); /* else it goes with the lab */
    return new_file_close(&file, rc, err);
}

int lab_run_screenshot(const struct ray_args *args, void *context)
{
    Rayos__Lab__ScreenshotRequest request = RAYOS__LAB__SCREENSHOT_REQUEST__INIT;
    struct lab_client client = {.dir_fd = -1};
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int rc = lab_client_open(&client, args, &err);

    (void)context;
    request.node = (char *)(uintptr_t)args->positionals[0];
    if (rc == RAY_OK) {
        rc = lab_client_call(&client, "lab.screenshot", &request.base,
                             &rayos__lab__screenshot_reply__descriptor, LAB_SCREENSHOT_TIMEOUT_MS,
                             &body, &err);
    }
    if (rc == RAY_OK) {
        const Rayos__Lab__ScreenshotReply *reply = (const Rayos__Lab__ScreenshotReply *)body;

        rc = take_picture(&client, reply->path, args->positionals[1], &err);
        protobuf_c_message_free_unpacked(body, NULL);
    }
    lab_client_close(&client);
    return rc == RAY_OK ? 0 : lab_fail(&err);
}

#include "clusterctl/context/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "clusterctl/context/operator_key.h"

enum { PATH_SIZE = OPERATOR_KEY_PATH_SIZE + CONTEXT_NAME_SIZE + 32 };

static const char suffix[] = ".json";

/* ---- files ---- */

static int path_of(const char *name, char out[static PATH_SIZE], struct ray_err *err)
{
    char folder[OPERATOR_KEY_PATH_SIZE];
    int rc;

    if (!context_is_name(name)) {
        (void)ray_fail(err, RAY_EUSAGE, "'%.64s' is no name of a context", name);
        (void)ray_next(err, "a name has 1 to 63 of letters, digits, '.', '_' and '-'");
        return RAY_EUSAGE;
    }
    rc = operator_folder(folder, err);
    if (rc == RAY_OK) {
        (void)snprintf(out, PATH_SIZE, "%s/contexts/%s%s", folder, name, suffix);
    }
    return rc;
}

/* A file of this user's alone. */
static int check_keeping(int fd, const char *path, struct ray_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)ray_fail(err, RAY_EDENIED, "%s is not this user's alone", path);
        (void)ray_next(err, "look at it, then: chown $USER %s && chmod 600 %s", path, path);
        return RAY_EDENIED;
    }
    return RAY_OK;
}

static int open_kept(const char *path, int *out_fd, struct ray_err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int rc;

    if (fd < 0 && errno == ELOOP) {
        return ray_fail(err, RAY_EDENIED, "%s is a link", path);
    }
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    rc = check_keeping(fd, path, err);
    if (rc != RAY_OK) {
        (void)close(fd); /* only looked at */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

/* To the end, at most one byte more than a context has. */
static int read_all(int fd, char *out, size_t *out_size, struct ray_err *err)
{
    size_t size = 0;

    while (size <= CONTEXT_SIZE_MAX) {
        ssize_t got = read(fd, out + size, CONTEXT_SIZE_MAX + 1 - size);

        if (got < 0 && errno != EINTR) {
            return ray_fail_errno(err, errno, "a context");
        }
        if (got == 0) {
            break;
        }
        size += got > 0 ? (size_t)got : 0;
    }
    *out_size = size;
    return RAY_OK;
}

static int parse_fd(int fd, const char *path, struct context *out, struct ray_err *err)
{
    char *text = malloc(CONTEXT_SIZE_MAX + 1);
    size_t size = 0;
    int rc = text == NULL ? ray_fail(err, RAY_ENOMEM, "a context") : read_all(fd, text, &size, err);

    if (rc == RAY_OK) {
        rc = context_parse(text, size, out, err);
        rc = rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "%s", path);
    }
    free(text);
    return rc;
}

int context_load(const char *name, struct context *out, struct ray_err *err)
{
    char path[PATH_SIZE];
    int fd = -1;
    int rc = path_of(name, path, err);

    rc = rc == RAY_OK ? open_kept(path, &fd, err) : rc;
    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "no context '%s'", name);
        (void)ray_next(err, "clusterctl context list");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = parse_fd(fd, path, out, err);
    (void)close(fd); /* only read from */
    if (rc == RAY_OK && strcmp(out->name, name) != 0) {
        rc = ray_fail(err, RAY_EMALFORMED, "%s says that it is '%s'", path, out->name);
    }
    if (rc == RAY_EMALFORMED) {
        (void)ray_next(err, "clusterctl context remove %s, then add or import it anew", name);
    }
    return rc;
}

int context_read(const char *path, struct context *out, struct ray_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    rc = parse_fd(fd, is_stdin ? "stdin" : path, out, err);
    if (!is_stdin) {
        (void)close(fd); /* only read from */
    }
    return rc;
}

int context_save(const struct context *context, struct ray_err *err)
{
    char path[PATH_SIZE];
    char *slash;
    char *text = NULL;
    size_t size = 0;
    int rc = path_of(context->name, path, err);

    if (rc == RAY_OK) {
        slash = strrchr(path, '/');
        *slash = '\0';
        rc = ray_make_dirs(AT_FDCWD, path, S_IRWXU, err);
        *slash = '/';
    }
    rc = rc == RAY_OK ? context_format(context, &text, &size, err) : rc;
    rc = rc == RAY_OK ? ray_atomic_write(AT_FDCWD, path, text, size, S_IRUSR | S_IWUSR, err) : rc;
    free(text);
    return rc;
}

uint64_t context_age_s(const char *name)
{
    char path[PATH_SIZE];
    struct timespec now;
    struct stat st;

    if (path_of(name, path, NULL) != RAY_OK || stat(path, &st) != 0 ||
        clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < st.st_mtim.tv_sec) {
        return 0;
    }
    return (uint64_t)(now.tv_sec - st.st_mtim.tv_sec);
}

/* ---- the current one ---- */

static int current_path(char out[static PATH_SIZE], struct ray_err *err)
{
    char folder[OPERATOR_KEY_PATH_SIZE];
    int rc = operator_folder(folder, err);

    if (rc == RAY_OK) {
        (void)snprintf(out, PATH_SIZE, "%s/context", folder);
    }
    return rc;
}

static int read_current(char out[static CONTEXT_NAME_SIZE], struct ray_err *err)
{
    char path[PATH_SIZE];
    char line[CONTEXT_NAME_SIZE + 1];
    ssize_t size;
    int fd = -1;
    int rc = current_path(path, err);

    rc = rc == RAY_OK ? open_kept(path, &fd, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    size = read(fd, line, sizeof line - 1);
    (void)close(fd); /* only read from */
    line[size > 0 ? size : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (!context_is_name(line)) {
        (void)ray_fail(err, RAY_EMALFORMED, "%s holds no name of a context", path);
        (void)ray_next(err, "clusterctl context use NAME");
        return RAY_EMALFORMED;
    }
    memcpy(out, line, strlen(line) + 1);
    return RAY_OK;
}

int context_chosen(char out[static CONTEXT_NAME_SIZE], struct ray_err *err)
{
    const char *given = getenv("RAYOS_CONTEXT");
    int rc;

    if (given != NULL && given[0] != '\0') {
        if (!context_is_name(given)) {
            return ray_fail(err, RAY_EUSAGE, "RAYOS_CONTEXT is no name of a context");
        }
        (void)snprintf(out, CONTEXT_NAME_SIZE, "%s", given);
        return RAY_OK;
    }
    rc = read_current(out, err);
    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "no context is chosen");
        (void)ray_next(err, "clusterctl context list, then: clusterctl context use NAME");
    }
    return rc;
}

int context_use(const char *name, struct ray_err *err)
{
    char path[PATH_SIZE];
    char line[CONTEXT_NAME_SIZE + 1];
    int rc = current_path(path, err);

    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(line, sizeof line, "%s\n", name);
    return ray_atomic_write(AT_FDCWD, path, line, strlen(line), S_IRUSR | S_IWUSR, err);
}

int context_remove(const char *name, struct ray_err *err)
{
    char current[CONTEXT_NAME_SIZE];
    char path[PATH_SIZE];
    int rc = path_of(name, path, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (unlink(path) != 0) {
        rc = errno == ENOENT ? ray_fail(err, RAY_ENOTFOUND, "no context '%s'", name)
                             : ray_fail_errno(err, errno, "%s", path);
        (void)ray_next(err, "clusterctl context list");
        return rc;
    }
    if (read_current(current, NULL) == RAY_OK && strcmp(current, name) == 0 &&
        current_path(path, NULL) == RAY_OK) {
        (void)unlink(path); /* it would only name what is gone */
    }
    return RAY_OK;
}

/* ---- all of them ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "NAME.json" to "NAME". */
static bool take_name(const char *file, char out[static CONTEXT_NAME_SIZE])
{
    size_t size = strlen(file);

    if (size < sizeof suffix || size - (sizeof suffix - 1) >= CONTEXT_NAME_SIZE ||
        strcmp(file + size - (sizeof suffix - 1), suffix) != 0) {
        return false;
    }
    size -= sizeof suffix - 1;
    memcpy(out, file, size);
    out[size] = '\0';
    return context_is_name(out);
}

int context_list(char out_names[][CONTEXT_NAME_SIZE], size_t *out_count, struct ray_err *err)
{
    char folder[OPERATOR_KEY_PATH_SIZE];
    char path[PATH_SIZE];
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir;
    int rc = operator_folder(folder, err);

    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%s/contexts", folder);
    dir = opendir(path);
    if (dir == NULL && errno != ENOENT) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    while (dir != NULL && count < CONTEXT_LIST_MAX && (entry = readdir(dir)) != NULL) {
        count += take_name(entry->d_name, out_names[count]);
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    qsort(out_names, count, CONTEXT_NAME_SIZE, compare_names);
    *out_count = count;
    return RAY_OK;
}

/* ---- the key ---- */

int context_open_key(const struct context *context, struct ray_key **out_key, struct ray_err *err)
{
    char usual[OPERATOR_KEY_PATH_SIZE];
    const char *path = context->key_path;
    int fd = -1;
    int rc = RAY_OK;

    if (path[0] == '\0') {
        rc = operator_key_path(usual, err);
        path = usual;
    }
    rc = rc == RAY_OK ? open_kept(path, &fd, err) : rc;
    if (rc == RAY_OK) {
        rc = ray_key_load_fd(out_key, fd, 0, err);
        (void)close(fd); /* only read from */
    }
    if (rc == RAY_ENOTFOUND) {
        (void)ray_next(err, "copy the operator's key there, or make one: clusterctl principal key");
    }
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "the operator's key");
}

#include "clusterctl/context/operator_key.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"

static const char file_name[] = "operator.key";

static const char *home_of_user(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && home[0] == '/') {
        return home;
    }
    user = getpwuid(geteuid());
    return user != NULL ? user->pw_dir : NULL;
}

int operator_folder(char out[static OPERATOR_KEY_PATH_SIZE], struct ray_err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = home_of_user();
    int size;

    if (config != NULL && config[0] == '/') {
        size = snprintf(out, OPERATOR_KEY_PATH_SIZE, "%s/rayos", config);
    } else if (home != NULL) {
        size = snprintf(out, OPERATOR_KEY_PATH_SIZE, "%s/.config/rayos", home);
    } else {
        (void)ray_fail(err, RAY_EINVAL, "no folder for the operator's key");
        (void)ray_next(err, "set HOME or XDG_CONFIG_HOME");
        return RAY_EINVAL;
    }
    if (size < 0 || size >= OPERATOR_KEY_PATH_SIZE) {
        return ray_fail(err, RAY_EINVAL, "the path of the operator's key is too long");
    }
    return RAY_OK;
}

int operator_key_path(char out[static OPERATOR_KEY_PATH_SIZE], struct ray_err *err)
{
    char folder[OPERATOR_KEY_PATH_SIZE];
    int size;
    int rc = operator_folder(folder, err);

    if (rc != RAY_OK) {
        return rc;
    }
    size = snprintf(out, OPERATOR_KEY_PATH_SIZE, "%s/%s", folder, file_name);
    if (size < 0 || size >= OPERATOR_KEY_PATH_SIZE) {
        return ray_fail(err, RAY_EINVAL, "the path of the operator's key is too long");
    }
    return RAY_OK;
}

static int open_in(struct ray_key **out_key, int dir_fd, bool *out_is_new, struct ray_err *err)
{
    int rc = ray_key_load(out_key, dir_fd, file_name, 0, err);

    *out_is_new = rc == RAY_ENOTFOUND;
    if (rc != RAY_ENOTFOUND) {
        return rc;
    }
    rc = ray_key_generate(out_key, err);
    if (rc == RAY_OK) {
        rc = ray_key_save(*out_key, dir_fd, file_name, err);
        if (rc != RAY_OK) {
            ray_key_destroy(*out_key);
        }
    }
    return rc;
}

int operator_key_open(struct ray_key **out_key, char out_path[static OPERATOR_KEY_PATH_SIZE],
                      bool *out_is_new, struct ray_err *err)
{
    char folder[OPERATOR_KEY_PATH_SIZE];
    int dir_fd;
    int rc = operator_folder(folder, err);

    if (rc == RAY_OK) {
        rc = ray_make_dirs(AT_FDCWD, folder, S_IRWXU, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = operator_key_path(out_path, err);
    if (rc != RAY_OK) {
        return rc;
    }
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return ray_fail_errno(err, errno, "%s", folder);
    }
    rc = open_in(out_key, dir_fd, out_is_new, err);
    (void)close(dir_fd); /* only read from */
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "the operator's key");
}

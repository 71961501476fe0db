/* identity.c - the node's key, and the names that are made of keys and ids. PID 1 makes the key on
 * a node; a hosted process makes its own in the same form. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "coordinator/api/impl.h"

enum { NAME_SIZE_MAX = 32 };

bool member_is_name(const char *name)
{
    size_t size = strlen(name);

    return size >= 1 && size <= NAME_SIZE_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size && name[0] != '-' &&
           name[size - 1] != '-';
}

static int open_key(struct coord_member *m, int dir_fd, struct ray_err *err)
{
    int rc = ray_key_load(&m->key, dir_fd, "node.key", 0, err);

    if (rc != RAY_ENOTFOUND) {
        return rc;
    }
    rc = ray_key_generate(&m->key, err);
    return rc == RAY_OK ? ray_key_save(m->key, dir_fd, "node.key", err) : rc;
}

/* The option, the name of before, or one made of the fingerprint; it is kept. */
static int choose_name(struct coord_member *m, int dir_fd, struct ray_err *err)
{
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char kept[COORD_NAME_SIZE];
    int rc;

    if (ray_file_read_text(dir_fd, "name", kept, sizeof kept, NULL) != RAY_OK ||
        !member_is_name(kept)) {
        kept[0] = '\0';
    }
    if (m->config.name != NULL) {
        if (!member_is_name(m->config.name)) {
            return ray_fail(err, RAY_EUSAGE,
                            "a node's name has 1 to %d of a-z, 0-9 and '-', not at its ends",
                            NAME_SIZE_MAX);
        }
        (void)snprintf(m->name, sizeof m->name, "%s", m->config.name);
    } else if (kept[0] != '\0') {
        memcpy(m->name, kept, sizeof m->name);
    } else {
        ray_key_fingerprint(ray_key_identity(m->key), fingerprint);
        (void)snprintf(m->name, sizeof m->name, "n-%02x%02x%02x%02x", fingerprint[0],
                       fingerprint[1], fingerprint[2], fingerprint[3]);
    }
    if (strcmp(m->name, kept) == 0) {
        return RAY_OK;
    }
    rc = ray_atomic_write(dir_fd, "name", m->name, strlen(m->name),
                          S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH,
                          m->config.name != NULL ? NULL : err);
    /* On a node the folder is PID 1's, which says the name at each start. */
    return m->config.name != NULL ? RAY_OK : rc;
}

int member_identity_open(struct coord_member *m, struct ray_err *err)
{
    char path[MEMBER_PATH_SIZE + 16];
    int dir_fd;
    int rc;

    (void)snprintf(path, sizeof path, "%s/identity", m->data_dir);
    rc = ray_make_dirs(AT_FDCWD, path, S_IRWXU, err);
    if (rc != RAY_OK) {
        return rc;
    }
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    rc = open_key(m, dir_fd, err);
    if (rc == RAY_OK) {
        ray_key_node_id(ray_key_identity(m->key), &m->id);
        rc = choose_name(m, dir_fd, err);
    }
    (void)close(dir_fd); /* only read from */
    return rc;
}

const char *member_fingerprint_words(const struct ray_id *cluster_id,
                                     char out[static RAY_WORDS_TEXT_SIZE])
{
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];

    ray_cluster_fingerprint(cluster_id, fingerprint);
    return ray_words_format(fingerprint, out);
}

/* incarnation.c - one line: the kernel's boot id, the incarnation. Where run_dir is not in memory
 * (a process by hand), the boot id tells a boot from a restart. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "coordinator/api/impl.h"

enum { BOOT_ID_SIZE = 64, LINE_SIZE = BOOT_ID_SIZE + RAY_ID_TEXT_SIZE + 2 };

static const char boot_id_path[] = "/proc/sys/kernel/random/boot_id";

/* RAY_ENOTFOUND: none, of another boot, or not readable as one. */
static int read_kept(const char *path, const char *boot_id, struct ray_id *out)
{
    char line[LINE_SIZE];
    char *space;
    int rc = ray_file_read_text(AT_FDCWD, path, line, sizeof line, NULL);

    if (rc != RAY_OK) {
        return RAY_ENOTFOUND;
    }
    space = strchr(line, ' ');
    if (space == NULL) {
        return RAY_ENOTFOUND;
    }
    *space = '\0';
    if (strcmp(line, boot_id) != 0 || ray_id_parse(space + 1, out, NULL) != RAY_OK) {
        return RAY_ENOTFOUND;
    }
    return RAY_OK;
}

int member_incarnation(const char *run_dir, struct ray_id *out, struct ray_err *err)
{
    char path[MEMBER_PATH_SIZE];
    char boot_id[BOOT_ID_SIZE];
    char text[RAY_ID_TEXT_SIZE];
    char line[LINE_SIZE];
    struct ray_id id;
    int size;
    int rc = ray_file_read_text(AT_FDCWD, boot_id_path, boot_id, sizeof boot_id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    size = snprintf(path, sizeof path, "%s/incarnation", run_dir);
    if (size < 0 || (size_t)size >= sizeof path) {
        return ray_fail(err, RAY_EINVAL, "the run folder's path is too long");
    }
    if (read_kept(path, boot_id, out) == RAY_OK) {
        return RAY_OK;
    }
    randombytes_buf(id.bytes, sizeof id.bytes);
    size = snprintf(line, sizeof line, "%s %s\n", boot_id, ray_id_format(&id, text));
    rc = ray_atomic_write(AT_FDCWD, path, line, (size_t)size, S_IRUSR | S_IWUSR, err);
    if (rc == RAY_OK) {
        *out = id;
    }
    return rc;
}

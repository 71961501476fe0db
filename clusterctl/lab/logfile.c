/* clusterctl/lab/logfile.c - see logfile.h. */
#include "clusterctl/lab/logfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "clusterctl/lab/lines.h"

enum { STAMP_SIZE_MAX = 32, TEXT_SIZE_MAX = 4 * LAB_LINE_SIZE_MAX };

static int open_file(struct lab_logfile *log)
{
    struct stat info;
    int fd = ray_fault(RAY_FAULT_OPEN)
                 ? -1
                 : openat(log->dir_fd, log->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0) {
        return -errno;
    }
    log->fd = fd;
    log->size_bytes = fstat(fd, &info) == 0 ? (uint64_t)info.st_size : 0;
    return 0;
}

int lab_logfile_open(struct lab_logfile *log, int dir_fd, const char *name, uint64_t size_max_bytes,
                     struct ray_err *err)
{
    int rc;

    assert(strlen(name) < LAB_LOGFILE_NAME_SIZE);
    *log = (struct lab_logfile){.dir_fd = dir_fd, .fd = -1, .size_max_bytes = size_max_bytes};
    (void)snprintf(log->name, sizeof log->name, "%s", name);
    rc = open_file(log);
    return rc == 0 ? RAY_OK : ray_fail_errno(err, -rc, "log file %s", name);
}

void lab_logfile_close(struct lab_logfile *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd); /* nothing is buffered here */
    }
    log->fd = -1;
}

static void rotate(struct lab_logfile *log)
{
    char old_name[LAB_LOGFILE_NAME_SIZE + 2];

    (void)snprintf(old_name, sizeof old_name, "%s.1", log->name);
    if (renameat(log->dir_fd, log->name, log->dir_fd, old_name) < 0) {
        /* The limit comes first: without a place for the old lines they are dropped. */
        (void)unlinkat(log->dir_fd, log->name, 0);
    }
    lab_logfile_close(log);
    (void)open_file(log); /* on failure fd is -1, and each line tries again */
}

void lab_logfile_line(struct lab_logfile *log, const char *text, size_t size)
{
    char line[STAMP_SIZE_MAX + TEXT_SIZE_MAX + 1];
    ssize_t written;

    if (size > sizeof line - 1) {
        size = sizeof line - 1;
    }
    memcpy(line, text, size);
    line[size++] = '\n';
    if (log->fd < 0) {
        (void)open_file(log);
    } else if (log->size_bytes > 0 && log->size_bytes + size > log->size_max_bytes) {
        rotate(log);
    }
    if (log->fd < 0 || ray_fault(RAY_FAULT_WRITE)) {
        log->lost_count++;
        return;
    }
    written = write(log->fd, line, size);
    if (written > 0) {
        log->size_bytes += (uint64_t)written;
    }
    if (written != (ssize_t)size) {
        log->lost_count++;
    }
}

/* Control characters as \xNN; everything else, UTF-8 too, as it is. */
static size_t escape_controls(char out[static TEXT_SIZE_MAX], const char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    for (size_t i = 0; i < size && used + 4 <= TEXT_SIZE_MAX; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte >= ' ' && byte != 0x7f) {
            out[used++] = text[i];
        } else if (byte == '\t') {
            out[used++] = ' ';
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = digits[byte >> 4];
            out[used++] = digits[byte & 15];
        }
    }
    return used;
}

void lab_logfile_stamped(struct lab_logfile *log, uint64_t t_us, const char *text, size_t size)
{
    char line[STAMP_SIZE_MAX + TEXT_SIZE_MAX];
    int stamp_size =
        snprintf(line, STAMP_SIZE_MAX, "%5llu.%06llu ", (unsigned long long)(t_us / 1000000),
                 (unsigned long long)(t_us % 1000000));

    assert(stamp_size > 0 && stamp_size < STAMP_SIZE_MAX);
    size = escape_controls(line + stamp_size, text, size);
    lab_logfile_line(log, line, (size_t)stamp_size + size);
}

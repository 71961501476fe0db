/* clusterctl/lab/logfile.h - a log that cannot fill the disk: lines are appended to NAME;
 * above the limit NAME becomes NAME.1 and a new NAME begins.
 *
 * Memory: none beyond the struct.  Threads: one owner.  Blocks: on the disk.
 * Trust: text may come from a machine: it is escaped, so that a line stays a line.
 * A line that cannot be written (disk full) is counted; the lab goes on. */
#ifndef RAY_CLUSTERCTL_LAB_LOGFILE_H
#define RAY_CLUSTERCTL_LAB_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LAB_LOGFILE_SIZE_MAX = 16 << 20, LAB_LOGFILE_NAME_SIZE = 64 };

struct lab_logfile {
    int dir_fd; /* borrowed */
    int fd;     /* owned; -1: none */
    char name[LAB_LOGFILE_NAME_SIZE];
    uint64_t size_bytes;
    uint64_t size_max_bytes;
    uint64_t lost_count;
};

/* Appends to an existing file. */
int lab_logfile_open(struct lab_logfile *log, int dir_fd, const char *name, uint64_t size_max_bytes,
                     struct ray_err *err);
void lab_logfile_close(struct lab_logfile *log);
/* "  12.345678 text\n", time in seconds. */
void lab_logfile_stamped(struct lab_logfile *log, uint64_t t_us, const char *text, size_t size);
/* The bytes as they are, and a newline. */
void lab_logfile_line(struct lab_logfile *log, const char *text, size_t size);

#endif

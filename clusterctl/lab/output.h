/* clusterctl/lab/output.h - what a process of the lab writes to its standard error, in a log
 * that cannot fill the disk.
 *
 * Memory: the caller's struct, in place while open.  Threads: the loop's.
 * Blocks: on the disk.  Trust: text of QEMU may be a guest's doing: cleaned line by line. */
#ifndef RAY_CLUSTERCTL_LAB_OUTPUT_H
#define RAY_CLUSTERCTL_LAB_OUTPUT_H

#include "base/err.h"
#include "base/loop.h"
#include "clusterctl/lab/lines.h"
#include "clusterctl/lab/logfile.h"
#include "clusterctl/lab/stream.h"

enum { LAB_OUTPUT_LAST_SIZE = 200 };

struct lab_output {
    struct lab_stream stream;
    struct lab_lines lines;
    struct lab_logfile log;
    char last_line[LAB_OUTPUT_LAST_SIZE]; /* escaped; empty: nothing was written */
};

void lab_output_init(struct lab_output *output); /* closed */
/* Appends to the log NAME. *out_fd is the other end, for the process; the caller closes it. */
int lab_output_open(struct lab_output *output, struct ray_loop *loop, int dir_fd, const char *name,
                    int *out_fd, struct ray_err *err);
/* Takes what has arrived, then closes. Safe on closed. */
void lab_output_close(struct lab_output *output);

#endif

/* clusterctl/lab/tidy.h - what stays of a lab that is down: its report and its logs.
 *
 * Memory: none.  Threads: any; nobody else works in the folder.  Blocks: on the disk.
 * Trust: file names are ours or of programs of ours; symbolic links are removed, never
 * followed. */
#ifndef RAY_CLUSTERCTL_LAB_TIDY_H
#define RAY_CLUSTERCTL_LAB_TIDY_H

#include <stdbool.h>

#include "base/err.h"

/* *.log, *.log.1, *.jsonl, *.jsonl.1, *.pcap and report.json. */
bool lab_tidy_keeps(const char *name);
/* Removes everything else below `path` (relative to dir_fd), and folders that got empty;
 * `path` itself stays. Goes on after a failure and reports the first. */
int lab_tidy(int dir_fd, const char *path, struct ray_err *err);
/* Removes everything below `path`; `path` itself stays. */
int lab_wipe(int dir_fd, const char *path, struct ray_err *err);

#endif

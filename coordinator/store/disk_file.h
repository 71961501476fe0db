/* coordinator/store/disk_file.h - a folder of a real file system as a struct coord_disk.
 *
 * Writes go one after another through a thread of their own, with O_DIRECT|O_DSYNC, and so
 * does what runs beside the loop; another thread makes, renames and removes files. Where the file
 * system refuses O_DIRECT (some tmpfs) it goes on without: O_DSYNC alone, whose errors the kernel
 * may tell only once.
 *
 * Memory: create/destroy.  Threads: calls and callbacks on the loop's; two inside.
 * Blocks: what coord_disk says.  Trust: names are ours; content is not trusted. */
#ifndef RAY_COORDINATOR_STORE_DISK_FILE_H
#define RAY_COORDINATOR_STORE_DISK_FILE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/histogram.h"
#include "base/loop.h"
#include "coordinator/store/disk.h"

/* `path` is a folder that exists; it is locked for this process (RAY_ECONFLICT: another has it),
 * and unfinished files are removed. At most COORD_DISK_FILE_QUEUE_MAX operations may be under
 * way (assert). */
enum { COORD_DISK_FILE_QUEUE_MAX = 64 };

int coord_disk_file_create(struct coord_disk **out, struct ray_loop *loop, const char *path,
                           struct ray_err *err);
/* Only to look: nothing is made, removed or written, and of the operations there are but list,
 * read, free_size and destroy. Nobody else can open it until destroy. RAY_ECONFLICT as above. */
int coord_disk_file_look(struct coord_disk **out, const char *path, struct ray_err *err);
/* Whether the file system takes O_DIRECT; where not, say so once at start. */
bool coord_disk_file_is_direct(const struct coord_disk *disk);
/* How long writes took, from when they were asked for. */
const struct ray_histogram *coord_disk_file_writes(const struct coord_disk *disk);
/* `done` when the writing thread has done all that was asked of it before: how a disk that does
 * not answer is noticed. One at a time, beyond COORD_DISK_FILE_QUEUE_MAX. */
void coord_disk_file_probe(struct coord_disk *disk, coord_disk_done *done, void *arg);

#endif

/* clusterctl/lab/prepare.h - the files that the machines of a lab start with.
 *
 * Memory: none kept.  Threads: the loop's.  Blocks: on the disk; the data disks are made by
 * child processes.  Trust: the image folder is the user's; its texts are bounded. */
#ifndef RAY_CLUSTERCTL_LAB_PREPARE_H
#define RAY_CLUSTERCTL_LAB_PREPARE_H

#include "base/err.h"
#include "clusterctl/lab/config.h"

struct lab;
struct lab_node;

/* Whether the image folder holds what this boot path needs. RAY_ENOTFOUND with the next step. */
int lab_image_check(const struct lab_config *config, struct ray_err *err);

/* Reads version, kind and kernel command line of the image into `lab`. */
int lab_image_read(struct lab *lab, struct ray_err *err);

/* Folders and firmware variables of every machine. */
int lab_prepare_folders(struct lab *lab, struct ray_err *err);
/* What the machine's firmware tells it: its name, and what to do about a cluster. */
int lab_prepare_credentials(struct lab *lab, struct lab_node *node, struct ray_err *err);

/* Starts making the data disks: steps of the preparation (lab_step_begin, lab_step_end). */
int lab_prepare_disks(struct lab *lab, struct ray_err *err);
/* The disk of one machine anew, which is off. `on_done` comes once, from the loop. */
int lab_prepare_disk(struct lab_node *node, void (*on_done)(void *arg, bool is_made), void *arg,
                     struct ray_err *err);

#endif

/* clusterctl/context/operator_key.h - the operator's own key: $XDG_CONFIG_HOME/rayos/operator.key,
 * made at first use.
 *
 * Memory: the key is the caller's (ray_key_destroy).  Threads: one.  Blocks: on the disk.
 * Trust: the file is checked by net/key. */
#ifndef RAY_CLUSTERCTL_CONTEXT_OPERATOR_KEY_H
#define RAY_CLUSTERCTL_CONTEXT_OPERATOR_KEY_H

#include <stdbool.h>

#include "base/err.h"
#include "net/key.h"

enum { OPERATOR_KEY_PATH_SIZE = 512 };

/* $XDG_CONFIG_HOME/rayos, else ~/.config/rayos; it need not be there. */
int operator_folder(char out[static OPERATOR_KEY_PATH_SIZE], struct ray_err *err);
/* The key's file in it. */
int operator_key_path(char out[static OPERATOR_KEY_PATH_SIZE], struct ray_err *err);

/* *out_is_new: it was made now; `out_path` says where it lies. */
int operator_key_open(struct ray_key **out_key, char out_path[static OPERATOR_KEY_PATH_SIZE],
                      bool *out_is_new, struct ray_err *err);

#endif

/* clusterctl/context/store.h - the contexts of this user:
 * $XDG_CONFIG_HOME/rayos/contexts/NAME.json, and beside that folder the file `context`, which names
 * the current one.
 *
 * Files are 0600. One that others may write or read, that is a link or somebody else's, is refused:
 * whoever can change it can send the operator to another cluster.
 * Memory: plain structs.  Threads: one.  Blocks: on the disk.
 * Trust: files are hostile until they are checked. */
#ifndef RAY_CLUSTERCTL_CONTEXT_STORE_H
#define RAY_CLUSTERCTL_CONTEXT_STORE_H

#include "clusterctl/context/context.h"

enum { CONTEXT_LIST_MAX = 256 };

/* RAY_ENOTFOUND, RAY_EDENIED (the file is not kept well), RAY_EMALFORMED; with a next step. */
int context_load(const char *name, struct context *out, struct ray_err *err);
/* A file from elsewhere, "-" for stdin; its mode does not matter, as what it says is shown. */
int context_read(const char *path, struct context *out, struct ray_err *err);
/* Replaces one of that name; makes the folders. */
int context_save(const struct context *context, struct ray_err *err);
/* Seconds since it was written; 0: not known. */
uint64_t context_age_s(const char *name);
int context_remove(const char *name, struct ray_err *err); /* RAY_ENOTFOUND */

/* Names in order, at most CONTEXT_LIST_MAX. No folder: none. */
int context_list(char out_names[][CONTEXT_NAME_SIZE], size_t *out_count, struct ray_err *err);

/* The chosen one: RAYOS_CONTEXT, else the current one. RAY_ENOTFOUND: there is none. */
int context_chosen(char out[static CONTEXT_NAME_SIZE], struct ray_err *err);
int context_use(const char *name, struct ray_err *err);

/* The key that it names, or the operator's usual one. The key is the caller's. RAY_EDENIED: others
 * may read the file; RAY_ENOTFOUND. */
int context_open_key(const struct context *context, struct ray_key **out_key, struct ray_err *err);

#endif

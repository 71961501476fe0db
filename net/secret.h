/* net/secret.h - memory for secrets, and reading small secret files without copies elsewhere.
 *
 * Private to net/.
 * Memory: locked, out of cores, between guard pages; free wipes.  Threads: any.
 * Blocks: reading, on the disk.  Trust: the content of files is hostile. */
#ifndef RAY_NET_SECRET_H
#define RAY_NET_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Zeroed; NULL. Also the one place where libsodium is started: whoever has secrets got them here.
 */
void *ray_secret_alloc(size_t size);
void ray_secret_free(void *memory); /* NULL is fine */

/* Reads `fd` to its end. RAY_ETOOBIG: more than `size_max` bytes; RAY_EIO. */
int ray_secret_read(int fd, uint8_t *out, size_t size_max, size_t *out_size, struct ray_err *err);
/* The same of a file. RAY_ENOTFOUND, ... */
int ray_secret_read_file(int dir_fd, const char *name, uint8_t *out, size_t size_max,
                         size_t *out_size, struct ray_err *err);

#endif

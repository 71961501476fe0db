/* provisioning/machines/arguments.h - the words that an operator may add to a machine's kernel
 * command line. Everything that is not in the table is refused: the command line carries no
 * secret, no identity and no `install`.
 *
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: texts come from operators and from stored records; both are checked alike. */
#ifndef RAY_PROVISIONING_MACHINES_ARGUMENTS_H
#define RAY_PROVISIONING_MACHINES_ARGUMENTS_H

#include <stddef.h>

#include "base/err.h"

enum { PROVISION_ARGUMENTS_SIZE = 256, PROVISION_ARGUMENTS_COUNT_MAX = 16 };

/* `text` is "" or words with one space between, each of the allow-list and valid, at most
 * PROVISION_ARGUMENTS_COUNT_MAX and shorter than PROVISION_ARGUMENTS_SIZE; none twice but
 * console=. RAY_EINVAL names the word and what it may be. */
int provision_arguments_check(const char *text, struct ray_err *err);

/* The table, for help and reference: "panic=" and "seconds, 0 to 3600"; NULL beyond the end. */
const char *provision_arguments_key(size_t index);
const char *provision_arguments_help(size_t index);

#endif

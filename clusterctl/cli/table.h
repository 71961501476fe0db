/* clusterctl/cli/table.h - a JSON tree for people: aligned columns.
 *
 * Memory: texts of one table at a time.  Threads: any.  Blocks: on the stream.
 * Trust: strings may be anything: bytes that are not printable ASCII are escaped. */
#ifndef RAY_CLUSTERCTL_CLI_TABLE_H
#define RAY_CLUSTERCTL_CLI_TABLE_H

#include <stdio.h>

#include "clusterctl/cli/output.h"

/* A list of objects; columns NULL: the keys of its first object, without lists. */
int table_print_list(FILE *stream, yyjson_mut_val *list, const struct output_column *columns,
                     struct ray_err *err);
/* An object: its values with their names, then its lists one by one. */
int table_print_object(FILE *stream, yyjson_mut_val *object, struct ray_err *err);

#endif

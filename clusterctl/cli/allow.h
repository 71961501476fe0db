/* clusterctl/cli/allow.h - of a tree only what a list names: what may leave the house.
 *
 * Memory: copies into the document.  Threads: any.  Blocks: never.
 * Trust: the source may hold anything; what the list does not name is not looked at. */
#ifndef RAY_CLUSTERCTL_CLI_ALLOW_H
#define RAY_CLUSTERCTL_CLI_ALLOW_H

#include <yyjson.h>

/* An object of those `fields` (ends with NULL) that are plain values in `source`: texts, numbers
 * and truths, never objects or lists. NULL: no memory, or `source` is no object. */
yyjson_mut_val *allow_object(yyjson_mut_doc *doc, yyjson_mut_val *source,
                             const char *const *fields);
/* The same of each object in a list. */
yyjson_mut_val *allow_list(yyjson_mut_doc *doc, yyjson_mut_val *source, const char *const *fields);

#endif

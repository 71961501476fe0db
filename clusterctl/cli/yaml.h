/* clusterctl/cli/yaml.h - a JSON tree as YAML 1.2 block style.
 *
 * Memory: none.  Threads: any.  Blocks: on the stream.  Trust: strings may be anything: all
 * but plain words are written in double quotes with JSON's escapes, which YAML shares. */
#ifndef RAY_CLUSTERCTL_CLI_YAML_H
#define RAY_CLUSTERCTL_CLI_YAML_H

#include <stdio.h>
#include <yyjson.h>

/* false when the stream failed. */
bool yaml_print(FILE *stream, yyjson_mut_val *root);

#endif

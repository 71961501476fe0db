/* node/hello/server.h - which server a node says hello to.
 *
 * The word rayos.boot= of the kernel command line, else what DHCP named (option 224). Both are
 * http://ADDRESS:PORT of another machine (net/http/origin.h), or nothing.
 * Memory: plain structs; parsing a lease allocates and frees.  Threads: any.  Blocks: never.
 * Trust: both texts come from whoever boots the machine or answers its DHCP: hostile. They say
 * where a hello goes, never what the node does. */
#ifndef RAY_NODE_HELLO_SERVER_H
#define RAY_NODE_HELLO_SERVER_H

#include <stddef.h>

#include "base/err.h"
#include "net/http/origin.h"

enum hello_server_source {
    HELLO_SERVER_COMMAND_LINE,
    HELLO_SERVER_DHCP,
};

struct hello_server {
    struct ray_http_origin origin;
    enum hello_server_source source;
};

/* `cmdline` as /proc/cmdline, `lease` as /run/rayos/dhcp.json; either may be NULL.
 * RAY_ENOTFOUND: none is named. RAY_EMALFORMED: none but one that is no address of another
 * machine. A malformed word does not hide what DHCP says. */
int hello_server_find(const char *cmdline, size_t cmdline_size, const char *lease,
                      size_t lease_size, struct hello_server *out, struct ray_err *err);

const char *hello_server_source_text(enum hello_server_source source); /* "command line" */

#endif

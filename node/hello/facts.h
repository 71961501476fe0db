/* node/hello/facts.h - what a hello says of this node, read once.
 *
 * Memory: all texts in the caller's arena.  Threads: any.  Blocks: on pseudo files.
 * Trust: firmware and devices choose some of the texts; they are escaped and cut. */
#ifndef RAY_NODE_HELLO_FACTS_H
#define RAY_NODE_HELLO_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { HELLO_HINT_SIZE_MAX = 65 }; /* of a text about the machine, with NUL */

struct hello_facts {
    const char *mac; /* "52:54:00:77:00:15" of the bridge, which is that of the boot card */
    const char *name;
    const char *fingerprint;
    const char *words;
    const char *image_version;
    const char *image_digest; /* as who booted us named it (rayos.image=); "" not known */
    const char *boot_id;
    const char *vendor; /* about the machine, "" unknown */
    const char *product;
    const char *serial;
    const char *uuid;
    const char *cpu;
    uint64_t memory_bytes;
    size_t disk_count;
};

/* `root_fd`: where proc, sys, run and usr are; `arena` should allow FACTS_ARENA_SIZE_MAX.
 * RAY_EUNAVAILABLE: without MAC, name, fingerprint or boot id nobody knows who speaks. */
int hello_facts_read(int root_fd, struct ray_arena *arena, struct hello_facts *out,
                     struct ray_err *err);

#endif

/* node/facts/machine.h - firmware, clock source, kernel, image, and who this node is.
 *
 * Memory: texts in the source's arena.  Threads: the caller's.  Blocks: as read.h.
 * Trust: as read.h; the JSON files are PID 1's and the image's, and checked all the same. */
#ifndef RAY_NODE_FACTS_MACHINE_H
#define RAY_NODE_FACTS_MACHINE_H

#include "net/proto/node.pb-c.h"
#include "node/facts/read.h"

void facts_firmware_read(struct facts_source *source, Rayos__Node__Firmware *out);
void facts_clock_read(struct facts_source *source, Rayos__Node__Clock *out);

/* Where the node's data lives, of /run/rayos/boot.json. */
struct facts_data {
    bool is_known; /* PID 1 of ours has written the file */
    bool is_disk;
    const char *device;
    const char *reason; /* why RAM */
};

/* Fills name, fingerprint, image, kernel, boot and uptime of `out`, and *out_data. */
void facts_identity_read(struct facts_source *source, Rayos__Node__Facts *out,
                         struct facts_data *out_data);

#endif

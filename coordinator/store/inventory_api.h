/* coordinator/store/inventory_api.h - what a node's data folder holds of the log, read while no
 * rayosd runs on it: for whoever has to choose which survivor goes on.
 *
 * Memory: plain struct.  Threads: one caller's.  Blocks: on the disk, as long as the whole log
 * takes to read.  Trust: the folder may hold anything; LMDB maps the checkpoint itself
 * (checkpoint_lmdb.h).
 */
#ifndef RAY_COORDINATOR_STORE_INVENTORY_API_H
#define RAY_COORDINATOR_STORE_INVENTORY_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

enum { COORD_INVENTORY_NAME_SIZE = 64, COORD_INVENTORY_TEXT_SIZE = 256 };

struct coord_inventory {
    char node[COORD_INVENTORY_NAME_SIZE]; /* "": the folder says none */
    struct ray_id node_id;
    struct ray_id cluster_id;
    uint64_t cluster_epoch;
    uint64_t server_id; /* the number that the log knows this node by; 0: none yet */
    uint64_t term;
    uint64_t vote; /* of whom, as server_id; 0: nobody in this term */
    bool is_quarantined;
    bool is_removed;
    bool is_refilling;         /* log and snapshots are those of an older number and void */
    uint64_t first_index;      /* of the log; last_index + 1: no entry */
    uint64_t last_index;       /* of log or snapshot, whichever goes further */
    uint64_t last_term;        /* of that entry; 0: none */
    uint64_t durable_index;    /* that the log itself states; a lower bound */
    uint64_t snapshot_index;   /* of the newest whole one; 0: none */
    uint64_t checkpoint_index; /* 0: none, or worthless */
    char log_trouble[COORD_INVENTORY_TEXT_SIZE];        /* a torn tail, rot; "" none */
    bool is_rotten;                                     /* that is rot: this node must not vote */
    char checkpoint_trouble[COORD_INVENTORY_TEXT_SIZE]; /* why it is worthless; "" it is not */
};

/* Of the data folder `root`. Nothing there is made, changed or removed; a rayosd that starts
 * meanwhile ends. RAY_ECONFLICT: one runs; RAY_ENOTFOUND: no folder, or no membership in it;
 * RAY_EMALFORMED: both copies of the meta block are damaged; RAY_EUNSUPPORTED: of a newer build;
 * with next steps. */
int coord_inventory_read(const char *root, struct coord_inventory *out, struct ray_err *err);

#endif

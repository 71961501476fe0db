/* coordinator/api/roster_list.h - the nodes that vote or may soon, with keys and addresses: what a
 * node has to know of others before its registry is here (roster.c keeps it as a fact). A library
 * of its own, as the simulator runs it too.
 *
 * Memory: plain structs; `member_roster_message` borrows.  Threads: any.  Blocks: never.
 * Trust: bytes come from a disk, messages from a member: both are checked. */
#ifndef RAY_COORDINATOR_API_ROSTER_LIST_H
#define RAY_COORDINATOR_API_ROSTER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "coordinator/fsm/fsm.h"
#include "net/proto/cluster.pb-c.h"

enum { MEMBER_ROSTER_MAX = 64 };

struct member_roster_line {
    struct ray_id id;
    uint8_t identity_key[COORD_KEY_SIZE];
    uint8_t link_key[COORD_KEY_SIZE];
    char address[COORD_ADDRESS_SIZE];
};

/* In order of their ids, each once. */
struct member_roster {
    struct ray_id cluster_id;
    char cluster[COORD_NAME_SIZE];
    uint64_t cluster_epoch; /* 0: there is no roster */
    uint64_t revision;      /* of the registry that said so first */
    size_t count;
    struct member_roster_line lines[MEMBER_ROSTER_MAX];
};

/* RAY_EMALFORMED: no members, too many, one twice, keys of another size, no cluster; *out is
 * untouched then. */
int member_roster_take(const Rayos__Cluster__Joined *joined, struct member_roster *out,
                       struct ray_err *err);
/* The same of a packed rayos.cluster.Joined. */
int member_roster_parse(const uint8_t *bytes, size_t size, struct member_roster *out,
                        struct ray_err *err);
/* Those of the registry that vote or may soon, and `self`. false: it has no cluster. */
bool member_roster_list(struct coord_fsm *fsm, const struct ray_id *self,
                        struct member_roster *out);

struct member_roster_message {
    Rayos__Cluster__Joined joined; /* borrows from the roster */
    Rayos__Cluster__Member members[MEMBER_ROSTER_MAX];
    Rayos__Cluster__Member *pointers[MEMBER_ROSTER_MAX];
};
void member_roster_describe(const struct member_roster *roster, struct member_roster_message *out);
/* Replaces what `out` holds; RAY_ENOMEM, RAY_ETOOBIG. */
int member_roster_pack(const struct member_roster *roster, struct ray_buf *out);

/* NULL: not in it. */
const struct member_roster_line *member_roster_find(const struct member_roster *roster,
                                                    const struct ray_id *id);
/* But for the revision. */
bool member_roster_is_same(const struct member_roster *a, const struct member_roster *b);
/* That registry ends before the roster was made: it says less, or what is no longer so. A higher
 * cluster epoch is later than any revision of one before. */
bool member_roster_is_ahead(const struct member_roster *roster, const struct coord_fsm *fsm);
/* The roster says who is known, and not that registry (NULL: there is none): it has no cluster, or
 * the roster is ahead. */
bool member_roster_decides(const struct member_roster *roster, const struct coord_fsm *fsm);
/* What is to be kept instead of `kept`: the registry decides, and says another one. false: nothing;
 * *out may be written to all the same. */
bool member_roster_renew(const struct member_roster *kept, struct coord_fsm *fsm,
                         const struct ray_id *self, struct member_roster *out);

#endif

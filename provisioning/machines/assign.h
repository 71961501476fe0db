/* provisioning/machines/assign.h - what a machine gets when it asks. A pure function.
 *
 * The machine's own assignment wins over its group's, that over the default: the newest image,
 * live. An image that failed three tries in a row on this machine, and was never good on it,
 * gives way to the last image that was good on it, else to the newest that was good on any
 * machine. Nothing here ever installs.
 * Memory: the result borrows the image from the list.  Threads: any.  Blocks: never.
 * Trust: the record holds what machines said; no text of it gets into arguments. */
#ifndef RAY_PROVISIONING_MACHINES_ASSIGN_H
#define RAY_PROVISIONING_MACHINES_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provisioning/machines/record.h"

enum { PROVISION_REASON_SIZE = 240 };

/* One image of the store. */
struct provision_candidate {
    struct provision_image_ref image;
    uint64_t added_us; /* the newest has the largest; of equals the last in the list */
    bool is_usable;    /* verified, or may still be: not known to be damaged */
    uint64_t good_us;  /* last good end on any machine; 0: never. provision_table_decide sets it */
};

/* X(id, word) */
#define PROVISION_ACTION_MAP(X)                                                                    \
    X(BOOT, "boot")             /* image and arguments are set */                                  \
    X(LOCAL_DISK, "local-disk") /* hand back to the firmware */                                    \
    X(HOLD, "hold")             /* say why, ask again in 30 s */                                   \
    X(REFUSE, "refuse")         /* no image will ever fit this machine */

enum provision_action {
#define PROVISION_ACTION_ENUM(id, word) PROVISION_ACTION_##id,
    PROVISION_ACTION_MAP(PROVISION_ACTION_ENUM)
#undef PROVISION_ACTION_ENUM
};

enum provision_source {
    PROVISION_SOURCE_DEFAULT,
    PROVISION_SOURCE_GROUP,
    PROVISION_SOURCE_MACHINE,
};

struct provision_decision {
    enum provision_action action;
    enum provision_source source;
    const struct provision_candidate *image;  /* of the list; NULL unless BOOT */
    char arguments[PROVISION_ARGUMENTS_SIZE]; /* "" or checked words */
    bool is_fallback;                         /* not the image that was meant */
    char reason[PROVISION_REASON_SIZE];       /* a sentence for people; printable ASCII */
};

/* `record` NULL: a machine never seen. `group` is the assignment of the record's group, NULL when
 * there is none. An open try counts as failed: the machine would not ask otherwise. */
void provision_decide(const struct provision_record *record,
                      const struct provision_assignment *group,
                      const struct provision_candidate *images, size_t image_count,
                      struct provision_decision *out);

const char *provision_action_word(enum provision_action action);

#endif

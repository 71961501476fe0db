/* coordinator/api/denials.h - how many denials a second a member tells: whoever is denied must fill
 * neither console nor log. What is above that is counted and told in one line.
 *
 * Pure. Memory: the caller's, zeroed to begin with.  Threads: the owner's.  Blocks: never.
 * Trust: nothing from outside comes in here but how often. */
#ifndef RAY_COORDINATOR_API_DENIALS_H
#define RAY_COORDINATOR_API_DENIALS_H

#include <stdbool.h>
#include <stdint.h>

enum { MEMBER_DENIALS_TOLD_MAX = 10 }; /* in a window of a second */

struct member_denials {
    uint64_t began_ns; /* the window's first; 0: none yet */
    uint32_t told_count;
    uint64_t held_count;
};

/* Whether one more may be told now; else it is counted. */
bool member_denials_take(struct member_denials *denials, uint64_t now_ns);
/* How many are to be told in one line, once their window is over; 0: none, or not yet. */
uint64_t member_denials_held(struct member_denials *denials, uint64_t now_ns);

#endif

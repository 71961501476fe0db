/* coordinator/fsm/judge.h - between what commands do (subject.c) and what the rules say to it
 * (authorize.c).
 *
 * Memory: the judge is one command's, and lies on the stack.  Threads: the loop's.  Blocks: never.
 * Trust: commands are hostile: what they name is judged before their handlers check it, so it
 * costs no memory however much they name. */
#ifndef RAY_COORDINATOR_FSM_JUDGE_H
#define RAY_COORDINATOR_FSM_JUDGE_H

#include "coordinator/fsm/state.h"

struct fsm_judge {
    struct fsm_apply *apply;
    const struct coord_policy *policy; /* NULL: admins alone */
    struct coord_policy_actor actor;
    bool is_console;
    bool is_free; /* a command that needs no permission */
    size_t count; /* of what was judged */
    int code;     /* RAY_ENOMEM, or why the command is refused before anything is judged */
    struct fsm_verdict *verdict;
    struct coord_fsm_described was;  /* the object that is judged, as it is */
    struct coord_fsm_described will; /* and as it is going to be */
};

/* One action of the command. */
void fsm_judge_one(struct fsm_judge *judge, enum coord_policy_action action,
                   const struct coord_policy_object *object);
/* The command is about that object: somebody's change of it outdates an approval. */
void fsm_judge_note(struct fsm_judge *judge, const struct fsm_object *object);

#endif

/* coordinator/fsm/rules_fixture.h - a cluster with rules and people: for tests of what the rules
 * say.
 *
 * Memory: as fsm_fixture.h.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_COORDINATOR_FSM_RULES_FIXTURE_H
#define RAY_COORDINATOR_FSM_RULES_FIXTURE_H

#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/policy/policy_fixture.h"

#define ALLOW RAYOS__POLICY__EFFECT__EFFECT_ALLOW
#define DENY RAYOS__POLICY__EFFECT__EFFECT_DENY
#define ASK RAYOS__POLICY__EFFECT__EFFECT_ASK
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define SECOND_US UINT64_C(1000000)

enum { GUEST = 200, ANN = 21, BOB, EVE, ZOE };

extern const struct policy_fix_rule rules_admins; /* they may do everything */

struct rules {
    uint8_t *bytes; /* free() */
    size_t size;
};

struct rules rules_pack(const struct policy_fix_rule *list, size_t count);
/* policy-set; the result's code. */
int rules_set(struct fix *fix, const struct policy_fix_rule *list, size_t count);
/* A cluster with the rules that new ones have and a guest; ann is an admin, bob an operator, eve a
 * viewer, zoe has no role. */
void rules_open(struct fix *fix);
/* Of the last command; to be freed. */
Rayos__Registry__Reply *rules_reply(const struct fix *fix);
/* Logged time goes on by that, in steps that count. */
void rules_pass(struct fix *fix, uint64_t us);
/* Everything comes out of a dump again, and goes on alike. */
void rules_survive_a_dump(struct fix *fix);
/* A put of a guest by a principal; the result's code. */
int rules_put_guest(struct fix *fix, const char *principal, const char *name, bool is_wanted,
                    unsigned guest, uint32_t vcpus);

#endif

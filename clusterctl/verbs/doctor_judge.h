/* clusterctl/verbs/doctor_judge.h - what is wrong with a cluster, each thing in a sentence with
 * what to do.
 *
 * Memory: plain structs; the input is borrowed.  Threads: any.  Blocks: never.
 * Trust: messages come from members; texts of theirs are escaped. */
#ifndef RAY_CLUSTERCTL_VERBS_DOCTOR_JUDGE_H
#define RAY_CLUSTERCTL_VERBS_DOCTOR_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/proto/cluster.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "net/proto/registry.pb-c.h"

enum {
    DOCTOR_CHECKS_MAX = 64,
    DOCTOR_NAME_SIZE = 80,
    DOCTOR_TEXT_SIZE = 320,
    DOCTOR_TOKEN_SOON_S = 3600,
};

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NOTE, /* good to know, nothing wrong */
    DOCTOR_DEGRADED,
    DOCTOR_FAILED,
};

struct doctor_check {
    char name[DOCTOR_NAME_SIZE];
    enum doctor_state state;
    char message[DOCTOR_TEXT_SIZE];
    char next_step[DOCTOR_TEXT_SIZE]; /* "": nothing to do */
};

struct doctor_report {
    struct doctor_check list[DOCTOR_CHECKS_MAX];
    size_t count;
    size_t left_out;
    enum doctor_state state; /* the worst of all, also of those left out */
};

/* All but `status` and `nodes` may be NULL: not known. */
struct doctor_input {
    const Rayos__Cluster__Status *status;
    const Rayos__Cluster__Nodes *nodes;
    const Rayos__Cluster__Tokens *tokens;
    const Rayos__Registry__Answer *cluster;      /* the object of the cluster */
    const Rayos__Registry__Answer *node_objects; /* a page of nodes */
    const Rayos__Registry__Answer *policies;     /* the newest of its versions among them */
    const Rayos__Node__Health *health;           /* of the node that this runs on */
};

const char *doctor_state_name(enum doctor_state state);
void doctor_add(struct doctor_report *report, const char *name, enum doctor_state state,
                const char *message, const char *next_step);
void doctor_judge(const struct doctor_input *input, struct doctor_report *out);

#endif

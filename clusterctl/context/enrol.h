/* clusterctl/context/enrol.h - a context by first contact: who has a token of the cluster and an
 * address of a member learns from it who the members are.
 *
 * The token's handshake (XXpsk3) proves to each end that the other has the token or its verifier,
 * which the cluster's members have; so the keys come from a member, as a joining node's do. The
 * token is not used up. The operator's key is shown to the member, but need not be known yet.
 * Memory: plain structs.  Threads: one.  Blocks: until an address answers, or the time is over.
 * Trust: as reach.h. */
#ifndef RAY_CLUSTERCTL_CONTEXT_ENROL_H
#define RAY_CLUSTERCTL_CONTEXT_ENROL_H

#include "clusterctl/context/context.h"
#include "net/token.h"

struct context_enrolment {
    const char *name;     /* of the context */
    const char *key_path; /* of the operator's key, absolute; "": the usual one */
    const struct ray_token *token;
    const char *const *addresses; /* of members, each is tried again until the time is over */
    size_t address_count;         /* 0: the token's seeds */
    const char *fingerprint;      /* the cluster's, as words; NULL: not known */
    uint64_t timeout_ms;
};

/* *out is whole, and in no file yet. RAY_EDENIED: of another cluster, or nobody there has the
 * token; RAY_EUNAVAILABLE: nobody was there, with each address and why. */
int context_enrol(const struct context_enrolment *enrolment, struct context *out,
                  struct ray_err *err);

#endif

/* clusterctl/verbs/claim.h - the operator's end of the eight words that an unclaimed node shows:
 * `cluster create --node`, `node claim`, and `node code` on the node itself.
 *
 * Memory: a session is opened and closed; the code is wiped once its key is made.  Threads: one.
 * Blocks: until somebody has typed the words, and on the network.
 * Trust: who answers has proven that it knows the code; its answers are checked by the schema. */
#ifndef RAY_CLUSTERCTL_VERBS_CLAIM_H
#define RAY_CLUSTERCTL_VERBS_CLAIM_H

#include "base/args.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/key.h"
#include "net/proto/cluster.pb-c.h"
#include "net/rpc.h"

struct claim_session {
    struct ray_loop loop;
    struct ray_rpc_client *client;
    uint64_t timeout_ms;
    bool has_loop;
};

#define CLAIM_CODE_OPTION                                                                          \
    {.name = "code-file",                                                                          \
     .value_name = "FILE",                                                                         \
     .help = "the words that the node shows, instead of typing them"}

/* Asks for the code (--code-file, else a line of standard input) and comes to `address` with it.
 * RAY_EDENIED: another code, or another node. Close it in any case. */
int claim_open(const struct ray_args *args, const char *address, const struct ray_key *key,
               struct claim_session *out, struct ray_err *err);
void claim_close(struct claim_session *session);
int claim_call(struct claim_session *session, const char *method, const ProtobufCMessage *input,
               const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
               struct ray_err *err);

extern const struct ray_args_option node_claim_options[];
extern const struct ray_args_option node_code_options[];
int node_claim(const struct ray_args *args, void *context);
int node_code(const struct ray_args *args, void *context);

#endif

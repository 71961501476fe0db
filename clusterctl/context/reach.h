/* clusterctl/context/reach.h - an operator's connection to a member: TCP, handshake, rpc.
 *
 * Memory: a client is the caller's (ray_rpc_client_destroy).  Threads: the loop's.
 * Blocks: runs the loop until it is connected, or not, or the time is over.
 * Trust: whoever answers is hostile until the handshake has proven that it has the pinned key. */
#ifndef RAY_CLUSTERCTL_CONTEXT_REACH_H
#define RAY_CLUSTERCTL_CONTEXT_REACH_H

#include "base/loop.h"
#include "clusterctl/context/context.h"
#include "net/peer_auth.h"
#include "net/rpc.h"
#include "net/token.h"

enum { REACH_ONE_MS_MAX = 5000 /* for one member, so that the next is asked, too */ };

/* As the operator with `key`. RAY_EDENIED: it does not have the pinned key, or does not take the
 * operator's; RAY_EUNAVAILABLE: nobody is there; RAY_ETIMEOUT. */
int reach_member(struct ray_loop *loop, const struct context_member *member,
                 const struct ray_id *cluster, const struct ray_key *key, uint64_t timeout_ms,
                 struct ray_rpc_client **out_client, struct ray_err *err);

/* First contact: as one who has the token, which proves both ends to each other. What may be called
 * then is cluster.members; the token is not used up. */
int reach_by_token(struct ray_loop *loop, const char *address, const struct ray_token *token,
                   const struct ray_key *key, uint64_t timeout_ms,
                   struct ray_rpc_client **out_client, struct ray_peer *out_peer,
                   struct ray_err *err);

/* An unclaimed node, by the key of the code that it shows (net/claim.h). RAY_EDENIED: another code,
 * or it is claimed. */
int reach_by_code(struct ray_loop *loop, const char *address,
                  const uint8_t psk[static RAY_PEER_AUTH_PSK_SIZE], const struct ray_key *key,
                  uint64_t timeout_ms, struct ray_rpc_client **out_client, struct ray_err *err);

/* One call, to its end. *out_body is the caller's (protobuf_c_message_free_unpacked). */
int reach_call(struct ray_loop *loop, struct ray_rpc_client *client, const char *method,
               const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
               uint64_t timeout_ms, ProtobufCMessage **out_body, struct ray_err *err);

#endif

/* net/port.h - where the nodes of a cluster are reached: by each other, by nodes that join, by
 * operators (net/peer_auth.h says how they are told apart).
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: ours. */
#ifndef RAY_NET_PORT_H
#define RAY_NET_PORT_H

#define RAY_CLUSTER_PORT "7297" /* TCP; "rays" on a telephone's keys */

#endif

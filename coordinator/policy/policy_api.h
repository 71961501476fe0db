/* coordinator/policy/policy_api.h - what clusterctl uses of the policy: it checks rules, and says
 * what they would decide, without a cluster.
 *
 * Memory, threads, blocks, trust: see policy.h. */
#ifndef RAY_COORDINATOR_POLICY_POLICY_API_H
#define RAY_COORDINATOR_POLICY_POLICY_API_H

#include "coordinator/policy/policy.h" // IWYU pragma: export

#endif

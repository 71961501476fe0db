/* coordinator/lease/lease_api.h - what node/ uses of grants: the agent's part (rayosd) and the
 * launcher's (rayos-launch). Monitors use base/grant_monitor.h alone.
 *
 * Memory, threads, trust: see each header. */
#ifndef RAY_COORDINATOR_LEASE_LEASE_API_H
#define RAY_COORDINATOR_LEASE_LEASE_API_H

#include "coordinator/lease/agent.h"    // IWYU pragma: export
#include "coordinator/lease/choice.h"   // IWYU pragma: export
#include "coordinator/lease/launcher.h" // IWYU pragma: export

#endif

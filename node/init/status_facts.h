/* node/init/status_facts.h - what the status screen shows, collected from PID 1's modules.
 *
 * Memory: fills the caller's struct; its texts are borrowed from struct init.
 * Threads: the loop's.  Blocks: netlink and procfs, microseconds.
 * Trust: passes texts on as they are; status_screen.c makes them harmless. */
#ifndef RAY_NODE_INIT_STATUS_FACTS_H
#define RAY_NODE_INIT_STATUS_FACTS_H

#include "node/init/init.h"

/* For screen_config.fill; arg: struct init. */
void status_facts_fill(void *arg, struct status_facts *facts);

#endif

/* node/init/provision.h - whether this node boots other machines: the configuration of the service
 * `provision` on the data folder, written and removed by order of root.
 *
 * The service's program reads the file and checks what fits together; here it is only made sure
 * that each value is a value, and nothing else gets into the file.
 * Memory: a call has one allocation.  Threads: the loop's; files are written on a pool thread.
 * Blocks: init_provision_write and _remove on the disk, for threads; the methods never.
 * Trust: callers are root, and their texts are checked all the same. */
#ifndef RAY_NODE_INIT_PROVISION_H
#define RAY_NODE_INIT_PROVISION_H

#include <stdbool.h>

#include "net/proto/init.pb-c.h"
#include "net/rpc.h"
#include "node/init/system/net_lease.h"

#define INIT_PROVISION_CONFIG "provision/config" /* below the data folder */
#define INIT_PROVISION_STATE "provision/state"
#define INIT_PROVISION_CONFIG_PATH "/var/rayos/provision/config" /* for the program */

enum {
    INIT_PROVISION_ID = 905, /* of its user, as in provisioning/image/users.list */
    INIT_PROVISION_TEXT_SIZE_MAX = 1024,
};

/* The text of the file. An address that is left out is the lease's. RAY_EINVAL says which value
 * is wrong; RAY_ECONFLICT: no address was given and there is no lease. */
int init_provision_format(const Rayos__Init__ProvisionEnableRequest *request,
                          const struct init_lease *lease,
                          char out[static INIT_PROVISION_TEXT_SIZE_MAX], struct ray_err *err);

bool init_provision_is_enabled(int data_fd);
/* Durable when they return. The state folder is made and given to the service's user when
 * sets_owner. Removing what is not there is fine. */
int init_provision_write(int data_fd, const char *text, bool sets_owner, struct ray_err *err);
int init_provision_remove(int data_fd, struct ray_err *err);

/* The methods init.provision_enable and init.provision_disable; `arg` is struct init. */
void init_provision_enable(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void init_provision_disable(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

#endif

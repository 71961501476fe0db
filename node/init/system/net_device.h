/* node/init/system/net_device.h - what sysfs says about a network card, for its name.
 *
 * Memory: plain structs; nothing is kept.  Threads: any.
 * Blocks: sysfs; a driver may have to be asked (microseconds).
 * Trust: contents of sysfs come from drivers, firmware and USB devices: every read has a limit,
 * and a text that is too long or no text counts as absent. */
#ifndef RAY_NODE_INIT_SYSTEM_NET_DEVICE_H
#define RAY_NODE_INIT_SYSTEM_NET_DEVICE_H

#include "base/err.h"
#include "node/init/system/net_name.h"
#include "node/init/system/netlink.h"

/* Below `root_fd`/sys/class/net. RAY_ENOTFOUND: no hardware stands behind the link, or the name is
 * another link's by now. RAY_EIO and such: sysfs cannot be read now. What of a card's facts is
 * missing alone stays empty. */
int init_net_device_read(int root_fd, const struct init_link *link, struct init_net_device *out,
                         struct ray_err *err);

#endif

/* coordinator/policy/action.h - everything that a policy can allow or deny, in one table.
 *
 * Memory: static.  Threads: any.  Blocks: never.  Trust: names are hostile until looked up. */
#ifndef RAY_COORDINATOR_POLICY_ACTION_H
#define RAY_COORDINATOR_POLICY_ACTION_H

/* X(NAME, text, kind of its object, is_read: changes nothing). All have come with feature level 1;
 * one that comes later is named in level_of (action.c). */
#define COORD_POLICY_ACTION_MAP(X)                                                                 \
    X(REGISTRY_READ, "registry.read", "", true)                                                    \
    X(REGISTRY_LABEL, "registry.label", "", false)                                                 \
    X(CLUSTER_SET, "cluster.set", "cluster", false)                                                \
    X(CLUSTER_RECOVER, "cluster.recover", "cluster", false)                                        \
    X(NODE_APPROVE, "node.approve", "node", false)                                                 \
    X(NODE_SET, "node.set", "node", false)                                                         \
    X(NODE_DRAIN, "node.drain", "node", false)                                                     \
    X(NODE_REMOVE, "node.remove", "node", false)                                                   \
    X(NODE_REBOOT, "node.reboot", "node", false)                                                   \
    X(NODE_DISK, "node.disk", "node", false)                                                       \
    X(NODE_LOG, "node.log", "node", true)                                                          \
    X(NODE_CONFIRM_OFF, "node.confirm-off", "node", false)                                         \
    X(TOKEN_CREATE, "token.create", "token", false)                                                \
    X(TOKEN_DELETE, "token.delete", "token", false)                                                \
    X(PRINCIPAL_CREATE, "principal.create", "principal", false)                                    \
    X(PRINCIPAL_SET, "principal.set", "principal", false)                                          \
    X(PRINCIPAL_DELETE, "principal.delete", "principal", false)                                    \
    X(PRINCIPAL_ADMIN, "principal.admin", "principal", false)                                      \
    X(POLICY_SET, "policy.set", "policy", false)                                                   \
    X(OPERATION_DECIDE, "op.decide", "op", false)                                                  \
    X(IMAGE_IMPORT, "image.import", "image", false)                                                \
    X(IMAGE_DELETE, "image.delete", "image", false)                                                \
    X(NETWORK_CREATE, "network.create", "network", false)                                          \
    X(NETWORK_SET, "network.set", "network", false)                                                \
    X(NETWORK_DELETE, "network.delete", "network", false)                                          \
    X(VOLUME_CREATE, "volume.create", "volume", false)                                             \
    X(VOLUME_SET, "volume.set", "volume", false)                                                   \
    X(VOLUME_DELETE, "volume.delete", "volume", false)                                             \
    X(GUEST_CREATE, "guest.create", "guest", false)                                                \
    X(GUEST_SET, "guest.set", "guest", false)                                                      \
    X(GUEST_DELETE, "guest.delete", "guest", false)                                                \
    X(GUEST_START, "guest.start", "guest", false)                                                  \
    X(GUEST_STOP, "guest.stop", "guest", false)                                                    \
    X(GUEST_RESUME, "guest.resume", "guest", false)                                                \
    X(GUEST_MIGRATE, "guest.migrate", "guest", false)                                              \
    X(GUEST_CONSOLE, "guest.console", "guest", false)                                              \
    X(GUEST_PRESENT, "guest.present", "guest", false)                                              \
    X(GUEST_INPUT, "guest.input", "guest", false)                                                  \
    X(GUEST_NETWORK, "guest.network", "network", false)                                            \
    X(GUEST_DEVICE, "guest.device", "device", false)

enum coord_policy_action {
#define COORD_POLICY_ACTION_ENUM(name, text, object, is_read) COORD_POLICY_##name,
    COORD_POLICY_ACTION_MAP(COORD_POLICY_ACTION_ENUM)
#undef COORD_POLICY_ACTION_ENUM
        COORD_POLICY_ACTION_COUNT
};

#endif

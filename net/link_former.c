/* link_former.c - a node that was removed while it was off.
 *
 * The registry has neither it nor its keys any more, so a member cannot answer it as a member, and
 * what it says in clear ("not a member here") is nobody's word. Who is refused so asks once more,
 * as a former member: the keys of those that it knows are still there, so it knows for certain who
 * answers.
 *
 * Nobody has to prove that it was that node, for nobody has its key any more. So whoever has a
 * member's public link key is told the last number that was given and the cluster epoch. That is
 * accepted: the epoch is in clear in each member's hello, and the number, a count of nodes, opens
 * nothing. */
#include <string.h>

#include "base/le.h"
#include "net/link_impl.h"

bool link_former_asks(struct link_peer *peer, struct ray_hello *hello)
{
    bool asks = peer->is_refused && peer->set->config.on_removed != NULL;

    peer->is_refused = false; /* the next one is as a member again */
    if (asks) {
        hello->kind = RAY_PEER_FORMER;
        hello->cluster_epoch = 0; /* the answer says the other's */
    }
    return asks;
}

int link_former_terms(const struct link_set *set, const struct ray_hello *hello,
                      struct ray_peer_terms *out, struct ray_err *err)
{
    const struct ray_link_config *config = &set->config;
    struct ray_link_removal removal = {0};

    if (config->removed == NULL || config->removed(config->arg, &hello->from, &removal) != RAY_OK) {
        return ray_fail(err, RAY_ENOTFOUND, "nothing is known of a removal");
    }
    out->has_payload = true;
    out->payload_size = LINK_REMOVAL_PAYLOAD_SIZE;
    out->payload[0] = RAY_LINK_PURPOSE_REMOVED;
    ray_store64le(out->payload + 1, removal.last_number);
    ray_store64le(out->payload + 9, removal.cluster_epoch);
    return RAY_OK;
}

void link_former_heard(struct link_set *set, const struct ray_peer *proven, struct ray_err *out)
{
    const struct ray_link_config *config = &set->config;
    struct ray_link_removal removal;

    if (proven->payload_size != LINK_REMOVAL_PAYLOAD_SIZE ||
        proven->payload[0] != RAY_LINK_PURPOSE_REMOVED) {
        (void)ray_fail(out, RAY_EMALFORMED, "the peer does not say why it refuses this node");
        return;
    }
    removal.last_number = ray_load64le(proven->payload + 1);
    removal.cluster_epoch = ray_load64le(proven->payload + 9);
    (void)ray_fail(out, RAY_EDENIED,
                   config->on_removed(config->arg, &proven->hello.to, &removal)
                       ? "the peer says that the cluster has removed this node"
                       : "the peer does not know this node yet");
}

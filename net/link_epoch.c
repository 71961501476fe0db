/* link_epoch.c - two nodes of one cluster that are at different cluster epochs.
 *
 * After a recovery whoever was left out still believes in the epoch before. The hello, and with it
 * everything that follows, is bound to the opener's epoch; the answerer goes through with that
 * handshake all the same, but only to say its own epoch in its payload. Who hears of a later
 * epoch so has it from the peer itself: the payload of the answerer needs its static key and our
 * fresh one, the opener's epoch is in the prologue of a handshake that it has confirmed. */
#include <string.h>

#include "base/le.h"
#include "net/link_impl.h"

void link_epoch_terms(const struct link_set *set, struct ray_peer_terms *out)
{
    out->has_payload = true;
    out->payload_size = LINK_EPOCH_PAYLOAD_SIZE;
    out->payload[0] = RAY_LINK_PURPOSE_EPOCH;
    ray_store64le(out->payload + 1, set->config.cluster_epoch);
}

/* What the peer is at; our own when it says nothing else. */
static uint64_t epoch_of(const struct link_set *set, const struct ray_peer *proven,
                         bool is_opened_here)
{
    if (!is_opened_here) {
        return proven->hello.cluster_epoch;
    }
    if (proven->payload_size != LINK_EPOCH_PAYLOAD_SIZE ||
        proven->payload[0] != RAY_LINK_PURPOSE_EPOCH) {
        return set->config.cluster_epoch;
    }
    return ray_load64le(proven->payload + 1);
}

bool link_epoch_differs(struct link_set *set, const struct ray_peer *proven, bool is_opened_here,
                        uint64_t *out_epoch)
{
    const struct ray_id *peer = is_opened_here ? &proven->hello.to : &proven->hello.from;

    *out_epoch = epoch_of(set, proven, is_opened_here);
    if (*out_epoch > set->config.cluster_epoch && set->config.on_later_epoch != NULL) {
        set->config.on_later_epoch(set->config.arg, peer, *out_epoch);
    }
    return *out_epoch != set->config.cluster_epoch ||
           (is_opened_here && proven->hello.cluster_epoch != set->config.cluster_epoch);
}

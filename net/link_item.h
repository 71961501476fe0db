/* net/link_item.h - messages within one record of a link: {u32 little-endian: size in 24 bits,
 * channel in the upper 8}, bytes; one after the other.
 *
 * Private to net/link*.c.
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: sealed by a proven peer, hostile all the same. */
#ifndef RAY_NET_LINK_ITEM_H
#define RAY_NET_LINK_ITEM_H

#include "net/link.h"

enum { RAY_LINK_ITEM_HEAD_SIZE = 4 };

struct ray_link_item {
    uint8_t channel;      /* enum ray_link_channel, or one of a later version */
    const uint8_t *bytes; /* borrowed */
    size_t size;
};

void ray_link_item_head(uint8_t channel, size_t size, uint8_t out[static RAY_LINK_ITEM_HEAD_SIZE]);
/* Takes the item at the front of what is left. RAY_ENOTFOUND: nothing is left; RAY_EMALFORMED:
 * cut short, too large, or without a channel. */
int ray_link_item_next(const uint8_t **bytes, size_t *size, struct ray_link_item *out_item);

#endif

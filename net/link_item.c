/* link_item.c - see link_item.h. */
#include "net/link_item.h"

#include <assert.h>

enum { SIZE_MASK = 0xffffff };

static_assert((int)RAY_LINK_MESSAGE_SIZE_MAX <= (int)SIZE_MASK, "fits in 24 bits");

void ray_link_item_head(uint8_t channel, size_t size, uint8_t out[static RAY_LINK_ITEM_HEAD_SIZE])
{
    assert(size <= RAY_LINK_MESSAGE_SIZE_MAX && channel > 0);
    out[0] = (uint8_t)size;
    out[1] = (uint8_t)(size >> 8);
    out[2] = (uint8_t)(size >> 16);
    out[3] = channel;
}

int ray_link_item_next(const uint8_t **bytes, size_t *size, struct ray_link_item *out_item)
{
    const uint8_t *head = *bytes;
    size_t item_size;

    if (*size == 0) {
        return RAY_ENOTFOUND;
    }
    if (*size < RAY_LINK_ITEM_HEAD_SIZE) {
        return RAY_EMALFORMED;
    }
    item_size = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    if (item_size > RAY_LINK_MESSAGE_SIZE_MAX || head[3] == 0 ||
        item_size > *size - RAY_LINK_ITEM_HEAD_SIZE) {
        return RAY_EMALFORMED;
    }
    *out_item = (struct ray_link_item){
        .channel = head[3], .bytes = head + RAY_LINK_ITEM_HEAD_SIZE, .size = item_size};
    *bytes += RAY_LINK_ITEM_HEAD_SIZE + item_size;
    *size -= RAY_LINK_ITEM_HEAD_SIZE + item_size;
    return RAY_OK;
}

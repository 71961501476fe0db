/* link_item_fuzz.c - the text of a record: items lie within it, one behind the other, and what
 * was read can be written again. */
#include <assert.h>
#include <string.h>

#include "net/link_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    size_t left = size;
    struct ray_link_item item;
    int rc;

    while ((rc = ray_link_item_next(&at, &left, &item)) == RAY_OK) {
        uint8_t head[RAY_LINK_ITEM_HEAD_SIZE];

        assert(item.bytes + item.size == at && at + left == data + size);
        ray_link_item_head(item.channel, item.size, head);
        assert(memcmp(head, item.bytes - sizeof head, sizeof head) == 0);
    }
    assert(rc == RAY_EMALFORMED || left == 0);
    return 0;
}

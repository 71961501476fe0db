/* watch_fuzz.c - a watcher's bytes: the first byte is the size of the request, the rest goes as
 * credit. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/watch/hub.h"
#include "net/proto/registry.pb-c.h"

static int on_send(void *arg, uint64_t watcher, const uint8_t *bytes, size_t size)
{
    Rayos__Registry__WatchBatch *batch = rayos__registry__watch_batch__unpack(NULL, size, bytes);

    (void)arg;
    (void)watcher;
    assert(batch != NULL);
    rayos__registry__watch_batch__free_unpacked(batch, NULL);
    return RAY_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t packed[] = {1 << 3, 5, 3 << 3 | 2, 2, 1 << 3, COORD_GUEST};
    struct coord_fsm_event event = {
        .kind = COORD_GUEST, .packed = packed, .packed_size = sizeof packed};
    struct coord_watch_ring ring;
    struct coord_watch_hub *hub;
    size_t request_size;

    if (size == 0) {
        return 0;
    }
    request_size = data[0] < size - 1 ? data[0] : size - 1;
    coord_watch_ring_init(&ring, 100, 1 << 20, 4);
    if (coord_watch_hub_create(&hub, &ring, on_send, NULL, NULL) != RAY_OK) {
        return 0;
    }
    (void)coord_watch_hub_add(hub, 1, 0, data + 1, request_size, NULL);
    for (uint64_t i = 1; i <= 5; i++) {
        event.revision = 4 + i;
        (void)coord_watch_ring_append(&ring, event.revision, &event, 1, NULL);
        coord_watch_hub_tick(hub, i * 1000);
        (void)coord_watch_hub_credit(hub, 1, data + 1 + request_size, size - 1 - request_size,
                                     NULL);
    }
    coord_watch_hub_destroy(hub);
    coord_watch_ring_fini(&ring);
    return 0;
}

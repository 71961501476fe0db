/* coordinator/core/message_fuzz.c - frames of a peer: decoded, encoded again to the same, and
 * given to a member of a cluster, which must not stumble. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "coordinator/core/config.h"
#include "coordinator/core/core.h"
#include "coordinator/core/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* Member 2 of three, with a few entries. */
static struct coord_core *make_core(void)
{
    struct coord_core_config options = {
        .self_id = 2, .election_ms = 200, .heartbeat_ms = 40, .seed = 1};
    struct coord_config config = {.servers = {{.id = 1, .role = COORD_VOTER},
                                              {.id = 2, .role = COORD_VOTER},
                                              {.id = 3, .role = COORD_VOTER}},
                                  .count = 3};
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entries[3] = {
        {.term = 1, .index = 1, .type = COORD_ENTRY_CHANGE, .data = bytes},
        {.term = 1, .index = 2, .type = COORD_ENTRY_NOOP},
        {.term = 2, .index = 3, .type = COORD_ENTRY_NOOP},
    };
    struct coord_core_boot boot = {.hard = {.term = 2}, .entries = entries, .count = 3};
    struct coord_core_out out;
    struct coord_core *core;

    entries[0].size = (uint32_t)coord_config_encode(&config, bytes);
    must(coord_core_create(&core, &options, NULL) == RAY_OK);
    must(coord_core_start(core, 1000, &boot, &out, NULL) == RAY_OK);
    return core;
}

static void feed(const struct coord_frame *frame)
{
    struct coord_core *core = make_core();
    uint64_t now_ms = 1000;

    for (size_t i = 0; i < frame->count; i++) {
        struct coord_message message = frame->messages[i];
        struct coord_core_out out;
        int rc;

        message.from = 1 + 2 * (message.from % 2);
        message.to = 2;
        now_ms += 30;
        rc = coord_core_receive(core, now_ms, &message, &out, NULL);
        if (rc == RAY_ECONFLICT) {
            break; /* a contradicted commit: the node would stop here */
        }
        must(rc == RAY_OK);
        must(coord_core_persisted(core, now_ms, coord_core_last_index(core), &out, NULL) == RAY_OK);
        must(coord_core_tick(core, now_ms, &out, NULL) == RAY_OK);
    }
    coord_core_destroy(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[COORD_FRAME_SIZE_MAX];
    struct ray_arena arena;
    struct coord_frame frame;
    size_t again_size;

    ray_arena_init(&arena, 8 << 20);
    if (coord_frame_decode(data, size, &arena, &frame, NULL) == RAY_OK) {
        must(coord_frame_encode(&frame, again, sizeof again, &again_size, NULL) == RAY_OK);
        feed(&frame);
    }
    ray_arena_fini(&arena);
    return 0;
}

/* apply_fuzz.c - entries of a log: two bytes of size (little-endian), then that many bytes of a
 * command, again and again, on a cluster with a few objects. Twins must agree (the fixture), and
 * what comes out must go through a snapshot. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/fsm/fsm_fixture.h"

enum { ENTRIES_MAX = 64 };

static void open_world(struct fix *fix)
{
    fix_open_cluster(fix);
    (void)fix_add_node(fix, FIX_NODE_B);
    (void)fix_put_guest(fix, 200, true);
    (void)fix_put_volume(fix, 300);
    (void)fix_attach(fix, 300, 200);
    (void)fix_restart(fix, 200, FIX_NODE_A);
    (void)fix_session_open(fix, 500, 20000000);
}

static void must_survive_a_snapshot(const struct fix *fix)
{
    struct ray_buf dump;
    struct coord_fsm *loaded;
    uint8_t a[COORD_HASH_SIZE];
    uint8_t b[COORD_HASH_SIZE];

    fix_dump(fix->fsm, &dump);
    loaded = fix_load(dump.data, dump.size, 1000);
    assert(loaded != NULL);
    coord_fsm_hash(fix->fsm, a);
    coord_fsm_hash(loaded, b);
    assert(memcmp(a, b, sizeof a) == 0);
    coord_fsm_destroy(loaded);
    ray_buf_fini(&dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fix fix;

    open_world(&fix);
    for (int i = 0; i < ENTRIES_MAX && size >= 2 && !coord_fsm_is_halted(fix.fsm); i++) {
        size_t entry_size = (size_t)data[0] | (size_t)data[1] << 8;
        int checked;
        int rc;

        data += 2;
        size -= 2;
        if (entry_size > size) {
            entry_size = size;
        }
        checked = coord_fsm_check(data, entry_size, NULL);
        rc = fix_apply_bytes(&fix, data, entry_size);
        /* What a leader would append never halts a replica, but for a hash that differs. */
        assert(checked != RAY_OK || rc == RAY_OK || rc == RAY_ECONFLICT);
        data += entry_size;
        size -= entry_size;
    }
    if (!coord_fsm_is_halted(fix.fsm)) {
        must_survive_a_snapshot(&fix);
    }
    fix_close(&fix);
    return 0;
}

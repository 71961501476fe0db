/* query_fuzz.c - a query's bytes to a small registry; an answer is one that can be read. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/fsm/fsm_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fix fix;
    struct ray_buf out;

    fix_open_cluster(&fix);
    (void)fix_put_guest(&fix, 200, true);
    (void)fix_restart(&fix, 200, FIX_NODE_A);
    (void)fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, 600, "image", 40);
    ray_buf_init(&out, 1 << 20);
    if (coord_fsm_query(fix.fsm, data, size, &out, NULL) == RAY_OK) {
        Rayos__Registry__Answer *answer = rayos__registry__answer__unpack(NULL, out.size, out.data);

        assert(answer != NULL && answer->revision == fix.index);
        rayos__registry__answer__free_unpacked(answer, NULL);
    }
    ray_buf_fini(&out);
    fix_close(&fix);
    return 0;
}

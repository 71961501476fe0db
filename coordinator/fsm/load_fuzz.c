/* load_fuzz.c - a snapshot's bytes; the first byte chooses the pieces. What is accepted must come
 * out again as it was, and go on. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "coordinator/fsm/fsm_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct coord_fsm *fsm;
    struct ray_buf dump;

    if (size == 0) {
        return 0;
    }
    fsm = fix_load(data + 1, size - 1, (size_t)data[0] * 16 + 1);
    if (fsm == NULL) {
        return 0;
    }
    fix_dump(fsm, &dump);
    assert(dump.size == size - 1 && memcmp(dump.data, data + 1, dump.size) == 0);
    ray_buf_fini(&dump);
    (void)coord_fsm_advance(fsm, coord_fsm_index(fsm) + 1, coord_fsm_term(fsm), NULL);
    coord_fsm_destroy(fsm);
    return 0;
}

/* Any bytes as the fact that a disk has of the roster: what is taken is the same through bytes. */
#include <assert.h>
#include <stdlib.h>

#include "coordinator/api/roster_list.h"

enum { PACKED_SIZE_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct member_roster *first = calloc(1, sizeof *first);
    struct member_roster *second = calloc(1, sizeof *second);
    struct ray_buf packed;

    ray_buf_init(&packed, PACKED_SIZE_MAX);
    if (first != NULL && second != NULL &&
        member_roster_parse(bytes, size, first, NULL) == RAY_OK) {
        assert(first->count > 0 && first->count <= MEMBER_ROSTER_MAX);
        assert(first->cluster_epoch != 0 && !ray_id_is_none(&first->cluster_id));
        for (size_t i = 0; i < first->count; i++) {
            assert(member_roster_find(first, &first->lines[i].id) == &first->lines[i]);
        }
        assert(member_roster_pack(first, &packed) == RAY_OK);
        assert(member_roster_parse(packed.data, packed.size, second, NULL) == RAY_OK);
        assert(member_roster_is_same(first, second) && first->revision == second->revision);
    }
    ray_buf_fini(&packed);
    free(first);
    free(second);
    return 0;
}

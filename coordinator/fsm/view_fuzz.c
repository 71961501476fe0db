/* view_fuzz.c - whatever a member says, a view takes it or refuses it, and what is in it can be
 * looked at. Input: any number of {kind, size (u16, little endian), bytes}; an odd kind is a batch
 * of events, an even one a page. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "coordinator/fsm/fsm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(struct coord_fsm *view, const struct ray_id *node)
{
    const uint8_t everything[] = {7 << 3, 100}; /* Query.count_max */
    struct ray_buf answer;

    ray_buf_init(&answer, COORD_FSM_PAGE_SIZE_MAX + COORD_FSM_RECORD_SIZE_MAX);
    (void)coord_fsm_query(view, everything, sizeof everything, &answer, NULL);
    ray_buf_fini(&answer);
    for (const struct coord_object *guest = coord_fsm_next_at_home(view, node, NULL); guest != NULL;
         guest = coord_fsm_next_at_home(view, node, guest)) {
        if (guest->kind != COORD_GUEST) {
            abort();
        }
    }
}

static int feed(struct coord_fsm *view, bool is_batch, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size + 1);
    struct ray_buf cursor;
    int rc;

    if (exact == NULL) {
        return RAY_ENOMEM;
    }
    memcpy(exact, bytes, size);
    ray_buf_init(&cursor, 1024);
    rc = is_batch ? coord_fsm_view_batch(view, exact, size, NULL)
                  : coord_fsm_view_page(view, exact, size, &cursor, NULL);
    ray_buf_fini(&cursor);
    free(exact);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_id node = {{0}};
    struct coord_fsm *view = NULL;

    node.bytes[RAY_ID_SIZE - 1] = 11; /* the corpus speaks of it */
    if (coord_fsm_view_create(&view, &node, NULL) != RAY_OK) {
        return 0;
    }
    while (size >= 3) {
        bool is_batch = (data[0] & 1) != 0;
        size_t length = data[1] | (size_t)data[2] << 8;
        int rc;

        data += 3;
        size -= 3;
        length = length < size ? length : size;
        rc = feed(view, is_batch, data, length);
        data += length;
        size -= length;
        if (rc != RAY_OK && rc != RAY_EAGAIN) {
            break;
        }
        look(view, &node);
    }
    coord_fsm_destroy(view);
    return 0;
}

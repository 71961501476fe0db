/* packet_fuzz.c - a live replica that leads alone, and a peer that sends anything: messages of
 * {u8 kind, u16 size, bytes}; kind's lowest bit says the channel, the next whether a right hello
 * comes before. Turns run between them. It must live; what it believes is the tests'. */
#include <stdlib.h>

#include "coordinator/replica/replica_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES_MAX = 16, HEAD_SIZE = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replica_fix fix;

    replica_fix_open(&fix, true);
    if (replica_fix_create(&fix, NULL) != RAY_OK) {
        abort();
    }
    replica_fix_run(&fix, 0);
    for (int i = 0; i < MESSAGES_MAX && size >= HEAD_SIZE; i++) {
        size_t length = (size_t)data[1] | (size_t)data[2] << 8;
        uint8_t kind = data[0];

        data += HEAD_SIZE;
        size -= HEAD_SIZE;
        length = length < size ? length : size;
        if (i == 0 || (kind & 2) != 0) {
            replica_fix_up(&fix, 1);
            replica_fix_hello(&fix, 1, 3, 1);
        }
        replica_fix_bytes(&fix, 1, (kind & 1) != 0 ? RAY_LINK_RAFT : RAY_LINK_MEMBER, data, length);
        replica_fix_run(&fix, 0);
        data += length;
        size -= length;
    }
    replica_fix_close(&fix);
    return 0;
}

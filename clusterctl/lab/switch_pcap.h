/* clusterctl/lab/switch_pcap.h - capture of frames into a classic pcap file with a size cap.
 *
 * Memory: one buffer, allocated at start.  Threads: one owner.
 * Blocks: on the disk, once per flush.  Trust: frames are any bytes; the file name is the
 * operator's. */
#ifndef RAY_LAB_SWITCH_PCAP_H
#define RAY_LAB_SWITCH_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ray_switch_pcap {
    int fd; /* -1: not open */
    uint8_t *buffer;
    size_t used_size;
    uint64_t written_size; /* with what is in the buffer */
    uint64_t size_max;
    uint64_t frame_count;
    uint64_t skipped_count; /* frames beyond the cap, or after the disk failed */
    bool has_failed;
};

/* Replaces the file. RAY_EINVAL when size_max does not even hold the header. */
int ray_switch_pcap_open(struct ray_switch_pcap *pcap, const char *path, uint64_t size_max,
                         struct ray_err *err);
void ray_switch_pcap_close(struct ray_switch_pcap *pcap); /* flushes; safe when not open */
bool ray_switch_pcap_is_open(const struct ray_switch_pcap *pcap);
void ray_switch_pcap_write(struct ray_switch_pcap *pcap, const uint8_t *frame, size_t size,
                           uint64_t realtime_ns);
void ray_switch_pcap_flush(struct ray_switch_pcap *pcap);

#endif

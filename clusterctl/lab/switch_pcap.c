/* switch_pcap.c - records are gathered in a buffer that is written once per turn of the loop,
 * so that the file is complete whenever the switch waits. A frame is in the file whole or not
 * at all: a cap that cut one in half would spoil the file. */
#include "clusterctl/lab/switch_pcap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "clusterctl/lab/switch_frame.h"

enum { BUFFER_SIZE = 256 << 10 };

/* Both in the byte order of this machine, as the format wants. */
struct file_header {
    uint32_t magic; /* with nanoseconds */
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t zone;
    uint32_t accuracy;
    uint32_t snap_size;
    uint32_t link_type; /* 1: Ethernet */
};

struct record_header {
    uint32_t seconds;
    uint32_t nanoseconds;
    uint32_t captured_size;
    uint32_t frame_size;
};

static_assert(sizeof(struct file_header) == 24, "pcap file header");
static_assert(sizeof(struct record_header) == 16, "pcap record header");
static_assert(sizeof(struct record_header) + RAY_SWITCH_FRAME_SIZE_MAX <= BUFFER_SIZE,
              "an empty buffer holds any frame");

static void append(struct ray_switch_pcap *pcap, const void *bytes, size_t size)
{
    assert(size <= BUFFER_SIZE - pcap->used_size);
    memcpy(pcap->buffer + pcap->used_size, bytes, size);
    pcap->used_size += size;
    pcap->written_size += size;
}

int ray_switch_pcap_open(struct ray_switch_pcap *pcap, const char *path, uint64_t size_max,
                         struct ray_err *err)
{
    const struct file_header header = {.magic = 0xa1b23c4d,
                                       .version_major = 2,
                                       .version_minor = 4,
                                       .snap_size = RAY_SWITCH_FRAME_SIZE_MAX,
                                       .link_type = 1};
    int errnum = ray_fault(RAY_FAULT_OPEN);

    *pcap = (struct ray_switch_pcap){.fd = -1, .size_max = size_max};
    if (size_max < sizeof header) {
        return ray_fail(err, RAY_EINVAL, "a capture needs %zu bytes or more", sizeof header);
    }
    if (errnum == 0) {
        pcap->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
        errnum = errno;
    }
    if (pcap->fd < 0) {
        return ray_fail_errno(err, errnum, "capture file '%s'", path);
    }
    pcap->buffer = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(BUFFER_SIZE);
    if (pcap->buffer == NULL) {
        (void)close(pcap->fd); /* nothing was written */
        *pcap = (struct ray_switch_pcap){.fd = -1};
        return ray_fail(err, RAY_ENOMEM, "capture buffer of %d bytes", BUFFER_SIZE);
    }
    append(pcap, &header, sizeof header);
    return RAY_OK;
}

bool ray_switch_pcap_is_open(const struct ray_switch_pcap *pcap)
{
    return pcap->buffer != NULL;
}

void ray_switch_pcap_write(struct ray_switch_pcap *pcap, const uint8_t *frame, size_t size,
                           uint64_t realtime_ns)
{
    const struct record_header header = {
        .seconds = (uint32_t)(realtime_ns / RAY_NS_PER_S),
        .nanoseconds = (uint32_t)(realtime_ns % RAY_NS_PER_S),
        .captured_size = (uint32_t)size,
        .frame_size = (uint32_t)size,
    };
    size_t record_size = sizeof header + size;

    assert(size <= RAY_SWITCH_FRAME_SIZE_MAX);
    if (pcap->has_failed || pcap->size_max - pcap->written_size < record_size) {
        pcap->skipped_count++;
        return;
    }
    if (BUFFER_SIZE - pcap->used_size < record_size) {
        ray_switch_pcap_flush(pcap);
    }
    append(pcap, &header, sizeof header);
    append(pcap, frame, size);
    pcap->frame_count++;
}

void ray_switch_pcap_flush(struct ray_switch_pcap *pcap)
{
    size_t done_size = 0;

    while (done_size < pcap->used_size && !pcap->has_failed) {
        ssize_t n = -1;

        errno = ray_fault(RAY_FAULT_WRITE);
        if (errno == 0) {
            n = write(pcap->fd, pcap->buffer + done_size, pcap->used_size - done_size);
        }
        if (n < 0 && errno != EINTR) {
            pcap->has_failed = true; /* seen in stats; the network goes on */
        }
        done_size += n > 0 ? (size_t)n : 0;
    }
    pcap->used_size = 0;
}

void ray_switch_pcap_close(struct ray_switch_pcap *pcap)
{
    if (pcap->buffer == NULL) {
        return;
    }
    ray_switch_pcap_flush(pcap);
    free(pcap->buffer);
    (void)close(pcap->fd); /* written above; a capture is not durable data */
    *pcap = (struct ray_switch_pcap){.fd = -1};
}

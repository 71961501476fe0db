/* node/init/system/uevent.h - device events from the kernel: a parser and a source.
 *
 * Memory: a parsed event borrows from the datagram.  Threads: the loop's.  Blocks: never.
 * Trust: only datagrams from the kernel itself (netlink port 0, uid 0) are read; device
 * names inside may still come from hardware, so every length is checked. */
#ifndef RAY_NODE_INIT_SYSTEM_UEVENT_H
#define RAY_NODE_INIT_SYSTEM_UEVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

enum { INIT_UEVENT_SIZE_MAX = 16 * 1024 }; /* the kernel's own limit is 2 KiB + header */

struct init_uevent {
    const char *action;    /* "add", "remove", "change", ... never NULL */
    const char *devpath;   /* "/devices/..." without /sys; never NULL */
    const char *subsystem; /* NULL when absent, as all below */
    const char *devtype;
    const char *modalias;
    const char *devname; /* "vda1", "input/event3" */
    const char *driver;
    const char *partname;  /* GPT partition name */
    const char *interface; /* network interface */
    uint32_t major;        /* major and minor are 0 when absent */
    uint32_t minor;
    uint32_t ifindex;
    uint64_t seqnum;
};

/* One datagram ("add@/devices/...\0KEY=value\0..."). The data must end with NUL.
 * RAY_EMALFORMED otherwise; unknown keys are ignored. */
int init_uevent_parse(const uint8_t *data, size_t size, struct init_uevent *out,
                      struct ray_err *err);

/* The same fields of a `uevent` file in sysfs: newline-separated, writable text of `size`
 * bytes with a NUL behind; newlines become NULs. action is "add". */
int init_uevent_parse_file(char *text, size_t size, const char *devpath, struct init_uevent *out,
                           struct ray_err *err);

struct init_uevent_source {
    int fd; /* -1: closed; owned */
    struct ray_poll poll;
    void (*on_event)(void *arg, const struct init_uevent *event);
    void (*on_lost)(void *arg); /* events were lost: rescan sysfs */
    void *arg;
    uint8_t *buffer;
    uint64_t lost_count;
};

void init_uevent_source_init(struct init_uevent_source *source);
/* Opens the netlink socket with a large receive buffer and delivers on the loop. Open it
 * before the first scan of sysfs, so that nothing falls between. */
int init_uevent_source_open(struct init_uevent_source *source, struct ray_loop *loop,
                            void (*on_event)(void *arg, const struct init_uevent *event),
                            void (*on_lost)(void *arg), void *arg, struct ray_err *err);
void init_uevent_source_fini(struct init_uevent_source *source);

#endif

/* base/fault.h - fault injection by countdown: RAY_FAULT=alloc:17,write:3 makes the 17th
 * allocation and the 3rd write fail; alloc:17+ makes that and every later one fail.
 *
 * Only in builds with RAY_FAULTS (presets dev, tsan, fuzz, cov); elsewhere ray_fault is a
 * constant 0 and costs nothing. The countdowns are the one process-wide state outside
 * main: a fault must reach code that knows nothing of it.
 * Memory: none.  Threads: any (atomic).  Blocks: never.  Trust: environment of tests. */
#ifndef RAY_BASE_FAULT_H
#define RAY_BASE_FAULT_H

#include <errno.h>
#include <stdbool.h>

/* X(id, name, errno that the injection stands for); `clock` makes the wall clock jump. */
#define RAY_FAULT_MAP(X)                                                                           \
    X(ALLOC, "alloc", ENOMEM)                                                                      \
    X(OPEN, "open", EMFILE)                                                                        \
    X(READ, "read", EIO)                                                                           \
    X(WRITE, "write", ENOSPC)                                                                      \
    X(FSYNC, "fsync", EIO)                                                                         \
    X(RENAME, "rename", EIO)                                                                       \
    X(FORK, "fork", EAGAIN)                                                                        \
    X(MOUNT, "mount", EPERM)                                                                       \
    X(SEND, "send", ENOBUFS)                                                                       \
    X(SOCKET, "socket", EMFILE)                                                                    \
    X(CLOCK, "clock", ERANGE)

enum ray_fault_point {
#define RAY_FAULT_ENUM(id, name, errnum) RAY_FAULT_##id,
    RAY_FAULT_MAP(RAY_FAULT_ENUM)
#undef RAY_FAULT_ENUM
        RAY_FAULT_COUNT
};

#ifdef RAY_FAULTS
/* Counts one pass of this point; the errno to fail with (errno is set, too), or 0 to go on. */
int ray_fault(enum ray_fault_point point);
/* Sets the countdowns from text as above (NULL: none); false when it is malformed. */
bool ray_fault_set(const char *text);
/* Whether any set fault has fired since ray_fault_set: a test iterates until it has not. */
bool ray_fault_has_fired(void);
#else
static inline int ray_fault(enum ray_fault_point point)
{
    (void)point;
    return 0;
}
static inline bool ray_fault_set(const char *text)
{
    return text == (const char *)0;
}
static inline bool ray_fault_has_fired(void)
{
    return false;
}
#endif

#endif

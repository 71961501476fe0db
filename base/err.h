/* base/err.h - error codes, and an error text that gains context on its way up.
 *
 * Memory: never allocates; struct ray_err lives with the caller (stack).
 * Threads: any; a struct ray_err belongs to one thread.  Blocks: never.
 * Trust: texts may quote untrusted bytes; they are escaped to printable ASCII.
 *
 * Convention: functions return 0 (RAY_OK) or a negative RAY_E*; outputs stay
 * untouched on failure; `err` comes last and may be NULL. */
#ifndef RAY_BASE_ERR_H
#define RAY_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* X(name, value, api code, text, is_retryable).  The api code is the word that
 * users and JSON see (DESIGN.md section 4). */
#define RAY_ERR_MAP(X)                                                                             \
    X(EINVAL, -1, "invalid", "invalid argument", false)                                            \
    X(ENOTFOUND, -2, "not_found", "not found", false)                                              \
    X(EEXISTS, -3, "exists", "already exists", false)                                              \
    X(ECONFLICT, -4, "conflict", "conflicts with a newer state", false)                            \
    X(EDENIED, -5, "denied", "not permitted", false)                                               \
    X(ENOQUORUM, -6, "no_quorum", "no quorum", true)                                               \
    X(ETIMEOUT, -7, "timeout", "timed out", true)                                                  \
    X(EUNAVAILABLE, -8, "unavailable", "unavailable", true)                                        \
    X(EINTERNAL, -9, "internal", "internal error", false)                                          \
    X(ENOMEM, -10, "unavailable", "out of memory", true)                                           \
    X(EIO, -11, "unavailable", "input/output error", false)                                        \
    X(ENOSPC, -12, "unavailable", "no space left", true)                                           \
    X(EMALFORMED, -13, "invalid", "malformed data", false)                                         \
    X(EAGAIN, -14, "unavailable", "not complete yet", true)                                        \
    X(ETOOBIG, -15, "invalid", "larger than its limit", false)                                     \
    X(ECANCELED, -16, "unavailable", "canceled", false)                                            \
    X(ECLOSED, -17, "unavailable", "connection closed", true)                                      \
    X(EUSAGE, -18, "invalid", "wrong usage", false)                                                \
    X(EUNSUPPORTED, -19, "invalid", "not supported here", false)

enum {
    RAY_OK = 0,
#define RAY_ERR_ENUM(name, value, api, text, retryable) RAY_##name = (value),
    RAY_ERR_MAP(RAY_ERR_ENUM)
#undef RAY_ERR_ENUM
};

enum { RAY_ERR_TEXT_SIZE = 512 };

struct ray_err {
    int code; /* RAY_OK until something failed */
    char text[RAY_ERR_TEXT_SIZE];
    char next_step[RAY_ERR_TEXT_SIZE / 2]; /* the command or act that helps; may be empty */
};

/* Sets code and text; returns `code`, so that `return ray_fail(...)` reads well. */
int ray_fail(struct ray_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int ray_vfail(struct ray_err *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* As ray_fail, the code taken from `errnum` (positive errno), ": strerror" appended. */
int ray_fail_errno(struct ray_err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As ray_fail_errno for a negative libuv status. */
int ray_fail_uv(struct ray_err *err, int uv_status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there; keeps the code, returns it.
 * Each layer may do this once. */
int ray_wrap(struct ray_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the next step ("run 'clusterctl lab down'"); returns err's code. Without err it returns
 * RAY_EINTERNAL: whoever may get NULL and whose caller looks at the code returns it himself. */
int ray_next(struct ray_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *ray_err_name(int code);     /* "RAY_EINVAL"; "RAY_E?" when unknown */
const char *ray_err_text(int code);     /* "invalid argument" */
const char *ray_err_api_code(int code); /* "invalid"; "ok" for RAY_OK */
bool ray_err_is_retryable(int code);
/* A code out of a message or file: RAY_OK or one of the table as it is, RAY_EMALFORMED for others.
 */
int ray_err_checked(int code);
int ray_err_from_errno(int errnum);
int ray_err_from_api_code(const char *api_code); /* RAY_EINTERNAL when unknown */

/* clusterctl's exit status for a code (DESIGN.md section 4): 0 done, 1 refused,
 * 2 usage, 3 not found, 4 timed out, 5 no quorum, 6 denied, 7 conflict. */
int ray_err_exit_status(int code);

/* Copies `size` untrusted bytes as printable ASCII ("\n" becomes "\x0a"), always
 * terminated; returns the length written. */
size_t ray_escape(char *out, size_t out_size, const void *bytes, size_t size);

#endif

/* err.c - one table gives names, texts, api codes; everything else formats text.
 *
 * Texts are formatted into a local buffer first and then escaped into the error, so that an
 * argument may point into the same error. Escaping leaves printable ASCII as it is (the
 * backslash too), so that wrapping an escaped text does not change it again. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/size.h"

struct err_info {
    const char *name;
    const char *api_code;
    const char *text;
    int code;
    bool is_retryable;
};

static const struct err_info infos[] = {{"RAY_OK", "ok", "success", RAY_OK, false},
#define ERR_INFO(name, value, api, text, retryable)                                                \
    {"RAY_" #name, (api), (text), RAY_##name, (retryable)},
                                        RAY_ERR_MAP(ERR_INFO)
#undef ERR_INFO
};

static const struct err_info *find_info(int code)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(infos); i++) {
        if (infos[i].code == code) {
            return &infos[i];
        }
    }
    return NULL;
}

size_t ray_escape(char *out, size_t out_size, const void *bytes, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    size_t used = 0;

    if (out_size == 0) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_plain = in[i] >= 0x20 && in[i] < 0x7f;

        /* An escape is written whole or not at all. */
        if (out_size - used <= (is_plain ? 1U : 4U)) {
            break;
        }
        if (is_plain) {
            out[used++] = (char)in[i];
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = hex[in[i] >> 4];
            out[used++] = hex[in[i] & 15];
        }
    }
    out[used] = '\0';
    return used;
}

/* Text that does not fit is cut: an error is for people, and the code is what counts. */
static void set_text(char *out, size_t out_size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void set_text(char *out, size_t out_size, const char *fmt, va_list ap)
{
    char raw[RAY_ERR_TEXT_SIZE] = "";

    if (vsnprintf(raw, sizeof raw, fmt, ap) < 0) {
        (void)snprintf(raw, sizeof raw, "(no text)");
    }
    (void)ray_escape(out, out_size, raw, strlen(raw));
}

int ray_vfail(struct ray_err *err, int code, const char *fmt, va_list ap)
{
    assert(code < 0);
    if (err != NULL) {
        set_text(err->text, sizeof err->text, fmt, ap);
        err->code = code;
        err->next_step[0] = '\0';
    }
    return code;
}

int ray_fail(struct ray_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    code = ray_vfail(err, code, fmt, ap);
    va_end(ap);
    return code;
}

static void append_reason(struct ray_err *err, const char *reason)
{
    size_t used;

    if (err == NULL) {
        return;
    }
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, ": %s", reason);
}

int ray_fail_errno(struct ray_err *err, int errnum, const char *fmt, ...)
{
    char reason[128];
    va_list ap;
    int code;

    va_start(ap, fmt);
    code = ray_vfail(err, ray_err_from_errno(errnum), fmt, ap);
    va_end(ap);
    append_reason(err, strerror_r(errnum, reason, sizeof reason));
    return code;
}

int ray_fail_uv(struct ray_err *err, int uv_status, const char *fmt, ...)
{
    char reason[128];
    va_list ap;
    int code;

    assert(uv_status < 0);
    code = uv_status == UV_EOF ? RAY_ECLOSED : ray_err_from_errno(-uv_status);
    va_start(ap, fmt);
    code = ray_vfail(err, code, fmt, ap);
    va_end(ap);
    append_reason(err, uv_strerror_r(uv_status, reason, sizeof reason));
    return code;
}

int ray_wrap(struct ray_err *err, int code, const char *fmt, ...)
{
    char context[RAY_ERR_TEXT_SIZE];
    char old[RAY_ERR_TEXT_SIZE];
    size_t used;
    va_list ap;

    if (err == NULL) {
        return code;
    }
    (void)snprintf(old, sizeof old, "%s", err->text);
    va_start(ap, fmt);
    set_text(context, sizeof context, fmt, ap);
    va_end(ap);
    (void)snprintf(err->text, sizeof err->text, "%s", context);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, ": %s", old);
    err->code = code;
    return code;
}

int ray_next(struct ray_err *err, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL) {
        return RAY_EINTERNAL; /* the code is lost, but `return ray_next(...)` is no success */
    }
    va_start(ap, fmt);
    set_text(err->next_step, sizeof err->next_step, fmt, ap);
    va_end(ap);
    return err->code;
}

const char *ray_err_name(int code)
{
    const struct err_info *info = find_info(code);

    return info != NULL ? info->name : "RAY_E?";
}

const char *ray_err_text(int code)
{
    const struct err_info *info = find_info(code);

    return info != NULL ? info->text : "unknown error";
}

const char *ray_err_api_code(int code)
{
    const struct err_info *info = find_info(code);

    return info != NULL ? info->api_code : "internal";
}

int ray_err_checked(int code)
{
    return code == RAY_OK || find_info(code) != NULL ? code : RAY_EMALFORMED;
}

bool ray_err_is_retryable(int code)
{
    const struct err_info *info = find_info(code);

    return info != NULL && info->is_retryable;
}

/* Several codes share an api code ("invalid"); the table lists the plain one first, and that
 * is the one given back. */
int ray_err_from_api_code(const char *api_code)
{
    if (strcmp(api_code, "unavailable") == 0) {
        return RAY_EUNAVAILABLE;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(infos); i++) {
        if (strcmp(infos[i].api_code, api_code) == 0) {
            return infos[i].code;
        }
    }
    return RAY_EINTERNAL;
}

int ray_err_from_errno(int errnum)
{
    static const struct {
        int errnum;
        int code;
    } map[] = {
        {EINVAL, RAY_EINVAL},
        {EDOM, RAY_EINVAL},
        {ERANGE, RAY_EINVAL},
        {ENOTDIR, RAY_EINVAL},
        {EISDIR, RAY_EINVAL},
        {ELOOP, RAY_EINVAL},
        {ENAMETOOLONG, RAY_ETOOBIG},
        {ENOENT, RAY_ENOTFOUND},
        {ESRCH, RAY_ENOTFOUND},
        {ENODEV, RAY_ENOTFOUND},
        {ENXIO, RAY_ENOTFOUND},
        {ECHILD, RAY_ENOTFOUND},
        {EEXIST, RAY_EEXISTS},
        {EADDRINUSE, RAY_EEXISTS},
        {ENOTEMPTY, RAY_ECONFLICT},
        {ESTALE, RAY_ECONFLICT},
        {EPERM, RAY_EDENIED},
        {EACCES, RAY_EDENIED},
        {EROFS, RAY_EDENIED},
        {ETIMEDOUT, RAY_ETIMEOUT},
        {EBUSY, RAY_EUNAVAILABLE},
        {EMFILE, RAY_EUNAVAILABLE},
        {ENFILE, RAY_EUNAVAILABLE},
        {ENOBUFS, RAY_EUNAVAILABLE},
        {ETXTBSY, RAY_EUNAVAILABLE},
        {ECONNREFUSED, RAY_EUNAVAILABLE},
        {EHOSTUNREACH, RAY_EUNAVAILABLE},
        {ENETUNREACH, RAY_EUNAVAILABLE},
        {ENETDOWN, RAY_EUNAVAILABLE},
        {EADDRNOTAVAIL, RAY_EUNAVAILABLE},
        {ENOMEM, RAY_ENOMEM},
        {EIO, RAY_EIO},
        {ENOSPC, RAY_ENOSPC},
        {EDQUOT, RAY_ENOSPC},
        {EBADMSG, RAY_EMALFORMED},
        {EPROTO, RAY_EMALFORMED},
        {EILSEQ, RAY_EMALFORMED},
        {ENOEXEC, RAY_EMALFORMED},
        {EAGAIN, RAY_EAGAIN},
        {EINPROGRESS, RAY_EAGAIN},
        {EINTR, RAY_EAGAIN},
        {EFBIG, RAY_ETOOBIG},
        {E2BIG, RAY_ETOOBIG},
        {EMSGSIZE, RAY_ETOOBIG},
        {EOVERFLOW, RAY_ETOOBIG},
        {ECANCELED, RAY_ECANCELED},
        {EPIPE, RAY_ECLOSED},
        {ECONNRESET, RAY_ECLOSED},
        {ECONNABORTED, RAY_ECLOSED},
        {ENOTCONN, RAY_ECLOSED},
        {ESHUTDOWN, RAY_ECLOSED},
        {ENOSYS, RAY_EUNSUPPORTED},
        {EOPNOTSUPP, RAY_EUNSUPPORTED},
        {ENOTTY, RAY_EUNSUPPORTED},
        {EAFNOSUPPORT, RAY_EUNSUPPORTED},
        {EPROTONOSUPPORT, RAY_EUNSUPPORTED},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(map); i++) {
        if (map[i].errnum == errnum) {
            return map[i].code;
        }
    }
    return RAY_EINTERNAL;
}

int ray_err_exit_status(int code)
{
    switch (code) {
    case RAY_OK:
        return 0;
    case RAY_EUSAGE:
        return 2;
    case RAY_ENOTFOUND:
        return 3;
    case RAY_ETIMEOUT:
        return 4;
    case RAY_ENOQUORUM:
        return 5;
    case RAY_EDENIED:
        return 6;
    case RAY_ECONFLICT:
        return 7;
    default:
        return 1;
    }
}

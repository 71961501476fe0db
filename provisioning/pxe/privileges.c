#include "provisioning/pxe/privileges.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic_file.h"

#define BIT(cap) (UINT32_C(1) << (cap))

static const uint32_t kept = BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_NET_BIND_SERVICE);

static int set_caps(uint32_t permitted, uint32_t effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.permitted = permitted, .effective = effective, .inheritable = permitted}};

    return (int)syscall(SYS_capset, &header, data);
}

static int drop_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if ((cap >= 32 || (kept & BIT(cap)) == 0) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return -1;
        }
    }
    return 0;
}

static int give_state_dir(const char *path, const struct passwd *who, struct ray_err *err)
{
    int rc = ray_make_dirs(AT_FDCWD, path, 0755, err);

    if (rc == RAY_OK && chown(path, who->pw_uid, who->pw_gid) != 0) {
        rc = ray_fail_errno(err, errno, "give the state folder %s to %s", path, who->pw_name);
    }
    return rc;
}

static int become(const struct passwd *who, struct ray_err *err)
{
    if (drop_bounding_set() != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
        setgroups(1, &who->pw_gid) != 0 || setresgid(who->pw_gid, who->pw_gid, who->pw_gid) != 0 ||
        setresuid(who->pw_uid, who->pw_uid, who->pw_uid) != 0 || set_caps(kept, kept) != 0 ||
        prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return ray_fail_errno(err, errno, "become user %s", who->pw_name);
    }
    if (setresuid(0, 0, 0) == 0) {
        return ray_fail(err, RAY_EINTERNAL, "user %s can become root again", who->pw_name);
    }
    return RAY_OK;
}

int provision_privileges_drop(const char *user, const char *state_dir, struct ray_err *err)
{
    const struct passwd *who;
    int rc;

    errno = 0;
    who = getpwnam(user);
    if (who == NULL) {
        (void)ray_fail(err, RAY_ENOTFOUND, "there is no user '%s'", user);
        return ray_next(err, "run 'useradd --system %s', or leave out --user", user);
    }
    if (who->pw_uid == geteuid()) {
        return RAY_OK;
    }
    if (geteuid() != 0) {
        (void)ray_fail(err, RAY_EDENIED, "only root can become user '%s'", user);
        return ray_next(err, "start as root or as %s, or leave out --user", user);
    }
    rc = give_state_dir(state_dir, who, err);
    return rc == RAY_OK ? become(who, err) : rc;
}

void provision_privileges_raise(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) == 0) {
        data[0].effective |= data[0].permitted & BIT(CAP_NET_RAW);
        (void)syscall(SYS_capset, &header, data); /* who needs it finds out */
    }
}

int provision_privileges_rest(struct ray_err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) != 0 || set_caps(data[0].permitted & kept, 0) != 0) {
        return ray_fail_errno(err, errno, "give up capabilities");
    }
    return RAY_OK;
}

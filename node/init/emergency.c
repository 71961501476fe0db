/* Everything below the handler is async-signal-safe: raw system calls on constant text. sync()
 * may hang on a dead disk, so a child does it while we wait a bounded time. */
#include "node/init/emergency.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_SIZE = 64 << 10 };

static void say(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, text, size); /* nothing better is left */
        (void)close(fd);
    }
}

#define CRASHED "<0>rayos-init: PID 1 crashed with signal "

static void handler(int signum, siginfo_t *info, void *context)
{
    char text[] = CRASHED "??, reboot in 10 s\n";
    char *digits = text + sizeof CRASHED - 1;
    const struct timespec delay = {.tv_sec = EMERGENCY_REBOOT_S};

    (void)context;
    /* Sent by another process (abort sends its own, and the kernel has codes above zero). */
    if (info->si_code <= 0 && info->si_pid != getpid()) {
        return;
    }
    digits[0] = (char)('0' + signum / 10);
    digits[1] = (char)('0' + signum % 10);
    say("/dev/kmsg", text, sizeof text - 1);
    say("/dev/console", text + 3, sizeof text - 4);
    if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
        sync();
        _exit(0);
    }
    (void)clock_nanosleep(CLOCK_BOOTTIME, 0, &delay, NULL); /* cut short: earlier, then */
    (void)reboot(RB_AUTOBOOT);
    for (;;) { /* the watchdog ends this */
        (void)pause();
    }
}

int emergency_install(struct ray_err *err)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
    static char stack[STACK_SIZE]; /* the handler's own; used once in a life */
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO};

    if (sigaltstack(&alternate, NULL) < 0) {
        return ray_fail_errno(err, errno, "alternate stack");
    }
    (void)sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], &action, NULL) < 0) {
            return ray_fail_errno(err, errno, "handler of signal %d", signals[i]);
        }
    }
    return RAY_OK;
}

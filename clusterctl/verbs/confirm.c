#include "clusterctl/verbs/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TYPED_SIZE = 128 };

static bool is_terminal(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

static void read_line(char out[static TYPED_SIZE])
{
    out[0] = '\0';
    if (fgets(out, TYPED_SIZE, stdin) != NULL) {
        out[strcspn(out, "\n")] = '\0';
    }
}

int confirm_serial(const char *given, const char *why, const char *what, const char *serial,
                   struct ray_err *err)
{
    char typed[TYPED_SIZE];

    if (given == NULL && !is_terminal()) {
        (void)ray_fail(err, RAY_EUSAGE, "this has to be confirmed: %s", why);
        (void)ray_next(err, "give --serial with its %s", what);
        return RAY_EUSAGE;
    }
    if (given == NULL) {
        (void)fprintf(stderr, "%s Type its %s to go on: ", why, what);
        read_line(typed);
        given = typed;
    }
    if (strcmp(given, serial) != 0) {
        (void)ray_fail(err, RAY_EDENIED, "that is not its %s; nothing was changed", what);
        (void)ray_next(err, "look at the disk that you mean, and run it again");
        return RAY_EDENIED;
    }
    return RAY_OK;
}

int confirm_name(const struct ray_args *args, const char *why, const char *name,
                 struct ray_err *err)
{
    char typed[TYPED_SIZE] = "";

    if (ray_args_flag(args, "yes")) {
        return RAY_OK;
    }
    if (!is_terminal()) {
        (void)ray_fail(err, RAY_EUSAGE, "this has to be confirmed: %s", why);
        (void)ray_next(err, "give --yes");
        return RAY_EUSAGE;
    }
    (void)fprintf(stderr, "%s Type %s to go on: ", why, name);
    read_line(typed);
    if (strcmp(typed, name) != 0) {
        (void)ray_fail(err, RAY_EUSAGE, "that is not '%s'; nothing was changed", name);
        (void)ray_next(err, "run it again");
        return RAY_EUSAGE;
    }
    return RAY_OK;
}

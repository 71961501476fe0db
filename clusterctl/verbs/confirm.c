#include "clusterctl/verbs/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TYPED_SIZE = 128 };

int confirm_name(const struct ray_args *args, const char *why, const char *name,
                 struct ray_err *err)
{
    char typed[TYPED_SIZE] = "";

    if (ray_args_flag(args, "yes")) {
        return RAY_OK;
    }
    if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) {
        (void)ray_fail(err, RAY_EUSAGE, "this has to be confirmed: %s", why);
        (void)ray_next(err, "give --yes");
        return RAY_EUSAGE;
    }
    (void)fprintf(stderr, "%s Type %s to go on: ", why, name);
    if (fgets(typed, sizeof typed, stdin) != NULL) {
        typed[strcspn(typed, "\n")] = '\0';
    }
    if (strcmp(typed, name) != 0) {
        (void)ray_fail(err, RAY_EUSAGE, "that is not '%s'; nothing was changed", name);
        (void)ray_next(err, "run it again");
        return RAY_EUSAGE;
    }
    return RAY_OK;
}

/* clusterctl/verbs/confirm.h - what cannot be taken back is confirmed: at a terminal by typing the
 * name, in scripts by --yes.
 *
 * Memory: none.  Threads: one.  Blocks: until somebody has typed.  Trust: what is typed is
 * compared, no more. */
#ifndef RAY_CLUSTERCTL_VERBS_CONFIRM_H
#define RAY_CLUSTERCTL_VERBS_CONFIRM_H

#include "base/args.h"
#include "base/err.h"

#define CONFIRM_YES_OPTION {.name = "yes", .help = "do not ask for the name"}

/* `why`: a sentence that says what it costs. RAY_EUSAGE: not confirmed. */
int confirm_name(const struct ray_args *args, const char *why, const char *name,
                 struct ray_err *err);

/* The same by something that is written on the thing itself, not shown here: `what` it is ("serial
 * number"). `given`: by the command line, else NULL. RAY_EUSAGE; RAY_EDENIED: another. */
int confirm_serial(const char *given, const char *why, const char *what, const char *serial,
                   struct ray_err *err);

#endif

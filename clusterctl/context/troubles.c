#include "clusterctl/context/troubles.h"

#include <stdio.h>
#include <string.h>

enum { LINE_SIZE = 160 };

void context_troubles_add(struct context_troubles *troubles, const char *address,
                          const struct ray_err *why)
{
    char line[LINE_SIZE];
    int size = snprintf(line, sizeof line, "%s%s: %s", troubles->size == 0 ? "" : "; ", address,
                        why->text[0] == '\0' ? ray_err_text(why->code) : why->text);
    size_t kept = size < 0 ? 0 : (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;

    if (troubles->size + kept < sizeof troubles->text - LINE_SIZE) {
        memcpy(troubles->text + troubles->size, line, kept);
        troubles->size += kept;
        troubles->text[troubles->size] = '\0';
    } else {
        troubles->left_out++;
    }
    if (troubles->next_step[0] == '\0') {
        (void)snprintf(troubles->next_step, sizeof troubles->next_step, "%s", why->next_step);
    }
    if (troubles->code != RAY_EDENIED) {
        troubles->code = why->code == RAY_ECLOSED ? RAY_EUNAVAILABLE : why->code;
    }
}

static const char *usual_step(int code)
{
    switch (code) {
    case RAY_EDENIED:
        return "ask an admin whether your key is still a principal's and the members' keys are "
               "the same (clusterctl context show)";
    case RAY_ENOQUORUM:
        return "clusterctl cluster status, for what is missing";
    default:
        return "look whether the members run and the network reaches them (clusterctl context "
               "show)";
    }
}

int context_troubles_fail(const struct context_troubles *troubles, const char *what,
                          struct ray_err *err)
{
    int code = troubles->code == RAY_OK ? RAY_ETIMEOUT : troubles->code;

    if (troubles->code == RAY_OK) {
        (void)ray_fail(err, code, "%s: no time was left to ask anybody", what);
    } else if (troubles->left_out > 0) {
        (void)ray_fail(err, code, "%s: %s; and %zu more", what, troubles->text, troubles->left_out);
    } else {
        (void)ray_fail(err, code, "%s: %s", what, troubles->text);
    }
    (void)ray_next(err, "%s",
                   troubles->next_step[0] != '\0' ? troubles->next_step : usual_step(code));
    return code;
}

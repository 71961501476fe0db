/* glob.c - one wildcard, so the last `*` is the only one to come back to: what earlier ones took
 * can always be left as it is (the greedy argument of Kirk Krauss's matcher, 2008). */
#include "coordinator/policy/policy.h"

bool coord_policy_glob(const char *pattern, const char *text, size_t text_size)
{
    const char *star = NULL; /* behind the last one */
    size_t taken_until = 0;  /* of the text, by that one */
    size_t at = 0;

    while (at < text_size) {
        if (*pattern == '*') {
            star = ++pattern;
            taken_until = at;
        } else if (*pattern != '\0' && *pattern == text[at]) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++taken_until;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

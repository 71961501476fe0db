#include "tests/sim/verdict.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
} checkers[SIM_CHECKER_COUNT] = {
#define SIM_CHECKER_ROW(id, title, what) [SIM_CHECK_##id] = {.name = (title), .text = (what)},
    SIM_CHECKER_MAP(SIM_CHECKER_ROW)
#undef SIM_CHECKER_ROW
};

const char *sim_checker_name(enum sim_checker checker)
{
    assert(checker < SIM_CHECKER_COUNT);
    return checkers[checker].name;
}

const char *sim_checker_text(enum sim_checker checker)
{
    assert(checker < SIM_CHECKER_COUNT);
    return checkers[checker].text;
}

enum sim_checker sim_checker_find(const char *name, size_t length)
{
    for (int i = 0; i < SIM_CHECKER_COUNT; i++) {
        if (strlen(checkers[i].name) == length && memcmp(checkers[i].name, name, length) == 0) {
            return (enum sim_checker)i;
        }
    }
    return SIM_CHECKER_COUNT;
}

void sim_verdict_fail(struct sim_verdict *verdict, enum sim_checker checker, const char *fmt, ...)
{
    va_list ap;

    if (verdict->is_bad) {
        return;
    }
    verdict->is_bad = true;
    verdict->checker = checker;
    va_start(ap, fmt);
    (void)vsnprintf(verdict->text, sizeof verdict->text, fmt, ap);
    va_end(ap);
}

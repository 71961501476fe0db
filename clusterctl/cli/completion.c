/* completion.c - the shell asks the program itself (`clusterctl __complete WORD...`), which
 * answers from the table of its commands; the scripts only pass words on. */
#include "clusterctl/cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"

/* bash takes what it is given as it is: what does not go on from the word is left out here. */
static const char bash_script[] =
    "_clusterctl()\n"
    "{\n"
    "    local line current=${COMP_WORDS[COMP_CWORD]}\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        [[ $line == \"$current\"* ]] && COMPREPLY+=(\"$line\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -o default -F _clusterctl clusterctl\n";

static const char zsh_script[] =
    "#compdef clusterctl\n"
    "_clusterctl()\n"
    "{\n"
    "    local -a candidates\n"
    "    candidates=(\"${(@f)$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\""
    " 2>/dev/null)}\")\n"
    "    compadd -- \"${candidates[@]}\"\n"
    "}\n"
    "compdef _clusterctl clusterctl\n";

static int run_completion(const struct ray_args *args, void *context)
{
    const char *shell = args->positionals[0];
    struct ray_err err = {0};

    (void)context;
    if (strcmp(shell, "bash") == 0) {
        (void)fputs(bash_script, stdout);
    } else if (strcmp(shell, "zsh") == 0) {
        (void)fputs(zsh_script, stdout);
    } else {
        (void)ray_fail(&err, RAY_EUSAGE, "no completion for shell '%.20s'; there is bash, zsh",
                       shell);
        (void)ray_next(&err, "clusterctl completion bash >> ~/.bashrc");
        return output_error(&err);
    }
    return 0;
}

static void complete_shells(const struct ray_args *args, size_t index, void *context)
{
    (void)args;
    (void)context;
    if (index == 0) {
        (void)puts("bash\nzsh");
    }
}

const struct ray_args_command completion_command = {
    .name = "completion",
    .positional = "bash|zsh",
    .positional_min = 1,
    .positional_max = 1,
    .help = "print the completion script of a shell",
    .run = run_completion,
    .complete = complete_shells,
};

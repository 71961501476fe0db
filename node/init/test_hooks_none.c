/* The node image offers no test methods. */
#include "node/init/init.h"

const struct ray_rpc_method *init_test_methods(void)
{
    static const struct ray_rpc_method none[] = {{NULL, NULL, NULL}};

    return none;
}

/* What a machine says of itself when it asks for its script, one parameter a line: nothing of
 * it but its MAC gets into the script, and its facts are printable. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/pxe/script.h"

enum { VALUE_COUNT = 7, TEXT_SIZE_MAX = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct query {
    char text[TEXT_SIZE_MAX + 1];
    const char *values[VALUE_COUNT];
};

static const char *ask(void *arg, const char *name)
{
    static const char *const names[VALUE_COUNT] = {"mac",    "uuid",   "arch",   "platform",
                                                   "serial", "vendor", "product"};
    const struct query *query = arg;

    for (size_t i = 0; i < VALUE_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            return query->values[i];
        }
    }
    return NULL;
}

static void check_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            abort();
        }
    }
}

static void check_script(const struct provision_machine *machine, const char *text)
{
    static const struct provision_server_address server = {.ip = 1, .http_port = 80};
    const struct provision_script_image image = {
        .id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        .version = "1",
        .command_line = "a",
        .arguments = ""};
    char shown[PROVISION_SCRIPT_TEXT_SIZE];
    struct ray_buf buf;

    ray_buf_init(&buf, PROVISION_SCRIPT_SIZE_MAX);
    if (machine->arch->path != PROVISION_BOOT_NONE &&
        provision_script_boot(&buf, &server, machine, &image, NULL) != RAY_OK) {
        abort();
    }
    ray_buf_clear(&buf);
    (void)provision_script_text(text, shown);
    check_text(shown);
    if (strpbrk(shown, "$&|;{}\"'#\\`") != NULL ||
        provision_script_refusal(&buf, text, NULL) != RAY_OK) {
        abort();
    }
    ray_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query query = {0};
    struct provision_machine machine;
    char *at = query.text;

    size = size < TEXT_SIZE_MAX ? size : TEXT_SIZE_MAX;
    memcpy(query.text, data, size);
    for (size_t i = 0; i < VALUE_COUNT && at < query.text + size; i++) {
        char *end = memchr(at, '\n', (size_t)(query.text + size - at));

        query.values[i] = at;
        at = end != NULL ? end + 1 : query.text + size;
        if (end != NULL) {
            *end = '\0';
        }
    }
    if (provision_machine_parse(ask, &query, &machine, NULL) == RAY_OK) {
        check_text(machine.facts.arch);
        check_text(machine.facts.uuid);
        check_text(machine.facts.serial);
        check_text(machine.facts.vendor);
        check_text(machine.facts.product);
        check_script(&machine, query.values[0]);
    }
    return 0;
}

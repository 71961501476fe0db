#include "net/http/head.h"

#include <assert.h>
#include <strings.h>

void ray_http_head_init(struct ray_http_head *head, size_t size_max)
{
    *head = (struct ray_http_head){0};
    /* Each header adds two NULs, so the buffer is a little larger than what it holds. */
    ray_buf_init(&head->text, size_max + (size_t)2 * RAY_HTTP_HEADER_COUNT_MAX + 1);
}

void ray_http_head_fini(struct ray_http_head *head)
{
    ray_buf_fini(&head->text);
}

void ray_http_head_clear(struct ray_http_head *head)
{
    ray_buf_clear(&head->text);
    head->count = 0;
    head->part_offset = 0;
}

int ray_http_head_append(struct ray_http_head *head, const char *at, size_t size)
{
    return ray_buf_append(&head->text, at, size);
}

static int end_part(struct ray_http_head *head)
{
    int rc = ray_buf_append(&head->text, "", 1);

    if (rc == RAY_OK) {
        head->part_offset = head->text.size;
    }
    return rc;
}

int ray_http_head_end_target(struct ray_http_head *head)
{
    assert(head->part_offset == 0 && head->count == 0);
    return end_part(head);
}

int ray_http_head_end_name(struct ray_http_head *head)
{
    if (head->count == RAY_HTTP_HEADER_COUNT_MAX) {
        return RAY_ECONFLICT;
    }
    head->headers[head->count].name_offset = head->part_offset;
    return end_part(head);
}

int ray_http_head_end_value(struct ray_http_head *head)
{
    struct ray_buf *text = &head->text;

    assert(head->count < RAY_HTTP_HEADER_COUNT_MAX);
    for (size_t i = head->part_offset; i < text->size; i++) {
        if (text->data[i] == '\t') {
            text->data[i] = ' ';
        } else if (text->data[i] < ' ' || text->data[i] == 0x7f) {
            return RAY_EMALFORMED;
        }
    }
    while (text->size > head->part_offset && text->data[text->size - 1] == ' ') {
        text->size--;
    }
    head->headers[head->count++].value_offset = head->part_offset;
    return end_part(head);
}

const char *ray_http_head_target(const struct ray_http_head *head)
{
    return ray_buf_text(&head->text);
}

const char *ray_http_head_find(const struct ray_http_head *head, const char *name)
{
    const char *text = ray_buf_text(&head->text);

    for (size_t i = 0; i < head->count; i++) {
        if (strcasecmp(text + head->headers[i].name_offset, name) == 0) {
            return text + head->headers[i].value_offset;
        }
    }
    return NULL;
}

size_t ray_http_head_count(const struct ray_http_head *head, const char *name)
{
    const char *text = ray_buf_text(&head->text);
    size_t count = 0;

    for (size_t i = 0; i < head->count; i++) {
        count += strcasecmp(text + head->headers[i].name_offset, name) == 0;
    }
    return count;
}

/* clusterctl/lab/output.c - see output.h. */
#include "clusterctl/lab/output.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void lab_output_init(struct lab_output *output)
{
    *output = (struct lab_output){.log = {.fd = -1}};
    lab_stream_init(&output->stream);
}

static void on_line(void *arg, const char *line, size_t size)
{
    struct lab_output *output = arg;

    lab_logfile_line(&output->log, line, size);
    if (size > 0) {
        (void)ray_escape(output->last_line, sizeof output->last_line, line, size);
    }
}

static void on_data(void *arg, const uint8_t *bytes, size_t size)
{
    struct lab_output *output = arg;

    lab_lines_feed(&output->lines, bytes, size);
}

int lab_output_open(struct lab_output *output, struct ray_loop *loop, int dir_fd, const char *name,
                    int *out_fd, struct ray_err *err)
{
    int pair[2];
    int rc;

    lab_output_init(output);
    lab_lines_init(&output->lines, on_line, output);
    rc = lab_logfile_open(&output->log, dir_fd, name, LAB_LOGFILE_SIZE_MAX, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        rc = ray_fail_errno(err, errno, "socket pair");
        lab_output_close(output);
        return rc;
    }
    rc = lab_stream_open(&output->stream, loop, pair[0], on_data, output, err);
    if (rc != RAY_OK) {
        (void)close(pair[1]); /* nobody has it yet */
        lab_output_close(output);
        return rc;
    }
    *out_fd = pair[1];
    return RAY_OK;
}

void lab_output_close(struct lab_output *output)
{
    if (lab_stream_is_open(&output->stream)) {
        lab_stream_drain(&output->stream);
        lab_stream_close(&output->stream);
    }
    if (output->lines.on_line != NULL) {
        lab_lines_end(&output->lines);
    }
    lab_logfile_close(&output->log);
}

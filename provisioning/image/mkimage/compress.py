"""zstd as the image is compressed: level 3, one thread, so that equal input gives equal
bytes with the zstd of the build root.

Level 3 because what is large in the image (modules) is compressed already: level 19 saves
little, takes minutes, and the kernel unpacks no faster. A checksum is kept: the kernel
ignores it, `zstd -t` and --check do not.
"""
import subprocess
import threading

from .errors import ImageError

LEVEL = "-3"


class compress:
    """with compress() as packer: packer.write(...); then packer.output holds the result."""

    def __init__(self):
        self.output = b""
        self._chunks = []

    def __enter__(self):
        self._process = subprocess.Popen(
            ["zstd", LEVEL, "--single-thread", "--check", "-q", "-c", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(
            target=lambda: self._chunks.append(self._process.stdout.read()))
        self._reader.start()
        return self

    def write(self, data):
        self._process.stdin.write(data)
        return len(data)

    def __exit__(self, kind, error, trace):
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass                        # its exit status says why
        self._reader.join()
        status = self._process.wait()
        self._process.stdout.close()
        if kind is None and status != 0:
            raise ImageError(f"zstd failed with status {status}")
        self.output = b"".join(self._chunks)


def decompress(data):
    done = subprocess.run(["zstd", "-d", "-q", "-c", "-"], input=data, capture_output=True,
                          check=False)
    if done.returncode != 0:
        raise ImageError(f"not intact zstd data: {done.stderr.decode().strip()}")
    return done.stdout

"""The one exception of this package: a sentence for the person, and what to do next."""


class ImageError(Exception):
    """What is wrong (one sentence) and, where it is known, the next step."""

    def __init__(self, message, next_step=None):
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self):
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message

#!/usr/bin/env python3
"""A machine that booted a node, as far as a hello sees it: prints one JSON line when it listens
and one for each request; answers with the statuses given, the last one for ever.

    hello_server.py ADDRESS PORT [STATUS...]
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


def say(**words):
    print(json.dumps(words), flush=True)


class Handler(BaseHTTPRequestHandler):
    statuses = [204]

    def answer(self):
        size = int(self.headers.get("Content-Length", 0))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        say(method=self.command, path=self.path, type=self.headers.get("Content-Type"),
            peer=self.client_address[0], status=status, body=self.rfile.read(size).decode())
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "http://10.77.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_):
        """Nothing beside our own lines."""


def main():
    address, port, *statuses = sys.argv[1:]
    if statuses:
        Handler.statuses = [int(status) for status in statuses]
    server = HTTPServer((address, int(port)), Handler)
    say(listening=server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()

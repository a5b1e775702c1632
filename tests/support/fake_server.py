"""A stand-in for a model server: `python fake_server.py PORT BEHAVIOUR REPORT`. Needs nothing but Python.

It starts a child, as vLLM does, writes the process ids, its port and its environment to REPORT, and then
is healthy, dies (`dies`), is never healthy (`deaf`), or is healthy and takes no SIGTERM (`stubborn`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()


def main(port: int, behaviour: str, report: Path) -> None:
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
    aside = report.with_suffix(".tmp")
    processes = [os.getpid(), worker.pid]
    aside.write_text(json.dumps({"processes": processes, "port": port, "environment": dict(os.environ)}))
    aside.rename(report)
    if behaviour == "dies":
        print("loading\nTraceback (most recent call last):\nOSError: no weights here\nbye", flush=True)
        sys.exit(3)
    if behaviour == "deaf":
        print("still loading", flush=True)
        time.sleep(600)
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

"""`radepth app [--checkpoint NAME=RUN,...]`: depth of your pictures and videos, in a browser.

The app opens with the bundled model. It is served to this machine alone unless `--host` says
otherwise. Files that are uploaded or made are deleted when it ends.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from radepth_jax.cli.named_path import split_names
from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.errors import UserError
from radepth_jax.startup import start_program


def main(argv: list[str]) -> None:
    """Serve the page until it is interrupted."""
    parser = Parser(
        "radepth app", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint",
        default="default",
        help="RUN or NAME=RUN, comma-separated: offered besides the bundled model",
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves the whole network")
    parser.add_argument("--port", type=int, default=7860, help="0 takes any free one")
    parser.add_argument(
        "--max_upload", default="200mb", help="the largest file that can be uploaded"
    )
    parser.add_argument("--open", action="store_true", help="open a browser")
    add_allow_plugins(parser)
    options = parser.parse_args(argv)
    if not 0 <= options.port < 2**16:
        raise UserError(f"--port {options.port}: expected 0 to 65535")

    start_program()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    checkpoints = named(options.checkpoint)
    with tempfile.TemporaryDirectory(prefix="radepth_app_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # before Gradio is imported

        from radepth_jax.predict.app_answers import OfferedNetworks
        from radepth_jax.predict.app_page import build

        page = build(OfferedNetworks(checkpoints, Path(folder), options.allow_plugins))
        try:
            _, address, _ = page.launch(
                server_name=options.host,
                server_port=options.port or None,
                max_file_size=options.max_upload,
                inbrowser=options.open,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
            )
        except OSError as error:
            raise UserError(f"--port {options.port}: {error}; name another --port") from None
        print(f"depth at any resolution: {address} (Ctrl-C ends it)", flush=True)
        if options.host not in ("127.0.0.1", "localhost"):
            print("it has no password: whoever reaches this machine can use it", file=sys.stderr)
        # SIGTERM ends it as well; a process that a script started may have SIGINT ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            page.close(verbose=False)
    # The server's thread waits for every page that is still open in a browser.
    sys.stdout.flush()
    os._exit(0)


def named(text: str) -> dict[str, str]:
    """`RUN,NAME=RUN` as a map from shown names to checkpoints. It includes the bundled model."""
    found = {"the bundled model": "default"}
    for name, folder in split_names(text):
        if (name, folder) != ("", "default"):
            found[name or Path(folder).name] = folder
    return found

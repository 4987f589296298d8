"""Networks by name: given away with `radepth push`, used as `hf:OWNER/NAME`, through a fake hub."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax import models
from radepth_jax.runs.saved_model import load_model, save_model

NAME = "someone/street-depth"
COMMIT = "c" * 40


class FakeHub(BaseHTTPRequestHandler):
    """Of the hub's API as much as a small model's upload and download use."""

    def log_message(self, *arguments):
        """Say nothing."""

    def do_POST(self):
        self.server.requests.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/api/repos/create":
            self.server.made = json.loads(body)
            self.answer({"url": f"{self.server.address}/{NAME}"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif self.path == f"/api/models/{NAME}/preupload/main":
            files = [file["path"] for file in json.loads(body)["files"]]
            self.answer(
                {
                    "files": [
                        {"path": path, "uploadMode": "regular", "shouldIgnore": False}
                        for path in files
                    ]
                }
            )
        elif self.path == f"/api/models/{NAME}/commit/main":
            for line in body.decode().splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    value = item["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            self.answer({"commitUrl": f"{self.server.address}/{NAME}", "commitOid": COMMIT})
        else:
            self.send_error(404)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.requests.append(self.path)
        match = re.fullmatch(rf"/{NAME}/resolve/(main|v1)/(.*)", self.path)
        content = self.server.files.get(match[2]) if match else None
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if match else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def answer(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.files, server.requests, server.made = {}, [], None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def command(hub, tmp_path):
    """`radepth ...` as a user types it, with the fake hub for the real one."""

    def run(*arguments, token="secret"):
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "NO_PROXY": "127.0.0.1",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "radepth_jax", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def trained_run(reference_config, tmp_path_factory):
    """A checkpoint of the smallest network, as it was drawn."""
    networks = models.build(reference_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    workdir = tmp_path_factory.mktemp("push") / "run"
    save_model(variables, reference_config, workdir)
    return workdir


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_a_network_goes_to_the_hub_and_comes_back(command, hub, trained_run, tmp_path):
    done = command("push", "--checkpoint", trained_run, "--to", NAME, "--private")
    assert done.returncode == 0, done.stderr
    assert f"{hub.address}/{NAME}" in done.stdout
    assert hub.made["visibility"] == "private"
    assert set(hub.files) == {"README.md", "config.json", "model.safetensors"}
    assert f"radepth predict --checkpoint hf:{NAME}" in hub.files["README.md"].decode()

    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(tmp_path / "photo.png")
    for name in (f"hf:{NAME}", f"hf:{NAME}@v1"):
        done = command("predict", "--checkpoint", name, "photo.png", token="")
        assert done.returncode == 0, done.stderr
    assert any("/v1/" in request for request in hub.requests)
    depth = np.load(tmp_path / "depth" / "photo_depth.npy")
    command("predict", "--checkpoint", trained_run, "--output", "here", "photo.png")
    np.testing.assert_array_equal(depth, np.load(tmp_path / "here" / "photo_depth.npy"))


def test_what_the_hub_does_not_have_is_one_line(command):
    done = command("predict", "--checkpoint", "hf:someone/else", "photo.png")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_folder_is_a_checkpoint_too(radepth, trained_run, tmp_path):
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "results.csv").write_text(
        "model,resolution,scaling,abs_rel,sq_rel,rmse,rmse_log,d1,d2,d3,images\n"
        "run,64x32,median,0.25,2,9,0.3,0.6,0.8,0.9,50\n"
    )
    target = tmp_path / "mine"
    code, out, err = radepth(
        "push", "--checkpoint", trained_run, "--to", target,
        "--results", tmp_path / "table", "--license", "apache-2.0",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert str(target) in out
    ours, given = load_model(trained_run), load_model(target)
    assert given.config == ours.config
    assert given.step == ours.step
    assert equal(given.variables, ours.variables)
    card = (target / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "| run | 64x32 | median | 0.250 | 2.000 | 9.000 |" in card
    assert "rendered by radepth-jax itself" in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "no name"], "expected OWNER/NAME on the hub, or a folder"),
        (["--to", "nameless"], "expected OWNER/NAME on the hub, or a folder"),
        ([], "required: --to"),
    ],
)
def test_bad_names_are_one_line(radepth, trained_run, arguments, message):
    code, _, err = radepth("push", "--checkpoint", trained_run, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_names_are_checked_and_damage_is_named(tmp_path, radepth, trained_run):
    for name in ("hf:", "hf:one", "hf:a/b/c"):
        code, _, err = radepth("export", "--checkpoint", name, "--format", "onnx", "--output", "x")
        assert code == 2
        assert f"{name}: expected hf:OWNER/NAME" in err
        assert err.count("\n") == 1
    radepth("push", "--checkpoint", trained_run, "--to", tmp_path / "mine")
    (tmp_path / "mine" / "config.json").write_text("{}")
    code, _, err = radepth(
        "export", "--checkpoint", tmp_path / "mine", "--format", "onnx", "--output", "x"
    )
    assert code == 2
    assert "mine: model.safetensors and config.json are not a model of radepth" in err

"""The app as a person uses it, in Chromium."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import trimesh
from PIL import Image

WAIT = 90_000  # milliseconds, of which compiling takes the most


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("needs Chromium (on Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """`radepth app`, started -> its address, the seconds until it served, its own folder."""
    folder = tmp_path_factory.mktemp("app")
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "radepth_jax", "app", "--port", "0", "--max_upload", "1mb",
         "--checkpoint", "again=default"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"TMPDIR": str(folder), "NO_PROXY": "127.0.0.1"},
    ) as process:  # fmt: skip
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        yield address[0], time.perf_counter() - begun, folder
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert list(folder.glob("radepth_app_*")) == []  # it leaves nothing


@pytest.fixture
def page(browser, app):
    opened = browser.new_page(viewport={"width": 1280, "height": 1200})
    opened.set_default_timeout(WAIT)
    opened.goto(app[0])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A road below a sky."""
    image = np.full((120, 320, 3), (150, 180, 220), np.uint8)
    image[60:] = (80, 80, 82)
    image[60:, 150:170] = (230, 230, 230)
    path = tmp_path_factory.mktemp("pictures") / "road.png"
    Image.fromarray(image).save(path)
    return path


def upload(page, path):
    page.set_input_files("#picture input[type=file]", path)


def caption(page, text):
    """Wait until the caption says it."""
    page.wait_for_function(
        "text => document.querySelector('#caption textarea').value.includes(text)", arg=text
    )
    return page.input_value("#caption textarea")


def test_upload_slide_compare_click_3d_and_download(page, picture, tmp_path):
    upload(page, picture)
    caption(page, "the bundled model at 320x128")
    page.wait_for_selector("#depth img")

    width = page.locator("#width input[type=number]")
    width.fill("192")
    width.press("Enter")
    caption(page, "at 192x64")

    page.click("#second input")
    page.get_by_role("option", name="again").click()
    assert "\nagain at 192x64" in caption(page, "again at")
    page.wait_for_selector("#beside img")

    page.locator("#picture img").first.click(position={"x": 40, "y": 20})
    page.wait_for_function("document.querySelector('#here textarea').value.includes('depth')")

    page.click("#space")
    page.wait_for_selector("#files a[download]")
    with page.expect_download() as download:
        page.locator("#files a[download*='.glb']").first.click()
    download.value.save_as(tmp_path / "road.glb")
    assert len(trimesh.load(tmp_path / "road.glb").geometry) == 1
    page.wait_for_selector("#model canvas")

    page.click("#sweep")
    page.wait_for_selector("#gallery img >> nth=4")


def test_a_broken_file_is_a_message(page, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    page.get_by_role("tab", name="Video").click()
    page.set_input_files("#video input[type=file]", tmp_path / "broken.mp4")
    page.wait_for_timeout(1500)
    page.click("#predict_video")
    page.get_by_test_id("toast-body").first.wait_for()


def test_what_is_too_large_is_refused(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    upload(page, tmp_path / "large.png")
    page.wait_for_timeout(3000)
    assert page.input_value("#caption textarea") == ""


ASK = """
import sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
network = "the bundled model"
for path in sys.argv[2:]:
    try:
        print(client.predict(handle_file(path), 320, network, "none", fn_index=0)[2])
    except Exception as error:
        print(error)
"""


def test_a_picture_is_read_as_by_every_command(app, tmp_path):
    """Gradio's own reader makes white of 16 bits."""
    levels = np.linspace(0, 120, 64 * 32).reshape(32, 64).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "8.png")
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(np.zeros((1000, 16), np.uint8)).save(tmp_path / "tall.png")
    (tmp_path / "broken.png").write_text("no picture")
    files = [tmp_path / f"{name}.png" for name in ("8", "16", "tall", "broken")]
    answers = subprocess.run(
        [sys.executable, "-c", ASK, app[0], *files], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert answers[0].startswith("the bundled model at 320x160: ")
    assert answers[1] == answers[0]
    assert " at 320x2048: " in answers[2]
    assert answers[3:] == ["broken.png: not an image"]


def test_it_serves_this_machine_and_its_own_folder_alone(app):
    address, _, _ = app
    port = int(address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 2):
        pass
    # Another address of this machine: what serves the network answers there too.
    with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.2", port), 2):
        pass
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("/gradio_api/file=/etc/passwd", "/gradio_api/file=../../etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as error:
            opener.open(address + path)
        assert error.value.code in (403, 404)
        error.value.close()


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "x"], ["--checkpoint"]])
def test_bad_options_are_one_line(radepth, arguments):
    code, _, err = radepth("app", *arguments)
    assert code == 2
    assert err.count("\n") == 1
